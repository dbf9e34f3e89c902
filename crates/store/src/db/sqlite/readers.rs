//! SQLite's readers: threads that answer what is asked, each with a connection of its own.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::values::query;
use crate::db::value::{Query, Row};
use crate::error::StoreError;

/// Questions that may wait for a reader; beyond, the store is too busy to be asked.
const QUESTIONS_MAX: usize = 100_000;

/// Questions that wait for a reader.
#[derive(Default)]
pub(super) struct Reads {
    state: Mutex<ReadState>,
    asked: Condvar,
}

#[derive(Default)]
struct ReadState {
    queue: VecDeque<Question>,
    closed: bool,
}

pub(super) struct Question {
    pub(super) queries: Vec<Query>,
    pub(super) answer: oneshot::Sender<Result<Vec<Vec<Row>>, StoreError>>,
}

impl Question {
    /// Answers it, unless nobody waits for that any more.
    pub(super) fn answer_from(self, connection: &Connection) {
        if self.answer.is_closed() {
            return;
        }
        let rows = self.queries.iter().map(|Query { sql, values }| query(connection, sql, values)).collect();
        let _ = self.answer.send(rows);
    }
}

/// Questions that the tables do not answer yet: they wait for the writer, which has the tables follow.
#[derive(Default)]
pub(super) struct Questions(Mutex<ReadState>);

impl Questions {
    /// Returns the question if it is not taken, and why.
    pub(super) fn ask(&self, question: Question) -> Result<(), Refused> {
        self.0.lock().take(question)
    }

    pub(super) fn take(&self) -> Vec<Question> {
        std::mem::take(&mut self.0.lock().queue).into()
    }

    /// Takes no more.
    pub(super) fn close(&self) -> Vec<Question> {
        self.0.lock().closed = true;
        self.take()
    }
}

/// A question that is not taken, and why.
type Refused = (Question, StoreError);

impl ReadState {
    fn take(&mut self, question: Question) -> Result<(), Refused> {
        if self.closed {
            return Err((question, StoreError::Closed));
        }
        if self.queue.len() >= QUESTIONS_MAX {
            return Err((question, StoreError::Busy(format!("{QUESTIONS_MAX} questions wait"))));
        }
        self.queue.push_back(question);
        Ok(())
    }
}

impl Reads {
    /// Returns the question if it is not taken, and why.
    pub(super) fn ask(&self, question: Question) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.take(question)?;
        drop(state);
        self.asked.notify_one();
        Ok(())
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.asked.notify_all();
    }

    /// A reader's life. What was asked before the end is still answered. It connects when it is asked for the first
    /// time: a small server may never need more than one.
    pub(super) fn answer_all(&self, connect: impl Fn() -> Result<Connection, StoreError>) {
        let mut connection: Option<Connection> = None;
        loop {
            let mut state = self.state.lock();
            let question = loop {
                if let Some(question) = state.queue.pop_front() {
                    break question;
                }
                if state.closed {
                    return;
                }
                self.asked.wait(&mut state);
            };
            drop(state);
            match connection.take().map_or_else(&connect, Ok) {
                Ok(open) => {
                    question.answer_from(&open);
                    connection = Some(open);
                }
                Err(error) => drop(question.answer.send(Err(error))),
            }
        }
    }
}

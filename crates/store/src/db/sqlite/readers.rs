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

impl Reads {
    pub(super) fn ask(&self, question: Question) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.queue.len() >= QUESTIONS_MAX {
            return Err(StoreError::Busy(format!("{QUESTIONS_MAX} questions wait")));
        }
        state.queue.push_back(question);
        drop(state);
        self.asked.notify_one();
        Ok(())
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.asked.notify_all();
    }

    /// A reader's life. What was asked before the end is still answered.
    pub(super) fn answer_all(&self, connection: Connection) {
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
            // Nobody waits for it any more.
            if question.answer.is_closed() {
                continue;
            }
            let queries = question.queries.iter();
            let rows = queries.map(|Query { sql, values }| query(&connection, sql, values)).collect();
            let _ = question.answer.send(rows);
        }
    }
}

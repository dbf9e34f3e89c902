//! A gate in the writer's way: while it is held, the writer is kept after its commit, and what is appended waits.

use std::sync::{Arc, Condvar, Mutex};

use store::{Log, Lsn, Write};

use crate::home::{Opened, note};

/// The gate. It also counts how often the log has moved.
#[derive(Clone)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    held: bool,
    inside: bool,
    moves: usize,
}

impl Gate {
    pub fn new(log: &Log) -> Self {
        let gate = Gate(Arc::new((Mutex::new(State::default()), Condvar::new())));
        let passed = gate.clone();
        log.on_change(Arc::new(move || passed.pass()));
        gate
    }

    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.moves += 1;
        state.inside = true;
        changed.notify_all();
        let mut state = changed.wait_while(state, |state| state.held).unwrap();
        state.inside = false;
    }

    /// Keeps the writer after a commit of its own.
    pub fn hold(&self, opened: &Opened) {
        self.hold_after(opened, vec![note("gate", "held", "")]);
    }

    /// Keeps the writer after it has committed this.
    pub fn hold_after(&self, opened: &Opened, writes: Vec<Write>) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().held = true;
        opened.log.append(Lsn::default(), writes).unwrap();
        drop(changed.wait_while(state.lock().unwrap(), |state| !state.inside).unwrap());
    }

    /// Lets it go on.
    pub fn release(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().held = false;
        changed.notify_all();
    }

    /// How many groups have been committed or lost.
    pub fn moves(&self) -> usize {
        self.0.0.lock().unwrap().moves
    }
}

/// A test that fails must not keep the writer.
impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}

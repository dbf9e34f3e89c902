//! What must always hold, whatever goes wrong: each rule is a checker that sees every event.

mod accepted;
mod answers;
mod archives;
mod blocked;
mod blocks;
mod copies;
mod loss;
mod order;
mod presence;
mod promises;
mod publications;
mod rosters;
mod turns;

use crate::event::Event;

/// What broke a rule, in words.
pub type Complaints = Vec<String>;

/// One rule.
pub trait Checker: Send {
    /// Looks at what happened.
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints);
}

/// All rules.
pub fn all() -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(order::Order::default()),
        Box::new(loss::Loss::default()),
        Box::new(answers::Answers::default()),
        Box::new(promises::Promises::default()),
        Box::new(blocked::Blocked::default()),
        Box::new(rosters::Rosters::default()),
        Box::new(presence::Presence::default()),
        Box::new(copies::Copies::default()),
        Box::new(archives::Archives::default()),
        Box::new(publications::Publications::default()),
        Box::new(turns::Turns::default()),
    ]
}

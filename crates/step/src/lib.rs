//! One step: all that a feature may see and do, and the two ledgers (sessions, roster) that all of them read.

pub mod act;
pub mod card;
pub mod domain;
pub mod roster;
pub mod rules;
pub mod sessions;
pub mod step;
pub mod stop;
pub mod wishes;
pub mod world;

pub use act::{Act, Asked, Entered, Managed, Question, Read, Resumable, Retraction, Return, Returned, Work};
pub use card::Card;
pub use domain::{Domain, Seal};
pub use roster::Roster;
pub use sessions::{ArchiveRead, LastSeen, Session, SessionId, Sessions};
pub use step::{Step, Yield};
pub use stop::{Reply, Stop};
pub use wishes::{Identity, Shown, Told, Wanted, Wish, Wishes};
pub use world::{Busy, Clock, Entropy, Memory, Spawn, World};

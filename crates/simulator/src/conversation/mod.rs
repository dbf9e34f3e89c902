//! Readable dialogues between people's clients and a server: the same text is played in the simulator, over sockets
//! against our server, and against anybody else's. `conversations/README.md` is the format for those who write them.

pub mod accounts;
mod client;
pub mod player;
pub mod reader;
mod sasl;
pub mod script;
pub mod settings;
pub mod stage;
mod template;
mod words;

pub use player::{Failure, Outcome, compare, play};
pub use sasl::{Exchange, sha256};
pub use script::Script;
pub use stage::{Binding, Door, Fortune, Received, Refused, Scene, Setting, Stage, Wire};

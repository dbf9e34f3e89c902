//! The composition: entities, what passes through them in which order, and the sessions that join them to streams.

pub mod account;
mod beside;
pub mod cards;
pub mod commits;
pub mod config;
pub mod credentials;
pub mod directory;
pub mod door;
mod entering;
pub mod entity;
mod held_back;
pub mod host;
mod kept;
pub mod letter;
mod loading;
mod login;
mod managed;
pub mod moments;
pub mod nobody;
pub mod node;
pub mod outgoing;
pub mod pipeline;
pub mod queries;
mod resumption;
pub mod returns;
pub mod router;
pub mod seat;
mod sent;
pub mod session;
pub mod ticket;
pub mod told;
mod under_way;
mod work;

pub use config::Config;
pub use node::{Commands, Node};
pub use session::Session;

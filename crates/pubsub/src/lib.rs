//! What people publish for others to follow: nodes, who may see them, their items, and who hears of what is new
//! (XEP-0060), here of accounts (XEP-0163).

pub mod access;
pub mod config;
pub mod discovery;
pub mod news;
pub mod node;
pub mod pep;

mod errors;
mod items;
mod owner;
mod publish;
mod request;
mod subscriptions;

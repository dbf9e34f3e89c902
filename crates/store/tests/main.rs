//! What the store promises, each case on SQLite and on PostgreSQL (`WAXWING_WITHOUT_POSTGRESQL=1` passes that over).
#![allow(clippy::unwrap_used)]

mod accounts;
mod archive;
mod child;
mod clients;
mod damage;
mod disk;
mod durability;
mod gate;
mod home;
mod household;
mod journal;
mod letters;
mod limits;
mod locks;
mod log;
mod migrations;
mod nodes;
mod notes;
mod offline;
mod outage;
mod readers;
mod roster;
mod secret;
mod sessions;
mod settings;
mod wire;

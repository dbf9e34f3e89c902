//! What people do: one file for each kind of load.

pub mod archive;
pub mod asleep;
pub mod chat;
pub mod idle;
pub mod login;
pub mod offline;
pub mod presence;

use std::time::Duration;

use serde_json::{Value, json};

use crate::measured::{Used, Waits};

/// How long a scene takes.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Before and after what is measured, for what a server does late.
    pub settle: Duration,
    /// What is measured, where it does not end by itself.
    pub time: Duration,
}

/// What a scene found: units done, and what they took.
pub fn found(units: u64, used: Used, waits: &mut Waits) -> Value {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / units.max(1) as f64;
    json!({
        "units": units,
        "cpu_us": each(used.cpu),
        "rate": units as f64 / used.time.as_secs_f64(),
        "cores": used.cpu.as_secs_f64() / used.time.as_secs_f64(),
        "p50_ms": waits.at(0.5),
        "p99_ms": waits.at(0.99),
        "load_us": each(used.own),
    })
}

/// What must not be.
pub fn wrong(xml: &[u8]) -> String {
    format!("unexpected: {}", String::from_utf8_lossy(xml))
}

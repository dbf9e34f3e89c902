//! People who come in and then say nothing: what each costs in memory.

use std::time::Instant;

use serde_json::{Value, json};

use super::Span;
use crate::crowd::{Crowd, Nothing};
use crate::measured::{Server, Window};

/// Brings them in; `warm` of them before the first look. Memory is read when the measured time is over, so that what is
/// freed late is freed.
///
/// # Errors
/// Of the crowd.
pub fn run(crowd: &mut Crowd, server: Server, warm: u32, sessions: u32, span: Span) -> Result<Value, String> {
    crowd.gather(0..warm, &mut Nothing)?;
    crowd.turn_until(Instant::now() + span.time, &mut Nothing)?;
    let before = server.memory();
    crowd.gather(warm..warm + sessions, &mut Nothing)?;
    let window = Window::open(server);
    crowd.turn_until(Instant::now() + span.time, &mut Nothing)?;
    let (after, used) = (server.memory(), window.close());
    Ok(json!({
        "units": sessions,
        "kib": (after.now as f64 - before.now as f64) / f64::from(sessions),
        "before_kib": before.now,
        "settled_kib": after.now,
        "peak_kib": after.peak,
        "idle_cpu_ms_per_s": used.cpu.as_secs_f64() * 1e3 / used.time.as_secs_f64(),
    }))
}

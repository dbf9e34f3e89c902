//! Other people's programs, run until they end.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs it; what it says goes where ours goes.
///
/// # Errors
/// When it cannot be started, or ends with another status than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} could not be started"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

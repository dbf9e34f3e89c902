//! What the server says of itself, line by line, on standard error.

use std::io::IsTerminal;

use anyhow::Context;
use server::Config;
use server::config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Begins to log as the configuration says; the variable WAXWING_LOG comes before its level.
pub fn begin(config: &Config) -> anyhow::Result<()> {
    let level = std::env::var("WAXWING_LOG").unwrap_or_else(|_| config.log_level.clone());
    let filter = EnvFilter::try_new(&level).with_context(|| format!("`{level}` is not a log level"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

//! What the server says of itself, line by line, on standard error.

use std::io::{IsTerminal, stderr};

use anyhow::Context;
use server::Config;
use server::config::LogFormat;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins to log as the configuration says; the variable WAXWING_LOG comes before its level.
pub fn begin(config: &Config) -> anyhow::Result<()> {
    let level = std::env::var("WAXWING_LOG").unwrap_or_else(|_| config.log_level.clone());
    let parts: Targets = level.parse().with_context(|| format!("`{level}` is not a log level"))?;
    let log = tracing_subscriber::registry().with(parts);
    match config.log_format {
        LogFormat::Text => log.with(layer().with_writer(stderr).with_ansi(stderr().is_terminal())).init(),
        LogFormat::Json => log.with(layer().with_writer(stderr).json().flatten_event(true)).init(),
    }
    Ok(())
}

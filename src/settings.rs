//! Reads the configuration file.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use server::Config;

/// The settings of a file; without one, the defaults.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = file else {
        return Ok(Config::default());
    };
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("{name} cannot be read; `waxwing config print-default > {name}` makes an example")
    })?;
    Config::parse(&text).map_err(|mistakes| {
        let lines: Vec<_> =
            mistakes.iter().map(|mistake| format!("{name}:{}: {}", mistake.line, mistake.text)).collect();
        anyhow!("the configuration has mistakes\n{}", lines.join("\n"))
    })
}

/// Says whether a file can be started with.
pub fn check(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = file else { bail!("which file? `waxwing config check FILE`") };
    let config = load(Some(path))?;
    // Certificates are part of it; one that the server would make itself needs no look.
    if !config.certificates.is_empty() {
        net::Tls::load(sources(&config))?;
    }
    writeln!(std::io::stdout(), "{} is fine: it serves {}", path.display(), config.domains.join(", "))?;
    Ok(())
}

/// Where the certificates of a configuration are.
pub fn sources(config: &Config) -> net::Sources {
    net::Sources {
        domains: config.domains.clone(),
        files: config.certificates.clone(),
        client_ca: config.client_ca.clone(),
    }
}

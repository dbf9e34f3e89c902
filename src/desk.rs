//! Carries out a command of the desk: by the running server if there is one, else on its store.

use std::io;
use std::sync::Arc;

use admin::{Arguments, Command, Lines, Stopped, commands, console, wire};
use server::Config;

use crate::start;

/// Carries it out and shows what came of it.
pub fn order(config: Config, command: &Command, arguments: &Arguments) -> anyhow::Result<()> {
    let lines = match wire::ask(&config.control_socket(), command.name, arguments)? {
        Some(lines) => lines,
        None => at_the_store(config, command, arguments)?,
    };
    console::show(command.layout, &lines, &mut io::stdout())?;
    Ok(())
}

fn at_the_store(config: Config, command: &Command, arguments: &Arguments) -> anyhow::Result<Lines> {
    start::make_data_dir(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = net::world();
        let store = start::open_store(&config).await?;
        let desk = Stopped { world, config: Arc::new(config), store };
        let lines = commands::run(&desk, command.name, arguments).await?;
        desk.store.close().await;
        Ok(lines)
    })
}

//! Runs the server.

use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::SystemTime;

use admin::{AdHoc, Running, wire};
use anyhow::{Context, anyhow};
use net::{Control, Doors, Entrance, Tls, notify};
use server::{Config, Node};
use store::{Store, StoreUrl};

use crate::log;
use crate::settings::sources;
use crate::stop::{self, Signals};

/// Runs the server until it is told to stop.
pub fn start(config: Config) -> anyhow::Result<()> {
    log::begin(&config)?;
    make_data_dir(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(run(Arc::new(config)));
    // What is still running holds nothing that is not committed.
    runtime.shutdown_background();
    done
}

async fn run(config: Arc<Config>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let store = open_store(&config).await?;
    let tls = Arc::new(Tls::load(certificates(&config)?)?);
    let doors = Doors::bind(&config)?;

    let world = net::world();
    // Accounts that do not exist look the same in every life of the server.
    let secret = store.secret(world.seed()).await?;
    let node = Node::start(world, store.clone(), config.clone(), secret, Arc::new(AdHoc));
    node.wake_all().await?;
    let control = open_desk(&config, Running(node.clone()))?;
    let addresses = doors.addresses();
    let open = doors.open(&node, &tls);
    banner(&config, &addresses)?;
    notify::tell(notify::READY);
    tracing::info!(domains = ?config.domains, "ready");

    signals.wait(&tls).await;
    notify::tell(notify::STOPPING);
    tracing::info!("stopping");
    drop((open, control));
    stop::farewell(&node).await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The directory of everything that is kept; only its owner may look into it.
pub fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let path = &config.data_dir;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        format!("the data directory {} cannot be made; see `data_dir` in the configuration", path.display())
    })
}

/// Opens the store and brings it up to date.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url: StoreUrl = config.store_url().parse().map_err(|error| anyhow!("`store.url`: {error}"))?;
    Store::open(&url).await.context("the store cannot be opened")
}

fn certificates(config: &Config) -> anyhow::Result<net::Sources> {
    let mut sources = sources(config);
    if sources.files.is_empty() {
        #[allow(clippy::disallowed_methods)] // before there is a World
        let now = SystemTime::now();
        let made = net::tls::self_signed(&config.data_dir, &config.domains, now)?;
        sources.files.push(made);
    }
    Ok(sources)
}

fn open_desk(config: &Config, desk: Running) -> anyhow::Result<Control> {
    let path = config.control_socket();
    let handler: net::control::Handler = Arc::new(move |line| {
        let desk = desk.clone();
        Box::pin(async move { wire::answer(&desk, &line).await })
    });
    Control::open(&path, handler)
        .with_context(|| format!("the control socket {} cannot be opened", path.display()))
}

/// Tells the operator where the server is to be found, and what to do next.
fn banner(config: &Config, addresses: &[(std::net::SocketAddr, Entrance)]) -> anyhow::Result<()> {
    let of = |wanted| {
        let list = addresses.iter().filter(|(_, entrance)| *entrance == wanted);
        list.map(|(address, _)| address.to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut clients = Vec::new();
    for (entrance, how) in [(Entrance::StartTls, "STARTTLS"), (Entrance::Direct, "TLS")] {
        let list = of(entrance);
        if !list.is_empty() {
            clients.push(format!("{list} ({how})"));
        }
    }
    let engine = if config.store_url().starts_with("sqlite:") { "SQLite" } else { "PostgreSQL" };
    let data = config.data_dir.display();
    let certificate = match config.certificates.first() {
        Some((certificate, _)) => format!("certificate {}", certificate.display()),
        None => format!("self-signed certificate {data}/certificate.pem"),
    };
    let first = config.domains.first().map_or("localhost", String::as_str);
    let mut out = io::stdout().lock();
    writeln!(out, "waxwing {} serves {}", env!("CARGO_PKG_VERSION"), config.domains.join(", "))?;
    writeln!(out, "  clients    {}", clients.join("\n             "))?;
    writeln!(out, "  data       {data} ({engine}; {certificate})")?;
    writeln!(out, "  add people waxwing user add alice@{first}")?;
    writeln!(out, "ready")?;
    out.flush()?;
    Ok(())
}

//! How the server ends, and what else signals ask of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use net::Tls;
use server::Node;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long clients may take to say goodbye; the whole end takes less than 10 seconds.
const FAREWELL: Duration = Duration::from_secs(7);
/// How often certificates are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The signals that the server listens to.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on signals no longer kill.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be heard");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits until the server is to stop. Meanwhile SIGHUP, and every change of the files, renews the certificates.
    pub async fn wait(&mut self, tls: &Tls) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload(tls),
                _ = look.tick() => if tls.has_changed() { reload(tls) },
            }
        }
    }
}

fn reload(tls: &Tls) {
    match tls.reload() {
        Ok(()) => tracing::info!("the certificates were read again"),
        Err(error) => tracing::error!(%error, "the certificates stay as they were"),
    }
}

/// Says goodbye to all clients and waits until they are gone, or time is up.
pub async fn farewell(node: &Arc<Node>) {
    node.shutdown();
    let gone = async {
        while node.connections() > 0 {
            #[allow(clippy::disallowed_methods)] // above the World
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(FAREWELL, gone).await.is_err() {
        tracing::info!(connections = node.connections(), "some clients did not say goodbye");
    }
}

//! The doors: sockets that clients knock at.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::{Config, Node};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::admission::{self, Admission};
use crate::allowance::Rate;
use crate::session::{self, Settings, Visit};
use crate::tls::{Entrance, Tls};

/// Connections that the system holds for us until we accept them.
const BACKLOG: i32 = 1024;
/// How often forgotten addresses are swept out.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// An address that nobody can listen on, and what to do about it.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, error) = (self.address, &self.error);
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                formatter,
                "cannot listen on {address}: another program does. Is waxwing running already? \
                 `ss -ltnp sport = {}` shows who it is; other addresses can be set in [listen]",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => write!(
                formatter,
                "cannot listen on {address}: ports below 1024 are for root. Give the right with \
                 `setcap cap_net_bind_service=+ep waxwing`, or choose a higher port in [listen]"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                formatter,
                "cannot listen on {address}: this machine does not have that address; see [listen]"
            ),
            _ => write!(formatter, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for BindError {}

/// Sockets that are bound, but nobody is let in yet.
pub struct Doors {
    listeners: Vec<(TcpListener, Entrance)>,
}

/// Doors that stand open; dropping it closes them, those inside stay.
pub struct Open {
    tasks: Vec<JoinHandle<()>>,
}

impl Doors {
    /// Binds all addresses of the configuration. A loopback address of a protocol that this machine does not have is
    /// left out, as long as there is another one.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(config: &Config) -> Result<Doors, BindError> {
        let wanted = config.c2s.iter().map(|address| (*address, Entrance::StartTls));
        let wanted = wanted.chain(config.c2s_tls.iter().map(|address| (*address, Entrance::Direct)));
        let mut listeners = Vec::new();
        let mut missing = None;
        for (address, entrance) in wanted {
            match bind(address) {
                Ok(listener) => listeners.push((listener, entrance)),
                Err(error) if address.ip().is_loopback() && is_unknown_family(&error) => {
                    tracing::debug!(%address, %error, "left out");
                    missing = Some(BindError { address, error });
                }
                Err(error) => return Err(BindError { address, error }),
            }
        }
        match missing {
            Some(missing) if listeners.is_empty() => Err(missing),
            _ => Ok(Doors { listeners }),
        }
    }

    /// The addresses in fact, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<(SocketAddr, Entrance)> {
        let address =
            |(listener, entrance): &(TcpListener, Entrance)| Some((listener.local_addr().ok()?, *entrance));
        self.listeners.iter().filter_map(address).collect()
    }

    /// Lets clients in.
    pub fn open(self, node: &Arc<Node>, tls: &Arc<Tls>) -> Open {
        let limits = &node.config.limits;
        let settings = Arc::new(Settings {
            tls: tls.clone(),
            bytes: Rate { per_second: limits.inbound_bytes_per_second, burst: limits.inbound_burst_bytes },
            stanzas: Rate {
                per_second: limits.inbound_stanzas_per_second,
                burst: limits.inbound_burst_stanzas,
            },
            outbound_bytes: limits.outbound_bytes,
            handshake: Duration::from_secs(limits.tls_seconds),
        });
        let admission = Admission::new(admission::Limits {
            per_address: limits.connections_per_address,
            per_second: limits.connections_per_second,
            burst: limits.connections_burst,
            half_open: limits.half_open_connections,
        });
        let mut tasks = vec![tokio::spawn(sweep(admission.clone()))];
        for (listener, entrance) in self.listeners {
            let (node, settings, admission) = (node.clone(), settings.clone(), admission.clone());
            tasks.push(tokio::spawn(accept(listener, entrance, node, settings, admission)));
        }
        Open { tasks }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn is_unknown_family(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // IPv4 has its own socket, so that both can be named in the configuration.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A peer that vanished without a word is noticed by the system after about four minutes.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(120))
        .with_interval(Duration::from_secs(30))
        .with_retries(4);
    socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

async fn sweep(admission: Arc<Admission>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        admission.sweep(Instant::now());
    }
}

async fn accept(
    listener: TcpListener,
    entrance: Entrance,
    node: Arc<Node>,
    settings: Arc<Settings>,
    admission: Arc<Admission>,
) {
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: better to wait than to spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        let coming_max = node.memory.coming_max();
        let Some((admitted, wait)) = admission.admit(peer, Instant::now(), coming_max) else {
            tracing::info!(%peer, memory_is_scarce = coming_max.is_some(), "too many connections");
            continue;
        };
        if let Err(error) = prepare(&socket) {
            tracing::debug!(%peer, %error, "a connection broke at once");
            continue;
        }
        let (node, settings) = (node.clone(), settings.clone());
        let (told, tell) = tokio::sync::oneshot::channel();
        let coming = async move {
            // Not before the admission knows the task.
            let admitted = tell.await.ok()?;
            if !wait.is_zero() {
                tracing::debug!(%peer, ?wait, "connects too fast and waits");
                tokio::time::sleep(wait).await;
            }
            match entrance {
                Entrance::StartTls => Some(session::start_tls(&node, settings, socket, peer, admitted)),
                Entrance::Direct => session::direct_tls(&node, settings, socket, peer, admitted).await,
            }
        };
        let task = tokio::spawn(Visit::Coming(Box::pin(coming)));
        admission::Admitted::carried_by(&admitted, task.abort_handle());
        // The task may have been ended by another's arrival.
        let _ = told.send(admitted);
    }
}

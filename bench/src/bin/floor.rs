//! The floor: a relay that moves what one session of a group says to the others, with TLS and without XML. What any
//! server on this machine costs at least.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // no part of a server

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bench::text::attribute;
use clap::Parser;
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of one read.
const READ: usize = 16 * 1024;
/// With what a stanza that is relayed ends.
const ENDS: [&[u8]; 2] = [b"</message>", b"</presence>"];

thread_local! {
    /// No connection has buffers of its own while it is idle.
    static CIPHER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
    static PLAIN: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

#[derive(Debug, Parser)]
#[command(name = "floor", about = "A relay with TLS and without XML")]
struct Order {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:5223")]
    listen: SocketAddr,
    /// Its certificate (PEM).
    #[arg(long)]
    certificate: PathBuf,
    /// The key of that (PEM).
    #[arg(long)]
    key: PathBuf,
}

struct Member {
    tls: Mutex<ServerConnection>,
    out: OwnedWriteHalf,
}

type Groups = Arc<Mutex<HashMap<u64, Vec<Arc<Member>>>>>;

#[tokio::main]
async fn main() -> Result<(), String> {
    let order = Order::parse();
    let config = Arc::new(tls(&order.certificate, &order.key)?);
    let listener = TcpListener::bind(order.listen).await.map_err(|error| error.to_string())?;
    let groups = Groups::default();
    println!("ready");
    loop {
        let (tcp, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let _ = tcp.set_nodelay(true);
        if let Ok(tls) = ServerConnection::new(config.clone()) {
            tokio::spawn(serve(tcp, tls, groups.clone()));
        }
    }
}

fn tls(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| error.to_string())?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| error.to_string())?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    Ok(config)
}

async fn serve(tcp: TcpStream, tls: ServerConnection, groups: Groups) {
    let (mut input, out) = tcp.into_split();
    let member = Arc::new(Member { tls: Mutex::new(tls), out });
    let mut group = None;
    while let Some(plain) = heard(&mut input, &member).await {
        write(&member).await;
        if plain.is_empty() {
            continue;
        }
        let Some(number) = group else {
            let number = attribute(&plain, "id").and_then(|id| id.parse::<u64>().ok()).unwrap_or_default();
            groups.lock().entry(number).or_default().push(member.clone());
            group = Some(number);
            let _ = member.tls.lock().writer().write_all(b"<in/>");
            write(&member).await;
            continue;
        };
        let others: Vec<Arc<Member>> = groups.lock().get(&number).cloned().unwrap_or_default();
        for other in others.iter().filter(|other| !Arc::ptr_eq(other, &member)) {
            let _ = other.tls.lock().writer().write_all(&plain);
            write(other).await;
        }
    }
    if let Some(members) = group.and_then(|number| groups.lock().remove(&number)) {
        let rest: Vec<_> = members.into_iter().filter(|other| !Arc::ptr_eq(other, &member)).collect();
        if let (Some(number), false) = (group, rest.is_empty()) {
            groups.lock().entry(number).or_default().extend(rest);
        }
    }
}

/// What has come, in whole stanzas once somebody is in a group; `None` at the end.
async fn heard(input: &mut OwnedReadHalf, member: &Member) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        poll_fn(|context| {
            CIPHER.with_borrow_mut(|cipher| {
                let mut read = ReadBuf::new(cipher);
                match Pin::new(&mut *input).poll_read(context, &mut read) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                        Poll::Ready(decrypt(read.filled(), member, &mut whole))
                    }
                    Poll::Ready(_) => Poll::Ready(None),
                }
            })
        })
        .await?;
        if whole.is_empty() || is_whole(&whole) {
            return Some(whole);
        }
    }
}

fn decrypt(mut cipher: &[u8], member: &Member, whole: &mut Vec<u8>) -> Option<()> {
    let mut tls = member.tls.lock();
    while !cipher.is_empty() {
        tls.read_tls(&mut cipher).ok()?;
        tls.process_new_packets().ok()?;
        PLAIN.with_borrow_mut(|plain| {
            while let Ok(count @ 1..) = tls.reader().read(plain) {
                whole.extend_from_slice(&plain[..count]);
            }
        });
    }
    Some(())
}

fn is_whole(plain: &[u8]) -> bool {
    plain.ends_with(b"/>") || ENDS.iter().any(|end| plain.ends_with(end))
}

/// Writes what is encrypted, and waits for a socket that is full.
async fn write(member: &Member) {
    loop {
        let full = {
            let mut tls = member.tls.lock();
            let mut out = Out(&member.out);
            let mut full = false;
            while tls.wants_write() && !full {
                match tls.write_tls(&mut out) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => full = true,
                    Err(_) => return,
                }
            }
            full
        };
        if !full || member.out.writable().await.is_err() {
            return;
        }
    }
}

struct Out<'a>(&'a OwnedWriteHalf);

impl std::io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

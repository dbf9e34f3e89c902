//! One connection: moves bytes between a socket and its session, and nothing else. It holds no buffer while it is idle.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use server::{Node, Session};
use stream::{TlsFacts, TransportFacts};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::admission::Admitted;
use crate::allowance::{Allowance, Rate};
use crate::tls::{Entrance, Tls};

/// Bytes read at once. One such buffer per thread serves all connections.
const READ_BYTES: usize = 16 * 1024;
/// Reads of one connection before others have their turn.
const READS_PER_TURN: usize = 8;
/// How long the last bytes of a closed stream may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a client that has closed its stream may take to end the connection before we do.
const CLIENTS_TURN: Duration = Duration::from_secs(2);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What is the same for all connections of a listener.
pub struct Settings {
    /// TLS, and how clients come to it.
    pub tls: Arc<Tls>,
    /// How fast one client is read.
    pub rate: Rate,
    /// Bytes that may wait for a client that does not read.
    pub outbound_bytes: usize,
    /// How long a handshake may take on a direct TLS port.
    pub handshake: Duration,
}

/// A client that begins in clear text.
pub fn start_tls(
    node: &Arc<Node>,
    settings: Arc<Settings>,
    socket: TcpStream,
    peer: IpAddr,
    admitted: Admitted,
) -> Connection {
    let facts = TransportFacts::Tcp { starttls: true };
    let session = Session::new(node, Instant::now(), facts, Some(peer));
    Connection::new(session, Io::Plain(socket), settings, admitted)
}

/// A client that begins with TLS, if the handshake leads to something.
pub async fn direct_tls(
    node: &Arc<Node>,
    settings: Arc<Settings>,
    socket: TcpStream,
    peer: IpAddr,
    admitted: Admitted,
) -> Option<Connection> {
    let handshake = settings.tls.clone().accept(socket, Entrance::Direct);
    let (stream, facts) = match tokio::time::timeout(settings.handshake, handshake).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "the TLS handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!(%peer, "the TLS handshake took too long");
            return None;
        }
    };
    let session = Session::new(node, Instant::now(), TransportFacts::DirectTls(facts), Some(peer));
    Some(Connection::new(session, Io::Tls(Box::new(stream)), settings, admitted))
}

/// A client from the moment at which it is let in until it is gone, as a task. Coming in needs much room, which is given
/// back before the connection rests; so this is not one `async` block, which would keep both.
pub enum Visit {
    /// It comes in; none: it has not.
    Coming(BoxFuture<'static, Option<Connection>>),
    /// It is there.
    Here(Connection),
}

impl Future for Visit {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Visit::Coming(coming) = &mut *self {
            match ready!(coming.as_mut().poll(cx)) {
                Some(connection) => *self = Visit::Here(connection),
                None => return Poll::Ready(()),
            }
        }
        match &mut *self {
            Visit::Here(connection) => Pin::new(connection).poll(cx),
            Visit::Coming(_) => Poll::Pending,
        }
    }
}

type Handshake = BoxFuture<'static, io::Result<(TlsStream<TcpStream>, TlsFacts)>>;

enum Io {
    Plain(TcpStream),
    Handshake(Handshake),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

impl Io {
    /// Reads what is there; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(buffer);
        let read = match self {
            Io::Plain(socket) => Pin::new(socket).poll_read(cx, &mut into),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut into),
            Io::Handshake(_) | Io::Gone => Poll::Pending,
        };
        read.map_ok(|()| into.filled().len())
    }
}

/// Whether anything was moved.
#[derive(PartialEq, Eq)]
enum Moved {
    Something,
    Nothing,
}

/// The end of a connection whose stream is closed.
#[derive(Clone, Copy)]
struct Farewell {
    /// When our side is closed, whatever the client does.
    ours: Instant,
    /// When the connection is dropped though bytes are left.
    until: Instant,
}

/// A connection, until it is over.
pub struct Connection {
    session: Session,
    span: tracing::Span,
    io: Io,
    settings: Arc<Settings>,
    admitted: Admitted,
    logged_in: bool,
    allowance: Allowance,
    /// What the session wanted written and the socket has not taken yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// TLS keeps records back until it is flushed.
    unflushed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Set when the stream is closed.
    farewell: Option<Farewell>,
    /// Our side of the socket is closed.
    shut: bool,
}

impl Connection {
    fn new(session: Session, io: Io, settings: Arc<Settings>, admitted: Admitted) -> Self {
        let allowance = Allowance::new(settings.rate, Instant::now());
        Connection {
            span: tracing::info_span!("session", id = session.id()),
            session,
            io,
            settings,
            admitted,
            logged_in: false,
            allowance,
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            timer: None,
            farewell: None,
            shut: false,
        }
    }

    /// Goes round until nothing can be moved any more; ready when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut reads = 0;
        loop {
            let now = Instant::now();
            if self.session.next_timeout().is_some_and(|due| due <= now) {
                self.session.timeout(now);
            }
            self.session.poll(now, cx);
            if self.write(cx).is_err() {
                return self.over();
            }
            if self.session.is_closed() {
                ready!(self.bid_farewell(now, cx));
                return Poll::Ready(());
            }
            self.note_login();
            if self.handshake(now, cx) == Moved::Something {
                continue;
            }
            if matches!(self.io, Io::Gone) {
                return self.over();
            }
            match self.read(now, cx) {
                Ok(Moved::Something) => reads += 1,
                Ok(Moved::Nothing) => return self.rest(cx),
                Err(error) => {
                    tracing::debug!(%error, "the connection broke");
                    return self.over();
                }
            }
            if reads >= READS_PER_TURN {
                cx.waker().wake_by_ref();
                return self.rest(cx);
            }
        }
    }

    /// The peer is gone; what could not be sent is lost to it, but not to the server.
    fn over(&mut self) -> Poll<()> {
        self.session.peer_closed(Instant::now());
        Poll::Ready(())
    }

    /// Once logged in, a connection is not among those that may be dropped for others.
    fn note_login(&mut self) {
        if !self.logged_in && self.session.is_logged_in() {
            self.logged_in = true;
            self.admitted.logged_in();
        }
    }

    /// Writes what the session has, all in one, as far as the socket takes it.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.sent == self.unsent.len() {
                self.sent = 0;
                self.unsent = self.session.take_output().unwrap_or_default();
            } else if let Some(more) = self.session.take_output() {
                self.unsent.extend_from_slice(&more);
            }
            let waiting = self.unsent.len() - self.sent;
            if waiting > self.settings.outbound_bytes && !self.session.is_closed() {
                tracing::info!(bytes = waiting, "the client does not read; its connection is closed");
                return Err(io::ErrorKind::TimedOut.into());
            }
            if waiting == 0 {
                self.unsent = Vec::new();
                self.flush(cx)?;
                self.session.written(0);
                return Ok(());
            }
            match self.poll_write(cx) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.session.written(self.unsent.len() - self.sent);
                    return Ok(());
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = &self.unsent[self.sent..];
        match &mut self.io {
            Io::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            // During a handshake nothing is written; afterwards it is.
            Io::Handshake(_) => Poll::Pending,
            Io::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Asks TLS to hand everything to the socket. What does not fit follows when the socket is writable.
    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.unflushed {
            return Ok(());
        }
        let flushed = match &mut self.io {
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        };
        match flushed {
            Poll::Ready(done) => {
                self.unflushed = false;
                done
            }
            Poll::Pending => Ok(()),
        }
    }

    /// Begins the handshake that was agreed upon, or goes on with it.
    fn handshake(&mut self, now: Instant, cx: &mut Context<'_>) -> Moved {
        if self.session.wants_tls()
            && self.unsent.is_empty()
            && matches!(self.io, Io::Plain(_))
            && let Io::Plain(socket) = std::mem::replace(&mut self.io, Io::Gone)
        {
            let tls = self.settings.tls.clone();
            self.io = Io::Handshake(Box::pin(tls.accept(socket, Entrance::StartTls)));
        }
        let Io::Handshake(handshake) = &mut self.io else {
            return Moved::Nothing;
        };
        match handshake.as_mut().poll(cx) {
            Poll::Pending => Moved::Nothing,
            Poll::Ready(Ok((stream, facts))) => {
                self.io = Io::Tls(Box::new(stream));
                self.session.tls_ready(now, facts);
                Moved::Something
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "the TLS handshake failed");
                self.io = Io::Gone;
                Moved::Nothing
            }
        }
    }

    /// Reads once, if the session wants to hear and the client is not too fast.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<Moved> {
        if !self.session.wants_input() || self.session.wants_tls() {
            return Ok(Moved::Nothing);
        }
        let Ok(allowed) = self.allowance.check(now) else {
            return Ok(Moved::Nothing);
        };
        BUFFER.with_borrow_mut(|buffer| {
            let room = allowed.min(READ_BYTES);
            match self.io.poll_read(cx, &mut buffer[..room]) {
                Poll::Pending => Ok(Moved::Nothing),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Ready(Ok(0)) => {
                    self.session.peer_closed(now);
                    Ok(Moved::Something)
                }
                Poll::Ready(Ok(count)) => {
                    self.allowance.spend(count, now);
                    self.session.receive(now, &buffer[..count]);
                    Ok(Moved::Something)
                }
            }
        })
    }

    /// Waits: sets the timer for whatever is due first.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let slow = match self.session.wants_input() {
            true => self.allowance.check(Instant::now()).err(),
            false => None,
        };
        let due = [self.session.next_timeout(), slow].into_iter().flatten().min();
        if let Some(due) = due {
            self.wake_at(due, cx);
        }
        Poll::Pending
    }

    /// A timer that rings too early is left alone: with every stanza the time of the next ping moves on.
    fn wake_at(&mut self, due: Instant, cx: &mut Context<'_>) {
        let due = tokio::time::Instant::from_std(due);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.is_elapsed() || timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                cx.waker().wake_by_ref();
                return;
            }
            timer.as_mut().reset(due);
        }
    }

    /// The stream is closed: writes what is left and ends TLS, for a while. What the client still sends is read and
    /// thrown away: a socket that is closed over unread bytes takes our last words with it.
    fn bid_farewell(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        // RFC 6120 §9.1.5: who closed the stream ends TLS. COMPAT: Smack 4.5.0-beta5 (modular connections) loses a
        // stream's last words when the end of TLS comes in one read with them.
        let patience = if self.session.is_closed_by_client() { CLIENTS_TURN } else { Duration::ZERO };
        let Farewell { ours, until } =
            *self.farewell.get_or_insert(Farewell { ours: now + patience, until: now + FAREWELL });
        if now >= until {
            return Poll::Ready(());
        }
        if !self.shut && now >= ours && self.sent == self.unsent.len() {
            let closed = match &mut self.io {
                Io::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
                Io::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
                Io::Handshake(_) | Io::Gone => return Poll::Ready(()),
            };
            match closed {
                Poll::Ready(Ok(())) => self.shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        for _ in 0..READS_PER_TURN {
            match BUFFER.with_borrow_mut(|buffer| self.io.poll_read(cx, buffer)) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) if self.shut => return Poll::Ready(()),
                Poll::Ready(_) if now < ours => {
                    // It has closed its side: no need to wait with ours.
                    self.farewell = Some(Farewell { ours: now, until });
                    break;
                }
                // It has closed its side; ours follows when the last bytes are written.
                Poll::Ready(_) | Poll::Pending => {
                    self.wake_at(if now < ours { ours } else { until }, cx);
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let span = this.span.clone();
        span.in_scope(|| this.turn(cx))
    }
}

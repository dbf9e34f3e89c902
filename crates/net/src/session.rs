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
use stream::TransportFacts;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::admission::Admitted;
use crate::allowance::{Allowance, Rate};
use crate::channel::{self, Channel, Read, Secure};
use crate::tls::{Entrance, Tls};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Reads of one connection before others have their turn.
const READS_PER_TURN: usize = 8;
/// How long the last bytes of a closed stream may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a client that has closed its stream may take to end the connection before we do.
const CLIENTS_TURN: Duration = Duration::from_secs(2);

thread_local! {
    /// One such buffer per thread serves all connections. Before what is read now stands the beginning of a record that
    /// was read earlier.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; channel::FRONT + READ_BYTES].into_boxed_slice());
}

/// What is the same for all connections of a listener.
pub struct Settings {
    /// TLS, and how clients come to it.
    pub tls: Arc<Tls>,
    /// How fast one client is read, in bytes.
    pub bytes: Rate,
    /// How fast one client is read, in stanzas.
    pub stanzas: Rate,
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
    Connection::new(session, Channel::Plain(socket), settings, admitted)
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
    let (socket, records, facts) = match tokio::time::timeout(settings.handshake, handshake).await {
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
    let channel = Channel::Tls(Box::new(Secure::new(socket, records)));
    Some(Connection::new(session, channel, settings, admitted))
}

/// A client from the moment at which it is let in until it is gone, as a task. Coming in needs much room, which is
/// given back before the connection rests; so this is not one `async` block, which would keep both.
#[expect(
    clippy::large_enum_variant,
    reason = "a connection is there for nearly all of its time, and a box would be one more"
)]
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
    channel: Channel,
    settings: Arc<Settings>,
    admitted: Admitted,
    logged_in: bool,
    bytes: Allowance,
    stanzas: Allowance,
    /// What is ready for the socket and has not been taken yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    timer: Option<Pin<Box<Sleep>>>,
    /// When it rings: nothing is due before.
    rings: Option<Instant>,
    /// Set when the stream is closed.
    farewell: Option<Farewell>,
    /// We have said that nothing follows.
    parted: bool,
    /// Our side of the socket is closed.
    shut: bool,
}

impl Connection {
    fn new(session: Session, channel: Channel, settings: Arc<Settings>, admitted: Admitted) -> Self {
        let now = Instant::now();
        let (bytes, stanzas) = (Allowance::new(settings.bytes, now), Allowance::new(settings.stanzas, now));
        Connection {
            span: tracing::info_span!("session", id = session.id()),
            session,
            channel,
            settings,
            admitted,
            logged_in: false,
            bytes,
            stanzas,
            unsent: Vec::new(),
            sent: 0,
            timer: None,
            rings: None,
            farewell: None,
            parted: false,
            shut: false,
        }
    }

    /// Goes round until nothing can be moved any more; ready when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let rings = self.rings.is_some_and(|rings| rings <= now);
        if rings && self.session.next_timeout().is_some_and(|due| due <= now) {
            self.session.timeout(now);
        }
        let mut reads = 0;
        loop {
            self.session.poll(now, cx);
            let Ok(written) = self.write(cx) else {
                return self.over();
            };
            if self.session.is_closed() {
                ready!(self.bid_farewell(now, cx));
                return Poll::Ready(());
            }
            if written == Moved::Something {
                // What was not taken from the session while this waited can go now, and nobody else says so.
                continue;
            }
            self.note_login();
            if self.handshake(now, cx) == Moved::Something {
                continue;
            }
            if matches!(self.channel, Channel::Gone) {
                return self.over();
            }
            match self.read(now, cx) {
                Ok(Moved::Something) => reads += 1,
                Ok(Moved::Nothing) => return self.rest(now, cx),
                Err(error) => {
                    tracing::debug!(%error, "the connection broke");
                    // It may have been told why.
                    let _ = self.channel.poll_write(cx, &self.unsent[self.sent..]);
                    return self.over();
                }
            }
            if reads >= READS_PER_TURN {
                cx.waker().wake_by_ref();
                return self.rest(now, cx);
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

    /// Writes what the session has, all in one, as far as the socket takes it. Something was moved when nothing is left
    /// of what the socket did not take before.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Moved> {
        let waited = self.sent < self.unsent.len();
        loop {
            if self.sent == self.unsent.len() {
                (self.unsent, self.sent) = (Vec::new(), 0);
            }
            if self.channel.is_open()
                && let Some(more) = self.session.take_output()
            {
                self.channel.seal(more, &mut self.unsent)?;
            }
            let waiting = self.unsent.len() - self.sent;
            if waiting > self.settings.outbound_bytes && !self.session.is_closed() {
                tracing::info!(bytes = waiting, "the client does not read; its connection is closed");
                return Err(io::ErrorKind::TimedOut.into());
            }
            if waiting == 0 {
                self.session.written(0);
                return Ok(if waited { Moved::Something } else { Moved::Nothing });
            }
            match self.channel.poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.session.written(self.unsent.len() - self.sent);
                    return Ok(Moved::Nothing);
                }
            }
        }
    }

    /// Begins the handshake that was agreed upon, or goes on with it.
    fn handshake(&mut self, now: Instant, cx: &mut Context<'_>) -> Moved {
        if self.session.wants_tls()
            && self.unsent.is_empty()
            && matches!(self.channel, Channel::Plain(_))
            && let Channel::Plain(socket) = std::mem::replace(&mut self.channel, Channel::Gone)
        {
            let tls = self.settings.tls.clone();
            self.channel = Channel::Handshake(Box::pin(tls.accept(socket, Entrance::StartTls)));
        }
        let Channel::Handshake(handshake) = &mut self.channel else {
            return Moved::Nothing;
        };
        match handshake.as_mut().poll(cx) {
            Poll::Pending => Moved::Nothing,
            Poll::Ready(Ok((socket, records, facts))) => {
                self.channel = Channel::Tls(Box::new(Secure::new(socket, records)));
                self.session.tls_ready(now, facts);
                Moved::Something
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "the TLS handshake failed");
                self.channel = Channel::Gone;
                Moved::Nothing
            }
        }
    }

    /// Reads once, if the session wants to hear and the client is not too fast.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<Moved> {
        if !self.session.wants_input() || self.session.wants_tls() {
            return Ok(Moved::Nothing);
        }
        let (Ok(allowed), Ok(_)) = (self.bytes.check(now), self.stanzas.check(now)) else {
            return Ok(Moved::Nothing);
        };
        BUFFER.with_borrow_mut(|buffer| {
            let room = allowed.min(READ_BYTES);
            match self.channel.poll_read(cx, buffer, room, &mut self.unsent) {
                Poll::Pending => Ok(Moved::Nothing),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Ready(Ok(Read::End)) => {
                    self.session.peer_closed(now);
                    Ok(Moved::Something)
                }
                Poll::Ready(Ok(Read::Some { carried, plain })) => {
                    self.bytes.spend(carried, now);
                    if plain > 0 {
                        let stanzas = self.session.receive(now, &buffer[..plain]);
                        self.stanzas.spend(stanzas, now);
                    }
                    Ok(Moved::Something)
                }
            }
        })
    }

    /// Waits: sets the timer for whatever is due first.
    fn rest(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let paces = [self.bytes.check(now).err(), self.stanzas.check(now).err()];
        let slow = paces.into_iter().flatten().max().filter(|_| self.session.wants_input());
        let due = self.session.next_timeout().into_iter().chain(slow).min();
        // A timer that rings too early is left alone: with every stanza the time of the next ping moves on.
        let rings_in_time = |due| self.rings.is_some_and(|rings| now < rings && rings <= due);
        if let Some(due) = due.filter(|due| !rings_in_time(*due)) {
            self.wake_at(due, cx);
        }
        Poll::Pending
    }

    /// Sets the timer. Only this task waits for it.
    fn wake_at(&mut self, due: Instant, cx: &mut Context<'_>) {
        self.rings = Some(due);
        let due = tokio::time::Instant::from_std(due);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
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
        if !self.parted && now >= ours && self.channel.is_open() {
            self.parted = true;
            self.channel.close(&mut self.unsent);
            if self.write(cx).is_err() {
                return Poll::Ready(());
            }
        }
        if !self.shut && now >= ours && self.sent == self.unsent.len() {
            match self.channel.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => self.shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        for _ in 0..READS_PER_TURN {
            let read =
                |buffer: &mut Box<[u8]>| self.channel.poll_read(cx, buffer, READ_BYTES, &mut self.unsent);
            match BUFFER.with_borrow_mut(read) {
                Poll::Ready(Ok(Read::Some { .. })) => {}
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

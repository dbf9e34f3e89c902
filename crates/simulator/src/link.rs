//! A connection between a client and the node: two directions of bytes that take their time, arrive in pieces, and can
//! be cut.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use stream::TlsFacts;

use crate::clockwork::Clockwork;

/// Bytes that one direction holds before its writer must wait, as a socket's buffers do.
const CAPACITY_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the node.
    Up,
    /// From the node to the client.
    Down,
}

/// What is carried.
#[derive(Debug)]
pub enum Carried {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A TLS handshake, as if it had been done: what the node learns of it.
    Handshake(Box<TlsFacts>),
    /// The writer has closed.
    End,
}

/// How a link behaves.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Bytes take up to this long.
    pub delay: Duration,
    /// Bytes are torn into up to so many pieces.
    pub pieces: usize,
}

/// A connection. Clones are the same one.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    clockwork: Clockwork,
    weather: Weather,
    ways: Mutex<[Direction; 2]>,
    /// All that the node has written to the client.
    written: Mutex<Vec<u8>>,
    /// Its stream can be resumed: what was written and did not arrive must come again.
    resumable: AtomicBool,
}

#[derive(Default)]
struct Direction {
    carried: VecDeque<(Duration, Carried)>,
    bytes: usize,
    /// When the last thing arrives; nothing overtakes it.
    last: Duration,
    closed: bool,
    /// The reader has stopped reading.
    stalled: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Link {
    /// A new connection.
    pub fn new(clockwork: &Clockwork, weather: Weather) -> Self {
        let clockwork = clockwork.clone();
        Link(Arc::new(Shared {
            clockwork,
            weather,
            ways: Mutex::default(),
            written: Mutex::default(),
            resumable: AtomicBool::default(),
        }))
    }

    /// Sends bytes, as many as there is room for; says how many. The context is woken when there is more room.
    pub fn write(&self, way: Way, bytes: &[u8], context: Option<&Context<'_>>) -> usize {
        let mut ways = self.0.ways.lock();
        let direction = &mut ways[way as usize];
        if direction.closed {
            return bytes.len();
        }
        let room = CAPACITY_BYTES.saturating_sub(direction.bytes).min(bytes.len());
        if room < bytes.len() {
            direction.writer = context.map(|context| context.waker().clone());
        }
        let mut rest = &bytes[..room];
        direction.bytes += room;
        let mut dues = Vec::new();
        while !rest.is_empty() {
            let piece = self.piece(rest.len());
            let (now, after) = rest.split_at(piece);
            dues.push(self.carry(direction, Carried::Bytes(now.to_vec())));
            rest = after;
        }
        drop(ways);
        self.ring(way, dues);
        room
    }

    /// The client has done its part of a TLS handshake.
    pub fn handshake(&self, facts: TlsFacts) {
        let mut ways = self.0.ways.lock();
        let due = self.carry(&mut ways[Way::Up as usize], Carried::Handshake(Box::new(facts)));
        drop(ways);
        self.ring(Way::Up, vec![due]);
    }

    /// Closes one direction behind all that was written.
    pub fn close(&self, way: Way) {
        let mut ways = self.0.ways.lock();
        let direction = &mut ways[way as usize];
        if direction.closed {
            return;
        }
        direction.closed = true;
        let due = self.carry(direction, Carried::End);
        drop(ways);
        self.ring(way, vec![due]);
    }

    /// Cuts the connection: what is on its way is lost, and both ends learn of it.
    pub fn cut(&self) {
        let mut ways = self.0.ways.lock();
        let mut wakers = Vec::new();
        for way in [Way::Up, Way::Down] {
            let direction = &mut ways[way as usize];
            direction.carried.clear();
            direction.closed = true;
            direction.stalled = false;
            direction.carried.push_back((Duration::ZERO, Carried::End));
            wakers.extend(direction.reader.take());
            wakers.extend(direction.writer.take());
        }
        drop(ways);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether the node's end has closed.
    pub fn has_ended(&self) -> bool {
        self.0.ways.lock()[Way::Down as usize].closed
    }

    /// The node has this for the client, though there may be no room for it yet.
    pub fn note_written(&self, bytes: &[u8]) {
        self.0.written.lock().extend_from_slice(bytes);
    }

    /// The client can go on with its stream over another connection.
    pub fn can_be_made_up_for(&self) {
        self.0.resumable.store(true, Ordering::Relaxed);
    }

    /// All that the node has written to the client, whether it has arrived or not, once the connection has ended.
    /// Nothing, if it must come again over another connection.
    pub fn written(&self) -> Option<Vec<u8>> {
        if self.0.resumable.load(Ordering::Relaxed) {
            return None;
        }
        let closed = self.0.ways.lock()[Way::Down as usize].closed;
        closed.then(|| self.0.written.lock().clone())
    }

    /// What arrives next, once it has arrived.
    pub fn poll_read(&self, way: Way, context: &Context<'_>) -> Poll<Carried> {
        let now = self.0.clockwork.elapsed();
        let mut ways = self.0.ways.lock();
        let direction = &mut ways[way as usize];
        direction.reader = Some(context.waker().clone());
        if direction.stalled {
            return Poll::Pending;
        }
        match direction.arrived(now) {
            Some(carried) => {
                let writer = direction.writer.take();
                drop(ways);
                writer.into_iter().for_each(Waker::wake);
                Poll::Ready(carried)
            }
            None => Poll::Pending,
        }
    }

    /// What has arrived, if anything.
    pub fn take(&self, way: Way) -> Option<Carried> {
        let now = self.0.clockwork.elapsed();
        let mut ways = self.0.ways.lock();
        let carried = ways[way as usize].arrived(now);
        let writer = ways[way as usize].writer.take_if(|_| carried.is_some());
        drop(ways);
        writer.into_iter().for_each(Waker::wake);
        carried
    }

    /// Whether something has arrived.
    pub fn has_arrived(&self, way: Way) -> bool {
        let now = self.0.clockwork.elapsed();
        self.0.ways.lock()[way as usize].carried.front().is_some_and(|(due, _)| *due <= now)
    }

    /// The reader of one direction reads nothing for a while, or goes on.
    pub fn stall(&self, way: Way, stalled: bool) {
        let mut ways = self.0.ways.lock();
        ways[way as usize].stalled = stalled;
        let reader = ways[way as usize].reader.take().filter(|_| !stalled);
        drop(ways);
        reader.into_iter().for_each(Waker::wake);
    }

    fn piece(&self, length: usize) -> usize {
        let pieces = self.0.weather.pieces.max(1);
        if pieces == 1 {
            return length;
        }
        self.0
            .clockwork
            .draw(|chance| if chance.below(pieces) == 0 { length } else { 1 + chance.below(length) })
    }

    fn carry(&self, direction: &mut Direction, carried: Carried) -> Duration {
        let delay_us = self.0.weather.delay.as_micros() as usize;
        let delay = Duration::from_micros(self.0.clockwork.draw(|chance| chance.below(delay_us + 1)) as u64);
        let due = (self.0.clockwork.elapsed() + delay).max(direction.last);
        direction.last = due;
        direction.carried.push_back((due, carried));
        due
    }

    /// The reader is woken when it arrives.
    fn ring(&self, way: Way, dues: Vec<Duration>) {
        for due in dues {
            let bell = Waker::from(Arc::new(Bell { link: Arc::downgrade(&self.0), way }));
            self.0.clockwork.wake_at(due, bell);
        }
    }
}

impl Direction {
    fn arrived(&mut self, now: Duration) -> Option<Carried> {
        let (_, carried) = self.carried.pop_front_if(|(due, _)| *due <= now)?;
        match &carried {
            Carried::Bytes(bytes) => self.bytes = self.bytes.saturating_sub(bytes.len()),
            // The end is read as often as one looks.
            Carried::End => self.carried.push_front((Duration::ZERO, Carried::End)),
            Carried::Handshake(_) => {}
        }
        Some(carried)
    }
}

/// Rings at the reader's when something arrives.
struct Bell {
    link: Weak<Shared>,
    way: Way,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let Some(link) = self.link.upgrade() else { return };
        let reader = link.ways.lock()[self.way as usize].reader.take();
        reader.into_iter().for_each(Waker::wake);
    }
}

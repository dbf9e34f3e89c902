//! The node's end of a connection in rehearsal: moves bytes between a link and its session, as `net/session.rs` does
//! between a socket and its session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use server::{Node, Session};
use stream::TransportFacts;

use crate::link::{Carried, Link, Way};

/// Reads of one connection before others have their turn.
const READS_PER_TURN: usize = 8;

/// A connection that is served until it is over.
pub struct Served {
    node: Arc<Node>,
    session: Session,
    link: Link,
    unsent: Vec<u8>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Served {
    /// A client has connected.
    pub fn new(node: &Arc<Node>, link: Link, transport: TransportFacts) -> Self {
        let session = Session::new(node, node.world.clock.now(), transport, None);
        Served { node: node.clone(), session, link, unsent: Vec::new(), timer: None }
    }

    fn write(&mut self, context: &Context<'_>) {
        if let Some(more) = self.session.take_output() {
            self.link.note_written(&more);
            self.unsent.extend_from_slice(&more);
        }
        let written = self.link.write(Way::Down, &self.unsent, Some(context));
        self.unsent.drain(..written);
        self.session.written(self.unsent.len());
    }

    fn read(&mut self, now: Instant, context: &Context<'_>) -> Poll<()> {
        let wanted = self.session.wants_input() || (self.session.wants_tls() && self.unsent.is_empty());
        if !wanted {
            return Poll::Pending;
        }
        match self.link.poll_read(Way::Up, context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Carried::Bytes(bytes)) => drop(self.session.receive(now, &bytes)),
            Poll::Ready(Carried::Handshake(facts)) => self.session.tls_ready(now, *facts),
            Poll::Ready(Carried::End) => self.session.peer_closed(now),
        }
        Poll::Ready(())
    }

    /// Sets the timer for whatever is due next.
    fn rest(&mut self, now: Instant, context: &mut Context<'_>) {
        let Some(due) = self.session.next_timeout() else { return };
        if self.timer.as_ref().is_none_or(|(set, _)| *set != due) {
            let sleep = self.node.world.clock.sleep(due.saturating_duration_since(now));
            self.timer = Some((due, sleep));
        }
        if let Some((_, sleep)) = &mut self.timer
            && sleep.as_mut().poll(context).is_ready()
        {
            self.timer = None;
            context.waker().wake_by_ref();
        }
    }
}

impl Future for Served {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..READS_PER_TURN {
            let now = this.node.world.clock.now();
            if this.session.next_timeout().is_some_and(|due| due <= now) {
                this.session.timeout(now);
            }
            this.session.poll(now, context);
            this.write(context);
            if this.session.is_closed() {
                this.link.close(Way::Down);
                return Poll::Ready(());
            }
            if this.read(now, context).is_pending() {
                this.rest(now, context);
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

//! One connection: joins its stream machine to the entities. No sockets here; `net` and the simulator move the bytes.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use step::{Return, Returned};
use store::Lsn;
use stream::{Answer, C2s, CloseReason, Entry, Event, SaslCondition, TlsFacts, TransportFacts};
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::BareJid;

use crate::entering::NotEntered;
use crate::failed_logins::Try;
use crate::letter::{Envelope, Letter, Resuming};
use crate::login;
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::seat::{Duties, Load, Seat};
use crate::sent::TooMany;
use crate::ticket::Ticket;

/// Stanzas of a client that may be under way at once; beyond that its socket is not read.
pub const CREDIT_STANZAS: usize = 256;
/// Bytes of a client's stanzas that may be under way at once.
pub const CREDIT_BYTES: usize = 512 * 1024;

/// A client for which a quarter of what may wait does wait has its socket not read: it reads its answers first.
const ANSWERS_SHARE: usize = 4;

/// How long a client waits at most to hear how many of its stanzas have been handled (XEP-0198 §4).
const ACK_PATIENCE: Duration = Duration::from_secs(2);

/// When the store hears of what a client has acknowledged, if nothing comes for it earlier that is stored anyway.
const ACKED_AFTER: Duration = Duration::from_secs(1);

/// While more than this waits to be written, nothing more is taken from the door.
const UNSENT_BYTES: usize = 64 * 1024;

/// One connection.
pub struct Session {
    node: Arc<Node>,
    machine: C2s,
    /// The connection's number.
    number: u64,
    /// Where it sits: at the door of its session, once it is that of a former stream.
    seat: Seat,
    peer: Option<IpAddr>,
    /// The account that it tries to log in to.
    tries: Option<BareJid>,
    /// The account it has authenticated as, once it has asked for a resource.
    account: Option<BareJid>,
    /// The id of its client's user agent, if it has told one.
    client: Option<Arc<str>>,
    /// A question that the machine waits for.
    asking: Option<BoxFuture<'static, Answer>>,
    /// A former stream that the machine waits for.
    resuming: Option<BoxFuture<'static, Resuming>>,
    /// When the store is to hear of what the client has acknowledged.
    acked_due: Option<Instant>,
    /// Whether the client may wait for an acknowledgement: not before it has asked for one.
    may_wait_for_ack: bool,
    wants_tls: bool,
    /// Who is to be told when everything before has been written.
    leaving: Vec<Return>,
    /// The client has closed its half; ours follows once its last stanzas are done with.
    ending: bool,
    /// Bytes that were taken and have not been written yet.
    unsent: usize,
    closed: bool,
    closed_by_client: bool,
}

impl Session {
    /// A connection that has just been accepted.
    pub fn new(node: &Arc<Node>, now: Instant, transport: TransportFacts, peer: Option<IpAddr>) -> Self {
        let seat = node.new_seat();
        node.connected(seat.id().0, seat.door());
        Session {
            machine: C2s::new(now, node.streams.clone(), node.world.seed(), transport),
            number: seat.id().0,
            seat,
            node: node.clone(),
            peer,
            tries: None,
            account: None,
            client: None,
            asking: None,
            resuming: None,
            acked_due: None,
            may_wait_for_ack: false,
            wants_tls: false,
            leaving: Vec::new(),
            ending: false,
            unsent: 0,
            closed: false,
            closed_by_client: false,
        }
    }

    /// The connection's number in the log of events.
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Whether the client has logged in.
    pub fn is_logged_in(&self) -> bool {
        self.account.is_some()
    }

    /// Takes what may leave and what was asked for; the context is woken when there is more.
    pub fn poll(&mut self, now: Instant, context: &mut Context<'_>) {
        if self.node.commits.log().is_behind() {
            // Nobody's socket is read until the store has caught up: this is when to look again.
            self.node.commits.wait(self.node.commits.log().last(), context.waker());
        }
        while !self.closed {
            let answered = self.poll_question(now, context) || self.poll_resuming(now, context);
            let leaving = if self.unsent > UNSENT_BYTES || !self.machine.takes_output() {
                // What a client does not read, or will not hear any more, stays here and can go elsewhere.
                self.seat.rearm(context.waker());
                Vec::new()
            } else {
                self.seat.take(context.waker())
            };
            if !answered && leaving.is_empty() {
                break;
            }
            for outgoing in leaving {
                self.leave(now, outgoing);
            }
            self.hear(now);
            if !answered && self.asking.is_none() && self.resuming.is_none() {
                // All has left that could; whatever comes of that wakes the task.
                break;
            }
        }
        self.attend(now);
    }

    /// Does what is to be done beside moving stanzas.
    fn attend(&mut self, now: Instant) {
        let Duties { refusal, recount, ack, overflow } = self.seat.duties(self.node.config.outbound_bytes());
        if refusal {
            self.post(Letter::Lost(self.seat.id()), None);
        }
        if recount {
            self.post(Letter::Superseded(self.seat.id()), None);
        }
        if ack {
            self.machine.ask_ack();
        }
        if !self.closed && self.ending && self.seat.load().unhandled == 0 {
            self.machine.answer(now, Answer::End);
            self.hear(now);
        }
        if !self.closed && overflow {
            // Guarantees G9: a reader that stops costs at most this; what it did not take goes elsewhere.
            let error = StreamError::new(StreamCondition::ResourceConstraint);
            self.machine.answer(now, Answer::Close(error));
            self.hear(now);
        }
    }

    /// Whether a question that the machine waited for has been answered.
    fn poll_question(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let Some(asking) = &mut self.asking else { return false };
        let Poll::Ready(answer) = asking.as_mut().poll(context) else { return false };
        self.asking = None;
        self.machine.answer(now, answer);
        true
    }

    /// Whether it is known what becomes of a former stream that the machine waited for.
    fn poll_resuming(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let Some(resuming) = &mut self.resuming else { return false };
        let Poll::Ready(known) = resuming.as_mut().poll(context) else { return false };
        self.resuming = None;
        match known {
            Resuming::Seat(seat) => {
                seat.sit();
                self.may_wait_for_ack = true;
                self.node.connected(self.number, seat.door());
                let before = std::mem::replace(&mut self.seat, seat);
                // The account knows the connection of a client that has said who it is by the door that it came with.
                let known = self.account.as_ref().filter(|_| self.client.is_some());
                if let (Some(turn), Some(account)) = (before.leave(), known) {
                    self.node.post(account, Envelope::new(Letter::Closed(before.id(), turn)));
                }
            }
            Resuming::NotFound(handled) => self.machine.answer(now, Answer::ResumeRefused { handled }),
            Resuming::TooMany(TooMany { handled, sent }) => self.machine.acked_too_many(now, handled, sent),
        }
        true
    }

    fn leave(&mut self, now: Instant, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Stanza(stanza) | Outgoing::Shared(stanza, _) | Outgoing::Held(stanza) => {
                self.machine.deliver(&stanza);
            }
            Outgoing::Managed(enabled) => self.machine.manage(&enabled),
            Outgoing::Resumed(jid, handled) => {
                self.machine.answer(now, Answer::Resumed { jid, handled });
            }
            Outgoing::Flush => {}
            Outgoing::Ack(handled) => self.machine.acknowledge(handled),
            Outgoing::Left(back) => self.leaving.push(back),
            Outgoing::Bound(jid) => self.machine.answer(now, Answer::Bound(jid)),
            Outgoing::BindRefused(error) => self.machine.answer(now, Answer::BindRefused(error)),
            Outgoing::Entered(entered) => self.machine.answer(now, Answer::Entered(entered)),
            Outgoing::NotEntered(refusal) => self.not_entered(now, refusal),
            Outgoing::Close(error) => self.machine.answer(now, Answer::Close(error)),
        }
    }

    /// Bytes have come. Returns how many stanzas were whole with them.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        // This task is awake; it need not be woken for what its own stanzas cause.
        self.seat.disarm();
        self.machine.receive(now, bytes);
        self.hear(now)
    }

    /// Whether the socket is to be read.
    pub fn wants_input(&self) -> bool {
        let Load { unhandled, unhandled_bytes, queued_bytes } = self.seat.load();
        self.machine.wants_input()
            && unhandled < CREDIT_STANZAS
            && unhandled_bytes < CREDIT_BYTES
            && queued_bytes < self.node.config.outbound_bytes() / ANSWERS_SHARE
            && !self.node.commits.log().is_behind()
    }

    /// Everything that is to be written now, as one buffer.
    pub fn take_output(&mut self) -> Option<Vec<u8>> {
        self.machine.poll_send()
    }

    /// How many bytes have been taken but are not with the operating system yet.
    pub fn written(&mut self, unsent: usize) {
        self.unsent = unsent;
        if unsent > 0 || self.leaving.is_empty() {
            return;
        }
        let Some(account) = &self.account else { return };
        for back in std::mem::take(&mut self.leaving) {
            self.node.come_back(account, back, Returned::Left);
        }
    }

    /// Whether STARTTLS has been agreed upon: once the output is written, the handshake begins.
    pub fn wants_tls(&self) -> bool {
        self.wants_tls
    }

    /// The handshake is done.
    pub fn tls_ready(&mut self, now: Instant, facts: TlsFacts) {
        self.wants_tls = false;
        self.machine.answer(now, Answer::TlsReady(facts));
        self.hear(now);
    }

    /// A time that [`Session::next_timeout`] named has come.
    pub fn timeout(&mut self, now: Instant) {
        if let Some(outgoing) = self.seat.overdue_ack(now) {
            self.leave(now, outgoing);
        }
        if let Some(account) = self.account.as_ref().filter(|_| self.acked_due.is_some_and(|due| due <= now))
        {
            self.acked_due = None;
            self.node.post(account, Envelope::new(Letter::Acked(self.seat.id())));
        }
        self.machine.timeout(now);
        self.hear(now);
    }

    /// When it next needs to be told the time.
    pub fn next_timeout(&self) -> Option<Instant> {
        let ack_due = if self.may_wait_for_ack { self.seat.ack_due() } else { None };
        [self.machine.poll_timeout(), ack_due, self.acked_due].into_iter().flatten().min()
    }

    /// The other side has closed the connection, or it broke.
    pub fn peer_closed(&mut self, now: Instant) {
        self.machine.transport_closed(now);
        self.hear(now);
        self.close();
    }

    /// Whether it is over: what is left is written, then the socket is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the client closed its stream first; then it is the one to end the connection, too (RFC 6120 §9.1.5).
    pub fn is_closed_by_client(&self) -> bool {
        self.closed_by_client
    }

    /// Hears what the machine has to say. Returns how many stanzas were among it.
    fn hear(&mut self, now: Instant) -> usize {
        let mut stanzas = 0;
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::StartTls => self.wants_tls = true,
                Event::Credentials { account } => {
                    let asking = login::credentials(&self.node, account.clone());
                    self.try_login(now, account, asking);
                }
                Event::CheckPassword { account, password } => {
                    let asking = login::check_password(&self.node, account.clone(), password);
                    self.try_login(now, account, asking);
                }
                Event::Tokens { account, client } => {
                    let asking = login::tokens(&self.node, account.clone(), client);
                    self.try_login(now, account, asking);
                }
                Event::LoginFailed => {
                    if let Some(account) = self.tries.take() {
                        self.node.failed_logins.failed(self.peer, &account, now);
                    }
                }
                Event::Upgrade { account, keys, proven } => {
                    self.asking = Some(login::upgrade(&self.node, account, *keys, *proven));
                }
                Event::Enter(entry) => self.enter(entry),
                Event::Register { stanza } => {
                    let domain = self.machine.host().unwrap_or_default().to_owned();
                    self.asking = Some(login::register(&self.node, domain, stanza));
                }
                Event::Bind { account, resource } => self.bind(account, resource),
                Event::Resume { account, previd, handled } => {
                    self.account = Some(account.clone());
                    self.resuming = Some(login::resume(&self.node, account, previd, handled));
                }
                Event::Stanza(stanza) => {
                    stanzas += 1;
                    if let Some(ticket) = self.seat.ticket(Some(&stanza)) {
                        self.post(Letter::Leaving(self.seat.id(), stanza), Some(ticket));
                    }
                }
                Event::Settled { answer } => {
                    stanzas += 1;
                    if let Some(ticket) = self.seat.ticket(None) {
                        self.post(Letter::Settled(self.seat.id(), answer), Some(ticket));
                    }
                }
                Event::Say(stanza) => self.post(Letter::Say(self.seat.id(), stanza), None),
                Event::Manage(enable) => {
                    self.seat.manage();
                    self.post(Letter::Manage(self.seat.id(), enable), None);
                }
                Event::AckAsked => {
                    self.may_wait_for_ack = true;
                    self.seat.ask_ack(now + ACK_PATIENCE);
                }
                Event::Acked { handled } => self.acked(now, handled),
                Event::Inactive => self.seat.inactive(self.node.config.held_back_stanzas()),
                Event::Active => self.seat.active(),
                Event::PeerEnded => self.ending = true,
                Event::Closed(reason) => {
                    tracing::debug!(session = self.id(), peer = ?self.peer, ?reason, "stream closed");
                    self.closed_by_client = matches!(reason, CloseReason::PeerClosed);
                    if !may_come_back(&reason) {
                        self.seat.never_back();
                    }
                    self.close();
                }
            }
        }
        stanzas
    }

    /// The client wants to log in: whether it may try, and after which time, depends on what has failed before.
    fn try_login(&mut self, now: Instant, account: BareJid, asking: BoxFuture<'static, Answer>) {
        let judged = self.node.failed_logins.judge(self.peer, &account, now);
        if judged == Try::Refused {
            tracing::info!(peer = ?self.peer, %account, "too many logins have failed from this address");
        }
        self.tries = Some(account);
        self.asking = Some(match judged {
            Try::After(delay) if delay.is_zero() => asking,
            Try::After(delay) => {
                let delay = self.node.world.clock.sleep(delay);
                Box::pin(delay.then(|()| asking))
            }
            Try::Refused => Box::pin(ready(Answer::Refused(SaslCondition::TemporaryAuthFailure))),
        });
    }

    /// The client has handled so many stanzas.
    fn acked(&mut self, now: Instant, handled: u32) {
        let Some(account) = &self.account else { return };
        match self.seat.acked(handled) {
            Ok(told) => {
                self.acked_due.get_or_insert(now + ACKED_AFTER);
                for back in told {
                    self.node.come_back(account, back, Returned::Left);
                }
            }
            Err(TooMany { sent, .. }) => self.machine.acked_too_many(now, handled, sent),
        }
    }

    fn enter(&mut self, entry: Box<Entry>) {
        tracing::debug!(session = self.id(), peer = ?self.peer, account = %entry.account, "logs in");
        let account = entry.account.clone();
        self.account = Some(account.clone());
        self.client = entry.client.as_deref().map(Arc::from);
        if entry.bind.as_ref().is_some_and(|bind| bind.enable.is_some()) {
            self.seat.manage();
        }
        let room = self.node.memory.room();
        let letter = Letter::Enter { door: self.seat.door().clone(), entry, room };
        self.node.post(&account, Envelope::new(letter));
    }

    /// The client may try again, as somebody else, too; if there is memory for it.
    fn not_entered(&mut self, now: Instant, refusal: NotEntered) {
        (self.account, self.client) = (None, None);
        match refusal {
            NotEntered::Login(condition) => self.machine.answer(now, Answer::Refused(condition)),
            NotEntered::Session(error) => self.machine.answer(now, Answer::BindRefused(error)),
            NotEntered::NoRoom => {
                self.node.memory.refused();
                // It hears so in answer to what it asked for, and then that it had better come again later (RFC 6120
                // §4.9.3.17): the connection alone takes memory.
                let refused = StanzaError::new(Condition::ResourceConstraint);
                self.machine.answer(now, Answer::BindRefused(refused));
                let error = StreamError::new(StreamCondition::ResourceConstraint);
                let text = "The server has no memory for one more session now.".to_owned();
                self.machine.answer(now, Answer::Close(StreamError { text: Some(text), ..error }));
            }
        }
    }

    fn bind(&mut self, account: BareJid, resource: Option<String>) {
        let anonymous = self.machine.identity().is_some_and(|identity| identity.is_anonymous());
        tracing::debug!(session = self.id(), peer = ?self.peer, %account, "logged in");
        self.account = Some(account.clone());
        let (door, client, room) = (self.seat.door().clone(), self.client.clone(), self.node.memory.room());
        let letter = Letter::Bind { door, resource, client, anonymous, room };
        self.node.post(&account, Envelope::new(letter));
    }

    /// Something goes to the account; if it is a stanza of the client's, with a ticket for its whole consequence.
    fn post(&mut self, letter: Letter, ticket: Option<Ticket>) {
        if let Some(account) = &self.account {
            self.node.post(account, Envelope { letter, lsn: Lsn::default(), ticket, kept: None });
        }
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        (self.asking, self.resuming) = (None, None);
        if self.ending {
            self.seat.parted();
        }
        self.node.disconnected(self.number);
        let Some(turn) = self.seat.leave() else { return };
        if let Some(account) = &self.account {
            self.node.post(account, Envelope::new(Letter::Closed(self.seat.id(), turn)));
        }
    }
}

/// Whether the client of a stream that is over may go on with it (XEP-0198 §7): its connection was lost, or the server
/// had to close it.
fn may_come_back(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::TransportClosed | CloseReason::PeerError(_) | CloseReason::HandshakeTimeout => true,
        CloseReason::Failed(error) => matches!(
            error.condition,
            StreamCondition::ConnectionTimeout
                | StreamCondition::InternalServerError
                | StreamCondition::Reset
                | StreamCondition::ResourceConstraint
                | StreamCondition::SystemShutdown
        ),
        CloseReason::PeerClosed | CloseReason::Ended => false,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

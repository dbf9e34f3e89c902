//! One connection of a device in rehearsal: what it says and hears on it, told to the checkers.

use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use stream::TlsFacts;
use stream::client::{Client, ClientAnswer, ClientEvent};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::deeds::{Deed, Question};
use crate::device::Device;
use crate::event::{Event, How, Outcome, StreamNo, Wish, message_number};
use crate::link::{Carried, Link, Way};
use crate::managed::Managed;
use crate::publishing;

/// The namespace of what a device keeps with the server.
const KEPT: &str = "urn:waxwing:rehearsal";
/// How long a device reads nothing when it stalls.
const STALL: Duration = Duration::from_secs(4);
/// Nobody waits longer than this to be let in.
const LOGIN: Duration = Duration::from_secs(60);

/// A connection.
pub struct Line<'a> {
    device: &'a mut Device,
    client: Client,
    link: Link,
    facts: TlsFacts,
    /// Once it is bound, or goes on.
    number: Option<StreamNo>,
    stream: Stream,
    rest: BoxFuture<'static, ()>,
    stalled: bool,
    over: bool,
}

/// What of a stream outlives its connection.
#[derive(Default)]
pub struct Stream {
    number: StreamNo,
    /// Requests to the server that wait for their answer.
    asked: BTreeMap<String, Asked>,
    next_id: u32,
    available: bool,
    /// It has done what everybody does when nothing more is drawn.
    settled: bool,
    /// The counts, once it has asked for the stream to be managed.
    pub managed: Option<Managed>,
    /// It has said goodbye.
    left: bool,
    /// When it came to its connection, memory had been short so often. When it has lost it, the device may not see at
    /// once.
    shortages: u64,
}

/// What was asked, as far as its answer is looked at.
enum Asked {
    Roster,
    Recall,
    Published,
    Other,
}

impl<'a> Line<'a> {
    /// A connection on which the client has not been let in yet.
    pub fn new(device: &'a mut Device, client: Client, link: Link, facts: TlsFacts) -> Self {
        let rest = Box::pin(device.play.clockwork().sleep(LOGIN));
        Line {
            device,
            client,
            link,
            facts,
            number: None,
            stream: Stream::default(),
            rest,
            stalled: false,
            over: false,
        }
    }

    /// Goes round until there is nothing to do; ready when the connection is over.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.hear();
            self.flush();
            if self.over {
                self.link.close(Way::Up);
                self.end();
                return Poll::Ready(());
            }
            if self.rest.as_mut().poll(context).is_ready() {
                self.act();
                continue;
            }
            let now = self.device.play.clockwork().now();
            match self.link.poll_read(Way::Down, context) {
                Poll::Ready(Carried::Bytes(bytes)) => {
                    self.device.play.clockwork().note(&bytes);
                    self.client.receive(now, &bytes);
                }
                Poll::Ready(_) => self.client.transport_closed(now),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The connection is over, and the stream too, if it cannot go on over another one.
    fn end(&mut self) {
        let Some(stream) = self.number else { return };
        let resumable =
            self.stream.managed.as_ref().is_some_and(|managed| managed.former(&self.device.jid).is_some());
        match resumable && !self.stream.left {
            true => self.device.former = Some(std::mem::take(&mut self.stream)),
            false => self.device.play.see(&Event::Ended { stream }),
        }
    }

    fn flush(&mut self) {
        let Some(out) = self.client.poll_send() else { return };
        if self.link.write(Way::Up, &out, None) < out.len() {
            // The node does not read: this device gives up and comes back.
            self.link.cut();
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::StartTls => {
                    self.flush();
                    self.link.handshake(self.facts.clone());
                    let now = self.device.play.clockwork().now();
                    self.client.answer(now, ClientAnswer::TlsReady(self.facts.clone()));
                }
                ClientEvent::Features(_) => {}
                ClientEvent::Bound(jid) => {
                    self.stream.number = self.device.play.bound(&jid);
                    self.number = Some(self.stream.number);
                    self.stream.shortages = self.device.play.shortages();
                    self.rest(10);
                }
                ClientEvent::Resumed { handled } => self.resumed(handled),
                ClientEvent::NotResumed => {
                    if let Some(former) = self.device.former.take() {
                        let stream = former.number;
                        let shortages = self.device.play.shortages();
                        if former.shortages == shortages && shortages.is_multiple_of(2) {
                            let what = format!("resumption: stream {stream} was not resumed");
                            self.device.play.complain(what);
                        }
                        self.device.play.count("streams waited for no longer");
                        self.device.play.see(&Event::Ended { stream });
                    }
                }
                ClientEvent::Element(element) => {
                    self.count(&element);
                    self.element(&element);
                }
                ClientEvent::LoginFailed(_) | ClientEvent::BindFailed(_) | ClientEvent::Closed(_) => {
                    self.over = true;
                }
            }
        }
    }

    /// The former stream goes on; what the server has not handled is said again.
    fn resumed(&mut self, handled: u32) {
        let Some(former) = self.device.former.take() else { return };
        self.device.play.count("streams resumed");
        self.link.can_be_made_up_for();
        let stream = former.number;
        let shortages = self.device.play.shortages();
        (self.stream, self.number) = (Stream { shortages, ..former }, Some(stream));
        self.rest(10);
        match self.stream.managed.as_mut().map(|managed| managed.resumed(handled)) {
            Some(Ok((again, numbers))) => {
                again.iter().for_each(|stanza| self.client.send_stanza(stanza));
                self.device.play.see(&Event::Acked { stream, numbers: &numbers });
            }
            Some(Err(why)) => self.device.play.complain(format!("resumption: {why}")),
            None => {}
        }
    }

    /// Counts what was heard on a managed stream.
    fn count(&mut self, element: &Element) {
        let (Some(stream), Some(managed)) = (self.number, &mut self.stream.managed) else { return };
        match managed.hear(element) {
            Ok((answer, numbers)) => {
                if managed.former(&self.device.jid).is_some() {
                    self.link.can_be_made_up_for();
                }
                answer.iter().for_each(|answer| self.client.send(answer));
                if !numbers.is_empty() {
                    self.device.play.see(&Event::Acked { stream, numbers: &numbers });
                }
            }
            Err(why) => self.device.play.complain(format!("acks: {why}")),
        }
    }

    /// Sends a stanza.
    fn say(&mut self, stanza: &Stanza) {
        self.client.send_stanza(stanza);
        if let Some(managed) = &mut self.stream.managed {
            managed.sent(stanza);
        }
    }

    fn element(&mut self, element: &Element) {
        let Some(stream) = self.number else { return };
        let id = element.attr("id").unwrap_or_default();
        let condition = condition(element);
        match (element.name(), element.attr("type")) {
            ("message", _) if element.children().any(|child| child.ns() == ns::CARBONS) => {
                self.copy(stream, element);
            }
            ("message", Some("error")) => {
                if let Some(number) = message_number(id) {
                    self.device.play.see(&Event::Bounced { stream, number, condition });
                }
            }
            ("message", Some("headline")) => {
                let from = element.attr("from").and_then(|from| Jid::new(from).ok());
                if let (Some(from), Some((id, number))) = (from, publishing::news(element)) {
                    self.device.play.see(&Event::News { stream, from: &from, id, number });
                }
            }
            ("message", _) => {
                if let Some(number) = message_number(id) {
                    let how = late(element).unwrap_or(How::Direct);
                    self.device.play.see(&Event::Received { stream, number, how });
                }
            }
            ("presence", None | Some("unavailable")) => {
                let Some(from) = element.attr("from").and_then(|from| Jid::new(from).ok()) else { return };
                let status = element.child(ns::CLIENT, "status").map(Element::text);
                let status = status.as_deref().filter(|_| element.attr("type").is_none());
                if self.stream.available || status.is_none() {
                    self.device.play.see(&Event::Heard { stream, from: &from, status });
                }
            }
            ("iq", Some("get" | "set")) => self.answer(element),
            ("iq", Some("result" | "error")) => self.answered(stream, id, element),
            _ => {}
        }
    }

    /// A copy of what another device has received or sent; copies of errors are not what is checked here.
    fn copy(&mut self, stream: StreamNo, copy: &Element) {
        let Some(direction) = copy.children().find(|child| child.ns() == ns::CARBONS) else { return };
        let forwarded = direction.child(ns::FORWARD, "forwarded");
        let Some(message) = forwarded.and_then(|forwarded| forwarded.child(ns::CLIENT, "message")) else {
            return self.device.play.complain("a copy of nothing".to_owned());
        };
        let number = message.attr("id").and_then(message_number);
        let Some(number) = number.filter(|_| message.attr("type") != Some("error")) else { return };
        let event = match direction.name() {
            "received" => Event::Received { stream, number, how: late(message).unwrap_or(How::Copied) },
            _ => Event::Overheard { stream, number },
        };
        self.device.play.see(&event);
    }

    /// Pushes are received, and others' questions answered.
    fn answer(&mut self, iq: &Element) {
        let mut result = Stanza::iq(Type::Result, iq.attr("id").unwrap_or_default());
        if let Some(from) = iq.attr("from").and_then(|from| Jid::new(from).ok()) {
            result = result.with_to(from);
        }
        if iq.child(ns::DISCO_INFO, "query").is_some() {
            result = result.with_child(&publishing::info());
        }
        self.say(&result);
    }

    fn answered(&mut self, stream: StreamNo, id: &str, iq: &Element) {
        // Other devices' answers are not what is checked here.
        if !id.starts_with('q') {
            return;
        }
        let asked = self.stream.asked.remove(id);
        let outcome = match (iq.attr("type"), asked) {
            // There may be no node yet.
            (Some("error"), Some(Asked::Published)) if condition(iq) == "item-not-found" => {
                Outcome::Published(None)
            }
            (_, Some(Asked::Published)) if iq.attr("type") == Some("result") => {
                Outcome::Published(publishing::answered(iq))
            }
            (Some("error"), _) => Outcome::Refused(condition(iq)),
            (_, Some(Asked::Roster)) => roster(iq),
            (_, Some(Asked::Recall)) => {
                let kept = iq.child(ns::PRIVATE, "query").and_then(|query| query.children().next());
                Outcome::Recalled(kept.and_then(|kept| kept.text().parse().ok()).unwrap_or_default())
            }
            _ => Outcome::Done,
        };
        self.device.play.see(&Event::Answered { stream, id, outcome });
    }

    /// The time has come to do something.
    fn act(&mut self) {
        let Some(stream) = self.number else {
            self.device.play.complain(format!("login: {} was not let in within {LOGIN:?}", self.device.jid));
            self.over = true;
            return;
        };
        if std::mem::take(&mut self.stalled) {
            self.link.stall(Way::Down, false);
        }
        if self.device.play.is_settling() {
            return self.settle(stream);
        }
        let pause = self.device.play.clockwork().draw(|chance| 20 + chance.below(700));
        self.rest(pause as u64);
        if self.stream.next_id == 0 {
            if self.device.counts() {
                self.client.send(&Managed::enable(self.device.comes_back()));
                self.stream.managed = Some(Managed::default());
            }
            // RFC 6121 §2.2, §4.2: first the roster, then presence.
            self.ask(stream, Wish::Roster, Element::new(ns::ROSTER, "query"), Type::Get);
            if self.device.wants_copies() {
                self.ask(stream, Wish::Nothing, Element::new(ns::CARBONS, "enable"), Type::Set);
            }
            return self.tell(stream, 0);
        }
        let deed = self.device.play.draw_deed();
        self.carry_out(stream, deed);
        if self.stream.managed.is_some() && self.device.play.clockwork().draw(|chance| chance.once_in(3)) {
            self.client.send(&Managed::ask());
        }
    }

    /// Nothing more is drawn: everybody becomes available, sees the roster and what is kept, and stays.
    fn settle(&mut self, stream: StreamNo) {
        self.rest(1_000);
        if std::mem::replace(&mut self.stream.settled, true) {
            return;
        }
        self.client.send(&Element::new(ns::CSI, "active"));
        self.ask(stream, Wish::Roster, Element::new(ns::ROSTER, "query"), Type::Get);
        self.recall(stream);
        self.ask_published(stream);
        self.tell(stream, 0);
    }

    fn carry_out(&mut self, stream: StreamNo, deed: Deed) {
        match deed {
            Deed::Message(to) => self.message(stream, to, Element::new(ns::CLIENT, "body")),
            Deed::Marker(to) => self.message(stream, to, Element::new(ns::MARKERS, "displayed")),
            Deed::LookAway => self.client.send(&Element::new(ns::CSI, "inactive")),
            Deed::Look => self.client.send(&Element::new(ns::CSI, "active")),
            Deed::Presence { priority } => self.tell(stream, priority),
            Deed::Hide => self.hide(stream),
            Deed::Befriend(whom) => self.change_roster(stream, &whom, false),
            Deed::Forget(whom) => {
                if self.device.play.may_subscribe(&self.device.jid.bare(), &whom) {
                    self.change_roster(stream, &whom, true);
                }
            }
            Deed::Subscription(type_, whom) => {
                if self.device.play.may_subscribe(&self.device.jid.bare(), &whom) {
                    self.say(&Stanza::presence(type_).with_to(whom));
                }
            }
            Deed::Ask(question) => self.question(stream, question),
            Deed::Keep => self.keep(stream),
            Deed::Publish => {
                self.device.published += 1;
                let (id, number) = (self.device.jid.resource().to_owned(), self.device.published);
                self.ask(stream, Wish::Publish(number), publishing::publish(&id, number), Type::Set);
            }
            Deed::Retract => {
                self.device.published += 1;
                let (id, number) = (self.device.jid.resource().to_owned(), self.device.published);
                self.ask(stream, Wish::Retract(number), publishing::retract(&id), Type::Set);
            }
            // Nobody blocks oneself.
            Deed::Block(whom) if whom == self.device.jid.bare() => {}
            Deed::Block(whom) => {
                self.ask(stream, Wish::Block(&whom), block("block", &whom), Type::Set);
            }
            Deed::Unblock(whom) => {
                self.ask(stream, Wish::Unblock(&whom), block("unblock", &whom), Type::Set);
            }
            Deed::Ping(to) => {
                self.stream.next_id += 1;
                let ping = Stanza::iq(Type::Get, &format!("p{}", self.stream.next_id)).with_to(to);
                self.say(&ping.with_child(&Element::new(ns::PING, "ping")));
            }
            Deed::Leave => {
                self.stream.left = true;
                self.client.close(self.device.play.clockwork().now());
            }
            Deed::Vanish => self.link.cut(),
            Deed::Stall => {
                self.stalled = true;
                self.link.stall(Way::Down, true);
                self.rest = Box::pin(self.device.play.clockwork().sleep(STALL));
            }
        }
    }

    fn message(&mut self, stream: StreamNo, to: Jid, payload: Element) {
        let number = self.device.play.sent(stream, &to);
        let id = format!("m{number}");
        let message = Stanza::message(Type::Chat).with_to(to).with_id(&id);
        self.say(&message.with_child(&payload.with_text(&id)));
    }

    fn tell(&mut self, stream: StreamNo, priority: i8) {
        self.stream.next_id += 1;
        let status = format!("s{stream}-{}", self.stream.next_id);
        self.stream.available = true;
        self.device.play.see(&Event::Told { stream, status: Some(&status), priority });
        let presence = Stanza::presence(Type::Available)
            .with_child(&Element::new(ns::CLIENT, "priority").with_text(&priority.to_string()))
            .with_child(&Element::new(ns::CLIENT, "status").with_text(&status))
            .with_child(&publishing::capabilities());
        self.say(&presence);
    }

    fn hide(&mut self, stream: StreamNo) {
        self.stream.available = false;
        self.device.play.see(&Event::Told { stream, status: None, priority: 0 });
        self.say(&Stanza::presence(Type::Unavailable));
    }

    fn change_roster(&mut self, stream: StreamNo, whom: &BareJid, remove: bool) {
        let item = Element::new(ns::ROSTER, "item").with_attr("jid", whom.as_str());
        let item = match remove {
            true => item.with_attr("subscription", "remove"),
            false => item.with_attr("name", format!("{whom} {}", self.stream.next_id)),
        };
        let query = Element::new(ns::ROSTER, "query").with_child(item);
        self.ask(stream, Wish::Nothing, query, Type::Set);
    }

    fn question(&mut self, stream: StreamNo, question: Question) {
        let to_host = |line: &mut Self, child| {
            let host = Jid::from_domain(line.device.jid.domain()).ok();
            line.ask_somebody(stream, Wish::Nothing, host, child, Type::Get);
        };
        match question {
            Question::Ping => to_host(self, Element::new(ns::PING, "ping")),
            Question::Disco => to_host(self, Element::new(ns::DISCO_INFO, "query")),
            Question::Roster => {
                self.ask(stream, Wish::Roster, Element::new(ns::ROSTER, "query"), Type::Get);
            }
            Question::Card => self.ask(stream, Wish::Nothing, Element::new(ns::VCARD, "vCard"), Type::Get),
            Question::Recall => self.recall(stream),
            Question::Published => self.ask_published(stream),
        }
    }

    fn keep(&mut self, stream: StreamNo) {
        self.device.number += 1;
        let number = self.device.number;
        let kept = self.kept().with_text(&number.to_string());
        let query = Element::new(ns::PRIVATE, "query").with_child(kept);
        self.ask(stream, Wish::Keep(number), query, Type::Set);
    }

    fn recall(&mut self, stream: StreamNo) {
        let query = Element::new(ns::PRIVATE, "query").with_child(self.kept());
        self.ask(stream, Wish::Recall, query, Type::Get);
    }

    fn ask_published(&mut self, stream: StreamNo) {
        let question = publishing::ask(self.device.jid.resource());
        self.ask(stream, Wish::Published, question, Type::Get);
    }

    /// Each device keeps its own.
    fn kept(&self) -> Element {
        Element::new(KEPT, format!("of-{}", self.device.jid.resource()))
    }

    fn ask(&mut self, stream: StreamNo, wish: Wish<'_>, child: Element, type_: Type) {
        self.ask_somebody(stream, wish, None, child, type_);
    }

    fn ask_somebody(
        &mut self,
        stream: StreamNo,
        wish: Wish<'_>,
        to: Option<Jid>,
        child: Element,
        type_: Type,
    ) {
        self.stream.next_id += 1;
        // Unlike those of the device's streams before: their late answers may come to this one.
        let id = format!("q{stream}-{}", self.stream.next_id);
        self.device.play.see(&Event::Asked { stream, id: &id, wish });
        let mut iq = Stanza::iq(type_, &id).with_child(&child);
        iq.to = to;
        let asked = match wish {
            Wish::Roster => Asked::Roster,
            Wish::Recall => Asked::Recall,
            Wish::Published => Asked::Published,
            _ => Asked::Other,
        };
        self.stream.asked.insert(id, asked);
        self.say(&iq);
    }

    fn rest(&mut self, ms: u64) {
        self.rest = Box::pin(self.device.play.clockwork().sleep(Duration::from_millis(ms)));
    }
}

/// The condition of an error, or nothing.
fn condition(element: &Element) -> &str {
    let error = element.child(ns::CLIENT, "error");
    let condition = error.and_then(|error| error.children().find(|child| child.ns() == ns::STANZA_ERRORS));
    condition.map_or("", Element::name)
}

fn roster(iq: &Element) -> Outcome<'static> {
    let Some(query) = iq.child(ns::ROSTER, "query") else { return Outcome::Done };
    let mut items: Vec<String> = query.children().map(Element::to_xml).collect();
    items.sort();
    Outcome::Roster(items, query.attr("ver").unwrap_or_default().to_owned())
}

fn block(what: &'static str, whom: &BareJid) -> Element {
    let item = Element::new(ns::BLOCKING, "item").with_attr("jid", whom.as_str());
    Element::new(ns::BLOCKING, what).with_child(item)
}

/// How a message came that did not come at once, as its stamp says.
fn late(message: &Element) -> Option<How> {
    match message.child(ns::DELAY, "delay")?.text().as_str() {
        "Offline Storage" => Some(How::Held),
        _ => Some(How::TakenBack),
    }
}

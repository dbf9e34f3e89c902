//! Requests about an account's nodes (XEP-0060, XEP-0163): each has one answer, what is refused changes nothing, what
//! is accepted is kept and comes back the same, no limit is passed, and nobody sees what they may not.

mod script;
mod shelf;
mod world;

use pubsub::access::Owner;
use pubsub::node::{AFFILIATIONS_MAX, Nodes, SUBSCRIBERS_MAX, SUBSCRIBERS_OF_ONE};
use pubsub::pep;
use step::{Act, Domain, Question, Reply, Return, Returned, Roster, Session, SessionId, Sessions};
use step::{Step, Stop, World, Yield};
use store::{KEY_BYTES_MAX, RosterItem, Subscription, Write};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::oracle;
use crate::stanza::answers;
use script::{Asked, Asker};
use shelf::Shelf;

/// Checks an input: requests, one after the other.
///
/// # Panics
/// When a promise is broken.
pub fn check(data: &[u8]) {
    let mut house = House::new();
    for (number, asked) in script::read(data).iter().enumerate() {
        house.ask(number, asked);
    }
}

/// The account, whoever has to do with it, and what is kept.
struct House {
    world: World,
    domain: Domain,
    account: BareJid,
    roster: Roster,
    sessions: Sessions,
    nodes: Nodes,
    shelf: Shelf,
}

/// Names of nodes, with all that is kept of each but its items, and their bytes.
type Shown = Vec<(String, Vec<u8>, u64)>;

impl House {
    fn new() -> House {
        let world = world::still();
        let item = |asker: Asker, subscription| RosterItem {
            subscription,
            groups: vec!["friends".to_owned()],
            ..RosterItem::new(bare(asker.address()))
        };
        let items = [
            item(Asker::Friend, Subscription::Both),
            item(Asker::Blocked, Subscription::Both),
            item(Asker::Known, Subscription::None),
        ];
        let mut sessions = Sessions::default();
        let jid = FullJid::new(Asker::Owner.address()).expect("an address");
        let mut session = Session::new(SessionId(0), jid.clone(), world.clock.now());
        session.presence = Some(Stanza::presence(Type::Available).with_from(jid));
        sessions.add(session);
        House {
            world,
            domain: world::narrow(),
            account: bare(Asker::Owner.address()),
            roster: Roster::load(1, items.into(), Vec::new()),
            sessions,
            nodes: Nodes::default(),
            shelf: Shelf::default(),
        }
    }

    /// Does something with the nodes, in a step of its own.
    fn step<T>(&mut self, act: impl FnOnce(&mut Nodes, &Owner<'_>, &mut Step<'_>) -> T) -> (T, Yield) {
        let mut step = Step::new(&self.world, &self.domain, self.world.clock.now());
        let hears = |jid: &Jid| jid.bare() != bare(Asker::Blocked.address());
        let owner =
            Owner { account: &self.account, roster: &self.roster, sessions: &self.sessions, hears: &hears };
        let value = act(&mut self.nodes, &owner, &mut step);
        (value, step.finish())
    }

    fn ask(&mut self, number: usize, asked: &Asked) {
        let iq = Stanza::iq(asked.type_, &format!("q{number}"))
            .with_from(Jid::new(asked.asker.address()).expect("an address"))
            .with_to(self.account.clone())
            .with_child(&asked.payload);
        let before = shown(&self.nodes);
        let sees_any = self.sees_any(asked.asker);
        let (reply, left) = self.step(|nodes, owner, step| pep::answer(nodes, owner, &iq, step));
        assert!(left.writes.is_empty(), "written before it is known what there is");
        let answer = match reply {
            Err(Stop::Bounce(error)) => {
                assert!(left.acts.is_empty());
                iq.error_reply(&error).expect("a request has an answer")
            }
            Ok(Reply::Later) => self.returned(&left, asked.asker),
            other => panic!("an answer of another kind: {other:?}"),
        };
        self.judge(&iq, &answer, asked, &before, sees_any);
        self.is_sound();
    }

    /// The store answers, as soon as it is asked.
    fn returned(&mut self, left: &Yield, asker: Asker) -> Stanza {
        let [Act::Ask(Question::Read(read), Return::Nodes(asked))] = left.acts.as_slice() else {
            panic!("one question to the store, and nothing else: {left:?}");
        };
        let came = self.shelf.answer(read);
        let asked = asked.clone();
        let (_, left) = self.step(|nodes, owner, step| pep::returned(nodes, owner, asked, came, step));
        self.follow(left, asker)
    }

    /// Keeps what is written and hears what is told; the answer.
    fn follow(&mut self, left: Yield, asker: Asker) -> Stanza {
        for write in left.writes {
            self.is_within(&write, asker);
            self.shelf.keep(write);
        }
        let mut routed = Vec::new();
        for act in left.acts {
            match act {
                Act::Route(stanza) => routed.push(stanza),
                Act::Notify(node, event) => self.is_news(&node, &event),
                Act::Deliver(SessionId(0), event) => self.is_news("", &event),
                Act::Ask(Question::Read(read), Return::News(to, wanted)) => {
                    self.told_last(&read, *to, wanted)
                }
                other => panic!("what is this? {other:?}"),
            }
        }
        let [answer] = routed.as_slice() else { panic!("one answer: {routed:?}") };
        answer.clone()
    }

    /// Who has just subscribed hears what was published last.
    fn told_last(&mut self, read: &step::Read, to: Jid, wanted: Vec<String>) {
        let came = self.shelf.answer(read);
        let Returned::LastItems(found) = &came else { panic!("{came:?}") };
        assert!(found.len() <= wanted.len());
        let (_, left) =
            self.step(|nodes, owner, step| pubsub::news::returned(nodes, owner, to, wanted, came, step));
        assert!(left.writes.is_empty());
        for act in left.acts {
            match act {
                Act::Notify(node, event) => self.is_news(&node, &event),
                Act::Deliver(SessionId(0), event) => self.is_news("", &event),
                other => panic!("what is this? {other:?}"),
            }
        }
    }

    /// News come from the account, and only to those who may see the node.
    fn is_news(&mut self, node: &str, event: &Stanza) {
        oracle::element(&event.to_xml(), ns::CLIENT);
        assert_eq!(event.from, Some(self.account.clone().into()));
        assert!(event.has(ns::PUBSUB_EVENT, "event"), "{event:?}");
        let to = event.to.as_ref().expect("it is for somebody").bare();
        assert_ne!(to, bare(Asker::Blocked.address()), "{event:?}");
        let name = node.to_owned();
        let account = self.account.clone();
        self.step(|nodes, owner, _| {
            let may = nodes.find(&name).is_none_or(|node| owner.shows(node, &to).is_ok());
            assert!(to == account || may, "{to} may not see {name}");
        });
    }

    /// What is written stays within its limits, and is the asker's to write.
    fn is_within(&self, write: &Write, asker: Asker) {
        let limits = &self.domain.limits;
        let key = match write {
            Write::NodePut { owner, node, .. } | Write::NodeRemove { owner, node } => {
                assert_eq!(*owner, self.account);
                node.len()
            }
            Write::ItemPut { owner, node, item } => {
                assert_eq!(*owner, self.account);
                assert!(item.xml.len() <= limits.item_bytes, "{} bytes in one item", item.xml.len());
                node.len() + item.id.len()
            }
            _ => 0,
        };
        assert!(self.account.as_str().len() + key <= KEY_BYTES_MAX, "{key} bytes in a key");
        let is_put = matches!(write, Write::NodePut { .. });
        assert!(asker == Asker::Owner || is_put, "{asker:?} has written {write:?}");
    }

    fn sees_any(&mut self, asker: Asker) -> bool {
        let asker = bare(asker.address());
        let (sees, _) =
            self.step(|nodes, owner, _| nodes.iter().any(|(_, node)| owner.shows(node, &asker).is_ok()));
        sees
    }

    /// One answer, well-formed, to whoever has asked; what is refused has changed nothing.
    fn judge(&mut self, iq: &Stanza, answer: &Stanza, asked: &Asked, before: &Shown, sees_any: bool) {
        assert_eq!((&answer.to, &answer.from), (&iq.from, &iq.to));
        assert_eq!(answer.id, iq.id);
        let after = shown(&self.nodes);
        if answer.type_ == Type::Error {
            refused(answer, iq);
            assert_eq!(*before, after, "refused, but done: {answer:?}");
        } else {
            assert_eq!(answer.type_, Type::Result);
            oracle::element(&answer.to_xml(), ns::CLIENT);
            assert!(answer.child_count() <= 1);
            self.published(asked, answer);
        }
        if asked.asker == Asker::Stranger && !sees_any {
            // Guarantee G16: as for an account that does not exist.
            let error = answer.element(ns::CLIENT, "error").map(|error| StanzaError::from_element(&error));
            assert_eq!(error, Some(Condition::ServiceUnavailable.into()), "{answer:?}");
        }
        if asked.asker != Asker::Owner {
            let names = |shown: &Shown| shown.iter().map(|(name, _, bytes)| (name.clone(), *bytes)).collect();
            let (before, after): (Vec<_>, Vec<_>) = (names(before), names(&after));
            assert_eq!(before, after, "{:?} has changed what is the owner's", asked.asker);
        }
    }

    /// What was published comes back as it was sent.
    fn published(&mut self, asked: &Asked, answer: &Stanza) {
        let answered = answer.element(ns::PUBSUB, "pubsub");
        let publish = answered.as_ref().and_then(|pubsub| pubsub.child(ns::PUBSUB, "publish"));
        let Some((node, id)) = publish.and_then(|publish| {
            let item = publish.child(ns::PUBSUB, "item")?;
            Some((publish.attr("node")?.to_owned(), item.attr("id")?.to_owned()))
        }) else {
            return;
        };
        if !self.nodes.find(&node).is_some_and(|node| node.config.persist) {
            assert!(self.shelf.items(&node).is_empty(), "{node} keeps nothing");
            return;
        }
        let sent =
            asked.payload.child(ns::PUBSUB, "publish").and_then(|publish| publish.child(ns::PUBSUB, "item"));
        let sent = sent.expect("it was published").children().next().cloned();
        let shown = self.shown_item(&node, &id);
        assert_eq!(shown.children().next().cloned(), sent, "{node}: {id} is not what was published");
    }

    /// An item, as its owner reads it.
    fn shown_item(&mut self, node: &str, id: &str) -> Element {
        let item = Element::new(ns::PUBSUB, "item").with_attr("id", id);
        let items = Element::new(ns::PUBSUB, "items").with_attr("node", node).with_child(item);
        let iq = Stanza::iq(Type::Get, "shown")
            .with_from(Jid::new(Asker::Owner.address()).expect("an address"))
            .with_to(self.account.clone())
            .with_child(&Element::new(ns::PUBSUB, "pubsub").with_child(items));
        let (_, left) = self.step(|nodes, owner, step| pep::answer(nodes, owner, &iq, step));
        let answer = self.returned(&left, Asker::Owner);
        let found = answer.element(ns::PUBSUB, "pubsub").and_then(|pubsub| {
            let items = pubsub.child(ns::PUBSUB, "items")?;
            items.child(ns::PUBSUB, "item").cloned()
        });
        found.unwrap_or_else(|| panic!("{id} is not in {node}: {answer:?}"))
    }

    /// No limit is passed; and what would be loaded after a restart is what is there.
    fn is_sound(&self) {
        let limits = &self.domain.limits;
        assert!(self.nodes.len() <= limits.nodes_per_account);
        assert!(self.nodes.bytes() <= limits.items_bytes as u64);
        for (name, node) in self.nodes.iter() {
            let items = self.shelf.items(name);
            let max = if node.config.persist { node.config.items_max(limits) } else { 0 };
            assert!(items.len() <= max, "{} items in {name}", items.len());
            assert!(node.affiliations.len() <= AFFILIATIONS_MAX && node.subscribers.len() <= SUBSCRIBERS_MAX);
            assert!(!node.affiliations.contains_key(&self.account), "an owner has no other affiliation");
            for subscriber in &node.subscribers {
                let own = |other: &&Jid| other.bare() == subscriber.bare();
                assert!(node.subscribers.iter().filter(own).count() <= SUBSCRIBERS_OF_ONE);
            }
        }
        let loaded = Nodes::load(self.shelf.records(), limits);
        assert_eq!(shown(&self.nodes), shown(&loaded), "after a restart it is otherwise");
    }
}

/// A refusal: an error with one condition of RFC 6120, behind nothing but what could not be changed.
fn refused(answer: &Stanza, iq: &Stanza) {
    let without = answer.clone().without(ns::PUBSUB_OWNER, "pubsub");
    answers(&without, iq.id.as_ref());
    oracle::element(&answer.to_xml(), ns::CLIENT);
    let error = answer.element(ns::CLIENT, "error").map(|error| StanzaError::from_element(&error));
    let condition = error.expect("an error says why").condition;
    assert_ne!(condition, Condition::InternalServerError, "{answer:?}");
    assert_ne!(condition, Condition::UndefinedCondition, "{answer:?}");
}

fn shown(nodes: &Nodes) -> Shown {
    let state = |(name, node): (&str, &pubsub::node::Node)| match node.put(&bare("a@one.test"), name) {
        Write::NodePut { state, .. } => (name.to_owned(), state, node.bytes),
        other => panic!("a node is kept as one: {other:?}"),
    };
    nodes.iter().map(state).collect()
}

fn bare(address: &str) -> BareJid {
    Jid::new(address).expect("an address").bare()
}

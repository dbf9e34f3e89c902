//! A node in this process, with sessions but without sockets: what is measured is the server itself.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods)] // benchmarks use what they need, in real time

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Instant, SystemTime};

use admin::AdHoc;
use server::{Config, Node, Session};
use store::{Credentials, Lsn, RosterItem, Store, StoreUrl, Subscription, Write};
use stream::client::{Client, ClientEvent, ClientSettings, Login};
use stream::{ClientCertificate, Mechanism, TlsFacts, TransportFacts};
use tokio::runtime::Runtime;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// A node and the runtime that its tasks run on.
pub struct House {
    runtime: Runtime,
    /// The node.
    pub node: Arc<Node>,
}

impl House {
    /// A node on an empty store, with these accounts.
    pub fn new(url: &StoreUrl, accounts: &[BareJid]) -> House {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = Config { domains: vec!["one.test".to_owned()], ..Config::default() };
        config.limits.offline_messages = usize::MAX;
        config.limits.offline_bytes = usize::MAX;
        let node = runtime.block_on(async {
            let store = Store::open(url).await.unwrap();
            for account in accounts {
                let (account, credentials) = (account.clone(), Credentials::default());
                let create = Write::AccountCreate { account, credentials, at: SystemTime::UNIX_EPOCH };
                store.log().append(Lsn::default(), vec![create]).unwrap();
            }
            let world = net::world();
            let secret = store.secret(world.seed()).await.unwrap();
            Node::start(world, store, Arc::new(config), secret, Arc::new(AdHoc))
        });
        let house = House { runtime, node };
        house.settle();
        house
    }

    /// Lets each of `contacts` see the presence of `owner`.
    pub fn show(&self, owner: &BareJid, contacts: &[BareJid]) {
        let log = self.node.store.log();
        for (number, contact) in contacts.iter().enumerate() {
            let item = RosterItem { subscription: Subscription::From, ..RosterItem::new(contact.clone()) };
            let put = Write::RosterPut { owner: owner.clone(), version: number as u64 + 1, item };
            log.append(Lsn::default(), vec![put]).unwrap();
        }
        self.settle();
    }

    /// Waits until all that was appended is committed.
    pub fn settle(&self) {
        let log = self.node.store.log();
        let last = log.last();
        while log.committed() < last {
            std::thread::yield_now();
        }
    }

    /// A session of this account, bound and available.
    pub fn enter(&self, account: &BareJid) -> Entered {
        let _inside = self.runtime.enter();
        let certificate = ClientCertificate { xmpp_addrs: vec![account.to_string()], trusted: true };
        let facts = TlsFacts { client: Some(certificate), ..TlsFacts::default() };
        let transport = TransportFacts::DirectTls(facts);
        let mut settings = ClientSettings::new("one.test", Login::Certificate { authzid: None });
        settings.mechanisms = Some(vec![Mechanism::External]);
        let mut client = Client::new(Instant::now(), settings, [1; 32], transport.clone());
        let mut entered = Entered(Session::new(&self.node, Instant::now(), transport, None));
        loop {
            entered.say(&client.poll_send().unwrap_or_default());
            client.receive(Instant::now(), &entered.hear());
            while let Some(event) = client.poll_event() {
                match event {
                    ClientEvent::Bound(_) => {
                        client.send_stanza(&Stanza::presence(Type::Available));
                        let ping = Element::new(ns::PING, "ping");
                        client.send_stanza(&Stanza::iq(Type::Get, "p").with_child(&ping));
                    }
                    ClientEvent::Element(element) if element.attr("id") == Some("p") => return entered,
                    _ => {}
                }
            }
        }
    }

    /// A connection whose client has said nothing yet.
    pub fn connect(&self, transport: TransportFacts) -> Entered {
        Entered(Session::new(&self.node, now(), transport, None))
    }

    /// Inside the runtime, as connections are.
    pub fn inside(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }
}

/// The time.
pub fn now() -> Instant {
    Instant::now()
}

/// A session that has been entered.
pub struct Entered(Session);

impl Entered {
    /// The client says this.
    pub fn say(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.receive(Instant::now(), bytes);
        }
    }

    /// What is written to the client now.
    pub fn hear(&mut self) -> Vec<u8> {
        self.0.poll(Instant::now(), &mut Context::from_waker(Waker::noop()));
        let out = self.0.take_output().unwrap_or_default();
        self.0.written(0);
        out
    }
}

/// The accounts of a benchmark.
pub fn people(count: usize) -> Vec<BareJid> {
    (0..count).map(|number| BareJid::new(&format!("person{number}@one.test")).unwrap()).collect()
}

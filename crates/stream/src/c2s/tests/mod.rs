//! A server machine and what talks to it, in memory.
#![allow(clippy::disallowed_methods)] // any beginning will do

mod cuts;
mod errors;
mod login;
mod managing;
mod raw;
mod sasl2;
mod stanzas;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use xmpp::error::StreamCondition;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use super::{Answer, C2s, C2sSettings, CloseReason, Enable, Enabled, Entered, Entry, Event, Resumption};
use super::{TransportFacts, Wait};
use crate::client::{Client, ClientAnswer, ClientEvent, ClientSettings};
use crate::sasl::SaslCondition;
use crate::sasl::ht::KnownToken;
use crate::sasl::scram::{ScramCredentials, ScramHash, verify};
use crate::tls::TlsFacts;

pub const PASSWORD: &str = "pencil";
pub const CLIENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

/// The channel as both ends see it.
pub fn facts() -> TlsFacts {
    TlsFacts { version13: true, exporter: Some([9; 32]), end_point: Some(vec![7; 32]), ..TlsFacts::default() }
}

pub fn settings() -> C2sSettings {
    let mut settings = C2sSettings::new(vec!["one.test".into(), "two.test".into()], [3; 32]);
    settings.plain = true;
    settings.scram_iterations = 4096;
    settings
}

/// The server's side of a test: a machine, and a host that knows one account.
pub struct Host {
    pub machine: C2s,
    pub tls: TlsFacts,
    pub now: Instant,
    pub stanzas: Vec<String>,
    pub closed: Option<CloseReason>,
    /// What to answer to credentials, in place of the truth.
    pub refusal: Option<SaslCondition>,
    /// What is still to be delivered when the client has closed its half.
    pub last_words: Option<Stanza>,
    /// How many stanzas the client has handled, as it said last.
    pub acked: Option<u32>,
    /// What clients wanted with their login.
    pub entries: Vec<Entry>,
    /// The hashes that keys were kept for.
    pub upgraded: Vec<ScramHash>,
    /// Tokens that `user@one.test` has given to the client `CLIENT`.
    pub tokens: Vec<KnownToken>,
}

impl Host {
    pub fn new(settings: C2sSettings, transport: TransportFacts) -> Self {
        let now = Instant::now();
        let machine = C2s::new(now, Arc::new(settings), [1; 32], transport);
        let (stanzas, closed, refusal) = (Vec::new(), None, None);
        let (last_words, acked, tls) = (None, None, facts());
        let (entries, upgraded, tokens) = (Vec::new(), Vec::new(), Vec::new());
        Host { machine, tls, now, stanzas, closed, refusal, last_words, acked, entries, upgraded, tokens }
    }

    fn known(&self, account: &str, client: &str) -> Vec<KnownToken> {
        let known = account == "user@one.test" && client == CLIENT;
        if known { self.tokens.clone() } else { Vec::new() }
    }

    fn enter(&mut self, entry: &Entry) -> Answer {
        self.entries.push(entry.clone());
        if let Some(condition) = self.refusal {
            return Answer::Refused(condition);
        }
        let tag = entry.bind.as_ref().map(|bind| bind.tag.clone().unwrap_or_default());
        let jid = tag.map(|tag| entry.account.with_resource(&format!("{tag}/made-here")).unwrap());
        let enabled = entry.bind.as_ref().and_then(|bind| bind.enable).map(enabled);
        let token = entry.wants_token.map(|_| ("new".to_owned(), SystemTime::UNIX_EPOCH));
        Answer::Entered(Box::new(Entered { jid, enabled, archive: None, token }))
    }

    /// Inside TLS from the first byte.
    pub fn secure() -> Self {
        Host::new(settings(), TransportFacts::DirectTls(facts()))
    }

    /// Answers every event; returns what the machine sends.
    pub fn settle(&mut self) -> String {
        let mut sent = self.take();
        while let Some(event) = self.machine.poll_event() {
            let answer = match event {
                Event::LoginFailed => continue,
                Event::StartTls => Some(Answer::TlsReady(self.tls.clone())),
                Event::Credentials { account } => Some(match self.refusal {
                    Some(condition) => Answer::Refused(condition),
                    None => Answer::Credentials(credentials(account.as_str())),
                }),
                Event::CheckPassword { account, password } => {
                    let keys = credentials(account.as_str()).and_then(|found| found.sha256);
                    let right = keys.is_some_and(|keys| verify(password.reveal(), &keys, ScramHash::Sha256));
                    Some(match (right, self.refusal) {
                        (_, Some(condition)) => Answer::Refused(condition),
                        (true, _) => Answer::Authenticated,
                        (false, _) => Answer::Refused(SaslCondition::NotAuthorized),
                    })
                }
                Event::Tokens { account, client } => {
                    Some(Answer::Tokens(self.known(account.as_str(), &client)))
                }
                Event::Upgrade { keys, .. } => {
                    self.upgraded.push(keys.0);
                    Some(Answer::Upgraded)
                }
                Event::Enter(entry) => Some(self.enter(&entry)),
                Event::Register { stanza } => Some(Answer::Reply(stanza.result())),
                Event::Bind { account, resource } => {
                    let resource = resource.unwrap_or_else(|| "made-here".to_owned());
                    Some(Answer::Bound(account.with_resource(&resource).unwrap()))
                }
                Event::Stanza(stanza) => {
                    self.stanzas.push(stanza.to_xml());
                    None
                }
                Event::Manage(enable) => {
                    self.machine.manage(&enabled(enable));
                    None
                }
                Event::Settled { answer } => answer.map(Answer::Deliver),
                Event::Say(stanza) => Some(Answer::Deliver(stanza)),
                Event::Resume { account, previd, handled } => Some(match previd.as_str() {
                    "sm-1" => {
                        self.acked = Some(handled);
                        Answer::Resumed { jid: account.with_resource("former").unwrap(), handled: 5 }
                    }
                    "sm-0" => Answer::ResumeRefused { handled: Some(4) },
                    _ => Answer::ResumeRefused { handled: None },
                }),
                Event::Inactive | Event::Active => None,
                Event::AckAsked => {
                    self.machine.acknowledge(self.stanzas.len() as u32);
                    None
                }
                Event::Acked { handled } => {
                    self.acked = Some(handled);
                    None
                }
                Event::PeerEnded => {
                    if let Some(last) = self.last_words.take() {
                        self.machine.deliver(&last);
                    }
                    Some(Answer::End)
                }
                Event::Closed(reason) => {
                    self.closed = Some(reason);
                    None
                }
            };
            if let Some(answer) = answer {
                self.machine.answer(self.now, answer);
            }
            sent.push_str(&self.take());
        }
        sent
    }

    fn take(&mut self) -> String {
        let mut sent = String::new();
        while let Some(bytes) = self.machine.poll_send() {
            sent.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        sent
    }

    /// Says something; returns the answer.
    pub fn say(&mut self, text: &str) -> String {
        self.machine.receive(self.now, text.as_bytes());
        self.settle()
    }

    pub fn wait(&mut self, time: Duration) -> String {
        self.now += time;
        self.machine.timeout(self.now);
        self.settle()
    }

    pub fn answer(&mut self, answer: Answer) -> String {
        self.machine.answer(self.now, answer);
        self.settle()
    }

    /// The condition of the stream error that closed the stream.
    pub fn failure(&self) -> Option<StreamCondition> {
        match &self.closed {
            Some(CloseReason::Failed(error)) => Some(error.condition),
            _ => None,
        }
    }

    /// Logs in as `user@one.test` and binds the resource `r`.
    pub fn bound() -> Self {
        let mut host = Host::secure();
        host.log_in();
        host.say(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                  <resource>r</resource></bind></iq>",
        );
        assert_eq!(host.machine.bound_jid().unwrap().as_str(), "user@one.test/r");
        host
    }

    /// Logs in and opens the stream that follows.
    pub fn log_in(&mut self) {
        self.say(&header("one.test"));
        let success = self.say(&plain("user", PASSWORD));
        assert!(success.contains("<success"), "{success}");
        let features = self.say(&header("one.test"));
        assert!(features.contains("xmpp-bind"), "{features}");
    }
}

fn credentials(account: &str) -> Option<ScramCredentials> {
    static FOUND: OnceLock<ScramCredentials> = OnceLock::new();
    let found = FOUND.get_or_init(|| ScramCredentials::derive(PASSWORD, b"0123456789abcdef", 4096));
    matches!(account, "user@one.test" | "user@two.test").then(|| found.clone())
}

pub fn header(to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

pub fn auth(mechanism: &str, data: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</auth>")
}

pub fn plain(username: &str, password: &str) -> String {
    auth("PLAIN", &crate::sasl::encode(&format!("\0{username}\0{password}")))
}

/// A client machine against the host.
pub struct Pair {
    pub host: Host,
    pub client: Client,
    pub client_tls: TlsFacts,
    pub events: Vec<ClientEvent>,
    /// Everything the host sent.
    pub heard: String,
}

impl Pair {
    pub fn new(host: Host, client: ClientSettings, transport: TransportFacts) -> Self {
        let client = Client::new(host.now, client, [2; 32], transport);
        Pair { host, client, client_tls: facts(), events: Vec::new(), heard: String::new() }
    }

    /// Direct TLS with the same facts on both ends.
    pub fn secure(settings: C2sSettings, client: ClientSettings) -> Self {
        let host = Host::new(settings, TransportFacts::DirectTls(facts()));
        Pair::new(host, client, TransportFacts::DirectTls(facts()))
    }

    /// Runs until nobody has anything to say; `change` may alter what the server sends.
    pub fn run_with(&mut self, mut change: impl FnMut(String) -> String) {
        loop {
            let mut quiet = true;
            while let Some(bytes) = self.client.poll_send() {
                quiet = false;
                self.host.machine.receive(self.host.now, &bytes);
            }
            let sent = self.host.settle();
            if !sent.is_empty() {
                quiet = false;
                self.heard.push_str(&sent);
                self.client.receive(self.host.now, change(sent).as_bytes());
            }
            while let Some(event) = self.client.poll_event() {
                quiet = false;
                if let ClientEvent::StartTls = event {
                    let facts = self.client_tls.clone();
                    self.client.answer(self.host.now, ClientAnswer::TlsReady(facts));
                }
                self.events.push(event);
            }
            if quiet {
                return;
            }
        }
    }

    pub fn run(&mut self) {
        self.run_with(|sent| sent);
    }

    pub fn bound(&self) -> Option<&str> {
        self.client.bound_jid().map(|jid| jid.as_str())
    }

    pub fn login_failure(&self) -> Option<SaslCondition> {
        self.events.iter().find_map(|event| match event {
            ClientEvent::LoginFailed(condition) => Some(*condition),
            _ => None,
        })
    }

    pub fn features(&self) -> Vec<&Element> {
        let features = self.events.iter().filter_map(|event| match event {
            ClientEvent::Features(features) => Some(features),
            _ => None,
        });
        features.collect()
    }
}

/// How the host manages streams.
fn enabled(Enable { resumption }: Enable) -> Enabled {
    let max = match resumption {
        Some(Wait::Seconds(max)) => max,
        _ => 600,
    };
    let location = Some("one.test:5222".to_owned());
    Enabled { resumption: resumption.map(|_| Resumption { id: "sm-1".to_owned(), max, location }) }
}

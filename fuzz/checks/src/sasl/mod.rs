//! Logging in: success only with the right secret, and only as the one whose secret it is; and always then.

mod attempt;
mod scram;

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stream::sasl::Mechanism;
use stream::{
    Answer, C2s, C2sSettings, ClientCertificate, Event, SaslCondition, ScramHash, TlsFacts, TransportFacts,
};

use crate::accounts::{self, DOMAIN};
use crate::draw::Draw;

/// Names in certificates: ours, others', and none.
const NAMES: [&str; 6] =
    ["user@one.test", "\u{fc}ser@one.test", "nobody@one.test", "user@two.test", "one.test", "@"];

/// What a client opens its stream with.
const HEADER: &str = "<stream:stream to='one.test' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

/// Logins on one stream before it is closed.
const FAILURES_MAX: usize = 3;

/// Checks an input: a server's settings, a channel, and logins that are tried there.
///
/// # Panics
/// When somebody gets in who must not, or stays out who must not.
pub fn check(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut server = Server::new(&mut draw);
    for failures in 0..FAILURES_MAX {
        let attempt = attempt::choose(&mut draw, &server);
        let expected = attempt.run(&mut draw, &mut server);
        let identity = server.machine.identity().cloned();
        assert_eq!(identity.is_some(), server.said.contains("<success"), "{}", server.said);
        match (&expected, &identity) {
            (Expected::Nobody, None) | (Expected::Either(_), None) => {}
            (Expected::Account(account) | Expected::Either(account), Some(identity)) => {
                assert_eq!(identity.account().as_str(), account, "{attempt:?}");
                assert_eq!(identity.mechanism(), attempt.mechanism(), "{attempt:?}");
                assert!(!identity.is_anonymous());
            }
            (Expected::Anonymous, Some(identity)) => {
                assert!(identity.is_anonymous() && accounts::password(identity.account()).is_none());
                assert_eq!(identity.account().local().map(str::len), Some(36));
            }
            _ => panic!("{attempt:?}: expected {expected:?}, got {identity:?}: {}", server.said),
        }
        assert_eq!(server.closed, identity.is_none() && failures + 1 == FAILURES_MAX, "{}", server.said);
        if identity.is_some() || server.closed {
            return;
        }
        assert!(server.said.contains("<failure"), "{attempt:?}: {}", server.said);
    }
}

/// Who must be in after an attempt.
#[derive(Debug)]
enum Expected {
    Nobody,
    Account(String),
    Anonymous,
    /// The message was changed on its way: this one, or nobody.
    Either(String),
}

/// A server inside TLS, after its first features.
struct Server {
    machine: C2s,
    now: Instant,
    facts: TlsFacts,
    /// Mechanisms on offer, by name.
    offered: Vec<Mechanism>,
    /// Refuses whoever asks, as a broken database does.
    refusal: Option<SaslCondition>,
    /// What the machine said last.
    said: String,
    closed: bool,
}

impl Server {
    fn new(draw: &mut Draw<'_>) -> Self {
        let mut settings = C2sSettings::new(vec![DOMAIN.to_owned()], [3; 32]);
        settings.plain = draw.yes();
        settings.anonymous = draw.yes();
        settings.external = draw.yes();
        settings.scram_iterations = 1;
        settings.scram.retain(|_| draw.below(4) != 3);
        let certificate = (0..draw.below(3)).map(|_| draw.one(&NAMES).to_owned()).collect();
        let facts = TlsFacts {
            version13: true,
            sni: None,
            exporter: draw.yes().then_some([9; 32]),
            end_point: draw.yes().then(|| vec![7; 32]),
            client: Some(ClientCertificate { xmpp_addrs: certificate, trusted: draw.yes() }),
        };
        let refusal = (draw.below(8) == 7).then_some(SaslCondition::TemporaryAuthFailure);
        #[allow(clippy::disallowed_methods)] // any beginning will do
        let now = Instant::now();
        let transport = TransportFacts::DirectTls(facts.clone());
        let machine = C2s::new(now, Arc::new(settings), [1; 32], transport);
        let (offered, said) = (Vec::new(), String::new());
        let mut server = Server { machine, now, facts, offered, refusal, said, closed: false };
        server.hear(HEADER);
        let names = server.said.split("<mechanism>").skip(1).filter_map(|rest| rest.split('<').next());
        server.offered = names.filter_map(Mechanism::named).collect();
        server
    }

    /// Takes what a client says, and answers the machine's questions with the truth.
    fn hear(&mut self, text: &str) {
        self.said.clear();
        self.machine.receive(self.now, text.as_bytes());
        while let Some(event) = self.machine.poll_event() {
            let answer = match event {
                Event::Credentials { .. } | Event::CheckPassword { .. } if self.refusal.is_some() => {
                    self.refusal.map(Answer::Refused)
                }
                Event::Credentials { account } => Some(Answer::Credentials(accounts::credentials(&account))),
                Event::CheckPassword { account, password } => {
                    let right = accounts::password(&account) == Some(password.reveal());
                    let wrong = Answer::Refused(SaslCondition::NotAuthorized);
                    Some(if right { Answer::Authenticated } else { wrong })
                }
                Event::LoginFailed => None,
                Event::Closed(_) => {
                    self.closed = true;
                    None
                }
                other => panic!("nobody asked for {other:?}"),
            };
            if let Some(answer) = answer {
                self.machine.answer(self.now, answer);
            }
        }
        while let Some(bytes) = self.machine.poll_send() {
            self.said.push_str(std::str::from_utf8(&bytes).expect("UTF-8 is said"));
        }
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        self.offered.contains(&mechanism)
    }

    fn offers_plus(&self) -> bool {
        ScramHash::ALL.into_iter().any(|hash| self.offers(Mechanism::ScramPlus(hash)))
    }

    /// The data of the challenge that was said last.
    fn challenge(&self) -> Option<String> {
        let (_, rest) = self.said.split_once("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")?;
        let text = STANDARD.decode(rest.split('<').next()?).ok()?;
        String::from_utf8(text).ok()
    }

    /// The additional data of the success that was said last.
    fn success(&self) -> Option<String> {
        let (_, rest) = self.said.split_once("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")?;
        let text = STANDARD.decode(rest.split('<').next()?).ok()?;
        String::from_utf8(text).ok()
    }
}

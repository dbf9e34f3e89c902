//! One attempt to log in: by a mechanism, honest or not, and who must be in after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stream::ScramHash;
use stream::sasl::Mechanism;
use xmpp::jid::BareJid;

use super::scram::{self, Challenge};
use super::{Expected, Server};
use crate::accounts::{self, DOMAIN, PEOPLE};
use crate::draw::Draw;

/// Names that people log in with.
const USERNAMES: [&str; 8] = ["user", "\u{fc}ser", "USER", "nobody", "", "user@one.test", "us er", "a,=\0"];

/// Passwords: the right ones, and others.
const PASSWORDS: [&str; 5] = ["pencil", "\u{e9},=", "pencils", "", "Pencil"];

/// Whom they want to act as.
const AUTHZIDS: [&str; 6] =
    ["", "user@one.test", "\u{fc}ser@one.test", "USER@one.test", "user@two.test", "@"];

/// An attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The first or the only message is this one.
    Plain(Vec<u8>),
    /// With this authorization identity.
    External(Vec<u8>),
    /// With this trace.
    Anonymous(Vec<u8>),
    /// A password is proven.
    Scram(Scram),
}

/// What a SCRAM client wants and knows.
#[derive(Debug)]
pub struct Scram {
    mechanism: Mechanism,
    hash: ScramHash,
    flag: &'static str,
    authzid: &'static str,
    username: &'static str,
    password: &'static str,
}

/// Chooses an attempt.
pub fn choose(draw: &mut Draw<'_>, server: &Server) -> Attempt {
    match draw.below(8) {
        0 => Attempt::Plain(changed(
            format!("{}\0{}\0{}", draw.one(&AUTHZIDS), draw.one(&USERNAMES), draw.one(&PASSWORDS)),
            draw,
        )),
        1 => Attempt::External(changed(draw.one(&AUTHZIDS).to_owned(), draw)),
        2 => {
            let trace = draw.text().repeat(draw.below(100));
            Attempt::Anonymous(changed(trace, draw))
        }
        _ => {
            let hash = draw.one(&ScramHash::ALL);
            let plus = draw.yes();
            let mechanism = if plus { Mechanism::ScramPlus(hash) } else { Mechanism::Scram(hash) };
            let honest = match plus {
                true if server.facts.exporter.is_some() => "p=tls-exporter",
                true => "p=tls-server-end-point",
                false => "n",
            };
            let flags = ["n", "y", "p=tls-exporter", "p=tls-server-end-point", "p=tls-unique", "p", "z=1"];
            let flag = if draw.below(3) == 2 { draw.one(&flags) } else { honest };
            let authzid = if draw.below(3) == 2 { draw.one(&AUTHZIDS) } else { "" };
            let (username, password) = if draw.below(3) == 2 {
                (draw.one(&USERNAMES), draw.one(&PASSWORDS))
            } else {
                draw.one(&[("user", PEOPLE[0].1), ("\u{fc}ser", PEOPLE[1].1)])
            };
            Attempt::Scram(Scram { mechanism, hash, flag, authzid, username, password })
        }
    }
}

/// Now and then a byte of it is another.
fn changed(text: String, draw: &mut Draw<'_>) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    for _ in 0..draw.below(16).saturating_sub(13) {
        let (at, byte) = (draw.below(bytes.len() + 1), draw.byte());
        match bytes.get_mut(at) {
            Some(known) => *known = byte,
            None => bytes.push(byte),
        }
    }
    bytes
}

impl Attempt {
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Attempt::Plain(_) => Mechanism::Plain,
            Attempt::External(_) => Mechanism::External,
            Attempt::Anonymous(_) => Mechanism::Anonymous,
            Attempt::Scram(scram) => scram.mechanism,
        }
    }

    /// Tries it; returns who must be in then.
    pub fn run(&self, draw: &mut Draw<'_>, server: &mut Server) -> Expected {
        let offered = server.offers(self.mechanism());
        let expected = match self {
            Attempt::Scram(scram) => return scram.run(draw, server),
            Attempt::Plain(message) => plain(message, server),
            Attempt::External(message) => external(message, server),
            Attempt::Anonymous(trace) => {
                let taken = std::str::from_utf8(trace).is_ok_and(|trace| trace.chars().count() <= 255);
                if taken { Expected::Anonymous } else { Expected::Nobody }
            }
        };
        let message = match self {
            Attempt::Plain(message) | Attempt::External(message) | Attempt::Anonymous(message) => message,
            Attempt::Scram(_) => return Expected::Nobody,
        };
        begin(self.mechanism(), message, draw, server);
        if offered { expected } else { Expected::Nobody }
    }
}

/// Sends the first message: with `<auth/>`, or when asked for it.
fn begin(mechanism: Mechanism, message: &[u8], draw: &mut Draw<'_>, server: &mut Server) {
    const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    let data = if message.is_empty() { "=".to_owned() } else { STANDARD.encode(message) };
    let name = mechanism.name();
    if mechanism != Mechanism::Anonymous && draw.below(4) == 3 {
        server.hear(&format!("<auth {SASL} mechanism='{name}'/>"));
        if server.said.contains("<challenge") {
            server.hear(&format!("<response {SASL}>{data}</response>"));
        }
    } else {
        server.hear(&format!("<auth {SASL} mechanism='{name}'>{data}</auth>"));
    }
}

/// RFC 4616 §2.
fn plain(message: &[u8], server: &Server) -> Expected {
    let parts: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
    let (Ok(_), [authzid, username, password]) = (std::str::from_utf8(message), parts.as_slice()) else {
        return Expected::Nobody;
    };
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let Ok(account) = BareJid::from_parts(Some(&text(username)), DOMAIN) else { return Expected::Nobody };
    let right = accounts::password(&account).is_some_and(|known| known.as_bytes() == *password);
    let itself = authzid.is_empty() || BareJid::new(&text(authzid)).as_ref() == Ok(&account);
    match right && itself && server.refusal.is_none() {
        true => Expected::Account(account.as_str().to_owned()),
        false => Expected::Nobody,
    }
}

/// XEP-0178 §2.
fn external(message: &[u8], server: &Server) -> Expected {
    let Some(certificate) = server.facts.client.as_ref().filter(|shown| shown.trusted) else {
        return Expected::Nobody;
    };
    let Ok(authzid) = std::str::from_utf8(message) else { return Expected::Nobody };
    let named = certificate.xmpp_addrs.iter().filter_map(|name| BareJid::new(name).ok());
    let named: Vec<BareJid> = named.filter(|jid| jid.local().is_some() && jid.domain() == DOMAIN).collect();
    let account = match (authzid, named.as_slice()) {
        ("", [only]) => Some(only.clone()),
        ("", _) => None,
        _ => BareJid::new(authzid).ok().filter(|wanted| named.contains(wanted)),
    };
    match account.filter(|account| accounts::password(account).is_some() && server.refusal.is_none()) {
        Some(account) => Expected::Account(account.as_str().to_owned()),
        None => Expected::Nobody,
    }
}

impl Scram {
    fn run(&self, draw: &mut Draw<'_>, server: &mut Server) -> Expected {
        let escape = |text: &str| text.replace('=', "=3D").replace(',', "=2C");
        let authzid = match self.authzid {
            "" => String::new(),
            authzid => format!("a={}", escape(authzid)),
        };
        let header = format!("{},{authzid},", self.flag);
        let extension = draw.one(&["", ",x=1", ",m=1"]);
        let honest_first = format!("{header}n={},r=fyko{extension}", escape(self.username));
        let first = changed(honest_first.clone(), draw);
        let first_is_honest = first == honest_first.as_bytes();
        begin(self.mechanism, &first, draw, server);
        let Some(challenge) = server.challenge().and_then(|text| Challenge::read(&text)) else {
            // No challenge is made for a first message that could have led to a login.
            let stopped = !first_is_honest || !self.is_honest(server) || extension == ",m=1";
            assert!(stopped || server.refusal.is_some(), "{self:?} {honest_first}: {}", server.said);
            return Expected::Nobody;
        };
        let first = String::from_utf8_lossy(&first).into_owned();
        let bare = first.splitn(3, ',').nth(2).unwrap_or_default().to_owned();
        let sent_header = &first[..first.len() - bare.len()];
        let mut bound = sent_header.as_bytes().to_vec();
        bound.extend_from_slice(&self.binding_data(server));
        let binding_is_honest = draw.below(8) != 7;
        if !binding_is_honest {
            bound.push(1);
        }
        let nonce_is_honest = draw.below(8) != 7;
        let nonce = if nonce_is_honest { challenge.nonce.clone() } else { format!("{}x", challenge.nonce) };
        let more = draw.one(&["", ",x=1"]);
        let without_proof = format!("c={},r={nonce}{more}", STANDARD.encode(bound));
        let (proof, servers) = scram::proofs(self.hash, self.password, &bare, &challenge, &without_proof);
        let honest_last = format!("{without_proof},p={}", STANDARD.encode(proof));
        let last = changed(honest_last.clone(), draw);
        let last_is_honest = last == honest_last.as_bytes() && binding_is_honest && nonce_is_honest;
        server.hear(&format!(
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
            STANDARD.encode(&last)
        ));
        if let Some(said) = server.success() {
            assert_eq!(said, format!("v={}", STANDARD.encode(servers)), "the server's own proof");
        }
        let owner = PEOPLE.into_iter().find(|(_, password)| *password == self.password);
        match owner {
            Some((account, _)) if last_is_honest && !first_is_honest => Expected::Either(account.to_owned()),
            Some((account, _)) if last_is_honest && self.is_honest(server) => {
                Expected::Account(account.to_owned())
            }
            _ => Expected::Nobody,
        }
    }

    /// Whether all that the client says is right, for an account that has the keys.
    fn is_honest(&self, server: &Server) -> bool {
        let account = BareJid::from_parts(Some(self.username), DOMAIN).ok();
        let Some(account) = account.filter(|_| server.offers(self.mechanism) && server.refusal.is_none())
        else {
            return false;
        };
        let has_keys = accounts::credentials(&account).is_some_and(|kept| kept.keys(self.hash).is_some());
        let right = accounts::password(&account) == Some(self.password) && has_keys;
        let itself = self.authzid.is_empty() || BareJid::new(self.authzid).as_ref() == Ok(&account);
        let flag = match (self.mechanism, self.flag) {
            (Mechanism::ScramPlus(_), "p=tls-exporter") => server.facts.exporter.is_some(),
            (Mechanism::ScramPlus(_), "p=tls-server-end-point") => server.facts.end_point.is_some(),
            (Mechanism::Scram(_), "n") => true,
            (Mechanism::Scram(_), "y") => !server.offers_plus(),
            _ => false,
        };
        right && itself && flag
    }

    fn binding_data(&self, server: &Server) -> Vec<u8> {
        let facts = &server.facts;
        match self.flag {
            "p=tls-exporter" => facts.exporter.map(|data| data.to_vec()).unwrap_or_default(),
            "p=tls-server-end-point" => facts.end_point.clone().unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

//! The clients of an account: who they are, the tokens that let them in again (XEP-0484), who may go on (XEP-0494).

use std::time::{Duration, SystemTime};

use step::{Card, Reply, SessionId, Sessions, Step, Stop};
use store::{ClientRecord, TokenRecord, Write};
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::BareJid;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;
use xmpp::{datetime, ns};

/// Client access management.
pub const CARD: Card = Card {
    xep: 494,
    version: "0.1.0",
    title: "Client Access Management",
    account: &[ns::CLIENT_ACCESS],
    ..Card::PLAIN
};

/// Tokens.
pub const TOKENS_CARD: Card = Card {
    xep: 484,
    version: "0.2.0",
    title: "Fast Authentication Streamlining Tokens",
    note: "HT-SHA-256-EXPR, -ENDP and -NONE. Not in TLS early data.",
    ..Card::PLAIN
};

/// That a known client has logged in is written down no more often than this, if nothing else has changed.
const SEEN_EVERY: Duration = Duration::from_secs(600);

/// A token is replaced once it is older than this, or than half of its time (XEP-0484 §3.5).
const ROTATE_AFTER: Duration = Duration::from_secs(DAY);

const DAY: u64 = 24 * 60 * 60;

/// The clients of one account.
#[derive(Debug, Default)]
pub struct Clients(Vec<ClientRecord>);

/// A client logs in.
#[derive(Debug)]
pub struct Login {
    /// The id of its user agent.
    pub id: String,
    /// The software, if it says so.
    pub software: Option<String>,
    /// The device, if it says so.
    pub device: Option<String>,
    /// How it has proven whose client it is.
    pub proof: Proof,
    /// The mechanism for which it wants a token.
    pub wants_token: Option<&'static str>,
}

/// How a client has proven whose it is.
#[derive(Debug)]
pub enum Proof {
    /// With the password.
    Password,
    /// With a certificate.
    Certificate,
    /// With a token.
    Token {
        /// What the token is derived from.
        seed: String,
        /// The number of this use, if the client counts.
        count: Option<u32>,
        /// Whether it is the last.
        invalidate: bool,
    },
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not, or no longer, one of the client's; or the client has used it with this count before.
    NotAuthorized,
    /// Its time is over.
    Expired,
}

/// A token that is given to a client: what it is derived from, and when its time is over.
pub type Given = (String, SystemTime);

impl Clients {
    /// The clients as the store knows them.
    pub fn load(records: Vec<ClientRecord>) -> Self {
        Clients(records)
    }

    /// The account has another password, which no client has shown yet; tokens came of the old one. The write of the
    /// new keys says the same to the store.
    pub fn password_changed(&mut self) {
        for client in &mut self.0 {
            (client.by_password, client.current, client.next) = (false, None, None);
        }
    }

    /// A client is in, unless its token is not good (any more). Returns the token that it is given.
    ///
    /// # Errors
    /// Why its token is not good; nothing has changed then.
    pub fn enter(
        &mut self,
        account: &BareJid,
        login: Login,
        sessions: &Sessions,
        step: &mut Step<'_>,
    ) -> Result<Option<Given>, Refusal> {
        let known = self.0.iter().position(|client| client.id == login.id);
        let before = known.map(|place| self.0[place].clone());
        let mut client = before.clone().unwrap_or_else(|| newcomer(&login.id, step));
        let mut given = None;
        match &login.proof {
            Proof::Password => client.by_password = true,
            Proof::Certificate => client.by_certificate = true,
            Proof::Token { seed, count, invalidate } => {
                use_token(&mut client, seed, *count, step.wall)?;
                if *invalidate {
                    // XEP-0484 §3.6: and its successor, which the client may never have heard of.
                    (client.current, client.next) = (None, None);
                } else if let Some(due) = client.current.as_ref().filter(|token| is_due(token, step)) {
                    given = Some(token(&due.mechanism, step));
                }
            }
        }
        if let Some(mechanism) = login.wants_token {
            given = Some(token(mechanism, step));
        }
        if let Some(given) = &given {
            // XEP-0484 §3.5: what was given before and has not been used is worth nothing from now on.
            client.next = Some(given.clone());
        }
        describe(&mut client, &login, step);
        let told = given.map(|token| (token.seed, token.expires));
        if self.has_changed(before.as_ref(), &mut client, step.wall) {
            let client = Box::new(client.clone());
            step.write(Write::ClientPut { account: account.clone(), client });
        }
        match known {
            Some(place) => self.0[place] = client,
            None => self.0.push(client),
        }
        self.clear(account, &login.id, sessions, step);
        Ok(told)
    }

    /// Whether something is to be written down, and when the client was seen with it.
    fn has_changed(&self, before: Option<&ClientRecord>, client: &mut ClientRecord, now: SystemTime) -> bool {
        let seen = client.last_seen;
        let long_ago = now.duration_since(seen).map_or(true, |since| since >= SEEN_EVERY);
        let changed = before != Some(client) || long_ago;
        client.last_seen = now;
        changed
    }

    /// Forgets clients that have not been seen for too long, and those that are too many: the longest gone first. Never
    /// `newest`, nor one that is connected.
    fn clear(&mut self, account: &BareJid, newest: &str, sessions: &Sessions, step: &mut Step<'_>) {
        let limits = &step.domain.limits;
        let (most, kept) = (limits.clients_per_account.max(1), days(limits.client_days));
        let oldest = step.wall.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
        let may_go = |client: &ClientRecord| client.id != newest && !is_connected(&client.id, sessions);
        loop {
            let (place, gone) = {
                let free = self.0.iter().enumerate().filter(|(_, client)| may_go(client));
                let Some((place, gone)) = free.min_by_key(|(_, client)| client.last_seen) else { return };
                if self.0.len() <= most && gone.last_seen >= oldest {
                    return;
                }
                (place, gone.id.clone())
            };
            self.0.remove(place);
            step.write(Write::ClientRemove { account: account.clone(), client: gone });
        }
    }
}

fn days(number: u32) -> Duration {
    Duration::from_secs(u64::from(number) * DAY)
}

fn newcomer(id: &str, step: &Step<'_>) -> ClientRecord {
    ClientRecord {
        id: id.to_owned(),
        handle: step.new_id(),
        first_seen: step.wall,
        last_seen: step.wall,
        software: None,
        device: None,
        by_password: false,
        by_certificate: false,
        current: None,
        next: None,
    }
}

/// What the client says of itself today, as much as is to be kept of that (XEP-0494 §6).
fn describe(client: &mut ClientRecord, login: &Login, step: &Step<'_>) {
    let chars = step.domain.limits.client_details_chars;
    let kept = |told: &Option<String>| {
        let text: String = told.as_deref()?.chars().filter(|char| !char.is_control()).take(chars).collect();
        (!text.is_empty()).then_some(text)
    };
    (client.software, client.device) = (kept(&login.software), kept(&login.device));
}

/// A token is used (XEP-0484 §5.1).
fn use_token(
    client: &mut ClientRecord,
    seed: &str,
    count: Option<u32>,
    now: SystemTime,
) -> Result<(), Refusal> {
    let is_it = |token: &&TokenRecord| token.seed == seed;
    let is_next = client.next.as_ref().filter(is_it).is_some();
    let slot = if is_next { &client.next } else { &client.current };
    let mut token = slot.as_ref().filter(is_it).ok_or(Refusal::NotAuthorized)?.clone();
    if token.expires <= now {
        return Err(Refusal::Expired);
    }
    if let Some(count) = count {
        // XEP-0484 §3.4: it has to grow.
        if token.count.is_some_and(|known| count <= known) {
            return Err(Refusal::NotAuthorized);
        }
        token.count = Some(count);
    }
    if is_next {
        client.next = None;
    }
    client.current = Some(token);
    Ok(())
}

fn token(mechanism: &str, step: &Step<'_>) -> TokenRecord {
    let expires = step.wall + days(step.domain.limits.token_days);
    TokenRecord { seed: step.new_id(), mechanism: mechanism.to_owned(), expires, count: None }
}

fn is_due(token: &TokenRecord, step: &Step<'_>) -> bool {
    let lifetime = days(step.domain.limits.token_days);
    let left = token.expires.duration_since(step.wall).unwrap_or_default();
    !lifetime.is_zero() && lifetime.saturating_sub(left) >= ROTATE_AFTER.min(lifetime / 2)
}

fn is_connected(id: &str, sessions: &Sessions) -> bool {
    sessions.iter().any(|session| session.client.as_deref() == Some(id))
}

/// Answers the account itself: its clients, or that one of them has access no more.
///
/// # Errors
/// `bad-request`; `item-not-found`; `service-unavailable` for a client that could come back all the same.
pub fn answer_own(
    clients: &mut Clients,
    sessions: &Sessions,
    account: &BareJid,
    session: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    match (iq.type_, iq.has(ns::CLIENT_ACCESS, "list"), iq.element(ns::CLIENT_ACCESS, "revoke")) {
        (Type::Get, true, None) => Ok(Reply::Result(list(clients, sessions, step.wall))),
        (Type::Set, false, Some(revoke)) => {
            let handle = revoke.attr("id").filter(|id| !id.is_empty()).ok_or(Condition::BadRequest)?;
            let place = revocable(clients, sessions, handle)?;
            let client = clients.0.remove(place).id;
            step.to_session(session, iq.result());
            for session in sessions.iter().filter(|session| session.client.as_deref() == Some(&*client)) {
                step.close(session.id, revoked());
            }
            step.write(Write::ClientRemove { account: account.clone(), client });
            Ok(Reply::Later)
        }
        _ => Err(Condition::BadRequest.into()),
    }
}

/// The client of this handle, if taking its tokens takes its access (§3.2).
fn revocable(clients: &Clients, sessions: &Sessions, handle: &str) -> Result<usize, Stop> {
    let place = clients.0.iter().position(|client| client.handle == handle);
    let unnamed = sessions.iter().any(|session| session.client.is_none() && unnamed(session.id) == handle);
    let knows_password = match place {
        Some(place) => clients.0[place].by_password,
        None if unnamed => true,
        None => return Err(Condition::ItemNotFound.into()),
    };
    let mut error = StanzaError::new(Condition::ServiceUnavailable);
    if knows_password {
        error.app = Some(Box::new(Element::new(ns::CLIENT_ACCESS, "password-reset-required")));
        return Err(error.into());
    }
    match place.filter(|place| !clients.0[*place].by_certificate) {
        Some(place) => Ok(place),
        None => {
            error.text = Some("Its certificate would let it in again.".to_owned());
            Err(error.into())
        }
    }
}

fn revoked() -> StreamError {
    StreamError {
        condition: StreamCondition::NotAuthorized,
        text: Some("This client's access was revoked.".to_owned()),
        app: None,
    }
}

/// Who has access (§3.1), and who is connected without having said which client it is.
fn list(clients: &Clients, sessions: &Sessions, now: SystemTime) -> Element {
    let mut list = Element::new(ns::CLIENT_ACCESS, "clients");
    for client in &clients.0 {
        let connected = is_connected(&client.id, sessions);
        let lives = |token: &Option<TokenRecord>| token.as_ref().is_some_and(|token| token.expires > now);
        let tokens = lives(&client.current) || lives(&client.next);
        if connected || client.by_password || client.by_certificate || tokens {
            list.push(shown(client, connected, tokens));
        }
    }
    for session in sessions.iter().filter(|session| session.client.is_none()) {
        let shown = entry(&unnamed(session.id), true)
            .with_child(child("last-seen").with_text(&datetime::format(now)))
            .with_child(child("auth"))
            .with_child(child("permission").with_attr("status", "unrestricted"));
        list.push(shown);
    }
    list
}

fn shown(client: &ClientRecord, connected: bool, tokens: bool) -> Element {
    let mut auth = child("auth");
    if client.by_password {
        auth.push(child("password"));
    }
    if tokens {
        auth.push(child("fast"));
    }
    if client.by_certificate {
        auth.push(Element::new(ns::SASL, "mechanism").with_text("EXTERNAL"));
    }
    let told = |name, text: &Option<String>| Some(child(name).with_text(text.as_deref()?));
    let agent = [told("software", &client.software), told("device", &client.device)];
    entry(&client.handle, connected)
        .with_child(child("first-seen").with_text(&datetime::format(client.first_seen)))
        .with_child(child("last-seen").with_text(&datetime::format(client.last_seen)))
        .with_child(auth)
        .with_child(child("permission").with_attr("status", "unrestricted"))
        .with_child(child("user-agent").with_children(agent.into_iter().flatten()))
}

fn entry(handle: &str, connected: bool) -> Element {
    child("client")
        .with_attr("id", handle)
        .with_attr("connected", if connected { "true" } else { "false" })
        .with_attr("type", "session")
}

fn child(name: &'static str) -> Element {
    Element::new(ns::CLIENT_ACCESS, name)
}

/// What a connection is called that has not said which client it is.
fn unnamed(session: SessionId) -> String {
    format!("connection-{}", session.0)
}

#[cfg(test)]
mod tests;

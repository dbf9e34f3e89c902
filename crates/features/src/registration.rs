//! In-band registration (XEP-0077): making an account, changing its password, giving it up.

use step::{Asked, Card, Domain, Reply, Return, Returned, SessionId, Sessions, Step, Stop, Work};
use store::Write;
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::secret::Password;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 77,
    version: "2.4",
    title: "In-Band Registration",
    host: &[ns::REGISTER],
    note: "Registration by strangers is off by default; password change and removal are on.",
    ..Card::PLAIN
};

/// What one of our accounts wants.
#[derive(Debug)]
pub enum Wish {
    /// To see its registration.
    Form,
    /// A new password, prepared.
    NewPassword(Password),
    /// To be removed.
    Removal,
}

/// What somebody who has not logged in wants.
#[derive(Debug)]
pub enum Request {
    /// To see what must be told; this is the answer.
    Form(Element),
    /// A new account with this prepared password; whether the address is free is the caller's to find out (`conflict`).
    Create {
        /// The address wished for.
        account: BareJid,
        /// Its password.
        password: Password,
    },
}

/// Reads what one of our accounts wants of its own registration.
///
/// # Errors
/// `bad-request`; `not-allowed` for somebody else's password; `not-acceptable` for a password that RFC 8265 forbids.
pub fn wish(account: &BareJid, iq: &Stanza) -> Result<Wish, Stop> {
    let query = iq.element(ns::REGISTER, "query").ok_or(Condition::BadRequest)?;
    match iq.type_ {
        Type::Get => return Ok(Wish::Form),
        Type::Set => {}
        _ => return Err(Condition::BadRequest.into()),
    }
    if query.child(ns::REGISTER, "remove").is_some() {
        // XEP-0077 §3.2
        return match query.children().count() {
            1 => Ok(Wish::Removal),
            _ => Err(Condition::BadRequest.into()),
        };
    }
    // XEP-0077 §3.3: both are needed, and an empty password changes nothing.
    let username = field(&query, "username").ok_or(Condition::BadRequest)?;
    let password = field(&query, "password").ok_or(Condition::BadRequest)?;
    let is_own = BareJid::from_parts(Some(&username), account.domain())
        .or_else(|_| BareJid::new(&username)) // the form's example names the whole address
        .is_ok_and(|named| named == *account);
    if !is_own {
        return Err(Condition::NotAllowed.into());
    }
    Ok(Wish::NewPassword(prepared(&password)?))
}

/// Answers that the account is registered (XEP-0077 §3.1). Its password is not told.
pub fn answer_form(account: &BareJid) -> Reply {
    Reply::Result(
        Element::new(ns::REGISTER, "query")
            .with_child(Element::new(ns::REGISTER, "registered"))
            .with_child(Element::new(ns::REGISTER, "username").with_text(account.local().unwrap_or_default()))
            .with_child(Element::new(ns::REGISTER, "password")),
    )
}

/// Has the keys of a new password computed.
pub fn change_password(password: Password, iq: &Stanza, step: &mut Step<'_>) -> Reply {
    step.work(Work::Keys(password), Return::PasswordChange(Box::new(bare_question(iq))));
    Reply::Later
}

/// Stores the new keys and tells the asker that the password has changed.
#[allow(clippy::boxed_local)] // as it comes, in its Return
pub fn returned(account: &BareJid, sessions: &Sessions, asked: Asked, came: Returned, step: &mut Step<'_>) {
    let error = match came {
        Returned::Keys(credentials) => {
            step.write(Write::AccountCredentials { account: account.clone(), credentials });
            step.route(asked.result());
            end_others(sessions, asked.from.as_ref(), step);
            return;
        }
        Returned::Refused(error) => error,
        _ => StanzaError::new(Condition::InternalServerError),
    };
    if let Some(error) = asked.error_reply(&error) {
        step.route(error);
    }
}

/// The password has changed: whoever was let in with the old one logs in anew, except the one who has changed it.
pub fn end_others(sessions: &Sessions, asker: Option<&Jid>, step: &mut Step<'_>) {
    let others = sessions.iter().filter(|session| asker.is_none_or(|asker| *asker != *session.jid));
    for session in others {
        // RFC 6120 §4.9.3.16: what was agreed on no longer holds.
        let error = StreamError {
            condition: StreamCondition::Reset,
            text: Some("The password has been changed".to_owned()),
            app: None,
        };
        step.close(session.id, error);
    }
}

/// Removes the account: the asker hears that it is done, all sessions end, and everything that is stored of it goes
/// (XEP-0077 §3.2). The caller has said goodbye to its contacts before.
pub fn remove(
    account: &BareJid,
    sessions: &Sessions,
    asker: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Reply {
    step.write(Write::AccountRemove { account: account.clone() });
    step.to_session(asker, iq.result());
    for session in sessions.iter() {
        step.close(session.id, removed());
    }
    Reply::Later
}

/// The end of a stream whose account is gone (XEP-0077 §3.2).
fn removed() -> StreamError {
    StreamError {
        condition: StreamCondition::NotAuthorized,
        text: Some("The account has been removed".to_owned()),
        app: None,
    }
}

/// Answers those who have their account elsewhere: ours is not a service to register with.
///
/// # Errors
/// `registration-required` for the removal of what is not there (XEP-0077 §3.2); else `service-unavailable`.
pub fn answer_other(iq: &Stanza) -> Result<Reply, Stop> {
    let query = iq.element(ns::REGISTER, "query").filter(|_| iq.type_ == Type::Set);
    let removal = query.is_some_and(|query| query.child(ns::REGISTER, "remove").is_some());
    Err(if removal { Condition::RegistrationRequired } else { Condition::ServiceUnavailable }.into())
}

/// Reads what somebody wants who has not logged in (XEP-0077 §3.1).
///
/// # Errors
/// While registration is closed `service-unavailable` for a question and `not-allowed` for an order;
/// `not-acceptable` for missing, empty or impossible names and passwords; `unexpected-request` for a removal before
/// login; `bad-request`.
pub fn request(domain: &Domain, iq: &Stanza) -> Result<Request, StanzaError> {
    let query = iq.element(ns::REGISTER, "query").ok_or(Condition::BadRequest)?;
    match iq.type_ {
        Type::Get if domain.registration_open => return Ok(Request::Form(form())),
        Type::Get => return Err(Condition::ServiceUnavailable.into()),
        Type::Set if query.child(ns::REGISTER, "remove").is_some() => {
            return Err(Condition::UnexpectedRequest.into());
        }
        Type::Set if domain.registration_open => {}
        Type::Set => return Err(Condition::NotAllowed.into()),
        _ => return Err(Condition::BadRequest.into()),
    }
    let username = field(&query, "username").ok_or(Condition::NotAcceptable)?;
    let password = field(&query, "password").ok_or(Condition::NotAcceptable)?;
    let account = BareJid::from_parts(Some(&username), domain.name())
        .map_err(|_| StanzaError::new(Condition::NotAcceptable))?;
    Ok(Request::Create { account, password: prepared(&password)? })
}

/// What must be told to register: a name and a password.
pub fn form() -> Element {
    Element::new(ns::REGISTER, "query")
        .with_child(
            Element::new(ns::REGISTER, "instructions")
                .with_text("Choose a username and password for use with this service."),
        )
        .with_child(Element::new(ns::REGISTER, "username"))
        .with_child(Element::new(ns::REGISTER, "password"))
}

/// A field's value, from the form if there is one, which goes before the elements (XEP-0077 §4); `None` if it is
/// missing or empty.
fn field(query: &Element, name: &str) -> Option<String> {
    let text = match query.child(ns::FORMS, "x") {
        Some(form) => form
            .children()
            .find(|field| field.is(ns::FORMS, "field") && field.attr("var") == Some(name))?
            .child(ns::FORMS, "value")?
            .text(),
        None => query.child(ns::REGISTER, name)?.text(),
    };
    Some(text).filter(|text| !text.is_empty())
}

fn prepared(password: &str) -> Result<Password, StanzaError> {
    xmpp::jid::prepare_password(password)
        .map(Password::new)
        .map_err(|_| StanzaError::new(Condition::NotAcceptable))
}

/// The iq without its payload: a password is neither kept nor sent back in an error (XEP-0077 §3.3).
fn bare_question(iq: &Stanza) -> Stanza {
    iq.clone().without(ns::REGISTER, "query")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, credentials, domain, error, iq, jid, routed, sessions, shown, stepped};
    use step::{Act, Question};

    fn query(inner: &str) -> String {
        format!("<query xmlns='jabber:iq:register'>{inner}</query>")
    }

    fn set(inner: &str) -> Stanza {
        iq(Type::Set, &query(inner)).with_from(jid("alice@one.test/phone"))
    }

    fn wished(inner: &str) -> String {
        match wish(&bare("alice@one.test"), &set(inner)) {
            Ok(Wish::NewPassword(password)) => format!("password {}", password.reveal()),
            Ok(other) => format!("{other:?}"),
            Err(stop) => shown(Err(stop)),
        }
    }

    #[test]
    fn wishes_are_read() {
        let get = iq(Type::Get, &query(""));
        assert!(matches!(wish(&bare("alice@one.test"), &get), Ok(Wish::Form)));
        let new = "<username>alice</username><password>new</password>";
        assert_eq!(wished(new), "password new");
        let capital = "<username>Alice</username><password>new</password>";
        assert_eq!(wished(capital), "password new");
        assert_eq!(
            wished(
                "<x xmlns='jabber:x:data' type='submit'>\
                 <field var='username'><value>alice@one.test</value></field>\
                 <field var='password'><value>new</value></field></x>"
            ),
            "password new"
        );
        assert_eq!(wished("<remove/>"), "Removal");
    }

    #[test]
    fn wishes_are_refused() {
        assert_eq!(wished("<remove/><username>alice</username>"), "bad-request");
        assert_eq!(wished("<username>alice</username>"), "bad-request");
        assert_eq!(wished("<username>alice</username><password/>"), "bad-request");
        assert_eq!(wished("<password>new</password>"), "bad-request");
        assert_eq!(wished("<username>bob</username><password>new</password>"), "not-allowed");
        let strange = "<username>alice</username><password>a\u{ad}b</password>";
        assert_eq!(wished(strange), "not-acceptable");
        assert_eq!(shown(answer_other(&iq(Type::Get, &query("")))), "service-unavailable");
        assert_eq!(shown(answer_other(&set("<remove/>"))), "registration-required");
    }

    #[test]
    fn the_registration_is_told_without_the_password() {
        let Reply::Result(query) = answer_form(&bare("alice@one.test")) else { panic!() };
        assert!(query.child(ns::REGISTER, "registered").is_some());
        assert_eq!(query.child(ns::REGISTER, "username").map(Element::text).as_deref(), Some("alice"));
        assert_eq!(query.child(ns::REGISTER, "password").map(Element::text).as_deref(), Some(""));
    }

    #[test]
    fn a_password_is_changed_once_its_keys_are_there() {
        let order = set("<username>alice</username><password>new</password>");
        let (reply, mut left) = stepped(|step| change_password(Password::new("new"), &order, step));
        assert_eq!(shown(Ok(reply)), "later");
        let Some(Act::Ask(Question::Work(Work::Keys(password)), Return::PasswordChange(asked))) =
            left.acts.pop()
        else {
            panic!("no work")
        };
        assert_eq!(password.reveal(), "new");
        assert_eq!(asked.child_count(), 0, "the password is not kept");

        let alice = bare("alice@one.test");
        let came = Returned::Keys(credentials());
        let devices = sessions(&["alice@one.test/phone", "alice@one.test/laptop"]);
        let mut from_phone = asked.clone();
        from_phone.from = Some(jid("alice@one.test/phone"));
        let (_, left) = stepped(|step| returned(&alice, &devices, from_phone, came, step));
        let closed = left.acts.iter().filter_map(|act| match act {
            Act::Close(session, error) => Some((session.0, error.condition)),
            _ => None,
        });
        assert_eq!(closed.collect::<Vec<_>>(), [(1, StreamCondition::Reset)]);
        assert!(matches!(&left.writes[..], [Write::AccountCredentials { account, .. }] if *account == alice));
        assert_eq!(routed(&left)[0].type_, Type::Result);

        let came = Returned::Refused(Condition::ResourceConstraint.into());
        let (_, left) = stepped(|step| returned(&alice, &devices, asked, came, step));
        assert!(left.writes.is_empty());
        assert_eq!(error(&routed(&left)[0]).map(|e| e.condition), Some(Condition::ResourceConstraint));
    }

    #[test]
    fn a_removed_account_ends_all_its_sessions_after_the_answer() {
        let devices = sessions(&["alice@one.test/phone", "alice@one.test/laptop"]);
        let alice = bare("alice@one.test");
        let order = set("<remove/>");
        let (_, left) = stepped(|step| remove(&alice, &devices, SessionId(0), &order, step));
        assert!(matches!(&left.writes[..], [Write::AccountRemove { account }] if *account == alice));
        let [Act::Deliver(SessionId(0), result), Act::Close(SessionId(0), end), Act::Close(SessionId(1), _)] =
            &left.acts[..]
        else {
            panic!("{:?}", left.acts)
        };
        assert_eq!(result.type_, Type::Result);
        assert_eq!(end.condition, StreamCondition::NotAuthorized);
    }

    fn requested(open: bool, iq: &Stanza) -> String {
        let mut domain = domain();
        domain.registration_open = open;
        match request(&domain, iq) {
            Ok(Request::Form(form)) => form.children().map(Element::name).collect::<Vec<_>>().join(" "),
            Ok(Request::Create { account, password }) => format!("{account} {}", password.reveal()),
            Err(error) => shown(Err(error.into())),
        }
    }

    #[test]
    fn strangers_register_while_it_is_open() {
        let get = iq(Type::Get, &query(""));
        let bill = set("<username>Bill</username><password>Calliope</password>");
        assert_eq!(requested(true, &get), "instructions username password");
        assert_eq!(requested(true, &bill), "bill@one.test Calliope");
        assert_eq!(requested(false, &get), "service-unavailable");
        assert_eq!(requested(false, &bill), "not-allowed");
        for (inner, expected) in [
            ("<username>bill</username>", "not-acceptable"),
            ("<password>p</password>", "not-acceptable"),
            ("<username>bill</username><password></password>", "not-acceptable"),
            ("<username>b@ll</username><password>p</password>", "not-acceptable"),
            ("<remove/>", "unexpected-request"),
        ] {
            assert_eq!(requested(true, &set(inner)), expected, "{inner}");
        }
        assert_eq!(requested(true, &iq(Type::Get, "<other xmlns='x'/>")), "bad-request");
    }
}

//! Who gets what comes back: rows that were read, keys that were derived, messages that have left.

use features::{archive, caps, offline, private, push, registration, vcard};
use pubsub::{news, pep};
use step::{Return, Returned, Step};

use crate::account::{self, Account};
use crate::{moments, resumption};

/// Something that an account wished for has come.
pub fn to_account(a: &mut Account, back: Return, what: Returned, step: &mut Step<'_>) {
    match (back, what) {
        (Return::Offline(session), Returned::Offline(rows)) => {
            let identified = |message, seq| archive::identified(&a.archive, &a.jid, message, seq);
            offline::read(&mut a.held, &a.jid, &mut a.sessions, session, rows, &identified, step);
        }
        (Return::Offline(session), _) => offline::unreadable(session, step),
        (Return::OfflineAgain(session), _) => offline::again(&a.held, &a.jid, session, step),
        (Return::OfflineLeft(up_to), _) => offline::left(&mut a.held, &a.jid, &mut a.sessions, up_to, step),
        (Return::Resumption(session, turn), _) => {
            if resumption::is_in_vain(a, session, turn) {
                moments::session_over(a, session, step);
            }
        }
        (Return::Archive(session, asked), what) => {
            archive::returned(&a.archive, &a.jid, session, asked, what, step);
        }
        (Return::ArchiveEnds { last }, Returned::ArchiveEnds(ends)) => {
            archive::ends_returned(&mut a.archive, &a.jid, last, ends, step);
        }
        // They are not told until then.
        (Return::ArchiveEnds { .. }, _) => {}
        (Return::Retraction(retraction), what) => {
            archive::retraction_returned(&a.jid, &retraction, what, step);
        }
        (Return::Nodes(asked), what) => {
            a.with_nodes(|nodes, owner| pep::returned(nodes, owner, asked, what, step));
            a.push.heed_settings(step.writes());
        }
        (Return::News(to, wanted), what) => {
            a.with_nodes(|nodes, owner| news::returned(nodes, owner, *to, wanted, what, step));
        }
        (Return::NewsAgain(to, wanted), _) => {
            a.with_nodes(|_, owner| news::again(owner, *to, wanted, step));
        }
        (Return::Capabilities(session, told), what) => {
            let learnt = caps::clients::returned(&mut a.sessions, &a.jid, session, told, what, step);
            moments::learnt(a, learnt, step);
        }
        (Return::Push, _) => {
            let away = account::away(&a.sessions, &a.doors, step.wall);
            push::look_again(&mut a.push, &away, a.roster.pending_count(), &a.jid, step);
        }
        (Return::VCard(asked), what) => vcard::returned(&a.jid, asked, what, step),
        (Return::Private(asked), what) => private::returned(&a.jid, asked, what, step),
        (Return::PasswordChange(asked), what) => {
            if matches!(what, Returned::Keys(_)) {
                a.clients.password_changed();
            }
            registration::returned(&a.jid, &a.sessions, asked, what, step)
        }
        // Commands are asked for by a domain, never by an account.
        (Return::Command(_), _) => {}
    }
}

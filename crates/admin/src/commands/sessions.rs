//! Who is connected, and ending that.

use futures_util::future::BoxFuture;
use xmpp::jid::Jid;

use super::{ADDRESSES, Arguments, Command, Layout, Lines, Refused, line, ours};
use crate::desk::Desk;

/// Lists who is online.
pub const LIST: Command = Command {
    name: "get-online-users-list",
    words: &["session", "list"],
    doc: "List the devices that are connected",
    arguments: &[super::COUNT],
    layout: Layout::Values,
    run: list,
};

/// Counts who is online.
pub const COUNT: Command = Command {
    name: "get-online-users-num",
    words: &[],
    doc: "Count the accounts that are connected",
    arguments: &[],
    layout: Layout::Values,
    run: count,
};

/// Ends sessions.
pub const END: Command = Command {
    name: "end-user-session",
    words: &["session", "end"],
    doc: "End the sessions of accounts (alice@example.org), or of single devices (alice@example.org/phone)",
    arguments: &[ADDRESSES],
    layout: Layout::Deeds,
    run: end,
};

fn list<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let online = desk.online().await?;
        Ok(online.into_iter().take(arguments.count()?).map(|jid| line("session", jid)).collect())
    })
}

fn count<'a>(desk: &'a dyn Desk, _: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let mut accounts: Vec<_> = desk.online().await?.iter().map(|jid| jid.bare()).collect();
        accounts.dedup();
        Ok(vec![line("online", accounts.len())])
    })
}

fn end<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let mut addresses = Vec::new();
        for text in arguments.all(ADDRESSES.name) {
            let jid = Jid::new(text).map_err(|_| Refused(format!("`{text}` is not an address")))?;
            ours(desk, &jid)?;
            addresses.push(jid);
        }
        let mut lines = Vec::new();
        for jid in addresses {
            desk.end_sessions(jid.clone()).await?;
            lines.push(line("ended", jid));
        }
        Ok(lines)
    })
}

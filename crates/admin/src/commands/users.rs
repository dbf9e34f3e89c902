//! Adding and removing people, their passwords, and lists of them.

use std::time::SystemTime;

use futures_util::future::BoxFuture;
use xmpp::jid::BareJid;

use super::{ACCOUNT, ADDRESSES, Arguments, Command, DOMAIN, Layout, Lines, Refused, account, line};
use crate::desk::Desk;

/// Makes an account.
pub const ADD: Command = Command {
    name: "add-user",
    words: &["user", "add"],
    doc: "Make an account; the password is asked for, or read from standard input",
    arguments: &[ACCOUNT, super::PASSWORD],
    layout: Layout::Deeds,
    run: add,
};

/// Changes a password.
pub const PASSWORD: Command = Command {
    name: "change-user-password",
    words: &["user", "password"],
    doc: "Change the password of an account",
    arguments: &[ACCOUNT, super::PASSWORD],
    layout: Layout::Deeds,
    run: password,
};

/// Removes accounts.
pub const REMOVE: Command = Command {
    name: "delete-user",
    words: &["user", "remove"],
    doc: "Remove accounts with everything that is kept of them",
    arguments: &[ADDRESSES],
    layout: Layout::Deeds,
    run: remove,
};

/// Lists accounts.
pub const LIST: Command = Command {
    name: "get-registered-users-list",
    words: &["user", "list"],
    doc: "List all accounts",
    arguments: &[DOMAIN, super::COUNT],
    layout: Layout::Values,
    run: list,
};

/// Counts accounts.
pub const COUNT: Command = Command {
    name: "get-registered-users-num",
    words: &[],
    doc: "Count all accounts",
    arguments: &[],
    layout: Layout::Values,
    run: count,
};

/// When people were last there.
pub const LAST_LOGIN: Command = Command {
    name: "get-user-lastlogin",
    words: &["user", "last-login"],
    doc: "Show when the owner of an account was last online",
    arguments: &[ADDRESSES],
    layout: Layout::Table,
    run: last_login,
};

fn add<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let account = arguments.account(desk)?;
        desk.add_user(account.clone(), arguments.password()?).await?;
        Ok(vec![line("added", account)])
    })
}

fn password<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let account = arguments.account(desk)?;
        desk.set_password(account.clone(), arguments.password()?).await?;
        Ok(vec![line("password changed", account)])
    })
}

fn remove<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        // All are looked at before one is removed: a slip of the pen should not leave half of the work done.
        let accounts = accounts(desk, arguments)?;
        let mut lines = Vec::new();
        for account in accounts {
            desk.remove_user(account.clone()).await?;
            lines.push(line("removed", account));
        }
        Ok(lines)
    })
}

fn list<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let max = arguments.count()?;
        let mut domains = desk.domains();
        if let Some(wanted) = arguments.one(DOMAIN.name) {
            domains.retain(|domain| domain == wanted);
            if domains.is_empty() {
                return Err(Refused(format!("`{wanted}` is not served here")));
            }
        }
        let mut lines = Vec::new();
        for domain in domains {
            lines.extend(desk.users(domain).await?.into_iter().map(|user| line("account", user)));
        }
        lines.truncate(max);
        Ok(lines)
    })
}

fn count<'a>(desk: &'a dyn Desk, _: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let mut count = 0;
        for domain in desk.domains() {
            count += desk.users(domain).await?.len();
        }
        Ok(vec![line("accounts", count)])
    })
}

/// XEP-0133 §4.8
fn last_login<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let mut lines = Vec::new();
        for account in accounts(desk, arguments)? {
            let seen = desk.last_seen(account.clone()).await?;
            lines.push(line("accountjids", account));
            lines.push(line("lastlogin", seen.map_or_else(|| "never".to_owned(), stamp)));
        }
        Ok(lines)
    })
}

fn accounts(desk: &dyn Desk, arguments: &Arguments) -> Result<Vec<BareJid>, Refused> {
    arguments.all(ADDRESSES.name).map(|address| account(desk, address)).collect()
}

fn stamp(at: SystemTime) -> String {
    xmpp::datetime::format(at)
}

//! What is kept of conversations, cleared away before its time.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{ACCOUNT, Argument, Arguments, Command, Input, Layout, Lines, Refused, SURE, line};
use crate::desk::{Desk, is_missing, unreadable};

const DAY: Duration = Duration::from_secs(86_400);

const DAYS: Argument = Argument {
    name: "days",
    shown: "DAYS",
    input: Input::Days,
    required: false,
    doc: "Only messages that are older than so many days",
};

/// Clears an archive away.
pub const PURGE: Command = Command {
    name: "purge-archive",
    words: &["archive", "purge"],
    doc: "Clear the archive of an account away, or what of it is older than so many days",
    arguments: &[ACCOUNT, DAYS, SURE],
    layout: Layout::Table,
    run: purge,
};

fn purge<'a>(desk: &'a dyn Desk, arguments: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let account = arguments.account(desk)?;
        let found = desk.store().account(&account).await.map_err(|error| unreadable(&error))?;
        if found.is_none() {
            return Err(is_missing(&account));
        }
        let days = arguments.one(DAYS.name).map(|days| {
            days.parse::<u32>().map_err(|_| Refused(format!("`{days}` is not a number of days")))
        });
        let older_than = days.transpose()?.map_or(Duration::ZERO, |days| DAY.saturating_mul(days));
        if arguments.one(SURE.name) != Some(account.as_str()) {
            return Err(Refused(format!(
                "what is cleared away of {account} cannot be had back, and this was not confirmed; `--yes` confirms it"
            )));
        }
        let cleared = desk.clear_archive(account.clone(), older_than).await?;
        Ok(vec![line("cleared", &account), line("archived messages", cleared)])
    })
}

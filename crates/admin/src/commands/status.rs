//! How the server is.

use futures_util::future::BoxFuture;

use super::{Arguments, Command, Layout, Lines, Refused, line};
use crate::desk::Desk;

/// Shows how the server is.
pub const STATUS: Command = Command {
    name: "status",
    words: &["status"],
    doc: "Show whether the server runs, and how it is",
    arguments: &[],
    layout: Layout::Table,
    run: status,
};

fn status<'a>(desk: &'a dyn Desk, _: &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>> {
    Box::pin(async move {
        let mut lines =
            vec![line("version", env!("CARGO_PKG_VERSION")), line("domains", desk.domains().join(", "))];
        let mut accounts = 0;
        for domain in desk.domains() {
            accounts += desk.users(domain).await?.len();
        }
        lines.push(line("accounts", accounts));
        lines.extend(desk.status());
        Ok(lines)
    })
}

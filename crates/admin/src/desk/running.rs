//! The desk of a running server: orders go to the accounts themselves, so that sessions hear of them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use server::Node;
use server::entity::Entity;
use server::letter::Letter;
use server::memory::{Memory, Seen, mib};
use store::Store;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::secret::Password;

use super::{Desk, Lines, Outcome, Refused, exists, is_missing, unreadable};
use crate::keys;

/// How often the directory is asked again for accounts that were busy at that moment.
const LOOKS: usize = 20;

/// A running server.
#[derive(Clone)]
pub struct Running(pub Arc<Node>);

impl Running {
    /// Who is connected, as far as can be seen now, and how many accounts were too busy to be asked.
    fn look(&self) -> (Vec<FullJid>, usize) {
        let (mut online, mut busy) = (Vec::new(), 0);
        self.0.directory.visit(|_, inner| match inner.entity.as_deref() {
            Some(Entity::Account(account)) => {
                online.extend(account.sessions.iter().map(|session| session.jid.clone()))
            }
            Some(_) => {}
            None => busy += usize::from(inner.life == server::directory::Life::Claimed),
        });
        online.sort();
        (online, busy)
    }

    async fn connected(&self) -> Vec<FullJid> {
        let (mut most, _) = self.look();
        for _ in 0..LOOKS {
            let (online, busy) = self.look();
            if busy == 0 {
                return online;
            }
            if online.len() > most.len() {
                most = online;
            }
            self.0.world.clock.sleep(std::time::Duration::from_millis(5)).await;
        }
        most
    }
}

impl Desk for Running {
    fn domains(&self) -> Vec<String> {
        self.0.config.domains.clone()
    }

    fn add_user(&self, account: BareJid, password: Password) -> Outcome<'_, ()> {
        Box::pin(async move {
            let keys = keys::derive(&self.0.world, password, self.0.config.scram_iterations()).await?;
            let made = self.0.ask(&account, |asker| Letter::Create(keys, asker)).await;
            made.map_err(|error| refused(&account, &error))
        })
    }

    fn set_password(&self, account: BareJid, password: Password) -> Outcome<'_, ()> {
        Box::pin(async move {
            let keys = keys::derive(&self.0.world, password, self.0.config.scram_iterations()).await?;
            let set = self.0.ask(&account, |asker| Letter::NewPassword(keys, asker)).await;
            set.map_err(|error| refused(&account, &error))
        })
    }

    fn remove_user(&self, account: BareJid) -> Outcome<'_, ()> {
        Box::pin(async move {
            self.0.ask(&account, Letter::Remove).await.map_err(|error| refused(&account, &error))
        })
    }

    fn clear_archive(&self, account: BareJid, older_than: Duration) -> Outcome<'_, usize> {
        Box::pin(async move {
            let now = self.0.world.clock.wall();
            let Some(before) = now.checked_sub(older_than) else { return Ok(0) };
            self.0.clear_archive(account, before).await.map_err(|error| unreadable(&error))
        })
    }

    fn users(&self, domain: String) -> Outcome<'_, Vec<BareJid>> {
        Box::pin(async move { self.0.accounts(&domain).await.map_err(|error| unreadable(&error)) })
    }

    fn last_seen(&self, account: BareJid) -> Outcome<'_, Option<SystemTime>> {
        Box::pin(async move {
            if self.connected().await.iter().any(|jid| jid.bare() == account) {
                return Ok(Some(self.0.world.clock.wall()));
            }
            super::stopped::last_seen(&self.0.store, &account).await
        })
    }

    fn online(&self) -> Outcome<'_, Vec<FullJid>> {
        Box::pin(async move { Ok(self.connected().await) })
    }

    fn end_sessions(&self, jid: Jid) -> Outcome<'_, ()> {
        Box::pin(async move {
            let resource = jid.resource().map(str::to_owned);
            let ended = self.0.ask(&jid.bare(), |asker| Letter::EndSessions(resource, asker)).await;
            ended.map_err(|error| match error.condition {
                Condition::ItemNotFound => Refused(format!("{jid} is not connected")),
                _ => refused(&jid.bare(), &error),
            })
        })
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn status(&self) -> Lines {
        let now = self.0.world.clock.now();
        let up = now.saturating_duration_since(self.0.started).as_secs();
        let mut lines = vec![
            ("running".to_owned(), duration(up)),
            ("connections".to_owned(), self.0.connections().to_string()),
            ("sessions".to_owned(), self.look().0.len().to_string()),
            ("entities awake".to_owned(), self.0.directory.len().to_string()),
        ];
        lines.extend(memory(&self.0.memory, now));
        let failures = self.0.commits.log().failures();
        if failures > 0 {
            lines.push(("failed commits".to_owned(), failures.to_string()));
        }
        lines
    }
}

/// How full the memory is, and what is done about it.
fn memory(memory: &Memory, now: Instant) -> Lines {
    let (Some(cap), seen) = (memory.cap(), memory.seen()) else { return Lines::new() };
    let (resident, percent) = (mib(seen.resident), seen.resident * 100 / cap.max(1));
    let mut lines = vec![("memory".to_owned(), format!("{resident} of {} MiB, {percent} %", mib(cap)))];
    if let Some(since) = seen.since {
        let time = duration(now.saturating_duration_since(since).as_secs());
        let Seen { refused, ended, .. } = seen;
        let text = format!("for {time}; {refused} newcomers were refused, {ended} waiting sessions ended");
        lines.push(("memory is scarce".to_owned(), text));
    }
    lines
}

fn refused(account: &BareJid, error: &StanzaError) -> Refused {
    match error.condition {
        Condition::Conflict => exists(account),
        Condition::ItemNotFound => is_missing(account),
        Condition::ResourceConstraint => Refused(
            "the store could not keep it; is the disk full, or the database away? The server's log says more"
                .to_owned(),
        ),
        condition => Refused(error.text.clone().unwrap_or_else(|| condition.name().to_owned())),
    }
}

/// `1 d 02:03:04`
fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days} d {clock}") } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(duration(59), "00:00:59");
        assert_eq!(duration(93_784), "1 d 02:03:04");
    }
}

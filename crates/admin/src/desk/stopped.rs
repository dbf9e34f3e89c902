//! The desk of a server that is stopped: orders go to its store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use server::Config;
use step::World;
use store::{Due, Fate, Store, Write};
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::secret::Password;

use super::{Desk, Lines, Outcome, Refused, exists, is_missing, unreadable};
use crate::keys;

/// How many accounts are read at once.
const PAGE: usize = 500;
/// How often is looked whether the store has committed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The store of a server that is stopped.
pub struct Stopped {
    /// Time and chance.
    pub world: World,
    /// The settings.
    pub config: Arc<Config>,
    /// The store, opened by us alone.
    pub store: Store,
}

impl Stopped {
    async fn exists(&self, account: &BareJid) -> Result<bool, Refused> {
        let found = self.store.account(account).await.map_err(|error| unreadable(&error))?;
        Ok(found.is_some())
    }

    /// Writes, and waits until it is safe.
    async fn write(&self, write: Write) -> Result<(), Refused> {
        let lost =
            || Refused("the store could not keep it; is the disk full, or the database away?".to_owned());
        let log = self.store.log();
        let lsn = log.append(log.committed(), vec![write]).map_err(|_| lost())?;
        loop {
            match log.fate(lsn) {
                Fate::Committed => return Ok(()),
                Fate::Failed => return Err(lost()),
                Fate::Pending => self.world.clock.sleep(LOOK_EVERY).await,
            }
        }
    }
}

/// When the store last saw the owner of an account.
pub(super) async fn last_seen(store: &Store, account: &BareJid) -> Result<Option<SystemTime>, Refused> {
    match store.account(account).await {
        Ok(Some(record)) => Ok(record.seen_at),
        Ok(None) => Err(is_missing(account)),
        Err(error) => Err(unreadable(&error)),
    }
}

impl Desk for Stopped {
    fn domains(&self) -> Vec<String> {
        self.config.domains.clone()
    }

    fn add_user(&self, account: BareJid, password: Password) -> Outcome<'_, ()> {
        Box::pin(async move {
            if self.exists(&account).await? {
                return Err(exists(&account));
            }
            let credentials = keys::derive(&self.world, password, self.config.scram_iterations()).await?;
            let at = self.world.clock.wall();
            self.write(Write::AccountCreate { account, credentials, at }).await
        })
    }

    fn set_password(&self, account: BareJid, password: Password) -> Outcome<'_, ()> {
        Box::pin(async move {
            if !self.exists(&account).await? {
                return Err(is_missing(&account));
            }
            let credentials = keys::derive(&self.world, password, self.config.scram_iterations()).await?;
            self.write(Write::AccountCredentials { account, credentials }).await
        })
    }

    fn remove_user(&self, account: BareJid) -> Outcome<'_, ()> {
        Box::pin(async move {
            if !self.exists(&account).await? {
                return Err(is_missing(&account));
            }
            self.write(Write::AccountRemove { account }).await
        })
    }

    fn clear_archive(&self, account: BareJid, older_than: Duration) -> Outcome<'_, usize> {
        Box::pin(async move {
            let now = self.world.clock.wall();
            let Some(before) = now.checked_sub(older_than) else { return Ok(0) };
            let (due, mut messages) = (Due::Of(account, before), 0);
            loop {
                let clearings = self.store.archive_due(&due).await.map_err(|error| unreadable(&error))?;
                if clearings.is_empty() {
                    return Ok(messages);
                }
                for clearing in clearings {
                    messages += clearing.messages();
                    self.write(Write::ArchiveClear(clearing)).await?;
                }
            }
        })
    }

    fn users(&self, domain: String) -> Outcome<'_, Vec<BareJid>> {
        Box::pin(async move {
            let mut all: Vec<BareJid> = Vec::new();
            loop {
                let page = self.store.accounts(&domain, all.last(), PAGE).await;
                let page = page.map_err(|error| unreadable(&error))?;
                let full = page.len() == PAGE;
                all.extend(page);
                if !full {
                    return Ok(all);
                }
            }
        })
    }

    fn last_seen(&self, account: BareJid) -> Outcome<'_, Option<SystemTime>> {
        Box::pin(async move { last_seen(&self.store, &account).await })
    }

    fn online(&self) -> Outcome<'_, Vec<FullJid>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn end_sessions(&self, jid: Jid) -> Outcome<'_, ()> {
        Box::pin(async move { Err(Refused(format!("{jid} is not connected: the server is stopped"))) })
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn status(&self) -> Lines {
        vec![("running".to_owned(), "no".to_owned())]
    }
}

//! What runs beside the entities and comes back to them as a letter: timers, reads of the store, costly work.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use step::{Read, Return, Returned, Work};
use store::{Credentials, Fate, Lsn, StoreError};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::secret::Password;

use crate::credentials;
use crate::door::Ticket;
use crate::node::Node;

/// Hands back after a while.
pub fn after(node: &Arc<Node>, to: BareJid, delay: Duration, back: Return) {
    let sleep = node.world.clock.sleep(delay);
    let weak = Arc::downgrade(node);
    node.world.spawn.spawn(Box::pin(async move {
        sleep.await;
        if let Some(node) = weak.upgrade() {
            node.come_back(&to, back, Returned::Time, Lsn::default(), None);
        }
    }));
}

/// Reads once the store has committed all that the asking entity rests on, so that it sees its own writes.
pub fn read(node: &Arc<Node>, to: BareJid, lsn: Lsn, read: Read, back: Return, ticket: Option<Ticket>) {
    let node = node.clone();
    let task = node.clone();
    node.world.spawn.spawn(Box::pin(async move {
        let node = task;
        let what = match node.commits.settled(lsn).await {
            Fate::Committed => rows(&node, read).await.unwrap_or_else(|error| refused(&error)),
            _ => Returned::Refused(StanzaError::new(Condition::ResourceConstraint)),
        };
        node.come_back(&to, back, what, Lsn::default(), ticket);
    }));
}

async fn rows(node: &Node, read: Read) -> Result<Returned, StoreError> {
    Ok(match read {
        Read::Offline { owner, after, limit } => {
            Returned::Offline(node.store.offline(&owner, after, limit).await?)
        }
        Read::Notes { owner, topic } => Returned::Notes(node.store.notes(&owner, topic).await?),
    })
}

fn refused(error: &StoreError) -> Returned {
    tracing::error!(%error, "the store could not be read");
    Returned::Refused(StanzaError::new(Condition::InternalServerError))
}

/// Has something computed, or done by another entity.
pub fn work(node: &Arc<Node>, to: BareJid, lsn: Lsn, work: Work, back: Return, ticket: Option<Ticket>) {
    let node = node.clone();
    let task = node.clone();
    node.world.spawn.spawn(Box::pin(async move {
        let node = task;
        let what = match work {
            Work::Keys(password) => match keys(&node, password).await {
                Ok(credentials) => Returned::Keys(credentials),
                Err(error) => Returned::Refused(error),
            },
            Work::Command { name, arguments } => {
                Returned::Command(node.commands.run(node.clone(), name, arguments).await)
            }
        };
        node.come_back(&to, back, what, lsn, ticket);
    }));
}

/// Derives SCRAM keys on the bounded pool.
///
/// # Errors
/// `resource-constraint` when the pool is full, `not-acceptable` for a password that PRECIS refuses.
pub async fn keys(node: &Arc<Node>, password: Password) -> Result<Credentials, StanzaError> {
    let (done, answer) = oneshot::channel();
    let salts = credentials::Salts::new(&node.world);
    let iterations = node.config.scram_iterations();
    let job = Box::new(move || {
        let _ = done.send(credentials::derive(&password, &salts, iterations));
    });
    let busy = || StanzaError::new(Condition::ResourceConstraint);
    node.world.spawn.run(job).map_err(|step::Busy| busy())?;
    answer.await.map_err(|_| busy())?.ok_or_else(|| StanzaError::new(Condition::NotAcceptable))
}

//! What runs beside the entities and comes back to them as a letter: timers, reads of the store, costly work.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use step::{Identity, Question, Read, Return, Returned, Shown, Work};
use store::{Credentials, Fate, Lsn, StoreError};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::secret::Password;

use crate::credentials;
use crate::directory::Asking;
use crate::letter::{Envelope, Letter};
use crate::node::Node;

/// Hashes of clients' capabilities that are known without asking the store; beyond that all are asked for anew.
const CAPABILITIES_AT_HAND: usize = 1_000;

/// Hands back after a while.
pub fn after(node: &Arc<Node>, to: BareJid, delay: Duration, back: Return) {
    let sleep = node.world.clock.sleep(delay);
    let weak = Arc::downgrade(node);
    node.world.spawn.spawn(Box::pin(async move {
        sleep.await;
        if let Some(node) = weak.upgrade() {
            node.come_back(&to, back, Returned::Time);
        }
    }));
}

/// Has a question answered, once the store has committed all that the asking entity rests on: then what is read shows
/// its own writes.
pub fn ask(node: &Arc<Node>, to: BareJid, lsn: Lsn, asking: Asking) {
    let task = node.clone();
    node.world.spawn.spawn(Box::pin(async move {
        let Asking { question, back, ticket, kept } = asking;
        let what = match task.commits.settled(lsn).await {
            Fate::Committed => answer(&task, question).await,
            _ => Returned::Refused(StanzaError::new(Condition::ResourceConstraint)),
        };
        let letter = Letter::Answered(back, what);
        task.post(&to, Envelope { letter, lsn: Lsn::default(), ticket, kept });
    }));
}

async fn answer(node: &Arc<Node>, question: Question) -> Returned {
    match question {
        Question::Read(read) => rows(node, read).await.unwrap_or_else(|error| refused(&error)),
        Question::Work(Work::Keys(password)) => match keys(node, password).await {
            Ok(credentials) => Returned::Keys(credentials),
            Err(error) => Returned::Refused(error),
        },
        Question::Work(Work::Command { name, arguments }) => {
            Returned::Command(node.commands.run(node.clone(), name, arguments).await)
        }
    }
}

async fn rows(node: &Node, read: Read) -> Result<Returned, StoreError> {
    Ok(match read {
        Read::Offline { owner, after, limit } => {
            Returned::Offline(node.store.offline(&owner, after, limit).await?)
        }
        Read::Archive { owner, query } => Returned::Archive(node.store.archive_page(&owner, &query).await?),
        Read::ArchiveEnds { owner } => Returned::ArchiveEnds(node.store.archive_ends(&owner).await?),
        Read::Archived { owner, with, sent, id } => {
            Returned::Archived(node.store.archived_by_id(&owner, &with, sent, &id).await?)
        }
        Read::ItemSizes { owner, node: name } => {
            Returned::ItemSizes(node.store.item_sizes(&owner, &name).await?)
        }
        Read::Items { owner, node: name, wanted, bytes_max } => {
            Returned::Items(node.store.items(&owner, &name, &wanted, bytes_max).await?)
        }
        Read::LastItems { owner, nodes } => Returned::LastItems(node.store.last_items(&owner, &nodes).await?),
        Read::Capabilities { hash, ver } => Returned::Capabilities(capabilities(node, hash, ver).await?),
        Read::Notes { owner, topic } => Returned::Notes(node.store.notes(&owner, topic).await?),
    })
}

/// What clients have shown that tell this hash, in one list for all of them.
async fn capabilities(node: &Node, hash: String, ver: String) -> Result<Option<Shown>, StoreError> {
    let key = (hash, ver);
    if let Some(shown) = node.capabilities.lock().get(&key) {
        return Ok(Some(shown.clone()));
    }
    let Some(found) = node.store.capabilities(&key.0, &key.1).await? else { return Ok(None) };
    let identities = found.identities.into_iter().map(|(category, type_)| Identity { category, type_ });
    let shown =
        Shown { wanted: found.wants.into_iter().map(Arc::from).collect(), identities: identities.collect() };
    learn(node, key, shown.clone());
    Ok(Some(shown))
}

/// What clients have shown that tell this hash is known from now on. It is proven: it needs no commit.
pub fn learn(node: &Node, told: (String, String), shown: Shown) {
    let mut known = node.capabilities.lock();
    if known.len() >= CAPABILITIES_AT_HAND {
        known.clear();
    }
    known.insert(told, shown);
}

fn refused(error: &StoreError) -> Returned {
    tracing::error!(%error, "the store could not be read");
    Returned::Refused(StanzaError::new(Condition::InternalServerError))
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

//! What a stream needs to know of an account before it is let in: its keys, whether a password fits, a registration.

use std::sync::Arc;
use std::time::Duration;

use features::registration::{self, Request};
use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use store::{Credentials, Fate, ScramHash, StoreError, TokenRecord};
use stream::{Answer, KnownToken, SaslCondition, ScramKeys};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::secret::Password;
use xmpp::stanza::Stanza;

use crate::beside;
use crate::credentials;
use crate::letter::{Envelope, Letter, Resuming};
use crate::memory::Room;
use crate::node::Node;

/// When the store could not keep that a stream goes on, it is tried again after this time.
const RESUME_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The keys of an account, for SCRAM (RFC 5802).
pub fn credentials(node: &Arc<Node>, account: BareJid) -> BoxFuture<'static, Answer> {
    let node = node.clone();
    Box::pin(async move {
        match node.store.credentials(&account).await {
            Ok(found) => Answer::Credentials(found.as_ref().map(credentials::for_stream)),
            Err(error) => temporary(&error),
        }
    })
}

/// Whether a password fits (SASL PLAIN). For an account that does not exist the same work is done, so that nobody
/// learns by the clock which accounts exist (guarantee G16).
pub fn check_password(node: &Arc<Node>, account: BareJid, password: Password) -> BoxFuture<'static, Answer> {
    let node = node.clone();
    Box::pin(async move {
        let found = match node.store.credentials(&account).await {
            Ok(found) => found,
            Err(error) => return temporary(&error),
        };
        match verify(&node, &account, password.clone(), found.clone()).await {
            Some(true) => {
                let iterations = node.config.scram_iterations();
                let outdated = found.filter(|known| credentials::are_outdated(known, iterations));
                if let Some(proven) = outdated.as_ref().and_then(credentials::proof) {
                    renew(&node, account, password, proven);
                }
                Answer::Authenticated
            }
            Some(false) => Answer::Refused(SaslCondition::NotAuthorized),
            None => Answer::Refused(SaslCondition::TemporaryAuthFailure),
        }
    })
}

/// Runs the costly comparison on the pool; `None` when the pool is full.
async fn verify(
    node: &Node,
    account: &BareJid,
    password: Password,
    found: Option<Credentials>,
) -> Option<bool> {
    let (done, answer) = oneshot::channel();
    let (account, secret) = (account.clone(), node.streams.secret);
    let iterations = node.config.scram_iterations();
    let job = Box::new(move || {
        let fits = match &found {
            Some(credentials) => credentials::verify(&password, credentials),
            None => credentials::verify_nobody(&password, &secret, account.as_str(), iterations),
        };
        let _ = done.send(fits);
    });
    node.world.spawn.run(job).ok()?;
    answer.await.ok()
}

/// A login with the password in hand is the moment to make keys as we make them today.
fn renew(node: &Arc<Node>, account: BareJid, password: Password, proven: (ScramHash, Vec<u8>)) {
    let task = node.clone();
    node.world.spawn.spawn(Box::pin(async move {
        let Ok(keys) = beside::keys(&task, password).await else { return };
        let letter = |asker| Letter::AddKeys { credentials: keys, proven, asker };
        let done = task.ask(&account, letter).await;
        tracing::info!(%account, ok = done.is_ok(), "the account's keys were made anew");
    }));
}

/// The tokens that were given to a client (XEP-0484), the newest first.
pub fn tokens(node: &Arc<Node>, account: BareJid, client: String) -> BoxFuture<'static, Answer> {
    let node = node.clone();
    Box::pin(async move {
        let clients = match node.store.clients(&account).await {
            Ok(clients) => clients,
            Err(error) => return temporary(&error),
        };
        let now = node.world.clock.wall();
        let known = clients.into_iter().find(|known| known.id == client);
        let kept = known.into_iter().flat_map(|known| [known.next, known.current]).flatten();
        let token = |TokenRecord { seed, mechanism, expires, .. }| KnownToken {
            seed,
            mechanism,
            expired: expires <= now,
        };
        Answer::Tokens(kept.map(token).collect())
    })
}

/// Keys of one more hash, which the client has computed (XEP-0480).
pub fn upgrade(
    node: &Arc<Node>,
    account: BareJid,
    keys: (stream::ScramHash, ScramKeys),
    proven: (stream::ScramHash, ScramKeys),
) -> BoxFuture<'static, Answer> {
    let node = node.clone();
    Box::pin(async move {
        let refused = Answer::Refused(SaslCondition::TemporaryAuthFailure);
        let kept = credentials::for_store(keys).zip(credentials::for_store(proven));
        let Some((keys, (hash, proven))) = kept else { return refused };
        let credentials = Credentials { scram: vec![keys] };
        let proven = (hash, proven.stored_key);
        match node.ask(&account, |asker| Letter::AddKeys { credentials, proven, asker }).await {
            Ok(()) => Answer::Upgraded,
            Err(_) => refused,
        }
    })
}

/// A registration before login (XEP-0077 §3.1).
pub fn register(node: &Arc<Node>, domain: String, iq: Stanza) -> BoxFuture<'static, Answer> {
    let node = node.clone();
    Box::pin(async move {
        let answer = match registered(&node, &domain, &iq).await {
            Ok(Some(form)) => Some(iq.result_with(&form)),
            Ok(None) => Some(iq.result()),
            Err(error) => iq.error_reply(&error),
        };
        match answer {
            Some(answer) => Answer::Reply(answer),
            None => Answer::Refused(SaslCondition::MalformedRequest),
        }
    })
}

async fn registered(
    node: &Arc<Node>,
    domain: &str,
    iq: &Stanza,
) -> Result<Option<xmpp::xml::Element>, StanzaError> {
    let domain = node.domain(domain).ok_or_else(|| StanzaError::new(Condition::ItemNotFound))?;
    match registration::request(domain, iq)? {
        Request::Form(form) => Ok(Some(form)),
        Request::Create { .. } if node.memory.room() == Room::ForNobodyNew => {
            node.memory.refused();
            Err(StanzaError::new(Condition::ResourceConstraint))
        }
        Request::Create { account, password } => {
            let keys = beside::keys(node, password).await?;
            node.ask(&account, |asker| Letter::Create(keys, asker)).await?;
            tracing::info!(%account, "registered");
            Ok(None)
        }
    }
}

/// A former stream (XEP-0198 §5).
pub fn resume(
    node: &Arc<Node>,
    account: BareJid,
    previd: String,
    handled: u32,
) -> BoxFuture<'static, Resuming> {
    let node = node.clone();
    Box::pin(async move {
        loop {
            let (asker, answer) = oneshot::channel();
            let previd = previd.clone();
            node.post(&account, Envelope::new(Letter::Resume { previd, handled, asker }));
            if let Ok((lsn, resuming)) = answer.await
                && node.commits.settled(lsn).await == Fate::Committed
            {
                return resuming;
            }
            // The stream is there all the same; the client waits as long as it may take to bind a resource.
            node.world.clock.sleep(RESUME_AGAIN_AFTER).await;
        }
    })
}

fn temporary(error: &StoreError) -> Answer {
    tracing::error!(%error, "a login could not be checked");
    Answer::Refused(SaslCondition::TemporaryAuthFailure)
}

//! Accounts, and archives of any size, written into the store of a Waxwing that does not run: what it would take hours
//! to say to it.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // no part of a server

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use features::archive::Preferences;
use server::credentials;
use store::{ArchiveMessage, Credentials, Fate, Log, Lsn, Store, StoreUrl, Write, words};
use stream::ScramHash;
use stream::sasl::scram;
use tokio::sync::Notify;
use xmpp::jid::{BareJid, Jid};

/// Writes in one append.
const APPEND: usize = 500;
/// The salt of all: so that a load derives its keys once.
const SALT: &[u8; 16] = b"waxwing's bench!";

#[derive(Debug, Parser)]
#[command(name = "fill", about = "Fills the store of a Waxwing that does not run")]
struct Order {
    /// The store, as in its configuration.
    #[arg(long)]
    store: StoreUrl,
    #[arg(long, default_value = "localhost")]
    domain: String,
    #[arg(long, default_value = "secret")]
    password: String,
    /// Accounts u0, u1 and so on, of which there are none yet.
    #[arg(long, default_value_t = 0)]
    accounts: u32,
    /// They prefer that nothing of theirs is archived.
    #[arg(long)]
    unarchived: bool,
    /// Rounds of PBKDF2.
    #[arg(long, default_value_t = 10_000)]
    iterations: u32,
    /// The account whose archive is filled.
    #[arg(long, default_value_t = 0)]
    owner: u32,
    /// Messages in its archive, which is empty.
    #[arg(long, default_value_t = 0)]
    messages: u64,
}

struct Filling {
    log: Log,
    moved: Arc<Notify>,
    pending: Vec<Write>,
}

impl Filling {
    async fn keep(&mut self, write: Write) -> Result<(), String> {
        self.pending.push(write);
        if self.pending.len() >= APPEND { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), String> {
        let writes = std::mem::take(&mut self.pending);
        let lsn = self.log.append(Lsn::default(), writes).map_err(|error| format!("{error:?}"))?;
        loop {
            let moved = self.moved.notified();
            match self.log.fate(lsn) {
                Fate::Pending => moved.await,
                Fate::Committed => return Ok(()),
                Fate::Failed => return Err(format!("{:?}", self.log.trouble())),
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let order = Order::parse();
    let store = Store::open(&order.store).await.map_err(|error| error.to_string())?;
    let (log, moved) = (store.log(), Arc::new(Notify::new()));
    let bell = moved.clone();
    log.on_change(Arc::new(move || bell.notify_one()));
    let mut filling = Filling { log, moved, pending: Vec::new() };
    let credentials = derived(&order.password, order.iterations);
    for number in 0..order.accounts {
        let (account, credentials) = (account(number, &order.domain)?, credentials.clone());
        let preferences = order.unarchived.then(|| Preferences::never().to_note(&account));
        filling.keep(Write::AccountCreate { account, credentials, at: SystemTime::now() }).await?;
        if let Some(note) = preferences {
            filling.keep(note).await?;
        }
    }
    let (owner, friend) = (account(order.owner, &order.domain)?, account(order.owner + 1, &order.domain)?);
    for seq in 1..=order.messages {
        filling.keep(Write::ArchiveKeep(Box::new(message(&owner, &friend, seq)?))).await?;
    }
    filling.flush().await?;
    println!("{} accounts, {} messages", order.accounts, order.messages);
    Ok(())
}

fn account(number: u32, domain: &str) -> Result<BareJid, String> {
    BareJid::new(&format!("u{number}@{domain}")).map_err(|error| format!("{error:?}"))
}

fn derived(password: &str, iterations: u32) -> Credentials {
    let hashes = [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512];
    let keys = hashes.map(|hash| (hash, scram::derive(hash, password, SALT, iterations)));
    Credentials { scram: keys.into_iter().filter_map(credentials::for_store).collect() }
}

/// As those that the load says; one each second.
fn message(owner: &BareJid, friend: &BareJid, seq: u64) -> Result<ArchiveMessage, String> {
    let body = format!(
        "number {seq}: But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun."
    );
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seq);
    let xml = format!(
        "<message from='{friend}/bench' to='{owner}' type='chat' id='f{seq}'><body>{body}</body></message>"
    );
    Ok(ArchiveMessage {
        owner: owner.clone(),
        seq,
        first: seq == 1,
        at,
        peak: at,
        with: Jid::new(&format!("{friend}/bench")).map_err(|error| format!("{error:?}"))?,
        sent: false,
        id: Some(format!("f{seq}")),
        xml: xml.into_bytes(),
        same_as: None,
        words: words(&body),
    })
}

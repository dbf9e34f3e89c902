//! Archives: what a page costs in a small one and in a large one among ten thousand, and how long it takes to find a
//! word; on SQLite and PostgreSQL. `MESSAGES` says how large the large one is (1,000,000), `ONLY` on which engine.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use store::fixture::Postgres;
use store::{ArchiveMessage, ArchiveQuery, Fate, Log, Lsn, Page, Store, StoreUrl, Write, words};
use tokio::sync::Notify;
use xmpp::jid::{BareJid, Jid};

const SMALL: u64 = 10_000;
const OTHERS: u64 = 10_000;
/// Messages of each of the others.
const EACH: u64 = 10;
const PAGE: usize = 50;
const ROUNDS: u32 = 300;
/// Messages in one append, and appends under way.
const APPEND: u64 = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let large = std::env::var("MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a directory");
    let url = StoreUrl::Sqlite(dir.path().join("archive.sqlite"));
    let only = std::env::var("ONLY").ok();
    let wanted = |engine: &str| only.as_deref().is_none_or(|only| only == engine);
    if wanted("SQLite") {
        measure("SQLite", &url, large).await;
    }
    if !wanted("PostgreSQL") {
        return;
    }
    match Postgres::start() {
        Ok(postgres) => {
            let url = postgres.database().expect("a database").parse().expect("a URL");
            measure("PostgreSQL", &url, large).await;
        }
        Err(why) => eprintln!("without PostgreSQL: {why}"),
    }
}

/// A store that is being filled.
struct Filling {
    log: Log,
    moved: Arc<Notify>,
    pending: Vec<Write>,
}

impl Filling {
    async fn keep(&mut self, message: ArchiveMessage) {
        self.pending.push(Write::ArchiveKeep(Box::new(message)));
        if self.pending.len() as u64 >= APPEND {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        let lsn = self.log.append(Lsn::default(), std::mem::take(&mut self.pending)).expect("appended");
        loop {
            let moved = self.moved.notified();
            match self.log.fate(lsn) {
                Fate::Pending => moved.await,
                Fate::Committed => return,
                Fate::Failed => panic!("{:?}", self.log.trouble()),
            }
        }
    }
}

async fn measure(engine: &str, url: &StoreUrl, large: u64) {
    let store = Store::open(url).await.expect("a store");
    let (log, moved) = (store.log(), Arc::new(Notify::new()));
    let bell = moved.clone();
    log.on_change(Arc::new(move || bell.notify_one()));
    let mut filling = Filling { log, moved, pending: Vec::new() };
    let (small_owner, large_owner) = (account("small"), account("large"));
    let begun = now();
    // As in life, one message of this archive, one of that.
    let all = large.max(SMALL).max(OTHERS * EACH);
    for number in 0..all {
        for (owner, count) in [(&large_owner, large), (&small_owner, SMALL)] {
            // Spread over the whole time.
            if number * count / all != (number + 1) * count / all {
                filling.keep(message(owner, (number + 1) * count / all)).await;
            }
        }
        let others = OTHERS * EACH;
        if number * others / all != (number + 1) * others / all {
            let place = number * others / all;
            filling.keep(message(&account(&format!("u{}", place % OTHERS)), place / OTHERS + 1)).await;
        }
    }
    filling.flush().await;
    let filled = begun.elapsed();
    let kept = large + SMALL + OTHERS * EACH;
    println!(
        "{engine}: {kept} messages kept in {:.0} s, {:.1} µs each",
        filled.as_secs_f64(),
        filled.as_micros() as f64 / kept as f64
    );
    for (name, owner, size) in [("10 thousand", &small_owner, SMALL), ("large", &large_owner, large)] {
        let page = |page| ArchiveQuery { page, max: PAGE, ..ArchiveQuery::default() };
        let with = Some(Jid::new("friend3@two.test").expect("an address"));
        let middle = SystemTime::UNIX_EPOCH + Duration::from_secs(size / 2);
        for (what, query) in [
            ("the last page", page(Page::Last)),
            ("a page in the middle", page(Page::After(size / 2))),
            ("a page with one person", ArchiveQuery { with: with.clone(), ..page(Page::Before(size / 2)) }),
            ("a page from a day on", ArchiveQuery { start: Some(middle), ..page(Page::First) }),
            ("a rare word, last page", ArchiveQuery { words: words("needle"), ..page(Page::Last) }),
            ("a word in 1 of 100, last page", ArchiveQuery { words: words("hundredth"), ..page(Page::Last) }),
            (
                "a word in 1 of 1000, last page",
                ArchiveQuery { words: words("thousandth"), ..page(Page::Last) },
            ),
            (
                "a word in 1 of 100, with one person",
                ArchiveQuery { words: words("hundredth"), with: with.clone(), ..page(Page::Last) },
            ),
            (
                "a word in 1 of 100, from a day on",
                ArchiveQuery { words: words("hundredth"), start: Some(middle), ..page(Page::First) },
            ),
            (
                "words in 1 of 100 and in each, last page",
                ArchiveQuery { words: words("hundredth montague"), ..page(Page::Last) },
            ),
            ("a word in each, last page", ArchiveQuery { words: words("montague"), ..page(Page::Last) }),
        ] {
            let mut took = Vec::new();
            let mut found = 0;
            for _ in 0..if what.contains("word") { ROUNDS / 10 } else { ROUNDS } {
                let begun = now();
                let page = store.archive_page(owner, &query).await.expect("read").expect("a page");
                took.push(begun.elapsed());
                found = page.messages.len();
            }
            took.sort();
            println!(
                "{engine}, {name}: {what}: median {:?}, worst {:?}, {found} messages",
                took[took.len() / 2],
                took[took.len() - 1]
            );
        }
    }
    store.close().await;
}

fn account(name: &str) -> BareJid {
    BareJid::new(&format!("{name}@one.test")).expect("an address")
}

/// One message a second; one in a hundred thousand has the rare word.
fn message(owner: &BareJid, seq: u64) -> ArchiveMessage {
    let rare = if seq % 100_000 == 777 || seq == 5_000 { " needle" } else { "" };
    let hundredth = if seq.is_multiple_of(100) { " hundredth" } else { "" };
    let thousandth = if seq.is_multiple_of(1_000) { " thousandth" } else { "" };
    let body =
        format!("Art thou not Romeo, and a Montague? word{}{rare}{hundredth}{thousandth}", seq % 5_000);
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seq);
    // Each of them says each of the words.
    let friend = format!("friend{}@two.test", (seq + seq / 100) % 50);
    let xml = format!(
        "<message from='{friend}/phone' to='{owner}' type='chat' id='m{seq}'><body>{body}</body>\
         <request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    );
    ArchiveMessage {
        owner: owner.clone(),
        seq,
        first: seq == 1,
        at,
        peak: at,
        with: Jid::new(&format!("{friend}/phone")).expect("an address"),
        sent: false,
        id: Some(format!("m{seq}")),
        xml: xml.into_bytes(),
        same_as: None,
        words: words(&body),
    }
}

#[allow(clippy::disallowed_methods)] // a benchmark looks at the clock
fn now() -> Instant {
    Instant::now()
}

//! What is awaited is committed at once, and what is not has patience.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use xmpp::jid::BareJid;

use super::*;

fn seen() -> Vec<Write> {
    let account = BareJid::new("alice@one.test").unwrap();
    vec![Write::AccountSeen { account, at: SystemTime::UNIX_EPOCH, status: None }]
}

fn note() -> Vec<Write> {
    let owner = BareJid::new("alice@one.test").unwrap();
    vec![Write::Note { owner, topic: "topic", key: String::new(), value: None }]
}

/// A log whose writer has found nothing to do, and how often it is woken.
fn asleep() -> (Log, Arc<AtomicUsize>) {
    let (log, woken) = (Log::new(0), Arc::new(AtomicUsize::new(0)));
    let counts = woken.clone();
    log.wakes(move || _ = counts.fetch_add(1, Ordering::SeqCst));
    assert!(matches!(log.next(), Next::Sleep));
    (log, woken)
}

fn group(log: &Log) -> Vec<u64> {
    match log.next() {
        Next::Group(group) => group.iter().map(|append| append.lsn).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_nobody_waits_for_is_committed_with_what_somebody_does() {
    let (log, woken) = asleep();
    log.append(Lsn::default(), seen()).unwrap();
    assert!(matches!(log.next(), Next::Pause));
    log.append(Lsn::default(), seen()).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "the writer knows of the first, and that is enough");
    log.append(Lsn::default(), note()).unwrap();
    assert_eq!((woken.load(Ordering::SeqCst), group(&log)), (2, vec![1, 2, 3]));
}

#[test]
fn whoever_waits_after_all_hurries_it() {
    let (log, woken) = asleep();
    log.append(Lsn::default(), seen()).unwrap();
    assert!(matches!(log.next(), Next::Pause));
    log.hurry();
    log.hurry();
    assert_eq!((woken.load(Ordering::SeqCst), group(&log)), (2, vec![1]));
    log.hurry();
    assert!(matches!(log.next(), Next::Sleep), "there is nothing more to hurry");
}

#[test]
fn a_writer_that_loses_patience_does_not_wake_itself() {
    let (log, woken) = asleep();
    log.append(Lsn::default(), seen()).unwrap();
    assert!(matches!(log.next(), Next::Pause));
    log.lose_patience();
    assert_eq!(group(&log), [1]);
    log.append(Lsn::default(), note()).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "nor does anybody else while it is at work");
}

#[test]
fn patience_ends_with_the_log() {
    let (log, _) = asleep();
    log.append(Lsn::default(), seen()).unwrap();
    log.close();
    assert_eq!(group(&log), [1]);
    log.succeed(1);
    assert!(matches!(log.next(), Next::End));
}

#[test]
fn what_follows_a_lost_group_has_patience_again() {
    let (log, _) = asleep();
    log.append(Lsn::default(), note()).unwrap();
    assert_eq!(group(&log), [1]);
    log.append(Lsn::default(), note()).unwrap();
    log.fail(StoreError::Closed);
    log.append(Lsn::default(), seen()).unwrap();
    assert!(matches!(log.next(), Next::Pause));
}

//! The disk beneath the store. When it is full (guarantee G13), what does not fit is lost and told, the rest is read,
//! and when there is room again, it goes on by itself.
//!
//! A small disk is a mount, which needs root; without, the tests on one are passed over.
#![allow(clippy::disallowed_methods)] // another program takes its time

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use store::{Fate, Lsn, StoreError, StoreUrl};

use crate::home::{jid, noise, note, on_postgres_of_its_own, on_sqlite, open, until};

/// A disk of a few megabytes, in memory. It ends with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kilobytes: u32) -> Option<Self> {
        let disk = SmallDisk(tempfile::tempdir().unwrap());
        let mounted = disk.mount(&format!("size={kilobytes}k,mode=0777"));
        if !mounted {
            println!("passed over: no disk can be mounted here");
        }
        mounted.then_some(disk)
    }

    fn grow(&self, kilobytes: u32) {
        assert!(self.mount(&format!("remount,size={kilobytes}k")));
    }

    fn mount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.path());
        command.output().is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Fills the store's disk, gives it room again, and looks what became of everything.
async fn fill(url: &StoreUrl, disk: &SmallDisk) {
    let opened = open(url).await.unwrap();
    let alice = jid("alice@one.test");
    let mut kept = Vec::new();
    loop {
        let key = format!("{:04}", kept.len());
        let lsn = opened.log.append(Lsn::default(), vec![note("topic", &key, noise(100_000))]).unwrap();
        if opened.settled(lsn).await == Fate::Failed {
            break;
        }
        kept.push(key);
    }
    assert!(kept.len() > 5, "{} fitted", kept.len());
    let trouble = opened.log.trouble();
    assert!(matches!(trouble, Some(StoreError::Full(_))), "{trouble:?}");

    let keys = async |opened: &crate::home::Opened| -> Vec<String> {
        let notes = opened.store.notes(&alice, "topic").await.unwrap();
        assert!(notes.iter().all(|(_, value)| *value == noise(100_000)));
        notes.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&opened).await, kept, "it is read as before");
    for _ in 0..3 {
        opened.lose([note("topic", "too much", noise(1_000_000))]).await;
    }
    assert_eq!(keys(&opened).await, kept);

    disk.grow(200_000);
    opened.write([note("topic", "there is room", noise(100_000))]).await;
    assert_eq!(opened.log.trouble(), None);
    kept.push("there is room".to_owned());
    assert_eq!(keys(&opened).await, kept);
    opened.close().await;
    let opened = open(url).await.unwrap();
    assert_eq!(keys(&opened).await, kept);
    opened.close().await;
}

/// Without it, the log beside the file would grow for as long as the server runs.
#[test]
fn the_write_ahead_log_is_folded_into_the_file_meanwhile() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        let length = || std::fs::metadata(home.file()).unwrap().len();
        let before = length();
        for number in 0..21 {
            let notes: Vec<_> =
                (0..500).map(|key| note("topic", &format!("{number}.{key}"), noise(100))).collect();
            opened.write(notes).await;
        }
        until(async || (length() > before + 500_000).then_some(())).await;
        // And it begins anew instead of growing.
        let log = home.dir.path().join("store.db-wal");
        let grows = async || {
            let before = std::fs::metadata(&log).unwrap().len();
            opened.write([note("topic", "next", "")]).await;
            std::fs::metadata(&log).unwrap().len() > before
        };
        until(async || (!grows().await).then_some(())).await;
        assert_eq!(opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap().len(), 10_501);
    });
}

/// A backup, or the operator's shell.
#[test]
fn another_program_that_holds_the_file_only_delays() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        opened.write([note("topic", "before", "")]).await;
        let other = home.settled().await;
        other.execute_batch("BEGIN IMMEDIATE; DELETE FROM notes").unwrap();
        let lsn = opened.log.append(Lsn::default(), vec![note("topic", "after", "")]).unwrap();
        let alice = jid("alice@one.test");
        for _ in 0..20 {
            assert_eq!(opened.store.notes(&alice, "topic").await.unwrap().len(), 1, "reading goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(opened.log.fate(lsn), Fate::Pending);
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(opened.settled(lsn).await, Fate::Committed);
        assert_eq!(opened.store.notes(&alice, "topic").await.unwrap().len(), 2);
    });
}

#[test]
fn a_full_disk_under_sqlite() {
    on_sqlite(async |_| {
        let Some(disk) = SmallDisk::new(4_000) else { return };
        fill(&StoreUrl::Sqlite(disk.path().join("store.db")), &disk).await;
    });
}

#[test]
fn a_full_disk_under_postgresql() {
    on_postgres_of_its_own(async |home| {
        let Some(disk) = SmallDisk::new(24_000) else { return };
        let place = disk.path().join("tables");
        std::fs::create_dir(&place).unwrap();
        // PostgreSQL is not root, even if we are.
        assert!(Command::new("chown").arg("postgres").arg(&place).status().unwrap().success());
        home.run(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
        home.run("CREATE DATABASE small TABLESPACE small TEMPLATE template0 ENCODING 'UTF8'").await;
        let url = home.database().rsplit_once('/').unwrap().0.to_owned() + "/small";
        fill(&StoreUrl::Postgres(url), &disk).await;
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_is_called_so() {
    on_sqlite(async |_| {
        for kilobytes in [4, 12, 40, 80] {
            let Some(disk) = SmallDisk::new(kilobytes) else { return };
            let opened = open(&StoreUrl::Sqlite(disk.path().join("store.db"))).await;
            assert!(matches!(opened.err(), Some(StoreError::Full(_))), "with {kilobytes} KB");
        }
        // Not even for the name of a file.
        let Some(disk) = SmallDisk::new(80) else { return };
        assert!(disk.mount("remount,nr_inodes=1"));
        let opened = open(&StoreUrl::Sqlite(disk.path().join("store.db"))).await;
        assert!(matches!(opened.err(), Some(StoreError::Full(_))));
    });
}

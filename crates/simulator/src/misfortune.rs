//! What goes wrong in a rehearsal: connections break, the disk is slow, full or away, memory is short, the clock is
//! set, the node is killed.

use std::time::Duration;

use crate::disk::Mood;
use crate::play::Play;

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Connections are cut.
    pub cuts: bool,
    /// Commits are slow, groups are lost, reads fail.
    pub storage: bool,
    /// Memory is scarce, or short.
    pub memory: bool,
    /// The time of day is set on, or back.
    pub clock: bool,
    /// The node is killed at any instant.
    pub kills: bool,
}

impl Faults {
    /// Everything.
    pub const ALL: Faults = Faults { cuts: true, storage: true, memory: true, clock: true, kills: true };
    /// Nothing.
    pub const NONE: Faults =
        Faults { cuts: false, storage: false, memory: false, clock: false, kills: false };
}

/// Misfortune strikes now and then, until everything is to come to rest.
pub async fn befall(play: Play, faults: Faults) {
    let pause = |from: usize, up_to: usize| {
        let ms = play.clockwork().draw(|chance| from + chance.below(up_to - from));
        play.clockwork().sleep(Duration::from_millis(ms as u64))
    };
    loop {
        pause(100, 3_000).await;
        if play.is_settling() {
            return;
        }
        match play.clockwork().draw(|chance| chance.below(8)) {
            0 | 1 if faults.cuts => {
                play.count("cuts");
                play.house().cut_one();
            }
            2 if faults.storage => {
                let fails_once_in = play.clockwork().draw(|chance| *chance.pick(&[0, 3, 10]));
                let commit = Duration::from_millis(20);
                play.house().set_mood(Mood { commit, slow_once_in: 5, fails_once_in });
                pause(100, 3_000).await;
                play.house().set_mood(Mood::GOOD);
            }
            3 if faults.storage => {
                play.count("full disks");
                play.house().set_mood(Mood { fails_once_in: 1, ..Mood::GOOD });
                pause(50, 1_000).await;
                play.house().set_mood(Mood::GOOD);
            }
            4 if faults.storage => {
                play.count("failing reads");
                play.house().fail_reads(true);
                pause(50, 1_000).await;
                play.house().fail_reads(false);
            }
            5 if faults.clock => {
                play.count("clocks set");
                let by =
                    Duration::from_secs(play.clockwork().draw(|chance| *chance.pick(&[2, 3_600, 86_400])));
                match play.clockwork().draw(|chance| chance.once_in(2)) {
                    true => play.clockwork().set_day(|day| day + by),
                    false => play.clockwork().set_day(|day| day.saturating_sub(by)),
                }
            }
            6 if faults.memory => {
                let percent = play.clockwork().draw(|chance| *chance.pick(&[87, 97]));
                play.fill_memory(percent);
                pause(100, 4_000).await;
                play.fill_memory(0);
            }
            7 if faults.kills => {
                play.kill();
                pause(1, 2_000).await;
                if let Err(why) = play.house().start() {
                    play.complain(format!("the node does not come back: {why}"));
                }
            }
            _ => {}
        }
    }
}

//! The client's stanzas that are under way, in the order in which they came, until what comes of each is known.

use std::collections::VecDeque;
use std::task::Waker;

use store::{Fate, Lsn};
use xmpp::error::{Condition, StanzaError};
use xmpp::stanza::Stanza;

use crate::commits::Commits;
use crate::ticket::Handled;

/// The stanzas of one client, by their numbers, which follow one another.
#[derive(Debug)]
pub struct UnderWay {
    asked: VecDeque<Asked>,
    bytes: usize,
    /// The number of the next one.
    next: u64,
    /// The account is to answer the oldest one, whose consequence is lost; it was told so for this one.
    wants_refusal: bool,
    refusal_of: Option<u64>,
}

/// A stanza whose whole consequence has not been committed yet.
#[derive(Debug)]
struct Asked {
    number: u64,
    /// None: the stream has dealt with it itself, or its client has heard an error.
    stanza: Option<Stanza>,
    bytes: usize,
    /// Its account has read it; that rests on this number.
    stepped: Option<Lsn>,
    handled: Option<Handled>,
}

impl Asked {
    /// Why its consequence is lost, if it is. If the first step of it is, nothing of what follows counts.
    fn lost(&self, commits: &Commits) -> Option<Condition> {
        if self.stepped.is_some_and(|lsn| commits.fate(lsn) == Fate::Failed) {
            return Some(Condition::ResourceConstraint);
        }
        match self.handled? {
            Handled::Refused => Some(Condition::InternalServerError),
            Handled::At { rests_on, .. } if commits.fate(rests_on) == Fate::Failed => {
                Some(Condition::ResourceConstraint)
            }
            Handled::At { .. } => None,
        }
    }

    /// Whether it is known what becomes of it; if not, the waker is woken when it is.
    fn is_known(&self, commits: &Commits, waker: &Waker) -> bool {
        match self.handled {
            None => false,
            Some(Handled::Refused) => true,
            Some(Handled::At { rests_on, waits_for }) => {
                [rests_on, waits_for].iter().all(|lsn| commits.wait(*lsn, waker) != Fate::Pending)
            }
        }
    }

    fn error(&self, condition: Condition) -> Option<Stanza> {
        self.stanza.as_ref()?.error_reply(&StanzaError::new(condition))
    }
}

impl UnderWay {
    /// None; the next one has this number.
    pub fn none(next: u64) -> Self {
        UnderWay { asked: VecDeque::new(), bytes: 0, next, wants_refusal: false, refusal_of: None }
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The oldest one that is not done with, or the next.
    pub fn oldest(&self) -> u64 {
        self.asked.front().map_or(self.next, |asked| asked.number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether all are done with.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// One has come; none at all if the stream has dealt with it itself. Returns its number.
    pub fn begin(&mut self, stanza: Option<&Stanza>) -> u64 {
        let number = self.next;
        self.next += 1;
        let bytes = stanza.map_or(0, Stanza::byte_len);
        self.bytes += bytes;
        self.asked.push_back(Asked { number, stanza: stanza.cloned(), bytes, stepped: None, handled: None });
        number
    }

    /// Its account has read it; that rests on this number.
    pub fn stepped(&mut self, number: u64, lsn: Lsn) {
        if let Some(asked) = self.find(number) {
            asked.stepped = Some(lsn);
        }
    }

    /// The first one that its account has not read, or the next.
    pub fn unread(&self) -> u64 {
        let unread = |asked: &&Asked| asked.stepped.is_none() && asked.handled.is_none();
        self.asked.iter().find(unread).map_or(self.next, |asked| asked.number)
    }

    /// All that comes of it has been stepped. One that has been refused stays so: the answer to a question of it may be
    /// read when its client has long heard that the first step was lost.
    pub fn handled(&mut self, number: u64, handled: Handled) {
        if let Some(asked) = self.find(number) {
            asked.handled.get_or_insert(handled);
        }
    }

    /// That its consequence is lost is known to the store with `lsn`, and its client hears so.
    pub fn refused(&mut self, number: u64, lsn: Lsn) {
        if let Some(asked) = self.find(number) {
            (asked.stepped, asked.handled, asked.stanza) = (Some(lsn), Some(Handled::at(lsn)), None);
        }
    }

    /// Those whose consequences are lost, by number, each with the error that its client has not heard yet.
    pub fn refusals(&self, commits: &Commits) -> Vec<(u64, Option<Stanza>)> {
        let lost = |asked: &Asked| Some((asked.number, asked.error(asked.lost(commits)?)));
        self.asked.iter().filter_map(lost).collect()
    }

    /// In the order in which they came: one whose consequence is committed is done with; one whose consequence was lost
    /// with a failed commit is answered, so that its sender knows (guarantee G2). On a stream that can be resumed its
    /// account answers, since the store must know, and nothing behind it is done with until it has. Returns the
    /// answers.
    pub fn settle(&mut self, commits: &Commits, waker: &Waker, by_account: bool) -> Vec<Stanza> {
        let mut answers = Vec::new();
        while let Some(first) = self.asked.front().filter(|first| first.is_known(commits, waker)) {
            let lost = first.lost(commits);
            if lost.is_some() && by_account {
                self.wants_refusal |= self.refusal_of.replace(first.number) != Some(first.number);
                break;
            }
            answers.extend(lost.and_then(|condition| first.error(condition)));
            self.bytes = self.bytes.saturating_sub(first.bytes);
            self.asked.pop_front();
        }
        if self.asked.is_empty() {
            // An idle session holds no room for more.
            self.asked = VecDeque::new();
        }
        answers
    }

    /// Whether the account is to answer for one that is lost; it then counts as told.
    pub fn wants_refusal(&mut self) -> bool {
        std::mem::take(&mut self.wants_refusal)
    }

    /// Numbers follow one another, so the place is known.
    fn find(&mut self, number: u64) -> Option<&mut Asked> {
        let first = self.asked.front()?.number;
        self.asked.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_refused_stays_so() {
        let mut under_way = UnderWay::none(7);
        let number = under_way.begin(None);
        under_way.refused(number, Lsn::default());
        // The last share of its ticket goes later, with the answer to a question.
        under_way.handled(number, Handled::Refused);
        let handled = under_way.asked.front().and_then(|asked| asked.handled);
        assert!(matches!(handled, Some(Handled::At { .. })), "{handled:?}");
    }
}

//! What is put behind a door together.

use std::task::Wake;

use store::Rehearsal;

use super::*;

/// A connection that is as quick as can be: it takes what may leave in the moment in which it is woken.
struct Quick {
    seat: Seat,
    taken: Mutex<Vec<usize>>,
}

impl Wake for Quick {
    fn wake(self: Arc<Self>) {
        let taken = self.seat.take(&Waker::from(self.clone())).len();
        self.taken.lock().push(taken);
    }
}

#[test]
fn what_is_put_together_is_taken_together() {
    let (store, _hand) = Rehearsal::new();
    let seat = Door::opened(SessionId(1), Commits::new(store.log()), 1 << 20);
    let quick = Arc::new(Quick { seat, taken: Mutex::default() });
    assert!(quick.seat.take(&Waker::from(quick.clone())).is_empty());

    let held = Stanza::read(b"<message xmlns='jabber:client'><body>one</body></message>").unwrap();
    let together = [Outgoing::Held(held), Outgoing::Left(Return::OfflineLeft(1))];
    quick.seat.door().put_together(Lsn::default(), SystemTime::UNIX_EPOCH, None, together);

    assert_eq!(*quick.taken.lock(), [2]);
}

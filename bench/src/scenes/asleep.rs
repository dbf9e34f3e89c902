//! People whose connections have broken and whose streams can go on (XEP-0198 §5): for everybody else they are online,
//! and they take no file.

use std::ops::Range;

use crate::crowd::{Crowd, Nothing};
use crate::manner::Manner;

/// Connections that are there at a time.
const AT_A_TIME: u32 = 1_000;

/// Has each of these accounts come in and vanish.
///
/// # Errors
/// Of the crowd; a server that lets no stream go on.
pub fn put(manner: &Manner, accounts: Range<u32>) -> Result<(), String> {
    let mut manner = manner.clone();
    manner.managed = true;
    for first in accounts.clone().step_by(AT_A_TIME as usize) {
        let mut crowd = Crowd::new(manner.clone())?;
        let those = first..accounts.end.min(first + AT_A_TIME);
        for who in crowd.gather(those, &mut Nothing)? {
            crowd.wishes().vanish(who);
        }
        if let Some((_, session)) = crowd.sessions().find(|(_, session)| session.stream.is_none()) {
            return Err(format!("u{}: the stream cannot go on", session.account));
        }
        crowd.turn(&mut Nothing)?;
    }
    Ok(())
}

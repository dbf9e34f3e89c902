//! From a password to the keys that are kept of it.

use futures_channel::oneshot;
use server::credentials::{self, Salts};
use step::World;
use store::Credentials;
use xmpp::secret::Password;

use crate::desk::Refused;

/// Derives the keys on the pool for costly work.
///
/// # Errors
/// When the pool is full, or the password holds characters that none may hold (RFC 8265 §4.2).
pub async fn derive(world: &World, password: Password, iterations: u32) -> Result<Credentials, Refused> {
    let (done, keys) = oneshot::channel();
    let salts = Salts::new(world);
    let job = Box::new(move || {
        // Nobody waits for the answer any more if it cannot be sent.
        let _ = done.send(credentials::derive(&password, &salts, iterations));
    });
    let busy = || Refused("the server is busy with other passwords; try again".to_owned());
    world.spawn.run(job).map_err(|step::Busy| busy())?;
    let keys = keys.await.map_err(|_| busy())?;
    keys.ok_or_else(|| {
        Refused("the password is empty, or holds characters that passwords may not hold".to_owned())
    })
}

//! A server under siege: it stands for many cases in turn, somebody uses it meanwhile, and its memory is watched.

use std::path::Path;
use std::time::{Duration, Instant};

use simulator::conversation::{Refused, Scene, Setting, Stage};

use crate::bystander::{self, Bystander};
use crate::eyes::Eyes;
use crate::support::sockets::{Addresses, House, Sockets};
use crate::support::waxwing::Waxwing;

/// Everybody's password.
pub const PASSWORD: &str = "secret";
/// The longest that the bystander may wait while somebody is hostile (guarantee G15).
pub const BYSTANDER_MAX: Duration = Duration::from_millis(250);

/// The siege.
pub struct Siege {
    /// Where conversations are played.
    pub stage: Sockets<Standing>,
    bystander: Bystander,
    eyes: Eyes,
}

/// What was seen while something hostile went on.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// KiB by which the server's memory grew, at most.
    pub grown_kib: u64,
    /// The longest that the bystander waited.
    pub waited: Duration,
    /// How long it all took.
    pub took: Duration,
}

/// A house whose server is started once, and stands then.
pub struct Standing {
    /// The house.
    pub house: Waxwing,
    addresses: Option<Addresses>,
}

impl House for Standing {
    fn set(&mut self, scene: &Scene) -> Result<Addresses, Refused> {
        match self.addresses {
            Some(addresses) => Ok(addresses),
            None => {
                let addresses = self.house.set(scene)?;
                self.addresses = Some(addresses);
                Ok(addresses)
            }
        }
    }

    fn restart(&mut self) -> Result<Addresses, String> {
        Err("the server stands: others are on it".to_owned())
    }

    fn crash(&mut self) -> Result<Addresses, String> {
        Err("the server stands: others are on it".to_owned())
    }
}

impl Siege {
    /// Starts a server with these accounts besides the bystander's.
    ///
    /// # Errors
    /// When it does not start, or does not serve the bystander.
    pub fn lay(program: &Path, accounts: &[String], settings: &[Setting]) -> Result<Siege, String> {
        let house = Waxwing::built(program.to_owned(), None);
        let mut stage = Sockets::new(Standing { house, addresses: None });
        let bystander = bystander::ACCOUNT.to_owned();
        let accounts = accounts.iter().chain([&bystander]).map(|jid| (jid.clone(), PASSWORD.to_owned()));
        let scene = Scene { accounts: accounts.collect(), settings: settings.to_vec() };
        stage.set(&scene).map_err(|why| format!("{why:?}"))?;
        let process = stage.house.house.process().ok_or("the server does not run")?;
        let addresses = stage.house.addresses.ok_or("the server has no address")?;
        let bystander = Bystander::begin(addresses.tls.ok_or("no port for TLS")?, PASSWORD)?;
        bystander.wait()?;
        Ok(Siege { stage, bystander, eyes: Eyes::on(process) })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// When it was not started.
    pub fn addresses(&self) -> Result<Addresses, String> {
        self.stage.house.addresses.ok_or_else(|| "the server has no address".to_owned())
    }

    /// Eyes on its memory.
    pub fn eyes(&self) -> Eyes {
        self.eyes
    }

    /// Whoever uses the server meanwhile.
    pub fn bystander(&self) -> &Bystander {
        &self.bystander
    }

    /// Does something hostile, and sees what it does to the server and to the bystander.
    ///
    /// # Errors
    /// What the hostile one says, the server is gone, or the bystander is not served any more.
    pub fn watch<T>(
        &mut self,
        hostile: impl FnOnce(&mut Siege) -> Result<T, String>,
    ) -> Result<(T, Seen), String> {
        self.bystander.look()?;
        self.eyes.forget();
        let (before, begun) = (self.eyes.resident_kib(), Instant::now());
        let done = hostile(self);
        let took = begun.elapsed();
        if self.stage.house.house.process().is_none() {
            return Err(format!("the server is gone; {}", self.last_words()));
        }
        let done = done?;
        self.bystander.wait()?;
        let grown_kib = self.eyes.peak_kib().saturating_sub(before);
        Ok((done, Seen { grown_kib, waited: self.bystander.look()?, took }))
    }

    /// The end of the server's log.
    pub fn last_words(&self) -> String {
        format!("its log ends with:\n{}", self.stage.house.house.last_words())
    }

    /// What the server logged that nobody from outside may cause.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.stage.house.house.log();
        let bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
        log.lines().filter(bad).map(str::to_owned).collect()
    }
}

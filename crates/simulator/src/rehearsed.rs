//! Conversations in rehearsal: the same dialogues as over sockets, in virtual time, with bytes that arrive in pieces.

use std::time::Duration;

use server::Config;
use store::Credentials;
use stream::{ClientCertificate, TlsFacts, TransportFacts};
use xmpp::jid::BareJid;

use crate::clockwork::Clockwork;
use crate::conversation::{Binding, Door, Fortune, Received, Refused, Scene, Setting, Stage, Wire, settings};
use crate::disk::Mood;
use crate::house::{House, everybodys_keys};
use crate::link::{Carried, Link, Way, Weather};

/// How links behave in a conversation: quick, but bytes come in any pieces.
const WEATHER: Weather = Weather { delay: Duration::from_millis(3), pieces: 3 };
/// When nothing has come for so long, nothing is on its way.
const PATIENCE: Duration = Duration::from_secs(10);
/// The node looks at the memory more often than this.
const LOOK: Duration = Duration::from_secs(1);

/// The stage in rehearsal.
pub struct Rehearsed {
    seed: u64,
    scene: Scene,
    set: Option<(Clockwork, House)>,
    wires: Vec<Connection>,
}

/// A connection; a client on the TLS port is there once it has done its handshake.
struct Connection {
    link: Option<Link>,
}

impl Rehearsed {
    /// A stage on which chance comes from this seed.
    pub fn new(seed: u64) -> Self {
        Rehearsed { seed, scene: Scene::default(), set: None, wires: Vec::new() }
    }

    fn house(&self) -> Result<&(Clockwork, House), String> {
        self.set.as_ref().ok_or_else(|| "no scene has been set".to_owned())
    }

    /// What the node learns of a handshake with somebody who shows the certificate of `account`.
    fn facts(&self, wire: Wire, domain: &str, account: Option<&str>) -> TlsFacts {
        let trusted = self.scene.settings.contains(&Setting::ClientCertificates);
        let certificate = |account: &str| ClientCertificate { xmpp_addrs: vec![account.to_owned()], trusted };
        let mut exporter = [0; 32];
        exporter[..8].copy_from_slice(&(wire.0 as u64 + 1).to_le_bytes());
        TlsFacts {
            version13: true,
            sni: Some(domain.to_owned()),
            exporter: Some(exporter),
            end_point: Some(b"the certificate of the rehearsal".to_vec()),
            client: account.map(certificate),
        }
    }
}

/// The keys that accounts have.
fn keys(settings: &[Setting]) -> Credentials {
    let mut keys = everybodys_keys().clone();
    let only = settings.iter().find_map(|setting| match setting {
        Setting::Keys(hashes) => Some(hashes),
        _ => None,
    });
    if let Some(only) = only {
        keys.scram.retain(|(hash, _)| only.iter().any(|name| hash.mechanism().ends_with(name)));
    }
    keys
}

impl Stage for Rehearsed {
    fn name(&self) -> &'static str {
        "simulator"
    }

    fn set(&mut self, scene: &Scene) -> Result<(), Refused> {
        let failed = |why: String| Refused::Failed(why);
        let config = Config::parse(&settings::lines(&scene.settings))
            .map_err(|mistakes| failed(format!("{mistakes:?}")))?;
        let accounts: Result<Vec<_>, _> = scene.accounts.iter().map(|(jid, _)| BareJid::new(jid)).collect();
        let accounts = accounts.map_err(|error| failed(error.to_string()))?;
        if let Some((clockwork, _)) = &self.set {
            clockwork.end();
        }
        let clockwork = Clockwork::new(self.seed);
        let house = House::with_keys(&clockwork, config, &accounts, &keys(&scene.settings));
        house.start().map_err(failed)?;
        self.wires.clear();
        self.scene = scene.clone();
        self.set = Some((clockwork, house));
        Ok(())
    }

    fn open(&mut self, door: Door, _domain: &str) -> Result<Wire, String> {
        let (_, house) = self.house()?;
        let link = match door {
            Door::Plain => {
                let link = house.connect(WEATHER, TransportFacts::Tcp { starttls: true });
                Some(link.ok_or("no node is there")?)
            }
            Door::Tls => None,
        };
        self.wires.push(Connection { link });
        Ok(Wire(self.wires.len() - 1))
    }

    fn secure(&mut self, wire: Wire, domain: &str, account: Option<&str>) -> Result<Binding, String> {
        let facts = self.facts(wire, domain, account);
        let (_, house) = self.house()?;
        match &self.wires[wire.0].link {
            Some(link) => link.handshake(facts.clone()),
            None => {
                let link = house.connect(WEATHER, TransportFacts::DirectTls(facts.clone()));
                self.wires[wire.0].link = Some(link.ok_or("no node is there")?);
            }
        }
        Ok(Binding { exporter: facts.exporter.map(|data| data.to_vec()), end_point: facts.end_point })
    }

    fn send(&mut self, wire: Wire, bytes: &[u8]) {
        let Some((clockwork, _)) = &self.set else { return };
        let Some(link) = &self.wires[wire.0].link else { return };
        let mut rest = bytes;
        let limit = clockwork.elapsed() + PATIENCE;
        loop {
            rest = &rest[link.write(Way::Up, rest, None)..];
            if rest.is_empty() || clockwork.elapsed() >= limit {
                return;
            }
            clockwork.run_for(WEATHER.delay);
        }
    }

    fn receive(&mut self, wire: Wire) -> Received {
        let Some((clockwork, _)) = &self.set else { return Received::Closed };
        let Some(link) = &self.wires[wire.0].link else { return Received::Closed };
        clockwork.run_while(clockwork.elapsed() + PATIENCE, || !link.has_arrived(Way::Down));
        match link.take(Way::Down) {
            Some(Carried::Bytes(bytes)) => Received::Bytes(bytes),
            Some(Carried::End) => Received::Closed,
            Some(Carried::Handshake(_)) | None => Received::Quiet,
        }
    }

    fn cut(&mut self, wire: Wire) {
        if let Some(link) = &self.wires[wire.0].link {
            link.cut();
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        let (_, house) = self.house()?;
        house.stop();
        house.start()
    }

    fn crash(&mut self) -> Result<(), String> {
        let (_, house) = self.house()?;
        house.kill();
        house.start()
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let (clockwork, _) = self.house()?;
        clockwork.run_for(time);
        Ok(())
    }

    fn befall(&mut self, fortune: Fortune) -> Result<(), String> {
        let (clockwork, house) = self.house()?;
        match fortune {
            Fortune::Full => house.set_mood(Mood { fails_once_in: 1, ..Mood::GOOD }),
            Fortune::Room => house.set_mood(Mood::GOOD),
            Fortune::Away => house.fail_reads(true),
            Fortune::Back => house.fail_reads(false),
            Fortune::Memory(percent) => {
                clockwork.fill_memory(percent);
                // The node sees it when it looks the next time.
                clockwork.run_for(LOOK);
            }
        }
        Ok(())
    }
}

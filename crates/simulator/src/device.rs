//! One device of a person in rehearsal: connects, logs in, does what is drawn for it, and comes back when its
//! connection ends.

use std::future::poll_fn;
use std::time::Duration;

use stream::client::{Client, ClientSettings, Login, Profile};
use stream::{ClientCertificate, Mechanism, ScramHash, TlsFacts, TransportFacts};
use xmpp::jid::{BareJid, FullJid};

use crate::house::PASSWORD;
use crate::line::{Line, Stream};
use crate::play::Play;

/// A device.
pub struct Device {
    /// The rehearsal that it is in.
    pub play: Play,
    /// Its address.
    pub jid: FullJid,
    /// The last number that it asked the server to keep; numbers only grow.
    pub number: u32,
    /// How often it has published something or taken it back.
    pub published: u32,
    /// The stream whose connection has gone, if it can be resumed.
    pub former: Option<Stream>,
}

impl Device {
    /// A device that has not connected yet.
    pub fn new(play: Play, jid: FullJid) -> Self {
        Device { play, jid, number: 0, published: 0, former: None }
    }

    /// Everybody's second device sees what the first one does.
    pub fn wants_copies(&self) -> bool {
        self.jid.resource() == "d1"
    }

    /// Everybody's first device counts what comes and goes, and so do half of the second ones.
    pub fn counts(&self) -> bool {
        !self.wants_copies() || self.play.clockwork().draw(|chance| chance.once_in(2))
    }

    /// Whoever counts wants to be able to go on with its stream, mostly.
    pub fn comes_back(&self) -> bool {
        self.play.clockwork().draw(|chance| !chance.once_in(4))
    }

    /// Its life: from one connection to the next, for as long as the rehearsal lasts.
    pub async fn live(mut self) {
        loop {
            let pause = self.play.clockwork().draw(|chance| chance.below(1_000)) as u64;
            self.play.clockwork().sleep(Duration::from_millis(pause)).await;
            if let Some(mut line) = self.connect() {
                poll_fn(|context| line.poll(context)).await;
            }
        }
    }

    /// Connects in one of the ways there are; nobody is there when no node lives.
    fn connect(&mut self) -> Option<Line<'_>> {
        let mut facts = TlsFacts { version13: true, exporter: Some([0; 32]), ..TlsFacts::default() };
        let (seed, by_password, direct, at_once) = self.play.clockwork().draw(|chance| {
            let mut seed = [0; 32];
            chance.fill(&mut seed);
            (seed, chance.once_in(10), chance.once_in(2), chance.once_in(2))
        });
        if !by_password {
            facts.client = Some(certificate(&self.jid.bare()));
        }
        let mut settings = self.settings(by_password);
        if at_once {
            settings.profile = Profile::Sasl2;
        }
        settings.former = self.former.as_ref().and_then(|stream| stream.managed.as_ref()?.former(&self.jid));
        let transport = match direct {
            true => TransportFacts::DirectTls(facts.clone()),
            false => TransportFacts::Tcp { starttls: true },
        };
        let link = self.play.house().connect(self.play.weather(), transport.clone())?;
        let client = Client::new(self.play.clockwork().now(), settings, seed, transport);
        Some(Line::new(self, client, link, facts))
    }

    /// Mostly with a certificate: deriving keys from a password is dear, also in rehearsal.
    fn settings(&self, by_password: bool) -> ClientSettings {
        let (login, mechanism) = match by_password {
            true => {
                let username = self.jid.local().unwrap_or_default().to_owned();
                let login = Login::Password { username, password: PASSWORD.to_owned() };
                (login, Mechanism::ScramPlus(ScramHash::Sha256))
            }
            false => (Login::Certificate { authzid: None }, Mechanism::External),
        };
        let mut settings = ClientSettings::new(self.jid.domain(), login);
        settings.resource = Some(self.jid.resource().to_owned());
        settings.mechanisms = Some(vec![mechanism]);
        settings
    }
}

fn certificate(account: &BareJid) -> ClientCertificate {
    ClientCertificate { xmpp_addrs: vec![account.to_string()], trusted: true }
}

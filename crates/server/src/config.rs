//! The settings of a server: what an operator may decide, read from one TOML file.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use step::domain::PushShows;
use step::{Domain, Seal};
use stream::{C2sSettings, Deadlines, ScramHash};
use xmpp::jid::{BareJid, Jid};

use crate::failed_logins::Allowed;

pub mod keys;
mod limits;
mod read;

pub use limits::Limits;
pub use read::Mistake;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// All settings. The default serves `localhost` to this machine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The domains served, prepared; at least one.
    pub domains: Vec<String>,
    /// The directory of everything that is kept.
    pub data_dir: PathBuf,
    /// Addresses for clients that use STARTTLS.
    pub c2s: Vec<SocketAddr>,
    /// Addresses for clients that begin with TLS.
    pub c2s_tls: Vec<SocketAddr>,
    /// Where a client whose connection broke had better come back to, as `domain:port` (XEP-0198 §3).
    pub come_back: Option<String>,
    /// Files of certificates and their keys; none: a self-signed one is made.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// The file of authorities whose client certificates are trusted.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must use TLS.
    pub tls_required: bool,
    /// Whether strangers may register.
    pub registration_open: bool,
    /// Where things are stored; none: SQLite in the data directory.
    pub store_url: Option<String>,
    /// What is logged: a filter of `tracing`.
    pub log_level: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Accounts that administer the server.
    pub admins: Vec<BareJid>,
    /// SCRAM hashes on offer, preferred first.
    pub scram: Vec<ScramHash>,
    /// Whether PLAIN is on offer.
    pub plain: bool,
    /// Whether EXTERNAL is on offer.
    pub external: bool,
    /// Whether ANONYMOUS is on offer.
    pub anonymous: bool,
    /// PBKDF2 rounds of new keys.
    pub iterations: u32,
    /// Contact addresses of XEP-0157, as field and address.
    pub contacts: Vec<(String, String)>,
    /// Whether strangers may write to people first.
    pub strangers_may_write: bool,
    /// What push notifications show.
    pub push_shows: PushShows,
    /// Domains whose archives are kept for other than `limits.archive_days`, and for how many days; 0: for ever.
    pub archive_days: Vec<(String, u64)>,
    /// Named limits.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| {
            vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
        };
        Config {
            domains: vec!["localhost".to_owned()],
            data_dir: PathBuf::from("./waxwing-data"),
            c2s: loopback(5222),
            c2s_tls: loopback(5223),
            come_back: None,
            certificates: Vec::new(),
            client_ca: None,
            tls_required: true,
            registration_open: false,
            store_url: None,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            admins: Vec::new(),
            scram: vec![ScramHash::Sha512, ScramHash::Sha256, ScramHash::Sha1],
            plain: true,
            external: true,
            anonymous: false,
            iterations: 10_000,
            contacts: Vec::new(),
            strangers_may_write: true,
            push_shows: PushShows::default(),
            archive_days: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads a configuration from the text of a file.
    ///
    /// # Errors
    /// Every mistake that was found, with its line.
    pub fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
        read::read(text)
    }

    /// Where things are stored, as a URL.
    pub fn store_url(&self) -> String {
        match &self.store_url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", self.data_dir.join("waxwing.sqlite").display()),
        }
    }

    /// The socket of the running server's desk.
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir.join("control.sock")
    }

    /// The domains as features see them.
    pub fn domains(&self) -> Vec<Domain> {
        let jids = self.domains.iter().filter_map(|domain| Jid::from_domain(domain).ok());
        jids.map(|jid| Domain {
            archive_keep: self.archive_keep(jid.domain()),
            jid,
            registration_open: self.registration_open,
            admins: self.admins.clone().into(),
            contacts: self.contacts.clone().into(),
            seal: Seal::default(),
            strangers_may_write: self.strangers_may_write,
            push_shows: self.push_shows,
            limits: self.limits.account(),
        })
        .collect()
    }

    /// For how long archives of this domain are kept; `None`: for ever.
    fn archive_keep(&self, domain: &str) -> Option<Duration> {
        let own = self.archive_days.iter().find(|(of, _)| of == domain);
        let days = own.map_or(self.limits.archive_days, |(_, days)| *days);
        (days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 60 * 60)))
    }

    /// Settings of client streams. `secret` is the server's lasting secret.
    pub fn streams(&self, secret: [u8; 32]) -> C2sSettings {
        let limits = &self.limits;
        let mut settings = C2sSettings::new(self.domains.clone(), secret);
        settings.tls_required = self.tls_required;
        settings.scram = self.scram.clone();
        settings.plain = self.plain;
        settings.external = self.external;
        settings.anonymous = self.anonymous;
        settings.tokens = limits.token_days > 0;
        settings.register = self.registration_open;
        settings.scram_iterations = self.iterations;
        settings.limits_before.stanza_bytes = limits.login_element_bytes;
        settings.limits_before.tag_bytes = limits.login_element_bytes;
        settings.bytes_before = limits.login_bytes;
        settings.elements_before = limits.login_elements;
        settings.limits_after = limits.stanza();
        settings.deadlines = Deadlines {
            tls: Duration::from_secs(limits.tls_seconds),
            auth: Duration::from_secs(limits.login_seconds),
            bind: Duration::from_secs(limits.bind_seconds),
        };
        let idle = Duration::from_secs(limits.idle_ping_seconds);
        settings.idle_ping = (!idle.is_zero()).then_some(idle);
        settings.ping_timeout = Duration::from_secs(limits.ping_answer_seconds);
        settings
    }

    /// PBKDF2 rounds of new keys.
    pub fn scram_iterations(&self) -> u32 {
        self.iterations
    }

    /// Stanzas that are held back from one client at which nobody looks.
    pub fn held_back_stanzas(&self) -> usize {
        self.limits.held_back_stanzas
    }

    /// Failed logins that mean nothing.
    pub(crate) fn failed_logins(&self) -> Allowed {
        let limits = &self.limits;
        Allowed {
            per_address: limits.failed_logins_per_address,
            per_account: limits.failed_logins_per_account,
        }
    }

    /// Bytes that may wait for one client.
    pub fn outbound_bytes(&self) -> usize {
        self.limits.outbound_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        match Config::parse(text) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn nothing_is_the_default_and_so_is_the_example() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
        assert_eq!(Config::parse(&keys::example()), Ok(Config::default()));
    }

    #[test]
    fn every_key_of_the_table_can_be_set() {
        let all: String = keys::example()
            .lines()
            .map(|line| {
                let setting = line.strip_prefix("# ").filter(|rest| {
                    let name = rest.split(" = ").next().unwrap_or_default();
                    rest.contains(" = ") && keys::KEYS.iter().any(|key| key.leaf() == name)
                });
                format!("{}\n", setting.unwrap_or(line))
            })
            .collect();
        let config = Config::parse(&all).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!(config.certificates.len(), 1);
        assert_eq!(config.contacts.len(), 7);
    }

    #[test]
    fn a_real_one() {
        let text = r#"
            domains = ["Example.ORG", "example.net"]
            data_dir = "/var/lib/waxwing"
            [listen]
            c2s = ["0.0.0.0:5222"]
            c2s_tls = []
            [tls]
            certificate = ["a.pem", "b.pem"]
            key = ["a.key", "b.key"]
            [registration]
            open = true
            [store]
            url = "postgres://waxwing@localhost/waxwing"
            [log]
            level = "info,net=debug"
            format = "json"
            [admin]
            accounts = ["alice@example.org"]
            [sasl]
            mechanisms = ["scram-sha-256"]
            [archive]
            days_of = { "example.NET" = 30 }
            [limits]
            roster_items = 5000
            archive_days = 0
            "#;
        let config = Config::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!(config.domains, ["example.org", "example.net"]);
        assert_eq!(config.certificates[1], ("b.pem".into(), "b.key".into()));
        assert_eq!(config.scram, [ScramHash::Sha256]);
        assert!(!config.plain && config.registration_open);
        assert_eq!(config.domains()[1].limits.roster_items, 5000);
        let kept: Vec<_> = config.domains().iter().map(|domain| domain.archive_keep).collect();
        assert_eq!(kept, [None, Some(Duration::from_secs(30 * 24 * 60 * 60))]);
        assert!(config.domains()[0].is_admin(&config.admins[0]));
        assert_eq!(config.store_url(), "postgres://waxwing@localhost/waxwing");
    }

    #[test]
    fn mistakes_name_the_line_and_the_remedy() {
        assert_eq!(
            mistakes("domians = []\n\n[listne]\nc2s = []\n[tls]\ncertifcate = 'x'\n"),
            [
                "line 1: unknown key `domians`; did you mean `domains`?",
                "line 3: unknown key `listne`; did you mean `listen`?",
                "line 6: unknown key `tls.certifcate`; did you mean `tls.certificate`?",
            ]
        );
        assert_eq!(
            mistakes("domains = ['one.test',\n 'not a domain']\n[listen]\nc2s = ['5222']\n"),
            [
                "line 2: `not a domain` is not a domain, as `example.org` is",
                "line 4: `5222` is not an address with a port, as `127.0.0.1:5222` or `[::]:5222`",
            ]
        );
        assert_eq!(
            mistakes("[tls]\ncertificate = 'a.pem'\n"),
            ["line 2: `tls.certificate` needs `tls.key`, the file of its private key"]
        );
        assert_eq!(
            mistakes("[store]\nurl = 'mysql://x'\n"),
            ["line 2: `store.url` must be `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`"]
        );
        assert_eq!(
            mistakes("[log]\nlevel = 'loud'\nformat = 'xml'\n"),
            [
                "line 2: `loud` is not a level: error, warn, info, debug or trace",
                "line 3: `xml` is not a format: text or json",
            ]
        );
        assert_eq!(
            mistakes(
                "[sasl]\niterations = 1\nmechanisms = ['DIGEST-MD5']\n[admin]\naccounts = ['example.org']\n"
            ),
            [
                "line 2: `sasl.iterations` must be at least 4096 and at most 10000000",
                "line 3: `DIGEST-MD5` is not a mechanism: SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN or EXTERNAL",
                "line 5: `example.org` is not the address of an account, as `alice@example.org`",
            ]
        );
        assert_eq!(
            mistakes(
                "domains = ['one.test']\n[archive.days_of]\n'one.test' = 1\n'two.test' = 1\n'ONE.test' = 2\n"
            ),
            ["line 4: `two.test` is not one of `domains`", "line 5: `one.test` is named twice"]
        );
        assert_eq!(mistakes("listen = ['x']"), ["line 1: `listen` is a section: write `[listen]`"]);
        assert_eq!(
            mistakes("\n[limits]\nstanza_bytes = 9999\n"),
            ["line 3: `limits.stanza_bytes` must be at least 10000 (RFC 6120 §13.12)"]
        );
        // Nor is 0 no limit.
        for few in [0, 63] {
            assert_eq!(
                mistakes(&format!("[limits]\nmemory_mib = {few}\n")),
                ["line 2: `limits.memory_mib` must be at least 64"]
            );
        }
    }

    #[test]
    fn wrong_types_are_told_in_words() {
        let told = mistakes("\n[limits]\nroster_items = 'many'\n");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("line 3: invalid type: string \"many\", expected usize"), "{told:?}");
        assert!(mistakes("domains = [\n")[0].starts_with("line "));
    }
}

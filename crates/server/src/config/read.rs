//! From the text of a configuration file to settings, or to mistakes that say where they are and what to do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use step::domain::PushShows;
use stream::ScramHash;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use xmpp::jid::{BareJid, Jid};

use super::{Config, Limits, LogFormat, keys};

/// Something wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line it is in, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.text)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    domains: Option<Spanned<Vec<Spanned<String>>>>,
    data_dir: Option<PathBuf>,
    listen: RawListen,
    tls: RawTls,
    registration: RawRegistration,
    store: RawStore,
    log: RawLog,
    admin: RawAdmin,
    sasl: RawSasl,
    contact: RawContact,
    push: RawPush,
    strangers: RawStrangers,
    archive: RawArchive,
    limits: Limits,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawListen {
    c2s: Option<Vec<Spanned<String>>>,
    c2s_tls: Option<Vec<Spanned<String>>>,
    come_back: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    certificate: Option<Spanned<OneOrMany>>,
    key: Option<Spanned<OneOrMany>>,
    client_ca: Option<PathBuf>,
    required: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a path, or a list of paths")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl OneOrMany {
    fn paths(self) -> Vec<PathBuf> {
        match self {
            OneOrMany::One(path) => vec![path],
            OneOrMany::Many(paths) => paths,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawRegistration {
    open: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawStore {
    url: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawLog {
    level: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawAdmin {
    accounts: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawSasl {
    mechanisms: Option<Vec<Spanned<String>>>,
    anonymous: bool,
    iterations: Option<Spanned<u32>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawPush {
    shows: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawStrangers {
    may_write: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawArchive {
    days_of: BTreeMap<Spanned<String>, u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawContact {
    abuse: Vec<String>,
    admin: Vec<String>,
    feedback: Vec<String>,
    sales: Vec<String>,
    security: Vec<String>,
    status: Vec<String>,
    support: Vec<String>,
}

/// Reads a configuration.
///
/// # Errors
/// Every mistake that was found, in the order of the file.
pub fn read(text: &str) -> Result<Config, Vec<Mistake>> {
    let mut reader = Reader { text, mistakes: Vec::new() };
    let tree = match DeTable::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            reader.mistake(error.span().unwrap_or_default(), one_line(error.message()));
            return Err(reader.mistakes);
        }
    };
    reader.known_keys(None, tree.get_ref());
    if !reader.mistakes.is_empty() {
        return reader.end(Config::default());
    }
    match toml::from_str::<Raw>(text) {
        Ok(raw) => {
            let config = reader.config(raw);
            reader.end(config)
        }
        Err(error) => {
            reader.mistake(error.span().unwrap_or_default(), one_line(error.message()));
            Err(reader.mistakes)
        }
    }
}

/// What the TOML reader says, on one line.
fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn mistake(&mut self, at: Range<usize>, text: impl Into<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.mistakes.push(Mistake { line, text: text.into() });
    }

    fn end(mut self, config: Config) -> Result<Config, Vec<Mistake>> {
        if self.mistakes.is_empty() {
            return Ok(config);
        }
        self.mistakes.sort_by_key(|mistake| mistake.line);
        Err(self.mistakes)
    }

    /// Refuses what the table of keys does not know.
    fn known_keys(&mut self, section: Option<&str>, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let name = match section {
                Some(section) => format!("{section}.{}", key.get_ref()),
                None => key.get_ref().to_string(),
            };
            match value.get_ref() {
                DeValue::Table(inner) if section.is_none() && keys::is_section(&name) => {
                    self.known_keys(Some(&name), inner);
                }
                _ if keys::find(&name).is_some() => {}
                _ if section.is_none() && keys::is_section(&name) => {
                    self.mistake(key.span(), format!("`{name}` is a section: write `[{name}]`"));
                }
                _ => {
                    let meant = keys::did_you_mean(&name);
                    self.mistake(key.span(), format!("unknown key `{name}`{meant}"));
                }
            }
        }
    }

    fn config(&mut self, raw: Raw) -> Config {
        let default = Config::default();
        let domains = self.domains(raw.domains, default.domains);
        let url = raw.store.url.map(|url| {
            self.store_url(&url);
            url.into_inner()
        });
        let archive_days = self.archive_days(raw.archive.days_of, &domains);
        Config {
            domains,
            archive_days,
            data_dir: raw.data_dir.unwrap_or(default.data_dir),
            c2s: self.addresses(raw.listen.c2s, default.c2s),
            c2s_tls: self.addresses(raw.listen.c2s_tls, default.c2s_tls),
            come_back: self.come_back(raw.listen.come_back),
            certificates: self.certificates(raw.tls.certificate, raw.tls.key),
            client_ca: raw.tls.client_ca,
            tls_required: raw.tls.required.unwrap_or(default.tls_required),
            registration_open: raw.registration.open,
            store_url: url,
            log_level: self.log_level(raw.log.level, default.log_level),
            log_format: self.log_format(raw.log.format),
            admins: self.admins(raw.admin.accounts),
            iterations: self.iterations(raw.sasl.iterations, default.iterations),
            anonymous: raw.sasl.anonymous,
            contacts: contacts(raw.contact),
            strangers_may_write: raw.strangers.may_write.unwrap_or(default.strangers_may_write),
            push_shows: self.push_shows(raw.push.shows),
            limits: self.limits(raw.limits),
            ..self.mechanisms(raw.sasl.mechanisms)
        }
    }

    fn domains(&mut self, raw: Option<Spanned<Vec<Spanned<String>>>>, default: Vec<String>) -> Vec<String> {
        let Some(raw) = raw else { return default };
        if raw.get_ref().is_empty() {
            self.mistake(raw.span(), "`domains` is empty; name at least one, as [\"example.org\"]");
        }
        let mut domains: Vec<String> = Vec::new();
        for domain in raw.into_inner() {
            match Jid::from_domain(domain.get_ref()) {
                Ok(jid) if domains.iter().any(|known| known == jid.domain()) => {
                    self.mistake(domain.span(), format!("`{}` is named twice", jid.domain()));
                }
                Ok(jid) => domains.push(jid.domain().to_owned()),
                Err(_) => {
                    let text = format!("`{}` is not a domain, as `example.org` is", domain.get_ref());
                    self.mistake(domain.span(), text);
                }
            }
        }
        domains
    }

    /// A domain that is not served is a slip of the pen, and its people's messages would stay for another time.
    fn archive_days(
        &mut self,
        raw: BTreeMap<Spanned<String>, u64>,
        domains: &[String],
    ) -> Vec<(String, u64)> {
        let mut in_order: Vec<_> = raw.into_iter().collect();
        in_order.sort_by_key(|(domain, _)| domain.span().start);
        let mut of: Vec<(String, u64)> = Vec::new();
        for (domain, days) in in_order {
            let jid = Jid::from_domain(domain.get_ref()).ok();
            match jid.filter(|jid| domains.iter().any(|served| served == jid.domain())) {
                Some(jid) if of.iter().any(|(known, _)| known == jid.domain()) => {
                    self.mistake(domain.span(), format!("`{}` is named twice", jid.domain()));
                }
                Some(jid) => of.push((jid.domain().to_owned(), days)),
                None => {
                    let text = format!("`{}` is not one of `domains`", domain.get_ref());
                    self.mistake(domain.span(), text);
                }
            }
        }
        of
    }

    /// XEP-0198 §3: in the form of RFC 6120 §4.9.3.19, with an IPv6 address in brackets.
    fn come_back(&mut self, raw: Option<Spanned<String>>) -> Option<String> {
        let raw = raw?;
        let (host, port) = raw.get_ref().rsplit_once(':').unwrap_or_default();
        let is_domain = Jid::from_domain(host).is_ok_and(|jid| jid.domain().len() == host.len());
        if !is_domain || port.parse::<u16>().is_err() {
            let text =
                format!("`{}` is not a domain with a port, as `node1.example.org:5222`", raw.get_ref());
            self.mistake(raw.span(), text);
        }
        Some(raw.into_inner())
    }

    fn addresses(&mut self, raw: Option<Vec<Spanned<String>>>, default: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let Some(raw) = raw else { return default };
        let mut addresses = Vec::new();
        for address in raw {
            match address.get_ref().parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let text = format!(
                        "`{}` is not an address with a port, as `127.0.0.1:5222` or `[::]:5222`",
                        address.get_ref()
                    );
                    self.mistake(address.span(), text);
                }
            }
        }
        addresses
    }

    fn certificates(
        &mut self,
        certificate: Option<Spanned<OneOrMany>>,
        key: Option<Spanned<OneOrMany>>,
    ) -> Vec<(PathBuf, PathBuf)> {
        match (certificate, key) {
            (None, None) => Vec::new(),
            (Some(certificate), None) => {
                self.mistake(
                    certificate.span(),
                    "`tls.certificate` needs `tls.key`, the file of its private key",
                );
                Vec::new()
            }
            (None, Some(key)) => {
                self.mistake(key.span(), "`tls.key` needs `tls.certificate`, the file of its certificate");
                Vec::new()
            }
            (Some(certificate), Some(key)) => {
                let at = key.span();
                let (certificates, keys) = (certificate.into_inner().paths(), key.into_inner().paths());
                if certificates.len() != keys.len() {
                    let text = format!(
                        "{} certificates but {} keys: each needs one",
                        certificates.len(),
                        keys.len()
                    );
                    self.mistake(at, text);
                }
                certificates.into_iter().zip(keys).collect()
            }
        }
    }

    fn store_url(&mut self, url: &Spanned<String>) {
        let text = url.get_ref();
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if !known || text == "sqlite:" {
            // The rest of a URL may hold a password and is not repeated.
            self.mistake(
                url.span(),
                "`store.url` must be `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`",
            );
        }
    }

    fn log_level(&mut self, raw: Option<Spanned<String>>, default: String) -> String {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let Some(raw) = raw else { return default };
        let wrong = raw.get_ref().split(',').find(|part| {
            let level = part.rsplit('=').next().unwrap_or_default().trim();
            !LEVELS.contains(&level.to_ascii_lowercase().as_str())
        });
        if let Some(wrong) = wrong {
            let text = format!("`{}` is not a level: error, warn, info, debug or trace", wrong.trim());
            self.mistake(raw.span(), text);
        }
        raw.into_inner()
    }

    fn log_format(&mut self, raw: Option<Spanned<String>>) -> LogFormat {
        match raw.as_ref().map(|raw| raw.get_ref().as_str()) {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let text = format!("`{other}` is not a format: text or json");
                self.mistake(raw.as_ref().map(Spanned::span).unwrap_or_default(), text);
                LogFormat::Text
            }
        }
    }

    fn push_shows(&mut self, raw: Option<Spanned<String>>) -> PushShows {
        match raw.as_ref().map(|raw| raw.get_ref().as_str()) {
            None | Some("sender") => PushShows::Sender,
            Some("count") => PushShows::Count,
            Some("body") => PushShows::Body,
            Some(other) => {
                let text = format!("`{other}` is not what can be shown: count, sender or body");
                self.mistake(raw.as_ref().map(Spanned::span).unwrap_or_default(), text);
                PushShows::default()
            }
        }
    }

    fn admins(&mut self, raw: Vec<Spanned<String>>) -> Vec<BareJid> {
        let mut admins = Vec::new();
        for account in raw {
            match BareJid::new(account.get_ref()) {
                Ok(jid) if jid.local().is_some() => admins.push(jid),
                _ => {
                    let text = format!(
                        "`{}` is not the address of an account, as `alice@example.org`",
                        account.get_ref()
                    );
                    self.mistake(account.span(), text);
                }
            }
        }
        admins
    }

    /// RFC 7677 §4: at least 4096.
    fn iterations(&mut self, raw: Option<Spanned<u32>>, default: u32) -> u32 {
        let Some(raw) = raw else { return default };
        if !(4_096..=10_000_000).contains(raw.get_ref()) {
            self.mistake(raw.span(), "`sasl.iterations` must be at least 4096 and at most 10000000");
        }
        raw.into_inner()
    }

    fn mechanisms(&mut self, raw: Option<Vec<Spanned<String>>>) -> Config {
        let mut config = Config::default();
        let Some(raw) = raw else { return config };
        config.scram.clear();
        (config.plain, config.external) = (false, false);
        for mechanism in raw {
            match mechanism.get_ref().to_ascii_uppercase().as_str() {
                "SCRAM-SHA-1" => config.scram.push(ScramHash::Sha1),
                "SCRAM-SHA-256" => config.scram.push(ScramHash::Sha256),
                "SCRAM-SHA-512" => config.scram.push(ScramHash::Sha512),
                "PLAIN" => config.plain = true,
                "EXTERNAL" => config.external = true,
                "ANONYMOUS" => {
                    self.mistake(mechanism.span(), "ANONYMOUS is switched on by `sasl.anonymous = true`");
                }
                _ => {
                    let text = format!(
                        "`{}` is not a mechanism: SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN or EXTERNAL",
                        mechanism.get_ref()
                    );
                    self.mistake(mechanism.span(), text);
                }
            }
        }
        config
    }

    /// RFC 6120 §13.12: no limit on stanzas below 10,000 bytes.
    fn limits(&mut self, limits: Limits) -> Limits {
        if limits.stanza_bytes < 10_000 {
            let at = self.text.find("stanza_bytes").unwrap_or_default();
            self.mistake(at..at, "`limits.stanza_bytes` must be at least 10000 (RFC 6120 §13.12)");
        }
        if limits.memory_mib.is_some_and(|mib| mib < 64) {
            let at = self.text.find("memory_mib").unwrap_or_default();
            self.mistake(at..at, "`limits.memory_mib` must be at least 64");
        }
        limits
    }
}

/// XEP-0157 §3: the field of each kind of contact.
fn contacts(raw: RawContact) -> Vec<(String, String)> {
    let kinds = [
        ("abuse-addresses", raw.abuse),
        ("admin-addresses", raw.admin),
        ("feedback-addresses", raw.feedback),
        ("sales-addresses", raw.sales),
        ("security-addresses", raw.security),
        ("status-addresses", raw.status),
        ("support-addresses", raw.support),
    ];
    let each = kinds
        .into_iter()
        .flat_map(|(field, addresses)| addresses.into_iter().map(move |one| (field.to_owned(), one)));
    each.collect()
}

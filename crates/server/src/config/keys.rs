//! Every key of the configuration explained: what `config print-default`, `config explain` and the book show.

/// One key that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its full name: section, dot, key.
    pub name: &'static str,
    /// Its default as it is written in TOML; for a key without a default, an example.
    pub value: &'static str,
    /// Whether it is unset by default; `value` is an example then.
    pub unset: bool,
    /// What it does, with units.
    pub doc: &'static str,
}

const fn key(name: &'static str, value: &'static str, doc: &'static str) -> Key {
    Key { name, value, unset: false, doc }
}

const fn unset(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key { name, value: example, unset: true, doc }
}

/// All keys, in the order in which they are shown; those of one section stand together.
pub const KEYS: &[Key] = &[
    key(
        "domains",
        r#"["localhost"]"#,
        "The domains served: what stands after the @ in people's addresses. The first speaks for the server\n\
         when a client names none of them.",
    ),
    key(
        "data_dir",
        r#""./waxwing-data""#,
        "The directory of everything that is kept: the database, the certificate made at first start, the\n\
         control socket. It is made if it is missing.",
    ),
    key(
        "listen.c2s",
        r#"["127.0.0.1:5222", "[::1]:5222"]"#,
        "Addresses for clients that begin in clear text and turn to TLS (STARTTLS). For everybody:\n\
         [\"0.0.0.0:5222\", \"[::]:5222\"]. An empty list: none.",
    ),
    key(
        "listen.c2s_tls",
        r#"["127.0.0.1:5223", "[::1]:5223"]"#,
        "Addresses for clients that begin with TLS (XEP-0368).",
    ),
    unset(
        "listen.come_back",
        r#""node1.example.org:5222""#,
        "Where a client whose connection broke had better come back to go on with its stream (XEP-0198).\n\
         Unset: wherever it finds the domain.",
    ),
    unset(
        "tls.certificate",
        r#""/etc/waxwing/fullchain.pem""#,
        "The certificate with its chain (PEM), or a list of such files for several domains; each is shown\n\
         for the domains that it names. Read again when the file changes or on SIGHUP. Unset: a self-signed\n\
         certificate is made and kept in the data directory.",
    ),
    unset(
        "tls.key",
        r#""/etc/waxwing/privkey.pem""#,
        "The private key of the certificate (PEM), or a list in the order of the certificates.",
    ),
    unset(
        "tls.client_ca",
        r#""/etc/waxwing/clients-ca.pem""#,
        "Authorities (PEM) whose client certificates log people in without a password (SASL EXTERNAL,\n\
         XEP-0178). Unset: clients are not asked for certificates.",
    ),
    key(
        "tls.required",
        "true",
        "Whether clients must use TLS before they may log in. False is for tests on one machine only.",
    ),
    key("registration.open", "false", "Whether strangers may make accounts with their client (XEP-0077)."),
    unset(
        "store.url",
        r#""sqlite:./waxwing-data/waxwing.sqlite""#,
        "Where accounts, rosters and messages are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE.\n\
         Unset: the file waxwing.sqlite in the data directory.",
    ),
    key(
        "log.level",
        r#""info""#,
        "What is logged: error, warn, info, debug or trace; or parts with levels of their own, as\n\
         \"info,net=debug\". Never messages or passwords.",
    ),
    key("log.format", r#""text""#, "How it is logged: text, for people, or json, for machines."),
    key(
        "admin.accounts",
        "[]",
        "Addresses of accounts that may run the server's commands from their client (XEP-0133).",
    ),
    key(
        "sasl.mechanisms",
        r#"["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "EXTERNAL"]"#,
        "How clients may log in, preferred first. Each SCRAM is offered with channel binding (-PLUS) too.\n\
         PLAIN is offered inside TLS only, EXTERNAL only to clients with a trusted certificate.",
    ),
    key(
        "sasl.anonymous",
        "false",
        "Whether anybody may log in without an account, under an address made up for them (XEP-0175).",
    ),
    key(
        "sasl.iterations",
        "10000",
        "Rounds of PBKDF2 in the keys made from passwords; at least 4096. More is safer should the database be\n\
         stolen, and slower for clients. Older keys are made anew when their owner logs in with PLAIN.",
    ),
    unset("contact.abuse", r#"["mailto:abuse@example.org"]"#, "Where abuse is reported (XEP-0157)."),
    unset("contact.admin", r#"["xmpp:admin@example.org"]"#, "Who runs the server (XEP-0157)."),
    unset("contact.feedback", r#"["mailto:hello@example.org"]"#, "Where praise and wishes go (XEP-0157)."),
    unset("contact.sales", r#"["mailto:sales@example.org"]"#, "Who sells (XEP-0157)."),
    unset(
        "contact.security",
        r#"["mailto:security@example.org"]"#,
        "Where weaknesses are reported (XEP-0157).",
    ),
    unset("contact.status", r#"["https://status.example.org"]"#, "Where outages are announced (XEP-0157)."),
    unset("contact.support", r#"["xmpp:help@example.org"]"#, "Who helps (XEP-0157)."),
    key(
        "strangers.may_write",
        "true",
        "Whether people get messages from those who are no contacts of theirs and to whom they have not written.\n\
         False: such a sender hears that a subscription is required, and may still ask for one.",
    ),
    key(
        "push.shows",
        r#""sender""#,
        "What push services are told of a message (XEP-0357): count, how many wait; sender, also who has sent the\n\
         last one; body, also what it says. Push services belong to the makers of clients.",
    ),
    unset(
        "archive.days_of",
        r#"{ "localhost" = 30 }"#,
        "Domains whose people's archives are kept for so many days, and not for `limits.archive_days`; 0: for ever.",
    ),
    key(
        "limits.stanza_bytes",
        "262144",
        "Bytes of one stanza of a client that is logged in; at least 10000 (RFC 6120 §13.12).",
    ),
    key("limits.stanza_tag_bytes", "65536", "Bytes of one start tag."),
    key("limits.stanza_depth", "64", "Depth of elements in one stanza."),
    key("limits.stanza_elements", "10000", "Elements in one stanza."),
    key("limits.stanza_attributes", "64", "Attributes of one element."),
    key("limits.stanza_namespaces", "128", "Namespace declarations in scope."),
    key("limits.login_bytes", "65536", "Bytes that a client may send in total before it is logged in."),
    key("limits.login_element_bytes", "16384", "Bytes of one element before login."),
    key("limits.login_elements", "64", "Elements that a client may send before it is logged in."),
    key("limits.tls_seconds", "15", "Time from connecting to the end of the TLS handshake."),
    key("limits.login_seconds", "30", "Time from there to a successful login."),
    key("limits.bind_seconds", "60", "Time from there to a bound resource."),
    key("limits.idle_ping_seconds", "300", "Silence after which a client is pinged; 0: never."),
    key(
        "limits.ping_answer_seconds",
        "60",
        "How long a pinged client may stay silent, then it counts as gone.",
    ),
    key(
        "limits.connections_per_address",
        "100",
        "Connections at once from one address (IPv6: one /64); 0: no limit.",
    ),
    key(
        "limits.connections_per_second",
        "10",
        "New connections per second from one address; more are made to wait. 0: no limit.",
    ),
    key("limits.connections_burst", "50", "New connections from one address that need not wait."),
    key(
        "limits.failed_logins_per_address",
        "10",
        "Logins from one address (IPv6: one /64) that may fail in ten minutes. Every further failure has all its\n\
         logins refused for twice as long, from a second to a quarter of an hour. 0: no limit.",
    ),
    key(
        "limits.failed_logins_per_account",
        "20",
        "Logins to one account that may fail in ten minutes, wherever they come from. Beyond it they take longer,\n\
         by five seconds at most: nobody can lock somebody else out. 0: no limit.",
    ),
    key(
        "limits.half_open_connections",
        "5000",
        "Connections that are not logged in, of all addresses; beyond it the oldest is dropped.",
    ),
    key(
        "limits.inbound_bytes_per_second",
        "65536",
        "Bytes per second that one client may send; a faster one is read slower. 0: no limit.",
    ),
    key("limits.inbound_burst_bytes", "1048576", "Bytes that one client may send at full speed before that."),
    key(
        "limits.inbound_stanzas_per_second",
        "50",
        "Stanzas per second that one client may send; a faster one is read slower. 0: no limit.",
    ),
    key("limits.inbound_burst_stanzas", "500", "Stanzas that one client may send at full speed before that."),
    key(
        "limits.outbound_bytes",
        "1048576",
        "Bytes that may wait for one client that does not read, then its connection is closed.",
    ),
    key(
        "limits.held_back_stanzas",
        "200",
        "Stanzas that are held back from one client at which nobody looks (XEP-0352): presence, markers, typing\n\
         and the like. Beyond it, or 64 KiB, all of them go. 0: nothing is held back.",
    ),
    key("limits.sessions_per_account", "20", "Resources that one account may have bound at once."),
    key(
        "limits.resumption_seconds",
        "600",
        "Seconds for which a session whose connection broke waits for its client to go on, over a restart of\n\
         the server too. 0: none does.",
    ),
    key("limits.roster_items", "2000", "Contacts in one roster."),
    key("limits.blocklist_items", "2000", "Addresses in one blocklist."),
    key(
        "limits.offline_messages",
        "1000",
        "Messages held for an absent account. What is in its archive is held beyond that.",
    ),
    key(
        "limits.offline_bytes",
        "10485760",
        "Bytes of messages held for an absent account, but not archived.",
    ),
    key(
        "limits.archive_days",
        "365",
        "Days for which what was said stays in people's archives; 0: for ever. What is older is cleared away.\n\
         For one domain: archive.days_of.",
    ),
    key("limits.vcard_bytes", "65536", "Bytes of one vCard."),
    key("limits.private_bytes", "262144", "Bytes of all private XML of one account."),
    key("limits.nodes_per_account", "200", "Nodes in which one account publishes (XEP-0163)."),
    key("limits.items_per_node", "1000", "Items of one node; the oldest gives way to a new one."),
    key("limits.item_bytes", "65536", "Bytes of one item."),
    key("limits.items_bytes", "16777216", "Bytes of all items of one account."),
    key("limits.directed_presence", "200", "Addresses that one session has sent directed presence to."),
    key(
        "limits.clients_per_account",
        "50",
        "Clients of one account that are remembered, each with two tokens at most (XEP-0484).",
    ),
    key(
        "limits.client_days",
        "90",
        "Days after which a client is forgotten that has not been seen; its tokens go with it.",
    ),
    key(
        "limits.client_details_chars",
        "100",
        "Characters kept of what a client says of its software, and of its device, for its owner's list of\n\
         clients (XEP-0494). 0: nothing is kept.",
    ),
    key(
        "limits.token_days",
        "30",
        "Days for which a token lets its client in without a password (XEP-0484); it is replaced in time.\n\
         0: clients are given none.",
    ),
    key("limits.pending_subscriptions", "100", "Subscription requests from others that wait for an answer."),
    unset(
        "limits.memory_mib",
        "1024",
        "MiB of RAM that the server may take in all; at least 64. While more than 85 % of it are taken, until less\n\
         than 80 % are, there are no new sessions and accounts: who asks for one hears `resource-constraint`. Who is\n\
         connected stays, and who comes back to a session is let in. From 90 % on, sessions that wait for their\n\
         clients are ended, as if limits.resumption_seconds were over. Unset: nobody looks. Linux only; elsewhere it\n\
         is not known how much is taken.",
    ),
];

/// The key with this full name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether there are keys in a section of this name.
pub fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section() == Some(name))
}

impl Key {
    /// Its section, unless it stands at the top.
    pub fn section(&self) -> Option<&'static str> {
        self.name.split_once('.').map(|(section, _)| section)
    }

    /// Its name within its section.
    pub fn leaf(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, leaf)| leaf)
    }
}

/// The annotated example: every key with its explanation and default.
pub fn example() -> String {
    let mut text = String::from(
        "# Configuration of Waxwing. Every key may be left out; what is shown is its default.\n",
    );
    let mut section = None;
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            text.push_str(&format!("\n[{}]\n", section.unwrap_or_default()));
        }
        text.push('\n');
        for line in key.doc.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        let mark = if key.unset { "# " } else { "" };
        text.push_str(&format!("{mark}{} = {}\n", key.leaf(), key.value));
    }
    text
}

/// What `config explain` says of a key or of a whole section.
///
/// # Errors
/// A line for the operator when there is no such key.
pub fn explain(name: &str) -> Result<String, String> {
    let described = |key: &Key| {
        let what = if key.unset { "unset; for example" } else { "default:" };
        format!("{}\n  {}\n  {what} {}\n", key.name, key.doc.replace('\n', "\n  "), key.value)
    };
    if let Some(key) = find(name) {
        return Ok(described(key));
    }
    if is_section(name) {
        let keys = KEYS.iter().filter(|key| key.section() == Some(name));
        return Ok(keys.map(described).collect::<Vec<_>>().join("\n"));
    }
    Err(format!("there is no key `{name}`{}", did_you_mean(name)))
}

/// `; did you mean …?`, if there is a key much like this one, else nothing.
pub fn did_you_mean(name: &str) -> String {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let sections = KEYS.iter().filter_map(|key| key.section());
    let mut candidates: Vec<(usize, &str)> = KEYS
        .iter()
        .map(|key| (distance(name, key.name).min(distance(leaf, key.leaf()) + 1), key.name))
        .chain(sections.map(|section| (distance(name, section), section)))
        .collect();
    candidates.sort_by_key(|(distance, _)| *distance);
    match candidates.first() {
        Some((distance, nearest)) if *distance <= 1 + leaf.len() / 3 => {
            format!("; did you mean `{nearest}`?")
        }
        _ => String::new(),
    }
}

/// How many letters must be put in, taken out or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != *against);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_stand_together_and_names_are_unique() {
        let mut seen: Vec<Option<&str>> = Vec::new();
        for (at, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..at].iter().any(|other| other.name == key.name), "{} twice", key.name);
            if seen.last() != Some(&key.section()) {
                assert!(!seen.contains(&key.section()), "{} stands apart from its section", key.name);
                seen.push(key.section());
            }
        }
    }

    #[test]
    fn near_misses_are_named() {
        assert_eq!(did_you_mean("domians"), "; did you mean `domains`?");
        assert_eq!(did_you_mean("tls.certifcate"), "; did you mean `tls.certificate`?");
        assert_eq!(did_you_mean("certificate"), "; did you mean `tls.certificate`?");
        assert_eq!(did_you_mean("limit"), "; did you mean `limits`?");
        assert_eq!(did_you_mean("quantum_flux"), "");
    }

    #[test]
    fn explains() {
        assert_eq!(
            explain("registration.open").as_deref(),
            Ok("registration.open\n  Whether strangers may make accounts with their client (XEP-0077).\n  \
                 default: false\n")
        );
        assert!(explain("tls").is_ok_and(|text| text.contains("tls.client_ca")));
        assert_eq!(explain("tls.kay"), Err("there is no key `tls.kay`; did you mean `tls.key`?".into()));
    }
}

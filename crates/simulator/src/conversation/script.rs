//! The text of a conversation, read: who takes part, how the server must be, and what is said in which order.

use super::reader::{self, Node, Trouble};
use super::stage::{Fortune, Setting};
use super::template;
use super::words::{self, Words};
use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;
use xmpp::ns;

/// A conversation.
#[derive(Debug, Clone)]
pub struct Script {
    /// The first line, without its `#`.
    pub title: String,
    /// `# only: simulator` or `# only: sockets`: the one stage that can play it.
    pub only: Option<String>,
    /// `# differs: prosody why`: servers that are known to answer otherwise.
    pub differs: Vec<String>,
    /// The `with …` lines.
    pub settings: Vec<Setting>,
    /// Everybody's address by name; a full one for a client, a bare one for an account.
    pub people: BTreeMap<String, String>,
    /// What happens.
    pub lines: Vec<Line>,
    /// Stanzas that are passed over wherever they come: kindnesses of other servers, named by who plays it there.
    pub overlooked: Vec<Overlooked>,
}

/// What may come at any time, or what another server says beyond what the specifications ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlooked {
    /// COMPAT: Prosody 0.12 and 13 acknowledge a subscription request with unavailable presence from the bare address.
    Receipts,
    /// Requests for acknowledgements: how many there are depends on what left together.
    Requests,
}

impl Overlooked {
    /// Whether this is one.
    pub fn is(self, node: &Node) -> bool {
        match self {
            Overlooked::Receipts => {
                node.name == "presence"
                    && node.attribute("type") == Some("unavailable")
                    && node.attribute("from").is_some_and(|from| !from.contains('/'))
                    && node.content.is_empty()
            }
            Overlooked::Requests => node.name == "r" && node.ns == ns::SM,
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands in the file, counted from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
    /// What that means.
    pub act: Act,
}

/// What a line does.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each variant says what its fields are
pub enum Act {
    /// `alice = alice@one.test/phone`: connects, logs in, binds this resource and says nothing.
    Join { who: String },
    /// `bob = bob@one.test`: only the account exists.
    Exist,
    /// `eve = raw …`.
    Connect { who: String, raw: Raw },
    /// `alice > …`
    Say { who: String, text: String },
    /// `alice < …`
    Hear { who: String, what: Heard },
    /// `alice <? …`: may come or not, as the specification leaves it to the server.
    MayHear { who: String, what: Node },
    /// `alice <~ …`: among the next, in any order; consecutive lines are one group.
    HearAmong { who: String, what: Node },
    /// `alice disconnects`: closes the stream and waits for the server to do the same.
    Leave { who: String },
    /// `alice vanishes`: the connection is cut.
    Vanish { who: String },
    /// `alice reconnects`: as at first.
    Return { who: String },
    /// `eve secures`: the TLS handshake after `<proceed/>`.
    Secure { who: String },
    /// `eve opens one.test`: sends a stream header and reads the server's.
    Open { who: String, domain: String },
    /// `eve authenticates MECHANISM as alice@one.test …`, or `eve begins …` to stop after the first message.
    Authenticate { who: String, attempt: Attempt },
    /// `server restarts`
    Restart,
    /// `server crashes`: it is killed and starts again.
    Crash,
    /// `time passes 30 s`
    Pass(Duration),
    /// `disk fills up`, `disk has room`, `store goes away`, `store comes back`, `memory fills to 90 %`, `memory is free
    /// again`
    Befall(Fortune),
}

/// How far a raw connection is taken before the script has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// `raw`: connected.
    Plain,
    /// `raw tls`: to the port where TLS comes first.
    Tls,
    /// `raw secured`: STARTTLS is done.
    Secured,
    /// `raw secured as alice@one.test`: and the client showed a certificate for this address.
    Certified(String),
    /// `raw authenticated as alice@one.test`: and the client has its `<success/>`; the next stream is to be opened.
    Authenticated(String),
}

/// What is expected.
#[derive(Debug, Clone)]
pub enum Heard {
    /// `(nothing)`: all that was sent has had its effect and nothing came.
    Nothing,
    /// `(nothing yet)`: the same of all that others have sent. The client only asks for an acknowledgement, which makes
    /// nothing go that is held back from it: its stream must be managed.
    NothingYet,
    /// `(closed)`: the stream or the connection ended.
    Closed,
    /// `<stream:stream …>`
    Header(Node),
    /// A stanza, or another element of the stream.
    Element(Node),
}

/// How a client authenticates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The mechanism's name.
    pub mechanism: String,
    /// The bare address that it claims.
    pub account: String,
    /// `with password 'x'`: another than the account's; `with token 'x'` (XEP-0484).
    pub password: Option<String>,
    /// `for bob@one.test`: the authorization identity.
    pub authzid: Option<String>,
    /// `over tls-exporter`: the kind of channel binding.
    pub binding: Option<String>,
    /// What is wrong with it.
    pub twist: Option<Twist>,
    /// `checking what was offered`: the challenge must hold its hash (XEP-0474).
    pub checks_offer: bool,
    /// Whether it stops after its first message.
    pub only_first: bool,
    /// `asking …`: with SASL2 (XEP-0388), and this stands in `<authenticate/>` besides.
    pub asking: Option<String>,
}

/// What a client does wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// `with a wrong binding`: the data of another channel.
    Binding,
    /// `with a wrong proof`.
    Proof,
    /// `with a wrong nonce`: the server's own is changed.
    Nonce,
    /// `believing that no binding is offered`: SCRAM's `y` flag (RFC 5802 §6).
    Unoffered,
}

impl Script {
    /// Reads a conversation.
    ///
    /// # Errors
    /// The number of the line that cannot be understood, and why.
    pub fn read(text: &str) -> Result<Script, String> {
        let mut script = Script {
            title: String::new(),
            only: None,
            differs: Vec::new(),
            settings: Vec::new(),
            people: BTreeMap::new(),
            lines: Vec::new(),
            overlooked: Vec::new(),
        };
        for (number, text) in whole_lines(text) {
            script.line(number, &text).map_err(|why| format!("line {number}: {why}\n    {text}"))?;
        }
        Ok(script)
    }

    /// The bare addresses of all who take part, each once.
    pub fn accounts(&self) -> Vec<String> {
        let bare = |jid: &String| jid.split('/').next().unwrap_or(jid).to_owned();
        let logged_in = self.lines.iter().filter_map(|line| match &line.act {
            Act::Connect { raw: Raw::Authenticated(jid), .. } => Some(jid),
            _ => None,
        });
        let mut accounts: Vec<String> = self.people.values().chain(logged_in).map(bare).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    }

    /// What anybody says, in order, as bytes; what names what came before is left out.
    pub fn said(&self, password: &str) -> Vec<Vec<u8>> {
        let mut words = Words::default();
        self.people.iter().for_each(|(name, jid)| words.introduce(name, jid, password));
        let said = self.lines.iter().filter_map(|line| match &line.act {
            Act::Say { text, .. } => words.fill(text).ok(),
            _ => None,
        });
        said.filter_map(|text| words::bytes(&text).ok()).collect()
    }

    fn line(&mut self, number: usize, text: &str) -> Result<(), String> {
        if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment.trim());
            return Ok(());
        }
        if let Some(setting) = text.strip_prefix("with ") {
            self.settings.push(setting_of(setting)?);
            return Ok(());
        }
        if text == "overlooking requests for acknowledgements" {
            self.overlooked.push(Overlooked::Requests);
            return Ok(());
        }
        let (times, once) = repeated(text);
        let act = self.act(&once)?;
        self.lines.extend(iter::repeat_n(Line { number, text: text.to_owned(), act }, times));
        Ok(())
    }

    fn comment(&mut self, comment: &str) {
        if let Some(stage) = comment.strip_prefix("only:") {
            self.only = Some(stage.trim().to_owned());
        } else if let Some(difference) = comment.strip_prefix("differs:") {
            self.differs.push(difference.trim().to_owned());
        } else if self.title.is_empty() {
            self.title = comment.to_owned();
        }
    }

    fn act(&mut self, text: &str) -> Result<Act, String> {
        if let Some(time) = text.strip_prefix("time passes ") {
            return Ok(Act::Pass(duration(time)?));
        }
        if let Some(percent) = text.strip_prefix("memory fills to ") {
            let percent = percent.strip_suffix(" %").and_then(|percent| percent.parse().ok());
            return Ok(Act::Befall(Fortune::Memory(percent.ok_or("so many percent, as '90 %'")?)));
        }
        match text {
            "server restarts" => return Ok(Act::Restart),
            "server crashes" => return Ok(Act::Crash),
            "disk fills up" => return Ok(Act::Befall(Fortune::Full)),
            "disk has room" => return Ok(Act::Befall(Fortune::Room)),
            "store goes away" => return Ok(Act::Befall(Fortune::Away)),
            "store comes back" => return Ok(Act::Befall(Fortune::Back)),
            "memory is free again" => return Ok(Act::Befall(Fortune::Memory(0))),
            _ => {}
        }
        let (who, rest) = text.split_once(char::is_whitespace).ok_or("this is no statement")?;
        let (verb, object) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        let (who, object) = (who.to_owned(), object.trim());
        let introduced = self.people.contains_key(&who);
        match verb {
            "=" => self.introduction(who, object),
            _ if !introduced && !self.is_raw(&who) => Err(format!("nobody was introduced as '{who}'")),
            ">" => Ok(Act::Say { who, text: object.to_owned() }),
            "<" => Ok(Act::Hear { who, what: heard(object)? }),
            "<?" => match heard(object)? {
                Heard::Element(what) => Ok(Act::MayHear { who, what }),
                _ => Err("only stanzas can be left to the server".to_owned()),
            },
            "<~" => match heard(object)? {
                Heard::Element(what) => Ok(Act::HearAmong { who, what }),
                _ => Err("only stanzas can come in any order".to_owned()),
            },
            "disconnects" => Ok(Act::Leave { who }),
            "vanishes" => Ok(Act::Vanish { who }),
            "reconnects" if introduced => Ok(Act::Return { who }),
            "secures" => Ok(Act::Secure { who }),
            "opens" => Ok(Act::Open { who, domain: object.to_owned() }),
            "authenticates" => Ok(Act::Authenticate { who, attempt: attempt(object, false)? }),
            "begins" => Ok(Act::Authenticate { who, attempt: attempt(object, true)? }),
            _ => Err(format!("'{verb}' is not something that people do here")),
        }
    }

    fn is_raw(&self, name: &str) -> bool {
        self.lines.iter().any(|line| matches!(&line.act, Act::Connect { who, .. } if who == name))
    }

    fn introduction(&mut self, who: String, what: &str) -> Result<Act, String> {
        if let Some(raw) = what.strip_prefix("raw") {
            let raw = raw.trim();
            let raw = match raw {
                "" => Raw::Plain,
                "tls" => Raw::Tls,
                "secured" => Raw::Secured,
                _ => match (raw.strip_prefix("secured as "), raw.strip_prefix("authenticated as ")) {
                    (Some(jid), _) => Raw::Certified(jid.to_owned()),
                    (_, Some(jid)) => Raw::Authenticated(jid.to_owned()),
                    _ => return Err(format!("'raw {raw}' is unknown")),
                },
            };
            return Ok(Act::Connect { who, raw });
        }
        let (local, after) = what.split_once('@').ok_or("an address has an '@'")?;
        if local.is_empty() || after.is_empty() {
            return Err("an address needs a name and a domain".to_owned());
        }
        let act = if after.contains('/') { Act::Join { who: who.clone() } } else { Act::Exist };
        self.people.insert(who, what.to_owned());
        Ok(act)
    }
}

/// Joins each line with the indented ones that continue it; leaves out empty ones.
fn whole_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let continues = line.starts_with(char::is_whitespace) && !line.trim().is_empty();
        match lines.last_mut() {
            Some((_, previous)) if continues && !previous.starts_with('#') => previous.push_str(line.trim()),
            _ if line.trim().is_empty() => {}
            _ => lines.push((number + 1, line.trim_end().to_owned())),
        }
    }
    lines
}

/// `alice < 50 times …`: how often, and the line without that.
fn repeated(text: &str) -> (usize, String) {
    let parts = || {
        let (who, rest) = text.split_once(" < ")?;
        let (times, what) = rest.trim_start().split_once(" times ")?;
        Some((times.parse().ok()?, format!("{who} < {what}")))
    };
    parts().unwrap_or_else(|| (1, text.to_owned()))
}

fn setting_of(text: &str) -> Result<Setting, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["registration", "open"] => Setting::RegistrationOpen,
        ["anonymous"] => Setting::Anonymous,
        ["plaintext", "allowed"] => Setting::PlaintextAllowed,
        ["client", "certificates"] => Setting::ClientCertificates,
        ["mechanisms", names @ ..] => {
            Setting::Mechanisms(names.iter().map(|name| (*name).to_owned()).collect())
        }
        ["keys", hashes @ ..] => Setting::Keys(hashes.iter().map(|hash| (*hash).to_owned()).collect()),
        ["admin", jid] => Setting::Admin((*jid).to_owned()),
        ["contact", kind, address] => Setting::Contact((*kind).to_owned(), (*address).to_owned()),
        ["limit", name, value] => {
            let value = value.parse().map_err(|_| format!("'{value}' is not a number"))?;
            Setting::Limit((*name).to_owned(), value)
        }
        [name, "=", value] => Setting::Key((*name).to_owned(), (*value).to_owned()),
        _ => return Err("this setting is unknown".to_owned()),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.trim().split_once(' ').ok_or("a time has a number and a unit")?;
    let number: u64 = number.parse().map_err(|_| format!("'{number}' is not a number"))?;
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(format!("'{unit}' is not one of s, min, h, d")),
    };
    Ok(Duration::from_secs(number * seconds))
}

fn heard(text: &str) -> Result<Heard, String> {
    match text {
        "(nothing)" => return Ok(Heard::Nothing),
        "(nothing yet)" => return Ok(Heard::NothingYet),
        "(closed)" => return Ok(Heard::Closed),
        _ => {}
    }
    let why = |trouble| match trouble {
        Trouble::Incomplete => "the element does not end".to_owned(),
        Trouble::Broken(why) => why,
    };
    if text.starts_with("<stream:stream") {
        return reader::stream_header(text).map(Heard::Header).map_err(why);
    }
    let mut node = reader::element(text).map_err(why)?;
    template::complete(&mut node);
    Ok(Heard::Element(node))
}

fn attempt(text: &str, only_first: bool) -> Result<Attempt, String> {
    let (mechanism, rest) = text.split_once(' ').ok_or("'authenticates MECHANISM as ADDRESS'")?;
    let rest = rest.trim_start().strip_prefix("as ").ok_or("'as ADDRESS' is missing")?;
    let (account, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut attempt = Attempt {
        mechanism: mechanism.to_owned(),
        account: account.to_owned(),
        only_first,
        ..Attempt::default()
    };
    while !rest.trim().is_empty() {
        rest = rest.trim();
        let twist = [
            ("with a wrong binding", Twist::Binding),
            ("with a wrong proof", Twist::Proof),
            ("with a wrong nonce", Twist::Nonce),
            ("believing that no binding is offered", Twist::Unoffered),
        ];
        if let Some((words, twist)) = twist.into_iter().find(|(words, _)| rest.starts_with(words)) {
            attempt.twist = Some(twist);
            rest = &rest[words.len()..];
        } else if let Some(after) = rest.strip_prefix("checking what was offered") {
            attempt.checks_offer = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("asking ") {
            attempt.asking = Some(if after == "nothing" { String::new() } else { after.to_owned() });
            rest = "";
        } else if let Some(after) =
            rest.strip_prefix("with password '").or_else(|| rest.strip_prefix("with token '"))
        {
            let (password, after) = after.split_once('\'').ok_or("the password does not end")?;
            attempt.password = Some(password.to_owned());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("for ") {
            let (authzid, after) = after.split_once(' ').unwrap_or((after, ""));
            attempt.authzid = Some(authzid.to_owned());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("over ") {
            let (binding, after) = after.split_once(' ').unwrap_or((after, ""));
            attempt.binding = Some(binding.to_owned());
            rest = after;
        } else {
            return Err(format!("'{rest}' is not understood"));
        }
    }
    Ok(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_reads_as_it_is_meant() {
        let script = Script::read(
            "# A title.\n# only: simulator\nwith limit resources 2\nalice = alice@one.test/phone\n\
             bob = bob@one.test\n\nalice > <presence>\n  <show>away</show></presence>\nalice < (nothing)\n\
             time passes 2 min\n",
        )
        .unwrap();
        assert_eq!((script.title.as_str(), script.only.as_deref()), ("A title.", Some("simulator")));
        assert_eq!(script.settings, [Setting::Limit("resources".to_owned(), 2)]);
        assert_eq!(script.accounts(), ["alice@one.test", "bob@one.test"]);
        assert_eq!(script.lines.len(), 5);
        assert_eq!(script.lines[2].text, "alice > <presence><show>away</show></presence>");
        assert!(matches!(script.lines[4].act, Act::Pass(time) if time.as_secs() == 120));
    }

    #[test]
    fn what_comes_several_times_is_several_lines() {
        let script = Script::read("a = a@b/c\na < 3 times <a/>\na < <b/>\n").unwrap();
        assert_eq!(script.lines.len(), 5);
        assert!(script.lines[1..4].iter().all(|line| line.number == 2));
    }

    #[test]
    fn what_is_not_understood_names_its_line() {
        for text in ["alice < <a/>", "a = a@b/c\na < <a>", "a = a@b/c\na sings", "with luck"] {
            let why = Script::read(text).unwrap_err();
            assert!(why.starts_with("line "), "{why}");
        }
    }

    #[test]
    fn an_attempt_is_read_to_its_end() {
        let read =
            attempt("SCRAM-SHA-1-PLUS as a@b with password 'x y' over tls-exporter for c@d", false).unwrap();
        assert_eq!(read.password.as_deref(), Some("x y"));
        assert_eq!((read.binding.as_deref(), read.authzid.as_deref()), (Some("tls-exporter"), Some("c@d")));
        let read = attempt("HT-SHA-256-NONE as a@b with token '{t}' asking <fast a='b c'/>", false).unwrap();
        assert_eq!(
            (read.password.as_deref(), read.asking.as_deref()),
            (Some("{t}"), Some("<fast a='b c'/>"))
        );
    }
}

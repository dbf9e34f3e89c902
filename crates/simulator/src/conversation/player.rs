//! Plays a conversation on a stage, line by line, and says where it went another way.

use super::client::{Client, Next, account};
use super::reader::{Item, Node};
use super::script::{Act, Heard, Line, Raw, Script};
use super::stage::{Door, Refused, Scene, Stage};
use super::template;
use super::words::{self, Words};
use std::collections::{BTreeMap, BTreeSet};

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As written.
    Played,
    /// Not played, and why: it is for another stage.
    PassedOver(String),
}

/// Where it went another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line's number; 0 for what is not in the text.
    pub number: usize,
    /// The line.
    pub line: String,
    /// What happened instead.
    pub why: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}\n    {}", self.number, self.line, self.why.replace('\n', "\n    "))
    }
}

/// Plays a conversation. `password` says what an account's password is, by its bare address.
///
/// # Errors
/// The first line that did not go as written.
pub fn play(
    script: &Script,
    stage: &mut dyn Stage,
    password: &dyn Fn(&str) -> String,
) -> Result<Outcome, Failure> {
    compare(script, stage, password, 1).map_err(|mut failures| failures.remove(0))
}

/// As [`play`], and goes on after a line that did not go as written, to find out what else differs. What follows may
/// be no more than its consequence.
///
/// # Errors
/// The first `most` lines that did not go as written; at least one.
pub fn compare(
    script: &Script,
    stage: &mut dyn Stage,
    password: &dyn Fn(&str) -> String,
    most: usize,
) -> Result<Outcome, Vec<Failure>> {
    if let Some(only) = script.only.as_deref().filter(|only| *only != stage.name()) {
        return Ok(Outcome::PassedOver(format!("it is for the {only} only")));
    }
    let accounts = script.accounts().into_iter().map(|jid| (jid.clone(), password(&jid)));
    let scene = Scene { accounts: accounts.collect(), settings: script.settings.clone() };
    let beside = |why| Failure { number: 0, line: script.title.clone(), why };
    match stage.set(&scene) {
        Ok(()) => {}
        Err(Refused::Unsupported(why)) => return Ok(Outcome::PassedOver(why)),
        Err(Refused::Failed(why)) => return Err(vec![beside(why)]),
    }
    let mut player = Player::new(script, stage, password);
    let mut failures = Vec::new();
    for group in script.lines.chunk_by(|a, b| among(a) && among(b)) {
        let played = if among(&group[0]) { player.hear_group(group) } else { player.line(&group[0]) };
        if let Err((number, why)) = played {
            let line = group.iter().find(|line| line.number == number).unwrap_or(&group[0]);
            failures.push(Failure { number: line.number, line: line.text.clone(), why });
        }
        if failures.len() >= most {
            return Err(failures);
        }
    }
    failures.extend(player.end().err().map(beside));
    if failures.is_empty() { Ok(Outcome::Played) } else { Err(failures) }
}

fn among(line: &Line) -> bool {
    matches!(line.act, Act::HearAmong { .. })
}

struct Player<'a> {
    script: &'a Script,
    stage: &'a mut dyn Stage,
    password: &'a dyn Fn(&str) -> String,
    clients: BTreeMap<String, Client>,
    words: Words,
    fences: u32,
}

impl<'a> Player<'a> {
    fn new(script: &'a Script, stage: &'a mut dyn Stage, password: &'a dyn Fn(&str) -> String) -> Self {
        let mut words = Words::default();
        for (name, jid) in &script.people {
            words.introduce(name, jid, &password(account(jid).0));
        }
        Player { script, stage, password, clients: BTreeMap::new(), words, fences: 0 }
    }

    fn line(&mut self, line: &Line) -> Result<(), (usize, String)> {
        self.act(&line.act).map_err(|why| (line.number, why))
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Exist => Ok(()),
            Act::Join { who } | Act::Return { who } => self.join(who),
            Act::Connect { who, raw } => self.connect(who, raw),
            Act::Say { who, text } => self.say(who, text),
            Act::Hear { who, what } => self.hear(who, what),
            Act::MayHear { who, what } => {
                self.fence()?;
                let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
                let Some(Item::Element(node)) = client.unread.front() else {
                    return Ok(());
                };
                if template::matches(what, node, &mut self.words) {
                    client.unread.pop_front();
                }
                Ok(())
            }
            Act::HearAmong { .. } => Err("this line is played as one of a group".to_owned()),
            Act::Leave { who } => self.leave(who),
            Act::Vanish { who } => {
                let client = self.clients.remove(who).ok_or_else(|| absent(who))?;
                self.stage.cut(client.wire);
                Ok(())
            }
            Act::Secure { who } => {
                let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
                client.secure(self.stage, "one.test", None)
            }
            Act::Open { who, domain } => {
                let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
                client.open(self.stage, domain)
            }
            Act::Authenticate { who, attempt } => {
                let password = (self.password)(&attempt.account);
                let mut attempt = attempt.clone();
                for text in [&mut attempt.password, &mut attempt.asking].into_iter().flatten() {
                    *text = self.words.fill(text)?;
                }
                let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
                client.authenticate(self.stage, &attempt, &password)
            }
            Act::Restart => {
                // Their last words can still be heard; nothing can be asked through them.
                self.clients.values_mut().for_each(|client| client.jid = None);
                self.stage.restart()
            }
            Act::Crash => {
                self.clients.values_mut().for_each(|client| client.jid = None);
                self.stage.crash()
            }
            Act::Pass(time) => self.stage.pass(*time),
            Act::Befall(fortune) => self.stage.befall(*fortune),
        }
    }

    fn join(&mut self, who: &str) -> Result<(), String> {
        let jid = &self.script.people[who];
        let (bare, domain) = account(jid);
        if let Some(old) = self.clients.remove(who) {
            self.stage.cut(old.wire);
        }
        let mut client = Client::connect(self.stage, Door::Plain, domain)?;
        client.log_in(self.stage, jid, &(self.password)(bare))?;
        client.bind(self.stage, jid)?;
        client.overlooked.clone_from(&self.script.overlooked);
        self.clients.insert(who.to_owned(), client);
        Ok(())
    }

    fn connect(&mut self, who: &str, raw: &Raw) -> Result<(), String> {
        let door = if *raw == Raw::Tls { Door::Tls } else { Door::Plain };
        let domain = match raw {
            Raw::Certified(jid) | Raw::Authenticated(jid) => account(jid).1,
            _ => "one.test",
        };
        let mut client = Client::connect(self.stage, door, domain)?;
        match raw {
            Raw::Plain | Raw::Tls => {}
            Raw::Secured => client.start_tls(self.stage, domain, None)?,
            Raw::Certified(jid) => client.start_tls(self.stage, domain, Some(jid))?,
            Raw::Authenticated(jid) => client.log_in(self.stage, jid, &(self.password)(jid))?,
        }
        client.overlooked.clone_from(&self.script.overlooked);
        self.clients.insert(who.to_owned(), client);
        Ok(())
    }

    fn say(&mut self, who: &str, text: &str) -> Result<(), String> {
        let bytes = words::bytes(&self.words.fill(text)?)?;
        let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
        client.say(self.stage, &bytes);
        Ok(())
    }

    fn hear(&mut self, who: &str, what: &Heard) -> Result<(), String> {
        match what {
            Heard::Nothing => {
                self.fence()?;
                return self.nothing(who);
            }
            Heard::NothingYet => {
                self.fence_without(Some(who))?;
                self.acknowledged(who)?;
                return self.nothing(who);
            }
            _ => {}
        }
        let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
        let next = client.next(self.stage)?;
        let as_written = match (what, &next) {
            (Heard::Closed, Next::Closed | Next::Item(Item::Close)) => true,
            (Heard::Header(expected), Next::Item(Item::Open(node))) => {
                template::header_matches(expected, node, &mut self.words)
            }
            (Heard::Element(expected), Next::Item(Item::Element(node))) => {
                client.notice_binding(node);
                template::matches(expected, node, &mut self.words)
            }
            _ => false,
        };
        if as_written { Ok(()) } else { Err(format!("got {}", client.say_next(&next))) }
    }

    /// Consecutive `<~` lines: each client hears its own, in whatever order.
    fn hear_group(&mut self, group: &[Line]) -> Result<(), (usize, String)> {
        let mut waiting: Vec<(usize, &str, &Node)> = Vec::new();
        for line in group {
            if let Act::HearAmong { who, what } = &line.act {
                waiting.push((line.number, who, what));
            }
        }
        while let Some((number, who, _)) = waiting.first().copied() {
            let heard = self.clients.get_mut(who).ok_or_else(|| absent(who)).and_then(|client| {
                let node = client.element(self.stage)?;
                Ok(node)
            });
            let node = heard.map_err(|why| (number, why))?;
            let found = waiting.iter().position(|(_, name, expected)| {
                *name == who && template::matches(expected, &node, &mut self.words)
            });
            match found {
                Some(at) => drop(waiting.remove(at)),
                None => return Err((number, format!("got, among them, {}", node.to_xml()))),
            }
        }
        Ok(())
    }

    fn leave(&mut self, who: &str) -> Result<(), String> {
        let mut client = self.clients.remove(who).ok_or_else(|| absent(who))?;
        client.say(self.stage, b"</stream:stream>");
        match client.next(self.stage)? {
            Next::Item(Item::Close) | Next::Closed => {
                self.stage.cut(client.wire);
                Ok(())
            }
            other => Err(format!("got {}", client.say_next(&other))),
        }
    }

    fn nothing(&mut self, who: &str) -> Result<(), String> {
        let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
        match client.unread.pop_front() {
            None => Ok(()),
            Some(item) => Err(format!("got {}", client.say_next(&Next::Item(item)))),
        }
    }

    /// Waits until all that was said has had its effect: every client asks every account for a ping, twice, so that
    /// what an account did for another is done too. The answers, good or bad, come after all that went before.
    fn fence(&mut self) -> Result<(), String> {
        self.fence_without(None)
    }

    /// One client hears how much of what it sent has been handled, behind all that came for it.
    fn acknowledged(&mut self, who: &str) -> Result<(), String> {
        let client = self.clients.get_mut(who).ok_or_else(|| absent(who))?;
        client.say(self.stage, b"<r xmlns='urn:xmpp:sm:3'/>");
        loop {
            match client.next_new(self.stage)? {
                Next::Item(Item::Element(node)) if node.name == "a" => return Ok(()),
                Next::Item(item @ Item::Element(_)) => client.unread.push_back(item),
                other => {
                    return Err(format!("waited for an acknowledgement and got {}", client.say_next(&other)));
                }
            }
        }
    }

    /// As [`Player::fence`], while one client keeps silent.
    fn fence_without(&mut self, silent: Option<&str>) -> Result<(), String> {
        let accounts: BTreeSet<String> = self.script.accounts().into_iter().collect();
        for _ in 0..2 {
            for (who, client) in &mut self.clients {
                if client.jid.is_none() || client.closed || silent == Some(who) {
                    continue;
                }
                let mut waiting = BTreeSet::new();
                for account in &accounts {
                    self.fences += 1;
                    let id = format!("fence-{}", self.fences);
                    let ping =
                        format!("<iq type='get' id='{id}' to='{account}'><ping xmlns='urn:xmpp:ping'/></iq>");
                    client.say(self.stage, ping.as_bytes());
                    waiting.insert(id);
                }
                while !waiting.is_empty() {
                    match client.next_new(self.stage)? {
                        Next::Item(Item::Element(node)) if answers(&node, &mut waiting) => {}
                        Next::Item(item @ Item::Element(_)) => client.unread.push_back(item),
                        other => {
                            let what = client.say_next(&other);
                            return Err(format!("{who} waited for the answer to a ping and got {what}"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// At the end nobody may have anything that was not expected.
    fn end(&mut self) -> Result<(), String> {
        self.fence()?;
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for who in names {
            self.nothing(&who).map_err(|why| format!("after the last line, {who} {why}"))?;
        }
        for client in self.clients.values() {
            self.stage.cut(client.wire);
        }
        Ok(())
    }
}

fn answers(node: &Node, waiting: &mut BTreeSet<String>) -> bool {
    let answer = node.name == "iq" && matches!(node.attribute("type"), Some("result" | "error"));
    answer && node.attribute("id").is_some_and(|id| waiting.remove(id))
}

fn absent(who: &str) -> String {
    format!("{who} is not connected")
}

//! Plays conversations against any server that listens:
//! `converse --server 127.0.0.1:5222 --domain localhost --user alice@localhost:password … conversations/blocking.txt`.

use simulator::conversation::script::Overlooked;
use simulator::conversation::{Outcome, Refused, Scene, Script, Setting, accounts, compare};
use sockets::{Addresses, House, Sockets};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;

#[path = "../../../../tests/support/sockets.rs"]
mod sockets;

const USAGE: &str = "converse --server ADDRESS [--tls ADDRESS] [--domain NAME [--domain NAME]] \
    (--user NAME@DOMAIN:PASSWORD … | --register) [--patience SECONDS] [--skip-differing SERVER] FILE …
  --domain        what one.test, and then two.test, is called there
  --user          an account that exists there; conversations expect it to be empty
  --register      makes each conversation's accounts by in-band registration, and removes them first
  --overlook-receipts  passes over unavailable presence from bare addresses, as Prosody answers requests
  --all           goes on after a difference
  --with          a setting that this server has, as 'registration open'; conversations with others are passed over
  --skip-differing  passes over conversations that note '# differs: SERVER …'";

#[derive(Default)]
struct Wanted {
    server: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    domains: Vec<String>,
    users: BTreeMap<String, String>,
    register: bool,
    overlook_receipts: bool,
    all: bool,
    has: Vec<String>,
    patience_s: Option<u64>,
    skip_differing: Option<String>,
    files: Vec<String>,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)) {
        Ok(wanted) => run(&wanted),
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    while let Some(argument) = arguments.next() {
        if !argument.starts_with("--") {
            wanted.files.push(argument);
            continue;
        }
        if argument == "--register" {
            wanted.register = true;
            continue;
        }
        if argument == "--overlook-receipts" {
            wanted.overlook_receipts = true;
            continue;
        }
        if argument == "--all" {
            wanted.all = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let address = || value.parse().map(Some).map_err(|error| format!("{value}: {error}"));
        match argument.as_str() {
            "--server" => wanted.server = address()?,
            "--tls" => wanted.tls = address()?,
            "--domain" => wanted.domains.push(value),
            "--patience" => wanted.patience_s = Some(value.parse().map_err(|_| "seconds are a number")?),
            "--with" => wanted.has.push(value),
            "--skip-differing" => wanted.skip_differing = Some(value),
            "--user" => {
                let (jid, password) = value.split_once(':').ok_or("--user NAME@DOMAIN:PASSWORD")?;
                wanted.users.insert(jid.to_owned(), password.to_owned());
            }
            _ => return Err(format!("{argument} is unknown")),
        }
    }
    if wanted.server.is_none() || wanted.files.is_empty() {
        return Err("a server and a file are needed".to_owned());
    }
    Ok(wanted)
}

fn run(wanted: &Wanted) -> ExitCode {
    let mut failed = 0;
    for file in &wanted.files {
        let (ok, what) = match converse(wanted, file) {
            Ok(Outcome::Played) => (true, "as written".to_owned()),
            Ok(Outcome::PassedOver(why)) => (true, format!("passed over: {why}")),
            Err(why) => (false, why),
        };
        println!("{} {file}: {what}", if ok { "ok  " } else { "FAIL" });
        failed += usize::from(!ok);
    }
    println!("{} conversations, {failed} went another way", wanted.files.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn converse(wanted: &Wanted, file: &str) -> Result<Outcome, String> {
    let mut text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    for (ours, theirs) in ["one.test", "two.test"].into_iter().zip(&wanted.domains) {
        text = text.replace(ours, theirs);
    }
    let mut script = Script::read(&text)?;
    if wanted.overlook_receipts {
        script.overlooked.push(Overlooked::Receipts);
    }
    let differs = |server: &String| script.differs.iter().find(|why| why.starts_with(server.as_str()));
    if let Some(why) = wanted.skip_differing.as_ref().and_then(differs) {
        return Ok(Outcome::PassedOver(why.clone()));
    }
    let addresses = Addresses { plain: wanted.server.ok_or("no server")?, tls: wanted.tls };
    let password = |jid: &str| wanted.users.get(jid).cloned().unwrap_or_else(|| "secret".to_owned());
    let settings = settings(&wanted.has)?;
    if wanted.register {
        let mut stage = Sockets::new(Elsewhere(addresses, settings.clone()));
        simulator::conversation::Stage::set(&mut stage, &Scene::default())
            .map_err(|why| format!("{why:?}"))?;
        for jid in script.accounts() {
            accounts::remove(&mut stage, &jid, "secret")?;
        }
        for jid in script.accounts() {
            accounts::create(&mut stage, &jid, "secret")?;
        }
    }
    let mut stage = Sockets::new(Elsewhere(addresses, settings.clone()));
    if let Some(patience_s) = wanted.patience_s {
        stage.patience = std::time::Duration::from_secs(patience_s);
    }
    let most = if wanted.all { usize::MAX } else { 1 };
    let played = compare(&script, &mut stage, &password, most);
    played.map_err(|failures| failures.iter().map(|failure| format!("\n  {failure}")).collect())
}

/// The settings that a server is said to have, read as a conversation names them.
fn settings(has: &[String]) -> Result<Vec<Setting>, String> {
    let lines: String = has.iter().map(|setting| format!("with {setting}\n")).collect();
    Ok(Script::read(&lines)?.settings)
}

/// Somebody else's server: it is as it is.
struct Elsewhere(Addresses, Vec<Setting>);

impl House for Elsewhere {
    fn set(&mut self, scene: &Scene) -> Result<Addresses, Refused> {
        match scene.settings.iter().find(|setting| !self.1.contains(setting)) {
            Some(setting) => Err(Refused::Unsupported(format!("it wants {setting:?}"))),
            None => Ok(self.0),
        }
    }

    fn restart(&mut self) -> Result<Addresses, String> {
        Err("it is not ours to restart".to_owned())
    }

    fn crash(&mut self) -> Result<Addresses, String> {
        Err("it is not ours to kill".to_owned())
    }
}

//! A house with our server in it: a fresh directory, a configuration, accounts made by its own command, and a start.
#![allow(clippy::disallowed_methods)] // a real process is waited for

use crate::support::authority::Authority;
use crate::support::sockets::{Addresses, House, Identity};
use simulator::conversation::{Refused, Scene, Setting, settings};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use store::fixture::Postgres;

const PATIENCE: Duration = Duration::from_secs(20);

/// The house.
pub struct Waxwing {
    program: PathBuf,
    postgres: Option<Arc<Postgres>>,
    authority: Option<Authority>,
    running: Option<Running>,
}

struct Running {
    program: PathBuf,
    dir: tempfile::TempDir,
    addresses: Addresses,
    child: Option<Child>,
}

impl Waxwing {
    /// A house without a server yet; its servers store with SQLite, or in this PostgreSQL.
    pub fn new(postgres: Option<Arc<Postgres>>) -> Self {
        let built_for_this_test = option_env!("CARGO_BIN_EXE_waxwing").unwrap_or("waxwing");
        Waxwing::built(built_for_this_test.into(), postgres)
    }

    /// A house whose servers are this program.
    pub fn built(program: PathBuf, postgres: Option<Arc<Postgres>>) -> Self {
        Waxwing { program, postgres, authority: None, running: None }
    }

    /// The process of the server, if it runs.
    pub fn process(&mut self) -> Option<u32> {
        let child = self.running.as_mut()?.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// All that the server logged.
    pub fn log(&self) -> String {
        let log = self.running.as_ref().map(|running| std::fs::read_to_string(running.log()));
        log.and_then(Result::ok).unwrap_or_default()
    }

    /// The end of what the server logged, for people who look for what went wrong.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Memory of the server that is in RAM, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let child = self.running.as_ref().and_then(|running| running.child.as_ref());
        let status = child.map(|child| std::fs::read_to_string(format!("/proc/{}/status", child.id())));
        let status = status.and_then(Result::ok).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
    }

    /// Has the program carry out an order, and hears what it says: on standard output, or why it failed.
    pub fn order(&self, words: &[&str]) -> Result<String, String> {
        let running = self.running.as_ref().ok_or("there is no server")?;
        let ended =
            running.command(words).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if ended.status.success() { Ok(said(&ended.stdout)) } else { Err(said(&ended.stderr)) }
    }

    /// Kills the server as a power cut would, as far as a process can be.
    pub fn kill(&mut self) {
        if let Some(running) = &mut self.running {
            running.kill();
        }
    }

    fn prepare(&mut self, scene: &Scene) -> Result<Running, String> {
        let dir = tempfile::Builder::new().prefix("waxwing").tempdir().map_err(|error| error.to_string())?;
        let addresses = Addresses { plain: free()?, tls: Some(free()?) };
        let mut text = settings::lines(&scene.settings);
        let _ = write!(
            text,
            "data_dir = \"{}/data\"\nlisten.c2s = [\"{}\"]\nlisten.c2s_tls = [\"{}\"]\n",
            dir.path().display(),
            addresses.plain,
            addresses.tls.unwrap_or(addresses.plain)
        );
        if scene.settings.contains(&Setting::ClientCertificates) {
            let authority = Authority::new().map_err(|error| error.to_string())?;
            let file = dir.path().join("clients.pem");
            std::fs::write(&file, &authority.pem).map_err(|error| error.to_string())?;
            let _ = writeln!(text, "tls.client_ca = \"{}\"", file.display());
            self.authority = Some(authority);
        }
        if let Some(postgres) = &self.postgres {
            let _ = writeln!(text, "store.url = \"{}\"", postgres.database()?);
        }
        std::fs::write(dir.path().join("waxwing.toml"), text).map_err(|error| error.to_string())?;
        Ok(Running { program: self.program.clone(), dir, addresses, child: None })
    }
}

impl House for Waxwing {
    fn set(&mut self, scene: &Scene) -> Result<Addresses, Refused> {
        self.running = None;
        let mut running = self.prepare(scene).map_err(Refused::Failed)?;
        for (account, password) in &scene.accounts {
            running.add(account, password).map_err(Refused::Failed)?;
        }
        running.start().map_err(Refused::Failed)?;
        let addresses = running.addresses;
        self.running = Some(running);
        Ok(addresses)
    }

    fn restart(&mut self) -> Result<Addresses, String> {
        let running = self.running.as_mut().ok_or("no server runs")?;
        running.stop()?;
        running.start()?;
        Ok(running.addresses)
    }

    fn crash(&mut self) -> Result<Addresses, String> {
        let running = self.running.as_mut().ok_or("no server runs")?;
        running.kill();
        running.start()?;
        Ok(running.addresses)
    }

    fn identity(&self, account: &str) -> Option<Identity> {
        self.authority.as_ref()?.identity(account)
    }
}

impl Running {
    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .arg("--config")
            .arg(self.dir.path().join("waxwing.toml"))
            .current_dir(self.dir.path());
        command
    }

    fn add(&self, account: &str, password: &str) -> Result<(), String> {
        let mut child = self
            .command(&["user", "add", account])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut input) = child.stdin.take() {
            let _ = writeln!(input, "{password}");
        }
        let ended = child.wait_with_output().map_err(|error| error.to_string())?;
        if ended.status.success() {
            Ok(())
        } else {
            Err(format!("{account} was not added: {}", String::from_utf8_lossy(&ended.stderr)))
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let open = std::fs::OpenOptions::new().create(true).append(true).open(self.log());
        let log = open.map_err(|error| error.to_string())?;
        let copy = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.command(&["start"]);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(copy).spawn();
        self.child = Some(child.map_err(|error| error.to_string())?);
        let begun = Instant::now();
        while TcpStream::connect(self.addresses.tls.unwrap_or(self.addresses.plain)).is_err()
            || TcpStream::connect(self.addresses.plain).is_err()
        {
            let gone = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if gone || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                return Err(format!("the server does not listen:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// SIGKILL.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and what follows from it.
    fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        asked.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                return Err("the server did not end within 20 s of SIGTERM".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has, outside the range from which the system gives ports to those who connect: or one of them
/// could take it before the server does.
fn free() -> Result<SocketAddr, String> {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other test programs begin elsewhere.
    let own = std::process::id().wrapping_mul(97);
    for _ in 0..PORTS {
        let place = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(FIRST + place).map_err(|error| error.to_string())?;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().map_err(|error| error.to_string());
        }
    }
    Err("no port is free".to_owned())
}

//! A PostgreSQL of the tests' own: Debian's binaries, a directory and a port nobody else uses.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running cluster; it ends with the value.
pub struct Postgres {
    bin: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts one.
    ///
    /// # Errors
    /// When no PostgreSQL is installed, or it does not start.
    pub fn start() -> Result<Self, String> {
        let bin = binaries().ok_or("no PostgreSQL under /usr/lib/postgresql; apt-get install postgresql")?;
        let dir =
            tempfile::Builder::new().prefix("waxwing-pg").tempdir().map_err(|error| error.to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        drop(listener);
        let postgres = Postgres { bin, dir, port, databases: AtomicU32::new(0) };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(postgres.dir.path()))?;
        }
        let data = postgres.data();
        run(postgres
            .tool("initdb")
            .args(["-U", "waxwing", "-A", "trust", "--no-sync", "-E", "UTF8", "-D"])
            .arg(&data))?;
        // Nothing here must outlive a power cut, only the server under test.
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off",
            postgres.dir.path().display()
        );
        let log = postgres.dir.path().join("log");
        run(postgres
            .tool("pg_ctl")
            .args(["-w", "-o", &options, "-D"])
            .arg(&data)
            .arg("-l")
            .arg(log)
            .arg("start"))?;
        Ok(postgres)
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self) -> Result<String, String> {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(self.tool("createdb").args([
            "-U",
            "waxwing",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-T",
            "template0",
            &name,
        ]))?;
        Ok(format!("postgres://waxwing@127.0.0.1:{port}/{name}"))
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// PostgreSQL refuses to be run by root.
    fn tool(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = run(self.tool("pg_ctl").args(["-m", "immediate", "-D"]).arg(data).arg("stop"));
    }
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

fn is_root() -> bool {
    let owner = std::fs::metadata("/proc/self").map(|data| std::os::unix::fs::MetadataExt::uid(&data));
    matches!(owner, Ok(0))
}

fn run(command: &mut Command) -> Result<(), String> {
    // A daemon that keeps the pipe open must not keep us waiting, so its output goes to a file of its own or nowhere.
    let ended =
        command.current_dir(Path::new("/")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = ended.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

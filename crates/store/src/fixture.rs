//! A PostgreSQL server of one's own, for tests and benchmarks: Debian's binaries, a directory and a port nobody else
//! uses.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running cluster; it ends with the value, or with the process, however that ends.
pub struct Postgres {
    watch: Child,
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
        let dir = scratch("waxwing-pg").map_err(|error| error.to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        drop(listener);
        let data = dir.path().join("data");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(dir.path()))?;
        }
        run(tool(&bin, "initdb")
            .args(["-U", "waxwing", "-A", "trust", "--no-sync", "-E", "UTF8"])
            .args(dictionary(&bin))
            .arg("-D")
            .arg(&data))?;
        let watch = watch(&bin, dir.path()).map_err(|error| error.to_string())?;
        let postgres = Postgres { watch, bin, dir, port, databases: AtomicU32::new(0) };
        postgres.resume()?;
        Ok(postgres)
    }

    /// Starts it again after [`Postgres::stop`], with all that it held.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&self) -> Result<(), String> {
        // Nothing here must outlive a power cut, only the server under test. What it shares between its processes lies
        // in its directory, and goes with that.
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c dynamic_shared_memory_type=mmap",
            self.port,
            self.dir.path().display()
        );
        let log = self.dir.path().join("log");
        run(self
            .tool("pg_ctl")
            .args(["-w", "-o", &options, "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(log)
            .arg("start"))
    }

    /// Stops it at once, as a crash does; its connections break.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&self) -> Result<(), String> {
        run(self.tool("pg_ctl").args(["-w", "-m", "immediate", "-D"]).arg(self.data()).arg("stop"))
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

    /// A database as statements that make it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dump(&self, url: &str) -> Result<String, String> {
        let mut tool = self.tool("pg_dump");
        tool.args(["--inserts", "--no-owner", "--no-acl", "-d", url]).current_dir("/");
        let output = tool.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
        // Without what is meant for psql, and without comments.
        let lines = text.lines().filter(|line| !line.starts_with('\\') && !line.starts_with("--"));
        Ok(lines.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect())
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn tool(&self, name: &str) -> Command {
        tool(&self.bin, name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        let _ = self.stop();
    }
}

/// Has PostgreSQL sort as a dictionary does, as an operator's often will: the store's order must not depend on it.
fn dictionary(bin: &Path) -> &'static [&'static str] {
    let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    match version.and_then(|version| version.parse::<u32>().ok()) {
        Some(15..) => &["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=de"],
        _ => &[],
    }
}

/// A program of PostgreSQL's. It refuses to be run by root.
fn tool(bin: &Path, name: &str) -> Command {
    let program = bin.join(name);
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Waits for the end of this process, which closes its input, and clears up if nobody else did.
fn watch(bin: &Path, dir: &Path) -> std::io::Result<Child> {
    let stop = tool(bin, "pg_ctl");
    let words = [stop.get_program()].into_iter().chain(stop.get_args());
    Command::new("sh")
        .args([
            "-c",
            "dir=$1; shift; read -r _; \"$@\" -m immediate -D \"$dir/data\" stop; rm -rf \"$dir\"",
            "watch",
        ])
        .arg(dir)
        .args(words)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What a terminal sends to this process is not meant for it.
        .process_group(0)
        .spawn()
}

/// A fresh directory for what need not last: in memory where there is plenty, since databases come and go there many
/// times as fast as on a disk.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(prefix: &str) -> std::io::Result<tempfile::TempDir> {
    const MEMORY: &str = "/dev/shm";
    const PLENTY_KB: u64 = 4_000_000;
    let output = Command::new("df").args(["--output=avail", MEMORY]).output();
    let free = output.ok().and_then(|output| {
        String::from_utf8_lossy(&output.stdout).lines().next_back()?.trim().parse::<u64>().ok()
    });
    let mut directory = tempfile::Builder::new();
    directory.prefix(prefix);
    match free {
        Some(free) if free > PLENTY_KB => directory.tempdir_in(MEMORY),
        _ => directory.tempdir(),
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

//! Another process: this test program again, playing one part of it.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};

use store::StoreUrl;

/// Names the store to the child.
const URL: &str = "WAXWING_STORE_OF_THE_CHILD";

/// What the child says begins with this.
const SAYS: &str = "child: ";

/// A process of ours. It is killed when it is dropped.
pub struct Child {
    process: std::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts the test of this name as a child.
    pub fn start(part: &str, url: &StoreUrl) -> Self {
        let url = match url {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.clone(),
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([part, "--exact", "--nocapture", "--test-threads=1"]).env(URL, url);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Child { process, lines }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next thing that it says; `None` when it is gone.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.unwrap();
            if let Some(at) = line.find(SAYS) {
                return Some(line[at + SAYS.len()..].to_owned());
            }
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the child: the store that it is about. In the tests' own process there is none.
pub fn url() -> Option<StoreUrl> {
    Some(std::env::var(URL).ok()?.parse().unwrap())
}

/// In the child: tells the parent.
pub fn say(what: impl std::fmt::Display) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{what}").unwrap();
    out.flush().unwrap();
}

/// In the child: plays its part to the end.
pub fn play(part: impl AsyncFn(StoreUrl)) {
    if let Some(url) = url() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(part(url));
    }
}

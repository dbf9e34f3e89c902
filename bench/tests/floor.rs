//! The floor relays what it is told, to all others of the group and to nobody else.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a real process is waited for

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench::crowd::Crowd;
use bench::manner::{Manner, Peer};
use bench::measured::Server;
use bench::scenes::login::Again;
use bench::scenes::{Span, chat, login, presence};

const SPAN: Span = Span { settle: Duration::from_millis(50), time: Duration::from_millis(200) };

struct Floor {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn floor() -> (Floor, Manner) {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_floor"));
    command
        .arg("--listen")
        .arg(address.to_string())
        .arg("--certificate")
        .arg(certificate)
        .arg("--key")
        .arg(key);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "ready");
    (Floor { child, _dir: dir }, Manner::new(Peer::Floor, address, "localhost", "secret"))
}

#[test]
fn what_is_said_is_relayed() {
    let (floor, mut manner) = floor();
    let server = Server { pid: floor.child.id() };
    let chat = chat::Chat { pairs: 3, window: 4, background: 1, asks: false };
    let found = chat::run(&mut Crowd::new(manner.clone()).unwrap(), server, "localhost", chat, SPAN).unwrap();
    assert_eq!(found["came"], found["said"], "{found}");
    assert_eq!(found["lost"], 0, "{found}");
    let found =
        login::run(&mut Crowd::new(manner.clone()).unwrap(), server, Again::Password, 5, SPAN).unwrap();
    assert!(found["units"].as_u64() > Some(0), "{found}");
    manner.group = 4;
    let found = presence::run(&mut Crowd::new(manner).unwrap(), server, 8, 4, SPAN).unwrap();
    assert!(found["units"].as_u64() > Some(0), "{found}");
}

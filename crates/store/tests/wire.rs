//! A wire to PostgreSQL that can be cut, at exactly the moment when nobody knows what became of a commit.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It passes, and its answer too.
    Passes,
    /// The connection breaks before PostgreSQL hears of it.
    CutBefore,
    /// The connection breaks when PostgreSQL has committed, before its answer arrives.
    CutAfter,
    /// Neither it nor anything later arrives, in no direction; both ends believe that the other is there.
    SilenceBefore,
    /// It arrives, but its answer does not, nor anything later.
    SilenceAfter,
}

/// The wire; it ends with the value.
pub struct Wire {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    server: u16,
    next: Mutex<Next>,
    takes_more: AtomicBool,
    ended: AtomicBool,
    links: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A wire to the server on this port of 127.0.0.1.
    pub fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            next: Mutex::new(Next::Passes),
            takes_more: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            links: Mutex::new(Vec::new()),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                if accepting.takes_more.load(Ordering::SeqCst) {
                    accepting.link(client);
                }
            }
        });
        Wire { shared, port }
    }

    /// The same database, over this wire. It is given one second to connect and to answer.
    pub fn url(&self, direct: &str) -> String {
        let through = direct.replace(&self.shared.server.to_string(), &self.port.to_string());
        format!("{through}?connect_timeout=1&tcp_user_timeout=1")
    }

    /// What happens to the next COMMIT.
    pub fn next(&self, next: Next) {
        *self.shared.next.lock().unwrap() = next;
    }

    /// Whether new connections get through.
    pub fn takes_more(&self, takes_more: bool) {
        self.shared.takes_more.store(takes_more, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for link in self.shared.links.lock().unwrap().drain(..) {
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

/// One connection through the wire.
struct Link {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// What happens to the COMMIT under way.
    fate: Mutex<Next>,
}

impl Shared {
    fn link(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        self.links.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let link = Arc::new(Link { shared: self.clone(), client, server, fate: Mutex::new(Next::Passes) });
        let up = link.clone();
        thread::spawn(move || {
            up.carry_up();
            up.cut();
        });
        thread::spawn(move || {
            link.carry_down();
            link.cut();
        });
    }
}

impl Link {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Messages from the client.
    fn carry_up(&self) -> Option<()> {
        // The first one has no type.
        pass(&message(&self.client, false)?, &self.server)?;
        loop {
            let message = message(&self.client, true)?;
            if message.ends_with(b"COMMIT\0") && message[0] == b'Q' {
                let fate = std::mem::replace(&mut *self.shared.next.lock().unwrap(), Next::Passes);
                *self.fate.lock().unwrap() = fate;
                match fate {
                    Next::CutBefore => return None,
                    Next::SilenceBefore => thread::park(),
                    _ => {}
                }
            }
            pass(&message, &self.server)?;
        }
    }

    /// Messages from the server.
    fn carry_down(&self) -> Option<()> {
        loop {
            let message = message(&self.server, true)?;
            match *self.fate.lock().unwrap() {
                Next::CutAfter if message.ends_with(b"COMMIT\0") && message[0] == b'C' => return None,
                Next::SilenceBefore | Next::SilenceAfter => continue,
                _ => {}
            }
            pass(&message, &self.client)?;
        }
    }
}

/// A whole message: a type, a length that counts itself, and the rest.
fn message(mut from: &TcpStream, has_type: bool) -> Option<Vec<u8>> {
    let head = usize::from(has_type);
    let mut message = vec![0; head + 4];
    from.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(message[head..].try_into().unwrap()) as usize;
    message.resize(head + length, 0);
    from.read_exact(&mut message[head + 4..]).ok()?;
    Some(message)
}

fn pass(message: &[u8], mut to: &TcpStream) -> Option<()> {
    to.write_all(message).ok()
}

//! A load for one server: `load SCENE --address 127.0.0.1:5223 --pid PID`; prints what it cost as one line of JSON.
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bench::crowd::Crowd;
use bench::manner::{Manner, Peer};
use bench::measured::Server;
use bench::scenes::login::Again;
use bench::scenes::{Span, archive, asleep, chat, idle, login, offline, presence};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Before and after what is measured.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Door {
    DirectTls,
    Starttls,
    Floor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Password,
    Token,
    Stream,
}

#[derive(Debug, Parser)]
#[command(name = "load", about = "Loads an XMPP server and says what that cost it")]
struct Order {
    #[command(subcommand)]
    scene: Kind,
    /// Where the server listens.
    #[arg(long, global = true, default_value = "127.0.0.1:5223")]
    address: SocketAddr,
    /// How it speaks there.
    #[arg(long, global = true, value_enum, default_value = "direct-tls")]
    door: Door,
    /// The server's first process.
    #[arg(long, global = true, default_value_t = 0)]
    pid: u32,
    #[arg(long, global = true, default_value = "localhost")]
    domain: String,
    /// The password of all accounts, which are u0, u1 and so on.
    #[arg(long, global = true, default_value = "secret")]
    password: String,
    /// Streams are managed (XEP-0198).
    #[arg(long, global = true)]
    managed: bool,
    /// Copies are wanted (XEP-0280).
    #[arg(long, global = true)]
    carbons: bool,
    /// The measured time.
    #[arg(long, global = true, default_value_t = 8.0)]
    seconds: f64,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Sessions that say nothing.
    Idle {
        #[arg(long, default_value_t = 2000)]
        sessions: u32,
        #[arg(long, default_value_t = 200)]
        warm: u32,
    },
    /// Sessions that come and go.
    Login {
        #[arg(long, default_value_t = 400)]
        accounts: u32,
        #[arg(long, value_enum, default_value = "password")]
        by: By,
    },
    /// Pairs who talk.
    Chat {
        #[arg(long, default_value_t = 200)]
        pairs: u32,
        #[arg(long, default_value_t = 1)]
        window: u32,
        #[arg(long, default_value_t = 0)]
        background: u32,
        /// More whose connections have broken, and whose streams can go on.
        #[arg(long, default_value_t = 0)]
        asleep: u32,
    },
    /// Makes people of circles contacts of one another.
    Acquaint {
        #[arg(long, default_value_t = 210)]
        people: u32,
        #[arg(long, default_value_t = 21)]
        circle: u32,
    },
    /// They go and come.
    Presence {
        #[arg(long, default_value_t = 210)]
        people: u32,
        #[arg(long, default_value_t = 21)]
        circle: u32,
    },
    /// Messages to people who are not there.
    Offline {
        #[arg(long, default_value_t = 100)]
        people: u32,
        #[arg(long, default_value_t = 50)]
        each: u32,
    },
    /// Pages of archives.
    Archive {
        #[arg(long, default_value_t = 0)]
        account: u32,
        #[arg(long, default_value_t = 4)]
        readers: u32,
    },
    /// Fills the archives of two accounts.
    Fill {
        #[arg(long, default_value_t = 0)]
        account: u32,
        #[arg(long, default_value_t = 1000)]
        messages: u32,
    },
}

fn main() -> ExitCode {
    let order = Order::parse();
    match run(&order) {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{}", json!({ "failed": why }));
            ExitCode::FAILURE
        }
    }
}

fn run(order: &Order) -> Result<Value, String> {
    let peer = match order.door {
        Door::DirectTls => Peer::DirectTls,
        Door::Starttls => Peer::StartTls,
        Door::Floor => Peer::Floor,
    };
    let mut manner = Manner::new(peer, order.address, &order.domain, &order.password);
    manner.managed = order.managed;
    manner.carbons = order.carbons;
    match order.scene {
        Kind::Presence { circle, .. } => manner.group = circle,
        Kind::Login { by: By::Token, .. } => manner = manner.with_tickets(),
        Kind::Login { by: By::Stream, .. } => {
            manner = manner.with_tickets();
            manner.managed = true;
        }
        Kind::Offline { .. } | Kind::Fill { .. } => manner.managed = true,
        _ => {}
    }
    let server = Server { pid: order.pid };
    let span = Span { settle: SETTLE, time: Duration::from_secs_f64(order.seconds) };
    let (domain, crowd) = (order.domain.as_str(), &mut Crowd::new(manner.clone())?);
    match order.scene {
        Kind::Idle { sessions, warm } => idle::run(crowd, server, warm, sessions, span),
        Kind::Login { accounts, by } => login::run(crowd, server, again(by), accounts, span),
        Kind::Chat { pairs, window, background, asleep } => {
            let last = pairs * 2 + background;
            asleep::put(&manner, last..last + asleep)?;
            let chat = chat::Chat { pairs, window, background, asks: order.managed };
            chat::run(crowd, server, domain, chat, span)
        }
        Kind::Acquaint { people, circle } => {
            presence::acquaint(crowd, domain, people, circle).map(|()| json!({ "units": people }))
        }
        Kind::Presence { people, circle } => presence::run(crowd, server, people, circle, span),
        Kind::Offline { people, each } => offline::run(crowd, server, domain, people, each, span),
        Kind::Archive { account, readers } => archive::run(crowd, server, account, readers, span),
        Kind::Fill { account, messages } => archive::fill(crowd, domain, account, messages),
    }
}

fn again(by: By) -> Again {
    match by {
        By::Password => Again::Password,
        By::Token => Again::Token,
        By::Stream => Again::Stream,
    }
}

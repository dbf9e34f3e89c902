//! Many sessions in one thread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::entry::{Client, Way};
use crate::manner::Manner;
use crate::scram::Salted;
use crate::session::{Event, Session};

/// Sessions that come in at once, unless a scene says otherwise.
pub const AT_ONCE: usize = 32;
/// Without anything from the server for so long, a scene has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one look at the sockets takes at most.
const LOOK: Duration = Duration::from_millis(20);

/// What people do.
pub trait Scene {
    /// Somebody is in. Mostly nothing comes of that until all are.
    fn entered(&mut self, _who: usize, _session: &Session, _wishes: &mut Wishes) {}
    /// Somebody hears a stanza.
    ///
    /// # Errors
    /// What must not be; ends the scene.
    fn heard(
        &mut self,
        who: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String>;
    /// Somebody's connection has gone, or they were not let in. Mostly that must not be.
    ///
    /// # Errors
    /// What must not be; ends the scene.
    fn lost(&mut self, session: &Session, why: String) -> Result<(), String> {
        Err(format!("u{}: {why}", session.account))
    }
}

/// What is to be done next.
#[derive(Debug, Default)]
pub struct Wishes {
    bytes: Vec<u8>,
    said: Vec<(usize, usize)>,
    entering: Vec<(Client, Way)>,
    leaving: Vec<usize>,
}

impl Wishes {
    /// Says something.
    pub fn say(&mut self, who: usize, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.said.push((who, self.bytes.len()));
    }

    /// Somebody is to come in.
    pub fn enter(&mut self, client: impl Into<Client>, way: Way) {
        self.entering.push((client.into(), way));
    }

    /// Somebody closes the stream and the connection.
    pub fn leave(&mut self, who: usize) {
        self.say(who, b"</stream:stream>");
        self.leaving.push(who);
    }

    /// A connection breaks.
    pub fn vanish(&mut self, who: usize) {
        self.leaving.push(who);
    }
}

/// The crowd.
#[derive(Debug)]
pub struct Crowd {
    manner: Manner,
    poll: Poll,
    events: Events,
    sessions: Vec<Option<Box<Session>>>,
    salted: Salted,
    buffer: Vec<u8>,
    wishes: Wishes,
    waiting: VecDeque<usize>,
    /// When a session last heard something.
    heard_at: Instant,
}

impl Crowd {
    /// Nobody yet.
    ///
    /// # Errors
    /// Of the system.
    pub fn new(manner: Manner) -> Result<Self, String> {
        Ok(Crowd {
            manner,
            poll: Poll::new().map_err(|error| error.to_string())?,
            events: Events::with_capacity(1024),
            sessions: Vec::new(),
            salted: Salted::default(),
            buffer: vec![0; 64 * 1024],
            wishes: Wishes::default(),
            waiting: VecDeque::new(),
            heard_at: Instant::now(),
        })
    }

    /// Who are here; a session keeps its number.
    pub fn sessions(&self) -> impl Iterator<Item = (usize, &Session)> {
        self.sessions.iter().enumerate().filter_map(|(who, session)| Some((who, session.as_deref()?)))
    }

    /// Brings in one session of each of these accounts and waits for all of them; their numbers, in the same order.
    ///
    /// # Errors
    /// A server that does not let them in.
    pub fn gather(
        &mut self,
        accounts: impl Iterator<Item = u32>,
        scene: &mut impl Scene,
    ) -> Result<Vec<usize>, String> {
        let mut accounts = accounts.peekable();
        let mut numbers = Vec::new();
        let mut coming = 0;
        while accounts.peek().is_some() || coming > 0 {
            while coming < AT_ONCE
                && let Some(account) = accounts.next()
            {
                numbers.push(self.enter(account, Way::Password)?);
                coming += 1;
            }
            self.turn(scene)?;
            let come = numbers.iter().rev().take(AT_ONCE * 8).filter(|who| !self.is_in(**who)).count();
            coming = come;
        }
        Ok(numbers)
    }

    fn is_in(&self, who: usize) -> bool {
        self.sessions[who].as_ref().is_some_and(|session| session.is_in())
    }

    /// Somebody comes in.
    ///
    /// # Errors
    /// Of the system.
    pub fn enter(&mut self, client: impl Into<Client>, way: Way) -> Result<usize, String> {
        let number = self.sessions.len();
        let session = Session::connect(number, client.into(), way, &self.manner, self.poll.registry())?;
        self.sessions.push(Some(Box::new(session)));
        self.waiting.push_back(number);
        Ok(number)
    }

    /// Wishes of the scene from outside of it.
    pub fn wishes(&mut self) -> &mut Wishes {
        &mut self.wishes
    }

    /// Turns until this time.
    ///
    /// # Errors
    /// As [`Crowd::turn`].
    pub fn turn_until(&mut self, end: Instant, scene: &mut impl Scene) -> Result<(), String> {
        self.heard_at = Instant::now();
        while Instant::now() < end {
            self.turn(scene)?;
        }
        Ok(())
    }

    /// Turns until this time, and on until something has been done: a window in which nothing was says nothing.
    ///
    /// # Errors
    /// As [`Crowd::turn`].
    pub fn turn_for<S: Scene>(
        &mut self,
        time: Duration,
        scene: &mut S,
        is_something: impl Fn(&S) -> bool,
    ) -> Result<(), String> {
        self.turn_until(Instant::now() + time, scene)?;
        self.turn_while(scene, |scene| !is_something(scene))
    }

    /// Turns until the scene is so.
    ///
    /// # Errors
    /// As [`Crowd::turn`].
    pub fn turn_while<S: Scene>(
        &mut self,
        scene: &mut S,
        goes_on: impl Fn(&S) -> bool,
    ) -> Result<(), String> {
        self.heard_at = Instant::now();
        while goes_on(scene) {
            self.turn(scene)?;
        }
        Ok(())
    }

    /// Hears what has come, and says what the scene wishes.
    ///
    /// # Errors
    /// Of the system, a connection or the scene; a server that is silent for too long.
    pub fn turn(&mut self, scene: &mut impl Scene) -> Result<(), String> {
        self.do_as_wished(scene)?;
        self.poll.poll(&mut self.events, Some(LOOK)).or_else(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error.to_string()),
        })?;
        if !self.events.is_empty() {
            self.heard_at = Instant::now();
        } else if self.heard_at.elapsed() > PATIENCE {
            return Err(format!("the server has been silent for {} s", PATIENCE.as_secs()));
        }
        let mut wrong = None;
        for event in &self.events {
            let number = event.token().0;
            let Some(session) = &mut self.sessions[number] else { continue };
            let wishes = &mut self.wishes;
            let mut tell = |session: &Session, event: Event<'_>| match event {
                Event::In => scene.entered(number, session, wishes),
                Event::Stanza(name, xml) => {
                    if let Err(why) = scene.heard(number, session, name, xml, wishes) {
                        wrong = Some(why);
                    }
                }
            };
            let read = session.read(&self.manner, &mut self.salted, &mut self.buffer, &mut tell);
            if let Some(why) = wrong.take() {
                return Err(why);
            }
            if session.waiting || event.is_writable() {
                self.waiting.push_back(number);
            }
            if let Err(why) = read {
                lose(&mut self.sessions[number], why, scene)?;
            }
        }
        self.do_as_wished(scene)
    }

    fn do_as_wished(&mut self, scene: &mut impl Scene) -> Result<(), String> {
        let mut wishes = std::mem::take(&mut self.wishes);
        let mut from = 0;
        for (who, to) in wishes.said.drain(..) {
            if let Some(session) = &mut self.sessions[who] {
                session.say(&wishes.bytes[from..to]);
                self.waiting.push_back(who);
            }
            from = to;
        }
        wishes.bytes.clear();
        for (client, way) in wishes.entering.drain(..) {
            self.enter(client, way)?;
        }
        while let Some(who) = self.waiting.pop_front() {
            let flushed = self.sessions[who].as_mut().map_or(Ok(()), |session| session.flush());
            if let Err(why) = flushed {
                lose(&mut self.sessions[who], why, scene)?;
            }
        }
        for who in wishes.leaving.drain(..) {
            if let Some(session) = self.sessions[who].take() {
                session.vanish();
            }
        }
        self.wishes = wishes;
        Ok(())
    }
}

fn lose(session: &mut Option<Box<Session>>, why: String, scene: &mut impl Scene) -> Result<(), String> {
    session.take().map_or(Ok(()), |session| scene.lost(&session, why))
}

/// People who do nothing.
#[derive(Debug, Default)]
pub struct Nothing;

impl Scene for Nothing {
    fn heard(&mut self, _: usize, _: &Session, _: &str, _: &[u8], _: &mut Wishes) -> Result<(), String> {
        Ok(())
    }
}

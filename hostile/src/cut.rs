//! A stage on which what clients say comes in pieces: byte by byte, or cut in two at one place.

use std::time::Duration;

use simulator::conversation::script::{Act, Line};
use simulator::conversation::{Binding, Door, Fortune, Received, Refused, Scene, Script, Stage, Wire};

/// How what is said is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Nowhere,
    /// After every byte.
    Everywhere,
    /// After so many bytes.
    After(usize),
}

/// The stage, around another one.
pub struct Pieces<'a, S> {
    stage: &'a mut S,
    cut: Cut,
}

/// What is longer comes byte by byte at its beginning and its end only: what is in between is `{1000 * x}`.
const WHOLE_BYTES: usize = 400;
/// Bytes of such a beginning, and of such an end.
const EDGE_BYTES: usize = 64;

impl Cut {
    /// All ways to cut what is said in this conversation.
    pub fn all(script: &Script) -> Vec<Cut> {
        let said = |line: &Line| if let Act::Say { text, .. } = &line.act { text.len() } else { 0 };
        let longest = script.lines.iter().map(said).max().unwrap_or(0).min(WHOLE_BYTES);
        [Cut::Nowhere, Cut::Everywhere].into_iter().chain((1..longest).map(Cut::After)).collect()
    }
}

impl<'a, S: Stage> Pieces<'a, S> {
    /// Around this stage.
    pub fn new(stage: &'a mut S, cut: Cut) -> Self {
        Pieces { stage, cut }
    }
}

impl<S: Stage> Stage for Pieces<'_, S> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    fn set(&mut self, scene: &Scene) -> Result<(), Refused> {
        self.stage.set(scene)
    }

    fn open(&mut self, door: Door, domain: &str) -> Result<Wire, String> {
        self.stage.open(door, domain)
    }

    fn secure(&mut self, wire: Wire, domain: &str, account: Option<&str>) -> Result<Binding, String> {
        self.stage.secure(wire, domain, account)
    }

    fn send(&mut self, wire: Wire, bytes: &[u8]) {
        match self.cut {
            Cut::Nowhere => self.stage.send(wire, bytes),
            Cut::After(first) => {
                let (first, rest) = bytes.split_at(first.min(bytes.len()));
                self.stage.send(wire, first);
                self.stage.send(wire, rest);
            }
            Cut::Everywhere => {
                let edge = if bytes.len() > WHOLE_BYTES { EDGE_BYTES } else { bytes.len() };
                let (beginning, rest) = bytes.split_at(edge);
                let (middle, end) = rest.split_at(rest.len() - edge.min(rest.len()));
                beginning.chunks(1).chain([middle]).chain(end.chunks(1)).for_each(|piece| {
                    self.stage.send(wire, piece);
                });
            }
        }
    }

    fn receive(&mut self, wire: Wire) -> Received {
        self.stage.receive(wire)
    }

    fn cut(&mut self, wire: Wire) {
        self.stage.cut(wire);
    }

    fn restart(&mut self) -> Result<(), String> {
        self.stage.restart()
    }

    fn crash(&mut self) -> Result<(), String> {
        self.stage.crash()
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.stage.pass(time)
    }

    fn befall(&mut self, fortune: Fortune) -> Result<(), String> {
        self.stage.befall(fortune)
    }
}

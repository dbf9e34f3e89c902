//! Where a conversation is played: something that has a server, connections to it, and a clock.

use std::time::Duration;

/// A connection that a stage opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wire(pub usize);

/// Which of the server's ports is knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Plain TCP, on which STARTTLS may follow (RFC 6120 §5).
    Plain,
    /// TLS from the first byte (XEP-0368).
    Tls,
}

/// What TLS can be bound to, for SASL mechanisms that end in `-PLUS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// `tls-exporter` (RFC 9266); TLS 1.3 only.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.
    pub end_point: Option<Vec<u8>>,
}

/// What came on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The other side closed; nothing will follow.
    Closed,
    /// Nothing has come and nothing is on its way (simulator), or not for some seconds (sockets).
    Quiet,
}

/// How the server must be set up for a conversation, beyond its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `with registration open`: XEP-0077 for anybody.
    RegistrationOpen,
    /// `with anonymous`: SASL ANONYMOUS is offered.
    Anonymous,
    /// `with plaintext allowed`: TLS is offered and not required.
    PlaintextAllowed,
    /// `with mechanisms SCRAM-SHA-512 PLAIN`: only these are offered.
    Mechanisms(Vec<String>),
    /// `with keys SHA-1`: accounts have keys of these hashes only, as if they had come from elsewhere.
    Keys(Vec<String>),
    /// `with client certificates`: those of the stage's authority are trusted.
    ClientCertificates,
    /// `with admin alice@one.test`.
    Admin(String),
    /// `with limit NAME VALUE`: a key of the configuration's `[limits]`.
    Limit(String, u64),
    /// `with KEY = VALUE`: any other key of the configuration, and its value as TOML.
    Key(String, String),
    /// `with contact KIND ADDRESS`: an address for XEP-0157, such as `abuse mailto:abuse@one.test`.
    Contact(String, String),
}

/// What happens to the server's store, or to its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fortune {
    /// `disk fills up`: nothing more can be written.
    Full,
    /// `disk has room`: it can again.
    Room,
    /// `store goes away`: nothing can be read.
    Away,
    /// `store comes back`: it can again.
    Back,
    /// `memory fills to 90 %` of what the server may take, or `memory is free again`.
    Memory(u8),
}

/// What must be there before the first line is played. The domains are always `one.test` and `two.test`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scene {
    /// The accounts that exist: bare address and password.
    pub accounts: Vec<(String, String)>,
    /// The server's configuration.
    pub settings: Vec<Setting>,
}

/// Why a scene cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// This stage has no such setting, as when somebody else's server is spoken to. The conversation is passed over.
    Unsupported(String),
    /// It should have been possible.
    Failed(String),
}

/// A place to play conversations. Calls that wait return once they are done or have failed for good.
pub trait Stage {
    /// What `# only: NAME` calls it: `simulator` or `sockets`.
    fn name(&self) -> &'static str;

    /// Sets up a fresh server with these accounts and no other state.
    ///
    /// # Errors
    /// When it cannot.
    fn set(&mut self, scene: &Scene) -> Result<(), Refused>;

    /// Opens a connection.
    ///
    /// # Errors
    /// When nobody listens.
    fn open(&mut self, door: Door, domain: &str) -> Result<Wire, String>;

    /// Does the TLS handshake on an open connection, with the certificate of `account` if one is named.
    ///
    /// # Errors
    /// When the handshake fails.
    fn secure(&mut self, wire: Wire, domain: &str, account: Option<&str>) -> Result<Binding, String>;

    /// Sends bytes. Sending to a connection that the server has closed is not an error: its answer is still to be read.
    fn send(&mut self, wire: Wire, bytes: &[u8]);

    /// Waits for what comes next.
    fn receive(&mut self, wire: Wire) -> Received;

    /// Cuts a connection without a word.
    fn cut(&mut self, wire: Wire);

    /// Ends the server and starts it again on the same store.
    ///
    /// # Errors
    /// When it does not come up.
    fn restart(&mut self) -> Result<(), String>;

    /// Kills the server at this instant and starts it again on the same store.
    ///
    /// # Errors
    /// When it does not come up.
    fn crash(&mut self) -> Result<(), String>;

    /// Lets this much time go by.
    ///
    /// # Errors
    /// When the stage has no power over time.
    fn pass(&mut self, time: Duration) -> Result<(), String>;

    /// Lets this happen to the store, or to the memory.
    ///
    /// # Errors
    /// When the stage has no power over it.
    fn befall(&mut self, fortune: Fortune) -> Result<(), String> {
        Err(format!("{fortune:?} happens in the simulator only; mark the conversation '# only: simulator'"))
    }
}

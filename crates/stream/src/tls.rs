//! What the one who did the TLS handshake tells the machine about it.

/// The channel below a stream, after its handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Whether the protocol is TLS 1.3 or later.
    pub version13: bool,
    /// The server name the client asked for.
    pub sni: Option<String>,
    /// Channel-binding data of `tls-exporter` (RFC 9266): 32 bytes exported with the label
    /// `EXPORTER-Channel-Binding` and an empty context. On TLS 1.2 only with the extended master
    /// secret.
    pub exporter: Option<[u8; 32]>,
    /// Channel-binding data of `tls-server-end-point` (RFC 5929 §4): the hash of the server's
    /// certificate.
    pub end_point: Option<Vec<u8>>,
    /// The certificate that the client showed.
    pub client: Option<ClientCertificate>,
}

/// A client's certificate, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subjectAltName entries of type id-on-xmppAddr (RFC 6120 §13.7.1.4).
    pub xmpp_addrs: Vec<String>,
    /// Whether it leads to a configured authority and is in date.
    pub trusted: bool,
}

//! The four messages of SCRAM, read strictly (RFC 5802 §7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sasl::SaslCondition;

/// What the client says about channel binding in its GS2 header (RFC 5802 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    /// `n`: the client cannot bind.
    Unable,
    /// `y`: the client could bind and believes that the server cannot.
    NotOffered,
    /// `p=NAME`: the client binds with this type.
    Used(String),
}

/// The client's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// The GS2 header as sent, with its last comma: part of what is signed.
    pub header: String,
    pub binding: Binding,
    pub authzid: Option<String>,
    pub username: String,
    pub nonce: String,
    /// The message without its GS2 header.
    pub bare: String,
}

impl ClientFirst {
    /// Reads `gs2-header [reserved-mext ","] username "," nonce ["," extensions]`.
    pub fn parse(message: &str) -> Result<Self, SaslCondition> {
        let malformed = || SaslCondition::MalformedRequest;
        let (flag, rest) = message.split_once(',').ok_or_else(malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or_else(malformed)?;
        let binding = match flag.split_once('=') {
            None if flag == "n" => Binding::Unable,
            None if flag == "y" => Binding::NotOffered,
            Some(("p", name)) if is_binding_name(name) => Binding::Used(name.to_owned()),
            _ => return Err(malformed()),
        };
        let authzid = match authzid {
            "" => None,
            given => Some(unescape(given.strip_prefix("a=").ok_or_else(malformed)?)?),
        };
        let mut parts = bare.split(',');
        // A mandatory extension ("m=") stands first; we know none, so the exchange must fail.
        let username = parts.next().and_then(|part| part.strip_prefix("n=")).ok_or_else(malformed)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or_else(malformed)?;
        if !is_nonce(nonce) || !parts.all(is_extension) {
            return Err(malformed());
        }
        let username = unescape(username)?;
        if username.is_empty() {
            return Err(malformed());
        }
        Ok(ClientFirst {
            header: message[..message.len() - bare.len()].to_owned(),
            binding,
            authzid,
            username,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }
}

/// The server's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerFirst {
    pub nonce: String,
    pub salt: Vec<u8>,
    pub iterations: u32,
    /// `h` of XEP-0474: the hash of what the server advertised.
    pub downgrade: Option<String>,
}

impl ServerFirst {
    /// Reads `nonce "," salt "," iteration-count ["," extensions]`.
    pub fn parse(message: &str) -> Option<Self> {
        let mut parts = message.split(',');
        let nonce = parts.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let mut downgrade = None;
        for part in parts {
            if !is_extension(part) {
                return None;
            }
            downgrade = downgrade.or(part.strip_prefix("h=").map(str::to_owned));
        }
        Some(ServerFirst { nonce: nonce.to_owned(), salt, iterations, downgrade })
    }
}

/// The client's final message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFinal {
    /// GS2 header and channel-binding data, decoded.
    pub binding: Vec<u8>,
    pub nonce: String,
    pub proof: Vec<u8>,
    /// The message up to the comma before its proof.
    pub without_proof: String,
}

impl ClientFinal {
    /// Reads `channel-binding "," nonce ["," extensions] "," proof`.
    pub fn parse(message: &str) -> Result<Self, SaslCondition> {
        Self::read(message).ok_or(SaslCondition::MalformedRequest)
    }

    fn read(message: &str) -> Option<Self> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let binding = STANDARD.decode(parts.next()?.strip_prefix("c=")?).ok()?;
        let nonce = parts.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        if !parts.all(is_extension) {
            return None;
        }
        Some(ClientFinal {
            binding,
            nonce: nonce.to_owned(),
            proof: STANDARD.decode(proof).ok()?,
            without_proof: without_proof.to_owned(),
        })
    }
}

/// Writes a name so that it holds no comma and no equals sign (`saslname`).
pub(crate) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Reads a `saslname`: `=2C` and `=3D` are the only escapes, NUL is not allowed.
fn unescape(text: &str) -> Result<String, SaslCondition> {
    let mut name = String::with_capacity(text.len());
    let mut pieces = text.split('=');
    name.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(SaslCondition::MalformedRequest),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.contains('\0') { Err(SaslCondition::MalformedRequest) } else { Ok(name) }
}

/// `cb-name`: letters, digits, dot and hyphen.
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

/// `1*(printable)`: visible ASCII but the comma.
fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

/// `attr-val` with an attribute we may ignore: one letter but `m`, an equals sign, a value.
fn is_extension(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[0] != b'm'
        && bytes[1] == b'='
        && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_first_message() {
        let first = ClientFirst::parse("p=tls-exporter,a=zed,n=us=2Cer=3D,r=abc,x=1").unwrap();
        assert_eq!(first.header, "p=tls-exporter,a=zed,");
        assert_eq!(first.binding, Binding::Used("tls-exporter".into()));
        assert_eq!(first.authzid.as_deref(), Some("zed"));
        assert_eq!(first.username, "us,er=");
        assert_eq!(first.bare, "n=us=2Cer=3D,r=abc,x=1");
    }

    #[test]
    fn refuses_what_the_grammar_refuses() {
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=a",
            "n,,n=,r=x",
            "n,,n=a,r=",
            "n,,r=x,n=a",
            "z,,n=a,r=x",
            "p=,,n=a,r=x",
            "p=a b,,n=a,r=x",
            "n,b=c,n=a,r=x",
            "n,,n=a=,r=x",
            "n,,n=a=2c,r=x",
            "n,,m=ext,n=a,r=x",
            "n,,n=a,r=x,m=1",
            "n,,n=a,r=x y",
            "n,,n=a,r=x,",
            "n,,n=a,r=x,q",
            "y=1,,n=a,r=x",
            "n,,n=a\0,r=x",
        ] {
            let read = ClientFirst::parse(message);
            assert_eq!(read, Err(SaslCondition::MalformedRequest), "{message:?}");
        }
    }

    #[test]
    fn reads_a_final_message_with_extensions() {
        let last = ClientFinal::parse("c=biws,r=ab,x=12,p=AAEC").unwrap();
        assert_eq!(last.binding, b"n,,");
        assert_eq!(last.without_proof, "c=biws,r=ab,x=12");
        assert_eq!(last.proof, [0, 1, 2]);
        for message in ["", "c=biws,r=a", "r=a,c=biws,p=AA==", "c=bi s,r=a,p=AA==", "c=biws,r=a,p=A"] {
            assert_eq!(ClientFinal::parse(message), Err(SaslCondition::MalformedRequest), "{message:?}");
        }
    }

    #[test]
    fn names_survive_escaping() {
        for name in ["plain", "a,b", "a=b", "=2C", ",,=="] {
            assert_eq!(unescape(&escape(name)).unwrap(), name);
        }
    }
}

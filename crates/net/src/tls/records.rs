//! What a connection says inside TLS once its handshake is done: records, sealed and opened where they lie (RFC 8446
//! §5, RFC 5246 §6.2.3.3). docs/decisions/0014 says why they are ours.

use std::io;
use std::ops::Range;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{AlertDescription, ConnectionTrafficSecrets, ProtocolVersion, ServerConnection};

use super::secrets::{Secret, Secrets};

/// Bytes before the content of a record: its type, version and length.
pub const HEADER: usize = 5;
/// Bytes of one record at most, with its header (RFC 5246 §6.2.3 allows more than RFC 8446 §5.2).
pub const RECORD_MAX: usize = HEADER + PLAIN_MAX + 2_048;
/// Bytes of plain text in one record at most.
const PLAIN_MAX: usize = 16_384;
/// Bytes of a tag; those of all suites are as long.
const TAG: usize = 16;
/// Bytes of the part of a nonce that stands in the record (RFC 5288 §3).
const EXPLICIT: usize = 8;
/// Records after which a key has served its time: RFC 8446 §5.5 allows 2^24.5 under AES-GCM.
const WORN_AFTER: u64 = 1 << 24;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// A request for new keys is this and a byte that says whether ours shall be new as well (RFC 8446 §4.6.3).
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

/// One direction of a connection.
struct Half {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// From what the next key is made (TLS 1.3).
    secret: Secret,
    /// The number of the next record.
    number: u64,
}

/// How a record is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// RFC 8446 §5.2: the type is sealed, too.
    Tls13,
    /// RFC 5288 §3: a part of the nonce stands in front.
    Tls12Gcm,
    /// RFC 7905 §2: the number alone makes the nonce.
    Tls12ChaCha,
}

/// Both directions.
pub struct Records {
    layout: Layout,
    write: Half,
    read: Half,
}

/// What came of the bytes that were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// So many bytes of plain text stand at the front.
    pub plain: usize,
    /// Where the beginning of a record is that is not whole.
    pub rest: Range<usize>,
    /// The other side has said that nothing follows.
    pub ended: bool,
}

enum Content {
    Data(Range<usize>),
    Nothing,
    End,
}

impl Records {
    /// The records of a connection whose handshake is done, and which has read no further. `secrets` are those that
    /// it has told.
    ///
    /// # Errors
    /// When it cannot be taken over; that is a mistake of ours.
    pub fn new(connection: ServerConnection, secrets: Secrets) -> io::Result<Self> {
        let version = connection.protocol_version();
        let keys = connection.dangerous_extract_secrets().map_err(io::Error::other)?;
        let layout = match (version, &keys.tx.1) {
            (Some(ProtocolVersion::TLSv1_3), _) => Layout::Tls13,
            (_, ConnectionTrafficSecrets::Chacha20Poly1305 { .. }) => Layout::Tls12ChaCha,
            _ => Layout::Tls12Gcm,
        };
        let Secrets { server, client } = secrets;
        Ok(Records { layout, write: Half::new(keys.tx, server)?, read: Half::new(keys.rx, client)? })
    }

    /// Seals plain text behind what `out` has.
    ///
    /// # Errors
    /// When no more can be sealed with this key, and there is none to follow it (TLS 1.2).
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        for piece in plain.chunks(PLAIN_MAX) {
            if self.write.number >= WORN_AFTER {
                self.renew(out)?;
            }
            self.seal_record(DATA, piece, out)?;
        }
        Ok(())
    }

    /// Says that nothing follows (`close_notify`).
    pub fn close(&mut self, out: &mut Vec<u8>) {
        // There is nothing that could be done about a failure.
        let _ = self.seal_record(ALERT, &[1, 0], out);
    }

    /// Opens all whole records of what was read, from the front of `buffer` on. What has to be said at once is written
    /// behind `out`.
    ///
    /// # Errors
    /// When a record is not what it should be. The other side is told in `out`.
    pub fn open(&mut self, buffer: &mut [u8], out: &mut Vec<u8>) -> io::Result<Opened> {
        let mut opened = Opened { plain: 0, rest: 0..buffer.len(), ended: false };
        let done = self.open_whole(buffer, &mut opened, out);
        done.map(|()| opened).map_err(|alert| {
            let _ = self.seal_record(ALERT, &[2, alert.into()], out);
            refused(alert)
        })
    }

    fn open_whole(
        &mut self,
        buffer: &mut [u8],
        opened: &mut Opened,
        out: &mut Vec<u8>,
    ) -> Result<(), AlertDescription> {
        while let Some(length) = whole(&buffer[opened.rest.clone()])? {
            let at = opened.rest.start;
            let content = self.open_record(&mut buffer[at..at + length], out)?;
            opened.rest.start += length;
            match content {
                Content::Data(data) => {
                    buffer.copy_within(at + data.start..at + data.end, opened.plain);
                    opened.plain += data.len();
                }
                Content::Nothing => {}
                Content::End => {
                    opened.ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn open_record(&mut self, record: &mut [u8], out: &mut Vec<u8>) -> Result<Content, AlertDescription> {
        let (kind, content) = self.decrypt(record)?;
        match (kind, &record[content.clone()]) {
            (DATA, _) => Ok(Content::Data(content)),
            // RFC 8446 §6.1; also the warning of TLS 1.2.
            (ALERT, [_, 0]) => Ok(Content::End),
            // `user_canceled` is followed by the end.
            (ALERT, [_, 90]) => Ok(Content::Nothing),
            (ALERT, [_, _]) => Ok(Content::End),
            (HANDSHAKE, [24, 0, 0, 1, asked @ (0 | 1)]) if self.layout == Layout::Tls13 => {
                let asked = *asked == 1;
                self.read.renew().map_err(internal)?;
                if asked {
                    self.renew(out).map_err(internal)?;
                }
                Ok(Content::Nothing)
            }
            _ => Err(AlertDescription::UnexpectedMessage),
        }
    }

    /// From here on we write with another key, and the other side knows (RFC 8446 §4.6.3).
    fn renew(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.layout != Layout::Tls13 {
            return Err(io::Error::other("the connection has carried all that its key may"));
        }
        let [kind, high, middle, low] = KEY_UPDATE;
        self.seal_record(HANDSHAKE, &[kind, high, middle, low, 0], out)?;
        self.write.renew()
    }

    fn seal_record(&mut self, kind: u8, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let nonce = self.write.nonce();
        let (outer, explicit, inner) = match self.layout {
            Layout::Tls13 => (DATA, 0, 1),
            Layout::Tls12Gcm => (kind, EXPLICIT, 0),
            Layout::Tls12ChaCha => (kind, 0, 0),
        };
        let header = header(outer, explicit + plain.len() + inner + TAG);
        out.reserve(HEADER + explicit + plain.len() + inner + TAG);
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce[NONCE_LEN - explicit..]);
        let from = out.len();
        out.extend_from_slice(plain);
        out.extend(std::iter::repeat_n(kind, inner));
        let secret = &mut out[from..];
        let tag = match self.layout {
            Layout::Tls13 => self.write.seal(nonce, &header, secret),
            _ => self.write.seal(nonce, &self.write.associated(kind, plain.len()), secret),
        };
        out.extend_from_slice(tag.map_err(io::Error::other)?.as_ref());
        self.write.number += 1;
        Ok(())
    }

    /// Opens one whole record where it lies. Returns the type of its content, and where that stands.
    fn decrypt(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), AlertDescription> {
        let (header, content) = record.split_at_mut(HEADER);
        let explicit = if self.layout == Layout::Tls12Gcm { EXPLICIT } else { 0 };
        let plain = content.len().checked_sub(explicit + TAG).ok_or(AlertDescription::BadRecordMac)?;
        let mut nonce = self.read.nonce();
        let (stated, secret) = content.split_at_mut(explicit);
        if self.layout == Layout::Tls12Gcm {
            nonce[..NONCE_LEN - EXPLICIT].copy_from_slice(&self.read.iv[..NONCE_LEN - EXPLICIT]);
            nonce[NONCE_LEN - EXPLICIT..].copy_from_slice(stated);
        }
        let text = match self.layout {
            // A record of another type is not sealed, and nothing may be in the clear any more.
            Layout::Tls13 if header[0] != DATA => return Err(AlertDescription::UnexpectedMessage),
            Layout::Tls13 => self.read.open(nonce, header, secret)?,
            _ => self.read.open(nonce, &self.read.associated(header[0], plain), secret)?,
        };
        self.read.number += 1;
        let from = HEADER + explicit;
        let (kind, length) = match self.layout {
            Layout::Tls13 => {
                // RFC 8446 §5.4: the type is the last byte that is not zero.
                let last = text.iter().rposition(|byte| *byte != 0);
                let last = last.ok_or(AlertDescription::UnexpectedMessage)?;
                (text[last], last)
            }
            _ => (header[0], text.len()),
        };
        if length > PLAIN_MAX {
            return Err(AlertDescription::RecordOverflow);
        }
        Ok((kind, from..from + length))
    }
}

impl Half {
    fn new((number, keys): (u64, ConnectionTrafficSecrets), secret: Secret) -> io::Result<Self> {
        let (algorithm, key, iv) = match keys {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(io::Error::other("a suite that is not known here")),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(io::Error::other)?;
        let iv = iv.as_ref().try_into().map_err(io::Error::other)?;
        Ok(Half { key: LessSafeKey::new(key), iv, secret, number })
    }

    /// Goes on with the next key (RFC 8446 §7.2).
    fn renew(&mut self) -> io::Result<()> {
        let algorithm = self.key.algorithm();
        self.secret = self.secret.next();
        let (key, iv) = self.secret.key_and_iv(algorithm.key_len());
        let key = UnboundKey::new(algorithm, &key).map_err(io::Error::other)?;
        (self.key, self.iv, self.number) = (LessSafeKey::new(key), iv, 0);
        Ok(())
    }

    /// RFC 8446 §5.3, RFC 7905 §2: the number in network order, against the end of the IV. That is also how the part of
    /// a nonce is chosen that stands in a record of TLS 1.2, which only must not come again.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    /// What is authenticated besides in TLS 1.2 (RFC 5246 §6.2.3.3).
    fn associated(&self, kind: u8, length: usize) -> [u8; 13] {
        let mut associated = [0; 13];
        associated[..8].copy_from_slice(&self.number.to_be_bytes());
        associated[8..].copy_from_slice(&header(kind, length));
        associated
    }

    fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        secret: &mut [u8],
    ) -> Result<aead::Tag, aws_lc_rs::error::Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_separate_tag(nonce, Aad::from(associated), secret)
    }

    fn open<'a>(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        secret: &'a mut [u8],
    ) -> Result<&'a mut [u8], AlertDescription> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(associated), secret);
        opened.map_err(|_| AlertDescription::BadRecordMac)
    }
}

/// The length of the record that begins here, with its header, if it is whole.
///
/// # Errors
/// When this is the beginning of no record.
pub fn whole(bytes: &[u8]) -> Result<Option<usize>, AlertDescription> {
    let [kind, major, _, high, low, ..] = bytes else { return Ok(None) };
    if !matches!(kind, 20..=23) || *major != 3 {
        return Err(AlertDescription::DecodeError);
    }
    let length = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    if length > RECORD_MAX {
        return Err(AlertDescription::RecordOverflow);
    }
    Ok((bytes.len() >= length).then_some(length))
}

/// What the other side hears before there are keys.
pub fn alert(description: AlertDescription) -> [u8; HEADER + 2] {
    let [kind, major, minor, high, low] = header(ALERT, 2);
    [kind, major, minor, high, low, 2, description.into()]
}

/// Why a connection is over that broke the rules of TLS.
pub fn refused(alert: AlertDescription) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS is broken: {alert:?}"))
}

fn header(kind: u8, length: usize) -> [u8; HEADER] {
    // No record is longer than RECORD_MAX.
    let [high, low] = (length as u16).to_be_bytes();
    [kind, 3, 3, high, low]
}

fn internal<E>(_: E) -> AlertDescription {
    AlertDescription::InternalError
}

#[cfg(test)]
mod tests;

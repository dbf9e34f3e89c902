//! Records of ours against rustls' client: every suite, cut anywhere, with new keys, broken on purpose.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConnection, RootCertStore, ServerConfig, SupportedCipherSuite};

use super::super::secrets::Confidant;
use super::*;

/// A client, and the server's records.
struct Pair {
    client: ClientConnection,
    records: Records,
    /// What the server has read and not opened.
    partial: Vec<u8>,
}

impl Pair {
    fn new(suite: SupportedCipherSuite) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut provider = default_provider();
        provider.cipher_suites = vec![suite];
        let provider = Arc::new(provider);
        let confidant = Arc::new(Confidant::default());
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut server = server.with_single_cert(vec![certificate.clone()], key).unwrap();
        server.enable_secret_extraction = true;
        server.key_log = confidant.clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let client = Arc::new(client.with_no_client_auth());
        let mut client = ClientConnection::new(client, "one.test".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while server.is_handshaking() {
            let said = said(&mut client);
            server.read_tls(&mut said.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).unwrap();
            }
            hear(&mut client, &answer);
        }
        let records = Records::new(server, confidant.tell()).unwrap();
        Pair { client, records, partial: Vec::new() }
    }

    /// The server reads these bytes; returns what they say, and what it answers at once.
    fn read(&mut self, bytes: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>, bool)> {
        let (mut buffer, mut out) = (std::mem::take(&mut self.partial), Vec::new());
        buffer.extend_from_slice(bytes);
        let opened = self.records.open(&mut buffer, &mut out);
        let opened = opened.inspect_err(|_| self.partial = out.clone())?;
        self.partial = buffer[opened.rest].to_vec();
        Ok((buffer[..opened.plain].to_vec(), out, opened.ended))
    }

    /// The client says this.
    fn says(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in plain.chunks(4_096) {
            self.client.writer().write_all(piece).unwrap();
            bytes.extend(said(&mut self.client));
        }
        bytes
    }

    /// The server says this, and the client hears it.
    fn tell(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.records.seal(plain, &mut out).unwrap();
        hear(&mut self.client, &out)
    }
}

fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn hear(client: &mut ClientConnection, mut bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        let state = client.process_new_packets().unwrap();
        let from = plain.len();
        plain.resize(from + state.plaintext_bytes_to_read(), 0);
        client.reader().read_exact(&mut plain[from..]).unwrap();
    }
    plain
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// All that there are, but those for RSA certificates, whose records are like the others'.
fn suites() -> impl Iterator<Item = SupportedCipherSuite> {
    let ours = |suite: &SupportedCipherSuite| !format!("{:?}", suite.suite()).contains("_RSA_");
    ALL_CIPHER_SUITES.iter().copied().filter(ours)
}

fn is_13(suite: &SupportedCipherSuite) -> bool {
    suite.version().version == ProtocolVersion::TLSv1_3
}

#[test]
fn every_suite_is_spoken_in_both_directions() {
    for suite in suites() {
        let mut pair = Pair::new(suite);
        for length in [1, 300, 16_384, 16_385, 50_000] {
            let said = pair.says(&text(length));
            assert_eq!(pair.read(&said).unwrap(), (text(length), Vec::new(), false), "{suite:?}");
            assert_eq!(pair.tell(&text(length)), text(length), "{suite:?}");
        }
    }
}

#[test]
fn records_may_be_cut_anywhere() {
    for suite in suites() {
        let mut pair = Pair::new(suite);
        for cut in 1..80 {
            let bytes = [pair.says(b"one "), pair.says(b"two "), pair.says(b"three")].concat();
            let mut plain = Vec::new();
            for piece in bytes.chunks(cut) {
                plain.extend(pair.read(piece).unwrap().0);
            }
            assert_eq!(plain, b"one two three", "{suite:?}, cut at {cut}");
            assert!(pair.partial.is_empty());
        }
    }
}

#[test]
fn keys_are_renewed_by_either_side() {
    for suite in suites().filter(is_13) {
        let mut pair = Pair::new(suite);
        for _ in 0..3 {
            pair.client.refresh_traffic_keys().unwrap();
            let bytes = [said(&mut pair.client), pair.says(b"with a new key")].concat();
            let (plain, answer, _) = pair.read(&bytes).unwrap();
            assert_eq!(plain, b"with a new key");
            // It was asked for ours as well.
            assert_eq!((pair.records.write.number, answer.is_empty()), (0, false));
            assert_eq!(hear(&mut pair.client, &answer), b"");
            assert_eq!(pair.tell(b"with ours"), b"with ours");
        }
    }
}

#[test]
fn a_key_that_has_served_its_time_is_followed_by_another_or_by_nothing() {
    for suite in suites() {
        let mut pair = Pair::new(suite);
        // As if so much had been said; the client cannot follow that, so only what is written is looked at.
        pair.records.write.number = WORN_AFTER;
        let mut out = Vec::new();
        let sealed = pair.records.seal(b"one more", &mut out);
        assert_eq!(sealed.is_ok(), is_13(&suite), "{suite:?}");
        assert_eq!(pair.records.write.number, if is_13(&suite) { 1 } else { WORN_AFTER });
        assert_eq!(out.is_empty(), !is_13(&suite));
    }
}

#[test]
fn what_was_changed_on_its_way_is_refused() {
    for suite in suites() {
        let length = Pair::new(suite).says(b"pass the berry").len();
        for at in HEADER..length {
            let mut pair = Pair::new(suite);
            let mut bytes = pair.says(b"pass the berry");
            bytes[at] ^= 1;
            let error = pair.read(&bytes).unwrap_err();
            assert!(error.to_string().contains("BadRecordMac"), "{suite:?} at {at}: {error}");
            // The client hears why.
            pair.client.read_tls(&mut pair.partial.as_slice()).unwrap();
            let told = pair.client.process_new_packets().unwrap_err();
            assert_eq!(told, rustls::Error::AlertReceived(AlertDescription::BadRecordMac), "{suite:?}");
        }
    }
}

#[test]
fn nothing_may_come_twice_or_out_of_order() {
    for suite in suites() {
        let mut pair = Pair::new(suite);
        let (one, two) = (pair.says(b"one"), pair.says(b"two"));
        pair.read(&one).unwrap();
        assert!(pair.read(&one).is_err(), "{suite:?}");
        let mut pair = Pair::new(suite);
        let _ = pair.says(b"one");
        let late = pair.says(b"two");
        assert!(pair.read(&late).is_err() && !two.is_empty(), "{suite:?}");
    }
}

#[test]
fn nothing_may_be_in_the_clear_any_more() {
    for suite in suites() {
        let clear = |kind: u8| [kind, 3, 3, 0, 20].into_iter().chain([0; 20]).collect::<Vec<_>>();
        for kind in 20..=23 {
            assert!(Pair::new(suite).read(&clear(kind)).is_err(), "{suite:?}: {kind}");
        }
        for (bytes, alert) in [
            (&b"<stream:stream"[..], "DecodeError"),
            (&[23, 2, 0, 0, 20], "DecodeError"),
            (&[23, 3, 3, 0xFF, 0xFF], "RecordOverflow"),
        ] {
            let error = Pair::new(suite).read(bytes).unwrap_err();
            assert!(error.to_string().contains(alert), "{suite:?}: {error}");
        }
    }
}

#[test]
fn each_side_may_say_that_nothing_follows() {
    for suite in suites() {
        let mut pair = Pair::new(suite);
        let mut bytes = pair.says(b"goodbye");
        pair.client.send_close_notify();
        bytes.extend(said(&mut pair.client));
        assert_eq!(pair.read(&bytes).unwrap(), (b"goodbye".to_vec(), Vec::new(), true), "{suite:?}");
        let mut out = Vec::new();
        pair.records.close(&mut out);
        pair.client.read_tls(&mut out.as_slice()).unwrap();
        assert!(pair.client.process_new_packets().unwrap().peer_has_closed(), "{suite:?}");
    }
}

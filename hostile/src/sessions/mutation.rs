//! How a session is bent: in the order of what is said, in its tokens, in its bytes; each by chance, and often not at
//! all, so that what follows is still heard.

use simulator::chance::Chance;

use super::seeds::{Seeds, split};

/// Bytes of a whole session.
const SESSION_BYTES_MAX: usize = 64 * 1024;
/// What breaks readers.
const SHARP: [&[u8]; 28] = [
    b"<",
    b">",
    b"/>",
    b"&",
    b"'",
    b"\"",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"<?x ?>",
    b"<!DOCTYPE a>",
    b"&#0;",
    b"&#xD800;",
    b"&lol;",
    b"\0",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xff",
    b"\xe2\x82",
    b"\xef\xbf\xbe",
    b" xmlns=''",
    b" xmlns:stream='x'",
    b" from='one.test'",
    b"</stream:stream>",
    b"<stream:stream>",
    b"jabber:server",
    b"18446744073709551616",
    b"-1",
];

/// The bytes of a session; one that is not `inside` begins with a header.
pub fn session(seeds: &Seeds, inside: bool, chance: &mut Chance) -> Vec<u8> {
    let mut said = some(seeds, chance);
    if chance.once_in(3) {
        let place = chance.below(said.len() + 1);
        said.splice(place..place, some(seeds, chance));
    }
    if chance.once_in(2) {
        order(&mut said, chance);
    }
    // Half of all sessions are of whole stanzas only.
    let wild = chance.once_in(2);
    let mut bytes = match inside {
        true => Vec::new(),
        false => b"<stream:stream to='one.test' version='1.0' xmlns='jabber:client' \
              xmlns:stream='http://etherx.jabber.org/streams'>"
            .to_vec(),
    };
    for mut stanza in said {
        if chance.once_in(4) {
            stanza = tokens(&stanza, seeds, wild, chance);
        }
        if wild && chance.once_in(6) {
            bend(&mut stanza, chance);
        }
        bytes.extend_from_slice(&stanza);
        if bytes.len() > SESSION_BYTES_MAX {
            break;
        }
    }
    bytes
}

/// A part of a conversation.
fn some(seeds: &Seeds, chance: &mut Chance) -> Vec<Vec<u8>> {
    let session = chance.pick(&seeds.sessions);
    let from = chance.below(session.len());
    let count = 1 + chance.below(10);
    session.iter().skip(from).take(count).cloned().collect()
}

/// Something is said twice, left out, or changes places.
fn order(said: &mut Vec<Vec<u8>>, chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        if said.is_empty() {
            return;
        }
        let (one, other) = (chance.below(said.len()), chance.below(said.len()));
        match chance.below(4) {
            0 => said.swap(one, other),
            1 => drop(said.remove(one)),
            2 => said.insert(other, said[one].clone()),
            _ => (0..chance.below(30)).for_each(|_| said.push(said[one].clone())),
        }
    }
}

/// Names, values and tags are exchanged for others'; `wild` does not care what comes of it.
fn tokens(stanza: &[u8], seeds: &Seeds, wild: bool, chance: &mut Chance) -> Vec<u8> {
    let mut tokens: Vec<Vec<u8>> = split(stanza).into_iter().map(<[u8]>::to_vec).collect();
    for _ in 0..=chance.below(4) {
        if tokens.is_empty() {
            break;
        }
        let at = chance.below(tokens.len());
        let other = chance.pick(&seeds.tokens);
        // A value for a value and a name for a name leave it well-formed.
        let alike = tokens[at].last() == other.last() && tokens[at].first() == other.first();
        match chance.below(5) {
            0 | 1 if alike || wild => tokens[at].clone_from(other),
            2 if wild => drop(tokens.remove(at)),
            3 if wild => tokens.insert(at, other.clone()),
            4 if is_value(&tokens[at]) => {
                *tokens.get_mut(at).unwrap_or(&mut Vec::new()) = value(&tokens[at], chance)
            }
            _ => {}
        }
    }
    tokens.concat()
}

/// Whether it is the rest of a value, up to its quote.
fn is_value(token: &[u8]) -> bool {
    token.len() > 1 && matches!(token.last(), Some(b'\'' | b'"')) && !token.contains(&b'<')
}

/// Another value in the same quotes.
fn value(token: &[u8], chance: &mut Chance) -> Vec<u8> {
    let quote = token.last().copied().unwrap_or(b'\'');
    let mut value = match chance.below(7) {
        0 => Vec::new(),
        1 => b"one.test".to_vec(),
        2 => b"eve@one.test".to_vec(),
        3 => b"bob@one.test/r1".to_vec(),
        4 => b"x".repeat(1 + chance.below(2_000)),
        5 => chance.draw().to_string().into_bytes(),
        _ => token[..token.len() - 1].repeat(2),
    };
    value.push(quote);
    value
}

/// Bytes are changed, put in, taken out, or the rest is cut off.
fn bend(stanza: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        if stanza.is_empty() {
            return;
        }
        let at = chance.below(stanza.len());
        match chance.below(6) {
            0 => stanza[at] ^= 1 << chance.below(8),
            1 => stanza[at] = chance.draw().to_le_bytes()[0],
            2 => drop(stanza.remove(at)),
            3 => drop(stanza.splice(at..at, chance.pick(&SHARP).iter().copied())),
            4 => stanza.truncate(at),
            _ => {
                let to = (at + chance.below(40)).min(stanza.len());
                let part = stanza[at..to].repeat(1 + chance.below(20));
                stanza.splice(at..at, part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_chance_bends_the_same_way() {
        let said =
            vec![b"<message to='bob@one.test'><body>x</body></message>".to_vec(), b"<presence/>".to_vec()];
        let tokens = said.iter().flat_map(|said| split(said)).map(<[u8]>::to_vec).collect();
        let seeds = Seeds { sessions: vec![said], tokens };
        let sessions = |seed| session(&seeds, true, &mut Chance::new(seed));
        let all: std::collections::BTreeSet<Vec<u8>> = (0..200).map(sessions).collect();
        assert!(all.len() > 50, "{} differ", all.len());
        assert!((0..200).all(|seed| sessions(seed) == sessions(seed)));
    }
}

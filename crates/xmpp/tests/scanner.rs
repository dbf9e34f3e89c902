//! The scanner against rxml, and against itself with its bytes cut in every way.

use xmpp::xml::{Item, Limits, ScanError, Scanner};

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:o='urn:outer' to='one.test' version='1.0'>";

/// What a stream of bytes says: its elements as text, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<String>, Option<ScanError>) {
    let mut scanner = Scanner::new(Limits::default());
    let mut said = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match scanner.next(&mut rest) {
                Ok(Some(Item::Open(header))) => said.push(format!("open {:?}", header.to)),
                Ok(Some(Item::Close)) => said.push("close".to_owned()),
                Ok(Some(Item::Element(top))) => {
                    let stanza = top.stanza(None).map(|stanza| stanza.map(|stanza| stanza.to_xml()));
                    said.push(format!("{} {stanza:?}", top.element().to_xml()));
                }
                Ok(None) => break,
                Err(error) => return (said, Some(error)),
            }
        }
    }
    (said, None)
}

fn in_every_way(stanza: &str) -> (Vec<String>, Option<ScanError>) {
    let text = format!("{OPEN}{stanza}");
    let whole = read(&[text.as_bytes()]);
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(read(&bytes), whole, "byte by byte: {stanza}");
    for size in [2, 3, 7, 64] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        assert_eq!(read(&chunks), whole, "{size} bytes at a time: {stanza}");
    }
    whole
}

/// Whether rxml takes the same text for the inside of a stream.
fn rxml_takes(stanza: &str) -> bool {
    use rxml::Parse;
    let text = format!("{OPEN}{stanza}</stream:stream>");
    let mut parser = rxml::Parser::new();
    let mut rest = text.as_bytes();
    loop {
        match parser.parse(&mut rest, true) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[test]
fn what_is_taken() {
    for stanza in [
        "<message to='bob@one.test'><body>hi &amp; &lt;bye&gt; &#x41;&#66;</body></message>",
        "<message><body xml:lang='en'>h\u{e4}ll\u{f6} \u{1F600}</body><x xmlns='urn:a' b=\"c'd\"/></message>",
        "<presence/>",
        "<presence\n  type='unavailable'\n/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<message><![CDATA[a < b && c > d ]] >]]></message>",
        "<message><body>a > b ]] c</body></message>",
        "<m:message xmlns:m='jabber:client'><m:body>x</m:body></m:message>",
        "<message><o:x a='1'><o:y/></o:x></message>",
        "<message xmlns:p='urn:p'><p:x p:a='1' a='2'/></message>",
        "<message><body xmlns='jabber:client'>x</body></message>",
        "<message><x xmlns=''><y/></x></message>",
        "<x xmlns='urn:other'><a><b><c/></b></a></x>",
        "   \n<presence/>  \n",
        "<message><a:b xmlns:a='urn:1'><a:b xmlns:a='urn:2'/><a:c/></a:b></message>",
    ] {
        let (said, error) = in_every_way(stanza);
        assert_eq!(error, None, "{stanza}: {said:?}");
        assert_eq!(said.len(), 2, "{stanza}: {said:?}");
        assert!(rxml_takes(stanza), "rxml refuses {stanza}");
    }
}

#[test]
fn what_is_refused() {
    for stanza in [
        "<message><body>x</message></body>",
        "<message><body></message>",
        "<message a='1' a='2'/>",
        "<message xmlns:a='u' xmlns:b='u'><x a:c='1' b:c='2'/></message>",
        "<message><p:x/></message>",
        "<message><x p:y='1'/></message>",
        "<message a=1/>",
        "<message a/>",
        "<message a='<'/>",
        "<message a='&'/>",
        "<message>&nbsp;</message>",
        "<message>&#0;</message>",
        "<message>&#xFFFE;</message>",
        "<message>&amp</message>",
        "<message>]]></message>",
        "<message>\u{1}</message>",
        "<message>\u{FFFF}</message>",
        "<message><!-- x --></message>",
        "<message><?x y?></message>",
        "<!DOCTYPE x><message/>",
        "<message><![CDATA[]]></message>]]>",
        "<1a/>",
        "<a:b:c xmlns:a='u'/>",
        "<:a/>",
        "<message xmlns:xml='urn:x'/>",
        "<message xmlns:xmlns='urn:x'/>",
        "<message xmlns:p=''/>",
        "<message></message x='1'>",
        "</message>",
        "<message a='1'b='2'/>",
        // The stream's end tag has the name of its start tag.
        "</stream>",
        "</o:stream>",
    ] {
        let (_, error) = in_every_way(stanza);
        assert!(error.is_some(), "taken: {stanza}");
        assert!(!rxml_takes(stanza), "rxml takes {stanza}");
    }
}

#[test]
fn what_is_refused_though_rxml_takes_it() {
    // Namespaces in XML §3: this name is bound to nothing else, the default namespace included.
    let (_, error) = in_every_way("<message xmlns='http://www.w3.org/2000/xmlns/'/>");
    assert!(error.is_some());
    // Namespaces are compared as they are written: what must be read first to be compared is refused.
    for stanza in ["<x xmlns='urn:a&amp;b'/>", "<x xmlns='urn:a\tb'/>", "<x xmlns='urn:a\nb'/>"] {
        let (_, error) = in_every_way(stanza);
        assert!(error.is_some(), "taken: {stanza}");
    }
}

#[test]
fn headers_that_are_refused() {
    let open = |attributes: &str| {
        format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
        )
    };
    assert_eq!(read(&[open("to='one.test'").as_bytes()]).1, None);
    for header in [
        open("a:x='1'"),
        open("xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'"),
        open("xmlns:a='u' a:x='1' a:x='2'"),
        // XML §2.3: a space of Unicode is none of XML.
        "<?xml version='1.0'\u{a0}?>".to_owned() + &open(""),
        "<?xml\u{a0}version='1.0'?>".to_owned() + &open(""),
    ] {
        assert!(read(&[header.as_bytes()]).1.is_some(), "taken: {header}");
    }
}

#[test]
fn rewriting_keeps_the_meaning() {
    for (stanza, written) in [
        (
            "<message><o:x a='1'><o:y/></o:x></message>",
            "<message><x xmlns='urn:outer' a='1'><y/></x></message>",
        ),
        (
            "<m:message xmlns:m='jabber:client'><m:body>x</m:body></m:message>",
            "<message><body>x</body></message>",
        ),
        ("<message><body xmlns='jabber:client'>x</body></message>", "<message><body>x</body></message>"),
        // An attribute with a prefix on the head does not cost what is inside.
        (
            "<message xmlns:a='urn:a' a:b='1'><body>x</body></message>",
            "<message xmlns:a='urn:a' a:b='1'><body>x</body></message>",
        ),
        // What looks like a declaration inside a value declares nothing.
        (
            "<message x=' xmlns:a=\"urn:a\"' xmlns:a='urn:a' a:b='1'/>",
            "<message x=' xmlns:a=\"urn:a\"' xmlns:a='urn:a' a:b='1'/>",
        ),
        // Namespaces are written as they are read, in whichever quotes they need.
        ("<message xmlns:a='a>\"b\"' a:b='1'/>", "<message xmlns:a='a>\"b\"' a:b='1'/>"),
        (
            "<message><![CDATA[]]><x xmlns=\"it's\"/><y xmlns='a > b'/></message>",
            "<message><x xmlns=\"it's\"/><y xmlns='a > b'/></message>",
        ),
        ("<message><x xmlns='jabber:server'/></message>", "<message><x xmlns='jabber:server'/></message>"),
    ] {
        let text = format!("{OPEN}{stanza}");
        let mut scanner = Scanner::new(Limits::default());
        let mut rest = text.as_bytes();
        let _ = scanner.next(&mut rest);
        let Ok(Some(Item::Element(top))) = scanner.next(&mut rest) else { panic!("{stanza}") };
        assert_eq!(top.stanza(None).unwrap().unwrap().to_xml(), written);
    }
}

#[test]
fn limits_are_by_position() {
    let long = "x".repeat(300_000);
    let (_, error) = in_every_way(&format!("<message><body>{long}</body></message>"));
    assert!(matches!(error, Some(ScanError::Limit(_))));
    let deep = "<a>".repeat(70);
    let (_, error) = in_every_way(&deep);
    assert!(matches!(error, Some(ScanError::Limit(_))));
    let (_, error) = in_every_way(&format!("<message a='{}'/>", "x".repeat(70_000)));
    assert!(matches!(error, Some(ScanError::Limit(_))));
    // Also where markup stands across the limit.
    for markup in ["<![CDATX", "&nosuch;", "&#0;", "</message>"] {
        let room = 256 * 1024 - "<message>".len();
        for before in [room - markup.len(), room - 2, room] {
            let (_, error) = in_every_way(&format!("<message>{}{markup}", "x".repeat(before)));
            assert!(before + markup.len() <= room || matches!(error, Some(ScanError::Limit(_))), "{markup}");
        }
    }
    let (_, error) = in_every_way(&format!("</stream:stream{}>", " ".repeat(9_000)));
    assert!(matches!(error, Some(ScanError::Limit(_))));
}

#[test]
fn the_content_of_other_streams_is_ours() {
    let text = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>\
                <message><a:x xmlns:a='urn:a'><body/></a:x></message>";
    let mut scanner = Scanner::new(Limits::default());
    let mut rest = text.as_bytes();
    let _ = scanner.next(&mut rest);
    let Ok(Some(Item::Element(top))) = scanner.next(&mut rest) else { panic!("{text}") };
    let element = top.element();
    let inside = element.children().next().and_then(|x| x.children().next());
    assert_eq!(inside.map(|body| body.ns()), Some("jabber:client"));
}

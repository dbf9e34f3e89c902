"""What people live through who encrypt end to end: it passes untouched, and nobody between them reads it.

Two profanities talk by OMEMO (XEP-0384), whose keys they find by PEP, and by OTR. What other clients send by OMEMO is
sent by slixmpp."""

from client import Entrance
from clients import client
from clients.profanity import Profanity
from report import lived
from story import become_contacts

# As profanity and its like write it, in the namespace that they use (XEP-0384 0.3); with base64 in several lines.
OMEMO = """<encrypted xmlns="eu.siacs.conversations.axolotl"><header sid="27183"><key rid="31415" prekey="true">MwohBd
+/QW==</key><key rid="12321">BA
\tBC/+</key><iv>vLJXZ3Jd+s/8XCkS</iv></header><payload>{payload}</payload></encrypted>\
<encryption xmlns="urn:xmpp:eme:0" namespace="eu.siacs.conversations.axolotl" name="OMEMO"/>\
<body>I sent you an OMEMO encrypted message &amp; your client does not seem to support that.</body>\
<store xmlns="urn:xmpp:hints"/>"""


def tell_omemo(house, report):
    """OMEMO messages reach every device of both as they were sent, and are archived so."""
    _tell(_omemo, [client("slixmpp") for _ in range(4)], house, report)


def tell_omemo_of_two(house, report):
    """Two profanities find each other's keys and talk by OMEMO; another device gets it, and the archive has it."""
    _tell(_omemo_of_two, [Profanity(), Profanity(), client("slixmpp")], house, report)


def tell_otr(house, report):
    """Two profanities agree on keys and talk, and nothing of it is kept."""
    _tell(_otr, [Profanity(), Profanity(), client("slixmpp")], house, report)


def _tell(tale, people, house, report):
    with lived(house, [(who.name, who) for who in people]):
        tale(*people, house, report)


def _omemo(phone, laptop, other_phone, other_laptop, house, report):
    name = phone.name
    me, other = house.add("me"), house.add("other")
    mine, others = (phone, laptop), (other_phone, other_laptop)

    with report.check(name, "carries OMEMO messages to every device of both, byte for byte"):
        for who, devices in ((me, mine), (other, others)):
            for device in devices:
                device.login(who, house, Entrance.STARTTLS, house.certificate)
                device.copies()
        to_all = phone.seal(other.jid, OMEMO.format(payload="dG8gYWxs"))
        to_one = phone.seal(other_laptop.jid, OMEMO.format(payload="dG8gb25l"))
        for device in (laptop, *others):
            device.expect_heard(to_all, 1)
            device.expect_heard(to_one, 1)

    with report.check(name, "finds them in both archives, byte for byte"):
        for device, contact in ((phone, other), (laptop, other), (other_phone, me), (other_laptop, me)):
            if len(bodies := device.archive(contact.jid)) != 2:
                raise AssertionError(f"two should be there, not {bodies}")
            for sealed in (to_all, to_one):
                device.expect_heard(sealed, 1 if device is phone else 2)

    with report.check(name, "is handed them byte for byte when nobody was there"):
        for device in others:
            device.logout()
        held = phone.seal(other.jid, OMEMO.format(payload="aGVsZA=="))
        phone.settle()
        other_phone.login(other, house, Entrance.STARTTLS, house.certificate)
        other_phone.expect_heard(held, 1)

    for device in (phone, laptop, other_phone):
        device.logout()


def _omemo_of_two(one, two, device, house, report):
    name = one.name
    me, other = house.add("one"), house.add("two")

    with report.check(name, "publishes its keys for OMEMO, and finds those of another profanity"):
        for who, account in ((one, me), (two, other)):
            who.login(account, house, Entrance.STARTTLS, house.certificate)
        become_contacts(one, me, two, other)
        device.login(other, house, Entrance.STARTTLS, house.certificate)
        device.copies()
        for who in (one, two):
            who.make_omemo_keys()
        for who, contact, device_of_contact in ((one, other, two), (two, me, one)):
            fingerprint = device_of_contact.omemo_fingerprint()
            if (found := who.start_omemo(contact.jid)) != {fingerprint}:
                raise AssertionError(f"{contact.jid} is known by {fingerprint}, but found was {found}")
            who.trust_omemo(contact.jid, fingerprint)

    with report.check(name, "talks by OMEMO with it, both ways"):
        one.whisper(other.jid, "sealed <words>")
        two.expect_whisper(me.jid, "sealed <words>")
        two.whisper(me.jid, "an answer & more")
        one.expect_whisper(other.jid, "an answer & more")
        one.whisper(other.jid, "the last word")
        two.expect_whisper(me.jid, "the last word")

    with report.check(name, "has its words on the other's other device and in the archive, byte for byte") as said:
        sealed = [*one.sealed(), *two.sealed()]
        if len(sealed) != 3:
            raise AssertionError(f"three messages should have left, not {sealed}")
        for text in sealed:
            device.expect_heard(text, 1)
        if len(bodies := device.archive(me.jid)) != 3:
            raise AssertionError(f"three should be in the archive, not {bodies}")
        for text in sealed:
            device.expect_heard(text, 2)
        words = ("sealed <words>", "sealed &lt;words", "an answer", "the last word")
        passed = [*one.passed(), *two.passed(), *bodies]
        if any(word in body for body in passed for word in words):
            raise AssertionError(f"this passed: {passed}")
        said(f"{len(sealed)} messages of OMEMO passed")

    for it in (one, two, device):
        it.logout()


def _otr(one, two, reader, house, report):
    name = one.name
    me, other = house.add("one"), house.add("two")

    with report.check(name, "talks by OTR with another profanity, which knows its key"):
        for device, who in ((one, me), (two, other)):
            device.login(who, house, Entrance.STARTTLS, house.certificate)
            device.make_otr_key()
        one.send(other.jid, "in the clear")
        two.expect_message(me.jid, "in the clear")
        one.start_otr(other.jid)
        if one.otr_fingerprints(other.jid)[::-1] != two.otr_fingerprints(me.jid):
            raise AssertionError("they do not know each other's keys")
        one.whisper(other.jid, "whispered <words>")
        two.expect_whisper(me.jid, "whispered <words>")
        two.whisper(me.jid, "an answer & more")
        one.expect_whisper(other.jid, "an answer & more")

    with report.check(name, "has passed nothing in the clear, and left nothing in the archive") as said:
        for device in (one, two):
            passed = device.passed()
            if any(words in body for body in passed for words in ("whispered", "an answer")):
                raise AssertionError(f"this passed: {passed}")
        if not (ciphertexts := [body for body in two.passed() if body.startswith("?OTR:")]):
            raise AssertionError(f"nothing of OTR passed, only {two.passed()}")
        reader.login(other, house, Entrance.STARTTLS, house.certificate)
        # OTR's messages say that they are not to be stored (XEP-0334), since nobody could read them later.
        if (kept := reader.archive(me.jid)) != ["in the clear"]:
            raise AssertionError(f"this is in the archive: {kept}")
        said(f"{len(ciphertexts)} messages of OTR passed")

    for it in (one, two, reader):
        it.logout()

"""What two profanities on one account live through: both show the whole of a conversation, and the one that was away
reads in the archive what it missed (XEP-0280, XEP-0313)."""

from client import Entrance
from clients import client
from clients.profanity import ONE_OF_SEVERAL, Profanity
from report import lived


def tell(house, report):
    """Tells it; ends at the first check that fails."""
    phone, laptop, friend = Profanity(ONE_OF_SEVERAL), Profanity(ONE_OF_SEVERAL), client("slixmpp")
    with lived(house, [("the phone", phone), ("the laptop", laptop), ("the friend", friend)]):
        _tell(phone, laptop, friend, house, report)


def _tell(phone, laptop, friend, house, report):
    name = phone.name
    me, other = house.add("owner"), house.add("friend")
    login = (me, house, Entrance.STARTTLS, house.certificate)
    said = []

    def hears(body, to=me.jid):
        friend.send(to, body)
        # The phone is always there; what is said next comes after this.
        phone.expect_message(other.jid, body)
        said.append(("them", body))

    def says(device, body):
        device.send(other.jid, body)
        friend.expect_message(me.jid, body)
        said.append(("me", body))

    with report.check(name, "shows on two devices what is said to both, to either, and by the other"):
        phone.login(*login)
        laptop.login(*login)
        friend.login(other, house, Entrance.STARTTLS, house.certificate)
        hears("to both & all")
        says(phone, "from the phone")
        hears("to the phone alone", phone.jid)
        hears("to the laptop alone", laptop.jid)
        phone.expect_said(other.jid, said)
        laptop.expect_said(other.jid, said)

    with report.check(name, "comes back and shows what the other device saw meanwhile, once and in order"):
        laptop.logout()
        hears("first, while the laptop was away")
        says(phone, "and this was the answer")
        hears("second & last")
        phone.expect_said(other.jid, said)
        laptop.come_back(*login)
        laptop.expect_said(other.jid, said)
        # What it wrote itself it does not show when it reads the archive later, so it has been silent until now.
        says(laptop, "from the <laptop>, which is back")
        hears("now that all are there")
        laptop.expect_said(other.jid, said)
        phone.expect_said(other.jid, said)

    with report.check(name, "reads all of it on a new device, which knew nothing"):
        laptop.logout()
        laptop.login(*login)
        laptop.expect_said(other.jid, said)

    for it in (phone, laptop, friend):
        it.logout()

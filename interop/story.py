"""What every client lives through, together with a friend who uses another one."""

import time

from client import Entrance, Refused
from report import lived

# Text that a careless client or server would spoil.
GREETING = "Grüß dich & <b>willkommen</b>"
REPLY = "žluťoučký 'kůň' said \"hi\""
HELD = ["first, while you were away", "second & last but one", "third <and> last"]


def tell(client, friend, house, report):
    """Tells it; ends at the first check that fails."""
    with lived(house, [(client.name, client), (friend.name, friend)]):
        _tell(client, friend, house, report)


def _tell(client, friend, house, report):
    me = house.add(client.name.replace(".", "-"))
    other = house.add("friend")
    name = client.name

    with report.check(name, "refuses a certificate that it does not trust") as said:
        try:
            login = client.login(me, house, Entrance.STARTTLS, house.stranger())
        except Refused as why:
            if "certificate" not in str(why).lower():
                raise AssertionError(f"it did not go on, but for another reason: {why}") from why
            said(str(why).splitlines()[0][:100])
        else:
            raise AssertionError(f"it logged in ({login})")
        client.stop()

    for entrance in (Entrance.DIRECT, Entrance.STARTTLS):
        with report.check(name, f"logs in by {entrance.value}, certificate verified") as said:
            login = client.login(me, house, entrance, house.certificate)
            said(f"{login.tls} {login.mechanism}".strip())
        if entrance is Entrance.DIRECT:
            client.logout()

    if client.has_roster:
        _with_roster(client, friend, me, other, house, report)
    else:
        _without_roster(client, friend, me, other, house, report)


def become_contacts(one, me, two, other):
    """Each of two clients that are logged in asks the other one to see its presence, and is let."""
    one.subscribe(other.jid)
    two.expect_request(me.jid)
    two.approve(me.jid)
    two.subscribe(me.jid)
    one.expect_request(other.jid)
    one.approve(other.jid)
    one.expect_roster(other.jid, "both")
    two.expect_roster(me.jid, "both")


def _with_roster(client, friend, me, other, house, report):
    name = client.name
    with report.check(name, f"subscribes to a friend with {friend.name}, and is subscribed to"):
        friend.login(other, house, Entrance.STARTTLS, house.certificate)
        become_contacts(client, me, friend, other)

    with report.check(name, "sees the friend's presence, and is seen"):
        client.expect_presence(other.jid, "", "")
        friend.expect_presence(me.jid, "", "")
        friend.show("away", "lunch & tea")
        client.expect_presence(other.jid, "away", "lunch & tea")
        client.show("away", "out <for> a walk")
        friend.expect_presence(me.jid, "away", "out <for> a walk")
        client.show("", "back & about")
        friend.expect_presence(me.jid, "", "back & about")

    with report.check(name, "chats both ways"):
        client.send(other.jid, GREETING)
        friend.expect_message(me.jid, GREETING)
        friend.send(me.jid, REPLY)
        client.expect_message(other.jid, REPLY)

    for what, check in client.checks():
        with report.check(name, what.replace("_", " ")) as said:
            said(check())

    with report.check(name, "is seen to leave"):
        client.logout()
        friend.expect_gone(me.jid)

    with report.check(name, "drains what was sent meanwhile, in order and with its time"):
        for body in HELD:
            friend.send(me.jid, body)
        # Terminals show times in seconds.
        time.sleep(2)
        client.login(me, house, Entrance.STARTTLS, house.certificate)
        client.expect_held(other.jid, HELD)

    with report.check(name, "still has its roster, and sees the friend leave"):
        client.expect_roster(other.jid, "both")
        client.expect_presence(other.jid, "away", "lunch & tea")
        friend.logout()
        client.expect_gone(other.jid)
    client.logout()


def _without_roster(client, friend, me, other, house, report):
    name = client.name
    with report.check(name, f"chats both ways with {friend.name}"):
        friend.login(other, house, Entrance.STARTTLS, house.certificate)
        client.send(other.jid, GREETING)
        friend.expect_message(me.jid, GREETING)
        friend.send(me.jid, REPLY)
        client.expect_message(other.jid, REPLY)
    with report.check(name, "drains what was sent meanwhile, in order and with its time"):
        client.logout()
        for body in HELD:
            friend.send(me.jid, body)
        time.sleep(2)
        client.login(me, house, Entrance.STARTTLS, house.certificate)
        client.expect_held(other.jid, HELD)
    client.logout()
    friend.logout()

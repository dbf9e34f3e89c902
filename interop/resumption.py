"""What a client lives through whose stream goes on (XEP-0198 §5): over a connection that is cut, and over a server that
is killed and started again. Its friend's does, too."""

from client import Entrance
from house import House
from report import lived

WHILE_CUT = ["one, while you were cut off", "two & more", "three"]
KEPT = ["kept <over> the kill", "kept, too"]


def tell(client, friend, report):
    """Tells it in a house of its own; ends at the first check that fails."""
    with House("resumption") as house, lived(house, [(client.name, client), (friend.name, friend)]):
        _tell(client, friend, house, report)


def _tell(client, friend, house, report):
    me = house.add(client.name.replace(".", "-"))
    other = house.add("friend")

    with report.check(client.name, "resumes over a cut connection, and gets what was said meanwhile") as said:
        client.login(me, house, Entrance.STARTTLS, house.certificate)
        friend.login(other, house, Entrance.STARTTLS, house.certificate)
        client.cut()
        for body in WHILE_CUT:
            friend.send(me.jid, body)
        friend.settle()
        said(client.resume())
        client.expect_again(other.jid, WHILE_CUT)
        _chat(client, friend, me, other)

    with report.check(client.name, "resumes over a kill -9 of the server, which owed it what was acknowledged") as said:
        client.cut()
        for body in KEPT:
            friend.send(me.jid, body)
        friend.settle()
        house.kill()
        house.restart()
        friend.resume()
        said(client.resume())
        client.expect_again(other.jid, KEPT)
        _chat(client, friend, me, other)

    with report.check(client.name, "sends again what the server had not read when it was killed") as said:
        house.freeze()
        client.send(other.jid, "said to nobody")
        client.flush()
        friend.send(me.jid, "nor was this heard")
        friend.flush()
        house.kill()
        house.restart()
        said(client.resume())
        friend.resume()
        client.expect_again(other.jid, ["nor was this heard"])
        friend.expect_again(me.jid, ["said to nobody"])
        _chat(client, friend, me, other)

    client.logout()
    friend.logout()


def _chat(client, friend, me, other):
    """Nothing comes a second time before what is said next."""
    client.send(other.jid, "and on")
    friend.expect_message(me.jid, "and on")
    friend.send(me.jid, "& on")
    client.expect_message(other.jid, "& on")

"""What every client can be asked to do and to show, whoever wrote it."""

from dataclasses import dataclass
from enum import Enum

# How long anything may take that should come at once. A busy machine of two cores needs some of it.
PATIENCE_S = 20


class Entrance(Enum):
    """How a client comes to TLS."""

    STARTTLS = "STARTTLS"
    DIRECT = "direct TLS"


@dataclass(frozen=True)
class Account:
    """Somebody's account on the server."""

    jid: str
    password: str


@dataclass(frozen=True)
class Login:
    """What a client says of its login."""

    mechanism: str
    tls: str = ""


class Refused(Exception):
    """The client did not go on, and said why."""


class Client:
    """One person's client. Everything that is expected is waited for, and missing it is an exception."""

    name = "client"
    # Clients that only send and listen live through a shorter story.
    has_roster = True

    def login(self, account, house, entrance, trust):
        """Logs in, trusting only the certificates in the file `trust`; returns a `Login` or raises `Refused`."""
        raise NotImplementedError

    def logout(self):
        """Says goodbye and goes."""
        raise NotImplementedError

    def subscribe(self, contact):
        """Adds a contact to the roster and asks to see its presence."""
        raise NotImplementedError

    def expect_request(self, contact):
        """The contact asks to see our presence."""
        raise NotImplementedError

    def approve(self, contact):
        """Lets the contact see our presence."""
        raise NotImplementedError

    def expect_roster(self, contact, subscription):
        """The roster has the contact with this subscription."""
        raise NotImplementedError

    def show(self, show, status):
        """Tells everybody how available we are (`away`, or `` for available), with a line of text."""
        raise NotImplementedError

    def expect_presence(self, contact, show, status):
        """The contact is there and is shown so."""
        raise NotImplementedError

    def expect_gone(self, contact):
        """The contact went offline."""
        raise NotImplementedError

    def send(self, contact, body):
        """Sends a chat message."""
        raise NotImplementedError

    def expect_message(self, contact, body):
        """The next message of the contact is this one, sent now."""
        raise NotImplementedError

    def expect_held(self, contact, bodies):
        """These messages came in this order, each shown as sent earlier than this client's login."""
        raise NotImplementedError

    def checks(self):
        """What this client alone can check: pairs of a name and a function that returns what it saw."""
        return []

    def trace(self):
        """The end of what there is to read when something went wrong."""
        return ""

    def stop(self):
        """Ends whatever was started."""

"""mcabber (loudmouth, GnuTLS) in a terminal: what is typed, and what its screen must show."""

import re
import shutil
import tempfile
from pathlib import Path

from client import Client, Entrance, Login, Refused
from screen import Screen

STATES = {"": "o", "away": "a"}


class Mcabber(Client):
    """Every login is a new start: what it knows then, it has from the server."""

    name = "mcabber"

    def __init__(self):
        self._home = self._screen = None

    def login(self, account, house, entrance, trust):
        self.stop()
        self._home = Path(tempfile.mkdtemp(prefix="mcabber-", dir=house.dir))
        settings = {
            "jid": account.jid,
            "password": account.password,
            "server": "127.0.0.1",
            "port": house.port(entrance),
            "tls" if entrance is Entrance.STARTTLS else "ssl": 1,
            "ssl_ca": trust,
            "lang": "en",
            "roster_width": 30,
            "log_win_height": 25,
            # It shows when a delayed message was sent, and in this colour (but only to the minute).
            "color_timestamp": "red",
            "tracelog_file": self._home / "trace",
            "tracelog_level": 3,
        }
        config = self._home / "mcabberrc"
        config.write_text("".join(f"set {key} = {value}\n" for key, value in settings.items()))
        config.chmod(0o600)
        self._screen = Screen(["mcabber", "-f", str(config)], self._home, {"HOME": str(self._home)})
        came = self._screen.expect("Your status has been set: .*o]|Certificate .*|Disconnected, reason.*")
        if "status" not in came[0]:
            raise Refused(came[0].strip())
        return Login(re.findall(r'<auth mechanism="([^"]+)"', self._trace_file())[-1])

    def logout(self):
        self._screen.type("/quit")
        self._screen.wait_gone()

    def subscribe(self, contact):
        self._screen.type(f"/add {contact}")
        self._screen.expect(f"Sent presence notification request to <{contact}>")

    def expect_request(self, contact):
        self._screen.expect(f"<{contact}> wants to subscribe to your presence updates")

    def approve(self, contact):
        self._screen.type(f"/authorization allow {contact}")
        self._screen.expect(f"Sent presence subscription approval to <{contact}>")

    def expect_roster(self, contact, subscription):
        self._open(contact)
        self._screen.ask("/info", f"Subscription: {subscription}")

    def show(self, show, status):
        self._screen.type(f"/status {show or 'online'} {status}")
        self._screen.expect(rf"Your status has been set: \[.>{STATES[show]}\] {re.escape(status)}")

    def expect_presence(self, contact, show, status):
        self._open(contact)
        line = rf"Buddy: {contact}\S* -- {re.escape(status)}" if status else rf"Buddy: {contact}"
        self._screen.expect(rf"\[{STATES[show]}\] {line}")

    def expect_gone(self, contact):
        self._open(contact)
        self._screen.expect(rf"\[_\] Buddy: {contact}")

    def send(self, contact, body):
        self._screen.type(f"/say_to {contact} {body}")
        self._open(contact)
        self._screen.expect(rf"--> {re.escape(body)}$")

    def expect_message(self, contact, body):
        self._open(contact)
        self._screen.expect(rf"<== {re.escape(body)}$")
        if self._is_delayed(body):
            raise AssertionError(f"{body!r} is shown as delayed")

    def expect_held(self, contact, bodies):
        self._open(contact)
        self._screen.expect(r"\s*^.*".join(rf"<== {re.escape(body)}" for body in bodies))
        for body in bodies:
            if not self._is_delayed(body):
                raise AssertionError(f"{body!r} is not shown as delayed")

    def _is_delayed(self, body):
        """Whether the time before the message is in the colour of delayed ones."""
        red = self._screen.text(colours=True)
        return re.search(rf"\x1b\[31m[-\d]+ [\d:]+ (\x1b\[\d+m)*<== {re.escape(body)}", red)

    def _open(self, contact):
        self._screen.type(f"/roster search {contact}")
        # On an empty line Enter opens what is chosen.
        self._screen.press("Enter")
        self._screen.expect(rf"Buddy: {contact}")

    def _trace_file(self):
        return (self._home / "trace").read_text(errors="replace")

    def trace(self):
        trace = self._trace_file().splitlines()[-30:] if self._home else []
        return "\n".join([self._screen.dense() if self._screen else "", *trace])

    def stop(self):
        if self._screen:
            self._screen.close()
            self._screen = None
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

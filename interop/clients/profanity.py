"""profanity (libstrophe) in a terminal: what is typed, and what its screen must show."""

import re
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from client import Client, Entrance, Login, Refused
from screen import Screen

# Times as the protocol has them; few lines at the start.
SETTINGS = """[ui]
splash=false
time.console=%H:%M:%S
time.chat=%Y-%m-%dT%H:%M:%S
"""


class Profanity(Client):
    """Every login is a new start in a home of its own: what it knows then, it has from the server."""

    name = "profanity"

    def __init__(self):
        self._home = self._screen = self._login_time = None

    def login(self, account, house, entrance, trust):
        self.stop()
        self._home = Path(tempfile.mkdtemp(prefix="profanity-", dir=house.dir))
        (self._home / "profanity").mkdir()
        (self._home / "profanity" / "profrc").write_text(SETTINGS)
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(self._home))
        trusted = {"SSL_CERT_FILE": str(trust), "SSL_CERT_DIR": "/nonexistent"}
        command = ["profanity", "-l", "DEBUG", "-f", str(self._home / "log")]
        self._screen = Screen(command, self._home, {**homes, **trusted, "TZ": "UTC"})
        self._screen.expect("Type '/help'")
        self._login_time = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
        tls = "force" if entrance is Entrance.STARTTLS else "legacy"
        self._screen.type(f"/connect {account.jid} server 127.0.0.1 port {house.port(entrance)} tls {tls}")
        self._screen.expect("Enter password:")
        self._screen.type(account.password)
        came = self._screen.expect(rf"{account.jid}/\S+ logged in successfully|certificate verification failed: .*")
        if "failed" in came[0]:
            self._screen.type("/tls deny")
            raise Refused(came[0].strip())
        self._screen.expect(r"\[TLS\]")
        return Login(re.findall(r'<auth mechanism="([^"]+)"', self._log())[-1])

    def logout(self):
        self._screen.type("/quit")
        self._screen.wait_gone()

    def subscribe(self, contact):
        self._screen.type(f"/roster add {contact}")
        self._screen.expect(f"Roster item added: {contact}")
        self._screen.type(f"/sub request {contact}")

    def expect_request(self, contact):
        self._screen.expect(f"Received authorization request from {contact}")

    def approve(self, contact):
        self._screen.type(f"/sub allow {contact}")
        self._screen.expect(f"Accepted subscription for {contact}")

    def expect_roster(self, contact, subscription):
        self._screen.ask("/roster", rf"  {contact} - {subscription}\b")

    def show(self, show, status):
        self._screen.type(f'/status set {show or "online"} "{status}"')

    def expect_presence(self, contact, show, status):
        text = re.escape(f', "{status}"') if status else "(?!,)"
        self._screen.ask(f"/status get {contact}", rf"- {contact} is {show or 'online'}{text}")

    def expect_gone(self, contact):
        self._screen.expect(rf"-- {contact} \(\S+\) is offline")

    def send(self, contact, body):
        self._screen.type(f"/msg {contact} {body}")
        self._screen.expect(rf"me: {re.escape(body)}$")
        self._to_console()

    def expect_message(self, contact, body):
        self._to_chat(contact)
        self._screen.expect(rf"{contact}/\S+: {re.escape(body)}$")
        self._to_console()

    def expect_held(self, contact, bodies):
        self._screen.expect(f"chat message: {contact}")
        self._to_chat(contact)
        lines = [rf"^(\S+) - {contact}/\S+: {re.escape(body)}\s*" for body in bodies]
        times = [datetime.fromisoformat(time) for time in self._screen.expect("".join(lines)).groups()]
        if max(times) >= self._login_time:
            raise AssertionError(f"shown as sent at {times}, though the login was at {self._login_time}")
        self._to_console()

    def _to_chat(self, contact):
        self._screen.type(f"/msg {contact}")
        self._screen.expect(rf"\A {contact}")

    def _to_console(self):
        self._screen.type("/win 1")
        self._screen.expect(r"\A Profanity")

    def _log(self):
        return (self._home / "log").read_text(errors="replace")

    def trace(self):
        log = self._log().splitlines()[-30:] if self._home else []
        return "\n".join([self._screen.dense() if self._screen else "", *log])

    def stop(self):
        if self._screen:
            self._screen.close()
            self._screen = None
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

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
# One of several devices: it hears what the others say, and reads the archive.
ONE_OF_SEVERAL = """[connection]
carbons=true
mam=true
"""


class Profanity(Client):
    """Every login is a new start in a home of its own: what it knows then, it has from the server."""

    name = "profanity"

    def __init__(self, settings=""):
        self._settings = SETTINGS + settings
        self._home = self._screen = self._login_time = None
        # Its address of the last login.
        self.jid = None

    def login(self, account, house, entrance, trust):
        self.stop()
        self._home = Path(tempfile.mkdtemp(prefix="profanity-", dir=house.dir))
        (self._home / "profanity").mkdir()
        (self._home / "profanity" / "profrc").write_text(self._settings)
        return self.come_back(account, house, entrance, trust)

    def come_back(self, account, house, entrance, trust):
        """Logs in again after a logout, with what it had kept."""
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
        came = self._screen.expect(rf"({account.jid}/\S+) logged in successfully|certificate verification failed: .*")
        if "failed" in came[0]:
            self._screen.type("/tls deny")
            raise Refused(came[0].strip())
        self.jid = came[1]
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

    def expect_said(self, contact, said):
        """What was said with the contact, as pairs of who (`me` or `them`) and what: all of it, each once, in order."""
        # It reads the archive as it opens a chat, if it has heard by then that there is one.
        self._ping()
        self._to_chat(contact)
        self._screen.wait(lambda text: len(_said(text)) >= len(said), f"{said}")
        # What else it asked for has come by the second of these (it goes on asking after an answer).
        self._ping()
        self._ping()
        self._to_chat(contact)
        if (shown := _said(self._screen.text())) != said:
            raise AssertionError(f"it should show {said}, but shows {shown}")
        self._to_console()

    def make_otr_key(self):
        """Makes the key by which it is known in OTR."""
        self._screen.type("/otr gen")
        self._screen.expect("Private key generation complete")

    def start_otr(self, contact):
        """Agrees on keys with the contact's client."""
        self._to_chat(contact)
        self._screen.type("/otr start")
        self._screen.expect(r"OTR session started")
        self._to_console()

    def otr_fingerprints(self, contact):
        """Its own key, and what it takes for the contact's."""
        self._to_chat(contact)
        self._screen.expect(r"\A.*\[OTR\]")
        found = []
        for asked, answer in (("myfp", "Your OTR"), ("theirfp", f"{contact}'s OTR")):
            self._screen.type(f"/otr {asked}")
            found.append(self._screen.expect(rf"{answer} fingerprint: ([0-9A-F ]+\b)")[1])
        self._to_console()
        return found

    def whisper(self, contact, body):
        """Sends a chat message that is encrypted with OTR."""
        self._screen.type(f"/msg {contact} {body}")
        self._screen.expect(rf"~ me: {re.escape(body)}$")
        self._to_console()

    def expect_whisper(self, contact, body):
        """This message of the contact came encrypted with OTR."""
        self._to_chat(contact)
        self._screen.expect(rf"~ {contact}/\S+: {re.escape(body)}$")
        self._to_console()

    def make_omemo_keys(self):
        """Makes the keys by which it is known in OMEMO, and publishes them."""
        self._to_console()
        self._screen.type("/omemo gen")
        self._screen.expect("Going to publish own device ID")

    def start_omemo(self, contact):
        """Encrypts with OMEMO from now on, for whichever of the contact's devices it trusts; returns their fingerprints,
        which it has by their keys."""
        self._to_chat(contact)
        self._screen.type("/omemo start")
        self._screen.expect(r"\A.*\[OMEMO\]")
        pattern = rf"{contact}'s OMEMO fingerprint: ([0-9a-f-]+)"
        self._screen.ask("/omemo fingerprint", pattern)
        found = set(re.findall(pattern, self._screen.text()))
        self._to_console()
        return found

    def trust_omemo(self, contact, fingerprint):
        """Trusts a device of the contact."""
        self._to_chat(contact)
        self._screen.type(f"/omemo trust {fingerprint}")
        self._screen.ask("/omemo fingerprint", rf"fingerprint: {fingerprint} \(trusted\)")
        self._to_console()

    def omemo_fingerprint(self):
        """Its own."""
        self._to_console()
        self._screen.type("/omemo fingerprint")
        return self._screen.expect(r"Your OMEMO fingerprint: ([0-9a-f-]+)")[1]

    def sealed(self):
        """The encrypted part of all messages that it sent by OMEMO, as it left."""
        return re.findall(r"SENT: <message .*?(<encrypted .*?<payload>.*?</encrypted>)", self._log())

    def passed(self):
        """The bodies of all messages that it sent and received, as they passed."""
        return re.findall(r"(?:SENT|RECV): <message .*?<body>(.*?)</body>", self._log())

    def _ping(self):
        """Waits until the server has answered this and all that was asked before."""
        self._to_console()
        self._screen.type("/clear")
        self._screen.ask("/ping", "Ping response from server")

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


def _said(text):
    """The lines of a chat: who said what."""
    lines = re.findall(r"^\d{4}\S+ [-~] (\S+): (.*?)\s*$", text, re.MULTILINE)
    return [("me" if who == "me" else "them", body) for who, body in lines]

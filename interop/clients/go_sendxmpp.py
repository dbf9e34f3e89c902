"""go-sendxmpp (go-xmpp): one run listens, and every message that is sent is a run of its own."""

import os
import re
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from client import PATIENCE_S, Client, Entrance, Login, Refused


class GoSendxmpp(Client):
    """It keeps no roster."""

    name = "go-sendxmpp"
    has_roster = False

    def __init__(self):
        self._listener = self._directory = self._read = self._login_time = None

    def login(self, account, house, entrance, trust):
        self.stop()
        self._directory = Path(tempfile.mkdtemp(prefix="go-sendxmpp-", dir=house.dir))
        self._read = 0
        self._env = {**os.environ, "SSL_CERT_FILE": str(trust), "SSL_CERT_DIR": "/nonexistent"}
        self._command = ["go-sendxmpp", "-u", account.jid, "-p", account.password]
        self._command += ["-j", f"localhost:{house.port(entrance)}"]
        if entrance is Entrance.DIRECT:
            self._command.append("--tls")
        self._login_time = datetime.now(timezone.utc).replace(microsecond=0)
        with open(self._directory / "heard", "w") as heard, open(self._directory / "stream", "w") as stream:
            command = [*self._command, "--debug", "--listen"]
            self._listener = subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=heard, stderr=stream)
        deadline = time.monotonic() + PATIENCE_S
        # It says nothing itself; its debugging output is what the server sent. With our presence it is ready.
        while "<presence" not in (stream := self._stream()):
            if self._listener.poll() is not None:
                raise Refused(stream.splitlines()[-1])
            if time.monotonic() > deadline:
                raise TimeoutError(f"it did not log in within {PATIENCE_S} s:\n{stream}")
            time.sleep(0.05)
        return Login("SASL with a challenge" if "<challenge" in stream else "PLAIN (no challenge)")

    def logout(self):
        self.stop()

    def send(self, contact, body):
        done = subprocess.run(
            [*self._command, contact], env=self._env, input=body, text=True, capture_output=True, timeout=PATIENCE_S
        )
        if done.returncode != 0:
            raise AssertionError(f"it could not send: {done.stderr}")

    def expect_message(self, contact, body):
        if self._next_message(contact, body) < self._login_time:
            raise AssertionError(f"{body!r} is shown as older than the login")

    def expect_held(self, contact, bodies):
        times = [self._next_message(contact, body) for body in bodies]
        if max(times) >= self._login_time or times != sorted(times):
            raise AssertionError(f"shown as sent at {times}, though the login was at {self._login_time}")

    def _next_message(self, contact, body):
        """Reads the next line that it printed, and returns its time."""
        deadline = time.monotonic() + PATIENCE_S
        while len(lines := self._heard()) <= self._read:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{body!r} did not come within {PATIENCE_S} s, only {lines}")
            time.sleep(0.05)
        line = lines[self._read]
        self._read += 1
        found = re.fullmatch(rf"(\S+) {contact}: {re.escape(body)}", line)
        if not found:
            raise AssertionError(f"{body!r} of {contact} should have come, but it printed {line!r}")
        return datetime.fromisoformat(found[1])

    def _heard(self):
        return (self._directory / "heard").read_text().splitlines()

    def _stream(self):
        return (self._directory / "stream").read_text()

    def trace(self):
        if not self._directory:
            return ""
        return "\n".join([*self._heard(), *self._stream().splitlines()[-10:]])

    def stop(self):
        if self._listener:
            self._listener.terminate()
            self._listener.wait()
            self._listener = None

"""A house with our server in it: a fresh directory, a small configuration, accounts made by its own command."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from client import PATIENCE_S, Account, Entrance

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "debug" / "waxwing"
DOMAIN = "localhost"


class House:
    """The server on ports of its own, on the loopback addresses only; use it as a context."""

    def __init__(self, name, starttls_port=None, settings=""):
        self.dir = Path(tempfile.mkdtemp(prefix=f"waxwing-interop-{name}-"))
        self._ports = {
            Entrance.STARTTLS: starttls_port or _free_port(),
            Entrance.DIRECT: _free_port(),
        }
        self._process = None
        self._people = 0
        self._config = self.dir / "waxwing.toml"
        self._config.write_text(
            f"""domains = ["{DOMAIN}"]
data_dir = "{self.dir}/data"
[listen]
c2s = {_both(self._ports[Entrance.STARTTLS])}
c2s_tls = {_both(self._ports[Entrance.DIRECT])}
[log]
level = "debug,rustls=warn"
[limits]
# All come from one address here, and quickly.
connections_per_second = 0
connections_per_address = 0
failed_logins_per_address = 0
inbound_stanzas_per_second = 0
{settings}"""
        )

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def port(self, entrance):
        return self._ports[entrance]

    @property
    def certificate(self):
        """The certificate that the server made at its first start; whoever trusts it needs no other authority."""
        return self.dir / "data" / "certificate.pem"

    def stranger(self):
        """A certificate for the same names by somebody else: who trusts only that must not go on here."""
        file = self.dir / "stranger.pem"
        if not file.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
                + ["-days", "2", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN},IP:127.0.0.1"]
                + ["-keyout", str(self.dir / "stranger.key"), "-out", str(file)],
                check=True,
                capture_output=True,
            )
        return file

    def add(self, name):
        """Makes an account while the server runs."""
        self._people += 1
        account = Account(f"{name}{self._people}@{DOMAIN}", f"secret {self._people} for {name}")
        done = subprocess.run(
            [PROGRAM, "user", "add", account.jid, "--config", self._config],
            input=f"{account.password}\n",
            text=True,
            capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{account.jid} was not added: {done.stderr}")
        return account

    def log(self):
        """The end of what the server logged."""
        return "\n".join((self.dir / "log").read_text().splitlines()[-25:])

    def freeze(self):
        """The server takes nothing more, though its connections stand."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self):
        """Ends the server at this instant."""
        self._process.kill()
        self._process.wait()

    def restart(self):
        """Starts it again on what it had kept."""
        self._start()

    def _start(self):
        with open(self.dir / "log", "w") as log:
            command = [PROGRAM, "start", "--config", self._config]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while "\nready\n" not in (self.dir / "log").read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not get ready:\n{self.log()}")
            time.sleep(0.02)

    def _stop(self):
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _both(port):
    return f'["127.0.0.1:{port}", "[::1]:{port}"]'


def _free_port():
    """A port that is free on both loopback addresses."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as four:
            port = four.getsockname()[1]
            try:
                with socket.create_server(("::1", port), family=socket.AF_INET6):
                    return port
            except OSError:
                continue

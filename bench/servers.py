"""Servers to be loaded: each started anew, in a folder and on ports of its own, with accounts in its store."""

import base64
import hashlib
import hmac
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAMS = ROOT / "target" / "release"
WORK = HERE / ".work"
DOMAIN, PASSWORD, SALT, ROUNDS = "localhost", "secret", b"waxwing's bench!", 10000
PATIENCE_S = 60
# Below the range from which the system gives ports to those who connect.
FIRST_PORT = 15220

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)


class Archive:
    """What a server does with what is said."""

    OFF = "off"
    OWN = "own"  # as the server comes: its own storage
    SQLITE = "sqlite"


def certificate():
    """One certificate for all: ECDSA, P-256. Its file and that of its key."""
    WORK.mkdir(exist_ok=True)
    chain, key = WORK / "certificate.pem", WORK / "key.pem"
    if not chain.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-keyout", key, "-out", chain, "-days", "3650", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )
        key.chmod(0o644)
    return chain, key


class Server:
    """One of them; used as a context it runs."""

    name = None
    package = None
    user = None
    door = "direct-tls"

    def __init__(self, accounts=0, archive=Archive.OFF, cores=None):
        self.accounts, self.archive, self.cores = accounts, archive, cores
        self.dir = WORK / self.name
        place = list(SERVERS).index(self.name) * 10 + FIRST_PORT
        self.starttls, self.tls, self.dist = place, place + 1, place + 2
        self.pid = None
        self.started_ms = None
        self._process = None

    @classmethod
    def is_there(cls):
        return shutil.which(cls.package or "true") is not None

    @classmethod
    def version(cls):
        return subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", cls.package], capture_output=True, text=True
        ).stdout

    @property
    def port(self):
        return self.tls

    def __enter__(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.prepare()
        if self.user:
            for path in [self.dir, *self.dir.rglob("*")]:
                shutil.chown(path, self.user, self.user)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def fill_in(self, template, **more):
        text = (HERE / "peers" / template).read_text()
        chain, key = certificate()
        words = {"DIR": self.dir, "STARTTLS": self.starttls, "TLS": self.tls, "DIST": self.dist}
        words |= {"CERTIFICATE": chain, "KEY": key, **more}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        path = self.dir / template
        path.write_text(text)
        return path

    def prepare(self):
        """Writes the configuration, and accounts where they can be made before the start."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def after_start(self):
        """What can be made only while it runs."""

    def start(self):
        command = [str(word) for word in self.command()]
        if self.cores:
            command = ["taskset", "-c", self.cores, *command]
        if self.user:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *command]
        if self.answers():
            raise RuntimeError(f"somebody else has port {self.starttls}")
        log = open(self.dir / "output.log", "ab")
        begun = time.monotonic()
        self._process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment(), cwd=self.dir
        )
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() - begun > PATIENCE_S:
                raise RuntimeError(f"{self.name} does not start: see {self.dir}")
            time.sleep(0.001)
        self.started_ms = (time.monotonic() - begun) * 1000
        self.pid = self.find()
        self.after_start()

    def answers(self):
        """Whether a stream can be opened."""
        try:
            with socket.create_connection(("127.0.0.1", self.starttls), timeout=2) as line:
                line.sendall(HEADER)
                return b"<" in line.recv(100)
        except OSError:
            return False

    def find(self):
        return self._process.pid

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Waxwing(Server):
    name = "waxwing"

    @classmethod
    def version(cls):
        # The commit that last changed the server, not the bench.
        command = ["git", "log", "-1", "--format=%h", "--", "crates", "src"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return said.stdout.strip()

    def prepare(self):
        self.fill_in("waxwing.toml")
        (self.dir / "data").mkdir(mode=0o700)
        # An archive is kept unless an account says otherwise.
        self.fill("--accounts", self.accounts, *(["--unarchived"] if self.archive == Archive.OFF else []))

    def fill(self, *words):
        store = f"sqlite:{self.dir}/data/waxwing.sqlite"
        subprocess.run([PROGRAMS / "fill", "--store", store, *map(str, words)], check=True, stdout=subprocess.DEVNULL)

    def command(self):
        return [PROGRAMS / "waxwing", "start", "--config", self.dir / "waxwing.toml"]

    def fill_archive(self, messages):
        self.stop()
        self.fill("--messages", messages)
        self.start()


class Prosody(Server):
    name = package = user = "prosody"

    def prepare(self):
        on = self.archive != Archive.OFF
        storage = 'storage = { archive = "sql" }\nsql = { driver = "SQLite3", database = "archive.sqlite" }'
        self.fill_in(
            "prosody.cfg.lua",
            ARCHIVE_MODULE='"mam",' if on else "",
            ARCHIVE_STORAGE=storage if self.archive == Archive.SQLITE else "",
        )
        folder = self.dir / "data" / DOMAIN / "accounts"
        folder.mkdir(parents=True)
        stored, server = keys()
        text = (
            f'return {{ ["iteration_count"] = {ROUNDS}; ["salt"] = "{SALT.decode()}"; '
            f'["stored_key"] = "{stored.hex()}"; ["server_key"] = "{server.hex()}"; }};\n'
        )
        for number in range(self.accounts):
            (folder / f"u{number}.dat").write_text(text)

    def command(self):
        return ["prosody", "-F", "--config", self.dir / "prosody.cfg.lua"]

    def fill_archive(self, messages):
        """From what has been said: its rows, again and again."""
        self.stop()
        with sqlite3.connect(self.dir / "data" / "archive.sqlite") as store:
            said = store.execute("SELECT COUNT(*) FROM prosodyarchive WHERE user = 'u0'").fetchone()[0]
            for turn in range(messages // said - 1):
                store.execute(
                    "INSERT INTO prosodyarchive (host, user, store, key, \"when\", \"with\", type, value) "
                    "SELECT host, user, store, key || '-' || ?, \"when\" + ? * 1000, \"with\", type, value "
                    "FROM prosodyarchive WHERE user = 'u0' ORDER BY sort_id LIMIT ?",
                    (turn, turn + 1, said),
                )
        self.start()


class Ejabberd(Server):
    name = package = user = "ejabberd"

    @classmethod
    def is_there(cls):
        return shutil.which("ejabberdctl") is not None

    def prepare(self):
        chain, key = certificate()
        (self.dir / "both.pem").write_text(chain.read_text() + key.read_text())
        with_sql = self.archive == Archive.SQLITE
        store = "    db_type: sql\n" if with_sql else "    db_type: mnesia\n"
        module = f"mod_mam:\n{store}    assume_mam_usage: true\n    default: always"
        sql = f"sql_type: sqlite\nsql_database: {self.dir}/archive.sqlite"
        self.fill_in(
            "ejabberd.yml",
            SQL=sql if with_sql else "",
            ARCHIVE_MODULE="" if self.archive == Archive.OFF else module,
        )
        self.fill_in("ejabberdctl.cfg")
        shutil.copy("/etc/ejabberd/inetrc", self.dir)
        (self.dir / "spool").mkdir()
        (self.dir / "logs").mkdir()

    def words(self):
        return ["ejabberdctl", "--config-dir", self.dir, "--config", self.dir / "ejabberd.yml"] + [
            *["--ctl-config", self.dir / "ejabberdctl.cfg", "--logs", self.dir / "logs"],
            *["--spool", self.dir / "spool"],
        ]

    def environment(self):
        return dict(os.environ) | {"HOME": str(self.dir)}

    def command(self):
        return [*self.words(), "foreground"]

    def order(self, *words):
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        command = [*as_user, *map(str, self.words()), *map(str, words)]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=self.environment(), cwd=self.dir
        ).stdout

    def find(self):
        """The Erlang machine: ejabberdctl, a shell script, is not counted."""
        return descendant(self._process.pid, "beam.smp")

    def after_start(self):
        if not self.accounts or (self.dir / "accounts").exists():
            return
        stored, server = (base64.b64encode(key).decode() for key in keys())
        salt = base64.b64encode(SALT).decode()
        lines = ["{tables, [{passwd, [{record_name, passwd}, {attributes, [us, password]}]}]}."]
        lines += [
            f'{{passwd, {{<<"u{number}">>, <<"{DOMAIN}">>}}, '
            f'{{scram, <<"{stored}">>, <<"{server}">>, <<"{salt}">>, sha, {ROUNDS}}}}}.'
            for number in range(self.accounts)
        ]
        path = self.dir / "accounts"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o644)
        self.order("load", path)

    def stop(self):
        if self.pid and self._process and self._process.poll() is None:
            try:
                self.order("stop")
                self._process.wait(timeout=20)
            except subprocess.SubprocessError:
                os.kill(self.pid, 9)
        elif self._process and self._process.poll() is None:
            # Told to stop while it starts: the shell script would leave the Erlang machine behind.
            os.kill(self.find(), 9)
        super().stop()

    def fill_archive(self, messages):
        """From what has been said: its rows, again and again."""
        self.stop()
        with sqlite3.connect(self.dir / "archive.sqlite") as store:
            said = store.execute("SELECT COUNT(*) FROM archive WHERE username = 'u0'").fetchone()[0]
            for turn in range(messages // said - 1):
                store.execute(
                    "INSERT INTO archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick, created_at) "
                    "SELECT username, timestamp + ? * 1000000000, peer, bare_peer, xml, txt, kind, nick, created_at "
                    "FROM archive WHERE username = 'u0' ORDER BY id LIMIT ?",
                    (turn + 1, said),
                )
        shutil.chown(self.dir / "archive.sqlite", self.user, self.user)
        self.start()


class Floor(Server):
    name = "floor"
    door = "floor"

    @classmethod
    def version(cls):
        return "tokio and rustls, as Waxwing's"

    def command(self):
        chain, key = certificate()
        return [PROGRAMS / "floor", "--listen", f"127.0.0.1:{self.tls}", "--certificate", chain, "--key", key]

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.tls), timeout=2).close()
        except OSError:
            return False
        return True


SERVERS = {server.name: server for server in (Waxwing, Prosody, Ejabberd, Floor)}


def keys():
    """StoredKey and ServerKey of everybody's password (RFC 5802 §3)."""
    salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), SALT, ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha1")
    return hashlib.sha1(client).digest(), hmac.digest(salted, b"Server Key", "sha1")


def descendant(pid, name):
    """The process of this name that this one has started."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    head, rest = (entry / "stat").read_text().rsplit(")", 1)
                except OSError:
                    continue
                parents[int(entry.name)] = (int(rest.split()[1]), head.split("(", 1)[1])
        tree = {pid}
        for _ in range(6):
            tree |= {own for own, (parent, _) in parents.items() if parent in tree}
        for own in tree:
            if own in parents and parents[own][1] == name:
                return own
    raise RuntimeError(f"{name} does not run")


def install_missing():
    """Installs Debian's packages where they are missing; none of their services is left to run."""
    packages = {"prosody": ["prosody", "lua-dbi-sqlite3"], "ejabberd": ["ejabberd", "erlang-p1-sqlite3"]}
    for name, wanted in packages.items():
        if SERVERS[name].is_there():
            continue
        print(f"installing {' '.join(wanted)}", flush=True)
        quiet = dict(check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", *wanted], **quiet)
        for order in ("stop", "disable"):
            subprocess.run(["systemctl", order, name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)



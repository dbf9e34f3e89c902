"""What is measured: each scenario on one server, once."""

import json
import subprocess
import time
from dataclasses import dataclass, field

from servers import DOMAIN, PASSWORD, PROGRAMS, ROOT, SERVERS, Archive

ALL = ("waxwing", "ejabberd", "prosody", "floor")
XMPP = ("waxwing", "ejabberd", "prosody")
# Fewer messages than this in a server's archive are said, the rest is copied (servers.py).
SAID = 1000


@dataclass(frozen=True)
class Scenario:
    """One of them, and what is wanted of it."""

    name: str
    title: str
    unit: str
    words: tuple = ()
    accounts: int = 0
    servers: tuple = ALL
    archive: str = Archive.OFF
    seconds: float = 8
    value: str = "cpu_us"
    # Largest ratio to the better peer, and to the floor.
    to_peer: float = None
    to_floor: float = None
    # Largest ratio to a scenario of our own.
    to_own: tuple = None
    acquaint: bool = False
    messages: int = 0
    cores: str = None
    extra: dict = field(default_factory=dict)


def _chat(name, title, window=1, background=0, asleep=0, **more):
    words = ("chat", "--pairs", "200", "--window", str(window), "--background", str(background))
    words += ("--asleep", str(asleep)) if asleep else ()
    return Scenario(name, title, "µs of CPU per message", words, accounts=400 + background + asleep, **more)


SCENARIOS = [
    Scenario("start", "start to the first stream", "ms", servers=XMPP, value="started_ms"),
    Scenario("start-memory", "resident after the start", "KiB", servers=XMPP, value="resident_kib"),
    Scenario(
        "idle", "idle TLS session", "KiB resident", ("idle", "--sessions", "2000"), 2200, value="kib",
        to_peer=0.26, to_floor=1.5,
    ),
    Scenario(
        "idle-managed", "the same, with stream management", "KiB resident", ("idle", "--sessions", "2000", "--managed"),
        2200, servers=XMPP, value="kib", to_peer=0.25,
    ),
    Scenario(
        "login", "login: TLS, SCRAM, resource, roster, presence", "µs of CPU per login", ("login",), 400,
        to_peer=0.10, to_floor=2,
    ),
    Scenario(
        "login-token", "login by a token (FAST), TLS by a ticket", "µs of CPU per login", ("login", "--by", "token"), 400,
        servers=("waxwing",),
    ),
    Scenario(
        "login-stream", "a stream that goes on, by a token", "µs of CPU per login", ("login", "--by", "stream"), 400,
        servers=("waxwing",),
    ),
    _chat("chat", "chat, one message in flight per pair", to_peer=0.14, to_floor=1.5),
    _chat(
        "chat-managed", "the same with stream management (each acknowledged) and carbons", servers=XMPP,
        to_peer=0.20, to_own=("chat", 2), extra={"words": ("--managed", "--carbons")},
    ),
    _chat("chat-16", "chat, 16 in flight", window=16, to_peer=0.07, to_floor=3),
    _chat(
        "chat-archive", "chat with the archive on", archive=Archive.OWN, servers=XMPP, to_peer=0.03,
        to_own=("chat", 2), extra={"words": ("--managed",)},
    ),
    Scenario(
        "presence", "presence to 20 contacts", "µs of CPU per presence", ("presence",), 210, to_peer=0.16, to_floor=1.6,
        acquaint=True,
    ),
    Scenario(
        "offline", "message to somebody absent: stored and drained", "µs of CPU per message", ("offline",), 200,
        servers=XMPP, to_peer=0.12,
    ),
    Scenario(
        "archive-1k", "archive page of 50, of 1 thousand", "µs of CPU per page", ("archive",), 2, servers=XMPP,
        archive=Archive.SQLITE, messages=1_000, to_peer=0.06,
    ),
    Scenario(
        "archive-1m", "archive page of 50, of 1 million", "µs of CPU per page", ("archive",), 2, servers=XMPP,
        archive=Archive.SQLITE, messages=1_000_000, to_peer=0.06, to_own=("archive-1k", 1.2),
    ),
    _chat("growth-100", "chat with 100 idle sessions", background=100, servers=XMPP),
    _chat("growth-1000", "chat with 1,000 idle sessions", background=1_000, servers=XMPP),
    _chat(
        "growth-10000", "chat with 10,000 idle sessions", background=10_000, servers=XMPP, to_own=("growth-100", 1.2)
    ),
    _chat(
        "growth-50000", "chat with 50,000 sessions: 18,000 idle, 32,000 whose connections broke, to be resumed",
        background=18_000, asleep=32_000, servers=("waxwing",), to_own=("growth-100", 1.2),
    ),
    _chat("cores-1", "chat, 16 in flight, on one core", window=16, servers=("waxwing", "floor"), cores="0"),
    # 1.8 times the throughput on twice the cores is 1.11 times the CPU for each.
    _chat(
        "cores-2", "the same on two cores", window=16, servers=("waxwing", "floor"), cores="0,1", to_own=("cores-1", 1.11)
    ),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def measure(scenario, name):
    """What one server did: a mapping of numbers, with `failed` and why when it did not."""
    try:
        with SERVERS[name](scenario.accounts, scenario.archive, scenario.cores) as server:
            return _measure(scenario, server)
    except (RuntimeError, OSError, subprocess.SubprocessError) as why:
        return {"failed": str(why)}


def _measure(scenario, server):
    if not scenario.words:
        time.sleep(3)
        return {"started_ms": server.started_ms, "resident_kib": _resident(server)}
    if scenario.acquaint and server.name != "floor":
        _load(server, ("acquaint",), 0)
    if scenario.messages:
        if server.name == "waxwing":
            server.fill_archive(scenario.messages)
        else:
            _load(server, ("fill", "--messages", str(SAID)), 0)
            if scenario.messages > SAID:
                server.fill_archive(scenario.messages)
    return _load(server, [*scenario.words, *scenario.extra.get("words", ())], scenario.seconds)


def _load(server, words, seconds):
    command = [PROGRAMS / "load", *words, "--address", f"127.0.0.1:{server.port}", "--pid", server.pid]
    command += ["--door", server.door, "--domain", DOMAIN, "--password", PASSWORD, "--seconds", seconds]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT, timeout=1800)
    if not ended.stdout.strip():
        raise RuntimeError(f"the load ended with {ended.returncode}: {ended.stderr.strip()[-300:]}")
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    if "failed" in found:
        raise RuntimeError(found["failed"])
    return found


def _resident(server):
    for line in open(f"/proc/{server.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0

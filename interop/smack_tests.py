"""Smack's own integration tests, against our server on the one port that they can use.

A test that throws a RuntimeException ends a run of Smack's framework, so one class, and sometimes one method, has a run
and a JVM of its own; several run side by side, as they wait most of the time."""

import os
import re
import socket
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import fresh_machine
from house import DOMAIN, House
from report import note

NAME = "smack"
PORT = 5222
# Tests of these specifications must pass, and those of none.
REQUIRED = ["none", "RFC6121", "XEP-0115", "XEP-0199", "XEP-0313"]
# These ask no more of the server than to carry stanzas; they must pass, too.
CARRIED = ["XEP-0050", "XEP-0085", "XEP-0092", "XEP-0096", "XEP-0232"]
CONNECTIONS = ["tcp", "modular", "modular-nocompress"]
# Tests of these disturb one another: subscriptions that one leaves behind are still being cancelled when the next has begun;
# caches are shared; what a failed transfer throws ends the run.
METHOD_BY_METHOD = {"RosterIntegrationTest", "EntityCapsTest", "FileTransferIntegrationTest"}
SIDE_BY_SIDE = 4
REPLY_TIMEOUT_MS = 10_000
RUN_TIMEOUT_S = 90
# Races within Smack 4.5.0-beta5, by what it prints. A run that meets one says nothing of the server and is done again; a
# server that was to blame would fail every time.
RACES = {
    # It uses a selection key before it has it, if the selector is quicker; then a reactor thread dies.
    r"SmackReactor\$Reactor\.setInterestOpsCancelledKeySafe": "its reactor had died",
    # It forgets to send what was queued while TLS was being set up (a trace of the server shows: nothing comes).
    r"While waiting for (TLS handshake to finish|stream features after TLS established) \[Modular": "it had fallen silent",
    # The same, later: the server's trace ends with <success/>, nothing comes, and nothing waits unread in its sockets.
    r"While waiting for server stream features after SASL authentication \[Modular": "it had fallen silent behind its login",
    r"(?s)NoResponseException.{0,1500}ResourceBindingState\.transitionInto": "it had fallen silent behind its login",
    # What notes that a request was sent runs "in a new thread, because we can", and may come after the answer.
    r"Expected '\S+' to have made a disco/info request": "it had looked too early",
    # The answer to a question of its last connection, queued as that ended, goes out as the first thing on the next, before
    # the stream's header (a trace of the server shows it: an <iq type='result'/>).
    r"StreamErrorException: bad-format": "it had answered on another connection than it was asked on",
}
ATTEMPTS = 8


@dataclass(frozen=True)
class Test:
    """One test, on one kind of connection if it has a choice."""

    specification: str
    kind: str
    java_class: str
    method: str
    connection: str = ""

    @property
    def short(self):
        return f"{self.java_class.rsplit('.', 1)[1]}.{self.method}"

    def __str__(self):
        """As Smack's framework calls it."""
        return f"{self.short} ({self.kind}{', ' + self.connection if self.connection else ''})"


@dataclass
class Run:
    """Tests that share a JVM."""

    tests: list
    outcomes: dict = field(default_factory=dict)
    races: list = field(default_factory=list)
    log: str = ""


def run(report):
    """Runs them all and counts by specification."""
    tests = _tests()
    left_out = _left_out()
    if _is_taken():
        why = f"something listens on 127.0.0.1:{PORT}, and Smack's tests can use no other port.\n"
        why += f"Stop it (`ss -ltnp 'sport = :{PORT}'` shows it), or name the other clients: interop/run slixmpp …"
        report.fail(NAME, f"port {PORT} is free", why)
        return
    with House(NAME, starttls_port=PORT, settings="[registration]\nopen = true\n") as house:
        java = _java(house)
        runs = _runs(tests)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(lambda number: _go(java, runs[number], number), range(len(runs))))
        log = house.log()
    counts = {specification: Counter() for specification in REQUIRED + CARRIED}
    for one in runs:
        for test in one.tests:
            outcome = one.outcomes.get(str(test), "ended")
            if outcome == "Success":
                counts[test.specification]["passed"] += 1
                report.ok(NAME, f"{_name(test.specification)}: {test}{_again(one)}")
            elif test.short in left_out:
                counts[test.specification]["left out"] += 1
                note(f"{NAME}: {test}: {left_out[test.short]}")
            else:
                counts[test.specification]["failed"] += 1
                why = "\n".join(["…", *one.log.splitlines()[-60:]])
                report.fail(NAME, f"{_name(test.specification)}: {test} ({outcome})", why)
                note(f"the server's log ends with:\n{log}")
    for specification, count in counts.items():
        note(f"{NAME}: {_name(specification)}: {', '.join(f'{number} {what}' for what, number in count.items())}")
    for connection in [name for name in left_out if name not in {test.short for test in tests}]:
        note(f"{NAME}: no test ran over {connection}: {left_out[connection]}")


def _is_taken():
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        return True
    except OSError:
        return False


def _tests():
    """Those that can say something of the server."""
    tests = []
    for line in fresh_machine.SMACK_TESTS.read_text().splitlines():
        specification, kind, java_class, method = line.split("\t")
        if specification not in REQUIRED + CARRIED:
            continue
        if kind == "LowLevel":
            tests += [Test(specification, kind, java_class, method, connection) for connection in CONNECTIONS]
        elif kind == "LowLevelDefault":
            tests.append(Test(specification, "LowLevel", java_class, method, CONNECTIONS[0]))
        else:
            tests.append(Test(specification, kind, java_class, method))
    return tests


def _runs(tests):
    """Who shares a JVM: the methods of a class, unless they disturb one another."""
    runs = {}
    for test in tests:
        alone = test.short.split(".")[0] in METHOD_BY_METHOD
        key = (test.java_class, test.connection, test.method if alone else "")
        runs.setdefault(key, Run([])).tests.append(test)
    # Those over modular connections take longest.
    return sorted(runs.values(), key=lambda one: not one.tests[0].connection.startswith("modular"))


def _left_out():
    lines = (fresh_machine.SMACK / "left_out.txt").read_text().splitlines()
    return dict(line.split("  ", 1) for line in lines if line and not line.startswith("#"))


def _java(house):
    """The command, up to the choice of tests: it trusts the server's certificate and no other."""
    trust = house.dir / "trust.p12"
    subprocess.run(
        ["keytool", "-importcert", "-noprompt", "-alias", "waxwing", "-file", house.certificate]
        + ["-keystore", trust, "-storetype", "PKCS12", "-storepass", "waxwing"],
        check=True,
        capture_output=True,
    )
    properties = {
        "javax.net.ssl.trustStore": trust,
        "javax.net.ssl.trustStorePassword": "waxwing",
        "sinttest.service": DOMAIN,
        "sinttest.host": "127.0.0.1",
        "sinttest.dnsResolver": "javax",
        "sinttest.securityMode": "required",
        "sinttest.replyTimeout": REPLY_TIMEOUT_MS,
    }
    # A JVM that lives for seconds is best started lightly.
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", fresh_machine.SMACK_CLASSPATH.read_text()] + [
        f"-D{key}={value}" for key, value in properties.items()
    ]


def _go(java, one, number):
    """Runs a run, again if only Smack itself is to blame."""
    first = one.tests[0]
    enabled = f"{first.java_class}.{first.method}" if len(one.tests) == 1 else first.java_class
    command = [*java, f"-Dsinttest.enabledTests={enabled}"]
    if first.connection:
        command.append(f"-Dsinttest.enabledConnections={first.connection}")
    if first.connection.startswith("modular") or first.kind == "SpecificLowLevel":
        # On one processor the reactor is seldom quicker than who waits for the key.
        processors = sorted(os.sched_getaffinity(0))
        command = ["taskset", "--cpu-list", str(processors[number % len(processors)]), *command]
    command.append("org.igniterealtime.smack.inttest.SmackIntegrationTestFramework")
    for _ in range(ATTEMPTS):
        one.outcomes, one.log = _once(command, {str(test) for test in one.tests})
        if all(one.outcomes.get(str(test)) == "Success" for test in one.tests):
            return
        race = _race(one.log)
        if race is None:
            return
        one.races.append(race)


def _race(text):
    """Which race within Smack it tells of, if any."""
    return next((name for pattern, name in RACES.items() if re.search(pattern, text)), None)


def _once(command, wanted):
    """What came of each test, and what was printed. When the last has ended, so has the run: then Smack would remove its
    accounts, and wait long for goodbyes that come no more after that."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    timer = threading.Timer(RUN_TIMEOUT_S, process.kill)
    timer.start()
    outcomes, lines = {}, []
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.match(r"\w+: (\S+ \([^)]*\)) (Success|Failed|is not possible)$", line):
                outcomes[found[1]] = found[2]
            if wanted <= set(outcomes) or "Unexpected abort" in line or _race(line):
                break
        process.kill()
        lines += process.stdout.readlines()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    return outcomes, "".join(lines)


def _name(specification):
    return "no specification" if specification == "none" else specification


def _again(one):
    return f" (again, as {', '.join(one.races)})" if one.races else ""

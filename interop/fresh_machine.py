"""Sets up what a fresh Debian 12 lacks for the clients that are asked for: packages, a Python environment, npm and Maven
dependencies. What is there already is left alone."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from report import note

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
VENV_PYTHON = CACHE / "venv" / "bin" / "python"
XMPP_JS = HERE / "clients" / "xmpp_js"
SMACK = HERE / "smack"
SMACK_CLASSPATH = CACHE / "smack.classpath"
SMACK_TESTS = CACHE / "smack.tests"
# The one that resolves the class path; the plugin's version is pinned like everything else.
CLASSPATH_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"

# Debian's packages, by the program that shows that they are there.
PACKAGES = {
    "openssl": "openssl",
    "tmux": "tmux",
    "profanity": "profanity",
    "mcabber": "mcabber",
    "go-sendxmpp": "go-sendxmpp",
}
# What each client needs, of Debian and of the steps below.
NEEDS = {
    "slixmpp": ["openssl", "python"],
    "aioxmpp": ["openssl", "python"],
    "xmpp.js": ["openssl", "npm"],
    "profanity": ["openssl", "tmux", "profanity"],
    "mcabber": ["openssl", "tmux", "mcabber"],
    "go-sendxmpp": ["openssl", "go-sendxmpp"],
    "smack": ["maven"],
}


def prepare(clients):
    """Sets up what these clients need."""
    CACHE.mkdir(exist_ok=True)
    needs = {need for client in clients for need in NEEDS[client]}
    _debian([package for program, package in PACKAGES.items() if program in needs and not shutil.which(program)])
    if "python" in needs:
        _once("python", [HERE / "clients" / "requirements.txt"], VENV_PYTHON, _python)
    if "npm" in needs:
        _once("npm", [XMPP_JS / "package-lock.json"], XMPP_JS / "node_modules", _npm)
    if "maven" in needs:
        _once("maven", [SMACK / "pom.xml", SMACK / "Tests.java"], SMACK_TESTS, _maven)


def _debian(packages):
    if not packages:
        return
    note(f"installing Debian's {', '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() != 0:
        raise SystemExit(f"interop/run needs Debian's {' '.join(packages)}: install them, or run it as root")
    _run(["apt-get", "update", "-qq"], env=env)
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)


def _python():
    note("making a Python environment with slixmpp and aioxmpp")
    if importlib.util.find_spec("ensurepip") is None:
        _debian(["python3-venv"])
    shutil.rmtree(CACHE / "venv", ignore_errors=True)
    _run([sys.executable, "-m", "venv", CACHE / "venv"])
    pip = [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--cache-dir", CACHE / "pip", "-r", HERE / "clients" / "requirements.txt"])


def _npm():
    _need("npm", "Node.js 20 or newer")
    note("installing @xmpp/client from npm")
    _run(["npm", "ci", "--silent", "--cache", CACHE / "npm"], cwd=XMPP_JS)


def _maven():
    _need("mvn", "Maven")
    _need("java", "a JDK, 17 or newer")
    note("fetching Smack's integration tests with Maven")
    maven = ["mvn", "--batch-mode", "--quiet", f"-Dmaven.repo.local={CACHE / 'm2'}"]
    _run([*maven, CLASSPATH_GOAL, f"-Dmdep.outputFile={SMACK_CLASSPATH}"], cwd=SMACK)
    listed = _run(["java", "-cp", SMACK_CLASSPATH.read_text(), SMACK / "Tests.java"])
    SMACK_TESTS.write_text(listed)


def _need(program, what):
    if not shutil.which(program):
        raise SystemExit(f"interop/run needs `{program}` ({what}), which is not on this machine's PATH")


def _once(name, files, made, step):
    """Does a step unless it was done for just these files."""
    stamp = CACHE / f"{name}.stamp"
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if made.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    step()
    stamp.write_text(wanted)


def _run(command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise SystemExit(f"setting up failed: {words[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout

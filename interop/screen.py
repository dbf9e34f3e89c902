"""A terminal that a program draws on: tmux holds it, we type and look."""

import os
import re
import subprocess
import time
from pathlib import Path

from client import PATIENCE_S

COLUMNS, LINES = 200, 60


class Screen:
    """One program in a tmux of its own."""

    def __init__(self, argv, directory, env):
        self._socket = Path(directory) / "tmux"
        self._argv = argv
        self._env = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "screen-256color", **env}
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "--", *argv)

    def type(self, line):
        """Types a line and Enter."""
        # tmux itself takes a ; at the end for the end of its command.
        self._tmux("send-keys", "-l", "--", re.sub(r";$", r"\;", line))
        self.press("Enter")

    def press(self, *keys):
        """Presses keys by the names that tmux gives them."""
        self._tmux("send-keys", *keys)

    def text(self, colours=False):
        """What is on the screen, with its colours if wished."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []), quiet=True)

    def expect(self, pattern):
        """Waits until the screen shows this, and returns the match. Lines are lines of the screen."""
        return self.wait(lambda text: re.search(pattern, text, re.MULTILINE), repr(pattern))

    def wait(self, shows, what="what was expected"):
        """Waits until `shows` finds something in the text of the screen, and returns that."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            text = self.text()
            if found := shows(text):
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"the screen did not show {what} within {PATIENCE_S} s, but\n{_dense(text)}")
            time.sleep(0.05)

    def ask(self, line, pattern):
        """Types the line again and again until the answer is this: what it asks about may still be under way."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.type(line)
            time.sleep(0.2)
            if re.search(pattern, self.text(), re.MULTILINE):
                return
        self.expect(pattern)

    def dense(self):
        """What is on the screen, without empty lines."""
        return _dense(self.text())

    def close(self):
        """Ends the program with its terminal, if it has not gone by itself."""
        self._tmux("kill-server", quiet=True)

    def wait_gone(self):
        """Waits until the program has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while self._tmux("has-session", quiet=True, code=True) == 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the program did not end; its screen:\n{self.dense()}")
            time.sleep(0.05)

    def _tmux(self, *words, quiet=False, code=False):
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words], env=self._env, text=True, capture_output=True
        )
        if code:
            return done.returncode
        if done.returncode != 0 and not quiet:
            raise RuntimeError(f"tmux {words[0]}: {done.stderr}")
        return done.stdout


def _dense(text):
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())

"""What was checked: one line each, and a count at the end."""

import time
from contextlib import contextmanager


class StoryEnds(Exception):
    """A check failed that the client's next ones rest on."""


class Report:
    """Prints every check as it is done and remembers the failures."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self._begun = time.monotonic()

    def ok(self, client, what):
        self.passed += 1
        print(f"ok    {client:<14} {what}", flush=True)

    def fail(self, client, what, why):
        self.failed += 1
        print(f"FAIL  {client:<14} {what}\n{_indented(why)}", flush=True)

    @contextmanager
    def check(self, client, what):
        """One check: what goes wrong inside it is why it failed. It may add to what is printed by `said(…)`."""
        details = []
        try:
            yield details.append
        except Exception as why:  # whatever went wrong, it is this check that failed
            self.fail(client, what, f"{type(why).__name__}: {why}")
            raise StoryEnds from why
        self.ok(client, f"{what}: {', '.join(details)}" if details else what)

    def summary(self):
        """The last lines; true if nothing failed."""
        print(f"{time.monotonic() - self._begun:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return self.failed == 0


@contextmanager
def lived(house, people):
    """A story that these people live through, by what each is called; it ends at the first check that fails, with what all
    of them show. They are stopped in any case."""
    try:
        yield
    except StoryEnds:
        for name, who in people:
            note(f"what {name} shows:\n{who.trace()}")
        note(f"the server's log ends with:\n{house.log()}")
    finally:
        for _, who in people:
            who.stop()


def note(text):
    """Says what is being done, so that nobody wonders why it takes a while."""
    print(f"──    {text}", flush=True)


def _indented(text):
    return "\n".join(f"      │ {line}" for line in str(text).splitlines())

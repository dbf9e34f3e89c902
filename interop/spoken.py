"""A client that is a small program of ours around a library: it is told what to do, and tells what happens, in lines of
JSON (clients/told.py lists them)."""

import json
import queue
import subprocess
import threading
import time

from client import PATIENCE_S, Client, Login, Refused


class Spoken(Client):
    """Drives the program."""

    def __init__(self, name, argv, env=None):
        self.name = name
        self._argv = argv
        self._env = env
        self._program = None
        self._checks = []
        # What it said as it left that it knows of its archive, if it reads that when it comes back.
        self._known = {}
        # Its address of the last login, if it says so.
        self.jid = None

    def login(self, account, house, entrance, trust):
        self.stop()
        env = self._env(trust) if self._env else None
        self._program = _Program(self._argv, env)
        self._tell(
            do="login",
            jid=account.jid,
            password=account.password,
            host="127.0.0.1",
            port=house.port(entrance),
            tls=entrance.name.lower(),
            trust=str(trust),
            **self._known,
        )
        came = self._program.next(lambda event: event["is"] in ("online", "refused"))
        if came["is"] == "refused":
            raise Refused(came["why"])
        self._checks = came["checks"]
        self.jid = came.get("jid")
        return Login(came["mechanism"], came["tls"])

    def logout(self):
        self._tell(do="logout")
        came = self._program.next(lambda event: event["is"] == "offline")
        self._known = {"known": came["known"]} if "known" in came else {}
        self.stop()

    def subscribe(self, contact):
        self._tell(do="subscribe", to=contact)

    def expect_request(self, contact):
        self._program.next(lambda event: event["is"] == "request" and event["from"] == contact)

    def approve(self, contact):
        self._tell(do="approve", to=contact)

    def expect_roster(self, contact, subscription):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._tell(do="roster")
            items = self._program.next(lambda event: event["is"] == "roster")["items"]
            if items.get(contact) == subscription:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{contact} should be there with {subscription}, the roster has {items}")
            time.sleep(0.1)

    def show(self, show, status):
        self._tell(do="show", show=show, status=status)

    def expect_presence(self, contact, show, status):
        wanted = {"type": "available", "show": show, "status": status}
        self._program.next(
            lambda event: event["is"] == "presence"
            and event["from"] == contact
            and all(event[key] == value for key, value in wanted.items())
        )

    def expect_gone(self, contact):
        self._program.next(
            lambda event: event["is"] == "presence"
            and event["from"] == contact
            and event["type"] == "unavailable"
        )

    def send(self, contact, body):
        self._tell(do="send", to=contact, body=body)

    def expect_message(self, contact, body):
        came = self._next_message()
        if (came["from"], came["body"], came["delayed"]) != (contact, body, None):
            raise AssertionError(f"{body!r} of {contact} should have come, but this did: {came}")

    def expect_held(self, contact, bodies):
        came = [self._next_message() for _ in bodies]
        if [(message["from"], message["body"]) for message in came] != [(contact, body) for body in bodies]:
            raise AssertionError(f"{bodies} should have come, but this did: {came}")
        stamps = [message["delayed"] for message in came]
        if None in stamps or stamps != sorted(stamps):
            raise AssertionError(f"the messages should bear rising times of delay, but have {stamps}")

    def expect_again(self, contact, bodies):
        """The next messages are these, whatever their times: after a resumption some bear one."""
        came = [self._next_message() for _ in bodies]
        if [(message["from"], message["body"]) for message in came] != [(contact, body) for body in bodies]:
            raise AssertionError(f"{bodies} of {contact} should have come, but this did: {came}")

    def flush(self):
        """Waits until what was sent has left the program."""
        self._tell(do="flush")
        self._program.next(lambda event: event["is"] == "flushed")

    def settle(self):
        """Waits until the server has acknowledged what was sent (XEP-0198)."""
        self._tell(do="settle")
        self._program.next(lambda event: event["is"] == "settled")

    def copies(self):
        """Wants copies of what the account's other devices say and hear."""
        self._tell(do="copies")
        self._program.next(lambda event: event["is"] == "copied")

    def seal(self, contact, text):
        """Sends a message with this content (XML); says in which characters its encrypted part left."""
        self._tell(do="seal", to=contact, text=text)
        return self._program.next(lambda event: event["is"] == "sealed")["text"]

    def expect_heard(self, text, times):
        """Just these characters came so many times since the login."""
        self._tell(do="hear", text=text, times=times)
        came = self._program.next(lambda event: event["is"] == "heard")["times"]
        if came != times:
            raise AssertionError(f"this should have come {times} times, but came {came} times: {text}")

    def archive(self, contact):
        """The bodies of all messages with the contact that are in the archive."""
        self._tell(do="archive", **{"with": contact})
        return self._program.next(lambda event: event["is"] == "archive")["bodies"]

    def cut(self):
        """Drops the connection without a word."""
        self._tell(do="cut")
        self._program.next(lambda event: event["is"] == "cut")

    def resume(self):
        """Goes on with the same stream over a new connection, once the earlier one is gone; says how."""
        self._tell(do="resume")
        came = self._program.next(lambda event: event["is"] in ("resumed", "anew"))
        if came["is"] == "anew":
            raise AssertionError("the stream was not resumed, a session was begun anew")
        return came["how"]

    def checks(self):
        return [(what, lambda what=what: self._check(what)) for what in self._checks]

    def _check(self, what):
        self._tell(do="check", what=what)
        came = self._program.next(lambda event: event["is"] == "checked")
        if not came["ok"]:
            raise AssertionError(came["saw"])
        return came["saw"]

    def _next_message(self):
        return self._program.next(lambda event: event["is"] == "message")

    def _tell(self, **command):
        self._program.tell(command)

    def trace(self):
        return self._program.trace() if self._program else ""

    def stop(self):
        if self._program:
            self._program.stop()
            self._program = None


class _Program:
    """The running program, with what it told and nobody has asked for yet."""

    def __init__(self, argv, env):
        self._process = subprocess.Popen(
            argv,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._told = []
        self._coming = queue.Queue()
        self._errors = []
        self._threads = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._keep_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def next(self, wanted):
        """The first event of this kind that nobody has taken; waits for it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for place, event in enumerate(self._told):
                if wanted(event):
                    return self._told.pop(place)
            try:
                event = self._coming.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"nothing of that came in {PATIENCE_S} s, only {self._told}") from None
            if event is None:
                self._coming.put(None)
                raise EOFError(f"the program ended; it had told {self._told}")
            self._told.append(event)

    def _listen(self):
        for line in self._process.stdout:
            self._coming.put(json.loads(line))
        self._coming.put(None)

    def _keep_errors(self):
        for line in self._process.stderr:
            self._errors.append(line)

    def trace(self):
        return "".join(self._errors[-40:])

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()

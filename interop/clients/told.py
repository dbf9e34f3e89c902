"""How a client's program hears what to do and tells what happens: one JSON object a line.

It is told                                        and tells
{"do": "login", "jid", "password", "host",        {"is": "online", "mechanism", "tls", "checks": [names]}
 "port", "tls": "starttls"|"direct", "trust"}       and perhaps "jid", its address
                                                  {"is": "refused", "why"}
{"do": "logout"}                                  {"is": "offline"} and perhaps "known", which its next login is told
{"do": "subscribe", "to"}                         {"is": "request", "from"}
{"do": "approve", "to"}
{"do": "roster"}                                  {"is": "roster", "items": {address: subscription}}
{"do": "show", "show", "status"}                  {"is": "presence", "from", "type", "show", "status"}
{"do": "send", "to", "body"}                      {"is": "message", "from", "body", "delayed": time or null}
{"do": "flush"}                                   {"is": "flushed"}: what was sent has left the program
{"do": "settle"}                                  {"is": "settled"}: what was sent is acknowledged (XEP-0198)
{"do": "cut"}                                     {"is": "cut"}: the connection is gone without a word
{"do": "resume"}                                  {"is": "resumed", "how"} or {"is": "anew"}
{"do": "copies"}                                  {"is": "copied"}: copies of what other devices say and hear come
{"do": "seal", "to", "text"}                      {"is": "sealed", "text"}: sent encrypted (OMEMO), in these characters
{"do": "hear", "text", "times"}                   {"is": "heard", "times"}: so often these characters came, at last
{"do": "archive", "with"}                         {"is": "archive", "bodies"}: all of its archive with somebody
{"do": "check", "what"}                           {"is": "checked", "ok", "saw"}

Addresses in what is told are bare.
"""

import asyncio
import json
import sys


def tell(**event):
    print(json.dumps(event), flush=True)


async def obey(doer):
    """Calls the method of `doer` that each line names, until there are no more."""
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        do = command.pop("do")
        if do == "check":
            await _check(getattr(doer, "check_" + command["what"]))
        else:
            await getattr(doer, do)(**command)


def checks_of(doer):
    """The names of what the program can check by itself."""
    return [name.removeprefix("check_") for name in vars(type(doer)) if name.startswith("check_")]


async def _check(method):
    try:
        saw = await asyncio.wait_for(method(), 15)
        tell(**{"is": "checked", "ok": True, "saw": saw})
    except Exception as error:  # the runner shows it
        tell(**{"is": "checked", "ok": False, "saw": f"{type(error).__name__}: {error}"})

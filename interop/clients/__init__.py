"""The clients by their names."""

import os

import fresh_machine
from clients.go_sendxmpp import GoSendxmpp
from clients.mcabber import Mcabber
from clients.profanity import Profanity
from spoken import Spoken

HERE = fresh_machine.HERE / "clients"
# Everybody's friend uses another client.
FRIENDS = {
    "slixmpp": "xmpp.js",
    "aioxmpp": "slixmpp",
    "xmpp.js": "aioxmpp",
    "profanity": "slixmpp",
    "mcabber": "profanity",
    "go-sendxmpp": "xmpp.js",
}


def client(name):
    """One person's client, not logged in."""
    match name:
        case "slixmpp" | "aioxmpp":
            return Spoken(name, [fresh_machine.VENV_PYTHON, HERE / f"{name}_program.py"])
        case "xmpp.js":
            return Spoken(name, ["node", HERE / "xmpp_js" / "program.mjs"], _trusted_by_node)
        case "profanity":
            return Profanity()
        case "mcabber":
            return Mcabber()
        case "go-sendxmpp":
            return GoSendxmpp()
    raise ValueError(f"there is no client {name}")


def _trusted_by_node(trust):
    return {**os.environ, "NODE_EXTRA_CA_CERTS": str(trust)}

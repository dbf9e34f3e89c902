"""slixmpp, told what to do (told.py)."""

import asyncio
import xml.etree.ElementTree as ET
from pathlib import Path

import slixmpp
import told
from slixmpp.plugins.xep_0191.stanza import Block
from slixmpp.xmlstream import ElementBase, tostring
from told import tell

PLUGINS = ["xep_0030", "xep_0049", "xep_0054", "xep_0060", "xep_0092", "xep_0115", "xep_0118", "xep_0163", "xep_0191",
           "xep_0198", "xep_0199", "xep_0202", "xep_0203", "xep_0280", "xep_0313", "xep_0352"]


class Notes(ElementBase):
    """What is kept as private XML."""

    name = "notes"
    namespace = "waxwing:interop"
    plugin_attrib = "notes"
    interfaces = {"text"}
    sub_interfaces = {"text"}


class Listening(slixmpp.ClientXMPP):
    """A client that remembers what came, as it came."""

    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.heard = b""
        self.more = asyncio.Event()

    def data_received(self, data):
        self.heard += data
        self.more.set()
        super().data_received(data)


class Slixmpp:
    """One client that can log in once."""

    async def login(self, jid, password, host, port, tls, trust):
        self.xmpp = xmpp = Listening(jid, password)
        for plugin in PLUGINS:
            xmpp.register_plugin(plugin)
        xmpp.auto_authorize = None
        xmpp.auto_subscribe = False
        xmpp.ca_certs = Path(trust)
        xmpp.enable_direct_tls = tls == "direct"
        xmpp.enable_starttls = tls == "starttls"
        xmpp.enable_plaintext = False
        outcome = asyncio.get_running_loop().create_future()

        def refused(why):
            if not outcome.done():
                outcome.set_result(f"{why}")

        for event in ("ssl_invalid_chain", "connection_failed", "failed_auth", "disconnected"):
            xmpp.add_event_handler(event, refused)
        xmpp.add_event_handler("session_start", lambda _: outcome.done() or outcome.set_result(None))
        xmpp.add_event_handler("message", self._message)
        xmpp.add_event_handler("presence", self._presence)
        self.address = (host, port)
        xmpp.connect(host, port)
        why = await outcome
        if why is not None:
            xmpp.cancel_connection_attempt()
            return tell(**{"is": "refused", "why": why})
        version = xmpp.socket.version()
        await xmpp.get_roster()
        xmpp.send_presence()
        mechanism = xmpp.plugin["feature_mechanisms"].mech.name
        address = xmpp.boundjid.full
        tell(**{"is": "online", "mechanism": mechanism, "tls": version, "checks": told.checks_of(self), "jid": address})

    async def logout(self):
        await self.xmpp.disconnect()
        tell(**{"is": "offline"})

    async def subscribe(self, to):
        await self.xmpp.update_roster(to, name="The other one", groups=["Interop"])
        self.xmpp.send_presence_subscription(to)

    async def approve(self, to):
        self.xmpp.send_presence(pto=to, ptype="subscribed")

    async def roster(self):
        # What the first answer and the pushes since then made of it.
        roster = self.xmpp.client_roster
        tell(**{"is": "roster", "items": {jid: roster[jid]["subscription"] for jid in roster}})

    async def show(self, show, status):
        self.xmpp.send_presence(pshow=show, pstatus=status)

    async def send(self, to, body):
        self.xmpp.send_message(to, body, mtype="chat")

    async def flush(self):
        await self.xmpp.waiting_queue.join()
        tell(**{"is": "flushed"})

    async def settle(self):
        management = self.xmpp.plugin["xep_0198"]
        await self.xmpp.waiting_queue.join()
        while management.unacked_queue:
            acked = self._next("stanza_acked")
            management.request_ack()
            await acked
        tell(**{"is": "settled"})

    async def copies(self):
        await self.xmpp.plugin["xep_0280"].enable()
        tell(**{"is": "copied"})

    async def seal(self, to, text):
        message = self.xmpp.make_message(to, mtype="chat")
        message["id"] = self.xmpp.new_id()
        for child in ET.fromstring(f"<message xmlns='jabber:client'>{text}</message>"):
            message.append(child)
        message.send()
        (sealed,) = message.xml.iter("{eu.siacs.conversations.axolotl}encrypted")
        tell(**{"is": "sealed", "text": tostring(sealed, xmlns="jabber:client", stream=self.xmpp)})

    async def hear(self, text, times):
        while self.xmpp.heard.count(text.encode()) < times:
            self.xmpp.more.clear()
            await self.xmpp.more.wait()
        # What else was on its way comes before the answer.
        await self.xmpp.plugin["xep_0199"].ping(self.xmpp.boundjid.domain)
        tell(**{"is": "heard", "times": self.xmpp.heard.count(text.encode())})

    async def archive(self, **who):
        found = self.xmpp.plugin["xep_0313"].iterate(with_jid=slixmpp.JID(who["with"]))
        bodies = [result["mam_result"]["forwarded"]["stanza"]["body"] async for result in found]
        tell(**{"is": "archive", "bodies": bodies})

    async def cut(self):
        gone = self._next("disconnected")
        self.xmpp.abort()
        await gone
        tell(**{"is": "cut"})

    async def resume(self):
        if self.xmpp.transport:
            await self._next("disconnected")
        resumed, anew = self._next("session_resumed"), self._next("session_start")
        self.xmpp.connect(*self.address)
        await asyncio.wait([resumed, anew], return_when=asyncio.FIRST_COMPLETED)
        tell(**({"is": "resumed", "how": "by <resume/>"} if resumed.done() else {"is": "anew"}))

    def _next(self, event):
        """What comes with the next of these events."""
        coming = asyncio.get_running_loop().create_future()
        self.xmpp.add_event_handler(event, lambda data: coming.done() or coming.set_result(data), disposable=True)
        return coming

    def _message(self, message):
        stamp = message["delay"]["stamp"] if message.get_plugin("delay", check=True) else None
        delayed = stamp and stamp.isoformat()
        tell(**{"is": "message", "from": message["from"].bare, "body": message["body"], "delayed": delayed})

    def _presence(self, presence):
        kind = presence.xml.get("type", "available")
        if kind == "subscribe":
            tell(**{"is": "request", "from": presence["from"].bare})
        elif kind in ("available", "unavailable"):
            show = presence.xml.findtext("{jabber:client}show") or ""
            told_of = {"from": presence["from"].bare, "type": kind, "show": show, "status": presence["status"]}
            tell(**{"is": "presence", **told_of})

    async def check_disco(self):
        domain = self.xmpp.boundjid.domain
        info = await self.xmpp.plugin["xep_0030"].get_info(jid=domain)
        features = info["disco_info"]["features"]
        identities = {(category, kind) for category, kind, *_ in info["disco_info"]["identities"]}
        assert ("server", "im") in identities, identities
        assert {"urn:xmpp:ping", "urn:xmpp:blocking", "vcard-temp"} <= features, features
        account = await self.xmpp.plugin["xep_0030"].get_info(jid=self.xmpp.boundjid.bare)
        kinds = {(category, kind) for category, kind, *_ in account["disco_info"]["identities"]}
        assert ("account", "registered") in kinds, kinds
        await self.xmpp.plugin["xep_0030"].get_items(jid=domain)
        return f"{len(features)} features of the server"

    async def check_ping(self):
        return f"{await self.xmpp.plugin['xep_0199'].ping(self.xmpp.boundjid.domain) * 1000:.0f} ms"

    async def check_version(self):
        answer = await self.xmpp.plugin["xep_0092"].get_version(self.xmpp.boundjid.domain)
        name = answer["software_version"]["name"]
        assert name, "no name"
        return name

    async def check_time(self):
        answer = await self.xmpp.plugin["xep_0202"].get_entity_time(self.xmpp.boundjid.domain)
        # Its own reading of the time adds a second Z (1.17.0).
        utc = answer["entity_time"].xml.findtext("{urn:xmpp:time}utc")
        assert utc and utc.endswith("Z"), utc
        return utc

    async def check_vcard(self):
        vcard = self.xmpp.plugin["xep_0054"].make_vcard()
        vcard["FN"] = "Ælfrēd & <Søn>"
        await self.xmpp.plugin["xep_0054"].publish_vcard(vcard)
        answer = await self.xmpp.plugin["xep_0054"].get_vcard(self.xmpp.boundjid.bare)
        assert answer["vcard_temp"]["FN"] == "Ælfrēd & <Søn>", answer
        return "published and read again"

    async def check_personal_eventing(self):
        node, account = "http://jabber.org/protocol/tune", self.xmpp.boundjid.bare
        nodes, published = self.xmpp.plugin["xep_0060"], self._next("user_tune_publish")
        await self.xmpp.plugin["xep_0118"].publish_tune(artist="Yes", title="Heart of the <Sunrise>")
        # Its capabilities say that it wants to hear of tunes, its own among them.
        heard = (await published)["pubsub_event"]["items"]["item"]["tune"]
        assert (heard["artist"], heard["title"]) == ("Yes", "Heart of the <Sunrise>"), heard
        items = (await nodes.get_items(account, node))["pubsub"]["items"]
        assert [item["id"] for item in items] == ["current"], items
        retracted = self._next("user_tune_retract")
        await nodes.retract(account, node, "current", notify=True)
        await retracted
        assert not list((await nodes.get_items(account, node))["pubsub"]["items"])
        found = (await nodes.get_nodes(account))["disco_items"]["items"]
        assert node in {name for _, name, _ in found}, found
        await nodes.delete_node(account, node)
        return "published, heard, read and retracted a tune"

    async def check_blocking(self):
        blocking = self.xmpp.plugin["xep_0191"]
        pushed = asyncio.get_running_loop().create_future()
        self.xmpp.add_event_handler("blocked", lambda iq: pushed.done() or pushed.set_result(iq))
        # Who has asked for the list hears of its changes.
        assert await blocking.get_blocked_jids() == set()
        await blocking.block("nuisance@localhost")
        push = await pushed
        assert isinstance(push["block"], Block)
        assert await blocking.get_blocked_jids() == {slixmpp.JID("nuisance@localhost")}
        await blocking.unblock("nuisance@localhost")
        assert await blocking.get_blocked_jids() == set()
        return "blocked, pushed, listed and unblocked"

    async def check_private_xml(self):
        private = self.xmpp.plugin["xep_0049"]
        private.register(Notes)
        notes = Notes()
        notes["text"] = "<remember & keep>"
        await private.store(notes)
        answer = await private.retrieve("notes")
        assert answer["private"]["notes"]["text"] == "<remember & keep>", answer
        return "kept and read again"

    async def check_carbons(self):
        await self.xmpp.plugin["xep_0280"].enable()
        return "wants copies"

    async def check_client_state(self):
        self.xmpp.plugin["xep_0352"].send_inactive()
        # What answers is never held back.
        await self.xmpp.plugin["xep_0199"].ping(self.xmpp.boundjid.domain)
        self.xmpp.plugin["xep_0352"].send_active()
        return "looked away and back"

    async def check_archive(self):
        archive = self.xmpp.plugin["xep_0313"]
        me = self.xmpp.boundjid.bare
        notes = [f"note {number} & more" for number in range(25)]
        for note in notes:
            self.xmpp.send_message(me, note, mtype="chat")
        await self.xmpp.plugin["xep_0199"].ping(self.xmpp.boundjid.domain)

        async def read(**how):
            found = archive.iterate(with_jid=slixmpp.JID(me), rsm={"max": 10}, **how)
            return [result["mam_result"]["forwarded"]["stanza"]["body"] async for result in found]

        # Three pages each.
        assert await read() == notes, "forwards"
        assert await read(reverse=True) == notes[::-1], "backwards"
        fields = set((await archive.get_fields()).get_fields())
        assert {"with", "start", "end", "before-id", "after-id", "ids"} <= fields, fields
        return f"{len(notes)} messages in pages of 10, both ways"


asyncio.run(told.obey(Slixmpp()))

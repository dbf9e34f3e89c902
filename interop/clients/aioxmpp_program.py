"""aioxmpp, told what to do (told.py)."""

import asyncio
import warnings

warnings.simplefilter("ignore")  # it is older than what it rests on, and they say so at length

import aiosasl
import aioxmpp
import aioxmpp.private_xml.xso
import aioxmpp.vcard.xso
import aioxmpp.xso
import lxml.etree
import told
from aiosasl.channel_binding import ChannelBindingProvider
from told import tell


@aioxmpp.private_xml.xso.Query.as_payload_class
class Notes(aioxmpp.xso.XSO):
    """What is kept as private XML."""

    TAG = ("waxwing:interop", "notes")
    text = aioxmpp.xso.ChildText(("waxwing:interop", "text"), default=None)


class Exporter(ChannelBindingProvider):
    """`tls-exporter` (RFC 9266), which aiosasl can be given though it brings none."""

    def __init__(self, connection):
        self._connection = connection

    @property
    def cb_name(self):
        return b"tls-exporter"

    def extract_cb_data(self):
        return self._connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")


class Bound(aioxmpp.security_layer.SASLProvider):
    """SCRAM bound to the channel, and a memory of what it was."""

    def __init__(self, password):
        self._password = password
        self.mechanism = self.tls = None

    async def execute(self, client_jid, features, xmlstream, tls_transport):
        connection = tls_transport.get_extra_info("ssl_object")
        self.tls = connection.get_protocol_version_name()

        async def credentials():
            return client_jid.localpart, self._password

        mechanism_class, token = self._find_supported(features, [aiosasl.SCRAMPLUS])
        if mechanism_class is None:
            return False
        self.mechanism = token[0]
        interface = aioxmpp.sasl.SASLXMPPInterface(xmlstream)
        return await self._execute(interface, mechanism_class(credentials, Exporter(connection)), token)


class Verifier(aioxmpp.security_layer.PKIXCertificateVerifier):
    """Its verifier, and a memory of what it did not like: aioxmpp itself does not tell."""

    complaint = None

    def verify_callback(self, ctx, x509, errno, errdepth, returncode):
        fine = super().verify_callback(ctx, x509, errno, errdepth, returncode)
        if not fine:
            Verifier.complaint = f"the certificate of {x509.get_subject().CN} is not trusted (OpenSSL's error {errno})"
        return fine


class Aioxmpp:
    """One client that can log in once."""

    async def login(self, jid, password, host, port, tls, trust):
        def context():
            made = aioxmpp.security_layer.default_ssl_context()
            made.load_verify_locations(trust)
            return made

        sasl = Bound(password)
        layer = aioxmpp.security_layer.SecurityLayer(context, Verifier, True, (sasl,))
        connector = aioxmpp.connector.XMPPOverTLSConnector if tls == "direct" else aioxmpp.connector.STARTTLSConnector
        self.client = client = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(jid), layer, override_peer=[(host, port, connector())], max_initial_attempts=1
        )
        self.rosters = client.summon(aioxmpp.RosterClient)
        self.rosters.on_subscribe.connect(lambda stanza: tell(**{"is": "request", "from": str(stanza.from_.bare())}))
        presences = client.summon(aioxmpp.PresenceClient)
        presences.on_available.connect(self._available)
        presences.on_changed.connect(self._available)
        presences.on_unavailable.connect(self._unavailable)
        self.disco = client.summon(aioxmpp.DiscoClient)
        self.blocking = client.summon(aioxmpp.BlockingClient)
        self.pings = client.summon(aioxmpp.PingService)
        self.private = client.summon(aioxmpp.private_xml.PrivateXMLService)
        self.vcards = client.summon(aioxmpp.vcard.VCardService)
        messages = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        messages.register_callback(aioxmpp.MessageType.CHAT, None, self._message)
        outcome = asyncio.get_running_loop().create_future()
        client.on_failure.connect(lambda error: outcome.set_result(error) if not outcome.done() else None)
        client.on_stream_established.connect(lambda: outcome.set_result(None) if not outcome.done() else None)
        client.presence = aioxmpp.PresenceState(True)
        error = await outcome
        if error is not None:
            return tell(**{"is": "refused", "why": Verifier.complaint or repr(error)})
        tell(**{"is": "online", "mechanism": sasl.mechanism, "tls": sasl.tls, "checks": told.checks_of(self)})

    async def logout(self):
        gone = asyncio.get_running_loop().create_future()
        self.client.on_stopped.connect(lambda: gone.set_result(None))
        self.client.stop()
        await gone
        tell(**{"is": "offline"})

    async def subscribe(self, to):
        jid = aioxmpp.JID.fromstr(to)
        await self.rosters.set_entry(jid, name="The other one", add_to_groups={"Interop"})
        self.rosters.subscribe(jid)

    async def approve(self, to):
        self.rosters.approve(aioxmpp.JID.fromstr(to))

    async def roster(self):
        items = {str(jid): item.subscription for jid, item in self.rosters.items.items()}
        tell(**{"is": "roster", "items": items})

    async def show(self, show, status):
        self.client.set_presence(aioxmpp.PresenceState(True, aioxmpp.PresenceShow(show or None)), status)

    async def send(self, to, body):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=aioxmpp.JID.fromstr(to))
        message.body[None] = body
        await self.client.send(message)

    def _message(self, message):
        if not message.body:
            return
        stamps = [delay.stamp.isoformat() for delay in message.xep0203_delay]
        sender = str(message.from_.bare())
        delayed = stamps[0] if stamps else None
        tell(**{"is": "message", "from": sender, "body": message.body.any(), "delayed": delayed})

    def _available(self, jid, stanza):
        self._presence(jid, stanza, "available")

    def _unavailable(self, jid, stanza):
        self._presence(jid, stanza, "unavailable")

    def _presence(self, jid, stanza, kind):
        status = (stanza.status.any() if stanza.status else None) or ""
        told_of = {"from": str(jid.bare()), "type": kind, "show": stanza.show.value or "", "status": status}
        tell(**{"is": "presence", **told_of})

    @property
    def _domain(self):
        return self.client.local_jid.replace(localpart=None, resource=None)

    async def check_disco(self):
        info = await self.disco.query_info(self._domain)
        assert {"urn:xmpp:ping", "urn:xmpp:blocking", "vcard-temp"} <= info.features, info.features
        account = await self.disco.query_info(self.client.local_jid.bare())
        assert ("account", "registered") in {(who.category, who.type_) for who in account.identities}
        await self.disco.query_items(self._domain)
        return f"{len(info.features)} features of the server"

    async def check_ping(self):
        begun = asyncio.get_running_loop().time()
        await self.pings.ping(self._domain)
        return f"{(asyncio.get_running_loop().time() - begun) * 1000:.0f} ms"

    async def check_vcard(self):
        vcard = await self.vcards.get_vcard()
        name = lxml.etree.Element("{vcard-temp}FN")
        name.text = "Ælfrēd & <Søn>"
        vcard.elements.append(name)
        await self.vcards.set_vcard(vcard)
        read = await self.vcards.get_vcard(self.client.local_jid.bare())
        assert [element.text for element in read.elements] == ["Ælfrēd & <Søn>"], read.elements
        return "published and read again"

    async def check_blocking(self):
        nuisance = aioxmpp.JID.fromstr("nuisance@localhost")
        for block, wanted in ((self.blocking.block_jids, {nuisance}), (self.blocking.unblock_jids, set())):
            # Its list changes with the server's push.
            changed = asyncio.get_running_loop().create_future()
            signal = self.blocking.on_jids_blocked if wanted else self.blocking.on_jids_unblocked
            signal.connect(lambda _, changed=changed: changed.set_result(None))
            await block([nuisance])
            await changed
            assert self.blocking.blocklist == wanted, self.blocking.blocklist
        return "blocked and unblocked, each pushed"

    async def check_private_xml(self):
        notes = Notes()
        notes.text = "<remember & keep>"
        await self.private.set_private_xml(notes)
        read = (await self.private.get_private_xml(Notes())).registered_payload
        assert read.text == "<remember & keep>", read.text
        return "kept and read again"


asyncio.run(told.obey(Aioxmpp()))

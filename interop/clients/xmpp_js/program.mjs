// @xmpp/client over TCP, told what to do (../told.py). Which certificates it trusts, NODE_EXTRA_CA_CERTS says.

import { createInterface } from "node:readline";

import { client, jid, xml } from "@xmpp/client";

const tell = (event) => console.log(JSON.stringify(event));
const bare = (address) => jid(address).bare().toString();
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const SASL2 = "urn:xmpp:sasl:2";
const BIND2 = "urn:xmpp:bind:0";
const SM = "urn:xmpp:sm:3";
const MAM = "urn:xmpp:mam:2";
const RSM = "http://jabber.org/protocol/rsm";

class XmppJs {
  items = new Map();
  // The same client each time, with the token that the server has given it (XEP-0484).
  userAgent = xml("user-agent", { id: crypto.randomUUID() }, xml("software", {}, "xmpp.js"));
  token = null;
  // The id in the archive of the last message that it has.
  known = null;

  // First with the password; then, as the same client, with the token that came of it (XEP-0484).
  async login({ jid: address, password, port, tls, known }) {
    this.known = known ?? null;
    const { local: username, domain } = jid(address);
    const scheme = tls === "direct" ? "xmpps" : "xmpp";
    // The certificate is verified for this name, too.
    const service = `${scheme}://${domain}:${port}`;
    const error = await this.start({ service, domain, username, password });
    if (error) return tell({ is: "refused", why: String(error) });
    const first = this.mechanism;
    await this.xmpp.stop();
    const later = await this.start({ service, domain, username, password });
    if (later) return tell({ is: "refused", why: String(later) });
    const mechanism = `${first}, then ${this.mechanism}`;
    const { xmpp } = this;
    this.note(await this.ask("get", xml("query", "jabber:iq:roster")));
    await this.catchUp();
    // It is there once the server says so.
    const seen = new Promise((resolve) => xmpp.on("stanza", (stanza) => {
      if (stanza.is("presence") && stanza.attrs.from === String(xmpp.jid)) resolve();
    }));
    await xmpp.send(xml("presence"));
    await seen;
    const checks = ["token", "clients", "disco", "ping", "version", "vcard", "blocking", "private_xml"];
    tell({ is: "online", mechanism, tls: xmpp.socket.socket.getProtocol(), checks });
  }

  // Who is bound within the login takes what came meanwhile out of the archive (XEP-0386): from the last message on that
  // it knows.
  async catchUp() {
    for (let complete = this.known === null; !complete; ) {
      const set = xml("set", RSM, xml("max", {}, "20"), xml("after", {}, this.known));
      const fin = await this.ask("set", xml("query", MAM, set));
      complete = fin.attrs.complete === "true";
    }
  }

  // Why it did not come in, if so.
  async start(who) {
    const xmpp = (this.xmpp = client({ ...who, userAgent: this.userAgent }));
    xmpp.reconnect.stop();
    // It derives keys by itself, which takes it a second on an idle machine; its default is two for each step.
    xmpp.timeout = 20_000;
    // 0.14 does not count what it answers or is answered (iq/caller.js and iq/callee.js stand before
    // stream-management/index.js and pass nothing on), and so would be sent again what it has had.
    const { streamManagement } = xmpp;
    let counted;
    xmpp.prependListener("element", () => (counted = streamManagement.inbound));
    xmpp.on("element", (element) => {
      if (xmpp.isStanza(element) && streamManagement.inbound === counted) streamManagement.inbound += 1;
    });
    xmpp.fast.fetchToken = async () => this.token;
    xmpp.fast.saveToken = async (token) => (this.token = token);
    xmpp.fast.deleteToken = async () => (this.token = null);
    xmpp.on("stanza", (stanza) => this.hear(stanza));
    xmpp.iqCallee.set("jabber:iq:roster", "query", ({ element }) => {
      this.note(element);
      return true;
    });
    xmpp.on("send", (element) => {
      if (element.name === "auth") this.mechanism = element.attrs.mechanism;
      if (element.name !== "authenticate") return;
      const bound = element.getChild("bind", BIND2) ? " with Bind 2" : "";
      this.mechanism = `${element.attrs.mechanism} in SASL2${bound}`;
    });
    const failed = new Promise((resolve) => xmpp.on("error", resolve));
    // 0.14 waits for the answer to its header only once that has been written (open() in connection/index.js), and
    // until its time is out if the answer was there before. Nothing but that hangs.
    const online = next(xmpp, "online").then(() => null);
    return Promise.race([online, xmpp.start().then(() => null, (error) => error), failed]);
  }

  async logout() {
    await this.xmpp.send(xml("presence", { type: "unavailable" }));
    await this.xmpp.stop();
    tell({ is: "offline", known: this.known });
  }

  async subscribe({ to }) {
    const item = xml("item", { jid: to, name: "The other one" }, xml("group", {}, "Interop"));
    await this.ask("set", xml("query", "jabber:iq:roster", item));
    await this.xmpp.send(xml("presence", { to, type: "subscribe" }));
  }

  async approve({ to }) {
    await this.xmpp.send(xml("presence", { to, type: "subscribed" }));
  }

  async roster() {
    tell({ is: "roster", items: Object.fromEntries(this.items) });
  }

  async show({ show, status }) {
    const parts = [show && xml("show", {}, show), status && xml("status", {}, status)];
    await this.xmpp.send(xml("presence", {}, ...parts.filter(Boolean)));
  }

  async send({ to, body }) {
    await this.xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, body)));
  }

  async flush() {
    // Each stanza was written when it was sent.
    tell({ is: "flushed" });
  }

  async settle() {
    const { streamManagement } = this.xmpp;
    while (streamManagement.outbound_q.length > 0) await next(streamManagement, "ack");
    tell({ is: "settled" });
  }

  async cut() {
    const gone = next(this.xmpp, "disconnect");
    this.xmpp.socket.socket.destroy();
    await gone;
    tell({ is: "cut" });
  }

  async resume() {
    const { xmpp } = this;
    if (xmpp.status !== "disconnect") await next(xmpp, "disconnect");
    let how = "by <resume/>";
    xmpp.on("send", (element) => {
      if (element.is("authenticate", SASL2) && element.getChild("resume", SM)) how = "within SASL2";
    });
    const resumed = next(xmpp.streamManagement, "resumed").then(() => ({ is: "resumed", how }));
    const anew = next(xmpp, "online").then(() => ({ is: "anew" }));
    xmpp.reconnect.delay = 0;
    xmpp.reconnect.scheduleReconnect();
    tell(await Promise.race([resumed, anew]));
  }

  async check({ what }) {
    try {
      tell({ is: "checked", ok: true, saw: await this[`check_${what}`]() });
    } catch (error) {
      tell({ is: "checked", ok: false, saw: String(error) });
    }
  }

  hear(stanza) {
    const result = stanza.getChild("result", MAM);
    if (result) return this.hearOf(result);
    this.known = stanza.getChild("stanza-id", "urn:xmpp:sid:0")?.attrs.id ?? this.known;
    const from = stanza.attrs.from && bare(stanza.attrs.from);
    if (stanza.is("message") && stanza.getChild("body")) {
      const delayed = stanza.getChild("delay", "urn:xmpp:delay")?.attrs.stamp ?? null;
      tell({ is: "message", from, body: stanza.getChildText("body"), delayed });
    } else if (stanza.is("presence")) {
      const type = stanza.attrs.type ?? "available";
      if (type === "subscribe") return tell({ is: "request", from });
      const [show, status] = ["show", "status"].map((name) => stanza.getChildText(name) ?? "");
      tell({ is: "presence", from, type, show, status });
    }
  }

  // A message out of the archive; what it said itself it knows.
  hearOf(result) {
    this.known = result.attrs.id;
    const forwarded = result.getChild("forwarded", "urn:xmpp:forward:0");
    const message = forwarded.getChild("message", "jabber:client");
    const from = bare(message.attrs.from);
    if (from === this.xmpp.jid.bare().toString() || !message.getChild("body")) return;
    const delayed = forwarded.getChild("delay", "urn:xmpp:delay").attrs.stamp;
    tell({ is: "message", from, body: message.getChildText("body"), delayed });
  }

  note(query) {
    for (const item of query.getChildren("item")) {
      this.items.set(item.attrs.jid, item.attrs.subscription);
    }
  }

  async ask(type, payload, to) {
    const answer = await this.xmpp.iqCaller.request(xml("iq", { type, to }, payload));
    return answer.getChildElements()[0];
  }

  async check_token() {
    return expected(this.mechanism, "HT-SHA-256-NONE in SASL2 with Bind 2");
  }

  async check_clients() {
    const list = await this.ask("get", xml("list", "urn:xmpp:cam:0"));
    const known = list.getChildren("client").map((known) => {
      const auth = known.getChild("auth").getChildElements().map((way) => way.name);
      return `${known.getChild("user-agent")?.getChildText("software")} by ${auth.join(" and ")}`;
    });
    // Each of its programs is one.
    return expected([...new Set(known)].join(), "xmpp.js by password and fast");
  }

  async check_disco() {
    const info = await this.ask("get", xml("query", "http://jabber.org/protocol/disco#info"), "localhost");
    const features = info.getChildren("feature").map((feature) => feature.attrs.var);
    for (const wanted of ["urn:xmpp:ping", "urn:xmpp:blocking", "vcard-temp"]) {
      if (!features.includes(wanted)) throw new Error(`no ${wanted} in ${features}`);
    }
    return `${features.length} features of the server`;
  }

  async check_ping() {
    const begun = performance.now();
    await this.ask("get", xml("ping", "urn:xmpp:ping"), "localhost");
    return `${Math.round(performance.now() - begun)} ms`;
  }

  async check_version() {
    const answer = await this.ask("get", xml("query", "jabber:iq:version"), "localhost");
    return expected(answer.getChildText("name"), "Waxwing");
  }

  async check_vcard() {
    await this.ask("set", xml("vCard", "vcard-temp", xml("FN", {}, "Ælfrēd & <Søn>")));
    const card = await this.ask("get", xml("vCard", "vcard-temp"));
    expected(card.getChildText("FN"), "Ælfrēd & <Søn>");
    return "published and read again";
  }

  async check_blocking() {
    const ns = "urn:xmpp:blocking";
    const nuisance = () => xml("item", { jid: "nuisance@localhost" });
    const listed = async () => {
      const list = await this.ask("get", xml("blocklist", ns));
      return list.getChildren("item").map((item) => item.attrs.jid).join();
    };
    await this.ask("set", xml("block", ns, nuisance()));
    expected(await listed(), "nuisance@localhost");
    await this.ask("set", xml("unblock", ns, nuisance()));
    expected(await listed(), "");
    return "blocked, listed and unblocked";
  }

  async check_private_xml() {
    const notes = (text) => xml("query", "jabber:iq:private", xml("notes", "waxwing:interop", text));
    await this.ask("set", notes("<remember & keep>"));
    const kept = await this.ask("get", notes());
    expected(kept.getChildText("notes"), "<remember & keep>");
    return "kept and read again";
  }
}

function expected(saw, wanted) {
  if (saw !== wanted) throw new Error(`${JSON.stringify(saw)} instead of ${JSON.stringify(wanted)}`);
  return saw;
}

const doer = new XmppJs();
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await doer[command.do](command);
}
process.exit(0);

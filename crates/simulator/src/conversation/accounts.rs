//! Making and removing accounts on a server that lets anybody register (XEP-0077), so that a conversation can begin
//! with nothing on a server that is not ours.

use super::client::{Client, account};
use super::reader::escape;
use super::stage::{Door, Stage};

/// Registers an account.
///
/// # Errors
/// When the server refuses.
pub fn create(stage: &mut dyn Stage, jid: &str, password: &str) -> Result<(), String> {
    let (bare, domain) = account(jid);
    let local = bare.split('@').next().unwrap_or(bare);
    let mut client = Client::connect(stage, Door::Plain, domain)?;
    client.start_tls(stage, domain, None)?;
    client.open(stage, domain)?;
    client.element(stage)?;
    let register = format!(
        "<iq type='set' id='reg' to='{domain}'><query xmlns='jabber:iq:register'><username>{}</username>\
         <password>{}</password></query></iq>",
        escape(local),
        escape(password)
    );
    client.say(stage, register.as_bytes());
    let answer = client.element(stage)?;
    stage.cut(client.wire);
    match answer.attribute("type") {
        Some("result") => Ok(()),
        _ => Err(format!("{jid} was not registered: {}", answer.to_xml())),
    }
}

/// Removes an account if it exists.
///
/// # Errors
/// When it can be logged into and not removed.
pub fn remove(stage: &mut dyn Stage, jid: &str, password: &str) -> Result<(), String> {
    let (_, domain) = account(jid);
    let mut client = Client::connect(stage, Door::Plain, domain)?;
    if client.log_in(stage, jid, password).is_err() {
        stage.cut(client.wire);
        return Ok(());
    }
    client.bind(stage, &format!("{jid}/remover"))?;
    client.say(stage, b"<iq type='set' id='rm'><query xmlns='jabber:iq:register'><remove/></query></iq>");
    let answer = client.element(stage)?;
    stage.cut(client.wire);
    match answer.attribute("type") {
        Some("result") => Ok(()),
        // A server may close the stream at once (XEP-0077 §3.2).
        _ if answer.name == "error" => Ok(()),
        _ => Err(format!("{jid} was not removed: {}", answer.to_xml())),
    }
}

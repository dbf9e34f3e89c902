//! A scene's settings as lines of our own configuration, for stages that have our server on them.

use std::fmt::Write as _;

use super::stage::Setting;

/// Limits of one address, which all who converse share, and of haste, which tests are in. Where they matter they are
/// set.
const OFF: [&str; 3] = ["connections_per_second", "failed_logins_per_address", "inbound_stanzas_per_second"];

/// The lines, with dotted keys: they go before all sections. Where client certificates are trusted is the stage's own
/// matter.
pub fn lines(settings: &[Setting]) -> String {
    let has = |setting: &Setting| settings.contains(setting);
    let (mut admins, mut contacts, mut mechanisms) = (Vec::new(), String::new(), String::new());
    let mut limits = String::new();
    for name in OFF {
        if !settings.iter().any(|setting| matches!(setting, Setting::Limit(set, _) if set == name)) {
            limits.push_str(&format!("limits.{name} = 0\n"));
        }
    }
    for setting in settings {
        match setting {
            Setting::Mechanisms(names) => mechanisms = format!("sasl.mechanisms = {names:?}\n"),
            Setting::Admin(jid) => admins.push(format!("\"{jid}\"")),
            Setting::Limit(name, value) => drop(writeln!(limits, "limits.{name} = {value}")),
            Setting::Key(name, value) => drop(writeln!(limits, "{name} = {value}")),
            Setting::Contact(kind, address) => drop(writeln!(contacts, "contact.{kind} = [\"{address}\"]")),
            _ => {}
        }
    }
    format!(
        "domains = [\"one.test\", \"two.test\"]\nsasl.iterations = 4096\nsasl.anonymous = {}\n\
         registration.open = {}\ntls.required = {}\nadmin.accounts = [{}]\n{contacts}{mechanisms}{limits}",
        has(&Setting::Anonymous),
        has(&Setting::RegistrationOpen),
        !has(&Setting::PlaintextAllowed),
        admins.join(", "),
    )
}

//! How a node is configured (XEP-0060 §8.2): what may be said of it, and what is meant if nothing is.

use step::domain::Limits;
use xmpp::error::{Condition, StanzaError};
use xmpp::form::{Field, Form, FormType};
use xmpp::ns;
use xmpp::stanza::Type;

use crate::errors::error;

/// Bytes of a title, a description, a type, or the name of a group.
const TEXT_BYTES_MAX: usize = 1_023;
/// Groups of the roster that may see a node.
const GROUPS_MAX: usize = 100;

/// Who may see a node (XEP-0060 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Who sees the owner's presence.
    Presence,
    /// Of those, who is in one of some groups.
    Roster,
    /// Members.
    Whitelist,
}

impl Access {
    const ALL: [Access; 4] = [Access::Open, Access::Presence, Access::Roster, Access::Whitelist];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Access::Open => "open",
            Access::Presence => "presence",
            Access::Roster => "roster",
            Access::Whitelist => "whitelist",
        }
    }
}

/// When the last item is sent without having been published just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendLast {
    /// Never.
    Never,
    /// To who subscribes.
    OnSubscription,
    /// And to who comes online.
    OnPresence,
}

impl SendLast {
    const ALL: [SendLast; 3] = [SendLast::Never, SendLast::OnSubscription, SendLast::OnPresence];

    fn name(self) -> &'static str {
        match self {
            SendLast::Never => "never",
            SendLast::OnSubscription => "on_sub",
            SendLast::OnPresence => "on_sub_and_presence",
        }
    }
}

/// The configuration of a node; the default is that of XEP-0163 §5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A name for people.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// What its payloads are, usually their namespace.
    pub type_: String,
    /// Who may see it.
    pub access: Access,
    /// The groups that may, if some may.
    pub groups: Vec<String>,
    /// Whether items are kept.
    pub persist: bool,
    /// How many; none: as many as the server keeps.
    pub max_items: Option<usize>,
    /// Bytes of one payload; none: as many as the server takes.
    pub max_payload: Option<usize>,
    /// When the last item is sent.
    pub send_last: SendLast,
    /// Whether anybody hears of what is published.
    pub notifies: bool,
    /// Whether they hear what was.
    pub with_payloads: bool,
    /// Whether they always hear of what is taken back.
    pub notifies_retract: bool,
    /// Whether they hear that the node is deleted.
    pub notifies_delete: bool,
    /// Whether they hear that it is configured.
    pub notifies_config: bool,
    /// The type of the messages.
    pub message: Type,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            title: String::new(),
            description: String::new(),
            type_: String::new(),
            access: Access::Presence,
            groups: Vec::new(),
            persist: true,
            max_items: Some(1),
            max_payload: None,
            send_last: SendLast::OnPresence,
            notifies: true,
            with_payloads: true,
            notifies_retract: true,
            notifies_delete: true,
            notifies_config: false,
            message: Type::Headline,
        }
    }
}

/// Why something cannot be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such field.
    Field,
    /// Not with this value.
    Value,
    /// There is no such way to say who may see it.
    Access,
}

impl From<Wrong> for StanzaError {
    /// XEP-0060 §8.1.2, §8.2.5.2
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Field | Wrong::Value => Condition::NotAcceptable.into(),
            Wrong::Access => error(Condition::NotAcceptable, "unsupported-access-model"),
        }
    }
}

impl Config {
    /// With all that a form says.
    ///
    /// # Errors
    /// For a field that there is not, and a value that it cannot have.
    pub fn with(mut self, form: &Form, limits: &Limits) -> Result<Config, Wrong> {
        for field in form.fields.iter().filter(|field| field.var != "FORM_TYPE") {
            self.set(field, limits)?;
        }
        Ok(self)
    }

    /// Sets what one field says.
    ///
    /// # Errors
    /// For a field that there is not, and a value that it cannot have.
    pub fn set(&mut self, field: &Field, limits: &Limits) -> Result<(), Wrong> {
        let Some(name) = field.var.strip_prefix("pubsub#") else { return Err(Wrong::Field) };
        match name {
            "title" => self.title = text(field)?,
            "description" => self.description = text(field)?,
            "type" => self.type_ = text(field)?,
            "access_model" => {
                let known = |access: &Access| Some(access.name()) == one(field);
                self.access = Access::ALL.into_iter().find(known).ok_or(Wrong::Access)?;
            }
            "roster_groups_allowed" => self.groups = groups(field)?,
            "persist_items" => self.persist = flag(field)?,
            "max_items" => self.max_items = number(field, limits.items_per_node, one(field) == Some("max"))?,
            "max_payload_size" => self.max_payload = number(field, limits.item_bytes, one(field).is_none())?,
            "send_last_published_item" => {
                let known = |when: &SendLast| Some(when.name()) == one(field);
                self.send_last = SendLast::ALL.into_iter().find(known).ok_or(Wrong::Value)?;
            }
            "deliver_notifications" => self.notifies = flag(field)?,
            "deliver_payloads" => self.with_payloads = flag(field)?,
            "notify_retract" => self.notifies_retract = flag(field)?,
            "notify_delete" => self.notifies_delete = flag(field)?,
            "notify_config" => self.notifies_config = flag(field)?,
            "notification_type" => {
                self.message = match one(field) {
                    Some("headline") => Type::Headline,
                    Some("normal") => Type::Normal,
                    _ => return Err(Wrong::Value),
                }
            }
            // One owner publishes (XEP-0163 §2.2), and no node holds others.
            "publish_model" if one(field) == Some("publishers") => {}
            "node_type" if one(field) == Some("leaf") => {}
            "publish_model" | "node_type" => return Err(Wrong::Value),
            _ => return Err(Wrong::Field),
        }
        Ok(())
    }

    /// How many items there may be.
    pub fn items_max(&self, limits: &Limits) -> usize {
        self.max_items.map_or(limits.items_per_node, |max| max.min(limits.items_per_node))
    }

    /// How many bytes a payload may have.
    pub fn payload_max(&self, limits: &Limits) -> usize {
        self.max_payload.map_or(limits.item_bytes, |max| max.min(limits.item_bytes))
    }

    /// As a form of this type (XEP-0060 §8.2.2).
    pub fn form(&self, type_: FormType) -> Form {
        let mut form = Form::new(type_, ns::NODE_CONFIG);
        let max_items = self.max_items.map_or_else(|| "max".to_owned(), |max| max.to_string());
        let max_payload = self.max_payload.map(|max| max.to_string()).unwrap_or_default();
        let message = if self.message == Type::Headline { "headline" } else { "normal" };
        form.fields.extend([
            said("title", "A name for people", &self.title),
            said("description", "What it is about", &self.description),
            said("type", "What its payloads are", &self.type_),
            choice("access_model", "Who may see it", &Access::ALL.map(Access::name), self.access.name()),
            Field::new("pubsub#roster_groups_allowed", "text-multi", "Groups of contacts that may see it")
                .with_values(self.groups.iter().cloned()),
            yes_or_no("persist_items", "Whether items are kept", self.persist),
            said("max_items", "How many items are kept; `max`: as many as the server keeps", &max_items),
            said("max_payload_size", "Bytes of one payload at most", &max_payload),
            choice(
                "send_last_published_item",
                "When the last item is sent",
                &SendLast::ALL.map(SendLast::name),
                self.send_last.name(),
            ),
            yes_or_no("deliver_notifications", "Whether anybody hears of what is published", self.notifies),
            yes_or_no("deliver_payloads", "Whether they hear what was published", self.with_payloads),
            yes_or_no("notify_retract", "Whether they always hear of retraction", self.notifies_retract),
            yes_or_no("notify_delete", "Whether they hear that it is deleted", self.notifies_delete),
            yes_or_no("notify_config", "Whether they hear that it is configured", self.notifies_config),
            choice("notification_type", "The type of messages", &["headline", "normal"], message),
            choice("publish_model", "Who may publish", &["publishers"], "publishers"),
        ]);
        form
    }
}

fn said(name: &str, label: &str, value: &str) -> Field {
    let values = (!value.is_empty()).then(|| value.to_owned());
    Field::new(&format!("pubsub#{name}"), "text-single", label).with_values(values)
}

fn yes_or_no(name: &str, label: &str, value: bool) -> Field {
    let value = if value { "1" } else { "0" };
    Field::new(&format!("pubsub#{name}"), "boolean", label).with_values([value.to_owned()])
}

fn choice(name: &str, label: &str, options: &[&str], value: &str) -> Field {
    Field::new(&format!("pubsub#{name}"), "list-single", label)
        .with_options(options.iter().map(|option| (*option).to_owned()))
        .with_values([value.to_owned()])
}

fn one(field: &Field) -> Option<&str> {
    match field.values.as_slice() {
        [value] if !value.is_empty() => Some(value),
        _ => None,
    }
}

fn text(field: &Field) -> Result<String, Wrong> {
    match field.values.as_slice() {
        [] => Ok(String::new()),
        [value] if value.len() <= TEXT_BYTES_MAX => Ok(value.clone()),
        _ => Err(Wrong::Value),
    }
}

fn groups(field: &Field) -> Result<Vec<String>, Wrong> {
    let fit = field.values.iter().all(|group| group.len() <= TEXT_BYTES_MAX);
    if !fit || field.values.len() > GROUPS_MAX {
        return Err(Wrong::Value);
    }
    Ok(field.values.clone())
}

/// XEP-0004 §3.3: a boolean is one of four words.
fn flag(field: &Field) -> Result<bool, Wrong> {
    match one(field) {
        Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        _ => Err(Wrong::Value),
    }
}

/// A number from 1 to `max`; none if it is left `open`.
fn number(field: &Field, max: usize, open: bool) -> Result<Option<usize>, Wrong> {
    if open {
        return Ok(None);
    }
    let number: usize = one(field).and_then(|digits| digits.parse().ok()).ok_or(Wrong::Value)?;
    if (1..=max).contains(&number) { Ok(Some(number)) } else { Err(Wrong::Value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_said_again() {
        let config = Config {
            title: "Tune".to_owned(),
            access: Access::Roster,
            groups: vec!["friends".to_owned()],
            max_items: None,
            max_payload: Some(100),
            send_last: SendLast::Never,
            persist: false,
            notifies: false,
            notifies_config: true,
            message: Type::Normal,
            ..Config::default()
        };
        let shown = config.form(FormType::Submit);
        assert_eq!(Config::default().with(&shown, &Limits::default()), Ok(config));
    }

    #[test]
    fn only_what_can_be_kept_is_taken() {
        let set = |var: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let field = Field { var: var.to_owned(), values, ..Field::default() };
            Config::default().set(&field, &Limits::default())
        };
        assert_eq!(set("pubsub#access_model", &["authorize"]), Err(Wrong::Access));
        assert_eq!(set("pubsub#item_expire", &["3"]), Err(Wrong::Field));
        assert_eq!(set("title", &["x"]), Err(Wrong::Field));
        assert_eq!(set("pubsub#max_items", &["1000"]), Ok(()));
        for (var, value) in [
            ("pubsub#max_items", "0"),
            ("pubsub#max_items", "1001"),
            ("pubsub#max_items", ""),
            ("pubsub#max_payload_size", "65537"),
            ("pubsub#persist_items", "yes"),
            ("pubsub#publish_model", "open"),
            ("pubsub#node_type", "collection"),
            ("pubsub#send_last_published_item", "always"),
            ("pubsub#notification_type", "chat"),
        ] {
            assert_eq!(set(var, &[value]), Err(Wrong::Value), "{var} {value}");
        }
        assert_eq!(set("pubsub#title", &["a", "b"]), Err(Wrong::Value));
        assert_eq!(set("pubsub#title", &[&"x".repeat(1_024)]), Err(Wrong::Value));
        assert_eq!(set("pubsub#roster_groups_allowed", &["a"; 101]), Err(Wrong::Value));
    }
}

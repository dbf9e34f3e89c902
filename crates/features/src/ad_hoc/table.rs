//! The table of commands of service administration (XEP-0133 §4) and the forms they ask for.

use step::Domain;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::xml::Element;

/// A command as an admin sees it, and what the desk calls it.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// The node (XEP-0133 §4).
    pub node: &'static str,
    /// What people read.
    pub name: &'static str,
    /// What people read above the form.
    pub instructions: &'static str,
    /// The form; empty if the command runs at once.
    pub fields: &'static [Field],
    /// The command's name in the desk's list.
    pub desk: &'static str,
    /// The field that all values of the answer go into, and its label; `None` if the answer names its fields.
    pub outcome: Option<(&'static str, &'static str)>,
}

/// One field of a command's form; its `var` is the argument's name for the desk.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name (XEP-0133 §10.2).
    pub var: &'static str,
    /// What people read.
    pub label: &'static str,
    /// What goes into it.
    pub input: Input,
    /// Whether it must be filled in.
    pub required: bool,
}

/// What goes into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The address of one account of this domain.
    Account,
    /// Addresses of accounts of this domain.
    Accounts,
    /// Addresses of accounts of this domain or of single devices of theirs.
    Sessions,
    /// A password.
    Secret,
    /// At most so many items, or all.
    Count,
}

/// The field of a password.
pub(super) const PASSWORD: &str = "password";
/// The field of a password typed again.
pub(super) const AGAIN: &str = "password-verify";

const ONE: &str = "accountjid";
const MANY: &str = "accountjids";

const fn required(var: &'static str, label: &'static str, input: Input) -> Field {
    Field { var, label, input, required: true }
}

const MAX_ITEMS: Field = Field {
    var: "max_items",
    label: "Maximum number of items to show",
    input: Input::Count,
    required: false,
};

/// All commands, in the order in which they are listed.
pub const COMMANDS: &[Command] = &[
    Command {
        node: "http://jabber.org/protocol/admin#add-user",
        name: "Add a user",
        instructions: "Fill out this form to add a user.",
        fields: &[
            required(ONE, "The address of the account to be added", Input::Account),
            required(PASSWORD, "The password for this account", Input::Secret),
            Field { var: AGAIN, label: "Retype the password", input: Input::Secret, required: false },
        ],
        desk: "add-user",
        outcome: None,
    },
    Command {
        node: "http://jabber.org/protocol/admin#delete-user",
        name: "Delete users",
        instructions: "Fill out this form to delete users and everything that is stored of them.",
        fields: &[required(MANY, "The addresses of the accounts to delete", Input::Accounts)],
        desk: "delete-user",
        outcome: None,
    },
    Command {
        node: "http://jabber.org/protocol/admin#change-user-password",
        name: "Change a user's password",
        instructions: "Fill out this form to change a user's password.",
        fields: &[
            required(ONE, "The address of this account", Input::Account),
            required(PASSWORD, "The new password for this account", Input::Secret),
        ],
        desk: "change-user-password",
        outcome: None,
    },
    Command {
        node: "http://jabber.org/protocol/admin#end-user-session",
        name: "End a user's sessions",
        instructions: "Fill out this form to end all sessions of users, or sessions of single devices.",
        fields: &[required(MANY, "The addresses for which to end sessions", Input::Sessions)],
        desk: "end-user-session",
        outcome: None,
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-user-lastlogin",
        name: "Get the last login of users",
        instructions: "Fill out this form to see when users last logged in.",
        fields: &[required(MANY, "The addresses of the accounts", Input::Accounts)],
        desk: "get-user-lastlogin",
        outcome: None,
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-registered-users-num",
        name: "Get the number of registered users",
        instructions: "",
        fields: &[],
        desk: "get-registered-users-num",
        outcome: Some(("registeredusersnum", "The number of registered users")),
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-online-users-num",
        name: "Get the number of online users",
        instructions: "",
        fields: &[],
        desk: "get-online-users-num",
        outcome: Some(("onlineusersnum", "The number of online users")),
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-registered-users-list",
        name: "List registered users",
        instructions: "Fill out this form to list the registered users of this service.",
        fields: &[MAX_ITEMS],
        desk: "get-registered-users-list",
        outcome: Some(("registereduserjids", "The list of registered users")),
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-online-users-list",
        name: "List online users",
        instructions: "Fill out this form to list the users of this service who are online.",
        fields: &[MAX_ITEMS],
        desk: "get-online-users-list",
        outcome: Some(("onlineuserjids", "The list of online users")),
    },
    Command {
        node: "urn:waxwing:admin#get-reports",
        name: "List reports of spam and abuse",
        instructions: "Fill out this form to list what people have reported as spam or abuse.",
        fields: &[MAX_ITEMS],
        desk: "get-reports",
        outcome: Some(("reports", "What people have reported")),
    },
];

/// The command with this node.
pub(super) fn find(node: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.node == node)
}

impl Field {
    /// The field as it stands empty in the form.
    pub(super) fn element(&self) -> Element {
        let mut field = Element::new(ns::FORMS, "field")
            .with_attr("var", self.var)
            .with_attr("label", self.label)
            .with_attr("type", self.input.form_type());
        if self.required {
            field.push(Element::new(ns::FORMS, "required"));
        }
        if self.input == Input::Count {
            for count in ["25", "50", "100", "200", "none"] {
                let value = Element::new(ns::FORMS, "value").with_text(count);
                let option = Element::new(ns::FORMS, "option").with_attr("label", count);
                field.push(option.with_child(value));
            }
        }
        field
    }
}

impl Input {
    fn form_type(self) -> &'static str {
        match self {
            Input::Account => "jid-single",
            Input::Accounts | Input::Sessions => "jid-multi",
            Input::Secret => "text-private",
            Input::Count => "list-single",
        }
    }

    /// A value as the desk wants it; `None` if it says nothing.
    pub(super) fn read(self, value: &str, domain: &Domain) -> Result<Option<String>, String> {
        match self {
            Input::Secret => Ok(Some(value.to_owned())),
            Input::Count if value == "none" => Ok(None),
            Input::Count => match value.parse::<u32>() {
                Ok(count) => Ok(Some(count.to_string())),
                Err(_) => Err(format!("{value} is not a number")),
            },
            Input::Account | Input::Accounts | Input::Sessions => {
                let jid = Jid::new(value).map_err(|_| format!("{value} is not an address"))?;
                if jid.local().is_none() || jid.domain() != domain.name() {
                    return Err(format!("{value} is not an account of {}", domain.name()));
                }
                Ok(Some(match self {
                    Input::Sessions => jid.to_string(),
                    _ => jid.bare().to_string(),
                }))
            }
        }
    }
}

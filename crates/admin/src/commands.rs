//! All commands, in one list: the command line, the control socket and ad-hoc commands read it.

use futures_util::future::BoxFuture;
use xmpp::jid::{BareJid, Jid};
use xmpp::secret::Password;

use crate::desk::{Desk, Lines, Refused};

mod archives;
mod export;
mod reports;
mod sessions;
mod status;
mod users;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The address of one account.
    Account,
    /// Addresses of accounts, or of single devices of theirs; at least one.
    Addresses,
    /// A password: on the command line it is asked for, never an argument.
    Password,
    /// One of our domains.
    Domain,
    /// At most so many.
    Count,
    /// Only what is older than so many days.
    Days,
    /// The account's address once more: what cannot be undone is meant.
    Confirmation,
}

/// One argument of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Its name (the field of XEP-0133, where there is one).
    pub name: &'static str,
    /// How it is shown on the command line.
    pub shown: &'static str,
    /// What it is.
    pub input: Input,
    /// Whether it must be given.
    pub required: bool,
    /// One line about it.
    pub doc: &'static str,
}

/// How an answer is shown on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// What was done to whom: `alice@example.org added`.
    Deeds,
    /// One value per line, for scripts.
    Values,
    /// Names and values side by side.
    Table,
}

/// One command.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// The words that call it on the command line; none: it cannot be called there.
    pub words: &'static [&'static str],
    /// One line about it.
    pub doc: &'static str,
    /// What it wants to know.
    pub arguments: &'static [Argument],
    /// How the answer is shown.
    pub layout: Layout,
    /// Carries it out.
    pub run: for<'a> fn(&'a dyn Desk, &'a Arguments) -> BoxFuture<'a, Result<Lines, Refused>>,
}

pub(crate) const ACCOUNT: Argument = Argument {
    name: "accountjid",
    shown: "ADDRESS",
    input: Input::Account,
    required: true,
    doc: "The account's address, as alice@example.org",
};
pub(crate) const ADDRESSES: Argument = Argument {
    name: "accountjids",
    shown: "ADDRESS",
    input: Input::Addresses,
    required: true,
    doc: "Addresses of accounts",
};
pub(crate) const PASSWORD: Argument = Argument {
    name: "password",
    shown: "PASSWORD",
    input: Input::Password,
    required: true,
    doc: "The password",
};
pub(crate) const DOMAIN: Argument = Argument {
    name: "domain",
    shown: "DOMAIN",
    input: Input::Domain,
    required: false,
    doc: "Only those of this domain",
};
pub(crate) const COUNT: Argument = Argument {
    name: "max_items",
    shown: "MAX",
    input: Input::Count,
    required: false,
    doc: "At most so many",
};

pub(crate) const SURE: Argument = Argument {
    name: "confirmation",
    shown: "ADDRESS",
    input: Input::Confirmation,
    required: false,
    doc: "Do not ask whether it is meant",
};

/// All commands.
pub const COMMANDS: &[Command] = &[
    users::ADD,
    users::PASSWORD,
    users::REMOVE,
    users::LIST,
    users::COUNT,
    users::LAST_LOGIN,
    export::EXPORT,
    export::ERASE,
    archives::PURGE,
    sessions::LIST,
    sessions::COUNT,
    sessions::END,
    reports::LIST,
    status::STATUS,
];

/// The command with this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Carries out the command with this name.
///
/// # Errors
/// In words, when there is no such command, an argument is missing or wrong, or it could not be done.
pub async fn run(desk: &dyn Desk, name: &str, arguments: &Arguments) -> Result<Lines, Refused> {
    let command = find(name).ok_or_else(|| Refused(format!("there is no command `{name}`")))?;
    for (name, _) in &arguments.0 {
        if !command.arguments.iter().any(|argument| argument.name == name) {
            return Err(Refused(format!("`{}` takes no `{name}`", command.name)));
        }
    }
    for argument in command.arguments.iter().filter(|argument| argument.required) {
        if arguments.one(argument.name).is_none() {
            return Err(Refused(format!("`{}` wants `{}`: {}", command.name, argument.name, argument.doc)));
        }
    }
    (command.run)(desk, arguments).await
}

/// What a command was given: names and values; a name may come more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Arguments(pub Vec<(String, String)>);

impl Arguments {
    /// The first value of this name.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of this name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn account(&self, desk: &dyn Desk) -> Result<BareJid, Refused> {
        account(desk, self.one(ACCOUNT.name).unwrap_or_default())
    }

    fn password(&self) -> Result<Password, Refused> {
        match self.one(PASSWORD.name) {
            None | Some("") => Err(Refused("the password is empty".to_owned())),
            Some(password) => Ok(Password::new(password)),
        }
    }

    fn count(&self) -> Result<usize, Refused> {
        let Some(count) = self.one(COUNT.name) else {
            return Ok(usize::MAX);
        };
        count.parse().map_err(|_| Refused(format!("`{count}` is not a number")))
    }
}

/// The address of an account of ours.
fn account(desk: &dyn Desk, text: &str) -> Result<BareJid, Refused> {
    let jid = Jid::new(text)
        .map_err(|_| Refused(format!("`{text}` is not an address, as alice@example.org is")))?;
    if jid.local().is_none() || !jid.is_bare() {
        return Err(Refused(format!("`{text}` is not the address of an account, as alice@example.org is")));
    }
    ours(desk, &jid)?;
    Ok(jid.bare())
}

/// Nothing is done for a domain that is not served.
fn ours(desk: &dyn Desk, jid: &Jid) -> Result<(), Refused> {
    let domains = desk.domains();
    if domains.iter().any(|domain| domain == jid.domain()) {
        return Ok(());
    }
    Err(Refused(format!("`{}` is not served here; `domains` names {}", jid.domain(), domains.join(", "))))
}

/// One line of an answer.
fn line(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_arguments_are_in_order() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(!COMMANDS[..at].iter().any(|other| other.name == command.name), "{}", command.name);
            assert!(
                command.words.is_empty() || !COMMANDS[..at].iter().any(|other| other.words == command.words)
            );
            let first_optional = command.arguments.iter().position(|argument| !argument.required);
            let last_required = command.arguments.iter().rposition(|argument| argument.required);
            assert!(first_optional.is_none() || last_required < first_optional, "{}", command.name);
        }
    }

    /// Ad-hoc commands call the desk's by name, with the desk's arguments.
    #[test]
    fn ad_hoc_commands_are_known_here() {
        for order in features::ad_hoc::COMMANDS {
            let command = find(order.desk).unwrap_or_else(|| panic!("{} is not known", order.desk));
            for field in order.fields.iter().filter(|field| field.var != "password-verify") {
                let known = command.arguments.iter().any(|argument| argument.name == field.var);
                assert!(known, "{} takes no {}", order.desk, field.var);
            }
        }
    }
}

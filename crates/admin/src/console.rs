//! The command line: what can be typed, and how answers are shown. The desk's commands come from their list.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command as Words};

use crate::commands::{Argument, Arguments, COMMANDS, Command, Input, Layout};
use crate::desk::{Lines, Refused};

/// What was typed.
pub enum Order {
    /// Run the server.
    Start,
    /// Look for mistakes in a configuration.
    CheckConfig(Option<PathBuf>),
    /// Show an annotated configuration.
    PrintConfig,
    /// Explain a key of the configuration.
    ExplainConfig(String),
    /// A command of the desk.
    Desk(&'static Command, Arguments),
}

/// What was typed, and the configuration file that was named.
pub struct Typed {
    /// What to do.
    pub order: Order,
    /// The configuration file.
    pub config: Option<PathBuf>,
}

/// Everything that can be typed.
pub fn words() -> Words {
    let config = Arg::new("config")
        .long("config")
        .short('c')
        .value_name("FILE")
        .global(true)
        .value_parser(clap::value_parser!(PathBuf))
        .help("The configuration; without it, localhost is served from ./waxwing-data");
    let mut words = Words::new("waxwing")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An XMPP server that loses nothing it accepted")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(config)
        .subcommand(Words::new("start").about("Run the server"));
    for command in COMMANDS.iter().filter(|command| !command.words.is_empty()) {
        words = add(words, command.words, command);
    }
    words.subcommand(
        Words::new("config")
            .about("Look at the configuration")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Words::new("check").about("Look for mistakes in a configuration").arg(
                    Arg::new("file")
                        .value_name("FILE")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The file; else that of --config"),
                ),
            )
            .subcommand(Words::new("print-default").about("Print a configuration with every key explained"))
            .subcommand(
                Words::new("explain")
                    .about("Explain a key or a section")
                    .arg(Arg::new("key").value_name("KEY").required(true).help("As tls.certificate, or tls")),
            ),
    )
}

/// Hangs a command of the desk on the tree of words.
fn add(tree: Words, words: &'static [&'static str], command: &Command) -> Words {
    let Some((first, rest)) = words.split_first() else {
        return tree;
    };
    if rest.is_empty() {
        let arguments = command.arguments.iter().filter(|argument| argument.input != Input::Password);
        return tree.subcommand(Words::new(*first).about(command.doc).args(arguments.map(arg)));
    }

    match tree.find_subcommand(first) {
        Some(_) => tree.mut_subcommand(first, |branch| add(branch, rest, command)),
        None => {
            let about = match *first {
                "user" => "Add, change, remove, list, export and erase accounts",
                "archive" => "Clear archives away",
                "session" => "See and end connections",
                "report" => "See what people have reported",
                _ => "",
            };
            let branch =
                Words::new(*first).about(about).subcommand_required(true).arg_required_else_help(true);
            tree.subcommand(add(branch, rest, command))
        }
    }
}

fn arg(argument: &Argument) -> Arg {
    let arg = Arg::new(argument.name).value_name(argument.shown).help(argument.doc);
    match argument.input {
        Input::Addresses => arg.required(argument.required).num_args(1..).action(ArgAction::Append),
        Input::Domain => arg.long("domain"),
        Input::Count => arg.long("max"),
        Input::Days => arg.long("older-than-days"),
        Input::Confirmation => {
            Arg::new(argument.name).long("yes").action(ArgAction::SetTrue).help(argument.doc)
        }
        Input::Account | Input::Password => arg.required(argument.required),
    }
}

/// Understands what was typed. Help, the version and mistakes are shown by clap, which then ends the process.
///
/// # Errors
/// When a password cannot be read.
pub fn read(typed: &ArgMatches) -> Result<Typed, Refused> {
    let config = typed.get_one::<PathBuf>("config").cloned();
    let order = match typed.subcommand() {
        Some(("start", _)) => Order::Start,
        Some(("config", rest)) => match rest.subcommand() {
            Some(("check", rest)) => Order::CheckConfig(rest.get_one::<PathBuf>("file").cloned()),
            Some(("explain", rest)) => {
                Order::ExplainConfig(rest.get_one::<String>("key").cloned().unwrap_or_default())
            }
            _ => Order::PrintConfig,
        },
        Some((first, rest)) => desk_order(&[first], rest)?,
        None => {
            return Err(Refused("nothing was ordered; `waxwing help` shows what can be".to_owned()));
        }
    };
    Ok(Typed { order, config })
}

fn desk_order(words: &[&str], typed: &ArgMatches) -> Result<Order, Refused> {
    if let Some((next, rest)) = typed.subcommand() {
        return desk_order(&[words, &[next]].concat(), rest);
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.words == words)
        .ok_or_else(|| Refused(format!("`{}` is not known", words.join(" "))))?;
    let mut arguments = Arguments::default();
    for argument in command.arguments {
        if argument.input == Input::Password {
            arguments.0.push((argument.name.to_owned(), read_password()?));
            continue;
        }
        if argument.input == Input::Confirmation {
            let meant = arguments.0.first().map(|(_, value)| value.clone()).unwrap_or_default();
            let confirmed = if typed.get_flag(argument.name) { Some(meant) } else { confirmation(&meant)? };
            arguments.0.extend(confirmed.map(|address| (argument.name.to_owned(), address)));
            continue;
        }
        for value in typed.get_many::<String>(argument.name).into_iter().flatten() {
            arguments.0.push((argument.name.to_owned(), value.clone()));
        }
    }
    Ok(Order::Desk(command, arguments))
}

/// At a terminal, whoever wants what cannot be undone types the address once more.
fn confirmation(meant: &str) -> Result<Option<String>, Refused> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let failed = |error: io::Error| Refused(format!("the answer could not be read: {error}"));
    write!(io::stderr(), "This cannot be undone. Type {meant} to go on: ").map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(Some(line.trim().to_owned()))
}

/// A password: typed unseen at a terminal, else the first line of standard input.
fn read_password() -> Result<String, Refused> {
    let failed = |error: io::Error| Refused(format!("the password could not be read: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("Password: ").map_err(failed);
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    Ok(password.strip_suffix('\r').unwrap_or(password).to_owned())
}

/// Shows an answer.
///
/// # Errors
/// When nobody reads it.
pub fn show(layout: Layout, lines: &Lines, out: &mut dyn Write) -> io::Result<()> {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in lines {
        match layout {
            Layout::Deeds => writeln!(out, "{value} {name}")?,
            Layout::Values => writeln!(out, "{value}")?,
            Layout::Table => writeln!(out, "{name:width$}  {value}")?,
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Option<Order> {
        let typed = words().try_get_matches_from(line.split(' ')).ok()?;
        read(&typed).ok().map(|typed| typed.order)
    }

    #[test]
    fn what_can_be_typed_is_consistent() {
        words().debug_assert();
    }

    #[test]
    fn orders_are_understood() {
        assert!(matches!(order("waxwing start"), Some(Order::Start)));
        assert!(matches!(order("waxwing config check a.toml"), Some(Order::CheckConfig(Some(_)))));
        assert!(
            matches!(order("waxwing config explain tls"), Some(Order::ExplainConfig(key)) if key == "tls")
        );
        let Some(Order::Desk(command, arguments)) = order("waxwing user remove a@one.test b@one.test") else {
            panic!("not understood")
        };
        assert_eq!(command.name, "delete-user");
        assert_eq!(arguments.all("accountjids").collect::<Vec<_>>(), ["a@one.test", "b@one.test"]);
        let Some(Order::Desk(_, arguments)) = order("waxwing user list --domain one.test --max 5") else {
            panic!("not understood")
        };
        assert_eq!((arguments.one("domain"), arguments.one("max_items")), (Some("one.test"), Some("5")));
        assert!(matches!(order("waxwing status"), Some(Order::Desk(command, _)) if command.name == "status"));
        assert!(order("waxwing user").is_none());
        assert!(order("waxwing sing").is_none());
    }

    #[test]
    fn the_configuration_can_be_named_anywhere() {
        for line in ["waxwing --config x.toml start", "waxwing start --config x.toml"] {
            let typed =
                words().try_get_matches_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}"));
            let typed = read(&typed).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(typed.config, Some(PathBuf::from("x.toml")));
        }
    }

    #[test]
    fn answers_are_laid_out() {
        let lines = vec![("added".to_owned(), "alice@one.test".to_owned())];
        let shown = |layout| {
            let mut out = Vec::new();
            show(layout, &lines, &mut out).unwrap_or_default();
            String::from_utf8(out).unwrap_or_default()
        };
        assert_eq!(shown(Layout::Deeds), "alice@one.test added\n");
        assert_eq!(shown(Layout::Values), "alice@one.test\n");
        assert_eq!(shown(Layout::Table), "added  alice@one.test\n");
    }
}

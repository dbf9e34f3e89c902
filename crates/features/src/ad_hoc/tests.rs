//! Orders of admins and others, and what becomes of them.

use super::*;
use crate::check::{error, iq, jid, routed, shown, stepped, stepped_at};
use step::{Act, Question, Yield};

const ADMIN_DESK: &str = "admin@one.test/desk";

fn order(from: &str, name: &str, attributes: &str, inner: &str) -> Stanza {
    let node = format!("http://jabber.org/protocol/admin#{name}");
    let command = format!("<command xmlns='{}' node='{node}' {attributes}>{inner}</command>", ns::COMMANDS);
    iq(Type::Set, &command).with_from(jid(from))
}

fn answered(desk: &mut Desk, order: &Stanza) -> (Result<Reply, Stop>, Yield) {
    stepped(|step| answer(desk, order, step))
}

fn command(reply: Result<Reply, Stop>) -> Element {
    let Ok(Reply::Result(command)) = reply else { panic!("no result: {}", shown(reply)) };
    command
}

/// The condition with the command's own.
fn conditions(reply: Result<Reply, Stop>) -> String {
    match reply {
        Err(Stop::Bounce(error)) => {
            let app = error.app.as_ref().map(|app| app.name().to_owned()).unwrap_or_default();
            format!("{} {app}", shown(Err(error.into())))
        }
        other => shown(other),
    }
}

fn opened(desk: &mut Desk, name: &str) -> String {
    let (reply, _) = answered(desk, &order(ADMIN_DESK, name, "action='execute'", ""));
    let command = command(reply);
    assert_eq!(command.attr("status"), Some("executing"));
    command.attr("sessionid").expect("a session").to_owned()
}

fn submit(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.concat())
}

fn work(left: &Yield) -> (String, Vec<(String, String)>, Asked) {
    let [Act::Ask(Question::Work(Work::Command { name, arguments }), Return::Command(asked))] =
        &left.acts[..]
    else {
        panic!("{:?}", left.acts)
    };
    (name.clone(), arguments.clone(), asked.clone())
}

#[test]
fn only_admins_run_commands_and_only_known_ones() {
    let mut desk = Desk::default();
    let by =
        |desk: &mut Desk, from: &str, name: &str| conditions(answered(desk, &order(from, name, "", "")).0);
    assert_eq!(by(&mut desk, "bob@one.test/x", "add-user"), "forbidden ");
    assert_eq!(by(&mut desk, "admin@two.test/x", "add-user"), "forbidden ");
    assert_eq!(by(&mut desk, ADMIN_DESK, "launch-missiles"), "item-not-found ");
    let get = iq(Type::Get, "<command xmlns='http://jabber.org/protocol/commands' node='x'/>")
        .with_from(jid(ADMIN_DESK));
    assert_eq!(conditions(answered(&mut desk, &get).0), "bad-request ");
    assert!(desk.open.is_empty());
}

#[test]
fn a_command_without_a_form_runs_at_once() {
    let mut desk = Desk::default();
    let (reply, left) = answered(&mut desk, &order(ADMIN_DESK, "get-registered-users-num", "", ""));
    assert_eq!(shown(reply), "later");
    let (name, arguments, asked) = work(&left);
    assert_eq!((name.as_str(), arguments.len()), ("get-registered-users-num", 0));
    assert!(desk.open.is_empty());

    let lines = vec![("count".to_owned(), "123".to_owned())];
    let (_, left) = stepped(|step| returned(asked, Returned::Command(Ok(lines)), step));
    let answers = routed(&left);
    let command = answers[0].element(ns::COMMANDS, "command").expect("a command");
    assert_eq!(command.attr("status"), Some("completed"));
    assert!(command.attr("sessionid").is_some_and(|id| !id.is_empty()));
    let form = command.child(ns::FORMS, "x").expect("a form");
    let field = form.children().nth(1).expect("a field");
    let value = field.child(ns::FORMS, "value").map(Element::text);
    assert_eq!(field.attr("var"), Some("registeredusersnum"));
    assert_eq!(value.as_deref(), Some("123"));
    assert_eq!(answers[0].to, Some(jid(ADMIN_DESK)));
}

#[test]
fn a_form_is_handed_out_filled_in_and_run() {
    let mut desk = Desk::default();
    let (reply, left) = answered(&mut desk, &order(ADMIN_DESK, "add-user", "", ""));
    let form = command(reply);
    assert!(left.acts.is_empty());
    let actions = form.child(ns::COMMANDS, "actions").expect("actions");
    assert_eq!(actions.attr("execute"), Some("complete"));
    assert!(actions.child(ns::COMMANDS, "complete").is_some());
    let fields = form.child(ns::FORMS, "x").expect("a form");
    assert!(fields.children().any(|field| field.attr("var") == Some("accountjid")));

    let id = form.attr("sessionid").expect("a session").to_owned();
    let filled = submit(&[
        ("FORM_TYPE", ns::ADMIN),
        ("accountjid", "Juliet@one.test"),
        ("password", " R0m30 "),
        ("password-verify", " R0m30 "),
        ("email", "juliet@capulet.com"),
    ]);
    let back = order(ADMIN_DESK, "add-user", &format!("sessionid='{id}'"), &filled);
    let (reply, left) = answered(&mut desk, &back);
    assert_eq!(shown(reply), "later");
    let (name, arguments, asked) = work(&left);
    assert_eq!(name, "add-user");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(arguments, [pair("accountjid", "juliet@one.test"), pair("password", " R0m30 ")]);
    assert!(!asked.to_xml().contains("R0m30"), "the password is not kept");
    assert!(desk.open.is_empty());

    let (_, left) = stepped(|step| returned(asked.clone(), Returned::Command(Ok(vec![])), step));
    let done = routed(&left)[0].element(ns::COMMANDS, "command").expect("a command");
    assert_eq!((done.attr("status"), done.attr("sessionid")), (Some("completed"), Some(&*id)));

    let (reply, _) = answered(&mut desk, &back);
    assert_eq!(conditions(reply), "not-allowed session-expired");

    let failed = Returned::Command(Err("There is such a user already".to_owned()));
    let (_, left) = stepped(|step| returned(asked.clone(), failed, step));
    let done = routed(&left)[0].element(ns::COMMANDS, "command").expect("a command");
    let note = done.child(ns::COMMANDS, "note").expect("a note");
    assert_eq!((note.attr("type"), done.attr("status")), (Some("error"), Some("completed")));

    let refused = Returned::Refused(StanzaError::new(Condition::ResourceConstraint));
    let (_, left) = stepped(|step| returned(asked, refused, step));
    let condition = error(&routed(&left)[0]).map(|error| error.condition);
    assert_eq!(condition, Some(Condition::ResourceConstraint));
}

#[test]
fn a_form_filled_in_wrongly_can_be_mended() {
    let mut desk = Desk::default();
    let id = opened(&mut desk, "add-user");
    let session = format!("sessionid='{id}'");
    for filled in [
        String::new(),
        submit(&[]),
        submit(&[("accountjid", "juliet@one.test")]),
        submit(&[("accountjid", "juliet@one.test"), ("password", "")]),
        submit(&[("accountjid", "@"), ("password", "p")]),
        submit(&[("accountjid", "one.test"), ("password", "p")]),
        submit(&[("accountjid", "juliet@two.test"), ("password", "p")]),
        submit(&[("accountjid", "j@one.test"), ("password", "p"), ("password-verify", "q")]),
        submit(&[("accountjid", "j@one.test"), ("accountjid", "k@one.test"), ("password", "p")]),
    ] {
        let (reply, left) = answered(&mut desk, &order(ADMIN_DESK, "add-user", &session, &filled));
        assert_eq!(conditions(reply), "bad-request bad-payload", "{filled}");
        assert!(left.acts.is_empty());
    }
    let filled = submit(&[("accountjid", "juliet@one.test"), ("password", "p")]);
    let (reply, _) = answered(&mut desk, &order(ADMIN_DESK, "add-user", &session, &filled));
    assert_eq!(shown(reply), "later");
}

#[test]
fn several_addresses_and_optional_counts() {
    let mut desk = Desk::default();
    let id = opened(&mut desk, "end-user-session");
    let filled = "<x xmlns='jabber:x:data' type='submit'><field var='accountjids'>\
                  <value>juliet@one.test</value><value>romeo@one.test/orchard</value><value/></field></x>";
    let session = format!("sessionid='{id}' action='complete'");
    let (_, left) = answered(&mut desk, &order(ADMIN_DESK, "end-user-session", &session, filled));
    let values: Vec<_> = work(&left).1.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["juliet@one.test", "romeo@one.test/orchard"]);

    let name = "get-registered-users-list";
    for (value, expected) in [("25", vec!["25"]), ("none", vec![]), ("", vec![])] {
        let session = format!("sessionid='{}'", opened(&mut desk, name));
        let filled = submit(&[("max_items", value)]);
        let (_, left) = answered(&mut desk, &order(ADMIN_DESK, name, &session, &filled));
        let values: Vec<_> = work(&left).1.into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn actions_that_make_no_sense_are_refused() {
    let mut desk = Desk::default();
    let mut ask =
        |attributes: &str| conditions(answered(&mut desk, &order(ADMIN_DESK, "add-user", attributes, "")).0);
    assert_eq!(ask("action='dance'"), "bad-request malformed-action");
    assert_eq!(ask("action='complete'"), "bad-request bad-action");
    assert_eq!(ask("sessionid='none'"), "not-allowed session-expired");
    let id = opened(&mut desk, "add-user");
    let session = format!("sessionid='{id}'");
    let mut ask = |from: &str, name: &str, action: &str| {
        let attributes = format!("{session} action='{action}'");
        conditions(answered(&mut desk, &order(from, name, &attributes, "")).0)
    };
    assert_eq!(ask(ADMIN_DESK, "add-user", "prev"), "bad-request bad-action");
    assert_eq!(ask(ADMIN_DESK, "add-user", "next"), "bad-request bad-action");
    assert_eq!(ask(ADMIN_DESK, "delete-user", "execute"), "bad-request bad-sessionid");
    assert_eq!(ask("admin@one.test/other", "add-user", "execute"), "bad-request bad-sessionid");
    let (reply, left) =
        answered(&mut desk, &order(ADMIN_DESK, "add-user", &format!("{session} action='cancel'"), ""));
    assert_eq!(command(reply).attr("status"), Some("canceled"));
    assert!(left.acts.is_empty() && desk.open.is_empty());
}

#[test]
fn forms_expire_and_are_bounded() {
    let mut desk = Desk::default();
    let id = opened(&mut desk, "add-user");
    let back = order(ADMIN_DESK, "add-user", &format!("sessionid='{id}'"), "");
    let (reply, _) = stepped_at(OPEN_FOR, |step| answer(&mut desk, &back, step));
    assert_eq!(conditions(reply), "not-allowed session-expired");
    for _ in 0..OPEN_MAX + 20 {
        opened(&mut desk, "add-user");
    }
    assert_eq!(desk.open.len(), OPEN_MAX);
}

#[test]
fn the_list_names_every_command_once() {
    let mut nodes: Vec<_> = list().into_iter().map(|(node, _)| node).collect();
    // Those of XEP-0133 §4, and our own.
    let known = ["http://jabber.org/protocol/admin#", "urn:waxwing:admin#"];
    assert!(nodes.iter().all(|node| known.iter().any(|known| node.starts_with(known))));
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), COMMANDS.len());
}

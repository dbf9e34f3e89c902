//! The nine subscription states and what moves between them: RFC 6121 appendix A, table by table.

use store::Subscription;
use xmpp::stanza::Type;

/// A state of RFC 6121 §A.1, seen from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// "None"
    None,
    /// "None + Pending Out"
    NoneOut,
    /// "None + Pending In"
    NoneIn,
    /// "None + Pending Out+In"
    NoneOutIn,
    /// "To"
    To,
    /// "To + Pending In"
    ToIn,
    /// "From"
    From,
    /// "From + Pending Out"
    FromOut,
    /// "Both"
    Both,
}

use State::{Both, From, FromOut, None as Neither, NoneIn, NoneOut, NoneOutIn, To, ToIn};

impl State {
    /// The state that an item and a waiting request stand for.
    pub fn of(subscription: Subscription, ask: bool, asked: bool) -> State {
        match (subscription, ask, asked) {
            (Subscription::None, false, false) => Neither,
            (Subscription::None, true, false) => NoneOut,
            (Subscription::None, false, true) => NoneIn,
            (Subscription::None, true, true) => NoneOutIn,
            (Subscription::To, _, false) => To,
            (Subscription::To, _, true) => ToIn,
            (Subscription::From, false, _) => From,
            (Subscription::From, true, _) => FromOut,
            (Subscription::Both, ..) => Both,
        }
    }

    /// Who sees whose presence in this state.
    pub fn subscription(self) -> Subscription {
        match self {
            Neither | NoneOut | NoneIn | NoneOutIn => Subscription::None,
            To | ToIn => Subscription::To,
            From | FromOut => Subscription::From,
            Both => Subscription::Both,
        }
    }

    /// Whether the account has asked and waits for the answer.
    pub fn is_pending_out(self) -> bool {
        matches!(self, NoneOut | NoneOutIn | FromOut)
    }

    /// Whether the contact has asked and waits for the answer.
    pub fn is_pending_in(self) -> bool {
        matches!(self, NoneIn | NoneOutIn | ToIn)
    }
}

/// What a stanza from the account to the contact does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// It goes to the contact; the state is this one from here on.
    Route(State),
    /// It stays here; nothing changes.
    Stop,
    /// It stays here and is noted as approval in advance (§3.4).
    Approve,
}

/// What a stanza from the contact to the account does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// It is shown to the account; the state is this one from here on.
    Deliver(State),
    /// It is not shown; nothing changes.
    Ignore,
    /// It is not shown; the contact is told again what holds already (§A.3.1 note 2).
    Remind,
}

/// Tables 2 to 5.
pub fn outbound(type_: Type, state: State) -> Outbound {
    use Outbound::{Approve, Route, Stop};
    match (type_, state) {
        // Table 2: outbound "subscribe"
        (Type::Subscribe, Neither) => Route(NoneOut),
        (Type::Subscribe, NoneOut) => Route(NoneOut),
        (Type::Subscribe, NoneIn) => Route(NoneOutIn),
        (Type::Subscribe, NoneOutIn) => Route(NoneOutIn),
        (Type::Subscribe, To) => Route(To),
        (Type::Subscribe, ToIn) => Route(ToIn),
        (Type::Subscribe, From) => Route(FromOut),
        (Type::Subscribe, FromOut) => Route(FromOut),
        (Type::Subscribe, Both) => Route(Both),
        // Table 3: outbound "unsubscribe"
        (Type::Unsubscribe, Neither) => Route(Neither),
        (Type::Unsubscribe, NoneOut) => Route(Neither),
        (Type::Unsubscribe, NoneIn) => Route(NoneIn),
        (Type::Unsubscribe, NoneOutIn) => Route(NoneIn),
        (Type::Unsubscribe, To) => Route(Neither),
        (Type::Unsubscribe, ToIn) => Route(NoneIn),
        (Type::Unsubscribe, From) => Route(From),
        (Type::Unsubscribe, FromOut) => Route(From),
        (Type::Unsubscribe, Both) => Route(From),
        // Table 4: outbound "subscribed"
        (Type::Subscribed, Neither | NoneOut | To) => Approve,
        (Type::Subscribed, NoneIn) => Route(From),
        (Type::Subscribed, NoneOutIn) => Route(FromOut),
        (Type::Subscribed, ToIn) => Route(Both),
        (Type::Subscribed, From | FromOut | Both) => Stop,
        // Table 5: outbound "unsubscribed"
        (Type::Unsubscribed, Neither | NoneOut | To) => Stop,
        (Type::Unsubscribed, NoneIn) => Route(Neither),
        (Type::Unsubscribed, NoneOutIn) => Route(NoneOut),
        (Type::Unsubscribed, ToIn) => Route(To),
        (Type::Unsubscribed, From) => Route(Neither),
        (Type::Unsubscribed, FromOut) => Route(NoneOut),
        (Type::Unsubscribed, Both) => Route(To),
        _ => Stop,
    }
}

/// Tables 6 to 9. Approval in advance is looked at before (§3.4.2).
pub fn inbound(type_: Type, state: State) -> Inbound {
    use Inbound::{Deliver, Ignore, Remind};
    match (type_, state) {
        // Table 6: inbound "subscribe"
        (Type::Subscribe, Neither) => Deliver(NoneIn),
        (Type::Subscribe, NoneOut) => Deliver(NoneOutIn),
        (Type::Subscribe, NoneIn | NoneOutIn) => Ignore,
        (Type::Subscribe, To) => Deliver(ToIn),
        (Type::Subscribe, ToIn) => Ignore,
        (Type::Subscribe, From | FromOut | Both) => Remind,
        // Table 7: inbound "unsubscribe"
        (Type::Unsubscribe, Neither | NoneOut | To) => Ignore,
        (Type::Unsubscribe, NoneIn) => Deliver(Neither),
        (Type::Unsubscribe, NoneOutIn) => Deliver(NoneOut),
        (Type::Unsubscribe, ToIn) => Deliver(To),
        (Type::Unsubscribe, From) => Deliver(Neither),
        (Type::Unsubscribe, FromOut) => Deliver(NoneOut),
        (Type::Unsubscribe, Both) => Deliver(To),
        // Table 8: inbound "subscribed"
        (Type::Subscribed, NoneOut) => Deliver(To),
        (Type::Subscribed, NoneOutIn) => Deliver(ToIn),
        (Type::Subscribed, FromOut) => Deliver(Both),
        (Type::Subscribed, _) => Ignore,
        // Table 9: inbound "unsubscribed"
        (Type::Unsubscribed, NoneOut) => Deliver(Neither),
        (Type::Unsubscribed, NoneOutIn) => Deliver(NoneIn),
        (Type::Unsubscribed, To) => Deliver(Neither),
        (Type::Unsubscribed, ToIn) => Deliver(NoneIn),
        (Type::Unsubscribed, FromOut) => Deliver(From),
        (Type::Unsubscribed, Both) => Deliver(From),
        (Type::Unsubscribed, _) => Ignore,
        _ => Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 9] = [Neither, NoneOut, NoneIn, NoneOutIn, To, ToIn, From, FromOut, Both];

    #[test]
    fn a_state_is_what_the_roster_keeps_of_it() {
        for state in ALL {
            let again = State::of(state.subscription(), state.is_pending_out(), state.is_pending_in());
            assert_eq!(again, state);
        }
    }

    /// What both servers hold must agree once a stanza has gone from one to the other (RFC 6121 §A.2, §A.3).
    #[test]
    fn both_ends_agree() {
        let mirror = |state: State| {
            State::of(
                match state.subscription() {
                    Subscription::To => Subscription::From,
                    Subscription::From => Subscription::To,
                    same => same,
                },
                state.is_pending_in(),
                state.is_pending_out(),
            )
        };
        for type_ in [Type::Subscribe, Type::Unsubscribe, Type::Subscribed, Type::Unsubscribed] {
            for state in ALL {
                let Outbound::Route(mine) = outbound(type_, state) else { continue };
                let theirs = match inbound(type_, mirror(state)) {
                    Inbound::Deliver(theirs) => theirs,
                    Inbound::Ignore | Inbound::Remind => mirror(state),
                };
                assert_eq!(mirror(mine), theirs, "{type_:?} from {state:?}");
            }
        }
    }
}

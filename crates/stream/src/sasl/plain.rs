//! PLAIN (RFC 4616): the password itself, only ever inside TLS.

use xmpp::secret::Password;

use super::SaslCondition;

/// What a PLAIN message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub authzid: Option<String>,
    pub username: String,
    pub password: Password,
}

impl Plain {
    /// Reads `[authzid] NUL authcid NUL passwd`.
    pub fn parse(message: &str) -> Result<Self, SaslCondition> {
        let mut parts = message.split('\0');
        let (Some(authzid), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslCondition::MalformedRequest);
        };
        if username.is_empty() || password.is_empty() {
            return Err(SaslCondition::MalformedRequest);
        }
        Ok(Plain {
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            username: username.to_owned(),
            password: Password::new(password),
        })
    }
}

/// Writes a PLAIN message.
pub(crate) fn message(authzid: Option<&str>, username: &str, password: &str) -> String {
    format!("{}\0{username}\0{password}", authzid.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let plain = Plain::parse(&message(None, "juliet", "r0m30")).unwrap();
        assert_eq!((plain.authzid, plain.username.as_str()), (None, "juliet"));
        assert_eq!(plain.password.reveal(), "r0m30");
        let plain = Plain::parse(&message(Some("a@b"), "c", "d")).unwrap();
        assert_eq!(plain.authzid.as_deref(), Some("a@b"));
    }

    #[test]
    fn refuses_other_shapes() {
        for message in ["", "a", "a\0b", "a\0\0c", "a\0b\0", "\0\0", "a\0b\0c\0d"] {
            assert_eq!(Plain::parse(message), Err(SaslCondition::MalformedRequest), "{message:?}");
        }
    }
}

//! SASL PLAIN (RFC 4616): name and password, as they are.

/// A client's only message.
#[derive(PartialEq, Eq)]
pub(crate) struct PlainMessage<'a> {
    /// The user whose password it is.
    pub(crate) user: &'a str,
    /// The password.
    pub(crate) password: &'a str,
}

impl<'a> PlainMessage<'a> {
    /// Reads it; what is wrong with it when it is none, without anything of it.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "the message is not UTF-8")?;
        let mut parts = text.split('\0');
        let (Some(on_behalf), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the message has not the three parts of PLAIN");
        };
        if user.is_empty() || password.is_empty() {
            return Err("the name or the password is empty");
        }
        if !on_behalf.is_empty() && on_behalf != user {
            return Err("the client asks to act as somebody else");
        }
        Ok(Self { user, password })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_has_three_parts() {
        let parse = |text: &'static str| {
            let message = PlainMessage::parse(text.as_bytes());
            message.ok().map(|message| (message.user, message.password))
        };
        assert_eq!(parse("\0alice\0secret"), Some(("alice", "secret")));
        assert_eq!(parse("alice\0alice\0secret"), Some(("alice", "secret")));
        for wrong in [
            "",
            "alice\0secret",
            "\0\0secret",
            "\0alice\0",
            "bob\0alice\0secret",
            "\0a\0b\0c",
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert!(PlainMessage::parse(b"\0alice\0\xff").is_err());
    }

    proptest! {
        #[test]
        fn a_name_and_a_password_come_out_as_they_went_in(user in "[^\0]+", password in "[^\0]+") {
            let message = format!("\0{user}\0{password}");
            let read = PlainMessage::parse(message.as_bytes()).ok();
            prop_assert_eq!(read.map(|read| (read.user, read.password)), Some((&*user, &*password)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = PlainMessage::parse(&bytes);
        }
    }
}

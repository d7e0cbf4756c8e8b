//! Header fields. Purpose: names compared once while parsing (compact forms, any case), values kept as octets.

/// One header field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Name.
    pub name: Name,
    /// Value, unfolded and trimmed, otherwise verbatim.
    pub value: Vec<u8>,
}

macro_rules! names {
    ($($variant:ident $long:literal $compact:literal),* $(,)?) => {
        /// Names of header fields that we read or write; the compact letter is of RFC 3261 §20 and its extensions.
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // the names are the RFC's
        pub enum Name {
            $($variant,)*
            /// Any other token, as written.
            Other(Vec<u8>),
        }

        impl Name {
            /// Reads a name that is known to be a token.
            #[must_use]
            pub fn parse(octets: &[u8]) -> Self {
                $(if octets.eq_ignore_ascii_case($long) || (octets.len() == 1 && octets.eq_ignore_ascii_case($compact)) {
                    return Self::$variant;
                })*
                Self::Other(octets.to_vec())
            }

            /// The long form.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Self::$variant => $long,)*
                    Self::Other(octets) => octets,
                }
            }
        }
    };
}

names! {
    Via b"Via" b"v",
    From b"From" b"f",
    To b"To" b"t",
    CallId b"Call-ID" b"i",
    CSeq b"CSeq" b"",
    Contact b"Contact" b"m",
    MaxForwards b"Max-Forwards" b"",
    ContentLength b"Content-Length" b"l",
    ContentType b"Content-Type" b"c",
    ContentEncoding b"Content-Encoding" b"e",
    RecordRoute b"Record-Route" b"",
    Route b"Route" b"",
    Require b"Require" b"",
    Supported b"Supported" b"k",
    Unsupported b"Unsupported" b"",
    Allow b"Allow" b"",
    Accept b"Accept" b"",
    AcceptEncoding b"Accept-Encoding" b"",
    Event b"Event" b"o",
    Reason b"Reason" b"",
    RetryAfter b"Retry-After" b"",
    Server b"Server" b"",
    UserAgent b"User-Agent" b"",
    Timestamp b"Timestamp" b"",
    SessionExpires b"Session-Expires" b"x",
    MinSe b"Min-SE" b"",
    RSeq b"RSeq" b"",
    RAck b"RAck" b"",
    ReferTo b"Refer-To" b"r",
    ReferredBy b"Referred-By" b"b",
    ReferSub b"Refer-Sub" b"",
    Replaces b"Replaces" b"",
    SubscriptionState b"Subscription-State" b"",
}

impl Name {
    /// Whether a message may carry the field once only; a second one makes it ambiguous (RFC 4475 §3.3.8).
    #[must_use]
    pub const fn is_single(&self) -> bool {
        matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::MaxForwards
                | Self::ContentLength
                | Self::ContentType
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_and_compact() {
        assert_eq!(Name::parse(b"call-id"), Name::CallId);
        assert_eq!(Name::parse(b"I"), Name::CallId);
        assert_eq!(Name::parse(b"cSEQ"), Name::CSeq);
        assert_eq!(Name::parse(b"X-Foo"), Name::Other(b"X-Foo".to_vec()));
        assert_eq!(Name::parse(b""), Name::Other(Vec::new()));
        assert_eq!(Name::parse(b"l").as_bytes(), b"Content-Length");
    }
}

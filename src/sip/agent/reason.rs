//! Why a request ends something (RFC 3326). Purpose: the causes of the telephone network and of SIP, read and written.
//! Pure. Invariant: what is written cannot break out of its header field. Deliberately absent: meaning (who hung up and
//! what a record calls it is the call side's).

use crate::sip::message::{Message, Name, split_list, to_text};

/// Whose number a cause is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// ITU-T Q.850, the telephone network: 16 = normal clearing, 17 = busy, 19 = no answer, …
    Q850,
    /// A SIP status code: 200 with CANCEL = the call was answered elsewhere.
    Sip,
}

/// A cause as a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cause {
    /// Whose number.
    pub protocol: Protocol,
    /// 1–127 for Q.850, 100–699 for SIP.
    pub code: u16,
}

impl Cause {
    /// A cause of the telephone network.
    #[must_use]
    pub const fn q850(code: u16) -> Self {
        Self { protocol: Protocol::Q850, code }
    }

    /// A SIP status code.
    #[must_use]
    pub const fn sip(code: u16) -> Self {
        Self { protocol: Protocol::Sip, code }
    }
}

/// Why something ends; both parts may be missing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reason {
    /// As a number.
    pub cause: Option<Cause>,
    /// For people.
    pub text: Option<String>,
}

impl Reason {
    /// For people only.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { cause: None, text: (!text.is_empty()).then(|| text.to_owned()) }
    }

    /// What the Reason fields of a message say; the telephone network's cause goes before SIP's.
    pub(super) fn of(message: &Message) -> Self {
        let values: Vec<&[u8]> = message.headers(&Name::Reason).flat_map(split_list).collect();
        let causes: Vec<_> = values.iter().filter_map(|value| cause_of(value)).collect();
        let cause = causes.iter().find(|c| c.protocol == Protocol::Q850).or(causes.first()).copied();
        Self { cause, text: values.first().and_then(|value| text_of(value)) }
    }

    /// The header field's value; `None` when there is nothing to say.
    pub(super) fn value(&self) -> Option<String> {
        let head = match self.cause {
            Some(Cause { protocol: Protocol::Q850, code }) => format!("Q.850;cause={code}"),
            Some(Cause { protocol: Protocol::Sip, code }) => format!("SIP;cause={code}"),
            None if self.text.is_none() => return None,
            None => "SIP".to_owned(),
        };
        let Some(text) = &self.text else { return Some(head) };
        let quoted: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(120).collect();
        Some(format!("{head};text=\"{quoted}\""))
    }
}

fn cause_of(value: &[u8]) -> Option<Cause> {
    let text = to_text(value);
    let mut parts = text.split(';').map(str::trim);
    let protocol = match parts.next()? {
        p if p.eq_ignore_ascii_case("Q.850") => Protocol::Q850,
        p if p.eq_ignore_ascii_case("SIP") => Protocol::Sip,
        _ => return None,
    };
    let code = parts.find_map(|part| {
        let (name, number) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("cause").then(|| number.trim().parse().ok())?
    })?;
    Some(Cause { protocol, code })
}

/// The text parameter, or the whole of a value that is no cause: a bare number is nothing for people.
fn text_of(value: &[u8]) -> Option<String> {
    let text = to_text(value);
    let quoted = text.split_once("text=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(inside, _)| inside);
    quoted.map(str::to_owned).or_else(|| cause_of(value).is_none().then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse_datagram;

    fn read(fields: &str) -> Reason {
        Reason::of(&parse_datagram(format!("BYE sip:a@h SIP/2.0\r\n{fields}\r\n").as_bytes()).unwrap())
    }

    #[test]
    fn causes_are_read_and_written() {
        let busy = read("Reason: Q.850;cause=17;text=\"User busy\"\r\n");
        assert_eq!(busy, Reason { cause: Some(Cause::q850(17)), text: Some("User busy".into()) });
        assert_eq!(busy.value().unwrap(), "Q.850;cause=17;text=\"User busy\"");
        let both = read("Reason: SIP ; cause=200 ;text=\"Call completed elsewhere\", q.850;Cause=16\r\n");
        assert_eq!(both.cause, Some(Cause::q850(16)));
        assert_eq!(both.text.as_deref(), Some("Call completed elsewhere"));
        assert_eq!(read("Reason: SIP;cause=200\r\n").cause, Some(Cause::sip(200)));
        for odd in [
            "Reason: X;cause=1\r\n",
            "Reason: Q.850;cause=x\r\n",
            "Reason: Q.850;cause=99999\r\n",
            "Reason: SIP\r\n",
            "",
        ] {
            assert_eq!(read(odd).cause, None, "{odd}");
        }
        assert_eq!(read("Reason: Q.850;cause=17\r\n").text, None, "the phrase of the refusal says more");
        assert_eq!(read("Reason: x;text=\"open\r\n").text.as_deref(), Some("x;text=\"open"));
        assert_eq!(Reason::text("a\"b\r\nc").value().unwrap(), "SIP;text=\"abc\"");
        assert_eq!(Reason { cause: Some(Cause::sip(603)), text: None }.value().unwrap(), "SIP;cause=603");
        assert_eq!(Reason::default().value(), None);
    }
}

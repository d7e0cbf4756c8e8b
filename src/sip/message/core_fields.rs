//! The fields that every message needs (RFC 3261 §8.1.1), read together. Purpose: parse once, then only typed values.

use super::address::Address;
use super::header::Name;
use super::parse::{Malformed, Message, StartLine};
use super::text::Method;
use super::uri::{Uri, parse_number};
use super::via::Via;

/// CSeq.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// Number, under 2³¹.
    pub number: u32,
    /// Method.
    pub method: Method,
}

/// Via (topmost), From, To, Call-ID, CSeq of a message that has them all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoreFields {
    /// Topmost Via.
    pub via: Via,
    /// From.
    pub from: Address,
    /// To.
    pub to: Address,
    /// Call-ID as written.
    pub call_id: Vec<u8>,
    /// CSeq.
    pub cseq: CSeq,
}

impl CoreFields {
    /// Reads the fields.
    ///
    /// # Errors
    /// 400 naming the field that is missing or unreadable, or when CSeq's method is not the request's.
    pub fn of(message: &Message) -> Result<Self, Malformed> {
        let missing = |what| Malformed { status: 400, what };
        let vias = message.list(&Name::Via);
        let via = Via::parse(vias.first().ok_or(missing("No Via"))?)?;
        let is_request = matches!(message.start, StartLine::Request { .. });
        if is_request && vias[1..].iter().any(|v| Via::parse_any_version(v).is_err()) {
            return Err(missing("Bad Via"));
        }
        if !is_plain(via.branch()) {
            return Err(missing("Bad Via"));
        }
        let from = party(message.header(&Name::From).ok_or(missing("No From"))?)?;
        let to = party(message.header(&Name::To).ok_or(missing("No To"))?)?;
        let call_id = message.header(&Name::CallId).filter(|id| !id.is_empty()).ok_or(missing("No Call-ID"))?.to_vec();
        if !is_plain(&call_id) {
            return Err(missing("Bad Call-ID"));
        }
        let cseq = parse_cseq(message.header(&Name::CSeq).ok_or(missing("No CSeq"))?).ok_or(missing("Bad CSeq"))?;
        if let StartLine::Request { method, .. } = &message.start
            && *method != cseq.method
        {
            return Err(missing("CSeq method differs from request method"));
        }
        Ok(Self { via, from, to, call_id, cseq })
    }
}

/// From or To: of any scheme (RFC 4475 §3.3.4), but a URI, not a word.
fn party(value: &[u8]) -> Result<Address, Malformed> {
    const BAD: Malformed = Malformed { status: 400, what: "Bad From or To" };
    let address = Address::parse(value)?;
    Uri::parse(&address.uri).map_err(|_| BAD)?;
    let tag = address.tag().unwrap_or_default();
    if is_plain(tag) && !tag.iter().any(|b| b"\",;".contains(b)) { Ok(address) } else { Err(BAD) }
}

/// Whether an identifier comes back from everybody as it went: controls and blanks do not, and then its dialog or transaction
/// would not be found again. Wider than the grammar, which not every vendor has read.
fn is_plain(identifier: &[u8]) -> bool {
    identifier.iter().all(u8::is_ascii_graphic)
}

fn parse_cseq(value: &[u8]) -> Option<CSeq> {
    let blank = value.iter().position(u8::is_ascii_whitespace)?;
    let number = parse_number::<u32>(&value[..blank]).filter(|n| *n < 1 << 31)?;
    let method = Method::parse(value[blank..].trim_ascii())?;
    Some(CSeq { number, method })
}

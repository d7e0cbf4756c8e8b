//! Responses. Purpose: everything that a response repeats from its request, taken once when the request comes.

use crate::sip::hop::Hop;
use crate::sip::message::{Address, Message, Name, Via, Writer, reason_phrase};

/// Methods that we take part in.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY";
/// Extensions that we have: RFC 3262, 4028, 3891, 4488.
pub(super) const SUPPORTED: &str = "100rel, timer, replaces, norefersub";

/// What a response repeats (RFC 3261 §8.2.6.2, §12.1.1).
#[derive(Clone, Debug)]
pub(super) struct ResponseSeed {
    /// Where the response goes: on a stream by the connection that brought the request (§18.2.2).
    pub(super) hop: Hop,
    vias: Vec<Vec<u8>>,
    from: Vec<u8>,
    /// With tag once `set_tag` was called or the request had one.
    to: Vec<u8>,
    tagged: bool,
    call_id: Vec<u8>,
    sequence: Vec<u8>,
    record_routes: Vec<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

impl ResponseSeed {
    /// `None` when the request does not say where a response goes. What else is missing is missing in the refusal as well (RFC
    /// 4475 §3.3.1); values need not be sound.
    pub(super) fn of(request: &Message, source: &Hop) -> Option<Self> {
        let raw_vias = request.list(&Name::Via);
        let top = Via::parse_any_version(raw_vias.first()?).ok()?;
        let mut vias = vec![top.stamped(source.address)];
        vias.extend(raw_vias[1..].iter().filter(|v| Via::parse_any_version(v).is_ok()).map(|v| v.to_vec()));
        let field = |name: &Name| request.header(name).unwrap_or_default().to_vec();
        let to = field(&Name::To);
        Some(Self {
            hop: Hop { address: top.response_destination(source), ..source.clone() },
            vias,
            from: field(&Name::From),
            tagged: to.is_empty() || Address::parse(&to).is_ok_and(|a| a.tag().is_some()),
            to,
            call_id: field(&Name::CallId),
            sequence: field(&Name::CSeq),
            record_routes: request.list(&Name::RecordRoute).into_iter().map(<[u8]>::to_vec).collect(),
            timestamp: request.header(&Name::Timestamp).map(<[u8]>::to_vec),
        })
    }

    /// Gives the responses our To tag, unless the request brought one.
    pub(super) fn set_tag(&mut self, tag: &[u8]) {
        if !self.tagged {
            self.to.extend_from_slice(b";tag=");
            self.to.extend_from_slice(tag);
            self.tagged = true;
        }
    }

    /// What makes this request different from others: input of the stateless tag (§8.2.7).
    pub(super) fn fingerprint(&self) -> [&[u8]; 4] {
        [&self.vias[0], &self.call_id, &self.from, &self.sequence]
    }

    /// Starts a response with all that is repeated; `dialog` adds the Record-Routes.
    pub(super) fn write(&self, code: u16, reason: &str, dialog: bool) -> Writer {
        let reason = if reason.is_empty() { reason_phrase(code) } else { reason };
        let mut writer = Writer::status(code, reason);
        for via in &self.vias {
            writer.header("Via", via);
        }
        if dialog {
            for route in &self.record_routes {
                writer.header("Record-Route", route);
            }
        }
        let fields = [("From", &self.from), ("To", &self.to), ("Call-ID", &self.call_id), ("CSeq", &self.sequence)];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            writer.header(name, value);
        }
        if let Some(timestamp) = &self.timestamp {
            writer.header("Timestamp", timestamp);
        }
        writer
    }
}

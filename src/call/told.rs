//! What is written into the log of calls that are offered and over. Purpose: strangers can offer calls as often as they like,
//! and write what they like into them; neither may fill the disk. Any control thread. Deliberately absent: the record, which is
//! kept of every call.

use super::actor::Invitation;
use super::record::CallEnd;
use crate::id::CallId;
use crate::limits::LOG_CALLS_MAX;
use crate::os::clock;
use crate::sip::transport::network;
use crate::store::CallRecord;
use crate::telemetry::seldom::{Seldom, brief};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use tracing::info;

static OFFERED: Mutex<Seldom> = Mutex::new(Seldom::new(LOG_CALLS_MAX));
static OVER: Mutex<Seldom> = Mutex::new(Seldom::new(LOG_CALLS_MAX));

fn admit(lines: &Mutex<Seldom>, source: IpAddr) -> Option<Option<u64>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner).admit(clock::monotonic(), network(source))
}

/// A call is offered to us.
pub(super) fn offered(call: CallId, invitation: &Invitation) {
    let Some(withheld) = admit(&OFFERED, invitation.source.ip()) else { return };
    let (from, number) = (brief(&invitation.from), brief(&invitation.number));
    info!(%call, from, number, sip_call_id = brief(&invitation.sip_call_id), withheld, "call offered");
}

/// A call is over. Those that we placed are told in any case.
pub(super) fn over(call: CallId, record: &CallRecord, end: &CallEnd) {
    let source = record.source.parse::<SocketAddr>();
    let Some(withheld) = source.map_or(Some(None), |source| admit(&OVER, source.ip())) else { return };
    info!(%call, class = %end.class, reason = brief(&end.reason), withheld, "call ended");
}

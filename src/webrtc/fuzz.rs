//! Targets for fuzzers: what comes by UDP beside the audio, and what comes by HTTP. A failure panics. Deliberately absent: the
//! drivers (`tests/fuzz_runs.rs`, `fuzz/`).

use super::fragment::Fragment;
use super::identity::Identity;
use super::link::{Link, LinkEvent, LinkPlan};
use super::seats::name_of;
use crate::limits::LINK_TRANSMITS_MAX;
use crate::sip::sdp::dtls::Fingerprint;
use crate::sip::sdp::{Dtls, DtlsLocal, IceCredentials, LocalMedia, Preference, SdpSession, Srtp};
use crate::time::Tick;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// Ends a datagram; the octet after it says whence the next one comes and how long it takes.
const END: &[u8] = b"\xff\x00\xff\x00";
/// Our name and password.
pub const OURS: (&str, &str) = ("ourname", "0123456789abcdefghijklmnop");
/// The peer's.
pub const THEIRS: (&str, &str) = ("theirname", "ponmlkjihgfedcba9876543210");

fn identity() -> Option<&'static Identity> {
    static MADE: OnceLock<Option<Identity>> = OnceLock::new();
    MADE.get_or_init(|| Identity::generate().ok()).as_ref()
}

/// A link that hears datagrams from three addresses, with ICE and without, in either role: no panic, bounded answers, and no
/// keys without the announced certificate, which no input has.
pub fn demux(octets: &[u8]) {
    let Some(identity) = identity() else { return };
    let (Some(ours), Some(theirs)) = (IceCredentials::new(OURS.0, OURS.1), IceCredentials::new(THEIRS.0, THEIRS.1))
    else {
        return;
    };
    let (choice, rest) = octets.split_first().unwrap_or((&0, &[]));
    let agreed =
        Dtls { fingerprints: vec![[7; 32]], active: choice & 1 != 0, ice: (choice & 2 != 0).then_some(theirs) };
    let at = |last: u8| SocketAddr::from(([192, 0, 2, last], 4000));
    let mut now = Tick(1_000_000_000);
    let plan = LinkPlan { agreed, ice: ours, local: at(1), remote: Some(at(2)) };
    let Some(mut link) = Link::new(identity, plan, now) else { return };
    let mut rest = rest;
    while !rest.is_empty() {
        let end = rest.windows(END.len()).position(|w| w == END).unwrap_or(rest.len());
        let (whence, datagram) = rest[..end].split_first().unwrap_or((&0, &[]));
        now = now + Duration::from_millis(u64::from(whence >> 2) * 20);
        link.handle_timeout(now);
        let name = name_of(datagram);
        assert!(name.is_none_or(|name| name.len() < datagram.len()), "a name is a part of its check");
        link.handle_datagram(now, at(2 + whence % 3), datagram);
        let answers = std::iter::from_fn(|| link.poll_transmit()).count();
        assert!(answers <= LINK_TRANSMITS_MAX, "{answers} answers");
        while let Some(event) = link.poll_event() {
            assert!(matches!(event, LinkEvent::Over(_)), "nobody has the certificate: {event:?}");
        }
        rest = rest.get(end + END.len()..).unwrap_or_default();
    }
    link.close();
}

/// What a page posts: an offer that is answered by DTLS or not at all, and a fragment.
pub fn whip(octets: &[u8]) {
    let Some(identity) = identity() else { return };
    let Some(ice) = IceCredentials::new(OURS.0, OURS.1) else { return };
    let local = LocalMedia { address: [192, 0, 2, 1].into(), port: 40_000, session_id: 1, session_version: 1 };
    let mut session =
        SdpSession::preferring(local, Preference::default().protecting(Srtp::Dtls)).drawing(|o| o.fill(1));
    let fingerprint: Fingerprint = *identity.fingerprint();
    session.identify(DtlsLocal { fingerprint, ice, candidates: vec![SocketAddr::from(([192, 0, 2, 1], 40_000))] });
    if let Ok(agreed) = session.answer(octets) {
        let dtls = agreed.dtls.clone();
        assert!(dtls.is_some_and(|dtls| !dtls.fingerprints.is_empty()) && agreed.keys.is_none(), "by DTLS alone");
        let text = String::from_utf8_lossy(&agreed.answer);
        assert!(text.contains("\r\na=fingerprint:sha-256 ") && text.contains("\r\na=setup:"), "{text}");
        assert_eq!(session.answer(octets).map(|a| a.answer), Ok(agreed.answer.clone()), "a refresh changes nothing");
    }
    if let Ok(fragment) = Fragment::parse(octets)
        && let Some(theirs) = fragment.credentials
    {
        let answer = Fragment::answer(&theirs, &[], fragment.mid.as_deref());
        assert_eq!(Fragment::parse(answer.as_bytes()).ok().and_then(|f| f.credentials), Some(theirs));
    }
}

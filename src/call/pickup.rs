//! A call of ours that rings at one telephone and is taken at another (RFC 3891 section 3, early dialogs that we began). Purpose:
//! the newcomer's INVITE is answered with audio of its own, and whoever rang stops, told that the call was completed elsewhere.
//! Invariant: an INVITE that comes here gets one final answer. Deliberately absent: which call it is for (`registry`), and
//! telephones that ask for our offer, who are refused: the caller would have to wait for their ACK.

use super::actor::{Planes, told};
use super::media_leg::{MediaLeg, preference_of};
use super::reach::audio_peer;
use crate::id::CallId;
use crate::sip::agent::{Cause, LegId, Reason};
use crate::sip::peer::Peer;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::info;

/// Who wants to take a call.
#[derive(Debug)]
pub(super) struct Newcomer {
    /// Its leg, offered and not answered.
    pub(super) leg: LegId,
    /// From, as written.
    pub(super) from: String,
    /// Where its INVITE came from.
    pub(super) source: SocketAddr,
    /// Whose it is.
    pub(super) identity: Peer,
    /// Its description.
    pub(super) offer: Option<Vec<u8>>,
}

/// Somebody is in another's place now: what it takes of its trunk is counted, however much that is, for the other goes.
pub(super) fn count(planes: &Planes, leg: LegId, identity: &Peer) {
    let trunk = identity.trunk().and_then(|name| planes.trunks.trunk(name));
    if let Some(channel) = trunk.and_then(|trunk| planes.caps.replacing(&trunk)) {
        planes.registry.hold(leg, channel);
    }
}

/// Answers the newcomer: its audio, for a session of this id that has not begun. `None`: it has been refused, or has given up.
pub(super) async fn answer(planes: &Arc<Planes>, session: CallId, newcomer: &Newcomer) -> Option<MediaLeg> {
    let leg = newcomer.leg;
    let Some(offer) = &newcomer.offer else {
        told(planes.sip.reject(leg, 488, "Not Acceptable Here", &[]).await);
        return None;
    };
    let ours = preference_of(&planes.config(), leg, None);
    let answered = MediaLeg::reserve_for(planes, session, leg, audio_peer(newcomer.source, Some(offer)), ours)
        .await
        .and_then(|mut media| media.answer(Some(offer)).map(|sdp| (media, sdp)));
    let (media, sdp) = match answered {
        Ok(answered) => answered,
        Err(error) => {
            let (code, phrase, why) = error.refusal();
            info!(%session, from = newcomer.from, why, "the ringing call cannot be taken by this telephone");
            told(planes.sip.reject(leg, code, phrase, &[]).await);
            return None;
        }
    };
    match planes.sip.accept(leg, sdp).await {
        Ok(()) => {
            info!(%session, from = newcomer.from, "the ringing call is taken by another telephone");
            count(planes, leg, &newcomer.identity);
            Some(media)
        }
        gone => {
            told(gone); // who wanted it has given up
            None
        }
    }
}

/// The telephone that rang need not any more, and has missed nothing.
pub(super) async fn silence(planes: &Planes, leg: LegId) {
    let elsewhere = Reason { cause: Some(Cause::sip(200)), text: Some("Call completed elsewhere".to_owned()) };
    told(planes.sip.hang_up_for(leg, elsewhere).await);
}

//! Why a packet is not protected, or not accepted.

use thiserror::Error;

/// Each variant says whose fault it is. All but the last two concern one packet: drop and count it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SrtpError {
    /// The sender's: too short, or no RTP or RTCP of version 2.
    #[error("not an {0} packet, or cut short")]
    Malformed(&'static str),
    /// The sender's, or somebody else's who does not have the key.
    #[error("the authentication tag is wrong: forged, damaged, or the keys differ")]
    NotAuthentic,
    /// The network's, or an attacker's: seen already, or too old to tell.
    #[error("replayed, or too late to be told from a replay")]
    Replayed,
    /// Of a source that was given up for newer ones: what it sent can no longer be told from a replay.
    #[error("source {0:08x} was given up before")]
    Retired(u32),
    /// Ours: the buffer ends before the tag would.
    #[error("the buffer has no room for {0} octets of protection")]
    NoRoom(usize),
    /// Ours: protecting this would use a key stream twice.
    #[error("packet index was used before: sequence numbers must not repeat or fall back by 128")]
    IndexReused,
    /// Ours: the same source sends and receives under one key. Choose another SSRC.
    #[error("source {0:08x} is used in both directions under one key")]
    Collision(u32),
    /// The operator's or the peer's: key or salt of the wrong length.
    #[error("{suite} takes a key of {key} and a salt of {salt} octets")]
    KeyLength {
        /// Name of the profile.
        suite: &'static str,
        /// Octets that it takes.
        key: usize,
        /// Octets that it takes.
        salt: usize,
    },
    /// The key has protected all that it may (RFC 3711 section 9.2), or has seen too many sources: agree on a new one.
    #[error("the key is used up: a new one must be agreed on")]
    KeyExpired,
}

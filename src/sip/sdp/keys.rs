//! Keys in descriptions (SDES, RFC 4568). Purpose: which key of ours goes with which of the peer's, over the life of one
//! call. Pure: randomness is handed in. Invariants: a key of ours stays as long as the peer's does, so that a session
//! refresh is answered with the very same octets, and is never used again once the peer's has changed; nothing is remembered
//! of an exchange that failed; `Debug` shows no key. Deliberately absent: reading a line (`rtp::sdes`), policy
//! (`Srtp`), renewal when a stated lifetime ends (2^20 packets are six hours; whoever states one renews it).

use super::dtls::{Dtls, DtlsLine, DtlsLocal};
use super::{SdpError, Srtp};
use crate::rtp::sdes::{self, Crypto};
use crate::rtp::srtp::{MasterKey, Profile};
use zeroize::Zeroizing;

/// Fills octets with randomness.
pub type Random = fn(&mut [u8]);

/// Longest key and salt, octets.
const KEY_MAX: usize = 32;
const SALT_MAX: usize = 14;

/// The two keys of a protected stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Protects what we send.
    pub ours: MasterKey,
    /// Protects what the peer sends.
    pub theirs: MasterKey,
}

/// One key of ours and the number that it has in descriptions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    tag: u32,
    key: MasterKey,
}

impl Line {
    /// The value of `a=crypto`.
    pub(super) fn value(&self) -> String {
        sdes::write(self.tag, &self.key)
    }
}

/// What one call has said and heard of keys.
#[derive(Clone, Debug)]
pub(super) struct KeyRing {
    /// Without it there is no SRTP.
    random: Option<Random>,
    /// Of our last offer; empty when it was a plain one.
    offered: Vec<Line>,
    agreed: Option<Keys>,
    /// Without it there is no DTLS.
    dtls: Option<DtlsLocal>,
    /// Our last offer was one of DTLS.
    offered_dtls: bool,
    agreed_dtls: Option<Dtls>,
}

impl KeyRing {
    pub(super) const fn new(random: Option<Random>) -> Self {
        Self { random, offered: Vec::new(), agreed: None, dtls: None, offered_dtls: false, agreed_dtls: None }
    }

    /// The same for another peer, with whom no key is shared, and no certificate.
    pub(super) const fn afresh(&self) -> Self {
        Self::new(self.random)
    }

    /// What counts now: a stream that was protected never goes on in the clear.
    pub(super) fn policy(&self, wished: Srtp) -> Srtp {
        if self.agreed_dtls.is_some() {
            return Srtp::Dtls;
        }
        match (self.random, &self.agreed) {
            (None, _) => Srtp::Off,
            (_, Some(_)) => Srtp::Require,
            (_, None) => wished,
        }
    }

    /// What counts for the answer to our last offer.
    pub(super) fn policy_of_offer(&self) -> Srtp {
        match (self.offered_dtls, self.offered.is_empty()) {
            (true, _) => Srtp::Dtls,
            (false, true) => Srtp::Off,
            (false, false) => Srtp::Require,
        }
    }

    /// From now on we have a certificate.
    pub(super) fn identify(&mut self, local: DtlsLocal) {
        self.dtls = Some(local);
    }

    /// Our side of DTLS.
    pub(super) const fn local(&self) -> Option<&DtlsLocal> {
        self.dtls.as_ref()
    }

    /// Whether lines of DTLS are taken. A stream with keys from descriptions stays one.
    pub(super) const fn does_dtls(&self) -> bool {
        self.dtls.is_some() && self.agreed.is_none()
    }

    /// Our side and what is agreed for a line of DTLS that the peer offers.
    pub(super) fn answer_dtls(&mut self, theirs: DtlsLine) -> Result<(DtlsLocal, Dtls), SdpError> {
        let local = self.dtls.clone().ok_or(SdpError::NotAcceptable("no DTLS here"))?;
        let agreed = theirs.agreed(self.agreed_dtls.as_ref()).map_err(SdpError::NotAcceptable)?;
        self.agreed_dtls = Some(agreed.clone());
        Ok((local, agreed))
    }

    /// Our side for the next offer, where that is one of DTLS.
    pub(super) fn offer_dtls(&mut self, wished: Srtp) -> Option<DtlsLocal> {
        self.offered_dtls = self.dtls.is_some() && self.policy(wished) == Srtp::Dtls;
        self.dtls.clone().filter(|_| self.offered_dtls)
    }

    /// Reads what the peer says to our offer of DTLS.
    pub(super) fn accept_dtls(&mut self, theirs: Option<DtlsLine>) -> Result<Option<Dtls>, SdpError> {
        if !self.offered_dtls {
            return Ok(None);
        }
        let theirs = theirs.ok_or(SdpError::NotAcceptable("the answer has no DTLS, which was offered"))?;
        let agreed = theirs.accepted(self.agreed_dtls.as_ref()).map_err(SdpError::NotAcceptable)?;
        self.agreed_dtls = Some(agreed.clone());
        Ok(Some(agreed))
    }

    /// Our key for a line that the peer offers. `None`: there is no SRTP here.
    pub(super) fn answer(&mut self, theirs: &Crypto) -> Option<(Line, Keys)> {
        let agreed = match &self.agreed {
            Some(agreed) if agreed.theirs == theirs.key => agreed.clone(),
            _ => Keys { ours: fresh(self.random?, theirs.key.profile())?, theirs: theirs.key.clone() },
        };
        self.agreed = Some(agreed.clone());
        let line = Line { tag: theirs.tag, key: agreed.ours.clone() };
        // What we answer with is what a refresh of the session offers.
        self.offered = vec![line.clone()];
        Some((line, agreed))
    }

    /// What the answer that was made said, as far as it was no key: that is what a refresh of the session offers.
    pub(super) fn stand_on(&mut self, keys: bool, dtls: bool) {
        if !keys {
            self.offered.clear();
        }
        self.offered_dtls = dtls;
    }

    /// What our next offer holds: the key in use, else, where protection is required, one key for each suite. Empty for a
    /// plain offer.
    pub(super) fn offer(&mut self, wished: Srtp) -> &[Line] {
        match (&self.agreed, self.policy(wished)) {
            (Some(agreed), _) => {
                let tag = self.offered.iter().find(|line| line.key == agreed.ours).map_or(1, |line| line.tag);
                self.offered = vec![Line { tag, key: agreed.ours.clone() }];
            }
            (None, Srtp::Require) if self.offered.is_empty() => {
                let random = self.random;
                let keys = Profile::ALL.into_iter().filter_map(|profile| fresh(random?, profile));
                self.offered = (1..).zip(keys).map(|(tag, key)| Line { tag, key }).collect();
            }
            (None, Srtp::Require) => {}
            (None, Srtp::Off | Srtp::Answer | Srtp::Dtls) => self.offered.clear(),
        }
        &self.offered
    }

    /// Reads the line that the peer chose from our offer (RFC 4568 section 5.1.3): same number, same suite. `None` for a
    /// plain answer to a plain offer.
    pub(super) fn accept(&mut self, answered: &[Crypto]) -> Result<Option<Keys>, SdpError> {
        if self.offered.is_empty() {
            return Ok(None);
        }
        let chosen = answered.iter().find_map(|theirs| {
            let same = |ours: &&Line| ours.tag == theirs.tag && ours.key.profile() == theirs.key.profile();
            let ours = self.offered.iter().find(same)?;
            Some(Keys { ours: ours.key.clone(), theirs: theirs.key.clone() })
        });
        let chosen = chosen.ok_or(SdpError::NotAcceptable("the answer's a=crypto is none of the offer's"))?;
        if chosen.ours == chosen.theirs {
            return Err(SdpError::NotAcceptable("the answer's a=crypto is the offer's key, sent back"));
        }
        self.agreed = Some(chosen.clone());
        Ok(Some(chosen))
    }
}

fn fresh(random: Random, profile: Profile) -> Option<MasterKey> {
    let (mut key, mut salt) = (Zeroizing::new([0; KEY_MAX]), Zeroizing::new([0; SALT_MAX]));
    let (key, salt) = (key.get_mut(..profile.key_len())?, salt.get_mut(..profile.salt_len())?);
    random(key);
    random(salt);
    MasterKey::new(profile, key, salt).ok()
}

//! One DTLS association. Purpose: records in and out; the keys once the peer's certificate has proved to be the announced one.
//! Sans-IO. Invariant: keys of an association whose certificate has another fingerprint are told to nobody. Deliberately
//! absent: whose datagrams these are (`link`).

use super::identity::Identity;
use crate::media::SrtpKeys;
use crate::rtp::srtp::{MasterKey, Profile};
use crate::sip::sdp::dtls::Fingerprint;
use dimpl::{Dtls, KeyingMaterial, Output, SrtpProfile};
use sha2::{Digest, Sha256};
use std::time::Instant;

/// Longest record that is written (the configured MTU is below).
const OUTPUT_MAX: usize = 2048;
/// Outputs taken in one go: a whole flight many times over.
const OUTPUTS_MAX: usize = 64;

/// Content type handshake, message ServerHello (RFC 6347 section 4.3.2), and where it says so.
const SERVER_HELLO: (u8, u8, usize) = (22, 2, 13);

/// How far an association is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// The handshake goes on.
    Shaking,
    /// It is done, and the peer is the right one.
    Keyed(Box<SrtpKeys>),
    /// The peer's certificate is not the announced one.
    WrongCertificate,
    /// It cannot go on.
    Broken(String),
    /// The peer has closed it (`close_notify`).
    Closed,
}

pub(super) struct Association {
    dtls: Dtls,
    active: bool,
    expected: Vec<Fingerprint>,
    verified: bool,
    material: Option<SrtpKeys>,
    /// When the engine wants to be called.
    due: Option<Instant>,
    /// As the server: the peer has sent our cookie back, so that it is where it says (RFC 6347 section 4.2.1).
    pub(super) reached: bool,
    pub(super) progress: Progress,
}

impl Association {
    /// `active`: we send the ClientHello.
    pub(super) fn new(identity: &Identity, expected: &[Fingerprint], active: bool, now: Instant) -> Self {
        let mut dtls = Dtls::new_12(identity.config().clone(), identity.certificate().clone(), now);
        dtls.set_active(active);
        let expected = expected.to_vec();
        Self {
            dtls,
            active,
            expected,
            verified: false,
            material: None,
            due: None,
            reached: false,
            progress: Progress::Shaking,
        }
    }

    /// A datagram of the peer's; what is to be sent goes to `out`.
    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &[u8], out: &mut dyn FnMut(&[u8])) {
        let fed = self.dtls.handle_timeout(now).and_then(|()| self.dtls.handle_packet(datagram));
        self.settle(fed, out);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut dyn FnMut(&[u8])) {
        let fed = self.dtls.handle_timeout(now);
        self.settle(fed, out);
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Says goodbye (`close_notify`), where there is somebody to say it to.
    pub(super) fn close(&mut self, out: &mut dyn FnMut(&[u8])) {
        let closed = self.dtls.close();
        self.settle(closed, out);
    }

    fn settle(&mut self, fed: Result<(), dimpl::Error>, out: &mut dyn FnMut(&[u8])) {
        let mut buffer = [0; OUTPUT_MAX];
        let mut connected = false;
        for _ in 0..OUTPUTS_MAX {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    let (kind, message, at) = SERVER_HELLO;
                    self.reached |= packet.first() == Some(&kind) && packet.get(at) == Some(&message);
                    out(packet);
                }
                Output::Timeout(at) => {
                    self.due = Some(at);
                    break;
                }
                Output::PeerCert(certificate) => {
                    let fingerprint: Fingerprint = Sha256::digest(certificate).into();
                    self.verified = self.expected.contains(&fingerprint);
                    if !self.verified {
                        self.progress = Progress::WrongCertificate;
                    }
                }
                Output::KeyingMaterial(material, profile) => self.material = keys(&material, profile, self.active),
                Output::Connected => connected = true,
                Output::CloseNotify => self.progress = Progress::Closed,
                Output::BufferTooSmall { needed } => {
                    self.progress = Progress::Broken(format!("a record of {needed} octets is due"));
                    break;
                }
                _ => {}
            }
        }
        if connected && self.progress == Progress::Shaking {
            self.progress = match self.material.take() {
                _ if !self.verified => Progress::WrongCertificate,
                Some(keys) => Progress::Keyed(Box::new(keys)),
                None => Progress::Broken("the peer does DTLS without use_srtp (RFC 5764)".to_owned()),
            };
        }
        if let Err(error) = fed
            && matches!(self.progress, Progress::Shaking | Progress::Keyed(_))
        {
            self.progress = Progress::Broken(error.to_string());
        }
    }
}

/// RFC 5764 section 4.2: the client's key, the server's key, the client's salt, the server's salt.
fn keys(material: &KeyingMaterial, profile: SrtpProfile, active: bool) -> Option<SrtpKeys> {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::AesCm128HmacSha1With80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        _ => return None,
    };
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let part = |at: usize, len: usize| material.get(at..at + len);
    let client = MasterKey::new(profile, part(0, key)?, part(2 * key, salt)?).ok()?;
    let server = MasterKey::new(profile, part(key, key)?, part(2 * key + salt, salt)?).ok()?;
    Some(if active { SrtpKeys { ours: client, theirs: server } } else { SrtpKeys { ours: server, theirs: client } })
}

//! What a description says of DTLS and ICE (RFC 5763, RFC 8122, RFC 8839, RFC 8842). Purpose: read the peer's fingerprint,
//! role and credentials, and write ours. Pure; any thread. Invariants: a line without a SHA-256 fingerprint is not taken,
//! since nothing would tell the peer from anybody else; once DTLS was agreed neither the peer's fingerprint nor the roles
//! change within the call. Deliberately absent: the handshake and the checks (`webrtc`), other digests than SHA-256 (the one
//! that everybody has, RFC 8122 section 5).

use sdp_types::{Attribute, Media, Session};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// SHA-256 of a certificate in DER.
pub type Fingerprint = [u8; 32];

/// Fingerprints of one description that are looked at.
const FINGERPRINTS_MAX: usize = 8;
/// RFC 8839 section 5.4: a fragment has 4 to 256 characters, a password 22 to 256.
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 22..=256;

/// Name and password of one side's checks (RFC 8839 section 5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`. Secret enough: who has it can move the call.
    pub password: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl IceCredentials {
    /// From text within the lengths and characters of RFC 8839 (`ice-char`).
    #[must_use]
    pub fn new(ufrag: &str, password: &str) -> Option<Self> {
        let fits = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        // Some browsers have written other characters than the grammar's ("-", "_", "=").
        let fits = |text: &str| fits(&text.replace(['-', '_', '='], "/"));
        let good = UFRAG_LEN.contains(&ufrag.len()) && PASSWORD_LEN.contains(&password.len());
        (good && fits(ufrag) && fits(password)).then(|| Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }
}

/// Our side of DTLS, and of ICE where the peer has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DtlsLocal {
    /// Of our certificate.
    pub fingerprint: Fingerprint,
    /// For the peer's checks.
    pub ice: IceCredentials,
    /// Where we are reached, the best first; all of them lead to the one socket.
    pub candidates: Vec<SocketAddr>,
}

/// What was agreed of DTLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dtls {
    /// The peer's certificate has one of these.
    pub fingerprints: Vec<Fingerprint>,
    /// We send the ClientHello (`a=setup:active` is ours).
    pub active: bool,
    /// The peer's, where it does ICE; then the address of the description means nothing.
    pub ice: Option<IceCredentials>,
}

/// `a=setup` (RFC 4145, RFC 5763 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Setup {
    Active,
    Passive,
    Actpass,
}

impl Setup {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Actpass => "actpass",
        }
    }
}

/// What the peer says on one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DtlsLine {
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) setup: Setup,
    pub(super) ice: Option<IceCredentials>,
}

/// Whether keys for this profile come by DTLS.
pub(super) fn is_dtls(protocol: &str) -> bool {
    ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"].iter().any(|known| protocol.eq_ignore_ascii_case(known))
}

impl DtlsLine {
    /// The line's attributes come before the session's.
    pub(super) fn parse(session: &Session, media: &Media) -> Result<Self, &'static str> {
        let value = |name: &str| first(&media.attributes, name).or_else(|| first(&session.attributes, name));
        let of = |attributes: &[Attribute]| -> Vec<Fingerprint> {
            let named = attributes.iter().filter(|a| a.attribute.eq_ignore_ascii_case("fingerprint"));
            named.filter_map(|a| parse_fingerprint(a.value.as_deref()?)).take(FINGERPRINTS_MAX).collect()
        };
        let mut fingerprints = of(&media.attributes);
        if fingerprints.is_empty() {
            fingerprints = of(&session.attributes);
        }
        if fingerprints.is_empty() {
            return Err("DTLS without an a=fingerprint:sha-256");
        }
        let setup = match value("setup").map(str::trim) {
            // RFC 5763 section 5: an offer should say actpass, and one that says nothing leaves it to us.
            None => Setup::Actpass,
            Some(setup) if setup.eq_ignore_ascii_case("actpass") => Setup::Actpass,
            Some(setup) if setup.eq_ignore_ascii_case("active") => Setup::Active,
            Some(setup) if setup.eq_ignore_ascii_case("passive") => Setup::Passive,
            Some(_) => return Err("an a=setup that is neither active, passive nor actpass"),
        };
        // Who is ICE-lite too sends no checks, and neither do we: such a peer is where its description says (RFC 8839 section 5.3).
        let lite = session.attributes.iter().any(|a| a.attribute.eq_ignore_ascii_case("ice-lite"));
        let ice = match (value("ice-ufrag"), value("ice-pwd")) {
            (None, None) => None,
            _ if lite => None,
            (ufrag, password) => Some(
                IceCredentials::new(ufrag.unwrap_or_default().trim(), password.unwrap_or_default().trim())
                    .ok_or("ICE credentials that cannot be read")?,
            ),
        };
        Ok(Self { fingerprints, setup, ice })
    }

    /// Our role as the answerer. `before`: what was agreed earlier in the call.
    pub(super) fn agreed(self, before: Option<&Dtls>) -> Result<Dtls, &'static str> {
        let active = match (self.setup, before) {
            (Setup::Active, _) => false,
            (Setup::Passive, _) => true,
            (Setup::Actpass, Some(before)) => before.active,
            // The offerer may hear our ClientHello before our answer; the other way round nothing can go wrong.
            (Setup::Actpass, None) => false,
        };
        let agreed = Dtls { fingerprints: self.fingerprints, active, ice: self.ice };
        lasting(agreed, before)
    }

    /// Our role when the peer has answered our `actpass`.
    pub(super) fn accepted(self, before: Option<&Dtls>) -> Result<Dtls, &'static str> {
        let active = match self.setup {
            Setup::Active => false,
            Setup::Passive => true,
            Setup::Actpass => return Err("an answer with a=setup:actpass (RFC 5763 section 5)"),
        };
        lasting(Dtls { fingerprints: self.fingerprints, active, ice: self.ice }, before)
    }
}

/// The association goes on, or there is none yet.
fn lasting(agreed: Dtls, before: Option<&Dtls>) -> Result<Dtls, &'static str> {
    match before {
        Some(before) if before.fingerprints != agreed.fingerprints => {
            Err("another fingerprint in the middle of a call")
        }
        Some(before) if before.active != agreed.active => Err("another DTLS role in the middle of a call"),
        Some(before) if before.ice.is_some() != agreed.ice.is_some() => {
            Err("ICE comes or goes in the middle of a call")
        }
        // Taken for agreed, its checks would be refused under the new name, and the call would fall silent.
        Some(before) if before.ice != agreed.ice => Err("an ICE restart by a new offer; the session goes on as it was"),
        _ => Ok(agreed),
    }
}

fn first<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|a| a.attribute.eq_ignore_ascii_case(name))?.value.as_deref()
}

/// `sha-256 AB:CD:…`; other digests are passed over.
fn parse_fingerprint(value: &str) -> Option<Fingerprint> {
    let (digest, octets) = value.trim().split_once(' ')?;
    if !digest.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut fingerprint = [0; 32];
    let mut parts = octets.trim().split(':');
    for octet in &mut fingerprint {
        let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(fingerprint)
}

/// The value of our `a=fingerprint`.
pub(super) fn fingerprint_value(fingerprint: &Fingerprint) -> String {
    let mut value = "sha-256 ".to_owned();
    for (n, octet) in fingerprint.iter().enumerate() {
        let colon = if n == 0 { "" } else { ":" };
        // Writing to a String cannot fail.
        let _ = write!(value, "{colon}{octet:02X}");
    }
    value
}

/// Our host candidates (RFC 8839 section 5.1): priorities by RFC 8445 section 5.1.2.1, the first the highest.
pub fn candidate_values(candidates: &[SocketAddr]) -> impl Iterator<Item = String> + '_ {
    candidates.iter().zip(0u32..).map(|(address, n)| {
        let priority = (126 << 24) | ((65_535 - n.min(65_535)) << 8) | 255;
        format!("{} 1 udp {priority} {} {} typ host", n + 1, address.ip(), address.port())
    })
}

/// What an answer says of DTLS and ICE on its line.
pub(super) fn answer_attributes(
    local: &DtlsLocal,
    agreed: &Dtls,
    mid: Option<&str>,
    add: &mut dyn FnMut(&str, Option<String>),
) {
    if let Some(mid) = mid {
        add("mid", Some(mid.to_owned()));
    }
    if agreed.ice.is_some() {
        add("ice-ufrag", Some(local.ice.ufrag.clone()));
        add("ice-pwd", Some(local.ice.password.clone()));
        for candidate in candidate_values(&local.candidates) {
            add("candidate", Some(candidate));
        }
        add("end-of-candidates", None);
        // A browser's page hears of a stream by this.
        add("msid", Some("callwright audio".to_owned()));
    }
    let setup = if agreed.active { Setup::Active } else { Setup::Passive };
    add("fingerprint", Some(fingerprint_value(&local.fingerprint)));
    add("setup", Some(setup.name().to_owned()));
}

/// What an offer of ours says: no ICE, since trunks that speak DTLS without it are many and those that need it are none.
pub(super) fn offer_attributes(local: &DtlsLocal, add: &mut dyn FnMut(&str, Option<String>)) {
    add("fingerprint", Some(fingerprint_value(&local.fingerprint)));
    add("setup", Some(Setup::Actpass.name().to_owned()));
}

/// Whether the line `mid` is in an offered BUNDLE group (RFC 9143).
pub(super) fn is_bundled(session: &Session, mid: &str) -> bool {
    session.attributes.iter().filter(|a| a.attribute.eq_ignore_ascii_case("group")).any(|group| {
        let mut words = group.value.as_deref().unwrap_or_default().split_ascii_whitespace();
        words.next().is_some_and(|semantics| semantics.eq_ignore_ascii_case("BUNDLE")) && words.any(|word| word == mid)
    })
}

/// The identification of a line (RFC 5888): a token, as it goes back to the peer.
pub(super) fn mid(media: &Media) -> Option<&str> {
    let mid = first(&media.attributes, "mid")?.trim();
    let fits = |b: u8| b.is_ascii_graphic() && b != b':';
    (!mid.is_empty() && mid.len() <= 64 && mid.bytes().all(fits)).then_some(mid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint: Fingerprint = std::array::from_fn(|n| n as u8 * 7);
        assert_eq!(parse_fingerprint(&fingerprint_value(&fingerprint)), Some(fingerprint));
        let lower = fingerprint_value(&fingerprint).to_lowercase();
        assert_eq!(parse_fingerprint(&lower), Some(fingerprint));
        for bad in
            ["sha-256", "sha-256 AA", "sha-1 AA:BB", "sha-256 +1:00", &format!("{lower}:00"), &lower[..lower.len() - 1]]
        {
            assert_eq!(parse_fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_have_the_lengths_of_the_rfc() {
        let password = "x".repeat(22);
        assert!(IceCredentials::new("abcd", &password).is_some());
        assert!(IceCredentials::new("abc", &password).is_none());
        assert!(IceCredentials::new("abcd", &password[1..]).is_none());
        assert!(IceCredentials::new("ab d", &password).is_none());
        assert!(IceCredentials::new(&"a".repeat(257), &password).is_none());
    }

    #[test]
    fn roles_are_the_other_one_and_stay() {
        let line = |setup| DtlsLine { fingerprints: vec![[1; 32]], setup, ice: None };
        let agreed = |setup, before: Option<&Dtls>| line(setup).agreed(before).map(|d| d.active);
        assert_eq!(agreed(Setup::Actpass, None), Ok(false));
        assert_eq!(agreed(Setup::Active, None), Ok(false));
        let active = line(Setup::Passive).agreed(None).unwrap();
        assert!(active.active);
        assert_eq!(agreed(Setup::Actpass, Some(&active)), Ok(true));
        assert!(agreed(Setup::Active, Some(&active)).is_err());
        assert!(line(Setup::Actpass).accepted(None).is_err());
        let named = |ufrag: &str| DtlsLine { ice: IceCredentials::new(ufrag, &"p".repeat(22)), ..line(Setup::Actpass) };
        let lasting = named("abcd").agreed(None).unwrap();
        assert!(named("abcd").agreed(Some(&lasting)).is_ok());
        assert!(named("efgh").agreed(Some(&lasting)).unwrap_err().contains("ICE restart"));
        let other = DtlsLine { fingerprints: vec![[2; 32]], ..line(Setup::Passive) };
        assert!(other.agreed(Some(&active)).is_err());
    }
}

//! Signalling by one family of addresses, audio by the other (RFC 5118 §4.6, §4.9; RFC 6157). Purpose: know from an offer that
//! our end of the audio has to be in the other family. Pure. Deliberately absent: whether this machine has such an address.

use super::read::Description;
use std::net::IpAddr;

/// Where the audio of an offer is, if none of its lines can be served from an address of the family of `local`. `None`: there
/// is one that can, or nothing can be told: an address that stands for another (with ICE), for none (old-style hold) or for many.
#[must_use]
pub fn other_family(offer: &[u8], local: IpAddr) -> Option<IpAddr> {
    let description = Description::parse(offer).ok()?;
    let mut other = None;
    for media in &description.session.medias {
        if !media.media.eq_ignore_ascii_case("audio") || media.port == 0 {
            continue;
        }
        let connection = media.connections.first().or(description.session.connection.as_ref())?;
        let address = connection.try_address().ok()?.ip;
        let by_ice = media.attributes.iter().chain(&description.session.attributes).any(|a| a.attribute == "ice-ufrag");
        if by_ice || address.is_unspecified() || address.is_multicast() || address.is_ipv4() == local.is_ipv4() {
            return None;
        }
        other = other.or(Some(address));
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Option<String> {
        let offer = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n{lines}");
        other_family(offer.as_bytes(), "192.0.2.1".parse().unwrap()).map(|address| address.to_string())
    }

    #[test]
    fn audio_of_the_other_family_is_seen() {
        let audio = "m=audio 4000 RTP/AVP 0\r\n";
        let six = "c=IN IP6 2001:db8::5\r\n";
        assert_eq!(of(&format!("{six}t=0 0\r\n{audio}")).as_deref(), Some("2001:db8::5"));
        assert_eq!(of(&format!("c=IN IP4 192.0.2.9\r\nt=0 0\r\n{audio}{six}")).as_deref(), Some("2001:db8::5"));
        assert_eq!(of(&format!("{six}t=0 0\r\nm=audio 0 RTP/AVP 0\r\n{audio}")).as_deref(), Some("2001:db8::5"));
        for lines in [
            format!("c=IN IP4 192.0.2.9\r\nt=0 0\r\n{audio}"),
            format!("{six}t=0 0\r\n{audio}{audio}c=IN IP4 192.0.2.9\r\n"),
            format!("{six}t=0 0\r\n{audio}a=ice-ufrag:x\r\n"),
            format!("c=IN IP6 ::\r\nt=0 0\r\n{audio}"),
            format!("c=IN IP6 ff02::1\r\nt=0 0\r\n{audio}"),
            format!("t=0 0\r\n{audio}"),
            format!("{six}t=0 0\r\nm=video 4000 RTP/AVP 96\r\n"),
            "nonsense".to_owned(),
        ] {
            assert_eq!(of(&lines), None, "{lines}");
        }
    }
}

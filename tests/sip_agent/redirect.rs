//! A peer that says where the call is taken (RFC 3261 §8.1.3.4).

use callwright::sip::agent::{LegId, Placement, SipEvent};
use callwright::sip::hop::Hop;

use super::OFFER;
use super::phone::{PHONE, Phone, header, response};

/// A call to `bob` at the phone, which may be sent elsewhere so often.
fn called(redirects: u8) -> (Phone, LegId, String) {
    let mut phone = Phone::new();
    let placement = Placement {
        redirects,
        ..Placement::new("sip:bob@10.0.0.9:5080", Hop::udp(PHONE.parse().unwrap()), "<sip:a@10.0.0.2>", OFFER.to_vec())
    };
    let leg = phone.agent.place(phone.now, &placement).unwrap();
    let invite = phone.received().remove(0);
    (phone, leg, invite)
}

fn moved(invite: &str, contacts: &str) -> String {
    format!("{}{contacts}\r\n", response(invite, "302 Moved Temporarily", "t"))
}

fn refused(phone: &mut Phone) -> Option<u16> {
    match phone.agent.poll_event() {
        Some(SipEvent::Refused { code, .. }) => Some(code),
        None => None,
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_preferred_place_of_the_peer_itself_is_called_next() {
    let (mut phone, leg, invite) = called(3);
    let contacts = "Contact: <sip:late@10.0.0.9:5080>;q=0.2, <sip:elsewhere@198.51.100.7>;q=0.9\r\nContact: <sip:carol@10.0.0.9:5099>;q=0.8\r\n";
    let out = phone.send(moved(&invite, contacts));
    assert!(out[0].starts_with("ACK sip:bob@10.0.0.9:5080 "), "{out:?}");
    assert!(out[1].starts_with("INVITE sip:carol@10.0.0.9:5099 SIP/2.0\r\n"), "strangers are not called: {}", out[1]);
    for same in ["From", "To", "Call-ID"] {
        assert_eq!(header(&out[1], same), header(&invite, same), "{same}");
    }
    assert_eq!(header(&out[1], "CSeq"), Some("2 INVITE"));
    assert_ne!(header(&out[1], "Via"), header(&invite, "Via"));
    assert!(out[1].ends_with(std::str::from_utf8(OFFER).unwrap()));
    let head = response(&out[1], "200 OK", "c");
    let answer = format!("{head}Contact: <sip:carol@10.0.0.9:5099>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n");
    let ack = phone.send_from("10.0.0.9:5099", answer);
    assert!(ack[0].starts_with("ACK sip:carol@10.0.0.9:5099 "), "{ack:?}");
    assert_eq!(phone.event(), SipEvent::Accepted { leg, answer: b"v=0\r\n".to_vec() });
}

#[test]
fn it_is_followed_where_allowed_a_few_times_and_never_in_a_circle() {
    let (mut phone, _, invite) = called(0);
    phone.send(moved(&invite, "Contact: <sip:carol@10.0.0.9:5080>\r\n"));
    assert_eq!(refused(&mut phone), Some(302), "it is not allowed");
    for contacts in [
        "",
        "Contact: <sip:x@198.51.100.7>\r\n",
        "Contact: <sip:x@stranger.example>\r\n",
        "Contact: <tel:+1900>\r\n",
        "Contact: <sip:bob@10.0.0.9:5080>\r\n",
        "Contact: *\r\n",
        "Contact: <sip:\r\n",
    ] {
        let (mut phone, _, invite) = called(3);
        assert_eq!(phone.send(moved(&invite, contacts)).len(), 1, "{contacts}");
        assert_eq!(refused(&mut phone), Some(302), "{contacts}");
    }
    let (mut phone, _, invite) = called(200);
    let mut last = invite;
    for user in ["one", "two", "three"] {
        let out =
            phone.send(moved(&last, &format!("Contact: <sip:bob@10.0.0.9:5080>, <sip:{user}@10.0.0.9:5080>\r\n")));
        last = out.into_iter().find(|m| m.starts_with("INVITE ")).unwrap_or_else(|| panic!("{user}"));
        assert!(last.starts_with(&format!("INVITE sip:{user}@")));
    }
    assert_eq!(phone.send(moved(&last, "Contact: <sip:four@10.0.0.9:5080>\r\n")).len(), 1);
    assert_eq!(refused(&mut phone), Some(302), "three times are enough");
    phone.pass(std::time::Duration::from_secs(64));
    assert!(phone.agent.is_quiescent());
}

#[test]
fn who_has_given_up_calls_nobody_else() {
    let (mut phone, leg, invite) = called(3);
    phone.send(format!("{}\r\n", response(&invite, "180 Ringing", "t")));
    phone.event();
    phone.agent.hang_up(phone.now, leg, None).unwrap();
    phone.received();
    let out = phone.send(moved(&invite, "Contact: <sip:carol@10.0.0.9:5080>\r\n"));
    assert!(out.iter().all(|m| !m.starts_with("INVITE ")), "{out:?}");
    assert!(matches!(phone.event(), SipEvent::Ended { .. }));
}

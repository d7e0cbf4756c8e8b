//! The door: who is let in, for what, and what is told of it.

use super::*;
use crate::sip::agent::EndedBy;
use crate::twilio::leg::Heard;
use crate::twilio::message::{self, Message};

const TOKEN: &str = "0123456789abcdef";

struct Open {
    door: Arc<Door>,
    events: mpsc::Receiver<SipEvent>,
}

fn open(text: &str) -> Open {
    let text = format!("account_sid = \"AC1x\"\nauth_token = \"{TOKEN}\"\n{text}");
    let config: Twilio = toml::from_str(&text).unwrap();
    let (events, told) = mpsc::channel(16);
    let tokens = config.tokens(|_| None).unwrap();
    Open { door: Door::new((&config, &Telnyx::default()), tokens, "twilio", events).unwrap(), events: told }
}

fn peer() -> SocketAddr {
    "203.0.113.9:5555".parse().unwrap()
}

/// A form as Twilio would send it to `url`.
fn posted<'a>(path: &'a str, body: &'a str, signature: &'a str) -> Webhook<'a> {
    Webhook {
        peer: peer(),
        secure: false,
        host: Some("phone.example.com"),
        forwarded_proto: None,
        forwarded_host: None,
        signature: Some(signature),
        telnyx: None,
        path_and_query: path,
        body: body.as_bytes(),
        is_form: true,
    }
}

fn sign(url: &str, body: &str) -> String {
    let fields = signature::fields(body.as_bytes(), 64).unwrap();
    signature::sign(&Secret::from(TOKEN.to_owned()), url, &fields)
}

const CALL: &str = "CallSid=CA7&AccountSid=AC1x&From=%2B15551230001&To=%2B15551230002&CallerName=Ann+%22%3CB%3E";
const PUBLIC: &str = "public_url = \"https://phone.example.com\"";

/// The token in TwiML.
fn token(document: &str) -> String {
    document.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn start(call: &str, account: &str, token: &str) -> Start {
    let text = format!(
        r#"{{"event":"start","streamSid":"MZ1","start":{{"accountSid":"{account}","callSid":"{call}","customParameters":{{"token":"{token}"}}}}}}"#
    );
    match message::read(&text).unwrap() {
        Message::Start(start) => start,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_call_is_connected_once() {
    let open = open(PUBLIC);
    let signature = sign("https://phone.example.com/incoming", CALL);
    let document = open.door.incoming(&posted("/incoming", CALL, &signature)).unwrap();
    assert!(document.contains("<Stream url=\"wss://phone.example.com/media\">"), "{document}");
    let token = token(&document);
    let attached = open.door.attach(&start("CA7", "AC1x", &token), peer()).unwrap();
    assert!(Door::has(attached.leg) && !Door::has(LegId(7)));
    assert!(!attached.leg.is_elsewhere() && !Door::has(LegId::elsewhere(u64::MAX >> 1)), "a browser's is not Twilio's");
    let SipEvent::Incoming { from, request_user, identity, offer, call_id, .. } = attached.event else { panic!() };
    assert_eq!(from, "\"Ann B\" <sip:+15551230001@twilio.invalid>");
    assert_eq!((request_user.as_str(), call_id.as_str()), ("+15551230002", "CA7"));
    assert_eq!(identity, Peer::Trunk("twilio".into()));
    assert!(String::from_utf8(offer.unwrap()).unwrap().contains("RTP/AVP 0\r\n"));
    let again = open.door.attach(&start("CA7", "AC1x", &token), peer()).unwrap_err();
    assert_eq!(again, DoorError::NoToken(TokenError::Unknown), "a replay");
}

#[test]
fn forged_requests_and_stolen_streams_get_nothing() {
    let open = open(PUBLIC);
    let signature = sign("https://phone.example.com/incoming", CALL);
    let of = |path: &str, body: &str, signature: &str| open.door.incoming(&posted(path, body, signature)).map(|_| ());
    assert_eq!(of("/incoming", CALL, ""), Err(DoorError::Unsigned));
    assert_eq!(of("/incoming", &CALL.replace("0002", "0003"), &signature), Err(DoorError::Unsigned));
    assert_eq!(of("/incoming?x", CALL, &signature), Err(DoorError::Unsigned));
    let unsigned = Webhook { signature: None, ..posted("/incoming", CALL, "") };
    assert_eq!(open.door.incoming(&unsigned).unwrap_err(), DoorError::Unsigned);
    let other = CALL.replace("AC1x", "AC2x");
    let signature = sign("https://phone.example.com/incoming", &other);
    assert_eq!(of("/incoming", &other, &signature), Err(DoorError::OtherAccount));
    let odd = "CallSid=..%2Fx&To=1";
    assert_eq!(of("/incoming", odd, &sign("https://phone.example.com/incoming", odd)), Err(DoorError::Malformed));
    // A token is of one call.
    let signature = sign("https://phone.example.com/incoming", CALL);
    let token = token(&open.door.incoming(&posted("/incoming", CALL, &signature)).unwrap());
    assert_eq!(open.door.attach(&start("CA7", "AC2x", &token), peer()).unwrap_err(), DoorError::OtherAccount);
    let stolen = open.door.attach(&start("CA8", "AC1x", &token), peer()).unwrap_err();
    assert_eq!(stolen, DoorError::NoToken(TokenError::OtherCall));
}

#[test]
fn sockets_are_signed_by_whatever_name_proxies_leave_them() {
    let open = open(PUBLIC);
    let secret = Secret::from(TOKEN.to_owned());
    let of = |signature: &str| {
        let request = Webhook { body: b"", is_form: false, ..posted("/media", "", signature) };
        open.door.admit_socket(&request)
    };
    for url in ["wss://phone.example.com/media", "wss://phone.example.com:443/media", "wss://phone.example.com/media/"]
    {
        assert_eq!(of(&signature::sign(&secret, url, &[])), Ok(()), "{url}");
    }
    assert_eq!(of(&signature::sign(&secret, "wss://phone.example.com/other", &[])), Err(DoorError::Unsigned));
    assert_eq!(of("x"), Err(DoorError::Unsigned));
}

#[test]
fn proxies_are_believed_only_where_they_are_trusted() {
    let trusting = open("trusted_proxies = [\"203.0.113.0/24\"]");
    let wary = open("trusted_proxies = [\"198.51.100.0/24\"]");
    let signed = sign("https://outside.example.com/incoming", CALL);
    let by_proxy = |signature| Webhook {
        host: Some("localhost:8080"),
        forwarded_proto: Some("https, http"),
        forwarded_host: Some("outside.example.com"),
        ..posted("/incoming", CALL, signature)
    };
    let document = trusting.door.incoming(&by_proxy(&signed)).unwrap();
    assert!(document.contains("wss://outside.example.com/media"), "{document}");
    assert_eq!(wary.door.incoming(&by_proxy(&signed)).unwrap_err(), DoorError::Unsigned);
    // Without a proxy: what the request itself says.
    let direct = sign("http://localhost:8080/incoming", CALL);
    assert!(wary.door.incoming(&by_proxy(&direct)).unwrap().contains("ws://localhost:8080/media"));
    // The same by HTTPS of our own.
    let direct = sign("https://localhost:8080/incoming", CALL);
    let own = Webhook { secure: true, ..by_proxy(&direct) };
    assert!(wary.door.incoming(&own).unwrap().contains("wss://localhost:8080/media"));
    let odd = Webhook { host: Some("a/b\"<"), ..posted("/incoming", CALL, &direct) };
    assert_eq!(wary.door.incoming(&odd).unwrap_err(), DoorError::Unsigned);
}

#[test]
fn a_closed_door_takes_nothing() {
    let (events, _told) = mpsc::channel(1);
    let door = Door::new((&Twilio::default(), &Telnyx::default()), Vec::new(), "twilio", events).unwrap();
    assert!(!door.is_open());
    assert_eq!(door.incoming(&posted("/incoming", CALL, "x")).unwrap_err(), DoorError::Off);
    let leg = door.reserve();
    let (to, from) = ("+15551230001".to_owned(), "+15551230002".to_owned());
    assert!(door.place(Placed { leg, to, from, ringing: Duration::from_secs(1) }).is_err());
    assert!(door.wire(leg).is_none(), "the leg is gone");
}

#[tokio::test]
async fn what_becomes_of_a_placed_call_is_told_once() {
    let mut open = open(&format!("{PUBLIC}\napi_url = \"http://127.0.0.1:9\""));
    let leg = open.door.reserve();
    let key = open.door.table().legs[&leg].key.clone().unwrap();
    let path = format!("/incoming/status?leg={key}");
    let tell = |status: &str| {
        let body = format!("CallSid=CA9&AccountSid=AC1x&CallStatus={status}");
        let signature = sign(&format!("https://phone.example.com{path}"), &body);
        open.door.status(&posted(&path, &body, &signature)).unwrap();
    };
    for status in ["initiated", "ringing", "busy", "busy", "completed"] {
        tell(status);
    }
    assert!(matches!(open.events.try_recv(), Ok(SipEvent::Progress { code: 180, .. })));
    assert!(matches!(open.events.try_recv(), Ok(SipEvent::Refused { code: 486, .. })));
    assert!(open.events.try_recv().is_err() && open.door.table().legs.is_empty() && open.door.table().keys.is_empty());
    let forged = posted(&path, "CallSid=CA9&CallStatus=busy", "x");
    assert_eq!(open.door.status(&forged), Err(DoorError::Unsigned));
}

/// A webhook as Telnyx documents it (<https://developers.telnyx.com/api-reference/callbacks/texml-call-answered>), signed by a
/// key of ours.
fn texml<'a>(body: &'a str, proof: &'a (String, String)) -> Webhook<'a> {
    let telnyx = Some(Proof { signature: &proof.0, timestamp: &proof.1 });
    Webhook { signature: None, telnyx, ..posted("/incoming", body, "") }
}

#[test]
fn telnyx_calls_by_its_own_signature_and_names() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    const TEXML: &str = "AccountSid=f5586561-8ff0-4291-a51b-c7dfe4139ff9&CallSid=v3%3A9X2v-aiQ&From=%2B35319605860&To=%2B13129457420&CallerId=John+Doe";
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = STANDARD.encode(pair.public_key());
    let config = format!("public_key = \"{key}\"\npublic_url = \"https://phone.example.com/\"");
    let telnyx: Telnyx = toml::from_str(&config).unwrap();
    let (events, _told) = mpsc::channel(16);
    let door = Door::new((&Twilio::default(), &telnyx), Vec::new(), "twilio", events).unwrap();
    assert!(door.takes_telnyx() && !door.is_open());
    let now = clock::wall().0 / 1000;
    let proof = |at: u64, body: &str| {
        let signed = format!("{at}|{body}");
        (STANDARD.encode(pair.sign(signed.as_bytes())), at.to_string())
    };
    // Forged, old, and without what is needed.
    let good = proof(now, TEXML);
    let other = TEXML.replace("John", "Joan");
    assert_eq!(door.incoming(&texml(&other, &good)).unwrap_err(), DoorError::NotProven(NotProven::Forged));
    let old = proof(now - 400, TEXML);
    assert_eq!(door.incoming(&texml(TEXML, &old)).unwrap_err(), DoorError::NotProven(NotProven::Stale));
    let short = proof(now, "CallSid=x");
    assert_eq!(door.incoming(&texml("CallSid=x", &short)).unwrap_err(), DoorError::Malformed);
    assert_eq!(
        door.incoming(&posted("/incoming", TEXML, "x")).unwrap_err(),
        DoorError::Off,
        "Twilio is not configured"
    );
    // The TeXML, and the stream that its token stands for.
    let document = door.incoming(&texml(TEXML, &good)).unwrap();
    for said in ["bidirectionalMode=\"rtp\"", "bidirectionalCodec=\"PCMU\"", "<Connect>"] {
        assert!(document.contains(said), "{document}");
    }
    let url = document.split("url=\"").nth(1).unwrap().split('"').next().unwrap();
    let path = url.strip_prefix("wss://phone.example.com").unwrap();
    let token = door.token_of_socket(path).unwrap();
    assert_eq!(door.token_of_socket("/media?token=00"), None);
    assert_eq!(door.incoming(&texml(TEXML, &good)).unwrap_err(), DoorError::NotProven(NotProven::Replayed));
    let start = format!(
        r#"{{"event":"start","stream_id":"32DE","start":{{"user_id":"3E6F","call_control_id":"v2:T02","custom_parameters":{{"token":"{token}"}}}}}}"#
    );
    let Message::Start(start) = message::read(&start).unwrap() else { panic!() };
    let attached = door.attach(&start, peer()).unwrap();
    let SipEvent::Incoming { from, request_user, identity, headers, .. } = attached.event else { panic!() };
    assert_eq!(from, "\"John Doe\" <sip:+35319605860@telnyx.invalid>");
    assert_eq!((request_user.as_str(), identity), ("+13129457420", Peer::Trunk("telnyx".into())));
    assert_eq!(headers, [("X-Telnyx-CallSid".to_owned(), "v3:9X2v-aiQ".to_owned())]);
    assert_eq!(door.token_of_socket(path), None, "it is good once");
    // What becomes of the call is heard, and closed doors take nothing.
    let status = "CallSid=v3%3A9X2v-aiQ&CallStatus=completed";
    assert_eq!(door.status(&texml(status, &proof(now, status))), Ok(()));
    let closed = open(PUBLIC).door;
    assert_eq!(closed.incoming(&texml(TEXML, &good)).unwrap_err(), DoorError::TelnyxOff);
    assert_eq!(closed.token_of_socket(path), None);
}

/// What it says first, and then it brings its task down.
struct Faulty(Option<Heard>);

impl Socket for Faulty {
    async fn next(&mut self) -> Option<Heard> {
        Some(self.0.take().expect("the fault of this test"))
    }

    async fn send(&mut self, _text: String) -> bool {
        true
    }

    async fn close(&mut self, _code: u16, _reason: &'static str) {}
}

#[tokio::test]
async fn a_fault_of_ours_ends_the_leg_and_leaves_nothing() {
    let mut open = open(PUBLIC);
    let signature = sign("https://phone.example.com/incoming", CALL);
    let token = token(&open.door.incoming(&posted("/incoming", CALL, &signature)).unwrap());
    let start = format!(
        r#"{{"event":"start","streamSid":"MZ1","start":{{"accountSid":"AC1x","callSid":"CA7","customParameters":{{"token":"{token}"}}}}}}"#
    );
    Arc::clone(&open.door).serve(Faulty(Some(Heard::Text(start))), peer(), None).await;
    assert!(matches!(open.events.try_recv(), Ok(SipEvent::Incoming { .. })));
    let ended = open.events.try_recv();
    assert!(matches!(ended, Ok(SipEvent::Ended { by: EndedBy::TransportError, .. })), "{ended:?}");
    assert!(open.door.table().legs.is_empty());
}

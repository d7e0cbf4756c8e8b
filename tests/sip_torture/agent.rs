//! Both sets and all mutants into one agent in virtual time, a normal call after each.

use std::net::SocketAddr;
use std::time::Duration;

use callwright::sip::agent::{Agent, AgentConfig, SipEvent};
use callwright::sip::auth::{Login, Password};
use callwright::sip::hop::Hop;
use callwright::sip::message::parse_datagram;
use callwright::sip::peer::{Directory, ExtensionIdentity};
use callwright::time::Tick;

use super::mutant::{Fate, MUTANTS, mutant};
use super::text::{Outcome, Place, samples};
use super::{Seeded, code_of, field, tag};

const ANSWER: &[u8] =
    b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

/// An agent with one extension, 4475, and a phone that may say anything.
struct Bench {
    agent: Agent,
    now: Tick,
    hop: Hop,
    at: Place,
    calls: u64,
}

impl Bench {
    fn new(hop: Hop) -> Self {
        let mut random = Seeded(4475);
        let random = Box::new(move |out: &mut [u8]| out.iter_mut().for_each(|o| *o = random.next() as u8));
        let mut agent = Agent::new(AgentConfig::new(SocketAddr::from(([10, 0, 0, 2], 5060)), random));
        let login = Login { username: "4475".to_owned(), password: Password::new("torture"), realm: None };
        let extension = ExtensionIdentity { number: "4475".into(), login, networks: Vec::new() };
        agent.set_directory(Directory::new(Vec::new(), vec![extension], true));
        let at = Place { me: hop.address.to_string(), transport: hop.transport.name(), audio: 4000 };
        Self { agent, now: Tick(1_000_000_000), hop, at, calls: 0 }
    }

    /// The codes of what comes back; each must itself be sound.
    fn send(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.agent.handle_message(self.now, &self.hop, octets);
        self.received()
    }

    fn received(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(transmit) = self.agent.poll_transmit() {
            // An answer has every Via of its request, even where those are more than we would read.
            let whole = parse_datagram(&transmit.bytes).is_ok()
                || transmit.bytes.windows(6).filter(|w| w == b"\r\nVia:").count() > 30;
            assert!(whole, "{}", String::from_utf8_lossy(&transmit.bytes));
            all.push(transmit.bytes);
        }
        all
    }

    /// Time passes; what is repeated meanwhile (calls that nobody has acknowledged) is not looked at.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.agent.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.agent.handle_timeout(due);
        }
        self.now = end;
        let _ = self.received();
    }

    /// Takes every call that is offered and ends it; whether there was one.
    fn take_calls(&mut self) -> bool {
        let mut taken = false;
        while let Some(event) = self.agent.poll_event() {
            if let SipEvent::Incoming { leg, .. } = event {
                taken = true;
                self.agent.accept(self.now, leg, ANSWER).expect("a call that is offered can be answered");
                let _ = self.agent.hang_up(self.now, leg, None);
            }
        }
        taken
    }

    /// INVITE, 100, 200, ACK, BYE, 200.
    fn call(&mut self, after: &str) {
        self.calls += 1;
        let (n, me, sdp) = (self.calls, self.at.me.clone(), self.at.sdp());
        let transport = self.at.transport;
        let write = |method: &str, sequence: u32, to: &str, body: &str| {
            format!(
                "{method} sip:echo@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/{transport} {me};branch=z9hG4bKn{n}{method};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:good@{me}>;tag=g\r\nTo: <sip:echo@10.0.0.2>{to}\r\nCall-ID: good-{n}\r\nCSeq: {sequence} {method}\r\n\
                 Contact: <sip:good@{me}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let trying = self.send(write("INVITE", 1, "", &sdp).as_bytes());
        assert_eq!(trying.iter().map(|m| code_of(m)).collect::<Vec<_>>(), [Some(100)], "after {after}");
        let Some(SipEvent::Incoming { leg, .. }) = self.agent.poll_event() else { panic!("no call after {after}") };
        self.agent.accept(self.now, leg, ANSWER).expect("it can be answered");
        let answered = self.received();
        assert_eq!(code_of(&answered[0]), Some(200), "after {after}");
        let to = field(&answered[0], "To").unwrap_or_default();
        let to = format!(";tag={}", tag(&to).expect("our tag"));
        assert!(self.send(write("ACK", 1, &to, "").as_bytes()).is_empty());
        assert!(matches!(self.agent.poll_event(), Some(SipEvent::Confirmed { .. })), "after {after}");
        let over = self.send(write("BYE", 2, &to, "").as_bytes());
        assert_eq!(code_of(&over[0]), Some(200), "after {after}");
        assert!(matches!(self.agent.poll_event(), Some(SipEvent::Ended { .. })), "after {after}");
    }

    fn finish(mut self) {
        self.pass(400_000);
        while self.agent.poll_event().is_some() || self.agent.poll_transmit().is_some() {}
        assert!(self.agent.is_quiescent(), "{:?}", self.agent.status());
    }
}

#[test]
fn both_sets_are_answered_as_they_say() {
    let phone: SocketAddr = "10.0.0.9:5080".parse().expect("an address");
    let mut wrong = Vec::new();
    for hop in [Hop::udp(phone), Hop::tcp(phone)] {
        let mut bench = Bench::new(hop);
        for (n, sample) in samples().iter().enumerate() {
            let octets = sample.octets(&bench.at, n as u64);
            let answers: Vec<u16> = bench.send(&octets).iter().filter_map(|m| code_of(m)).collect();
            let taken = bench.take_calls();
            let _ = bench.received();
            let came = match answers.last() {
                _ if taken => Outcome::Accept,
                None => Outcome::Drop,
                Some(code) => Outcome::Code(*code),
            };
            if !sample.outcomes.contains(&came) {
                wrong.push(format!("{}: {came:?}, not {:?}", sample.name, sample.outcomes));
            }
            bench.call(&sample.name);
            bench.pass(100);
        }
        bench.finish();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_call_succeeds_after_every_mutant() {
    let mut bench = Bench::new(Hop::udp("10.0.0.9:5080".parse().expect("an address")));
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for n in 0..MUTANTS {
        let mutant = mutant(n, &bench.at);
        let answers = bench.send(&mutant.octets);
        assert!(answers.len() <= 1, "{n} {}: {} answers", mutant.kind, answers.len());
        let taken = bench.take_calls();
        let _ = bench.received();
        refused += u64::from(!taken);
        if taken && mutant.fate == Fate::Refused {
            wrong.push(format!(
                "{n} {}: a call\n{}",
                mutant.kind,
                String::from_utf8_lossy(&mutant.octets[..mutant.octets.len().min(700)])
            ));
        }
        bench.call(mutant.kind);
        bench.pass(20);
    }
    bench.finish();
    let count = wrong.len();
    wrong.dedup_by_key(|w| w.split_once(' ').map(|(_, kind)| kind.split(':').next().unwrap_or_default().to_owned()));
    assert!(wrong.is_empty(), "{count} of {MUTANTS}:\n{}", wrong.join("\n\n"));
    assert!(refused > MUTANTS / 2, "{refused} of {MUTANTS} were refused: these are hardly broken");
}

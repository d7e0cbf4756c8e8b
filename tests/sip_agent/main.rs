//! The SIP agent in virtual time: `pair` lets two agents talk over a link that loses, repeats and reorders datagrams;
//! `phone` holds one agent against a hand-written phone; `hostile` sends what no phone should. By feature: `change`
//! (re-INVITE, UPDATE), `session_timer` (RFC 4028), `reliable` (RFC 3262), `fork` (early dialogs), `branch` (several telephones), `transfer` (RFC 3515, 3891),
//! `hops` (transports and failover).

mod branch;
mod change;
mod fork;
mod hops;
mod hostile;
mod pair;
mod phone;
mod redirect;
mod reliable;
mod session_timer;
mod transfer;

use std::time::Duration;

use callwright::sip::agent::{Agent, AgentConfig, RandomSource};

const OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const ANSWER: &[u8] =
    b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// SplitMix64: all randomness of a run comes from its seed.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn source(seed: u64) -> RandomSource {
        let mut random = Self(seed);
        Box::new(move |octets| octets.iter_mut().for_each(|o| *o = random.next() as u8))
    }
}

fn agent(address: &str, seed: u64) -> Agent {
    Agent::new(AgentConfig::new(address.parse().unwrap(), Seeded::source(seed)))
}

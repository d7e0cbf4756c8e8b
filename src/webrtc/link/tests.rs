//! Both ends in memory and virtual time: losses, disorder, strangers, another certificate, silence, another network.

use super::*;
use crate::rtp::srtp::SrtpContext;
use proptest::prelude::*;

const START: Tick = Tick(1_000_000_000_000);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ours() -> SocketAddr {
    address("192.0.2.1:40000")
}

fn theirs() -> SocketAddr {
    address("198.51.100.7:50000")
}

fn stranger() -> SocketAddr {
    address("203.0.113.66:6666")
}

/// Identities take a while to make, and any two do.
fn identities() -> &'static (Identity, Identity) {
    static MADE: std::sync::OnceLock<(Identity, Identity)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| (Identity::generate().unwrap(), Identity::generate().unwrap()))
}

/// The browser: checks and nominates, and does the handshake from wherever it is.
struct Browser {
    agent: Option<IceAgent>,
    association: Association,
    began: Instant,
    at: SocketAddr,
    nominated: bool,
    out: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Browser {
    fn new(credentials_of: Option<(&IceCredentials, &IceCredentials)>, active: bool, expected: Fingerprint) -> Self {
        let began = Instant::now();
        let agent = credentials_of.map(|(mine, link)| {
            let mut agent = IceAgent::new(credentials(mine));
            agent.set_controlling(true);
            agent.add_local_candidate(Candidate::host(theirs(), "udp").unwrap()).unwrap();
            agent.set_remote_credentials(credentials(link));
            agent.add_remote_candidate(Candidate::host(ours(), "udp").unwrap());
            agent
        });
        let association = Association::new(&identities().1, &[expected], active, began);
        Self { agent, association, began, at: theirs(), nominated: false, out: Vec::new() }
    }

    fn instant(&self, now: Tick) -> Instant {
        self.began + now.since(START)
    }

    fn tick(&mut self, now: Tick) {
        let instant = self.instant(now);
        if let Some(agent) = &mut self.agent {
            agent.handle_timeout(instant);
            while let Some(transmit) = agent.poll_transmit() {
                self.out.push((self.at, transmit.destination, transmit.contents.into()));
            }
            while let Some(event) = agent.poll_event() {
                self.nominated |= matches!(event, IceAgentEvent::NominatedSend { .. });
            }
        }
        if self.nominated || self.agent.is_none() {
            let (out, at) = (&mut self.out, self.at);
            self.association.handle_timeout(instant, &mut |packet| out.push((at, ours(), packet.to_vec())));
        }
    }

    fn hear(&mut self, now: Tick, datagram: &[u8]) {
        let instant = self.instant(now);
        match Protocol::of(datagram) {
            Protocol::Stun => {
                let message = StunMessage::parse(datagram).unwrap();
                let packet = StunPacket { proto: is::Protocol::Udp, source: ours(), destination: theirs(), message };
                if let Some(agent) = &mut self.agent {
                    agent.handle_packet(instant, packet);
                }
            }
            _ => {
                let (out, at) = (&mut self.out, self.at);
                self.association.handle_datagram(instant, datagram, &mut |packet| {
                    out.push((at, ours(), packet.to_vec()));
                });
            }
        }
    }

    fn keys(&self) -> Option<SrtpKeys> {
        match &self.association.progress {
            Progress::Keyed(keys) => Some((**keys).clone()),
            _ => None,
        }
    }
}

/// Both and what is between them.
struct World {
    link: Link,
    browser: Browser,
    now: Tick,
    /// Arrival, whether it is for the link, whence.
    wire: Vec<(Tick, bool, SocketAddr, Vec<u8>)>,
    random: u64,
    /// Of 100.
    loss: u64,
    jitter_ms: u64,
    events: Vec<LinkEvent>,
    cut: bool,
}

fn pair() -> (IceCredentials, IceCredentials) {
    (Identity::credentials(), Identity::credentials())
}

impl World {
    /// `active`: the link is the client.
    fn new(ice: bool, active: bool, announced: Fingerprint, seed: u64) -> Self {
        let (mine, other) = pair();
        let agreed = Dtls { fingerprints: vec![announced], active, ice: ice.then(|| other.clone()) };
        let plan = LinkPlan { agreed, ice: mine.clone(), local: ours(), remote: Some(theirs()) };
        let link = Link::new(&identities().0, plan, START).unwrap();
        let browser = Browser::new(ice.then_some((&other, &mine)), !active, *identities().0.fingerprint());
        Self {
            link,
            browser,
            now: START,
            wire: Vec::new(),
            random: seed | 1,
            loss: 0,
            jitter_ms: 0,
            events: Vec::new(),
            cut: false,
        }
    }

    fn good(ice: bool, active: bool) -> Self {
        Self::new(ice, active, *identities().1.fingerprint(), 7)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    fn post(&mut self, to_link: bool, from: SocketAddr, datagram: Vec<u8>) {
        if self.draw(100) >= self.loss {
            let delay = Duration::from_millis(5 + self.draw(self.jitter_ms + 1));
            self.wire.push((self.now + delay, to_link, from, datagram));
        }
    }

    /// 5 ms pass.
    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(5);
        let now = self.now;
        if self.link.poll_timeout() <= now {
            self.link.handle_timeout(now);
        }
        if !self.cut {
            self.browser.tick(now);
        }
        let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, to_link, from, datagram) in due {
            match to_link {
                true => self.link.handle_datagram(now, from, &datagram),
                false if self.cut => {}
                false => self.browser.hear(now, &datagram),
            }
        }
        while let Some((to, datagram)) = self.link.poll_transmit() {
            if to == self.browser.at {
                self.post(false, ours(), datagram);
            }
        }
        for (from, to, datagram) in std::mem::take(&mut self.browser.out) {
            if to == ours() {
                self.post(true, from, datagram);
            }
        }
        while let Some(event) = self.link.poll_event() {
            self.events.push(event);
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    fn secured(&self) -> Option<(SocketAddr, SrtpKeys)> {
        self.events.iter().find_map(|event| match event {
            LinkEvent::Secured { remote, keys } => Some((*remote, (**keys).clone())),
            _ => None,
        })
    }

    fn end(&self) -> Option<&LinkEnd> {
        self.events.iter().find_map(|event| match event {
            LinkEvent::Over(end) => Some(end),
            _ => None,
        })
    }

    /// What one side seals the other opens.
    fn check_keys(&self) {
        let (_, mine) = self.secured().unwrap();
        let other = self.browser.keys().unwrap();
        assert_eq!((&mine.ours, &mine.theirs), (&other.theirs, &other.ours));
        assert_ne!(mine.ours, mine.theirs);
        let mut packet = [0; 64];
        packet[0] = 0x80;
        packet[12..22].copy_from_slice(b"good day! ");
        let sealed = SrtpContext::with(&mine.ours).protect_rtp(&mut packet, 22).unwrap();
        let opened = SrtpContext::with(&other.theirs).unprotect_rtp(&mut packet[..sealed]).unwrap();
        assert_eq!(&packet[12..opened], b"good day! ");
    }
}

#[test]
fn both_roles_find_each_other_and_agree_on_keys() {
    for (ice, active) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut world = World::good(ice, active);
        world.run(Duration::from_secs(3));
        assert_eq!(world.secured().unwrap().0, theirs(), "ICE {ice}, active {active}");
        assert_eq!(world.end(), None);
        world.check_keys();
    }
}

#[test]
fn flights_that_are_lost_or_late_are_sent_again() {
    for seed in 1..9 {
        let mut world = World::new(true, seed % 2 == 0, *identities().1.fingerprint(), seed * 0x9e37_79b9);
        (world.loss, world.jitter_ms) = (25, 60);
        world.run(Duration::from_secs(24));
        assert!(world.secured().is_some(), "seed {seed}: {:?}", world.events);
        world.check_keys();
    }
}

#[test]
fn another_certificate_than_announced_ends_the_call_and_tells_no_key() {
    for (ice, active) in [(true, false), (true, true), (false, true)] {
        let mut world = World::new(ice, active, [9; 32], 3);
        world.run(Duration::from_secs(4));
        assert_eq!(
            (world.secured(), world.end()),
            (None, Some(&LinkEnd::WrongCertificate)),
            "ICE {ice}, active {active}"
        );
    }
    // Without ICE it may be a stranger's; the right one has all the time that there is.
    let mut world = World::new(false, false, [9; 32], 3);
    world.run(LINK_SETUP_MAX + Duration::from_secs(1));
    assert_eq!((world.secured(), world.end()), (None, Some(&LinkEnd::WrongCertificate)));
}

/// A stranger does a whole handshake of its own before the peer begins, and goes on for as long as it likes.
#[test]
fn a_client_hello_race_is_lost_by_the_stranger() {
    let mut world = World::good(false, false);
    let strange = Identity::generate().unwrap();
    let began = Instant::now();
    let expected = [*identities().0.fingerprint()];
    let mut attacks: Vec<_> = (0..3u16)
        .map(|n| (SocketAddr::new(stranger().ip(), 7000 + n), Association::new(&strange, &expected, true, began)))
        .collect();
    let mut heard: Vec<Vec<Vec<u8>>> = vec![Vec::new(); attacks.len()];
    world.cut = true;
    for round in 0..400u64 {
        let now = START + Duration::from_millis(5 * round);
        let instant = began + Duration::from_millis(5 * round);
        world.cut = round < 100;
        for (n, (from, attack)) in attacks.iter_mut().enumerate() {
            let mut sent = Vec::new();
            for datagram in heard[n].drain(..) {
                attack.handle_datagram(instant, &datagram, &mut |packet| sent.push(packet.to_vec()));
            }
            attack.handle_timeout(instant, &mut |packet| sent.push(packet.to_vec()));
            for datagram in sent {
                world.link.handle_datagram(now, *from, &datagram);
            }
            while let Some((to, datagram)) = world.link.poll_transmit() {
                match (0..3).find(|k| to.port() == 7000 + k && to.ip() == stranger().ip()) {
                    Some(k) => heard[usize::from(k)].push(datagram),
                    None => world.post(false, ours(), datagram),
                }
            }
        }
        world.step();
    }
    let done = attacks.iter().filter(|(_, attack)| matches!(attack.progress, Progress::Keyed(_))).count();
    assert!(done > 0 && world.link.mismatched, "the attack is a real one: for all that the strangers know they are in");
    assert_eq!(world.secured().unwrap().0, theirs());
    assert_eq!(world.end(), None);
    world.check_keys();
}

/// A telephone behind a NAT comes from another address than it has announced; meanwhile somebody who hears no answer sends
/// ClientHellos from ever other ports while the handshake is half done.
#[test]
fn a_flood_of_blind_hellos_drives_no_telephone_out() {
    let mut world = World::good(false, false);
    world.browser.at = address("198.51.100.99:61000");
    let mut attack = Association::new(&identities().0, &[[0; 32]], true, Instant::now());
    let mut hello = Vec::new();
    attack.handle_timeout(Instant::now(), &mut |packet| hello.push(packet.to_vec()));
    assert!(is_client_hello(&hello[0]));
    let mut flooded = 0;
    for round in 0..400u16 {
        if world.link.places.iter().any(|place| place.association.reached) && world.secured().is_none() {
            flooded += 1;
            for n in 0..8 {
                let from = SocketAddr::new(stranger().ip(), 7000 + round * 8 + n);
                world.link.handle_datagram(world.now, from, &hello[0]);
            }
            // What is sent to strangers leaves room for what is not.
            while let Some((to, datagram)) = world.link.poll_transmit() {
                if to == world.browser.at {
                    world.post(false, ours(), datagram);
                }
            }
        }
        world.step();
    }
    assert!(flooded > 0, "the handshake was half done");
    assert_eq!(world.secured().unwrap().0, world.browser.at);
    world.check_keys();
}

/// With ICE a ClientHello from an address that has not answered for the password is not even looked at.
#[test]
fn strangers_get_no_answer_where_there_is_ice() {
    let mut world = World::good(true, false);
    let strange = Identity::generate().unwrap();
    let mut attack = Association::new(&strange, &[[0; 32]], true, Instant::now());
    let mut hello = Vec::new();
    attack.handle_timeout(Instant::now(), &mut |packet| hello.push(packet.to_vec()));
    assert!(is_client_hello(&hello[0]));
    // Nor does a check with a wrong password, or with the right name and none.
    let (guessed, _) = pair();
    let name = world.link.ice.as_ref().unwrap().agent.local_credentials().ufrag.clone();
    let wrong = IceCredentials { ufrag: name, password: guessed.password.clone() };
    let mut forger = Browser::new(Some((&guessed, &wrong)), true, [0; 32]);
    forger.at = stranger();
    for round in 0..200u64 {
        let now = START + Duration::from_millis(5 * round);
        forger.tick(now);
        for (from, _, datagram) in std::mem::take(&mut forger.out) {
            world.link.handle_datagram(now, from, &datagram);
        }
        world.link.handle_datagram(now, stranger(), &hello[0]);
        assert_eq!(world.link.poll_transmit(), None, "nobody answers a stranger");
    }
    world.run(Duration::from_secs(3));
    world.check_keys();
    // Nor afterwards, whatever it sends.
    let before = world.events.len();
    for octets in [&hello[0][..], b"\x00\x01\x00\x00rubbish", b"\x15\xfe\xfd", &[0; 20], &[22; 1500]] {
        world.link.handle_datagram(world.now, stranger(), octets);
        world.link.handle_datagram(world.now, theirs(), octets);
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.events.len(), before, "{:?}", world.events);
}

/// Every one of the checks is authentic, and comes from another port.
#[test]
fn a_browser_that_checks_from_everywhere_is_answered_so_far_and_no_further() {
    let mut world = World::good(true, false);
    world.run(Duration::from_secs(3));
    for session in 0..2 {
        let mut check = Vec::new();
        while check.is_empty() {
            world.step();
            let sent =
                world.wire.iter().find(|(_, to_link, _, octets)| *to_link && Protocol::of(octets) == Protocol::Stun);
            check = sent.map(|(.., octets)| octets.clone()).unwrap_or_default();
        }
        let mut answered = 0;
        for port in 2000..3000 {
            world.link.handle_datagram(world.now, SocketAddr::new(stranger().ip(), port), &check);
            answered += usize::from(std::iter::from_fn(|| world.link.poll_transmit()).count() > 0);
        }
        let agent = &world.link.ice.as_ref().unwrap().agent;
        assert!((LINK_SOURCES_EVER_MAX - 1..=LINK_SOURCES_EVER_MAX).contains(&answered), "{session}: {answered}");
        assert!(agent.remote_candidates().count() <= LINK_SOURCES_EVER_MAX);
        // Where it is it stays; a session that begins anew counts anew.
        world.run(CONSENT_MAX + Duration::from_secs(5));
        assert_eq!(world.end(), None);
        let (mine, other) = pair();
        world.link.handle_restart(world.now, &mine, &other);
        let agent = world.browser.agent.as_mut().unwrap();
        agent.ice_restart(credentials(&other), true);
        agent.set_remote_credentials(credentials(&mine));
        agent.add_remote_candidate(Candidate::host(ours(), "udp").unwrap());
        world.run(Duration::from_secs(3));
        assert_eq!(world.end(), None);
    }
}

#[test]
fn who_says_goodbye_is_heard_and_who_falls_silent_is_missed() {
    let mut world = World::good(true, false);
    world.run(Duration::from_secs(2));
    let (out, at) = (&mut world.browser.out, world.browser.at);
    world.browser.association.close(&mut |packet| out.push((at, ours(), packet.to_vec())));
    world.run(Duration::from_secs(1));
    assert_eq!(world.end(), Some(&LinkEnd::Closed));

    let mut world = World::good(true, false);
    world.run(Duration::from_secs(60));
    assert_eq!(world.end(), None, "checks keep it alive");
    world.cut = true;
    world.run(CONSENT_MAX - Duration::from_secs(8));
    assert_eq!(world.end(), None);
    world.run(Duration::from_secs(10));
    assert_eq!(world.end(), Some(&LinkEnd::Silent));

    let mut world = World::good(true, false);
    world.cut = true;
    world.run(LINK_SETUP_MAX + Duration::from_secs(1));
    assert_eq!(world.end(), Some(&LinkEnd::NoHandshake));

    // We hang up.
    let mut world = World::good(true, false);
    world.run(Duration::from_secs(2));
    world.link.close();
    world.run(Duration::from_secs(1));
    assert_eq!(world.browser.association.progress, Progress::Closed);
}

#[test]
fn a_restart_from_another_network_moves_the_call_under_the_same_keys() {
    let mut world = World::good(true, false);
    world.run(Duration::from_secs(3));
    let (mine, other) = pair();
    world.link.handle_restart(world.now, &mine, &other);
    let moved = address("203.0.113.9:51000");
    world.browser.at = moved;
    let agent = world.browser.agent.as_mut().unwrap();
    agent.ice_restart(credentials(&other), true);
    agent.set_remote_credentials(credentials(&mine));
    agent.add_remote_candidate(Candidate::host(ours(), "udp").unwrap());
    world.run(Duration::from_secs(5));
    assert!(world.events.contains(&LinkEvent::Moved(moved)), "{:?}", world.events);
    assert_eq!(world.end(), None);
    world.check_keys();
}

#[test]
fn a_browser_behind_another_port_of_its_nat_is_followed_and_a_check_that_somebody_sends_again_is_not() {
    let mut world = World::good(true, false);
    world.run(Duration::from_secs(3));
    // Whatever the browser sends comes to a stranger as well, who sends it on in his own name.
    for _ in 0..4_000 {
        world.step();
        let seen: Vec<_> =
            world.wire.iter().filter(|(_, to_link, from, _)| *to_link && *from == theirs()).cloned().collect();
        for (.., octets) in seen {
            world.link.handle_datagram(world.now, stranger(), &octets);
        }
    }
    assert_eq!(world.events.len(), 1, "{:?}", world.events);

    let moved = address("198.51.100.7:61234");
    world.browser.at = moved;
    let begun = world.now;
    while !world.events.contains(&LinkEvent::Moved(moved)) && world.now.since(begun) < Duration::from_secs(20) {
        world.step();
    }
    assert!(world.events.contains(&LinkEvent::Moved(moved)), "{:?}", world.events);
    assert!(world.now.since(begun) < Duration::from_secs(6), "with its next check: {:?}", world.now.since(begun));
    // It stays there, and where it was nobody is any more.
    world.run(CONSENT_MAX * 2);
    assert_eq!((world.end(), world.events.len()), (None, 2));
    world.check_keys();
    // And back.
    world.browser.at = theirs();
    world.run(Duration::from_secs(10));
    assert_eq!(world.events.last(), Some(&LinkEvent::Moved(theirs())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes from anywhere at any time: no panic, and no word of it.
    #[test]
    fn rubbish_changes_nothing(datagrams in proptest::collection::vec((any::<bool>(), 0u8..64, proptest::collection::vec(any::<u8>(), 0..80)), 0..40)) {
        let mut world = World::good(true, false);
        world.run(Duration::from_secs(2));
        for (known, first, mut octets) in datagrams {
            octets.insert(0, first);
            world.link.handle_datagram(world.now, if known { theirs() } else { stranger() }, &octets);
        }
        world.run(Duration::from_millis(200));
        prop_assert_eq!(world.end(), None);
        prop_assert_eq!(world.events.len(), 1);
    }
}

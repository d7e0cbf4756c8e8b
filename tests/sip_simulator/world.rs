//! One world: agents, proxy, network, and people who do anything at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use callwright::sip::agent::{Agent, AgentConfig, LegId, Placement, Reason, SipEvent, replaces_value};
use callwright::sip::dialog::DialogId;
use callwright::sip::hop::Hop;
use callwright::time::Tick;

use super::proxy::{self, Proxy};

const ADDRESSES: [&str; 3] = ["10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.3:5060"];
const CALLS: u64 = 20;
const MS: u64 = 1_000_000;
/// People act so long, then leave things alone so long, then hang everything up.
const LIVELY_MS: u64 = 90_000;
const CALM_MS: u64 = 75_000;
/// The end of that: an answer is repeated for 32 s.
const SETTLING_MS: u64 = 40_000;
/// A hang-up may wait for an ACK or a first response, and its CANCEL or BYE for an answer: 32 s each.
const ENDED_WITHIN_MS: u64 = 65_000;
/// What was sent last may be repeated as long (64·T1), and the rest of it (T4).
const RELEASED_WITHIN_MS: u64 = 38_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) loss_percent: u64,
    pub(crate) repeat_percent: u64,
    pub(crate) delay_max_ms: u64,
}

/// SplitMix64.
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
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What somebody has decided to do.
#[derive(Clone, Debug)]
enum Deed {
    Call,
    Ring(LegId),
    EarlyMedia(LegId),
    Decide(LegId, Option<LegId>),
    Act(LegId),
    HangUp(LegId),
    Answer(LegId),
    Confirm(LegId),
    DecideRefer(LegId),
    Notify(LegId, u16),
}

/// What has been seen to happen: a simulator in which nothing happens proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, usize>);

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

impl Seen {
    pub(crate) fn assert_everything_happened(&self) {
        let all = [
            "INVITE",
            "ACK",
            "CANCEL",
            "provisional response",
            "answer",
            "refusal",
            "re-INVITE",
            "INFO",
            "end of the leg",
            "answer to our re-INVITE",
            "offer to our INVITE",
            "refusal of our re-INVITE",
            "REFER",
            "progress of our REFER",
            "replaced",
            "forked",
            "late fork",
            "PRACK",
            "UPDATE",
            "491",
            "agreed",
            "change by a refresh",
        ];
        for what in all {
            let count = self.0.get(what).copied().unwrap_or(0);
            assert!(count > 0, "{what} never happened: {self:?}");
        }
    }
}

/// Who has sent what of one INVITE: node, Call-ID, From tag, CSeq number, branch.
type InviteKey = (usize, String, String, String, String);

pub(crate) struct World {
    seed: u64,
    speaks: bool,
    /// Nobody allows UPDATE, and people leave calls alone that have been answered: sessions live long enough to be refreshed,
    /// which is done by re-INVITE.
    without_update: bool,
    now: Tick,
    agents: Vec<Agent>,
    proxy: Proxy,
    network: Network,
    random: Seeded,
    flying: BTreeMap<(Tick, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    deeds: BTreeMap<(Tick, u64), (usize, Deed)>,
    counter: u64,
    lively: bool,
    /// Refreshes change nothing any more: what an answer of theirs has changed is to be known to both.
    settling: bool,
    /// Legs alive, and those that have been told to be over.
    alive: [BTreeSet<LegId>; 3],
    /// Final codes by INVITE that arrived.
    finals: BTreeMap<InviteKey, BTreeSet<String>>,
    arrived: BTreeSet<InviteKey>,
    /// 2xx that wait for an ACK or a BYE: Call-ID, To tag and CSeq number.
    unacknowledged: BTreeSet<(String, String, String)>,
    /// Call-ID and tags of dialogs that a BYE was sent in: a 2xx that crosses it needs no other.
    ended: BTreeSet<(String, String)>,
    seen: Seen,
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn tag(value: &str) -> String {
    value.split(";tag=").nth(1).unwrap_or_default().split(';').next().unwrap_or_default().to_owned()
}

impl World {
    pub(crate) fn new(seed: u64, network: Network, speaks: bool) -> Self {
        let agent = |n: usize| {
            let mut random = Seeded(seed * 10 + n as u64);
            let source = Box::new(move |octets: &mut [u8]| octets.iter_mut().for_each(|o| *o = random.next() as u8));
            let mut config = AgentConfig::new(ADDRESSES[n].parse().unwrap(), source);
            config.session_interval = Some(Duration::from_secs(90));
            Agent::new(config)
        };
        let mut world = Self {
            seed,
            speaks,
            without_update: seed % 4 == 1,
            now: Tick(1_000 * MS),
            agents: (0..3).map(agent).collect(),
            proxy: Proxy::new(seed.is_multiple_of(2)),
            network,
            random: Seeded(seed),
            flying: BTreeMap::new(),
            deeds: BTreeMap::new(),
            counter: 0,
            lively: true,
            settling: false,
            alive: Default::default(),
            finals: BTreeMap::new(),
            arrived: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            ended: BTreeSet::new(),
            seen: Seen::default(),
        };
        for _ in 0..CALLS {
            let (who, at) = (world.random.below(3) as usize, world.random.below(LIVELY_MS * 2 / 3));
            world.plan(who, at, Deed::Call);
        }
        world
    }

    /// Plays it to its end and gives what was seen.
    pub(crate) fn play(mut self) -> Seen {
        self.run(LIVELY_MS);
        self.lively = false;
        self.run(CALM_MS - SETTLING_MS);
        self.settling = true;
        self.run(SETTLING_MS);
        self.assert_agreement();
        for side in 0..3 {
            for leg in self.alive[side].clone() {
                let _ = self.agents[side].hang_up(self.now, leg, None);
            }
        }
        self.run(ENDED_WITHIN_MS);
        let seed = self.seed;
        for side in 0..3 {
            assert!(self.alive[side].is_empty(), "seed {seed}: side {side} still has {:?}", self.alive[side]);
        }
        self.run(RELEASED_WITHIN_MS);
        for agent in &self.agents {
            if self.speaks && !agent.is_quiescent() {
                eprintln!("{agent:#?}");
            }
            assert!(agent.is_quiescent(), "seed {seed}: not everything is released: {:?}", agent.status());
        }
        for key in &self.arrived {
            let finals = self.finals.get(key);
            assert_eq!(finals.map(BTreeSet::len), Some(1), "seed {seed}: final responses to {key:?}: {finals:?}");
        }
        assert!(self.unacknowledged.is_empty(), "seed {seed}: neither ACK nor BYE for {:?}", self.unacknowledged);
        self.seen
    }

    fn plan(&mut self, side: usize, in_ms: u64, deed: Deed) {
        self.counter += 1;
        self.deeds.insert((self.now + Duration::from_millis(in_ms), self.counter), (side, deed));
    }

    fn soon(&mut self, side: usize, within_ms: u64, deed: Deed) {
        let at = self.random.below(within_ms);
        self.plan(side, at, deed);
    }

    /// A description that nobody else has.
    fn description(&mut self) -> Vec<u8> {
        self.counter += 1;
        format!("v=0\r\ns={}\r\n", self.counter).into_bytes()
    }

    fn run(&mut self, span_ms: u64) {
        let end = self.now + Duration::from_millis(span_ms);
        loop {
            self.pump();
            let next = [
                self.flying.keys().next().map(|(at, _)| *at),
                self.deeds.keys().next().map(|(at, _)| *at),
                self.agents.iter().filter_map(Agent::poll_timeout).min(),
            ];
            let Some(at) = next.iter().flatten().min().copied().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if next[0] == Some(at) {
                let (_, (from, to, bytes)) = self.flying.pop_first().unwrap();
                self.deliver(from, to, &bytes);
            } else if next[1] == Some(at) {
                let (_, (side, deed)) = self.deeds.pop_first().unwrap();
                self.perform(side, deed);
            } else {
                self.agents.iter_mut().for_each(|agent| agent.handle_timeout(self.now));
            }
        }
        self.now = end;
    }

    fn pump(&mut self) {
        for (side, own) in ADDRESSES.iter().enumerate() {
            while let Some(transmit) = self.agents[side].poll_transmit() {
                self.note(side, &transmit.bytes);
                self.send(own.parse().unwrap(), transmit.hop.address, transmit.bytes);
            }
            while let Some(event) = self.agents[side].poll_event() {
                self.hear(side, event);
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let known = ADDRESSES.contains(&to.to_string().as_str()) || to.to_string() == proxy::ADDRESS;
        assert!(known, "seed {}: something was sent to {to}", self.seed);
        if self.speaks {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            let (call, sequence) = (header(&text, "Call-ID").get(..6).unwrap_or_default(), header(&text, "CSeq"));
            eprintln!("{:9.3} {from} > {to} {call} {line} ({sequence})", self.now.0 as f64 / 1e9);
        }
        for _ in 0..1 + u64::from(self.random.chance(self.network.repeat_percent)) {
            let delay = Duration::from_millis(1 + self.random.below(self.network.delay_max_ms));
            if !self.random.chance(self.network.loss_percent) {
                self.counter += 1;
                self.flying.insert((self.now + delay, self.counter), (from, to, bytes.clone()));
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to.to_string() == proxy::ADDRESS {
            for (target, message) in self.proxy.handle(std::str::from_utf8(bytes).unwrap()) {
                self.send(to, target.parse().unwrap(), message.into_bytes());
            }
            return;
        }
        let side = ADDRESSES.iter().position(|a| *a == to.to_string()).unwrap();
        let text = String::from_utf8_lossy(bytes);
        if text.starts_with("INVITE ") {
            self.arrived.insert(invite_key(side, &text));
        }
        if self.without_update {
            let poorer = text.replacen("PRACK, UPDATE, ", "PRACK, ", 1);
            return self.agents[side].handle_datagram(self.now, from, poorer.as_bytes());
        }
        self.agents[side].handle_datagram(self.now, from, bytes);
    }

    /// Keeps the books of what an agent sends.
    fn note(&mut self, side: usize, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let call = header(&text, "Call-ID").to_owned();
        let (number, method) = header(&text, "CSeq").split_once(' ').unwrap();
        let Some(code) = text.strip_prefix("SIP/2.0 ").map(|rest| rest[..3].to_owned()) else {
            match method {
                "ACK" => drop(self.unacknowledged.remove(&(call, tag(header(&text, "To")), number.to_owned()))),
                "BYE" => {
                    let tags = [tag(header(&text, "To")), tag(header(&text, "From"))];
                    self.unacknowledged.retain(|(c, t, _)| *c != call || !tags.contains(t));
                    self.ended.extend(tags.map(|tag| (call.clone(), tag)));
                    let late = header(&text, "To").contains("sip:phones@") && number != "2";
                    *self.seen.0.entry("late fork").or_default() += usize::from(late);
                }
                "PRACK" => *self.seen.0.entry("PRACK").or_default() += 1,
                "UPDATE" => *self.seen.0.entry("UPDATE").or_default() += 1,
                _ => {}
            }
            return;
        };
        if code == "491" {
            *self.seen.0.entry("491").or_default() += 1;
        }
        if method != "INVITE" || code.as_str() < "200" {
            return;
        }
        let is_new = self.finals.entry(invite_key(side, &text)).or_default().insert(code.clone());
        let (ours, theirs) = (tag(header(&text, "To")), tag(header(&text, "From")));
        let is_over =
            self.ended.contains(&(call.clone(), ours.clone())) && self.ended.contains(&(call.clone(), theirs));
        if code.starts_with('2') && is_new && !is_over {
            self.unacknowledged.insert((call, ours, number.to_owned()));
        }
    }

    fn perform(&mut self, side: usize, deed: Deed) {
        let now = self.now;
        // Whatever comes too late is refused by the agent, and that is what people are like.
        match deed {
            Deed::Call => self.place(side),
            Deed::Ring(leg) => drop(self.agents[side].ring(now, leg)),
            Deed::EarlyMedia(leg) => {
                let sdp = self.description();
                let _ = self.agents[side].progress(now, leg, 183, Some(&sdp));
            }
            Deed::Decide(leg, replaces) => {
                if self.random.chance(80) {
                    // What was said early must be said again; the agent knows it.
                    let early = self.agents[side].local_sdp(leg).filter(|sdp| !sdp.is_empty()).map(<[u8]>::to_vec);
                    let sdp = early.unwrap_or_else(|| self.description());
                    let _ = self.agents[side].accept(now, leg, &sdp);
                    if let Some(old) = replaces {
                        let _ = self.agents[side].hang_up(now, old, Some("replaced"));
                    }
                } else {
                    let _ = self.agents[side].reject(now, leg, 486, "", &[]);
                }
                self.soon(side, 5_000, Deed::Act(leg));
            }
            Deed::Act(leg) => self.act(side, leg),
            Deed::HangUp(leg) => drop(self.agents[side].hang_up(now, leg, Some("enough"))),
            Deed::Answer(leg) => match self.random.below(10) {
                _ if self.settling => drop(self.agents[side].refresh(now, leg)),
                0 => drop(self.agents[side].reject(now, leg, 488, "", &[])),
                1..4 => drop(self.agents[side].refresh(now, leg)),
                _ => {
                    let sdp = self.description();
                    let _ = self.agents[side].answer_reinvite(now, leg, &sdp);
                }
            },
            Deed::Confirm(leg) => {
                let sdp = self.description();
                let _ = self.agents[side].confirm_offer(now, leg, &sdp);
            }
            Deed::DecideRefer(leg) => {
                if self.random.chance(30) {
                    let _ = self.agents[side].refuse_refer(now, leg, 603);
                } else if self.agents[side].accept_refer(now, leg).is_ok() {
                    self.soon(side, 500, Deed::Notify(leg, 180));
                    self.plan(side, 600, Deed::Notify(leg, 200));
                }
            }
            Deed::Notify(leg, code) => drop(self.agents[side].notify_refer(now, leg, code)),
        }
    }

    fn place(&mut self, side: usize) {
        let forks = side == 0 && self.random.chance(60);
        let other = (side + 1 + self.random.below(2) as usize) % 3;
        let address = if forks { proxy::ADDRESS } else { ADDRESSES[other] };
        let user = if forks { "phones" } else { "phone" };
        let sdp = if self.random.chance(80) { self.description() } else { Vec::new() };
        let hop = Hop::udp(address.parse().unwrap());
        let from = format!("<sip:caller{side}@{}>", ADDRESSES[side]);
        let mut placement = Placement::new(&format!("sip:{user}@{address}"), hop, &from, sdp);
        if !forks && self.random.chance(15) {
            let legs: Vec<LegId> = self.alive[other].iter().copied().collect();
            let theirs = legs.get(self.random.below(legs.len().max(1) as u64) as usize);
            if let Some(dialog) = theirs.and_then(|leg| self.agents[other].dialog_of(*leg)) {
                placement.headers.push(("Replaces".to_owned(), replaces_value(dialog)));
            }
        }
        let leg = self.agents[side].place(self.now, &placement).unwrap();
        *self.seen.0.entry("forked").or_default() += usize::from(forks);
        self.alive[side].insert(leg);
        if self.random.chance(25) {
            self.soon(side, 9_000, Deed::HangUp(leg));
        }
    }

    fn act(&mut self, side: usize, leg: LegId) {
        if !self.alive[side].contains(&leg) || !self.lively {
            return;
        }
        if self.without_update && self.random.chance(85) {
            return;
        }
        let sdp = self.description();
        let (now, choice, ends) = (self.now, self.random.below(14), self.random.chance(25));
        let legs: Vec<LegId> = self.alive[side].iter().copied().collect();
        let another = legs[self.random.below(legs.len() as u64) as usize];
        let agent = &mut self.agents[side];
        let _ = match choice {
            0..4 => agent.reinvite(now, leg, Some(&sdp)),
            4 => agent.reinvite(now, leg, None),
            5..7 => agent.update(now, leg, Some(&sdp)),
            7 => agent.update(now, leg, None),
            8 => agent.refer(now, leg, "sip:somebody@10.0.0.3", None),
            9 => agent.refer(now, leg, "", Some(another)),
            10 => agent.send_digit(now, leg, '7', 100),
            11 => agent.probe(now, leg),
            12 if ends => agent.hang_up_for(now, leg, Reason::text("done")),
            _ => Ok(()),
        };
        self.soon(side, 6_000, Deed::Act(leg));
    }

    fn hear(&mut self, side: usize, event: SipEvent) {
        let leg = event.leg();
        *self.seen.0.entry(event.name()).or_default() += 1;
        if event.is_terminal() {
            let was = self.alive[side].remove(&leg);
            assert!(was, "seed {}: side {side} leg {leg:?} ended twice: {event:?}", self.seed);
            return;
        }
        if !matches!(event, SipEvent::Incoming { .. }) {
            assert!(self.alive[side].contains(&leg), "seed {}: {event:?} after the end of the leg", self.seed);
        }
        match event {
            SipEvent::Incoming { replaces, .. } => {
                self.alive[side].insert(leg);
                *self.seen.0.entry("replaced").or_default() += usize::from(replaces.is_some());
                if self.random.chance(70) {
                    self.soon(side, 300, Deed::Ring(leg));
                }
                if self.random.chance(50) {
                    self.soon(side, 1_500, Deed::EarlyMedia(leg));
                }
                // One in twenty is never answered.
                if self.random.chance(95) {
                    self.soon(side, 8_000, Deed::Decide(leg, replaces));
                }
                self.soon(side, 3_000, Deed::Act(leg));
            }
            SipEvent::Progress { .. } if self.random.chance(30) => self.soon(side, 2_000, Deed::Act(leg)),
            SipEvent::Accepted { .. } | SipEvent::Confirmed { .. } => self.soon(side, 4_000, Deed::Act(leg)),
            SipEvent::Reinvite { .. } if self.random.chance(95) => self.soon(side, 1_500, Deed::Answer(leg)),
            SipEvent::ReinviteOffered { .. } if self.random.chance(95) => self.soon(side, 2_500, Deed::Confirm(leg)),
            SipEvent::Refer { .. } => self.soon(side, 1_000, Deed::DecideRefer(leg)),
            _ => {}
        }
    }

    /// Both ends of every call know the same of it.
    fn assert_agreement(&mut self) {
        let mut ends: BTreeMap<Vec<u8>, Vec<(usize, LegId)>> = BTreeMap::new();
        for side in 0..3 {
            for leg in &self.alive[side] {
                let Some(dialog) = self.agents[side].dialog_of(*leg) else { continue };
                ends.entry(both_tags(dialog)).or_default().push((side, *leg));
            }
        }
        for (call, both) in ends {
            let [(a, one), (b, two)] = both[..] else { continue };
            let described = |side: usize, leg| (self.agents[side].local_sdp(leg), self.agents[side].remote_sdp(leg));
            let ((ours, theirs), (yours, mine)) = (described(a, one), described(b, two));
            let text = |sdp: Option<&[u8]>| String::from_utf8_lossy(sdp.unwrap_or_default()).into_owned();
            let call = String::from_utf8_lossy(&call).into_owned();
            assert_eq!(text(ours), text(mine), "seed {}: {call}: what {a} says", self.seed);
            assert_eq!(text(yours), text(theirs), "seed {}: {call}: what {b} says", self.seed);
            *self.seen.0.entry("agreed").or_default() += 1;
        }
    }
}

fn both_tags(dialog: &DialogId) -> Vec<u8> {
    let mut tags = [dialog.local_tag.clone(), dialog.remote_tag.clone()];
    tags.sort();
    [dialog.call_id.clone(), tags.concat()].concat()
}

fn invite_key(side: usize, message: &str) -> InviteKey {
    let number = header(message, "CSeq").split(' ').next().unwrap_or_default().to_owned();
    let branch = header(message, "Via").split("branch=").nth(1).unwrap_or_default();
    let branch = branch.split(';').next().unwrap_or_default().to_owned();
    (side, header(message, "Call-ID").to_owned(), tag(header(message, "From")), number, branch)
}

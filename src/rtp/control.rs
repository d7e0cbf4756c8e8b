//! The RTCP session of one call, RFC 3550 section 6, for two parties, sans-IO. Purpose: says when a report is due and
//! writes it; reads the peer's reports: round trip, how our stream arrives there, its farewell. Owner: the thread that owns
//! the call's media; no heap. Invariants: reports leave at random intervals of 2.05 to 6.15 s (the first after 1.03 to
//! 3.08 s), longer only when the bandwidth asks for it; a report that answers none of our last reports gives no round trip;
//! nothing the peer says is believed beyond its range. Deliberately absent: encryption (the owner passes what it wrote to
//! `srtp`), addresses, acting on a farewell (anyone may forge one on a plain call; signalling ends calls).

use crate::rtp::rtcp::{
    Cname, Compound, Item, NtpMap, NtpTime, Outgoing, ReportBlock, RtcpError, SenderInfo, from_units, to_units,
};
use crate::rtp::stats::Reception;
use crate::time::Tick;
use std::time::Duration;

/// Shortest mean interval between reports (section 6.2).
const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// Compensates for timer reconsideration, which makes intervals shorter (section 6.3.1): e − 3/2.
const COMPENSATION: f64 = 1.218_28;
/// Share of the session's bandwidth that is RTCP's (section 6.2).
const RTCP_SHARE: f64 = 0.05;
/// IP and UDP octets of each datagram, which count as well.
const LOWER_LAYERS: usize = 28;
/// Our reports that a round trip may be measured against; a peer answers each of its own with our last.
const REPORTS_REMEMBERED: usize = 8;
/// A longer round trip is nonsense: one would hang up.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// A round trip shorter than nothing by no more than this comes of coarse clocks and counts as 0 (1/65536 s).
const ROUNDING: i64 = 65_536 / 100;

/// How our stream arrives at the peer, by its last report on it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RemoteReport {
    /// When the report came.
    pub at: Tick,
    /// Lost since the report before, 0 to 1.
    pub fraction_lost: f32,
    /// Lost since the beginning, packets; negative when duplicates came.
    pub cumulative_lost: i32,
    /// Interarrival jitter at the peer.
    pub jitter: Duration,
}

/// What `poll_event` gives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ControlEvent {
    /// A report on our stream came; `round_trip` when it answered one of ours.
    Reported {
        /// How our stream arrives.
        report: RemoteReport,
        /// Network round trip, both ways, the peer's processing taken out.
        round_trip: Option<Duration>,
    },
    /// The peer's source says that it leaves. A hint: signalling decides.
    Goodbye,
}

/// What we know of the far end's source.
#[derive(Clone, Copy, Debug)]
struct Peer {
    ssrc: u32,
    /// Middle NTP bits of its last SR, and when that came.
    last_sr: Option<(u32, Tick)>,
}

/// What we have sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    packets: u32,
    octets: u32,
    /// RTP timestamp of the last packet, and when it left.
    last: Option<(u32, Tick)>,
}

/// What belongs to our end for the whole call.
#[derive(Clone, Copy, Debug)]
pub struct ControlSettings {
    /// Our source.
    pub ssrc: u32,
    /// Our name.
    pub cname: Cname,
    /// Our clock in NTP time.
    pub ntp: NtpMap,
    /// RTP clock of what we send, Hz.
    pub clock: u32,
    /// Both directions of the call together, bit/s, lower layers included.
    pub session_bandwidth: u32,
    /// Randomises the intervals, so that calls set up together do not report together.
    pub seed: u64,
}

/// RTCP of one call.
#[derive(Clone, Debug)]
pub struct Control {
    settings: ControlSettings,
    random: u64,
    /// When the timer runs out next (`tn`) and when a report was last sent or the call began (`tp`).
    due: Tick,
    previous: Tick,
    initial: bool,
    average_size: f64,
    sent: Sent,
    /// We count as a sender until two reports have gone by without a packet (section 6.3.8).
    sent_at_reports: [u32; 2],
    reported_source: Option<(u32, u64)>,
    peer: Option<Peer>,
    ours: [u32; REPORTS_REMEMBERED],
    our_next: usize,
    remote: Option<RemoteReport>,
    round_trip: Option<Duration>,
    news: Option<ControlEvent>,
    goodbye: bool,
    goodbye_told: bool,
}

impl Control {
    /// Begins at `now`.
    #[must_use]
    pub fn new(settings: ControlSettings, now: Tick) -> Self {
        let mut control = Self {
            settings,
            random: settings.seed,
            due: now,
            previous: now,
            initial: true,
            // Our first guess at what a compound weighs (section 6.3.2).
            average_size: (crate::rtp::rtcp::REPORT_LEN_MAX + LOWER_LAYERS) as f64,
            sent: Sent::default(),
            sent_at_reports: [0; 2],
            reported_source: None,
            peer: None,
            ours: [0; REPORTS_REMEMBERED],
            our_next: 0,
            remote: None,
            round_trip: None,
            news: None,
            goodbye: false,
            goodbye_told: false,
        };
        control.due = now + control.interval();
        control
    }

    // --- in ---------------------------------------------------------------------------------------------------------

    /// An RTP packet of `octets` payload octets with `timestamp` left at `at`.
    pub fn handle_sent(&mut self, at: Tick, timestamp: u32, octets: usize) {
        self.sent.packets = self.sent.packets.wrapping_add(1);
        // Modulo 2^32 by the RFC.
        self.sent.octets = self.sent.octets.wrapping_add(octets as u32);
        self.sent.last = Some((timestamp, at));
    }

    /// What we send has another RTP clock from now on.
    pub fn set_clock(&mut self, clock: u32) {
        if clock != self.settings.clock {
            self.settings.clock = clock.max(1);
            // Its timestamps have no relation to the new ones.
            self.sent.last = None;
        }
    }

    /// A decrypted RTCP datagram of the right address. Errors: the datagram was dropped, see `RtcpError`.
    pub fn handle_datagram(&mut self, received: Tick, datagram: &[u8]) -> Result<(), RtcpError> {
        let compound = Compound::parse(datagram)?;
        self.weigh(datagram.len());
        for item in compound {
            match item {
                Item::SenderReport(report) => {
                    if self.handle_peer(report.ssrc) {
                        let last_sr = Some((report.info.ntp.middle(), received));
                        self.peer = Some(Peer { ssrc: report.ssrc, last_sr });
                        self.handle_blocks(received, report.blocks());
                    }
                }
                Item::ReceiverReport(report) => {
                    if self.handle_peer(report.ssrc) {
                        self.handle_blocks(received, report.blocks());
                    }
                }
                Item::Goodbye(bye) => {
                    self.goodbye |= bye.sources().any(|s| self.peer.is_some_and(|p| p.ssrc == s));
                }
                Item::SourceDescription(_) | Item::Other { .. } => {}
            }
        }
        Ok(())
    }

    /// Notes who speaks; false for our own reports coming back.
    fn handle_peer(&mut self, ssrc: u32) -> bool {
        if ssrc == self.settings.ssrc {
            return false;
        }
        if self.peer.is_none_or(|p| p.ssrc != ssrc) {
            self.peer = Some(Peer { ssrc, last_sr: None });
            self.goodbye = false;
            self.goodbye_told = false;
        }
        true
    }

    fn handle_blocks(&mut self, received: Tick, mut blocks: impl Iterator<Item = ReportBlock>) {
        let Some(block) = blocks.find(|b| b.ssrc == self.settings.ssrc) else { return };
        let report = RemoteReport {
            at: received,
            fraction_lost: f32::from(block.report.fraction_lost) / 256.0,
            cumulative_lost: block.report.cumulative_lost,
            jitter: Duration::from_nanos(
                u64::from(block.report.jitter) * 1_000_000_000 / u64::from(self.settings.clock.max(1)),
            ),
        };
        let round_trip = self.measure(received, &block);
        self.remote = Some(report);
        self.round_trip = round_trip.or(self.round_trip);
        self.news = Some(ControlEvent::Reported { report, round_trip });
    }

    /// A − LSR − DLSR (section 6.4.1), when the block answers one of our last reports.
    fn measure(&self, received: Tick, block: &ReportBlock) -> Option<Duration> {
        if block.last_sr == 0 || !self.ours.contains(&block.last_sr) {
            return None;
        }
        let arrival = self.settings.ntp.ntp(received).middle();
        // One of our last reports: the circle cannot have gone round.
        let passed = i64::from(arrival.wrapping_sub(block.last_sr));
        let units = passed - i64::from(block.delay_since_last_sr);
        let units = if (-ROUNDING..0).contains(&units) { 0 } else { u32::try_from(units).ok()? };
        Some(from_units(units)).filter(|t| *t <= ROUND_TRIP_MAX)
    }

    // --- out --------------------------------------------------------------------------------------------------------

    /// When `poll_report` is needed next.
    #[must_use]
    pub fn poll_timeout(&self) -> Tick {
        self.due
    }

    /// Writes the report that is due to the front of `out` (`rtcp::REPORT_LEN_MAX` octets suffice); its length, or `None`
    /// when none is due. `source`: SSRC and statistics of what we receive.
    pub fn poll_report(&mut self, now: Tick, source: Option<(u32, &mut Reception)>, out: &mut [u8]) -> Option<usize> {
        if now < self.due {
            return None;
        }
        // Reconsideration (section 6.3.6): the interval is drawn anew, and may turn out not to be over.
        let interval = self.interval();
        if now < self.previous + interval {
            self.due = self.previous + interval;
            return None;
        }
        let len = self.write(now, source, false, out);
        self.previous = now;
        self.initial = false;
        self.due = now + self.interval();
        len
    }

    /// Writes the farewell of a call that ends now; `None` when nothing was ever sent, for then the peer does not know
    /// our source (section 6.3.7).
    pub fn poll_goodbye(&mut self, now: Tick, source: Option<(u32, &mut Reception)>, out: &mut [u8]) -> Option<usize> {
        if self.initial && self.sent.packets == 0 {
            return None;
        }
        self.write(now, source, true, out)
    }

    /// What has come in; at most one report and one farewell wait, older reports give way to newer.
    pub fn poll_event(&mut self) -> Option<ControlEvent> {
        if let Some(news) = self.news.take() {
            return Some(news);
        }
        if self.goodbye && !self.goodbye_told {
            self.goodbye_told = true;
            return Some(ControlEvent::Goodbye);
        }
        None
    }

    /// How our stream arrives at the peer, by its last report.
    #[must_use]
    pub fn remote(&self) -> Option<RemoteReport> {
        self.remote
    }

    /// The last round trip measured.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    fn write(
        &mut self,
        now: Tick,
        source: Option<(u32, &mut Reception)>,
        goodbye: bool,
        out: &mut [u8],
    ) -> Option<usize> {
        let ntp = self.settings.ntp.ntp(now);
        let info = self.sender_info(now, ntp);
        let block = source.and_then(|(ssrc, reception)| self.block(now, ssrc, reception));
        let ControlSettings { ssrc, cname, .. } = self.settings;
        let len = Outgoing { ssrc, info, block, cname, goodbye }.write(out)?;
        if info.is_some() {
            self.ours[self.our_next] = ntp.middle();
            self.our_next = (self.our_next + 1) % REPORTS_REMEMBERED;
        }
        self.sent_at_reports = [self.sent.packets, self.sent_at_reports[0]];
        self.weigh(len);
        Some(len)
    }

    /// For an SR, when we are a sender.
    fn sender_info(&self, now: Tick, ntp: NtpTime) -> Option<SenderInfo> {
        let (timestamp, at) = self.sent.last.filter(|_| self.sent.packets != self.sent_at_reports[1])?;
        let passed = now.since(at).as_nanos() * u128::from(self.settings.clock) / 1_000_000_000;
        Some(SenderInfo {
            ntp,
            // Modulo 2^32 by the RFC.
            rtp_timestamp: timestamp.wrapping_add(passed as u32),
            packets: self.sent.packets,
            octets: self.sent.octets,
        })
    }

    /// For a source that was heard since the last report (section 6.4).
    fn block(&mut self, now: Tick, ssrc: u32, reception: &mut Reception) -> Option<ReportBlock> {
        let heard = (ssrc, reception.received());
        if self.reported_source.replace(heard) == Some(heard) {
            return None;
        }
        let last_sr = self.peer.filter(|p| p.ssrc == ssrc).and_then(|p| p.last_sr);
        Some(ReportBlock {
            ssrc,
            report: reception.take_report(),
            last_sr: last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: last_sr.map_or(0, |(_, at)| to_units(now.since(at))),
        })
    }

    // --- parts ------------------------------------------------------------------------------------------------------

    /// A new interval (section 6.3.1): what the bandwidth allows, at least 5 s (half of it before the first report),
    /// times 0.5 to 1.5.
    fn interval(&mut self) -> Duration {
        let members = if self.peer.is_some() { 2.0 } else { 1.0 };
        let octets_per_second = f64::from(self.settings.session_bandwidth.max(1)) * RTCP_SHARE / 8.0;
        let least = if self.initial { INTERVAL_MIN / 2 } else { INTERVAL_MIN };
        // An hour at most, whatever the bandwidth: a report must come some time.
        let mean = (self.average_size * members / octets_per_second).clamp(least.as_secs_f64(), 3600.0);
        Duration::from_secs_f64(mean * (0.5 + self.uniform()) / COMPENSATION)
    }

    /// Average size of compounds, in and out (section 6.3.3).
    fn weigh(&mut self, octets: usize) {
        self.average_size += ((octets + LOWER_LAYERS) as f64 - self.average_size) / 16.0;
    }

    /// 0 to 1, by SplitMix64: spreads reports over time, nothing more.
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // 53 bits fit a double exactly.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::REPORT_LEN_MAX;
    use crate::time::Wallclock;
    use proptest::prelude::*;

    fn at(ms: u64) -> Tick {
        Tick(ms * 1_000_000)
    }

    fn party(ssrc: u32, seed: u64) -> Control {
        let settings = ControlSettings {
            ssrc,
            cname: Cname::from_random([ssrc as u8; 12]),
            // The two clocks know nothing of each other.
            ntp: NtpMap::new(at(0), Wallclock(u64::from(ssrc) * 1_000_000_007)),
            clock: 8_000,
            session_bandwidth: 160_000,
            seed,
        };
        Control::new(settings, at(0))
    }

    /// Both ends send 50 packets a second over a line with `delay` each way and lose every `lose`th on the way to `b`;
    /// gives every compound of `a` with its time.
    fn talk(a: &mut Control, b: &mut Control, delay_ms: u64, lose: u64, length_ms: u64) -> Vec<(u64, Vec<u8>)> {
        let (mut reception_a, mut reception_b) =
            (Reception::new(0, 0, at(delay_ms), 8_000), Reception::new(0, 0, at(delay_ms), 8_000));
        let mut out = [0; REPORT_LEN_MAX];
        let mut flying: Vec<(u64, bool, Vec<u8>)> = Vec::new();
        let mut reports = Vec::new();
        for ms in 0..length_ms {
            if ms % 20 == 0 && ms > 0 {
                let n = ms / 20;
                let (sequence, timestamp) = (n as u16, n as u32 * 160);
                a.handle_sent(at(ms), timestamp, 160);
                b.handle_sent(at(ms), timestamp, 160);
                if n % lose != 0 {
                    reception_b.handle_packet(sequence, timestamp, at(ms + delay_ms));
                }
                reception_a.handle_packet(sequence, timestamp, at(ms + delay_ms));
            }
            for (_, to_a, datagram) in flying.extract_if(.., |f| f.0 == ms) {
                let end = if to_a { &mut *a } else { &mut *b };
                end.handle_datagram(at(ms), &datagram).unwrap();
            }
            if ms >= a.poll_timeout().0 / 1_000_000
                && let Some(len) = a.poll_report(at(ms), Some((2, &mut reception_a)), &mut out)
            {
                flying.push((ms + delay_ms, false, out[..len].to_vec()));
                reports.push((ms, out[..len].to_vec()));
            }
            if ms >= b.poll_timeout().0 / 1_000_000
                && let Some(len) = b.poll_report(at(ms), Some((1, &mut reception_b)), &mut out)
            {
                flying.push((ms + delay_ms, true, out[..len].to_vec()));
            }
        }
        reports
    }

    #[test]
    fn two_ends_measure_their_round_trip_and_each_others_loss() {
        let (mut a, mut b) = (party(1, 7), party(2, 9));
        talk(&mut a, &mut b, 35, 10, 60_000);
        for end in [&a, &b] {
            let round_trip = end.round_trip().unwrap();
            assert!(round_trip.abs_diff(Duration::from_millis(70)) < Duration::from_millis(2), "{round_trip:?}");
        }
        let of_a = a.remote().unwrap();
        assert!((0.09..0.115).contains(&of_a.fraction_lost), "{of_a:?}");
        assert!((200..300).contains(&of_a.cumulative_lost), "{of_a:?}");
        assert_eq!(of_a.jitter, Duration::ZERO);
        assert_eq!(b.remote().unwrap().cumulative_lost, 0);
        assert!(matches!(a.poll_event(), Some(ControlEvent::Reported { round_trip: Some(_), .. })));
        assert_eq!(a.poll_event(), None);
    }

    #[test]
    fn reports_come_at_random_intervals_about_five_seconds_the_first_sooner() {
        let mut gaps = Vec::new();
        for seed in 0..20 {
            let (mut a, mut b) = (party(1, seed), party(2, seed + 100));
            let times: Vec<u64> = talk(&mut a, &mut b, 10, 1000, 40_000).into_iter().map(|r| r.0).collect();
            assert!((1_000..=3_100).contains(&times[0]), "{times:?}");
            gaps.extend(times.windows(2).map(|w| w[1] - w[0]));
        }
        assert!(gaps.iter().all(|g| (2_050..=6_160).contains(g)), "{gaps:?}");
        let mean = gaps.iter().sum::<u64>() / gaps.len() as u64;
        assert!((4_000..=5_500).contains(&mean), "{mean}");
    }

    #[test]
    fn a_narrow_line_is_reported_on_less_often() {
        let mut narrow = party(1, 1);
        narrow.settings.session_bandwidth = 1_000;
        narrow.initial = false;
        // 6.25 octets a second for about 124 octets.
        let longest = (0..50).map(|_| narrow.interval()).max().unwrap();
        assert!(longest > Duration::from_secs(15) && longest < Duration::from_secs(40), "{longest:?}");
        narrow.settings.session_bandwidth = 0;
        assert!(narrow.interval() <= Duration::from_secs(4500));
    }

    #[test]
    fn a_listener_sends_receiver_reports_and_no_farewell_if_it_never_spoke() {
        let mut out = [0; REPORT_LEN_MAX];
        let mut quiet = party(1, 3);
        assert_eq!(quiet.poll_goodbye(at(1), None, &mut out), None);
        let len = quiet.poll_report(at(60_000), None, &mut out).unwrap();
        assert!(matches!(Compound::parse(&out[..len]).unwrap().next(), Some(Item::ReceiverReport(_))));
        assert!(quiet.poll_goodbye(at(60_001), None, &mut out).is_some());
        // One packet makes it a sender for two reports.
        quiet.handle_sent(at(60_002), 160, 160);
        let mut kinds = Vec::new();
        for n in 1..5u64 {
            let len = quiet.poll_report(at(60_000 + n * 10_000), None, &mut out).unwrap();
            kinds.push(matches!(Compound::parse(&out[..len]).unwrap().next(), Some(Item::SenderReport(_))));
        }
        assert_eq!(kinds, [true, true, false, false]);
    }

    #[test]
    fn an_sr_says_the_timestamp_of_now_not_of_the_last_packet() {
        let mut out = [0; REPORT_LEN_MAX];
        let mut a = party(1, 3);
        a.handle_sent(at(1_000), 5_000, 160);
        let len = a.poll_report(at(11_000), None, &mut out).unwrap();
        let Some(Item::SenderReport(sr)) = Compound::parse(&out[..len]).unwrap().next() else { panic!() };
        assert_eq!((sr.info.rtp_timestamp, sr.info.packets, sr.info.octets), (85_000, 1, 160));
        assert_eq!(sr.info.ntp, a.settings.ntp.ntp(at(11_000)));
    }

    #[test]
    fn a_source_that_went_silent_is_not_reported_on_again() {
        let mut out = [0; REPORT_LEN_MAX];
        let mut a = party(1, 3);
        let mut reception = Reception::new(0, 0, at(0), 8_000);
        let mut blocks = Vec::new();
        for n in 1..4 {
            let len = a.poll_report(at(n * 10_000), Some((2, &mut reception)), &mut out).unwrap();
            let Some(Item::ReceiverReport(rr)) = Compound::parse(&out[..len]).unwrap().next() else { panic!() };
            blocks.push(rr.blocks().count());
            if n == 2 {
                reception.handle_packet(1, 160, at(20_001));
            }
        }
        assert_eq!(blocks, [1, 0, 1]);
    }

    /// A report of the peer on our stream.
    fn report_on(ssrc: u32, last_sr: u32, delay: u32) -> Vec<u8> {
        let block = ReportBlock { ssrc, last_sr, delay_since_last_sr: delay, ..ReportBlock::default() };
        let rr =
            Outgoing { ssrc: 2, info: None, block: Some(block), cname: Cname::from_random([0; 12]), goodbye: false };
        let mut out = [0; REPORT_LEN_MAX];
        let len = rr.write(&mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn nonsense_gives_no_round_trip() {
        let mut out = [0; REPORT_LEN_MAX];
        let mut a = party(1, 3);
        a.handle_sent(at(9_999), 0, 160);
        a.poll_report(at(10_000), None, &mut out).unwrap();
        let ours = a.settings.ntp.ntp(at(10_000)).middle();
        let mut measured = |last_sr, delay, ms| {
            a.handle_datagram(at(ms), &report_on(1, last_sr, delay)).unwrap();
            let Some(ControlEvent::Reported { round_trip, .. }) = a.poll_event() else { panic!() };
            round_trip.map(|t| t.as_millis())
        };
        assert_eq!(measured(ours, 0x8000, 10_540), Some(40), "half a second held");
        assert_eq!(measured(ours, 0x8000, 10_499), Some(0), "clocks are coarse");
        assert_eq!(measured(ours, 0x8000, 10_400), None, "answered before it was asked");
        assert_eq!(measured(ours, u32::MAX, 10_400), None);
        assert_eq!(measured(0, 0, 10_400), None, "no SR came there");
        assert_eq!(measured(ours + 1, 0, 10_400), None, "not ours");
        assert_eq!(measured(ours, 0, 25_000), None, "15 s");
        a.handle_datagram(at(1), &report_on(99, ours, 0)).unwrap();
        assert_eq!(a.poll_event(), None, "on another's stream");
    }

    #[test]
    fn a_farewell_is_told_once_and_only_of_the_peer() {
        let mut out = [0; REPORT_LEN_MAX];
        let (mut a, mut b, mut stranger) = (party(1, 1), party(2, 2), party(3, 3));
        for end in [&mut b, &mut stranger] {
            end.handle_sent(at(0), 0, 160);
        }
        let len = b.poll_report(at(10_000), None, &mut out).unwrap();
        a.handle_datagram(at(10_000), &out[..len]).unwrap();
        // The BYE alone, as a stranger may forge it for a source of his own.
        let len = stranger.poll_goodbye(at(10_001), None, &mut out).unwrap();
        a.handle_datagram(at(10_001), &out[len - 8..len]).unwrap();
        assert_eq!(a.poll_event(), None);
        let len = b.poll_goodbye(at(10_002), None, &mut out).unwrap();
        a.handle_datagram(at(10_002), &out[..len]).unwrap();
        a.handle_datagram(at(10_003), &out[..len]).unwrap();
        assert_eq!(a.poll_event(), Some(ControlEvent::Goodbye));
        assert_eq!(a.poll_event(), None);
        // Our own packets coming back mean nothing.
        a.handle_sent(at(10_004), 0, 160);
        let len = a.poll_goodbye(at(10_005), None, &mut out).unwrap();
        let mut echoed = party(1, 1);
        echoed.handle_datagram(at(10_006), &out[..len]).unwrap();
        assert_eq!(echoed.poll_event(), None);
    }

    #[test]
    fn garbage_is_refused_and_changes_nothing() {
        let mut a = party(1, 1);
        assert!(a.handle_datagram(at(1), b"no RTCP at all").is_err());
        assert_eq!((a.poll_event(), a.round_trip(), a.remote()), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_datagrams_at_any_time(steps in proptest::collection::vec((any::<u64>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..40)) {
            let octets: Vec<u8> = steps.iter().flat_map(|(t, d)| {
                let mut s = t.to_be_bytes().to_vec();
                s.push(d.len() as u8);
                s.extend(d);
                s
            }).collect();
            crate::rtp::fuzz::control(&octets);
        }
    }
}

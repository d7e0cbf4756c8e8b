//! Telephones, browsers and Twilio's streams at once, each with an echo: what comes back is what was said, in order and whole,
//! also while many browsers reconnect from other ports. A few of each in the test run; `make soak-doors` takes twenty of each
//! and a hundred that reconnect, and holds the daemon to its lateness and the wire to its gaps.

#![expect(clippy::print_stderr, reason = "the figures are for people")]

mod browser;
mod rig;
mod twilio_double;

use browser::{Browser, ask};
use callwright::rtp::Codec;
use rig::phone::Phone;
use rig::ua::purity;
use rig::{Daemon, get};
use std::time::{Duration, Instant};
use twilio_double::{ACCOUNT, PUBLIC, Stream, TOKEN, Twilio};

const FRAME: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);
/// With it calls begin, until somebody listens.
const FIRST: usize = 12;
/// Outgoing packets after their time, 99th percentile, in seconds: where SCHED_FIFO was granted, and where not.
const LATENESS_MAX: (f64, f64) = (0.002, 0.010);
/// What is heard was said at most so long ago.
const ECHO_MAX: Duration = Duration::from_millis(400);
/// Between two packets of a call.
const GAP_MAX: Duration = Duration::from_millis(60);

/// How much is done.
#[derive(Clone, Copy)]
struct Size {
    /// Calls by each door.
    each: usize,
    /// That each call says, 20 ms each.
    frames: usize,
    /// Browsers that reconnect.
    reconnecting: usize,
    /// Whether time is judged: not on a machine that does other things meanwhile.
    judged: bool,
}

impl Size {
    fn asked() -> Self {
        match std::env::var("CALLWRIGHT_DOORS").ok().and_then(|n| n.parse().ok()) {
            Some(each) => Self { each, frames: 1500, reconnecting: 100, judged: true },
            None => Self { each: 3, frames: 100, reconnecting: 6, judged: false },
        }
    }
}

/// One call, as its caller has it.
struct Quality {
    door: &'static str,
    sent: usize,
    came: usize,
    /// The longest time between two packets in which this caller itself was not late: what it did not say in time was not to be
    /// heard, and what it did not read in time came earlier.
    gap: Duration,
    /// Times between two packets in which it was late, of all of them.
    spoilt: usize,
    of: usize,
}

fn quality(door: &'static str, sent: usize, whole: usize, came: &[Instant], stalls: &[Instant]) -> Quality {
    let (mut gap, mut spoilt) = (None, 0);
    for two in came.windows(2) {
        let during = two[0].checked_sub(ECHO_MAX).unwrap_or(two[0])..=two[1] + FRAME;
        match stalls.iter().any(|stall| during.contains(stall)) {
            true => spoilt += 1,
            false => gap = gap.max(Some(two[1] - two[0])),
        }
    }
    Quality { door, sent, came: whole, gap: gap.unwrap_or(LONG), spoilt, of: came.len().saturating_sub(1) }
}

/// Frame `n`: no two in a row alike, none silent, each with its number in it.
fn voice(n: usize) -> Vec<u8> {
    (0..160).map(|i| 0x10 | (n % 13) as u8 | if i % 2 == 0 { 0 } else { 0x80 }).collect()
}

/// The number of a frame; `None`: silence, or what only finds out whether somebody listens.
fn number(frame: &[u8]) -> Option<usize> {
    let n = usize::from(frame.first()? & 0x0f);
    (frame[0] != 0xff && n != FIRST).then_some(n)
}

struct Line {
    phone: Phone,
    call: String,
    tag: String,
    port: u16,
    sequence: u16,
}

impl Line {
    fn call(daemon: &Daemon, n: usize) -> Self {
        let (phone, call) = (Phone::new(daemon), format!("door-{n}"));
        let (status, tag, port) = phone.call("echo", &call);
        assert_eq!(status, 200, "{call}");
        Self { phone, call, tag, port, sequence: 0 }
    }

    fn say(&mut self, n: usize) {
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(7_u32.to_be_bytes());
        packet.extend(voice(n));
        self.sequence = self.sequence.wrapping_add(1);
        self.phone.rtp.send_to(&packet, (self.phone.daemon.ip(), self.port)).expect("loopback takes it");
    }

    /// What comes until then.
    fn hear(&self, until: Instant, came: &mut Vec<(Instant, Vec<u8>)>) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.phone.rtp.set_read_timeout(Some(left)).expect("a timeout");
            let mut packet = [0; 500];
            if let Ok(len) = self.phone.rtp.recv(&mut packet) {
                came.push((Instant::now(), packet[12..len].to_vec()));
            }
        }
    }

    fn talk(mut self, frames: usize) -> Quality {
        let (mut came, begun) = (Vec::new(), Instant::now());
        while came.iter().all(|(_, frame): &(Instant, Vec<u8>)| frame[0] == 0xff) {
            assert!(begun.elapsed() < LONG, "{} hears nothing", self.call);
            self.say(FIRST);
            self.hear(Instant::now() + FRAME, &mut came);
        }
        came.clear();
        let (begun, mut stalls) = (Instant::now(), Vec::new());
        for n in 0..frames {
            let due = begun + FRAME * u32::try_from(n).expect("minutes");
            self.hear(due, &mut came);
            if due.elapsed() > FRAME {
                stalls.push(Instant::now());
            }
            self.say(n % FIRST);
        }
        let all = |came: &[(Instant, Vec<u8>)]| came.iter().filter(|(_, frame)| number(frame).is_some()).count();
        let latest = Instant::now() + LONG;
        let whole = came.len();
        while all(&came) < frames && Instant::now() < latest {
            self.hear(Instant::now() + FRAME, &mut came);
        }
        let times: Vec<_> = came[..whole].iter().map(|(at, _)| *at).collect();
        let spoken: Vec<_> = came.iter().filter(|(_, frame)| number(frame).is_some()).collect();
        let right = spoken.iter().enumerate().filter(|(n, (_, frame))| *frame == voice(n % FIRST)).count();
        self.phone.bye("echo", &self.call, &self.tag);
        quality("telephone", frames, right, &times, &stalls)
    }
}

/// A browser in a call, and where the call is.
fn browse(daemon: &Daemon) -> (Browser, String) {
    let mut browser = Browser::new(Codec::Opus, true);
    let sdp = [("Content-Type", "application/sdp")];
    let reply = ask(daemon.http, "POST", "/v1/webrtc?to=echo", &sdp, &browser.offer());
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert!(browser.connect(&reply.body, LONG), "no handshake");
    (browser, reply.field("location").expect("a Location").to_owned())
}

/// At once, a thread each.
fn all_at_once<T: Send, U: Send>(all: Vec<T>, work: impl Fn(usize, T) -> U + Sync) -> Vec<U> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.into_iter().enumerate().map(|(n, one)| scope.spawn(move || work(n, one))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it goes well")).collect()
    })
}

fn browser_talks(n: usize, browser: &mut Browser, size: Size) -> Quality {
    // Tones of whole periods a frame: a pause does not move them.
    let hz = 400.0 + 50.0 * (n % 20) as f64;
    browser.talk(hz, 200);
    browser.came.clear();
    browser.stalls.clear();
    let heard = browser.talk(hz, size.frames as u64 * 20);
    // Second by second, but for those in which this caller itself was late: what it did not say in time was not to be heard.
    let (mut seconds, mut spoilt) = (Vec::new(), 0);
    for (second, packets) in heard.chunks_exact(8000).zip(browser.came.chunks_exact(50)) {
        let during = packets[0] - ECHO_MAX..=packets[49];
        match browser.stalls.iter().any(|stall| during.contains(stall)) {
            true => spoilt += 1,
            false => seconds.push(purity(second, hz)),
        }
    }
    // A fifth of each, and half of all that callers of a door hear (`judge`).
    let right = seconds.iter().filter(|share| **share > 0.8).count();
    assert!(right * 10 >= seconds.len() * 9, "browser {n} hears something else than {hz} Hz: {seconds:.2?}");
    assert!(
        !size.judged || 4 * seconds.len() >= spoilt,
        "browser {n} was late itself in {spoilt} of {} seconds: this machine cannot tell, take one that does nothing else",
        spoilt + seconds.len()
    );
    let frames = size.frames;
    let times = &browser.came[..browser.came.len().min(frames)];
    quality("browser", frames, (heard.len() / 160).min(frames), times, &browser.stalls)
}

async fn stream_talks(mut stream: Stream, frames: usize) -> Quality {
    let expected: Vec<usize> = (0..frames).map(|n| n % FIRST).collect();
    stream.audio.clear();
    stream.came.clear();
    stream.stalls.clear();
    let numbers = |s: &Stream| s.audio.chunks(160).filter_map(number).collect::<Vec<_>>();
    let patience = FRAME * u32::try_from(frames).expect("minutes") + LONG;
    let before = stream.audio.len();
    let enough = |s: &Stream| s.audio.len() - before >= frames * 160 && numbers(s).len() >= frames;
    stream.talk(expected.iter().map(|n| voice(*n)), FRAME, patience, enough).await;
    let heard = numbers(&stream);
    let right = heard.iter().zip(&expected).filter(|(a, b)| a == b).count();
    let times: Vec<_> = stream.came.iter().map(|at| at.into_std()).collect();
    let stalls: Vec<_> = stream.stalls.iter().map(|at| at.into_std()).collect();
    stream.stop().await;
    quality("Twilio", frames, right, &times, &stalls)
}

/// Calls by every door at once.
fn talk_by_all(daemon: &Daemon, size: Size, tag: usize) -> Vec<Quality> {
    let frames = size.frames;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let twilio = Twilio { http: daemon.http };
    let streams: Vec<Stream> = runtime.block_on(async {
        let calls = (0..size.each).map(|n| async move {
            let call = format!("CA{tag}{n:03}");
            let mut stream = twilio.call(&call, "+15550000001").await;
            let first = (0..3000).map(|_| voice(FIRST));
            assert!(stream.talk(first, FRAME, LONG, |s| !s.audio.is_empty()).await, "{call} hears nothing");
            stream
        });
        futures_util::future::join_all(calls).await
    });
    let lines: Vec<Line> = (0..size.each).map(|n| Line::call(daemon, tag * 1000 + n)).collect();
    let browsers = all_at_once(vec![(); size.each], |_, ()| browse(daemon));
    std::thread::scope(|scope| {
        let by_sip = scope.spawn(|| all_at_once(lines, |_, line| line.talk(frames)));
        let by_browser = scope.spawn(|| {
            all_at_once(browsers, |n, (mut browser, _)| {
                let quality = browser_talks(n, &mut browser, size);
                browser.close();
                quality
            })
        });
        let by_twilio =
            runtime.block_on(futures_util::future::join_all(streams.into_iter().map(|s| stream_talks(s, frames))));
        let mut all = by_sip.join().expect("telephones");
        all.extend(by_browser.join().expect("browsers"));
        all.extend(by_twilio);
        all
    })
}

/// The 99th percentile of how late packets went out since the daemon started, to the next bound of its histogram, in seconds.
fn lateness(daemon: &Daemon) -> f64 {
    let (_, text) = get(daemon.http, "/metrics").expect("/metrics answers");
    let buckets: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("media_lateness_seconds_bucket{le=\""))
        .filter_map(|line| {
            let (bound, count) = line.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        })
        .collect();
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.iter().find(|(_, count)| *count >= 0.99 * all).map_or(f64::INFINITY, |(bound, _)| *bound)
}

fn judge(what: &str, daemon: &Daemon, all: &[Quality], size: Size) {
    for door in ["telephone", "browser", "Twilio"] {
        let of: Vec<&Quality> = all.iter().filter(|one| one.door == door).collect();
        assert_eq!(of.len(), size.each, "{what}: {door}");
        let (sent, came) = (of.iter().map(|q| q.sent).sum::<usize>(), of.iter().map(|q| q.came).sum::<usize>());
        let gap = of.iter().map(|q| q.gap).max().unwrap_or_default();
        let (spoilt, all) = (of.iter().map(|q| q.spoilt).sum::<usize>(), of.iter().map(|q| q.of).sum::<usize>());
        eprintln!(
            "{what}: {door}: {} calls, {sent} frames said, {came} heard back, longest gap {gap:?} ({spoilt} of {all} not judged: \
             the callers were late)",
            of.len()
        );
        // What a telephone and a stream say comes back to the octet, in order; a browser's tone was judged where it was heard.
        assert!(came as f64 >= 0.999 * sent as f64, "{what}: {door}: {came} of {sent}");
        assert!(
            !size.judged || 2 * spoilt <= all,
            "{what}: {door}: callers were late themselves in {spoilt} of {all} packets: this machine cannot tell, take one that does \
             nothing else"
        );
        assert!(!size.judged || gap <= GAP_MAX, "{what}: {door}: a gap of {gap:?}");
    }
    let (late, fifo) = (lateness(daemon), daemon.log().contains("SCHED_FIFO"));
    let most = if fifo { LATENESS_MAX.0 } else { LATENESS_MAX.1 };
    eprintln!("{what}: lateness p99 at most {:.2} ms, SCHED_FIFO {fifo}, load {}", 1000.0 * late, load());
    assert!(!size.judged || late <= most, "{what}: {late} s late, {most} s allowed");
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

#[test]
fn every_door_at_once_and_browsers_that_reconnect() {
    let size = Size::asked();
    let (first, _) = rig::free_rtp_range();
    let ports = format!("{first}-{}", first + 599);
    let config = format!(
        "[twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\npublic_url = \"{PUBLIC}\"\n\
         [[routes]]\nmatch = \"+15550000001\"\napp = \"echo\"\n[[routes]]\nmatch = \"echo\"\napp = \"echo\"\n"
    );
    let daemon = Daemon::start_set(&config, &[("CALLWRIGHT__RTP__PORTS", &ports)]);
    judge("all at once", &daemon, &talk_by_all(&daemon, size, 1), size);

    // Browsers come by another port all at once; nobody else hears of it.
    let moving = all_at_once(vec![(); size.reconnecting], |_, ()| browse(&daemon));
    let began = Instant::now();
    let (live, moved) = std::thread::scope(|scope| {
        let live = scope.spawn(|| talk_by_all(&daemon, size, 2));
        let moved = scope.spawn(|| {
            all_at_once(moving, |n, (mut browser, path)| {
                let asked = Instant::now();
                let kind = [("Content-Type", "application/trickle-ice-sdpfrag"), ("If-Match", "*")];
                let reply = ask(daemon.http, "PATCH", &path, &kind, &browser.restart());
                assert_eq!(reply.status, 200, "{}", reply.body);
                browser.restarted(&reply.body);
                assert!(browser.find(LONG), "browser {n} finds nobody");
                let took = asked.elapsed();
                // The daemon hears of the nomination a moment later than the browser thinks of it.
                browser.talk(600.0, 400);
                // A hundred callers on one machine are late themselves at times: each has to be heard once, whole.
                let mut best = 0.0_f64;
                while best <= 0.8 {
                    assert!(asked.elapsed() < LONG, "browser {n} is not heard from there: {best}");
                    best = best.max(purity(&browser.talk(600.0, 1000), 600.0));
                }
                browser.close();
                took
            })
        });
        (live.join().expect("live calls"), moved.join().expect("browsers"))
    });
    let mut moved = moved;
    moved.sort();
    eprintln!(
        "{} browsers reconnected, found after {:?} (median), {:?} (last); everything over after {:?}",
        moved.len(),
        moved[moved.len() / 2],
        moved[moved.len() - 1],
        began.elapsed()
    );
    judge("while browsers reconnect", &daemon, &live, size);
    assert!(!daemon.log().contains("panicked"));
}

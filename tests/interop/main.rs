//! Other people's PBX in front of the daemon: `make interop`. Asterisk is registrar and PBX; the daemon registers a dozen lines
//! there, which differ in what they are used for, and calls go in and out by each. What is said is heard at the other end:
//! Asterisk records what it hears of its own tone in the daemon's echo. Prints a table, one row a check; fails when a row
//! does, or when Asterisk is missing. It is looked for in a Debian tree below `$CALLWRIGHT_PEERS` (`sid/`, by default
//! `~/.cache/callwright-peers`), else in the system. No part of `make test`: it needs a minute, and a PBX.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod asterisk;
mod daemon;

use asterisk::{Asterisk, LINES, Line};
use daemon::{Daemon, field};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asterisk's tone (`Milliwatt`), Hz.
const TONE_HZ: f64 = 1004.0;
/// How long two sides talk before it is looked at what was heard.
const TALK: Duration = Duration::from_millis(1800);
/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(12);
/// Asterisk asks for a session of 90 s: half of that, and some.
const REFRESHED_AFTER: Duration = Duration::from_secs(52);

type Outcome = Result<String, String>;

fn main() -> ExitCode {
    let asterisk = match Asterisk::start() {
        Ok(asterisk) => asterisk,
        Err(why) => {
            eprintln!("interop: NOTHING WAS TESTED: {why}");
            return ExitCode::FAILURE;
        }
    };
    let daemon = match Daemon::start(&asterisk) {
        Ok(daemon) => daemon,
        Err(why) => {
            eprintln!("interop: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut table = Table { rows: 0, failed: 0, only: std::env::var("ONLY").ok() };
    println!("{} and callwright at {}", asterisk.version(), daemon.sip);
    let both = Bench { asterisk: &asterisk, daemon: &daemon };
    for line in LINES {
        table.row(&format!("registers {} by {} with a password", line.user, line.transport), || both.registered(line));
    }
    // Long sessions run beside all the rest.
    let sessions = table.wanted("session timer").then(|| both.begin_sessions());
    for line in LINES.iter().filter(|line| line.is_echo()) {
        table.row(&format!("call in, {}: heard both ways", line.what), || both.call_in(line));
        table.row(&format!("call out, {}: heard both ways", line.what), || both.call_out(line));
    }
    table.row("keys out as telephone events", || both.keys_out("207", "1", false));
    table.row("keys out by INFO", || both.keys_out("208", "2", true));
    table.row("keys in as telephone events", || both.keys_in("207"));
    table.row("keys in by INFO", || both.keys_in("208"));
    table.row("early media before the answer", || both.early_media());
    table.row("a refusal says why: busy", || both.refused("busy", "486"));
    table.row("a refusal says why: no such number", || both.refused("absent", "404"));
    table.row("a call that rings is given up", || both.given_up());
    table.row("a caller gives up while we ring", || both.caller_gives_up());
    table.row("hold and unhold, out and in", || both.hold());
    table.row("direct media: the PBX leaves the audio to both ends", || both.direct_media());
    table.row("blind transfer asked for by us", || both.blind_transfer());
    table.row("attended transfer asked for by us", || both.attended_transfer());
    table.row("the other side hangs up", || both.hung_up());
    table.row("OPTIONS: the trunk is known to be up", || both.health());
    if let Some(sessions) = sessions {
        table.row("session timer of 90 s refreshed by the PBX", || {
            both.refreshed(sessions.as_ref().map(|s| (&s.0, s.2)))
        });
        table.row("session timer asked for by us is agreed on", || both.agreed(sessions.as_ref().map(|s| &s.1)));
    }
    table.row("nothing is left over", || both.nothing_left());
    if table.failed > 0 {
        eprintln!("--- the daemon's log ---\n{}", daemon.log());
        eprintln!("--- Asterisk's log ---\n{}", asterisk.log());
    }
    println!("{} of {} passed", table.rows - table.failed, table.rows);
    if table.failed == 0 && table.rows > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What has been found out so far.
struct Table {
    rows: u32,
    failed: u32,
    /// Rows whose name holds this, and no others.
    only: Option<String>,
}

impl Table {
    fn wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()) || name.starts_with("registers"))
    }

    fn row(&mut self, name: &str, check: impl FnOnce() -> Outcome) {
        if !self.wanted(name) {
            return;
        }
        let began = Instant::now();
        let outcome = check();
        self.rows += 1;
        self.failed += u32::from(outcome.is_err());
        let (verdict, note) = match &outcome {
            Ok(note) => ("ok", note),
            Err(why) => ("FAILED", why),
        };
        println!("{verdict:<7} {name:<56} {:>5.1} s  {note}", began.elapsed().as_secs_f64());
    }
}

/// Waits until `check` gives something.
fn eventually<T>(mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        sleep(Duration::from_millis(100));
    }
}

struct Bench<'a> {
    asterisk: &'a Asterisk,
    daemon: &'a Daemon,
}

impl Bench<'_> {
    fn registered(&self, line: &Line) -> Outcome {
        let state = || {
            let trunks = self.daemon.get("/v1/trunks");
            let at = trunks.find(&format!("\"name\":\"line{}\"", line.user))?;
            let own = &trunks[at..];
            let own = &own[..own[8..].find("\"name\":").map_or(own.len(), |end| end + 8)];
            (field(own, "state")? == "registered").then_some(())
        };
        eventually(state).ok_or_else(|| "it is not registered".to_owned())?;
        let contacts = self.asterisk.cli("pjsip show contacts");
        if contacts.contains(&format!("{}/sip:", line.user)) {
            Ok(String::new())
        } else {
            Err("Asterisk does not know where it is".to_owned())
        }
    }

    /// The newest call of the daemon to this number that is up.
    fn live(&self, callee: &str, state: &str) -> Result<String, String> {
        let find = || {
            let calls = self.daemon.get("/v1/calls");
            let live = calls.split("\"live\":[").nth(1)?;
            let wanted = (format!("\"callee\":\"{callee}\""), format!("\"state\":\"{state}\""));
            let found = live.split('{').rev().find(|call| call.contains(&wanted.0) && call.contains(&wanted.1))?;
            field(found, "id").map(str::to_owned)
        };
        eventually(find).ok_or_else(|| format!("no call to {callee} is {state}: {}", self.daemon.get("/v1/calls")))
    }

    fn state_of(&self, call: &str) -> Option<String> {
        field(&self.daemon.get(&format!("/v1/calls/{call}")), "state").map(str::to_owned)
    }

    fn becomes(&self, call: &str, state: &str) -> Result<(), String> {
        // What is said of a call that is over is written a moment later.
        let is_whole = || state != "ended" || field(&self.record(call), "ended_by").is_some();
        eventually(|| (self.state_of(call)? == state && is_whole()).then_some(()))
            .ok_or_else(|| format!("the call is {:?}, not {state}: {}", self.state_of(call), self.record(call)))
    }

    fn record(&self, call: &str) -> String {
        self.daemon.get(&format!("/v1/calls/{call}"))
    }

    fn ladder(&self, call: &str) -> String {
        self.daemon.get(&format!("/v1/calls/{call}/ladder"))
    }

    fn events(&self, call: &str) -> String {
        self.daemon.get(&format!("/v1/calls/{call}/events?after=0"))
    }

    /// Places a call by a line; gives it once it has been answered.
    fn placed(&self, user: &str, to: &str, app: &str) -> Result<String, String> {
        let call = self.place(user, to, app)?;
        self.becomes(&call, "answered")?;
        Ok(call)
    }

    fn place(&self, user: &str, to: &str, app: &str) -> Result<String, String> {
        let wish = format!("{{\"to\":\"{to}\",\"trunk\":\"line{user}\",\"app\":\"{app}\",\"timeout_s\":15}}");
        let (status, body) = self.daemon.post("/v1/calls", &wish);
        match field(&body, "id") {
            Some(call) if status == 202 => Ok(call.to_owned()),
            _ => Err(format!("{status} {body}")),
        }
    }

    fn verb(&self, call: &str, verb: &str, body: &str) -> Result<(), String> {
        let (status, answer) = self.daemon.post(&format!("/v1/calls/{call}/{verb}"), body);
        if (200..300).contains(&status) { Ok(()) } else { Err(format!("{verb}: {status} {answer}")) }
    }

    fn end(&self, call: &str) -> Result<String, String> {
        // It may have ended by itself.
        let _ = self.verb(call, "hangup", "{}");
        self.becomes(call, "ended")?;
        Ok(self.record(call))
    }

    /// What Asterisk heard of its own tone.
    fn heard_back(&self, recording: &str) -> Outcome {
        let check = || self.asterisk.purity(recording, TONE_HZ).filter(|(purity, _)| *purity > 0.6);
        let told = || match self.asterisk.purity(recording, TONE_HZ) {
            Some((purity, seconds)) => format!("of {seconds:.1} s heard back {:.0} % is the tone", purity * 100.0),
            None => "Asterisk heard nothing at all".to_owned(),
        };
        match eventually(check) {
            Some((_, seconds)) if seconds > 0.8 => Ok(told()),
            _ => Err(told()),
        }
    }

    fn codec_is(&self, record: &str, line: &Line) -> Result<(), String> {
        match field(record, "codec") {
            Some(codec) if !codec.eq_ignore_ascii_case(line.codec) => Err(format!("the codec is {codec}")),
            _ => Ok(()),
        }
    }

    fn protected(&self, call: &str, line: &Line) -> Result<(), String> {
        let is = self.ladder(call).contains("RTP/SAVP");
        if is == line.is_protected() { Ok(()) } else { Err(format!("protected by SRTP: {is}")) }
    }

    fn call_in(&self, line: &Line) -> Outcome {
        let recording = format!("rec-i{}", line.user);
        self.asterisk.originate(line.user, &recording);
        let call = self.live(line.user, "answered")?;
        sleep(TALK);
        self.protected(&call, line)?;
        let record = self.end(&call)?;
        self.codec_is(&record, line)?;
        self.heard_back(&recording)
    }

    fn call_out(&self, line: &Line) -> Outcome {
        let recording = format!("rec-o{}", line.user);
        let call = self.placed(line.user, &recording, "echo")?;
        sleep(TALK);
        self.protected(&call, line)?;
        let record = self.end(&call)?;
        self.codec_is(&record, line)?;
        self.heard_back(&recording)
    }

    fn keys_out(&self, user: &str, variable: &str, info: bool) -> Outcome {
        let call = self.placed(user, &format!("keys{variable}"), "manual")?;
        sleep(Duration::from_millis(500));
        self.verb(&call, "digits", &format!("{{\"digits\":\"4711\",\"info\":{info}}}"))?;
        let read = eventually(|| self.asterisk.global(&format!("K{variable}")));
        self.end(&call)?;
        match read.as_deref() {
            Some("4711") => Ok(String::new()),
            other => Err(format!("Asterisk has read {other:?} of 4711")),
        }
    }

    fn keys_in(&self, user: &str) -> Outcome {
        self.asterisk.originate(user, "press");
        let call = self.live(user, "ringing")?;
        self.verb(&call, "answer", "{}")?;
        // Asterisk hangs up when it has pressed all.
        self.becomes(&call, "ended")?;
        let events = self.events(&call);
        let pressed: Vec<&str> = events.split("\"digit\":\"").skip(1).map(|rest| &rest[..1]).collect();
        if pressed == ["4", "7", "1", "1", "#"] { Ok(String::new()) } else { Err(format!("{pressed:?}")) }
    }

    fn early_media(&self) -> Outcome {
        let call = self.place("200", "early", "echo")?;
        self.becomes(&call, "ringing")?;
        self.becomes(&call, "answered")?;
        let ladder = self.ladder(&call);
        self.end(&call)?;
        if ladder.contains("183 Session Progress") { Ok(String::new()) } else { Err("no 183 came".to_owned()) }
    }

    fn refused(&self, number: &str, code: &str) -> Outcome {
        let call = self.place("200", number, "echo")?;
        self.becomes(&call, "ended")?;
        let record = self.record(&call);
        match number_field(&record, "sip_code") {
            Some(found) if found == code => Ok(format!("{:?}", field(&record, "reason").unwrap_or_default())),
            other => Err(format!("{other:?} instead of {code}: {record}")),
        }
    }

    fn given_up(&self) -> Outcome {
        let call = self.place("200", "ring", "echo")?;
        self.becomes(&call, "ringing")?;
        self.verb(&call, "hangup", "{}")?;
        self.becomes(&call, "ended")?;
        let ladder = self.ladder(&call);
        let all =
            ladder.contains("CANCEL ") && eventually(|| self.ladder(&call).contains(" 487 ").then_some(())).is_some();
        if all { Ok(String::new()) } else { Err(ladder) }
    }

    fn caller_gives_up(&self) -> Outcome {
        self.asterisk.originate("207", "press");
        let call = self.live("207", "ringing")?;
        let channels = self.asterisk.cli("core show channels concise");
        let channel = channels.lines().find(|line| line.starts_with("PJSIP/207-")).ok_or_else(|| channels.clone())?;
        self.asterisk.cli(&format!("channel request hangup {}", channel.split('!').next().unwrap_or_default()));
        self.becomes(&call, "ended")?;
        match field(&self.record(&call), "ended_by") {
            Some("cancelled") => Ok(String::new()),
            other => Err(format!("{other:?}")),
        }
    }

    /// A call of ours to another of our lines by way of the PBX: both ends.
    fn across(&self, from: &str, to: &str, app: &str) -> Result<(String, String), String> {
        let one = self.placed(from, to, app)?;
        let other = self.live(to, "answered")?;
        Ok((one, other))
    }

    fn hold(&self) -> Outcome {
        let (one, other) = self.across("200", "201", "manual")?;
        sleep(Duration::from_millis(500));
        self.verb(&one, "hold", "{}")?;
        let held = eventually(|| self.ladder(&other).contains("a=sendonly").then_some(()));
        self.verb(&one, "resume", "{}")?;
        let back = eventually(|| {
            let ladder = self.ladder(&other);
            ladder.rfind("a=sendrecv").zip(ladder.rfind("a=sendonly")).filter(|(back, held)| back > held).map(|_| ())
        });
        let states = (self.state_of(&one), self.state_of(&other));
        self.end(&one)?;
        self.becomes(&other, "ended")?;
        match (held, back) {
            (Some(()), Some(())) if states.0.as_deref() == Some("answered") => {
                Ok("the far end is held and taken back too".to_owned())
            }
            (held, back) => {
                Err(format!("held at the far end: {}, back: {}, {states:?}", held.is_some(), back.is_some()))
            }
        }
    }

    fn direct_media(&self) -> Outcome {
        let (one, other) = self.across("209", "210", "tone:450")?;
        let invites = |call: &str| requests(&self.ladder(call), "INVITE");
        // What came with the call itself is one, and another where a password was asked for.
        let told = eventually(|| (invites(&other) >= 2).then_some(()));
        sleep(TALK);
        let answered = (self.state_of(&one), self.state_of(&other));
        let records = (self.end(&one)?, self.end(&other)?);
        let heard = (packets(&records.0), packets(&records.1));
        match told {
            Some(()) if heard.0 > 60 && heard.1 > 60 => Ok(format!("{} and {} packets", heard.0, heard.1)),
            _ => Err(format!(
                "re-INVITE: {}, packets {heard:?}, {answered:?}: {} {}",
                told.is_some(),
                records.0,
                records.1
            )),
        }
    }

    fn blind_transfer(&self) -> Outcome {
        let (one, other) = self.across("200", "201", "manual")?;
        sleep(Duration::from_millis(500));
        let to = format!("sip:rec-blind@{}", self.asterisk.sip);
        self.verb(&one, "transfer", &format!("{{\"to\":\"{to}\",\"by\":\"refer\"}}"))?;
        self.becomes(&one, "ended")?;
        let reason = field(&self.record(&one), "reason").unwrap_or_default().to_owned();
        sleep(TALK);
        let still = self.state_of(&other);
        self.end(&other)?;
        if !reason.contains("handed over") || still.as_deref() != Some("answered") {
            return Err(format!("{reason:?}, the other one is {still:?}; {}", self.events(&one)));
        }
        self.heard_back("rec-blind")
    }

    /// Two calls of ours, to an echo and to a tone, become one between those two.
    fn attended_transfer(&self) -> Outcome {
        let (one, echo) = self.across("200", "201", "manual")?;
        let (consult, tone) = self.across("200", "212", "manual")?;
        sleep(Duration::from_millis(500));
        self.verb(&one, "transfer", &format!("{{\"with\":\"{consult}\"}}"))?;
        self.becomes(&one, "ended")?;
        self.becomes(&consult, "ended")?;
        sleep(TALK);
        let still = (self.state_of(&echo), self.state_of(&tone));
        let record = self.end(&echo)?;
        self.becomes(&tone, "ended")?;
        let heard = packets(&record);
        if still == (Some("answered".to_owned()), Some("answered".to_owned())) && heard > 60 {
            Ok(format!("the echo hears {heard} packets of the tone"))
        } else {
            Err(format!("they are {still:?}, {heard} packets; {}", self.events(&one)))
        }
    }

    fn hung_up(&self) -> Outcome {
        let call = self.placed("200", "short", "echo")?;
        self.becomes(&call, "ended")?;
        match field(&self.record(&call), "ended_by") {
            Some("callee_hung_up") => Ok(String::new()),
            other => Err(format!("{other:?}")),
        }
    }

    fn health(&self) -> Outcome {
        // Asterisk asks for the password at OPTIONS, too.
        let up = eventually(|| {
            let trunks = self.daemon.get("/v1/trunks");
            let all = |what: &str| trunks.matches(what).count() == LINES.len();
            (all("\"health\":\"up\"") && all("\"health_note\":null")).then_some(())
        });
        up.map(|()| "all lines, and nothing held against us".to_owned()).ok_or_else(|| self.daemon.get("/v1/trunks"))
    }

    fn begin_sessions(&self) -> Result<(String, String, Instant), String> {
        self.asterisk.originate("206", "rec-i206");
        let theirs = self.live("206", "answered")?;
        let ours = self.placed("206", "rec-o206", "echo")?;
        Ok((theirs, ours, Instant::now()))
    }

    /// Half of the session's time has passed: somebody has said that it is still there.
    fn refreshed(&self, session: Result<(&String, Instant), &String>) -> Outcome {
        let (call, began) = session.map_err(Clone::clone)?;
        sleep(REFRESHED_AFTER.saturating_sub(began.elapsed()));
        let refreshes = |ladder: &str| {
            let requests = requests(ladder, "UPDATE") + requests(ladder, "INVITE");
            // The call itself, and once more with a password where we placed it.
            let first =
                if ladder.contains("Proxy-Authenticate") || ladder.contains("WWW-Authenticate") { 2 } else { 1 };
            requests.saturating_sub(first)
        };
        let count = eventually(|| Some(refreshes(&self.ladder(call))).filter(|n| *n > 0));
        let state = self.state_of(call);
        let ladder = self.ladder(call);
        self.end(call)?;
        match (count, state.as_deref()) {
            (Some(count), Some("answered")) => Ok(format!("{count} of them")),
            (count, state) => Err(format!("{count:?}, the call is {state:?}\n{ladder}")),
        }
    }

    /// We ask for 1800 s and are to refresh it, and the call has not been lost meanwhile.
    fn agreed(&self, call: Result<&String, &String>) -> Outcome {
        let call = call.map_err(Clone::clone)?;
        let (state, ladder) = (self.state_of(call), self.ladder(call));
        self.end(call)?;
        let agreed = ladder.lines().rfind(|line| line.starts_with("Session-Expires: ") && line.contains("refresher="));
        match (agreed, state.as_deref()) {
            (Some(agreed), Some("answered")) => Ok(agreed.to_owned()),
            (agreed, state) => Err(format!("{agreed:?}, the call is {state:?}\n{ladder}")),
        }
    }

    fn nothing_left(&self) -> Outcome {
        let left = || {
            field(&self.daemon.get("/v1/calls"), "live").is_none()
                && self.daemon.get("/v1/calls").contains("\"live\":[]")
        };
        let ours = eventually(|| left().then_some(()));
        let theirs =
            eventually(|| self.asterisk.cli("core show channels count").contains("0 active calls").then_some(()));
        match (ours, theirs) {
            (Some(()), Some(())) => Ok(String::new()),
            (ours, theirs) => Err(format!("ours gone: {}, theirs: {}", ours.is_some(), theirs.is_some())),
        }
    }
}

/// How many packets of audio came.
fn packets(record: &str) -> u64 {
    number_field(record, "packets_received").and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// How many requests of this method there are.
fn requests(ladder: &str, method: &str) -> usize {
    ladder.lines().filter(|line| line.starts_with(&format!("{method} sip:"))).count()
}

/// The number after `"name":`.
fn number_field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let rest = json.split(&format!("\"{name}\":")).nth(1)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|digits| !digits.is_empty())
}

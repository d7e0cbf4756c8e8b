//! Both sets and the mutants at the daemon, over every way to it; a normal call succeeds after each, or each hundredth.

use std::time::{Duration, Instant};

use super::line::{Line, Victim, WAYS};
use super::mutant::{Fate, MUTANTS, mutant};
use super::text::{Outcome, samples};
use super::{code_of, field, tag};

/// How long a call may take to be answered; the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request within a call, written after a message of the other side that belongs to it.
fn in_dialog(line: &Line, answer: &[u8], method: &str, sequence: u64) -> Option<String> {
    let target = field(answer, "Contact")?;
    let target = target.split_once('<').map_or(target.as_str(), |(_, uri)| uri.split('>').next().unwrap_or_default());
    Some(format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{method}{sequence}{};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {sequence} {method}\r\nContent-Length: 0\r\n\r\n",
        line.at.transport,
        line.at.me,
        tag(&field(answer, "To")?)?,
        field(answer, "From")?,
        field(answer, "To")?,
        field(answer, "Call-ID")?,
    ))
}

/// Ends a call that a message of ours has begun, as this 2xx says.
fn end(line: &mut Line, answer: &[u8]) {
    let sequence = field(answer, "CSeq").and_then(|c| c.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(1);
    for (method, sequence) in [("ACK", sequence), ("BYE", sequence + 1)] {
        if let Some(request) = in_dialog(line, answer, method, sequence) {
            line.send(request.as_bytes());
        }
    }
}

fn is_answer_to_an_invite(message: &[u8]) -> bool {
    field(message, "CSeq").is_some_and(|c| c.ends_with("INVITE"))
}

/// A call as any phone makes one: INVITE, 200, ACK, BYE, 200. What else comes meanwhile belongs to what was sent before.
fn call(line: &mut Line, n: u64, after: &str) {
    let at = line.at.clone();
    let (id, sdp) = (format!("good-{n}-{}", at.me), at.sdp());
    let invite = format!(
        "INVITE sip:echo@callwright.test SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKg{n};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:good@callwright.test>;tag=g{n}\r\nTo: <sip:echo@callwright.test>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:good@{};transport={}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        at.transport,
        at.me,
        at.me,
        at.transport.to_lowercase(),
        sdp.len()
    );
    line.send(invite.as_bytes());
    let (deadline, mut answered) = (Instant::now() + PATIENCE, false);
    while Instant::now() < deadline {
        let Some(message) = line.receive(Duration::from_millis(500)) else { continue };
        let (code, ours) = (code_of(&message).unwrap_or(0), field(&message, "Call-ID").as_deref() == Some(&id));
        match (ours, is_answer_to_an_invite(&message), code) {
            (true, true, 200) => {
                answered = true;
                end(line, &message);
            }
            (true, true, 300..) => panic!("a normal call gets {code} after {after}"),
            (true, false, 200) if answered => return,
            (false, true, 200..300) => end(line, &message),
            _ => {}
        }
    }
    panic!("a normal call is {} after {after}", if answered { "not ended" } else { "not answered" });
}

/// What comes of one message: its last answer that counts, before the daemon has answered what was asked after it. Silence of
/// `quiet` is one too.
fn outcome(line: &mut Line, octets: &[u8], n: u64, quiet: Duration) -> Outcome {
    line.send(octets);
    let mine = field(octets, "Call-ID").or_else(|| field(octets, "i"));
    let probe = format!("probe-{n}-{}", line.at.me);
    let ask = format!(
        "OPTIONS sip:echo@callwright.test SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bKp{n};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@callwright.test>;tag=p\r\nTo: <sip:echo@callwright.test>\r\nCall-ID: {probe}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n",
        line.at.transport, line.at.me
    );
    line.send(ask.as_bytes());
    let (deadline, mut trying) = (Instant::now() + PATIENCE, false);
    while Instant::now() < deadline {
        let wait = if trying { Duration::from_millis(500) } else { quiet };
        let Some(message) = line.receive(wait) else {
            if trying {
                continue;
            }
            return Outcome::Drop; // closed, or waiting for the rest of the message
        };
        let id = field(&message, "Call-ID");
        match code_of(&message) {
            Some(_) if id.as_deref() == Some(&probe) && !trying => return Outcome::Drop,
            Some(_) if id != mine => {}
            Some(100..200) => trying = true,
            Some(200..300) if is_answer_to_an_invite(&message) => {
                end(line, &message);
                return Outcome::Accept;
            }
            Some(code) => return Outcome::Code(code),
            None => {}
        }
    }
    Outcome::Drop
}

#[test]
fn both_sets_are_answered_as_they_say() {
    let mut victim = Victim::start();
    let (mut wrong, mut n) = (Vec::new(), 0);
    for &way in WAYS {
        for sample in samples() {
            n += 1;
            let mut line = Line::open(&victim, way);
            let octets = sample.octets(&line.at, n);
            let right = if way.is_stream() { &sample.on_stream } else { &sample.outcomes };
            // Where silence is wrong, the daemon has all the time that it needs.
            let quiet = if right.contains(&Outcome::Drop) { Duration::from_millis(1500) } else { PATIENCE };
            let came = outcome(&mut line, &octets, n, quiet);
            if !right.contains(&came) {
                wrong.push(format!("{way:?} {}: {came:?}, not {right:?}", sample.name));
            }
            if way.is_stream() {
                line = Line::open(&victim, way);
            }
            call(&mut line, n, &sample.name);
        }
    }
    assert!(victim.daemon.alive());
    assert!(
        !victim.daemon.log().contains("panicked") && !victim.daemon.log().contains("made us fail"),
        "{}",
        victim.daemon.log()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// After how many mutants a normal call is placed.
fn every() -> u64 {
    std::env::var("CALLWRIGHT_TORTURE_EVERY").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(100)
}

#[test]
fn a_call_succeeds_among_mutants() {
    let mut victim = Victim::start();
    let mut wrong = Vec::new();
    for &way in WAYS {
        // A connection for each, or a segment for each octet, is slow; a tenth of them says as much.
        let step = if way.is_stream() { 10 } else { 1 };
        let mut line = Line::open(&victim, way);
        for n in (0..MUTANTS).step_by(step) {
            if way.is_stream() {
                line = Line::open(&victim, way);
            }
            line.send(&mutant(n, &line.at).octets);
            // Reading means waiting; the answers of some come together, and all before the next normal call, so that what
            // they have begun is over by then.
            let is_calls_turn = (n / step as u64 + 1).is_multiple_of(every());
            if !way.is_stream() && n % 8 != 7 && !is_calls_turn {
                continue;
            }
            let quiet = Duration::from_millis(if is_calls_turn { 50 } else { 2 });
            while let Some(message) = line.receive(quiet) {
                if is_answer_to_an_invite(&message) && matches!(code_of(&message), Some(200..300)) {
                    end(&mut line, &message);
                    let of = field(&message, "Call-ID")
                        .and_then(|id| id.strip_prefix("mutant-")?.split('@').next()?.parse().ok());
                    if let Some(mutant) = of.map(|n| mutant(n, &line.at)).filter(|mutant| mutant.fate != Fate::Open) {
                        wrong.push(format!("{way:?} {n}: {} begins a call", mutant.kind));
                    }
                }
            }
            if is_calls_turn {
                if way.is_stream() {
                    line = Line::open(&victim, way);
                }
                let kind = mutant(n, &line.at).kind;
                call(&mut line, n, kind);
            }
        }
    }
    assert!(victim.daemon.alive());
    assert!(
        !victim.daemon.log().contains("panicked") && !victim.daemon.log().contains("made us fail"),
        "{}",
        victim.daemon.log()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! Reads a scenario, plays it, compares, and tells what went otherwise. The format is told at the head of `scenarios.rs`.

use super::call::{Builder, Call, Event, Recogniser, Setting, Voice, persona_with};
use super::mouth::{self, WORD_MS};
use callwright::call::machine::{CallInput, Patience};
use callwright::conversation::{AppFacts, BuildStage, BuildUpdate, Failure, Outcome};
use std::fmt::Write as _;
use std::time::Duration;

/// The caller waits so long after the agent has finished.
const AFTER_AGENT_MS: u64 = 400;
const KEY_APART_MS: u64 = 200;
/// Nothing that is expected takes longer.
const PATIENCE_MS: u64 = 120_000;
/// A scenario ends this long after its last line.
const TAIL_MS: u64 = 1_000;
/// "after 15 s" is met within this.
const SLACK_MS: u64 = 150;

/// The points that a scenario names.
pub(crate) fn points(text: &str) -> Vec<u32> {
    let head = text.lines().find_map(|line| line.strip_prefix("point ")).unwrap_or_default();
    let numbers = head.split(':').next().unwrap_or_default();
    numbers.split([',', ' ']).filter_map(|number| number.trim().parse().ok()).collect()
}

/// Plays a scenario. Error: the story, as far as it went, with what went otherwise.
pub(crate) fn run(text: &str) -> Result<String, String> {
    let (mut play, story) = played(text)?;
    play.pass(TAIL_MS);
    match play.next_told() {
        Some(more) => Err(format!(
            "{story}✗ (the end)\n    but then: {}\n  all that happened:\n{}",
            more.told.in_words(),
            play.trace()
        )),
        None => Ok(format!("{story}{}", play.trace())),
    }
}

/// All that happens in a scenario, with its times. Error: as of [`run`].
pub(crate) fn trace(text: &str) -> Result<String, String> {
    let (mut play, _) = played(text)?;
    play.pass(TAIL_MS);
    Ok(play.trace())
}

/// What happens in the `ms` after a scenario's last line, whatever it is; `None`: the call is over by then, or the scenario goes
/// otherwise.
pub(crate) fn then(text: &str, line: &str, ms: u64) -> Option<Vec<String>> {
    let (mut play, _) = played(text).ok()?;
    if play.call.ended {
        return None;
    }
    let before = play.call.events.len();
    play.act(line).ok()?;
    play.pass(ms);
    Some(play.call.events[before..].iter().map(|event| event.told.in_words()).collect())
}

/// The scenario after its last line, and its story.
fn played(text: &str) -> Result<(Play, String), String> {
    let mut setting = Setting::default();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    for line in &lines {
        if let Some(with) = line.strip_prefix("with ") {
            set(&mut setting, with).map_err(|why| format!("✗ {line}\n    {why}"))?;
        }
    }
    let mut play = Play { call: Call::answered(setting), told: 0 };
    let mut story = String::new();
    for line in &lines {
        if line.is_empty() || line.starts_with('#') || line.starts_with("point ") || line.starts_with("with ") {
            continue;
        }
        let outcome = match line.strip_prefix("> ") {
            Some(expected) => play.expect(expected),
            None => play.act(line),
        };
        if let Err(why) = outcome {
            let _ = writeln!(story, "✗ {line}\n    {why}\n  all that happened:\n{}", play.trace());
            return Err(story);
        }
        let _ = writeln!(story, "✓ {line}");
    }
    Ok((play, story))
}

/// `1.2 s`, `300 ms`, `5 min`.
fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time; write it as 300 ms, 1.5 s or 2 min");
    let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let ms = match unit {
        "ms" => number,
        "s" => number * 1e3,
        "min" => number * 6e4,
        _ => return Err(wrong()),
    };
    Ok(ms as u64)
}

fn set(setting: &mut Setting, with: &str) -> Result<(), String> {
    let (key, value) = with.split_once(' ').ok_or("write it as: with KEY VALUE")?;
    match key {
        "recogniser" => setting.recogniser = duration(value)?,
        "partials" => setting.partials = duration(value)?,
        "voice" => setting.voice = duration(value)?,
        "lookup" => setting.lookup = duration(value)?,
        "build" => setting.build = duration(value)?,
        "idle" => setting.turn.idle_after = Duration::from_millis(duration(value)?),
        "longest" => setting.patience.longest = Duration::from_millis(duration(value)?),
        "filler" => {
            let longest = setting.patience.longest;
            setting.patience = Patience::with_filler_after(Duration::from_millis(duration(value)?));
            setting.patience.longest = longest;
        }
        _ => persona_with(&mut setting.persona, key, value)?,
    }
    Ok(())
}

struct Play {
    call: Call,
    /// Events that have been compared.
    told: usize,
}

impl Play {
    fn trace(&self) -> String {
        let mut text = String::new();
        for event in &self.call.events {
            let _ = writeln!(text, "    {:>8.3} s  {}", event.at as f64 / 1e3, event.told.in_words());
        }
        text
    }

    fn pass(&mut self, ms: u64) {
        let until = self.call.now + ms;
        self.pass_until(until);
    }

    fn pass_until(&mut self, until: u64) {
        while self.call.now < until {
            self.call.step(until);
        }
    }

    /// The next thing that a script has to tell.
    fn next_told(&self) -> Option<Event> {
        self.call.events[self.told..].iter().find(|event| !event.told.is_implied()).cloned()
    }

    fn expect(&mut self, expected: &str) -> Result<(), String> {
        let (expected, bound) = match expected.split_once(" [") {
            Some((expected, bound)) => (expected, Some(bound.trim_end_matches(']'))),
            None => (expected, None),
        };
        if let Some(time) = expected.strip_prefix("nothing for ") {
            self.pass(duration(time)?);
            return match self.next_told() {
                Some(event) => Err(format!("instead: {}", event.told.in_words())),
                None => Ok(()),
            };
        }
        let limit = self.call.now + PATIENCE_MS;
        loop {
            let fresh = &self.call.events[self.told..];
            let found = fresh.iter().position(|event| matches(expected, &event.told.in_words()));
            let other = fresh.iter().position(|event| !event.told.is_implied());
            match (found, other) {
                (Some(found), other) if other.is_none_or(|other| found <= other) => {
                    let event = fresh[found].clone();
                    self.told += found + 1;
                    return check_time(&event, bound);
                }
                (_, Some(other)) => return Err(format!("instead: {}", fresh[other].told.in_words())),
                _ if self.call.now >= limit || self.call.ended => return Err("instead: nothing".to_owned()),
                _ => self.call.step(limit),
            }
        }
    }

    fn act(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("caller") {
            let (when, what) = rest.split_once(": ").ok_or("write it as caller: TEXT")?;
            self.wait_for_turn(when.trim())?;
            return self.caller_says(what);
        }
        if let Some(rest) = line.strip_prefix("keys") {
            let (when, keys) = rest.split_once(": ").unwrap_or(("", rest));
            self.wait_for_turn(when.trim())?;
            for (n, key) in (0..).zip(keys.trim().chars()) {
                self.call.key_at(self.call.now + n * KEY_APART_MS, key);
            }
            let last = keys.trim().chars().count().saturating_sub(1) as u64;
            self.pass(last * KEY_APART_MS + 1);
            return Ok(());
        }
        let words: Vec<&str> = line.split(' ').collect();
        let rest = |n: usize| words[n.min(words.len())..].join(" ");
        match words.as_slice() {
            ["wait", ..] => self.pass(duration(&rest(1))?),
            ["hold"] => self.hold(true),
            ["unhold"] => self.hold(false),
            ["line", "cut"] => {
                self.call.tell(CallInput::Over);
                self.call.ended = true;
            }
            ["no", "audio", "for", "a", "minute"] => self.call.tell(CallInput::MediaTimeout),
            ["calls", "back", "after", ..] => self.call.call_again(duration(&rest(3))?),
            ["recogniser", "works"] => self.call.recogniser = Recogniser::Works,
            ["recogniser", "fails"] => self.call.recogniser = Recogniser::Fails,
            ["recogniser", "is", "silent"] => self.call.recogniser = Recogniser::Silent,
            ["recogniser", "stalls", ..] => self.call.stall_recogniser(duration(&rest(2))?),
            ["recogniser", "takes", ..] => self.call.setting.recogniser = duration(&rest(2))?,
            ["voice", "works"] => self.call.mouth.voice = mouth::Voice::Works,
            ["voice", "is", "gone"] => self.call.mouth.voice = mouth::Voice::Gone,
            ["voice", "stalls", ..] => self.call.mouth.stalled_until = self.call.now + duration(&rest(2))?,
            ["voice", "takes", ..] => self.call.mouth.delay = duration(&rest(2))?,
            ["voice", "breaks", "after", words, "words"] => {
                self.call.mouth.voice = mouth::Voice::Breaks(words.parse().map_err(|_| "after so many words")?);
            }
            ["lookup", "takes", ..] => self.call.setting.lookup = duration(&rest(2))?,
            ["lookup", "fails"] => self.call.facts = None,
            ["lookup", "works"] => self.call.facts = Some(facts("crm 5 apis 10 records")),
            ["lookup", "finds", ..] => self.call.facts = Some(facts(&rest(2))),
            ["build", "is", "taken"] => self.call.builder = Builder::Takes,
            ["build", "is", "ignored"] => self.call.builder = Builder::Ignores,
            ["build", "is", "refused", ..] => self.call.builder = Builder::Refuses(rest(3)),
            ["build", how, ..] => self.build(how, &rest(2))?,
            ["nobody", "takes", "the", "call"] => {
                self.call.cause();
                self.call.tell(CallInput::Away(false));
                self.call.tell(CallInput::NotPutThrough);
            }
            ["brain", "stalls", ..] => self.call.thinks = Some(duration(&rest(2))?),
            ["brain", "slow"] => self.fail(Failure::BrainSlow),
            ["brain", "fails"] => self.fail(Failure::Brain),
            ["brain", "refuses"] => self.fail(Failure::BrainRefused),
            ["overload"] => self.fail(Failure::Overload),
            ["disk", "fails"] => self.fail(Failure::Disk),
            ["actor", "stalls", ..] => self.call.stall(duration(&rest(2))?),
            ["daemon", "stops"] => {
                self.call.cause();
                self.call.tell(CallInput::Drain);
            }
            _ => return Err(format!("there is no step {line:?}")),
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        self.call.cause();
        self.call.tell(CallInput::Failed(failure));
    }

    fn hold(&mut self, held: bool) {
        self.call.mouth.held = held;
        self.call.cause();
        self.call.tell(CallInput::Held(held));
    }

    fn build(&mut self, how: &str, rest: &str) -> Result<(), String> {
        let (stage, outcome) = match how {
            "live" => (BuildStage::Live, Some(Outcome::Live { url: rest.to_owned(), app: "crm".into() })),
            "parked" => (BuildStage::Parked, Some(Outcome::Parked { say: rest.to_owned() })),
            "reaches" => {
                let stage = serde_json::from_value(rest.into()).map_err(|_| format!("{rest:?} is no stage"))?;
                (stage, None)
            }
            _ => return Err("write build reaches STAGE, build live URL or build parked TEXT".into()),
        };
        self.call.cause();
        self.call.tell(CallInput::Build(BuildUpdate {
            build_id: "build_1".into(),
            stage,
            say: None,
            outcome,
            ask: None,
        }));
        Ok(())
    }

    /// When the caller acts: after the agent, over it, or now.
    fn wait_for_turn(&mut self, when: &str) -> Result<(), String> {
        let limit = self.call.now + PATIENCE_MS;
        if when == "at once" {
            return Ok(());
        }
        if let Some(into) = when.strip_prefix("over ") {
            let into = duration(into)?;
            while self.call.mouth.audible_since.is_none() {
                if self.call.now >= limit {
                    return Err("the agent says nothing".into());
                }
                self.call.step(limit);
            }
            let until = self.call.mouth.audible_since.unwrap_or(self.call.now) + into;
            self.pass_until(until);
            return Ok(());
        }
        let after =
            if when.is_empty() { AFTER_AGENT_MS } else { duration(when.strip_prefix("after ").ok_or("when?")?)? };
        let mut quiet_since = None;
        loop {
            quiet_since = if self.call.is_quiet() { quiet_since.or(Some(self.call.now)) } else { None };
            match quiet_since {
                Some(since) if self.call.now >= since + after => return Ok(()),
                _ if self.call.now >= limit => return Err("the agent does not stop speaking".into()),
                Some(since) => self.call.step(since + after),
                None => self.call.step(limit),
            }
        }
    }

    /// Words, pauses and sounds from now on.
    fn caller_says(&mut self, what: &str) -> Result<(), String> {
        let (what, sure) = match what.split_once(" (sure ") {
            Some((what, sure)) => (what, sure.trim_end_matches(')').parse().map_err(|_| "how sure?")?),
            None => (what, 0.95),
        };
        self.call.confidence = sure;
        let (spoken, recognised) =
            what.split_once(" => ").map_or((what, None), |(spoken, words)| (spoken, Some(words)));
        let (mut at, mut voices, mut words): (u64, Vec<Voice>, Vec<(u64, String)>) = (self.call.now, vec![], vec![]);
        let mut rest = spoken.trim();
        while !rest.is_empty() {
            let closing = rest.find([')', ']']).filter(|_| rest.starts_with(['(', '[']));
            let mut take = |length: u64, far: bool| {
                match voices.last_mut().filter(|last| last.to == at && last.far == far) {
                    Some(last) => last.to += length,
                    None => voices.push(Voice { from: at, to: at + length, far }),
                }
                at += length;
                at
            };
            if let Some(end) = closing {
                let inner = &rest[1..end];
                match (rest.as_bytes()[0], inner.strip_prefix("far ")) {
                    (b'(', _) => at += duration(inner)?,
                    (_, Some(length)) => drop(take(duration(length)?, true)),
                    (_, None) => drop(take(duration(inner)?, false)),
                }
                rest = rest[end + 1..].trim_start();
            } else {
                let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
                let end = take(WORD_MS, false);
                words.push((end, word.to_owned()));
                rest = after.trim_start();
            }
        }
        if let Some(recognised) = recognised {
            // Other words in the same time.
            let ends: Vec<u64> = words.iter().map(|(end, _)| *end).collect();
            let heard: Vec<&str> = recognised.split_whitespace().collect();
            let last = ends.last().copied().unwrap_or(at);
            let end = |n: usize| ends.get(n).copied().filter(|_| n + 1 < heard.len()).unwrap_or(last);
            words = heard.iter().enumerate().map(|(n, word)| (end(n), (*word).to_owned())).collect();
        }
        let text: Vec<&str> = words.iter().map(|(_, word)| word.as_str()).collect();
        self.call.said_by_caller.insert(text.join(" "));
        self.call.said_by_caller.insert(String::new());
        self.call.speak(&voices, &words);
        Ok(())
    }
}

/// `crm 5 apis 10 records`, `crm not deployed`.
fn facts(text: &str) -> AppFacts {
    let words: Vec<&str> = text.split_whitespace().collect();
    let before = |unit: &str| {
        let at = words.iter().position(|word| *word == unit).unwrap_or(0);
        at.checked_sub(1).and_then(|n| words[n].parse::<u32>().ok()).unwrap_or(0)
    };
    AppFacts {
        name: words.first().copied().unwrap_or("CRM").to_uppercase(),
        deployed: !text.contains("not deployed"),
        slug: words.first().copied().unwrap_or("crm").to_lowercase(),
        apis_live: before("apis"),
        records: before("records").into(),
        ..AppFacts::default()
    }
}

/// Whether what happened is what was written; "…" stands for anything.
fn matches(written: &str, happened: &str) -> bool {
    let mut rest = happened;
    let mut parts = written.split('…');
    let first = parts.next().unwrap_or_default();
    // Nothing at all is something, too.
    let first = if written.ends_with(" …") { first.trim_end() } else { first };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        // The last part has to be the end.
        rest = if part.is_empty() { "" } else { &rest[at + part.len()..] };
    }
    rest.is_empty()
}

fn check_time(event: &Event, bound: Option<&str>) -> Result<(), String> {
    let Some(bound) = bound else { return Ok(()) };
    if let Some(within) = bound.strip_prefix("within ") {
        return match event.since_cause <= duration(within)? {
            true => Ok(()),
            false => Err(format!("not within {within}: it took {} ms", event.since_cause)),
        };
    }
    let after = bound.strip_prefix("after ").ok_or("write [within 900 ms] or [after 15 s]")?;
    match event.since_sound.abs_diff(duration(after)?) <= SLACK_MS {
        true => Ok(()),
        false => Err(format!("not after {after}: after {} ms", event.since_sound)),
    }
}

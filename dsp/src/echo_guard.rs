//! Whether what is heard is what was said, back out of a loudspeaker. Purpose: a speakerphone returns the agent's own voice
//! 50 to 300 ms later and 10 to 30 dB quieter; that is nobody who speaks. Works on levels of 10 ms, so that it costs next to
//! nothing and needs no samples of what was said. Any thread; 6 KB, no heap. Invariants: while nothing was said for half a
//! second nothing is an echo; a line that stayed quiet while something loud was said returns nothing. Deliberately absent:
//! taking the echo out (`aec`, where samples are at hand), decisions about turns.
//!
//! Of each delay it keeps how the level heard differs from the level said that long before: an echo differs by nearly the
//! same every time, whoever speaks for himself does not. When what is said stops, an echo stops that much later; a person
//! goes on. A path that was found is kept, and only what is louder than it explains is somebody's own (as in Duttweiler,
//! "A twelve-channel digital echo canceler", 1978, where the far end's loudest recent level bounds the echo).

use crate::level;

/// Samples of one level: 10 ms at 8 kHz.
const STEP: usize = 80;
/// Delays that are looked at: to 450 ms.
const LAGS: usize = 46;
/// Levels kept of what was said.
const KEPT: usize = 128;
/// Said this loud it would be heard again, dBFS.
const LOUD_DBFS: f32 = -32.0;
/// Said quieter than this there is nothing to come back.
const SILENT_DBFS: f32 = -58.0;
/// Quieter than this is the line's own noise.
const FLOOR_DBFS: f32 = -56.0;
/// Heard louder than this it is worth an explanation.
const AUDIBLE_DBFS: f32 = -50.0;
/// Memory: of so many steps.
const MEMORY: f32 = 150.0;
/// An echo comes back weaker than it went out, and not below the line's noise.
const COUPLING: core::ops::Range<f32> = -32.0..2.0;
/// Spread of the difference in level that an echo has at most, dB.
const SPREAD_DB: f32 = 4.8;
/// Loud steps before a delay is believed to be one, and before that is kept.
const LIKELY_STEPS: f32 = 8.0;
const CERTAIN_STEPS: f32 = 25.0;
/// The same where it was not seen to stop.
const UNTESTED_STEPS: f32 = 60.0;
/// Another path takes the place of the one that is known when it fits so well for so long.
const REPLACED_STEPS: f32 = 80.0;
const REPLACED_SPREAD_DB: f32 = 3.0;
/// A room goes on for so long after what was said in it, in steps.
const ROOM: i64 = 8;
/// After a silence so long something new is said, in steps; what the caller did before that is forgotten.
const REST: i64 = 60;
/// By this much a room's sound falls a step, dB.
const DECAY_DB: f32 = 2.0;
/// Louder than the echo by this much it is more than the echo, dB.
const MARGIN_DB: f32 = 7.0;
/// Steps in which a path that was kept returned nothing, after which it is forgotten.
const GONE_STEPS: u32 = 40;
/// Steps in which the line was quiet although something loud had been said in all that a room remembers, after which it
/// returns nothing.
const CLEAR_STEPS: u32 = 10;
const CLEAR_MOST: u32 = 100;
/// A line whose echo is looked for: what was said so long before has come back by now, in steps.
const BACK_BY_NOW: i64 = 31;
/// Both counts may drift this far apart before they are set together anew.
const DRIFT: i64 = 6;

/// What is known of one delay.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    /// Steps in which something loud was said.
    steps: f32,
    sum: f32,
    squares: f32,
    /// Levels heard in them.
    heard: f32,
    /// Steps in which nothing had been said, so that the line should be quiet, and those in which it was not.
    rests: f32,
    loud_rests: f32,
    /// When something loud was said last.
    last_loud: Option<i64>,
}

/// A way back that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// How long after it was said, ms.
    pub delay_ms: u32,
    /// How much quieter it comes back, dB; negative.
    pub coupling_db: f32,
}

/// One line's echo. See the module.
#[derive(Clone, Debug)]
pub struct EchoGuard {
    said: [f32; KEPT],
    said_steps: i64,
    heard_steps: i64,
    /// What was said together with the first step heard.
    base: Option<i64>,
    samples: [i16; STEP],
    filled: usize,
    lags: [Lag; LAGS],
    path: Option<Path>,
    missing: u32,
    /// Audible steps since they were asked for, and those that an echo explains.
    audible: u32,
    explained: u32,
    /// Steps that spoke for a line without an echo.
    clear: u32,
    /// The last step was louder than the path explains.
    more: bool,
}

impl Default for EchoGuard {
    fn default() -> Self {
        Self {
            said: [level::FLOOR_DBFS; KEPT],
            said_steps: 0,
            heard_steps: 0,
            base: None,
            samples: [0; STEP],
            filled: 0,
            lags: [Lag::default(); LAGS],
            path: None,
            missing: 0,
            audible: 0,
            explained: 0,
            clear: 0,
            more: false,
        }
    }
}

impl EchoGuard {
    /// 10 ms were said this loud, dBFS.
    pub fn handle_said(&mut self, dbfs: f32) {
        self.said[self.said_steps as usize % KEPT] = dbfs;
        self.said_steps += 1;
    }

    /// The next samples that were heard, in any portions.
    pub fn handle_heard(&mut self, mut pcm: &[i16]) {
        while !pcm.is_empty() {
            let take = pcm.len().min(STEP - self.filled);
            self.samples[self.filled..self.filled + take].copy_from_slice(&pcm[..take]);
            self.filled += take;
            pcm = &pcm[take..];
            if self.filled == STEP {
                self.filled = 0;
                let level = level::dbfs(&self.samples);
                self.step(level);
            }
        }
    }

    /// The way back, once there is one.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// What is heard may well be an echo whose path is not certain yet.
    #[must_use]
    pub fn is_likely(&self) -> bool {
        self.path.is_some() || self.best(LIKELY_STEPS).is_some()
    }

    /// The agent was loud for long enough without coming back: whatever is heard is somebody's.
    #[must_use]
    pub fn returns_nothing(&self) -> bool {
        self.clear >= CLEAR_STEPS && !self.is_likely()
    }

    /// The last 10 ms were louder than the path that is known explains.
    #[must_use]
    pub fn is_more(&self) -> bool {
        self.more
    }

    /// Share of what was audible since the last question that is an echo: 0 to 1, 0 when nothing was.
    pub fn take_share(&mut self) -> f32 {
        let share = if self.audible == 0 { 0.0 } else { self.explained as f32 / self.audible as f32 };
        (self.audible, self.explained) = (0, 0);
        share
    }

    fn step(&mut self, heard: f32) {
        let at = self.heard_steps;
        self.heard_steps += 1;
        let drift = |base: &i64| (self.said_steps - at - base).abs() <= DRIFT;
        let base = match self.base.filter(drift) {
            Some(base) => base,
            None => {
                // The first step, or audio was lost on the way.
                self.lags = [Lag::default(); LAGS];
                *self.base.insert(self.said_steps - at)
            }
        };
        let now = at + base - 1;
        if self.said_at(now).is_some_and(|said| said >= LOUD_DBFS)
            && self.lags[0].last_loud.is_none_or(|last| at - last >= REST)
        {
            for lag in &mut self.lags {
                (lag.rests, lag.loud_rests) = (0.0, 0.0);
            }
        }
        for lag in 0..LAGS {
            let Some(said) = self.said_at(now - lag as i64) else { continue };
            self.lags[lag].step(at, said, heard.max(FLOOR_DBFS));
        }
        self.learn(now, heard);
        let should_be_back = self.said_at(now - BACK_BY_NOW).is_some_and(|said| said >= LOUD_DBFS + 6.0);
        self.more = false;
        if heard > AUDIBLE_DBFS {
            self.audible += 1;
            let explained = self.explains(now, heard);
            self.explained += u32::from(explained);
            self.more = self.path.is_some() && !explained;
        } else if should_be_back && self.path.is_none() {
            self.clear = (self.clear + 1).min(CLEAR_MOST);
        }
        if self.path.is_some() {
            self.clear = 0;
        }
    }

    fn said_at(&self, step: i64) -> Option<f32> {
        let kept = step < self.said_steps && step >= 0 && step + (KEPT as i64) > self.said_steps;
        kept.then(|| self.said[step as usize % KEPT])
    }

    fn best(&self, steps: f32) -> Option<(usize, f32)> {
        let fits = self.lags.iter().enumerate().filter(|(_, lag)| lag.steps >= steps && lag.is_echo());
        let best = fits.min_by(|(_, a), (_, b)| a.spread().total_cmp(&b.spread()))?;
        Some((best.0, best.1.mean()))
    }

    fn learn(&mut self, now: i64, heard: f32) {
        let tested = self.best(CERTAIN_STEPS).filter(|(lag, _)| self.lags[*lag].rests >= 3.0);
        let found = tested.or_else(|| self.best(UNTESTED_STEPS));
        let Some(path) = &mut self.path else {
            self.path = found.map(|(lag, coupling_db)| Path { delay_ms: lag as u32 * 10, coupling_db });
            self.missing = 0;
            return;
        };
        if let Some((lag, coupling_db)) = found {
            let new = Path { delay_ms: lag as u32 * 10, coupling_db };
            if new.delay_ms.abs_diff(path.delay_ms) <= 20 && (new.coupling_db - path.coupling_db).abs() < 4.0 {
                path.delay_ms = new.delay_ms;
                path.coupling_db += 0.02 * (new.coupling_db - path.coupling_db);
            } else if self.lags[lag].steps >= REPLACED_STEPS && self.lags[lag].spread() <= REPLACED_SPREAD_DB {
                // The phone was moved or its volume changed; a person who speaks along does not fit so well.
                *path = new;
            }
        }
        if let Some(path) = self.path {
            let said = self.said_at(now - i64::from(path.delay_ms / 10)).unwrap_or(level::FLOOR_DBFS);
            let expected = said + path.coupling_db;
            if said > LOUD_DBFS && expected > FLOOR_DBFS + 8.0 {
                self.missing = if heard < expected - 12.0 { self.missing + 1 } else { 0 };
            }
            if self.missing > GONE_STEPS {
                self.path = None;
            }
        }
    }

    /// It is no louder than what comes back.
    fn explains(&self, now: i64, heard: f32) -> bool {
        let Some(path) = self.path else { return false };
        let centre = now - i64::from(path.delay_ms / 10);
        let early = (-2..=0).filter_map(|n| self.said_at(centre - n));
        let room = (0..=2 * ROOM).filter_map(|n| Some(self.said_at(centre - n)? - DECAY_DB * (n - 2).max(0) as f32));
        let loudest = early.chain(room).fold(level::FLOOR_DBFS, f32::max);
        loudest > SILENT_DBFS && heard <= loudest + path.coupling_db + MARGIN_DB
    }
}

impl Lag {
    fn step(&mut self, at: i64, said: f32, heard: f32) {
        const KEEP: f32 = 1.0 - 1.0 / MEMORY;
        const KEEP_RESTS: f32 = 1.0 - 1.0 / REST as f32;
        if said >= LOUD_DBFS {
            self.last_loud = Some(at);
            let apart = heard - said;
            self.steps = self.steps * KEEP + 1.0;
            self.sum = self.sum * KEEP + apart;
            self.squares = self.squares * KEEP + apart * apart;
            self.heard = self.heard * KEEP + heard;
        } else if said < SILENT_DBFS && self.last_loud.is_none_or(|last| at - last >= ROOM) {
            self.rests = self.rests * KEEP_RESTS + 1.0;
            self.loud_rests = self.loud_rests * KEEP_RESTS + f32::from(u8::from(heard > AUDIBLE_DBFS + 3.0));
        }
    }

    fn mean(&self) -> f32 {
        self.sum / self.steps
    }

    fn spread(&self) -> f32 {
        (self.squares / self.steps - self.mean() * self.mean()).max(0.0).sqrt()
    }

    fn is_echo(&self) -> bool {
        COUPLING.contains(&self.mean())
            && self.spread() <= SPREAD_DB
            && self.heard >= (FLOOR_DBFS + 4.0) * self.steps
            && (self.rests < 3.0 || self.loud_rests <= 0.2 * self.rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of somebody who speaks: syllables of 150 to 250 ms.
    struct Voice {
        seed: u32,
        left: u32,
        peak: f32,
        length: u32,
    }

    impl Voice {
        fn new(seed: u32) -> Self {
            Self { seed, left: 0, peak: -20.0, length: 1 }
        }

        fn number(&mut self, below: u32) -> u32 {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.seed >> 16) % below
        }

        fn next(&mut self) -> f32 {
            if self.left == 0 {
                self.length = 12 + self.number(12);
                self.left = self.length;
                self.peak = -14.0 - self.number(12) as f32;
            }
            self.left -= 1;
            let place = self.left as f32 / self.length as f32;
            self.peak - 26.0 * (2.0 * place - 1.0).abs().powi(3)
        }
    }

    /// 10 ms of noise of this level.
    fn sound(dbfs: f32, seed: &mut u32) -> Vec<i16> {
        let amplitude = 32_768.0 * 10_f32.powf(dbfs / 20.0) * 3_f32.sqrt();
        (0..STEP)
            .map(|_| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((*seed >> 16) as f32 / 32_768.0 - 1.0) * amplitude) as i16
            })
            .collect()
    }

    fn sum(levels: &[f32]) -> f32 {
        10.0 * levels.iter().map(|dbfs| 10_f32.powf(dbfs / 10.0)).sum::<f32>().log10()
    }

    /// Runs `steps`; `agent` and `caller` say what is spoken in each. Returns the share explained in each 100 ms.
    fn run(
        guard: &mut EchoGuard,
        steps: usize,
        back: Option<(usize, f32)>,
        mut agent: impl FnMut(usize) -> f32,
        mut caller: impl FnMut(usize) -> f32,
    ) -> Vec<f32> {
        let (mut said, mut shares, mut seed) = (Vec::new(), Vec::new(), 7);
        for n in 0..steps {
            said.push(agent(n));
            guard.handle_said(said[n]);
            let echo = back.and_then(|(lag, db)| Some(said.get(n.checked_sub(lag)?)? + db)).unwrap_or(-100.0);
            guard.handle_heard(&sound(sum(&[echo, caller(n), -60.0]), &mut seed));
            if n % 10 == 9 {
                shares.push(guard.take_share());
            }
        }
        shares
    }

    #[test]
    fn the_own_voice_is_known_by_its_delay_and_a_person_over_it_is_not_taken_for_it() {
        for (lag, db) in [(5, -10.0), (12, -18.0), (30, -12.0), (24, -25.0)] {
            let (mut guard, mut voice, mut person) = (EchoGuard::default(), Voice::new(3), Voice::new(99));
            let shares = run(&mut guard, 300, Some((lag, db)), |_| voice.next(), |_| -100.0);
            let path = guard.path().unwrap_or_else(|| panic!("{lag} {db}: {:?}", guard.best(1.0)));
            assert!(path.delay_ms.abs_diff(lag as u32 * 10) <= 10, "{path:?} for {lag}");
            assert!((path.coupling_db - db).abs() < 3.0, "{path:?} for {db}");
            assert!(shares[12..].iter().sum::<f32>() / shares[12..].len() as f32 > 0.85, "{lag} {db}: {shares:?}");
            let over = run(&mut guard, 60, Some((lag, db)), |_| voice.next(), |_| person.next() + 2.0);
            // 10 dB below is as loud as a person's quieter syllables.
            let own = over.iter().filter(|share| **share <= 0.6).count();
            assert!(own * 3 >= over.len(), "{lag} {db}: {over:?}");
        }
    }

    #[test]
    fn at_every_delay_and_level_of_a_speakerphone_the_own_voice_is_no_caller() {
        // 30 dB down it is next to the line's own noise here, and known by that it is faint (`turn`).
        let db_of = [-10.0, -15.0, -20.0, -25.0];
        for (lag, db) in (5..=30).step_by(5).flat_map(|lag| db_of.map(|db| (lag, db))) {
            let (mut guard, mut voice) = (EchoGuard::default(), Voice::new(3 + lag as u32));
            let shares = run(&mut guard, 600, Some((lag, db)), |_| voice.next(), |_| -100.0);
            let known = &shares[12..];
            let mean = known.iter().sum::<f32>() / known.len() as f32;
            assert!(mean > 0.9, "{} ms, {db} dB: {mean}", lag * 10);
        }
    }

    #[test]
    fn whoever_speaks_on_a_line_without_echo_is_a_person() {
        for seed in 0..40 {
            let (mut guard, mut voice, mut person) = (EchoGuard::default(), Voice::new(seed), Voice::new(1000 + seed));
            let late = 40 + seed as usize * 5;
            let caller = |n: usize| if n < late { -100.0 } else { person.next() };
            let shares = run(&mut guard, late + 100, None, |_| voice.next(), caller);
            assert_eq!(guard.path(), None, "{seed}");
            assert!(shares.iter().all(|share| *share == 0.0), "{seed}: {shares:?}");
        }
    }

    #[test]
    fn the_agent_falls_silent_and_its_echo_with_it_but_a_person_goes_on() {
        for lag in [5, 15, 30] {
            let (mut guard, mut voice) = (EchoGuard::default(), Voice::new(5));
            // It fell silent 100 ms after the echo began.
            run(&mut guard, 70, None, |_| -100.0, |_| -100.0);
            run(
                &mut guard,
                lag + 50,
                Some((lag, -12.0)),
                |n| if n < lag + 12 { voice.next() } else { -100.0 },
                |_| -100.0,
            );
            assert!(guard.is_likely(), "{lag}: {:?}", guard.best(1.0));
        }
        let mut taken = 0;
        for seed in 0..40 {
            let (mut guard, mut voice, mut person) = (EchoGuard::default(), Voice::new(seed), Voice::new(1000 + seed));
            run(&mut guard, 70, None, |_| -100.0, |_| -100.0);
            let caller = |n: usize| if n < 10 { -100.0 } else { person.next() };
            run(&mut guard, 60, None, |n| if n < 20 { voice.next() } else { -100.0 }, caller);
            taken += u32::from(guard.is_likely());
        }
        assert!(taken <= 2, "{taken} of 40 persons are taken for an echo");
    }

    #[test]
    fn lost_steps_are_noticed_and_nothing_is_an_echo_of_nothing() {
        let mut guard = EchoGuard::default();
        let mut person = Voice::new(2);
        let shares = run(&mut guard, 200, None, |_| -100.0, |_| person.next());
        assert!(shares.iter().all(|share| *share == 0.0) && !guard.is_likely());
        for _ in 0..50 {
            guard.handle_said(-20.0);
        }
        run(&mut guard, 10, None, |_| -20.0, |_| -100.0);
        assert!(!guard.is_likely());
    }
}

//! What the endpointing could know in each silence of the corpus, kept from run to run. Purpose: hearing the corpus takes
//! minutes, trying an endpointing on what was heard takes seconds. The file is bound to the corpus and its audio; with
//! `TURNS_FRESH=1` it is made anew.
//!
//! The embedded engines hear what the speech plane would give them, when it would: words so far from before the pause, the
//! end-of-turn model after 128 ms of quiet, the recogniser's result after 192 ms. Each answer comes later by the CPU time
//! that it took on this machine, so that what else runs here does not change what is known when. Deliberately absent:
//! judgement (`sweep`), the daemon's own delays (`response`).

use callwright::conversation::{Expectation, domain};
use callwright::speech::guide::DomainGuide;
use callwright::turn::{Evidence, Pauses};
use callwright_dsp::prosody::{Contour, Melody};
use callwright_dsp::resample::half_band::Upsampler2;
use callwright_models::asr::Moonshine;
use callwright_models::eot::EndOfTurn;
use callwright_models::{Assets, MoonshineSize};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use super::Corpus;
use super::audio::{PER_MS, Take};
use super::corpus::{Random, Turn};

/// One silence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) ask: Ask,
    /// The caller went on after so long, ms; none: the turn was over.
    pub(crate) resumes_ms: Option<f64>,
    /// Voice in the turn so far, ms.
    pub(crate) voiced_ms: f64,
    /// Earlier pauses of this turn, ms.
    pub(crate) before_ms: Vec<f64>,
    /// What was known when; rising in time.
    pub(crate) known: Vec<Known>,
}

/// What had been asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Open,
    YesNo,
    Name,
    Digits(u8),
}

/// One look at a silence, ms since the true end of the speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) at: f64,
    /// When the voice detector took the speech for ended.
    pub(crate) last_voiced: f64,
    pub(crate) text: String,
    pub(crate) sounded: Option<f32>,
    /// End, slope and level.
    pub(crate) melody: Option<(f32, f32, f32)>,
}

impl Silence {
    /// As the turn machine would put it.
    pub(crate) fn evidence<'a>(&self, known: &'a Known) -> Evidence<'a> {
        let mut pauses = Pauses::default();
        for pause in &self.before_ms {
            pauses.learn(Duration::from_secs_f64(pause / 1000.0));
        }
        let expect = match self.ask {
            Ask::Open => Expectation::Open,
            Ask::YesNo => Expectation::YesNo,
            Ask::Name => Expectation::Name,
            Ask::Digits(max) => Expectation::Digits { max },
        };
        let contour = known.melody.map(|(end, slope, end_level)| Contour { end, slope, end_level, last_voice_ms: 0 });
        let voiced = Some(Duration::from_secs_f64(self.voiced_ms / 1000.0));
        Evidence { sounded: known.sounded, contour, pauses, voiced, ..Evidence::words(expect, &known.text) }
    }
}

impl From<Expectation> for Ask {
    fn from(expect: Expectation) -> Self {
        match expect {
            Expectation::Open => Self::Open,
            Expectation::YesNo => Self::YesNo,
            Expectation::Name => Self::Name,
            Expectation::Digits { max } => Self::Digits(max),
        }
    }
}

/// Quiet after which the end-of-turn model is asked, in whole chunks of the voice detector and half a one.
const ASKED_MS: f64 = 136.0;
/// Quiet after which the recogniser decodes the turn with care.
const DECODED_MS: f64 = 192.0;
/// How many readings it pursues.
const WIDTH: usize = 4;
/// Quiet of a pause that the recogniser is given, at either side of it.
const PAUSE_KEPT: usize = 300 * PER_MS;

/// What hears.
pub(crate) struct Engines {
    /// For words so far.
    recogniser: Moonshine,
    /// For what a pause ends.
    careful: Moonshine,
    guide: DomainGuide,
    judge: EndOfTurn,
}

impl Engines {
    pub(crate) fn load() -> Self {
        let assets = Assets::locate();
        Self {
            guide: DomainGuide::new(&domain(), &[]),
            recogniser: Moonshine::load(&assets, MoonshineSize::Tiny).expect("the recogniser is installed: make setup"),
            careful: Moonshine::load(&assets, MoonshineSize::Base).expect("its larger model is installed: make setup"),
            judge: EndOfTurn::embedded(&assets).expect("the end-of-turn model is installed: make setup"),
        }
    }

    /// Every silence of a turn.
    pub(crate) fn hear(&mut self, turn: &Turn, take: &Take, random: &mut Random) -> Vec<Silence> {
        let begin = 500 * PER_MS - PAUSE_KEPT;
        let pause = |n: usize| take.resumes.get(n).map(|at| (at - take.ends[n]) as f64 / PER_MS as f64);
        let (mut silences, mut voiced) = (Vec::new(), 0.0);
        for (n, end) in take.ends.iter().copied().enumerate() {
            let resumes_ms = pause(n);
            let began = if n == 0 { 500 * PER_MS } else { take.resumes[n - 1] };
            voiced += end.saturating_sub(began) as f64 / PER_MS as f64;
            let lasts = |ms: f64| resumes_ms.is_none_or(|resumes| ms < resumes);
            // What the recogniser has of the turn up to a point: pauses without their middle.
            let turn_to = |to: usize| {
                let mut heard = Vec::new();
                let mut from = begin;
                for (end, resumes) in take.ends.iter().zip(&take.resumes).take(n) {
                    let kept = (end + PAUSE_KEPT).min(*resumes);
                    heard.extend_from_slice(&take.pcm[from..kept]);
                    from = kept.max(resumes - PAUSE_KEPT.min(*resumes));
                }
                heard.extend_from_slice(&take.pcm[from.min(to)..to]);
                heard
            };
            let melody = melody(&take.pcm[begin..end + 96 * PER_MS]);
            let known =
                |at: f64, text: &str, sounded| Known { at, last_voiced: 0.0, text: text.to_owned(), sounded, melody };
            // Words so far are from some hundred milliseconds before.
            let lag = (100 + random.next() % 300) as usize * PER_MS;
            let (words, _) = self.recognise(&turn_to(end.saturating_sub(lag).max(begin)), turn.expect, 1);
            let mut steps = vec![(32.0, Some(words), None)];
            let asked = end + (128 * PER_MS);
            let (probability, took) = self.judge(&take.pcm[begin..asked.min(take.pcm.len())]);
            steps.push((ASKED_MS + took, None, Some(probability)));
            let (text, took) = self.recognise(&turn_to(end + DECODED_MS as usize * PER_MS), turn.expect, WIDTH);
            steps.push((DECODED_MS + took, Some(text), None));
            steps.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut text, mut sounded) = (String::new(), None);
            let mut all = Vec::new();
            for (at, words, probability) in steps.into_iter().filter(|step| lasts(step.0)) {
                text = words.unwrap_or(text);
                sounded = probability.or(sounded);
                all.push(known(at, &text, sounded));
            }
            silences.push(Silence {
                ask: turn.expect.into(),
                resumes_ms,
                voiced_ms: voiced,
                before_ms: (0..n).filter_map(pause).collect(),
                known: all,
            });
        }
        silences
    }

    fn recognise(&mut self, samples: &[i16], expect: Expectation, width: usize) -> (String, f64) {
        let before = cpu_ms();
        let model = if width > 1 { &mut self.careful } else { &mut self.recogniser };
        let heard = model.recognise(samples, &self.guide.under(expect), width).expect("the recogniser recognises");
        (heard.text, cpu_ms() - before)
    }

    fn judge(&mut self, samples: &[i16]) -> (f32, f64) {
        let before = cpu_ms();
        let samples = &samples[samples.len().saturating_sub(64_000)..];
        let mut wide = vec![0; 2 * samples.len()];
        let made = Upsampler2::default().process(samples, &mut wide);
        let probability = self.judge.probability(&wide[..made]).expect("the end-of-turn model answers");
        (probability, cpu_ms() - before)
    }
}

fn melody(samples: &[i16]) -> Option<(f32, f32, f32)> {
    let mut melody = Melody::default();
    melody.handle_audio(samples);
    melody.contour().map(|contour| (contour.end, contour.slope, contour.end_level))
}

/// CPU time of this thread so far.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    nanoseconds / 1e6
}

/// Where a corpus is kept as it was heard: bound to its texts and its sound.
pub(crate) fn file(corpus: Corpus, seed: u64, hesitations: usize) -> PathBuf {
    let (name, text) = match corpus {
        Corpus::HeldOut => ("heard", include_str!("held_out.rs").to_owned()),
        Corpus::Former => ("former", include_str!("corpus.rs").to_owned()),
        Corpus::Rehearsal => {
            let sentences = include_str!("../../models/endpoint_sentences.txt");
            ("rehearsed", include_str!("rehearsal.rs").to_owned() + sentences)
        }
    };
    let mut key = DefaultHasher::new();
    (seed, hesitations, text, include_str!("audio.rs")).hash(&mut key);
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    directory.join(format!("turns-{name}-{:016x}.json", key.finish()))
}

/// What was heard before, if anything.
pub(crate) fn load(file: &PathBuf) -> Option<Vec<Silence>> {
    let fresh = std::env::var_os("TURNS_FRESH").is_some();
    let text = std::fs::read_to_string(file).ok().filter(|_| !fresh)?;
    serde_json::from_str(&text).ok()
}

/// Keeps what was heard.
pub(crate) fn keep(file: &PathBuf, silences: &[Silence]) {
    let text = serde_json::to_string(silences).expect("silences are JSON");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("target/bench");
    std::fs::write(file, text).expect("what was heard is written");
}

//! The caller's ear. Purpose: turn what the agent said into words, so that a script can expect them. Owner: the ear's own
//! thread ([`listen`]); [`Ear`] itself does what it is told, frame by frame.
//!
//! Two recognisers hear each piece, because each mishears what the other does not. Both are told of the script's
//! expectations, its `phrases` and a list of common sentences, with every number in them standing for any number from 0 to
//! 999: so neither has a reason to hear "seven records" where "seventeen records" was said. The one of whole turns (Moonshine)
//! hears other English as well; the other cannot hear words that nobody expects. Where one of them is not installed the other
//! serves alone, and [`Ear::note`] says so.
//! Deliberately absent: deciding whether an expectation is met (that is `act`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use callwright_dsp::widen::Widener;
use callwright_models::asr::{AsrError, Decoder, DecoderPlan, Moonshine, PocketSphinx, Search, Tuning};
use callwright_models::{Assets, MoonshineSize};
use crossbeam_channel::{Receiver, Sender};

use super::band;
use super::capture::sample_offset;
use super::level;
use super::words::{is_number_word, number_words, spoken};
use crate::conversation::{Class, DomainText, Expectation, Pattern};
use crate::limits::FRAME_SAMPLES;
use crate::speech::guide::DomainGuide;
use crate::speech::language_model::LanguageModel;
use crate::time::Tick;

/// Quiet for this long ends a piece of speech.
pub const PIECE_ENDS: Duration = Duration::from_millis(500);
/// A piece longer than this is cut: a tone or music would never end, and the recogniser of whole turns takes no more.
const PIECE_MAX: Duration = Duration::from_secs(28);
/// Audio before the first audible window that the recogniser gets as well.
const PRE_ROLL_FRAMES: usize = 12;
/// Texts that the recogniser of whole turns pursues at once.
const WIDTH: usize = 4;
/// Stands for any number in a sentence.
const NUMBER: &str = "#";
/// Stands for any of [`THINGS`] in the list of common sentences.
const THING: &str = "@";
/// What agents build and count.
const THINGS: [&str; 24] = [
    "contacts",
    "deals",
    "companies",
    "tasks",
    "notes",
    "search",
    "reminders",
    "a calendar",
    "invoices",
    "payments",
    "quotes",
    "email",
    "text messages",
    "reports",
    "documents",
    "import",
    "export",
    "logins",
    "products",
    "tickets",
    "a call log",
    "deal stages",
    "leads",
    "activities",
];
const BACKGROUND: &str = include_str!("phrases.txt");
/// Pronunciations that the CMU dictionary lacks or that synthetic voices say otherwise.
const EXTRA_WORDS: [(&str, &str); 10] = [
    ("crm", "S IY AA R EH M"),
    ("crms", "S IY AA R EH M Z"),
    ("apis", "EY P IY AY Z"),
    ("apis(2)", "AE P AH S"),
    ("apis(3)", "AE P IY Z"),
    ("api", "EY P IY AY"),
    ("sql", "EH S K Y UW EH L"),
    ("url", "Y UW AA R EH L"),
    ("login", "L AO G IH N"),
    ("logins", "L AO G IH N Z"),
];

/// Why the ear cannot be opened or has failed; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum EarError {
    /// The engine is not installed or refuses its plan.
    #[error(transparent)]
    Engine(#[from] AsrError),
    /// A word that is expected has no pronunciation.
    #[error("no pronunciation is known for {0}; add it to the script, e.g. [pronounce] {1} = \"K AO L R AY T\"")]
    Words(String, String),
}

/// What the ear should be ready to hear.
#[derive(Debug, Clone, Default)]
pub struct EarPlan {
    /// Phrases that a script expects, as written.
    pub expected: Vec<String>,
    /// Sentences that the agent may say.
    pub phrases: Vec<String>,
    /// Word → CMU phones.
    pub pronounce: BTreeMap<String, String>,
}

/// One frame from the line.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// When its packet arrived.
    pub at: Tick,
    /// Valid samples.
    pub len: usize,
    /// 8 kHz.
    pub pcm: [i16; FRAME_SAMPLES],
}

/// Speech of the agent between two pauses.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// First audible window.
    pub from: Tick,
    /// Last audible window.
    pub to: Tick,
    /// Words, lower case.
    pub text: String,
    /// The same as the other recogniser heard it; empty where there is one only.
    pub also: String,
    /// 0–1.
    pub confidence: f32,
}

/// What knows the script only.
#[derive(Debug)]
struct Narrow {
    decoder: Decoder,
    mean: Option<String>,
    widener: Widener,
}

/// What knows English, with the piece so far.
#[derive(Debug)]
struct Wide {
    model: Moonshine,
    guide: DomainGuide,
    piece: Vec<i16>,
}

/// The recognisers with their segmentation; at least one of them.
#[derive(Debug)]
pub struct Ear {
    narrow: Option<Narrow>,
    wide: Option<Wide>,
    note: Option<String>,
    pre_roll: Vec<Frame>,
    open: Option<(Tick, Tick)>,
}

impl Narrow {
    fn open(assets: &Assets, plan: &EarPlan) -> Result<Self, EarError> {
        let engine = PocketSphinx::load(assets).map_err(AsrError::from)?;
        let model = language_model(&sentences(plan));
        let pronunciations = pronunciations(&engine, &model, plan)?;
        // A lower weight of the model than usual: the sound decides, above all between numbers.
        let tuning = Tuning { second_pass: true, language_weight: 5.0, ..Tuning::default() };
        let searches = vec![("agent", Search::LanguageModel(model.to_arpa()))];
        let decoder = engine.decoder(&DecoderPlan { pronunciations, searches, tuning })?;
        Ok(Self { decoder, mean: None, widener: Widener::new(band::learn(assets)) })
    }

    fn end(&mut self) -> (String, f32) {
        let heard = self.decoder.finish();
        self.mean = self.decoder.cepstral_mean();
        (heard.text, heard.confidence)
    }
}

impl Wide {
    fn open(assets: &Assets, plan: &EarPlan) -> Result<Self, AsrError> {
        let guide = DomainGuide::new(&domain(plan), &[]);
        Ok(Self { model: Moonshine::load(assets, MoonshineSize::Tiny)?, guide, piece: Vec::new() })
    }

    fn end(&mut self) -> Result<(String, f32), EarError> {
        let guide = self.guide.under(Expectation::Open);
        let heard = self.model.recognise(&std::mem::take(&mut self.piece), &guide, WIDTH)?;
        Ok((heard.text, heard.confidence))
    }
}

impl Ear {
    /// Makes the language model and the decoder and listens to its teachers: 1–3 s, before the call.
    ///
    /// # Errors
    /// [`EarError`] names what to install or to add to the script.
    pub fn open(assets: &Assets, plan: &EarPlan) -> Result<Self, EarError> {
        let (narrow, wide) = (Narrow::open(assets, plan), Wide::open(assets, plan));
        let (narrow, wide, note) = match (narrow, wide) {
            (Ok(narrow), Ok(wide)) => (Some(narrow), Some(wide), None),
            // A script that lacks something is mended, not put up with.
            (Err(error @ EarError::Words(..)), _) | (Err(error), Err(_)) => return Err(error),
            (Ok(narrow), Err(error)) => (Some(narrow), None, Some(error.to_string())),
            (Err(error), Ok(wide)) => (None, Some(wide), Some(error.to_string())),
        };
        Ok(Self { narrow, wide, note, pre_roll: Vec::new(), open: None })
    }

    /// Why one of the recognisers is not there, with what mends it.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Takes the next frame; returns a piece when one has just ended.
    ///
    /// # Errors
    /// [`EarError::Engine`] when the engine fails within a piece.
    pub fn hear(&mut self, frame: &Frame) -> Result<Option<Piece>, EarError> {
        let pcm = &frame.pcm[..frame.len.min(FRAME_SAMPLES)];
        let audible = level::first_audible(pcm).map(|first| {
            let last = level::last_audible(pcm).unwrap_or(first);
            (frame.at + sample_offset(first), frame.at + sample_offset(last))
        });
        match (self.open, audible) {
            (None, None) => {
                if self.pre_roll.len() == PRE_ROLL_FRAMES {
                    self.pre_roll.remove(0);
                }
                self.pre_roll.push(*frame);
                Ok(None)
            }
            (None, Some(span)) => {
                if let Some(narrow) = &mut self.narrow {
                    narrow.decoder.start(narrow.mean.as_deref())?;
                }
                for frame in std::mem::take(&mut self.pre_roll) {
                    self.decode(&frame.pcm[..frame.len])?;
                }
                self.decode(pcm)?;
                self.open = Some(span);
                Ok(None)
            }
            (Some((from, last)), audible) => {
                self.decode(pcm)?;
                let to = audible.map_or(last, |(_, to)| to);
                self.open = Some((from, to));
                if frame.at.since(to) >= PIECE_ENDS || frame.at.since(from) >= PIECE_MAX {
                    return self.end();
                }
                Ok(None)
            }
        }
    }

    /// Ends a piece that is still open.
    ///
    /// # Errors
    /// [`EarError::Engine`] when the engine fails.
    pub fn end(&mut self) -> Result<Option<Piece>, EarError> {
        let Some((from, to)) = self.open.take() else { return Ok(None) };
        let narrow = self.narrow.as_mut().map(Narrow::end);
        let wide = self.wide.as_mut().map(Wide::end).transpose()?;
        let mut readings = narrow.into_iter().chain(wide);
        let (text, confidence) = readings.next().unwrap_or_default();
        let also = readings.next().map(|(text, _)| text).unwrap_or_default();
        Ok(Some(Piece { from, to, text, also, confidence }))
    }

    fn decode(&mut self, pcm: &[i16]) -> Result<(), EarError> {
        if let Some(wide) = &mut self.wide {
            wide.piece.extend_from_slice(pcm);
        }
        if let Some(narrow) = &mut self.narrow {
            narrow.decoder.process(&narrow.widener.process(pcm))?;
        }
        Ok(())
    }
}

/// The ear's thread: frames in, pieces out, until the line closes.
pub fn listen(mut ear: Ear, frames: &Receiver<Frame>, pieces: &Sender<Result<Piece, EarError>>) {
    for frame in frames {
        match ear.hear(&frame) {
            Ok(None) => {}
            Ok(Some(piece)) => {
                if pieces.send(Ok(piece)).is_err() {
                    return;
                }
            }
            Err(error) => {
                // Nobody listens any more when this fails: then nobody needs the error.
                drop(pieces.send(Err(error)));
                return;
            }
        }
    }
    if let Some(piece) = ear.end().transpose() {
        drop(pieces.send(piece));
    }
}

/// A sentence of the language model and how often it counts.
type Weighted = (String, f64);

fn sentences(plan: &EarPlan) -> Vec<Weighted> {
    let background = BACKGROUND.lines().filter(|line| !line.starts_with("//") && !line.trim().is_empty());
    let mut out: Vec<Weighted> = Vec::new();
    for line in background {
        let places = line.matches(THING).count();
        let rounds = if places == 0 { 1 } else { THINGS.len() };
        for round in 0..rounds {
            let mut text = line.to_owned();
            for place in 0..places {
                // Odd steps: each place runs through all things in its own order.
                text = text.replacen(THING, THINGS[(round * (1 + 2 * place) + 7 * place) % THINGS.len()], 1);
            }
            // Numbers that stand there as words are meant: "press one".
            out.push((text, 1.0 / rounds as f64));
        }
    }
    // What a script brings weighs more than the background; within it, each alternative and each number the same, so that
    // the ear does not prefer what the script hopes for.
    out.extend(plan.phrases.iter().map(|p| (pattern(p), 8.0)));
    for expected in &plan.expected {
        out.extend(expected.split('|').map(|alternative| (pattern(alternative), 8.0)));
    }
    out.retain(|(text, _)| !text.is_empty());
    out.push((NUMBER.to_owned(), 8.0));
    out
}

/// The same for the recogniser of whole turns.
fn domain(plan: &EarPlan) -> DomainText {
    let numbers: Class = (0..1000).map(|n| (number_words(n).join(" "), 1.0)).collect();
    let mut domain = DomainText::default();
    for (text, weight) in sentences(plan) {
        if !text.contains(NUMBER) {
            for _ in 0..weight.ceil().max(1.0) as usize {
                domain.sentences.push_str(&text);
                domain.sentences.push('\n');
            }
            continue;
        }
        let mut parts: Vec<Class> = Vec::new();
        for (place, words) in text.split(NUMBER).enumerate() {
            if place > 0 {
                parts.push(numbers.clone());
            }
            if !words.trim().is_empty() {
                parts.push(vec![(words.trim().to_owned(), 1.0)]);
            }
        }
        domain.patterns.push(Pattern { parts, weight });
    }
    domain
}

/// Spoken words with each number replaced by [`NUMBER`].
fn pattern(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for (index, words) in text.split(NUMBER).map(spoken).enumerate() {
        if index > 0 {
            out.push(NUMBER.to_owned());
        }
        for word in words {
            if !is_number_word(&word) {
                out.push(word);
            } else if out.last().is_none_or(|last| last != NUMBER) {
                out.push(NUMBER.to_owned());
            }
        }
    }
    out.join(" ")
}

/// Each number of a sentence runs through 0–999, those below 20 and below 100 more often, as people say them more often;
/// among numbers of one size none is preferred. Odd steps give each place of a sentence its own order.
fn language_model(sentences: &[Weighted]) -> LanguageModel {
    let hundreds = (100..1000).step_by(7).chain((100..1000).step_by(100));
    let numbers: Vec<u64> = (0..100).chain(0..100).chain((0..20).cycle().take(200)).chain(hundreds).collect();
    let mut model = LanguageModel::default();
    for (text, weight) in sentences {
        if !text.contains(NUMBER) {
            model.add(text, *weight);
            continue;
        }
        let mut lines = String::new();
        for round in 0..numbers.len() {
            let mut parts = text.split(NUMBER);
            let mut line = parts.next().unwrap_or_default().to_owned();
            for (place, part) in parts.enumerate() {
                let index = (round * (1 + 2 * place) + 31 * place) % numbers.len();
                // Writing to a String cannot fail.
                let _ = write!(line, "{}{part}", number_words(numbers[index]).join(" "));
            }
            lines.push_str(&line);
            lines.push('\n');
        }
        // A number is many sentences: together they count several times as much as one.
        model.add(&lines, weight / numbers.len() as f64 * 8.0);
    }
    model
}

fn pronunciations(
    engine: &PocketSphinx,
    model: &LanguageModel,
    plan: &EarPlan,
) -> Result<Vec<(String, String)>, EarError> {
    let words: Vec<&str> = model.vocabulary().collect();
    let mut found = engine.look_up(words.iter().copied())?;
    let base = |word: &str| word.split('(').next().unwrap_or(word).to_owned();
    let extra = plan.pronounce.iter().map(|(word, phones)| (word.to_lowercase(), phones.clone()));
    for (word, phones) in EXTRA_WORDS.map(|(w, p)| (w.to_owned(), p.to_owned())).into_iter().chain(extra) {
        if !words.iter().any(|w| *w == base(&word)) {
            continue;
        }
        let variants = found.iter().filter(|(w, _)| base(w) == base(&word)).count();
        let name = if variants == 0 { base(&word) } else { format!("{}({})", base(&word), variants + 1) };
        found.push((name, phones));
    }
    let missing: Vec<&str> =
        words.into_iter().filter(|word| !found.iter().any(|(known, _)| base(known) == **word)).collect();
    if let Some(first) = missing.first() {
        return Err(EarError::Words(missing.join(", "), (*first).to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use callwright_dsp::codec::g711;
    use callwright_models::tts::Flite;

    use super::super::wave;
    use super::super::words::Heard;
    use super::*;

    /// `text` in the agent's voice as it comes off a μ-law line.
    fn on_the_line(voice: &mut Flite, text: &str) -> Vec<i16> {
        let mut wide = Vec::new();
        voice.speak(text, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let mut pcm = vec![0i16; 4000];
        pcm.extend(wave::halve(&wide));
        pcm.extend([0; 8000]);
        let mut octets = vec![0; pcm.len()];
        g711::encode_ulaw(&pcm, &mut octets);
        g711::decode_ulaw(&octets, &mut pcm);
        pcm
    }

    fn hear(ear: &mut Ear, pcm: &[i16]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (n, chunk) in pcm.chunks(FRAME_SAMPLES).enumerate() {
            let mut frame = Frame { at: Tick(20_000_000 * n as u64), len: chunk.len(), pcm: [0; FRAME_SAMPLES] };
            frame.pcm[..chunk.len()].copy_from_slice(chunk);
            pieces.extend(ear.hear(&frame).unwrap());
        }
        pieces.extend(ear.end().unwrap());
        pieces
    }

    fn ear(expected: &[&str]) -> Ear {
        let expected = expected.iter().map(|&e| e.to_owned()).collect();
        Ear::open(&Assets::locate(), &EarPlan { expected, ..EarPlan::default() }).unwrap()
    }

    fn slt() -> Flite {
        Flite::load(&Assets::locate(), "slt").unwrap()
    }

    /// As both recognisers hear it.
    struct Both([Heard; 2]);

    impl Both {
        fn contains(&self, phrase: &str) -> bool {
            self.0.iter().any(|heard| heard.contains(phrase))
        }

        fn text(&self) -> String {
            self.0.each_ref().map(Heard::text).join(" / ")
        }
    }

    fn words(ear: &mut Ear, voice: &mut Flite, text: &str) -> Both {
        let mut heard = Both(Default::default());
        for piece in hear(ear, &on_the_line(voice, text)) {
            heard.0[0].push(&piece.text);
            heard.0[1].push(&piece.also);
        }
        heard
    }

    #[test]
    fn numbers_are_told_apart() {
        let (mut ear, mut slt) = (ear(&["deployed", "5 APIs live", "7 records"]), slt());
        let mut wrong = Vec::new();
        for n in (3..=19).chain([27, 66]) {
            // As the daemon's normaliser has it said.
            // As a caller does who is not sure: asks once more.
            let mut misheard = Vec::new();
            for _ in 0..2 {
                let heard = words(&mut ear, &mut slt, &format!("Deployed, five A P I's live, {n} records."));
                let right = heard.contains(&format!("{n} records"));
                let others = (0..100).filter(|o| *o != n && heard.contains(&format!("{o} records"))).count();
                if right && others == 0 && heard.contains("5 APIs live") && heard.contains("deployed") {
                    break;
                }
                misheard.push(heard.text());
            }
            if misheard.len() == 2 {
                wrong.push(format!("{n}: {misheard:?}"));
            }
        }
        // Voices vary from run to run: of 19 numbers said once, none to three were misheard in 19 runs, one as a rule.
        assert!(wrong.len() <= 1, "{} of 19 misheard: {wrong:#?}", wrong.len());
    }

    #[test]
    fn agents_are_understood() {
        let (mut ear, mut slt) = (ear(&["what shall i build for you", "contacts", "deals", "shall i build it"]), slt());
        for (said, phrases) in [
            ("Hello, this is Grace. What shall I build for you?", &["what shall i build for you"][..]),
            (
                "Here is what I have. A C R M with contacts and deals. Shall I build it? Say yes or press one.",
                &["a crm with contacts and deals", "shall i build it"],
            ),
            ("Your C R M is live.", &["your crm is live"]),
            ("I had to stop. Your C R M is not live.", &["not live"]),
        ] {
            let heard = words(&mut ear, &mut slt, said);
            for phrase in phrases {
                assert!(heard.contains(phrase), "{said:?} was heard as {:?}, without {phrase:?}", heard.text());
            }
        }
    }

    #[test]
    fn pieces_carry_their_times() {
        let mut ear = ear(&["goodbye"]);
        let mut pcm = vec![0i16; 8000];
        let spoken = on_the_line(&mut slt(), "Goodbye.");
        let (first, last) = (level::first_audible(&spoken).unwrap(), level::last_audible(&spoken).unwrap());
        pcm.extend(spoken);
        let pieces = hear(&mut ear, &pcm);
        assert_eq!(pieces.len(), 1, "{pieces:?}");
        assert_eq!(pieces[0].text, "goodbye");
        let at = |sample: usize| Tick(0) + sample_offset(8000 + sample);
        assert_eq!((pieces[0].from, pieces[0].to), (at(first), at(last)));
        assert!(hear(&mut ear, &[0; 16_000]).is_empty());
    }

    #[test]
    fn a_word_without_pronunciation_is_named() {
        let assets = Assets::locate();
        let mut plan = EarPlan { expected: vec!["the zxqv is live".into()], ..EarPlan::default() };
        let error = Ear::open(&assets, &plan).unwrap_err().to_string();
        assert!(error.contains("[pronounce] zxqv ="), "{error}");
        plan.pronounce.insert("Zxqv".into(), "Z EH K S".into());
        Ear::open(&assets, &plan).unwrap();
    }

    #[test]
    fn a_number_in_a_phrase_stands_for_all_numbers() {
        assert_eq!(pattern("5 APIs live, 27 records"), "# apis live # records");
        assert_eq!(pattern("press # for yes"), "press # for yes");
        let plan = EarPlan { expected: vec!["7 records".into()], ..EarPlan::default() };
        let model = language_model(&sentences(&plan));
        let after = |word: &str| model.probability(&["live", word], "records");
        assert!(
            (after("seven") - after("eight")).abs() < 0.02 * after("seven"),
            "{} {}",
            after("seven"),
            after("eight")
        );
    }
}

//! Kokoro: a clause in, samples out.
//!
//! Owning thread: one at a time, for as long as a clause takes: a quarter to a third of its audio on one free core. Invariants: what
//! comes out is finite and within full scale; every clause is within what the model takes; what nobody wants any more ends at
//! the graph's next node after [`WATCH`], and nothing of it is handed on. Deliberately absent: word times (the graph does
//! not give its durations), level, resampling.

use super::phonemes::Accent;
use super::reading::Reading;
use crate::assets::Assets;
use crate::pack::check::{self, CheckError};
use crate::pack::kokoro::{FileError, ROWS, STYLE, Vocabulary, styles};
use crate::pack::{Family, Installed};
use crate::session::{self, SessionError};
use crate::tts::TtsError;
use ort::session::{RunOptions, Session};
use ort::value::TensorRef;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const PART: &str = "speech packs";
/// Samples per second that the model makes.
const SAMPLE_RATE: u32 = 24_000;
/// Symbols of one run: the styles end there. Clauses of people are below a third of it.
const SYMBOLS_MAX: usize = ROWS - 1;
/// Samples that a sink gets at once: 50 ms.
const CHUNK: usize = SAMPLE_RATE as usize / 20;
/// How often it is asked, while the graph computes, whether anybody still wants it.
const WATCH: Duration = Duration::from_millis(15);
/// Seconds of audio for one symbol beyond which the graph has lost its way.
const SECONDS_A_SYMBOL_MAX: usize = 2;

/// How a voice is made.
#[derive(Clone, Debug, PartialEq)]
pub struct KokoroPlan {
    /// Threads that one clause may use.
    pub threads: u16,
    /// Name of the speaker; none: the pack's first.
    pub speaker: Option<String>,
    /// Pace: 1 is the speaker's own, larger is faster; 0.5 to 2.
    pub speed: f32,
}

impl Default for KokoroPlan {
    fn default() -> Self {
        Self { threads: 1, speaker: None, speed: 1.0 }
    }
}

/// A speaker of a Kokoro pack.
pub struct KokoroVoice {
    session: Session,
    vocabulary: Vocabulary,
    /// Rows of [`STYLE`] numbers.
    styles: Vec<f32>,
    reading: Reading,
    pack: String,
    speaker: String,
    speed: f32,
}

impl fmt::Debug for KokoroVoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KokoroVoice").field("pack", &self.pack).field("speaker", &self.speaker).finish_non_exhaustive()
    }
}

/// The speaker that a name stands for, by its place in the pack.
///
/// # Errors
/// [`TtsError::Refused`] with the names that there are.
fn place_of(installed: &Installed, speaker: Option<&str>) -> Result<usize, TtsError> {
    let there = installed.pack.speakers();
    match speaker {
        None => Ok(0),
        Some(name) => there.iter().position(|known| *known == name).ok_or_else(|| TtsError::Refused {
            what: format!("'{}': it has no speaker {name:?}; there are: {}", installed.pack.name, there.join(", ")),
        }),
    }
}

impl KokoroVoice {
    /// Checks the pack and loads it: a second or two and some hundred megabytes, so at start, never in a call.
    ///
    /// # Errors
    /// [`TtsError`]: what to install, what is wrong with the pack, or a speaker that it does not have.
    pub fn load(assets: &Assets, installed: &Installed, plan: &KokoroPlan) -> Result<Self, TtsError> {
        let pack = &installed.pack;
        if pack.family != Family::KokoroGraph {
            let what = format!("'{}': a {} pack is for another engine", pack.name, check::name(pack.family));
            return Err(TtsError::Refused { what });
        }
        let place = place_of(installed, plan.speaker.as_deref())?;
        check::check(installed)?;
        let missing = |part| CheckError::Part { pack: pack.name.clone(), part };
        let file = installed.files("voices").nth(place).ok_or_else(|| missing("voices"))?;
        let styles = styles(&file).map_err(|error| of_file(installed, &file, error))?;
        let tokens = installed.file("tokens").ok_or_else(|| missing("tokens"))?;
        let vocabulary = Vocabulary::read(&tokens).map_err(|error| of_file(installed, &tokens, error))?;
        let speaker = pack.speakers().get(place).map(|name| (*name).to_owned()).unwrap_or_default();
        // Speakers are called after their accent and sex: bf_emma.
        let accent = if speaker.starts_with('b') { Accent::British } else { Accent::American };
        let reading = Reading::load(assets, accent)?;
        let model = installed.file("model").ok_or_else(|| missing("model"))?;
        let session = session::open_varying(assets, PART, &model, plan.threads).map_err(|error| match error {
            SessionError::Asset(error) => TtsError::Asset(error),
            SessionError::Runtime(error) => of_file(installed, &model, FileError::Malformed(error.to_string())).into(),
        })?;
        let speed = plan.speed.clamp(0.5, 2.0);
        Ok(Self { session, vocabulary, styles, reading, pack: pack.name.clone(), speaker, speed })
    }

    /// Name of the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.pack
    }

    /// Name of the speaker.
    #[must_use]
    pub fn speaker(&self) -> &str {
        &self.speaker
    }

    /// Samples per second that it makes.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    /// How many symbols its vocabulary has.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.vocabulary.len()
    }

    /// Speaks plain words with the marks at which a voice pauses; `sink` gets the samples when they are made, and ends the
    /// synthesis by breaking.
    ///
    /// # Errors
    /// [`TtsError::Refused`] when there are words and none of them can be pronounced, or the graph fails.
    pub fn speak(&mut self, text: &str, sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>) -> Result<(), TtsError> {
        self.speak_words(text, &[], &|| false, sink)
    }

    /// As [`speak`](Self::speak), with the sounds of some blank-separated words given: `phones` names them by their place,
    /// counted from 0; sounds are ARPAbet, blank-separated, `1` or `0` behind a vowel ("s iy1 aa0 r"). `unwanted` is asked
    /// while there is nothing to hand on yet; once it says so, no more comes.
    ///
    /// # Errors
    /// As [`speak`](Self::speak).
    pub fn speak_words(
        &mut self,
        text: &str,
        phones: &[(usize, &str)],
        unwanted: &(dyn Fn() -> bool + Sync),
        sink: &mut dyn FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Result<(), TtsError> {
        if !text.chars().any(char::is_alphanumeric) {
            return Ok(());
        }
        let symbols = self.reading.clause(text, phones);
        let mut made = false;
        let mut chunk: Vec<i16> = Vec::with_capacity(CHUNK);
        for piece in pieces(&symbols) {
            let numbers: Vec<i64> = piece.chars().filter_map(|symbol| self.vocabulary.number(symbol)).collect();
            if numbers.is_empty() {
                continue;
            }
            let Some(samples) = self.run(&numbers, unwanted)? else { return Ok(()) };
            made |= !samples.is_empty();
            for part in samples.chunks(CHUNK) {
                chunk.clear();
                // `as` saturates; the model overshoots full scale a little.
                chunk.extend(part.iter().map(|sample| (sample * 32_767.0).round() as i16));
                if sink(&chunk).is_break() {
                    return Ok(());
                }
            }
        }
        if made {
            return Ok(());
        }
        // Not the words: what is said to a caller is nobody else's.
        let length = text.chars().count();
        Err(TtsError::Refused {
            what: format!("a text of {length} characters: the pack '{}' cannot say it", self.pack),
        })
    }

    /// Samples of symbols by their numbers; none when nobody wants them any more.
    fn run(&mut self, numbers: &[i64], unwanted: &(dyn Fn() -> bool + Sync)) -> Result<Option<Vec<f32>>, TtsError> {
        // Nothing at both ends, as in training.
        let mut padded = Vec::with_capacity(numbers.len() + 2);
        padded.push(0);
        padded.extend_from_slice(numbers);
        padded.push(0);
        let row = numbers.len().min(ROWS - 1) * STYLE;
        let style = &self.styles[row..row + STYLE];
        let speed = [self.speed];
        let refused = |error: ort::Error| TtsError::Refused { what: format!("'{}': {error}", self.pack) };
        let options = RunOptions::new().map_err(refused)?;
        let session = &mut self.session;
        let (answer, left) = watched(&options, unwanted, || ask(session, &padded, style, &speed, &options));
        if left {
            return Ok(None);
        }
        let samples = answer.map_err(refused)?;
        let most = padded.len() * SECONDS_A_SYMBOL_MAX * SAMPLE_RATE as usize;
        if samples.len() > most || samples.iter().any(|sample| !sample.is_finite()) {
            return Err(TtsError::Refused { what: format!("'{}': its graph answered what is no speech", self.pack) });
        }
        Ok(Some(samples))
    }
}

/// Runs the graph and ends it when nobody wants it any more; says whether that was so.
fn watched<T>(options: &RunOptions, unwanted: &(dyn Fn() -> bool + Sync), run: impl FnOnce() -> T) -> (T, bool) {
    if unwanted() {
        // The first node finds it; an answer is needed all the same.
        let _ = options.terminate();
    }
    let (ended, watch) = mpsc::sync_channel::<()>(1);
    thread::scope(|scope| {
        let watcher = thread::Builder::new().name("voice-watch".to_owned()).spawn_scoped(scope, move || {
            while watch.recv_timeout(WATCH) == Err(mpsc::RecvTimeoutError::Timeout) {
                if unwanted() {
                    // It can only fail where there is nothing left to end.
                    let _ = options.terminate();
                    return;
                }
            }
        });
        let answer = run();
        drop(ended);
        // Without a thread to watch it, it runs to its end.
        drop(watcher);
        (answer, unwanted())
    })
}

fn ask(
    session: &mut Session,
    numbers: &[i64],
    style: &[f32],
    speed: &[f32],
    options: &RunOptions,
) -> ort::Result<Vec<f32>> {
    let inputs = ort::inputs! {
        "input_ids" => TensorRef::from_array_view(([1_usize, numbers.len()], numbers))?,
        "style" => TensorRef::from_array_view(([1_usize, STYLE], style))?,
        "speed" => TensorRef::from_array_view(([1_usize], speed))?,
    };
    let outputs = session.run_with_options(inputs, options)?;
    let (_, samples) = outputs["waveform"].try_extract_tensor::<f32>()?;
    Ok(samples.to_vec())
}

fn of_file(installed: &Installed, file: &Path, error: FileError) -> CheckError {
    let (pack, file) = (installed.pack.name.clone(), file.to_owned());
    match error {
        FileError::Io(source) => CheckError::File { pack, file, source },
        FileError::Malformed(why) => CheckError::Damaged { pack, file, why },
    }
}

/// What is longer than the model takes is cut at a pause, else at a blank.
fn pieces(symbols: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = symbols.trim();
    while let Some((limit, _)) = rest.char_indices().nth(SYMBOLS_MAX) {
        let head = &rest[..limit];
        let pause = head.rfind([',', '.', ';', ':', '?', '!']).map(|at| at + 1).filter(|at| *at > limit / 2);
        // A word of that length is none; it is cut where it must be.
        let at = pause.or_else(|| head.rfind(' ').filter(|at| *at > 0)).unwrap_or(limit);
        pieces.push(rest[..at].trim());
        rest = rest[at..].trim();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_longer_than_a_model_takes_and_nothing_is_lost() {
        assert_eq!(pieces(" wˈʌn. tˈu "), ["wˈʌn. tˈu"]);
        assert!(pieces(" ").is_empty());
        for word in ["ˈAb ", "wˈɜɹldwˈɜɹldwˈɜɹld ", "wˈɜɹld, ", "ˈɛndləs"] {
            let text = word.repeat(400);
            let pieces = pieces(&text);
            assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.chars().count() <= SYMBOLS_MAX), "{word}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').count();
            assert_eq!(pieces.iter().map(|piece| letters(piece)).sum::<usize>(), letters(&text));
        }
        let text = format!("{}. {}", "a ".repeat(200).trim(), "a ".repeat(200));
        assert!(pieces(&text)[0].ends_with('.'));
    }
}

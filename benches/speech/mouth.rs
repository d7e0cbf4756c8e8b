//! The product's mouth under test, beside the `flite` command. Purpose: how soon the first sound is in the ring, what
//! speech costs, and how soon it stops. One thread, which plays a media worker. Invariant: no text is said twice, so the
//! prompt cache helps nobody. Deliberately absent: how it sounds.

use super::line::Rig;
use super::machine::{quantile, voice_cpu_s};
use super::random::Random;
use super::screen::Progress;
use callwright::id::{Generation, UtteranceId};
use callwright::speech::{SpeechConfig, SpeechEvent};
use ringbuf::traits::{Consumer, Observer};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const TEXTS: &str = include_str!("corpus/agent.txt");
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the ring is looked at while the first frame is waited for.
const LOOK: Duration = Duration::from_micros(50);
/// The voice that both speak with.
pub const VOICE: &str = "slt";

/// What the agent says.
pub fn texts() -> Vec<&'static str> {
    TEXTS.lines().filter(|line| !line.trim().is_empty()).collect()
}

/// So many words of the agent's, in an order in which nobody has said them: the prompt cache knows none of it.
pub fn new_words(name: &str, count: usize) -> String {
    let known: Vec<&str> = TEXTS.split_whitespace().map(|w| w.trim_end_matches(['.', ',', '?', ':'])).collect();
    let mut random = Random::of(name);
    let mut text = String::new();
    for n in 0..count {
        // Clauses as long as people's.
        text.push_str(if n == 0 {
            ""
        } else if n % 7 == 0 {
            ", "
        } else {
            " "
        });
        text.push_str(known[random.below(known.len())]);
    }
    text + "."
}

/// Figures of one voice.
#[derive(Debug, Default)]
pub struct Spoken {
    /// From the order to the first frame (for a command: to its end, when its file is there), ms.
    pub first_ms: Vec<f64>,
    /// Seconds of audio, and of CPU time for them.
    pub audio_s: f64,
    pub cpu_s: f64,
    /// Audio that reached the ring after a flush, ms; and from the flush to the last word about it, wall ms.
    pub late_ms: Vec<f64>,
    pub stopped_ms: Vec<f64>,
}

impl Spoken {
    pub fn rtf(&self) -> f64 {
        self.cpu_s / self.audio_s
    }

    pub fn first(&self, share: f64) -> f64 {
        quantile(&self.first_ms, share)
    }
}

/// The product's mouth.
pub fn product(config: &SpeechConfig, texts: &[&str]) -> Result<Spoken, String> {
    let rig = Rig::start(&SpeechConfig { recognisers: 1, ..config.clone() })?;
    // A voice that stands in for another would be measured under its name.
    let (wanted, speaks) = (config.voice.engine(), rig.voice());
    if !speaks.split([' ', ':']).any(|word| word == wanted) {
        return Err(format!("{wanted} does not speak, {speaks} does"));
    }
    let mut call = rig.call()?;
    let mut spoken = Spoken::default();
    let progress = Progress::new("the agent speaks", texts.len() * 2);
    let before = voice_cpu_s();
    let mut generation = Generation(0);
    let mut next = 0;
    for text in texts {
        next += 1;
        let asked = Instant::now();
        call.lane.speak(UtteranceId(next), generation, *text);
        while call.outbound.is_empty() {
            if asked.elapsed() > PATIENCE {
                return Err(format!("nothing is said of {text:?}"));
            }
            std::thread::sleep(LOOK);
        }
        spoken.first_ms.push(asked.elapsed().as_secs_f64() * 1e3);
        loop {
            match call.outbound.try_pop() {
                Some(frame) => {
                    spoken.audio_s += f64::from(frame.len) / 8000.0;
                    if frame.end {
                        break;
                    }
                }
                None if asked.elapsed() > PATIENCE => return Err(format!("{text:?} does not end")),
                None => std::thread::sleep(LOOK),
            }
        }
        progress.step();
    }
    spoken.cpu_s = voice_cpu_s() - before;
    for (n, text) in texts.iter().enumerate() {
        next += 1;
        call.lane.speak(UtteranceId(next), generation, new_words(text, 30));
        let asked = Instant::now();
        while call.outbound.occupied_len() < 1 + n % 12 && asked.elapsed() < PATIENCE {
            std::hint::spin_loop();
        }
        generation = Generation(generation.0 + 1);
        let flushed = Instant::now();
        call.lane.flush(generation);
        let in_ring = call.outbound.occupied_len();
        call.wait(|event| match event {
            SpeechEvent::Spoken { utterance, .. } => (utterance == UtteranceId(next)).then_some(()),
            _ => None,
        })?;
        spoken.stopped_ms.push(flushed.elapsed().as_secs_f64() * 1e3);
        spoken.late_ms.push(call.outbound.occupied_len().saturating_sub(in_ring) as f64 * 20.0);
        while call.outbound.try_pop().is_some() {}
        progress.step();
    }
    Ok(spoken)
}

/// The `flite` command, one process a text.
pub fn command(cache: &Path, texts: &[&str]) -> Result<Spoken, String> {
    let flite = find(cache)?;
    let file = cache.join("flite.wav");
    let mut spoken = Spoken::default();
    let progress = Progress::new("the flite command speaks", texts.len());
    let before = children_cpu_s();
    for text in texts {
        let began = Instant::now();
        let status = Command::new(&flite)
            .args(["-voice", VOICE, "-t", text, "-o"])
            .arg(&file)
            .status()
            .map_err(|e| format!("{}: {e}", flite.display()))?;
        spoken.first_ms.push(began.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(format!("{} ended with {status}", flite.display()));
        }
        let reader = hound::WavReader::open(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        spoken.audio_s += f64::from(reader.duration()) / f64::from(reader.spec().sample_rate);
        progress.step();
    }
    spoken.cpu_s = children_cpu_s() - before;
    Ok(spoken)
}

/// The command as installed, else out of the package, unpacked and not installed.
fn find(cache: &Path) -> Result<PathBuf, String> {
    let installed = Path::new("/usr/bin/flite");
    if installed.is_file() {
        return Ok(installed.to_owned());
    }
    let root = cache.join("flite");
    let unpacked = root.join("usr/bin/flite");
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    std::fs::create_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    let script = "apt-get -qq download flite && dpkg-deb -x flite_*.deb .";
    let output = Command::new("sh").args(["-c", script]).current_dir(&root).output().map_err(|e| e.to_string())?;
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("the flite command is missing: apt-get install -y flite\n{said}"))
}

/// CPU time of ended child processes, s.
fn children_cpu_s() -> f64 {
    // SAFETY: an all-zero rusage is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a whole rusage of ours, and the kernel writes nothing else.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return f64::NAN;
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_text_is_said_twice() {
        let texts = texts();
        assert!(texts.len() >= 40);
        assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
    }
}

//! People on the telephone. Purpose: Debian's prompts for Asterisk, read by a professional speaker, with the package's own
//! list of what is said; fetched and unpacked, never installed. Deliberately absent: other languages; a fall-back when the
//! package cannot be had.

use super::channel::PACKET;
use super::corpus::{Asked, Line};
use super::score::words;
use super::screen::note;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sounds, and the list.
const PACKAGES: [&str; 2] = ["asterisk-core-sounds-en-wav", "asterisk-core-sounds-en"];
const SOUNDS: &str = "usr/share/asterisk/sounds/en_US_f_Allison";
const LIST: &str = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz";
/// Shorter prompts are single words out of context.
const WORDS_MIN: usize = 3;
/// Longer ones are menus that nobody says to an agent, ms.
const LENGTH_MAX_MS: usize = 8000;

/// A prompt: what is said, and its samples at 8 kHz.
pub struct Prompt {
    pub line: Line,
    pub speech: Vec<i16>,
}

/// Prompts of three words or more, `most` of them, spread over the list. Fails with how to get them.
pub fn prompts(cache: &Path, most: usize) -> Result<Vec<Prompt>, String> {
    let root = unpack(cache)?;
    let list = Command::new("zcat").arg(root.join(LIST)).output().map_err(|e| format!("zcat: {e}"))?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut all: Vec<Prompt> = Vec::new();
    for (name, text) in list.lines().filter(|line| !line.starts_with(';')).filter_map(|line| line.split_once(": ")) {
        // "[beep]" is no speech, and what is cut off is not said whole.
        if text.contains(['[', '(', '<']) || words(text).len() < WORDS_MIN {
            continue;
        }
        let file = root.join(SOUNDS).join(format!("{}.wav", name.trim()));
        let Some(speech) = read(&file).filter(|pcm| pcm.len() <= LENGTH_MAX_MS * 8) else { continue };
        let line = Line { held: true, asked: Asked::Free, meant: "nothing".into(), text: text.trim().to_owned() };
        if !all.iter().any(|prompt| prompt.line.text == line.text) {
            all.push(Prompt { line, speech });
        }
    }
    if all.len() < 100 {
        return Err(format!("only {} prompts were found in {}", all.len(), root.display()));
    }
    let step = (all.len() as f64 / most as f64).max(1.0);
    let mut next = 0.0;
    let mut chosen = Vec::with_capacity(most.min(all.len()));
    for (n, prompt) in all.into_iter().enumerate() {
        if n as f64 >= next {
            next += step;
            chosen.push(prompt);
        }
    }
    Ok(chosen)
}

/// Samples of a mono 16-bit file at 8 kHz, without the silence around them.
fn read(file: &Path) -> Option<Vec<i16>> {
    let mut reader = hound::WavReader::open(file).ok()?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (8000, 1, 16) {
        return None;
    }
    let pcm: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>().ok()?;
    let first = callwright_dsp::level::first_voiced(&pcm, 8000, -50.0)?;
    let last = callwright_dsp::level::last_voiced(&pcm, 8000, -50.0)?;
    let speech = pcm.get(first..=last)?.to_vec();
    (speech.len() > 4 * PACKET).then_some(speech)
}

fn unpack(cache: &Path) -> Result<PathBuf, String> {
    let root = cache.join("prompts");
    if root.is_dir() {
        return Ok(root);
    }
    note("fetching Debian's English telephone prompts (18 MB)");
    let partial = cache.join("prompts.partial");
    std::fs::create_dir_all(&partial).map_err(|e| format!("{}: {e}", partial.display()))?;
    let how = format!("on Debian: apt-get download {}, or apt-get update first", PACKAGES.join(" "));
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("the prompts are missing: {how}\n{}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("the prompts are missing ({error}): {how}")),
    };
    run(Command::new("apt-get").arg("download").args(PACKAGES).current_dir(&partial))?;
    for entry in std::fs::read_dir(&partial).map_err(|e| e.to_string())?.flatten() {
        if entry.path().extension().is_some_and(|kind| kind == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&partial))?;
        }
    }
    std::fs::rename(&partial, &root).map_err(|e| format!("{}: {e}", root.display()))?;
    Ok(root)
}

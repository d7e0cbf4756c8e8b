//! `callwright say TEXT`: speaks a text into a WAV file as a caller would hear it: the very path of a call (how it is read,
//! clauses, voice, loudness, 8 kHz), so that an operator can hear a voice or a lexicon entry before callers do. Main thread.
//! Deliberately absent: playing it, the line's coder.

use crate::cli::dial::wave;
use crate::config::{Config, EngineChoice};
use crate::speech::{DateOrder, Lexicon, Reading, Rehearsal, SpeechConfig, rehearse};
use callwright_dsp::level;
use callwright_models::Assets;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `say`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to say; several words need no quotes.
    #[arg(required = true, num_args = 1..)]
    text: Vec<String>,
    /// As this agent of the configuration: its voice and its lexicon.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// By this voice, as in the configuration: auto, slt, rms, awb, kal16, a pack, PACK:SPEAKER (kokoro-82m-int8:bf_emma;
    /// `callwright models list` names them), or PROVIDER:VOICE.
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to write the audio: WAV, 8 kHz, mono.
    #[arg(short, long, value_name = "FILE", default_value = "say.wav")]
    output: PathBuf,
    /// A pronunciation as in an agent's lexicon: in plain words, or as ARPAbet phones between slashes. May be given
    /// several times.
    #[arg(long, value_name = "WORD=SAID")]
    lexicon: Vec<String>,
    /// Read 03/04/2026 as the third of April.
    #[arg(long)]
    day_first: bool,
}

/// Writes the file, and prints how each word is said and when.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this subcommand's product is its output")]
pub fn run(arguments: &Arguments) -> ExitCode {
    match say(arguments) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("callwright: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(arguments: &Arguments) -> Result<String, String> {
    let config = Config::load(arguments.config.as_deref(), std::env::vars()).map_err(|error| error.to_string())?;
    let agent = match &arguments.agent {
        None => None,
        Some(name) => Some(config.agents.iter().find(|agent| agent.name == *name).ok_or_else(|| {
            let there: Vec<&str> = config.agents.iter().map(|agent| agent.name.as_str()).collect();
            format!("there is no agent {name:?}; there are: {}", there.join(", "))
        })?),
    };
    let choice = match &arguments.voice {
        Some(voice) => EngineChoice::parse(voice).map_err(|error| format!("--voice {voice}: {error}"))?,
        None => agent.and_then(|agent| agent.voice.clone()).unwrap_or_else(|| config.speech.voice.clone()),
    };
    let mut entries = agent.map(|agent| agent.lexicon.clone()).unwrap_or_default();
    for entry in &arguments.lexicon {
        let (word, said) = entry.split_once('=').ok_or_else(|| format!("--lexicon {entry}: write WORD=SAID"))?;
        entries.insert(word.to_owned(), said.to_owned());
    }
    let lexicon = Lexicon::new(&entries).map_err(|error| error.to_string())?;
    let dates = if arguments.day_first { DateOrder::DayFirst } else { DateOrder::MonthFirst };
    let reading = Reading { lexicon, dates };
    let heard = rehearse(&SpeechConfig::of(&config), &Assets::locate(), &choice, reading, &arguments.text.join(" "))?;
    if heard.samples.is_empty() {
        return Err("there is nothing to say in that text".to_owned());
    }
    wave::write(&arguments.output, 1, &heard.samples)?;
    Ok(report(arguments, &choice, &heard))
}

fn report(arguments: &Arguments, choice: &EngineChoice, heard: &Rehearsal) -> String {
    let mut report = String::new();
    for ((written, said), word) in heard.said.iter().zip(&heard.words) {
        let said = if said.is_empty() { "(silent)" } else { said };
        report.push_str(&format!("{:>6} – {:>6} ms  {written}  →  {said}\n", word.start_ms, word.end_ms));
    }
    let voiced: Vec<i16> =
        heard.samples.chunks(160).filter(|part| level::dbfs(part) > -40.0).flatten().copied().collect();
    report.push_str(&format!(
        "{}: {:.2} s by {}, speech at {:.1} dBFS, first audio after {:.0} ms\n",
        arguments.output.display(),
        heard.samples.len() as f64 / f64::from(wave::RATE_HZ),
        choice.as_str(),
        level::dbfs(&voiced),
        heard.first_audio.as_secs_f64() * 1000.0,
    ));
    report
}

//! The subcommand itself: arguments → preparation → call → report → exit code. Owner: the main thread.
//! Invariant: everything that takes time (synthesis, language model, WAV files) is done before the INVITE leaves.
//! Deliberately absent: the call (`conduct`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use callwright_models::Assets;

use super::conduct::{Afterwards, Piecework, conduct};
use super::ear::{Ear, EarPlan};
use super::live::print;
use super::phone::{CallError, CallPlan, Phone, Target};
use super::report::{Call, Report};
use super::scenario;
use super::score::score;
use super::script::{Action, Entry, Script, Step, check_digits, check_voice};
use super::stream::Job;
use super::voice::{DEFAULT_VOICE, Voice};
use super::wave;
use crate::limits::DIAL_SCRIPT_OCTETS_MAX;
use crate::rtp::Codec;
use crate::sip::hop::Transport;

/// A call without `--duration` ends after this at the latest.
const LENGTH_MAX: Duration = Duration::from_secs(3600);
/// What `--play` and `--digits` leave for the answer.
const LINGER: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  callwright dial sip:echo@127.0.0.1 --play hello.wav --record both.wav
        plays a file; both.wav has what we sent on the left and what came back on the right
  callwright dial sip:300@127.0.0.1 --digits 1 --duration 20
  callwright dial sip:300@127.0.0.1 --script order.toml --set RECORDS=7 --report r.json
  callwright dial sip:300@127.0.0.1 --scenario all
        coughs, agrees, interrupts, hesitates, returns an echo, babble; scores what the agent does about it

A script is a list of steps; each does one thing:
  [[step]]
  label = \"greeting\"                   # optional, shown in transcript and report
  expect = [\"how can i help\"]          # all of these, within timeout = 20 seconds; \"a|b\" means either
  [[step]]
  say = \"I need a C R M\"               # when the agent was quiet for quiet = 0.5 seconds
  [[step]]
  say = \"stop\"
  interrupt_after = 0.8                # this long into the agent's next speech: barge in
  [[step]]
  press = \"1\"                          # or: play = \"file.wav\", sound = \"cough\", wait = 2.0, hang_up = true
  [[step]]
  expect = [\"${RECORDS} records\"]      # --set RECORDS=7; numbers are compared as numbers

Exit code: 0 all expectations met · 1 not all met · 2 wrong arguments or script, or something is not installed ·
3 no call (refused, not answered). The report's keys are listed in the documentation of `cli::dial::report`.";

/// Call an agent as a person would: speak, listen, press keys, and measure what comes back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whom to call: sip:user@host, or with a port sip:user@host:port
    uri: String,
    /// Play this WAV file once the call is answered (8, 16, 24 or 48 kHz integer PCM)
    #[arg(long, value_name = "WAV", conflicts_with = "script")]
    play: Option<PathBuf>,
    /// Press these keys (0-9 * # A-D), after --play
    #[arg(long, value_name = "KEYS", conflicts_with = "script")]
    digits: Option<String>,
    /// Do what this script says
    #[arg(long, value_name = "TOML")]
    script: Option<PathBuf>,
    /// Do what callers do (pause, cough, agree, interrupt, …), one call each, and score the agent; `all`, `list`, names, or
    /// files like a script's
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE,…", conflicts_with_all = ["script", "play", "digits"])]
    scenario: Vec<String>,
    /// Fill in ${NAME} in the script
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// Record both directions on one clock: left what we sent, right what we heard
    #[arg(long, value_name = "WAV")]
    record: Option<PathBuf>,
    /// Write the figures as one flat JSON object
    #[arg(long, value_name = "JSON")]
    report: Option<PathBuf>,
    /// Voice that speaks: rms or awb (the script's own `voice` otherwise, else rms)
    #[arg(long)]
    voice: Option<String>,
    /// Hang up after this many seconds; a script that is not done by then has failed
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Give up when nobody answers within this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    ring: Duration,
    /// Offer these codecs, the preferred one first
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CODEC,…", default_value = "pcmu,pcma")]
    codec: Vec<CodecName>,
    /// Our From header, e.g. "Ada <sip:201@192.0.2.1>"
    #[arg(long, value_name = "URI")]
    from: Option<String>,
    /// Carry SIP by this; by default as the URI says (sips:, ;transport=tcp), else udp
    #[arg(long, value_enum)]
    transport: Option<TransportName>,
    /// With TLS: roots of the other side's certificate instead of the system's
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TransportName {
    Udp,
    Tcp,
    Tls,
}

impl TransportName {
    const fn transport(self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp => Transport::Tcp,
            Self::Tls => Transport::Tls,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CodecName {
    Pcmu,
    Pcma,
    G722,
    Opus,
    /// Linear at 16 and 8 kHz
    L16,
}

impl CodecName {
    const fn codecs(self) -> &'static [Codec] {
        match self {
            Self::Pcmu => &[Codec::Pcmu],
            Self::Pcma => &[Codec::Pcma],
            Self::G722 => &[Codec::G722],
            Self::Opus => &[Codec::Opus],
            Self::L16 => &[Codec::L16At16k, Codec::L16At8k],
        }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give NAME=VALUE".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "give seconds, e.g. 20 or 2.5".to_owned())?;
    if (0.1..=LENGTH_MAX.as_secs_f64()).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(format!("give 0.1 to {} seconds", LENGTH_MAX.as_secs()))
    }
}

/// Why the command ends without a report.
#[derive(Debug, thiserror::Error)]
enum DialError {
    /// Arguments, script, files or installation: the operator mends it.
    #[error("{0}")]
    Prepare(String),
    /// No call.
    #[error("{0}")]
    Call(#[from] CallError),
}

/// Runs the subcommand.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let outcome = if args.scenario.is_empty() { dial(args) } else { scenarios(args) };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            complain(&error);
            ExitCode::from(match error {
                DialError::Prepare(_) | DialError::Call(CallError::Target(_)) => 2,
                DialError::Call(_) => 3,
            })
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is where the command speaks to people")]
fn complain(error: &DialError) {
    eprintln!("dial: {error}");
}

/// One call for each scenario, and a table of how they went.
fn scenarios(args: &Args) -> Result<bool, DialError> {
    let prepare = DialError::Prepare;
    if args.scenario.iter().any(|name| name == "list") {
        print(false, scenario::list().trim_end());
        return Ok(true);
    }
    let values: BTreeMap<String, String> = args.set.iter().cloned().collect();
    let scripts = scenario::read(&args.scenario, &values, |path| read_script(path, &args.set)).map_err(prepare)?;
    let (mut rows, mut json) = (Vec::new(), serde_json::Map::new());
    for (n, (name, script)) in scripts.iter().enumerate() {
        print(args.quiet, &format!("\n=== {name}: {}", script.about.as_deref().unwrap_or("a script")));
        let report = perform(args, Some(script), args.record.as_deref().map(|path| scenario::numbered(path, name)))?;
        rows.push(scenario::Row::of(name, &report));
        json.extend(report.to_json().into_iter().map(|(key, value)| (format!("{name}_{key}"), value)));
        // The line of the call before is closed; its far end may need a moment to see it.
        if n + 1 < scripts.len() {
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    let passed = rows.iter().filter(|row| row.failure.is_none()).count();
    json.insert("scenarios".into(), rows.len().into());
    json.insert("scenarios_passed".into(), passed.into());
    write_report(args, json).map_err(prepare)?;
    print(args.quiet, scenario::table(&rows).trim_end());
    Ok(passed == rows.len())
}

fn write_report(args: &Args, report: serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
    let Some(path) = &args.report else { return Ok(()) };
    // An object of strings and numbers always serialises.
    let text = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn dial(args: &Args) -> Result<bool, DialError> {
    let script = args.script.as_deref().map(|path| read_script(path, &args.set)).transpose();
    let report = perform(args, script.map_err(DialError::Prepare)?.as_ref(), args.record.clone())?;
    write_report(args, report.to_json()).map_err(DialError::Prepare)?;
    match report.failure() {
        None => Ok(true),
        Some(why) => {
            if args.quiet {
                complain(&DialError::Prepare(why));
            }
            Ok(false)
        }
    }
}

/// One call from the preparation to the recording.
fn perform(args: &Args, script: Option<&Script>, record: Option<PathBuf>) -> Result<Report, DialError> {
    let prepare = DialError::Prepare;
    let target = Target::resolve(&args.uri, args.transport.map(TransportName::transport))?;
    let work = prepare_work(args, script).map_err(prepare)?;
    for path in [&record, &args.report].into_iter().flatten() {
        check_writable(path).map_err(prepare)?;
    }
    let plan = CallPlan {
        roots: args.ca.clone(),
        target,
        codecs: args.codec.iter().flat_map(|name| name.codecs()).copied().collect(),
        from: args.from.clone(),
        length: work.length,
        patience: args.ring,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DialError::Prepare(format!("cannot start: {e}")))?;
    let report = runtime.block_on(call(&plan, work, args.quiet))?;
    if let Some(path) = &record {
        report.performed.recorded.capture.write_wav(path).map_err(prepare)?;
    }
    print(args.quiet, report.to_table().trim_end());
    Ok(report)
}

async fn call(plan: &CallPlan, work: Piecework, quiet: bool) -> Result<Report, DialError> {
    print(quiet, &format!("calling {} …", plan.target.uri));
    let (phone, frames) = Phone::call(plan).await?;
    let call = Call {
        target: plan.target.uri.clone(),
        agreed: phone.agreed(),
        scheduling: phone.line().scheduling().to_string(),
        answered: phone.answered,
        ringing_after: phone.ringing_after,
        answered_after: phone.answered_after,
    };
    print(quiet, &format!("answered after {} ms", call.answered_after.as_millis()));
    let performed = conduct(phone, frames, work).await.map_err(DialError::Prepare)?;
    let recorded = &performed.recorded;
    let score = score(&recorded.capture, &performed.parts, call.answered, recorded.ended);
    Ok(Report { call, performed, score })
}

/// Everything that the call needs, made ready.
fn prepare_work(args: &Args, script: Option<&Script>) -> Result<Piecework, String> {
    let scripted = script.is_some();
    let script = match script {
        Some(script) => script.clone(),
        None => Script { steps: steps_of(args)?, ..Script::default() },
    };
    let assets = Assets::locate();
    let expected: Vec<String> = script
        .steps
        .iter()
        .filter_map(|s| match &s.action {
            Action::Expect { phrases, .. } => Some(phrases.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let listens = script.steps.iter().any(|s| matches!(s.action, Action::Expect { .. }));
    let ear = if listens {
        let plan = EarPlan { expected, phrases: script.phrases.clone(), pronounce: script.pronounce.clone() };
        let ear = Ear::open(&assets, &plan).map_err(|e| e.to_string())?;
        if let Some(note) = ear.note() {
            print(args.quiet, &format!("the ear hears less well than it could: {note}"));
        }
        Some(ear)
    } else {
        None
    };
    let jobs = jobs_of(&script, args, &assets)?;
    let has_something_to_do = !script.steps.is_empty();
    let afterwards = match (scripted, args.duration) {
        (false, Some(_)) => Afterwards::Stay,
        (false, None) if !has_something_to_do => Afterwards::Stay,
        _ => Afterwards::HangUp,
    };
    Ok(Piecework {
        steps: script.steps,
        echo: script.echo,
        jobs,
        ear,
        afterwards,
        length: args.duration.unwrap_or(LENGTH_MAX),
        quiet: args.quiet,
    })
}

fn read_script(path: &Path, set: &[(String, String)]) -> Result<Script, String> {
    let name = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("{name}: {e}"))?.len();
    if size > DIAL_SCRIPT_OCTETS_MAX {
        return Err(format!("{name}: {size} octets; a script has at most {DIAL_SCRIPT_OCTETS_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    let values: BTreeMap<String, String> = set.iter().cloned().collect();
    let mut script = Script::parse(&text, &values).map_err(|e| format!("{name}: {e}"))?;
    // Files in a script are meant from where the script is.
    let folder = path.parent().unwrap_or(Path::new(""));
    for step in &mut script.steps {
        if let Action::Play { file, .. } = &mut step.action {
            *file = folder.join(&*file);
        }
    }
    Ok(script)
}

/// `--play` and `--digits` as steps.
fn steps_of(args: &Args) -> Result<Vec<Step>, String> {
    let at_once = Entry::Quiet { quiet: Duration::ZERO, patience: LENGTH_MAX };
    let mut actions = Vec::new();
    if let Some(file) = &args.play {
        actions.push(Action::Play { file: file.clone(), entry: at_once });
    }
    if let Some(digits) = &args.digits {
        actions.push(Action::Press { digits: check_digits(digits)? });
    }
    if !actions.is_empty() && args.duration.is_none() {
        actions.push(Action::Wait { time: LINGER });
    }
    Ok(actions.into_iter().map(Step::bare).collect())
}

fn jobs_of(script: &Script, args: &Args, assets: &Assets) -> Result<BTreeMap<usize, Job>, String> {
    let mut voice = None;
    let mut jobs = BTreeMap::new();
    for (index, step) in script.steps.iter().enumerate() {
        let mut job = match &step.action {
            Action::Say { text, .. } => {
                let voice = match &mut voice {
                    Some(voice) => voice,
                    none => {
                        let name = args.voice.as_deref().or(script.voice.as_deref()).unwrap_or(DEFAULT_VOICE);
                        check_voice(name)?;
                        none.insert(Voice::load(assets, name).map_err(|e| e.to_string())?)
                    }
                };
                Job::Audio(voice.speak_with_pauses(text)?)
            }
            Action::Play { file, .. } => Job::Audio(wave::read(file)?),
            Action::Sound { noise, .. } => Job::Audio(noise.samples()),
            Action::Press { digits } => Job::Digits(digits.parse().map_err(|e| format!("digits {digits}: {e}"))?),
            _ => continue,
        };
        if let Job::Audio(pcm) = &mut job {
            let gain = 10f32.powf(step.level_db / 20.0);
            for sample in pcm.iter_mut().filter(|_| step.level_db != 0.0) {
                *sample = (f32::from(*sample) * gain) as i16;
            }
        }
        jobs.insert(index, job);
    }
    Ok(jobs)
}

/// Finds out before the call whether its results can be kept.
fn check_writable(path: &Path) -> Result<(), String> {
    let open = std::fs::OpenOptions::new().append(true).create(true).open(path);
    open.map(drop).map_err(|e| format!("{}: cannot be written: {e}", path.display()))
}

//! How well the product hears and speaks: `make bench-speech`.
//!
//! Hearing: sentences that the recogniser was not taught (`benches/speech/corpus`), said by three synthetic voices down a
//! telephone line of our own (300–3400 Hz, noise, G.711, 3 % of packets lost), and prompts read by a person; through the
//! product's speech plane as the daemon has it, through the same with the recogniser that stands behind the default
//! (PocketSphinx with the agent's words), and through stock PocketSphinx. Speaking: the product's mouth beside the
//! `flite` command. Both: conversations at once on one core. Prints tables and writes `target/bench/speech.json` (flat:
//! metric → number), `target/bench/speech-heard.tsv` (every turn) and `target/bench/speech-errors.md` (where errors come from).
//!
//! `BENCH_QUICK=1`: a sample in two minutes. `BENCH_PARTS=words,intents,digits,behind,stock,human,finals,memory,mouth,talks,
//! packs`: only these parts. `BENCH_SAY=FILE`: another part, `say`, hears the sentences of a file (`label`, tab, text).

#![allow(clippy::print_stderr, reason = "a bench says what failed")]

#[path = "../tests/held_out/mod.rs"]
mod held_out;
#[path = "speech/mod.rs"]
mod speech;

use callwright::config::EngineChoice;
use callwright::pipeline::intent::extract;
use callwright::speech::{AgentSpeech, SpeechConfig};
use callwright_models::pack::{Kind, Shelf};
use speech::channel::{Channel, Noises};
use speech::corpus::{self, Asked, Line};
use speech::machine::quantile;
use speech::meaning::{Measure, Taken, judge};
use speech::report::Report;
use speech::score::digits;
use speech::stock::Stock;
use speech::talks::Manner;
use speech::turns::{Job, Run};
use speech::voices::{ASIDE, VOICES, Voices};
use speech::{blame, human, machine, mouth, product, talks};
use std::process::ExitCode;

/// The recogniser that a fresh box hears with, and the one that serves where it is missing.
const DEFAULT: &str = "moonshine";
const BEHIND: &str = "pocketsphinx";
const LOSS_PERCENT: f64 = 3.0;
/// What counts as a good line, dB.
const GOOD_SNR_DB: u32 = 20;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    if let Some(decoders) = number("BENCH_MEMORY") {
        return memory_child(decoders, number("BENCH_AGENTS").unwrap_or(1));
    }
    match Bench::new().and_then(Bench::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-speech: {why}");
            ExitCode::FAILURE
        }
    }
}

/// One part of the bench.
type Part = fn(&mut Bench) -> Result<(), String>;

/// What is said, by whom, and how it sounds.
type OneVoice = (Line, &'static str, Vec<i16>);

/// What is said, by whom.
struct Said {
    lines: Vec<Line>,
    /// By voice, then by line.
    speech: Vec<(&'static str, Vec<Vec<i16>>)>,
}

impl Said {
    fn new(voices: &mut Voices, names: &[&'static str], lines: Vec<Line>) -> Result<Self, String> {
        let texts: Vec<String> = lines.iter().map(Line::spoken).collect();
        let speech =
            names.iter().map(|name| Ok((*name, voices.say_all(name, &texts)?))).collect::<Result<_, String>>()?;
        Ok(Self { lines, speech })
    }

    /// Each line by one voice, the voices taking turns.
    fn by_turns(voices: &mut Voices, names: &[&'static str], lines: Vec<Line>) -> Result<Vec<OneVoice>, String> {
        let each = |(n, line): (usize, Line)| {
            let voice = names[n % names.len()];
            let speech = voices.say(voice, &line.spoken())?;
            Ok((line, voice, speech))
        };
        lines.into_iter().enumerate().map(each).collect()
    }

    /// Each line by each voice for which `pick(line, voice)` holds, on one kind of line.
    fn jobs(&self, channel: Channel, pick: impl Fn(usize, usize) -> bool) -> Vec<Job<'_>> {
        let mut jobs = Vec::new();
        for (v, (voice, speech)) in self.speech.iter().enumerate() {
            for (n, (line, speech)) in self.lines.iter().zip(speech).enumerate().filter(|(n, _)| pick(*n, v)) {
                let _ = n;
                jobs.push(Job { line, voice, speech, channel });
            }
        }
        jobs
    }
}

struct Bench {
    quick: bool,
    parts: Option<Vec<String>>,
    config: SpeechConfig,
    voices: Voices,
    noises: Noises,
    said: Said,
    report: Report,
}

fn on(snr: u32, loss_percent: f64) -> Channel {
    Channel { snr_db: Some(snr), loss_percent }
}

/// Each once, good lines and fair ones in turn.
fn by_turns(said: &[OneVoice]) -> Vec<Job<'_>> {
    let snr = |n: usize| if (n / VOICES.len()).is_multiple_of(2) { 30 } else { 20 };
    said.iter()
        .enumerate()
        .map(|(n, (line, voice, speech))| Job { line, voice, speech, channel: on(snr(n), LOSS_PERCENT) })
        .collect()
}

fn prompt_job(prompt: &human::Prompt) -> Job<'_> {
    Job { line: &prompt.line, voice: "human", speech: &prompt.speech, channel: on(30, 0.0) }
}

impl Bench {
    fn new() -> Result<Self, String> {
        let quick = std::env::var("BENCH_QUICK").is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
        let parts = std::env::var("BENCH_PARTS").ok().map(|list| list.split(',').map(str::to_owned).collect());
        let report = Report::new(quick);
        let mut voices = Voices::new(&report.cache());
        let every = if quick { 5 } else { 1 };
        let lines: Vec<Line> = corpus::lines().into_iter().step_by(every).collect();
        let said = Said::new(&mut voices, &VOICES, lines)?;
        // Six people talk in the background: each voice twice, with other texts.
        let babble: Vec<Vec<i16>> = said
            .speech
            .iter()
            .flat_map(|(_, speech)| speech.chunks(speech.len().div_ceil(2)).map(<[_]>::concat))
            .collect();
        // An active pack must not stand in for the default.
        let config = SpeechConfig {
            asr: EngineChoice::parse(DEFAULT)?,
            voice: EngineChoice::parse(mouth::VOICE)?,
            // Packs are tried by a child of it.
            program: Some(env!("CARGO_BIN_EXE_callwright").into()),
            ..SpeechConfig::default()
        };
        Ok(Self { quick, parts, config, voices, noises: Noises::new(&babble), said, report })
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.iter().any(|wanted| wanted == part))
    }

    /// The product with the recogniser that stands behind the default.
    fn behind(&self) -> Result<SpeechConfig, String> {
        Ok(SpeechConfig { asr: EngineChoice::parse(BEHIND)?, ..self.config.clone() })
    }

    fn run(mut self) -> Result<(), String> {
        // A machine without it would be measured with what stands in.
        let (loaded, note) = speech::line::Rig::start(&self.config)?.recogniser();
        if !loaded.starts_with(DEFAULT) {
            return Err(format!("{DEFAULT} cannot be loaded: {note}"));
        }
        self.report.say(&format!(
            "{} sentences that nobody taught, by {}; {}; load {}",
            self.said.lines.len(),
            VOICES.join(", "),
            machine::processor(),
            machine::load()
        ));
        let parts: [(&str, Part); 10] = [
            ("words", Self::words),
            ("intents", Self::intents),
            ("digits", Self::digits),
            ("human", Self::human),
            ("finals", Self::finals),
            ("memory", Self::memory),
            ("mouth", Self::mouth),
            ("talks", Self::talks),
            ("packs", Self::packs),
            ("say", Self::say),
        ];
        for (name, part) in parts {
            if self.wants(name) {
                part(&mut self)?;
                self.report.save()?;
            }
        }
        self.report.say(
            "written to target/bench: speech.json; speech-heard.tsv (every turn); speech-errors.md (where they come from)",
        );
        Ok(())
    }

    /// Words and meaning, ours and stock's.
    fn words(&mut self) -> Result<(), String> {
        let (said, noises) = (&self.said, &self.noises);
        let mut jobs = Vec::new();
        for snr in [30, 20] {
            jobs.extend(said.jobs(on(snr, LOSS_PERCENT), |_, _| true));
        }
        // Each sentence once, the voices taking turns.
        jobs.extend(said.jobs(on(10, LOSS_PERCENT), |n, v| n % 3 == v));
        jobs.extend(said.jobs(on(20, 0.0), |n, v| n % 3 == v));
        let ours = product::run("the default hears", &self.config, &jobs, noises)?;
        self.report.keep("default", &ours);
        self.report.blame(&blame::page("the default", &ours))?;
        self.report.save()?;
        let mut jobs = Vec::new();
        // Stock takes ten times as long as ours: every second sentence, and fewer of the bad line.
        let (thin, bad) = if self.quick { (3, usize::MAX) } else { (2, 6) };
        for (turn, snr) in [30, 20, 10].into_iter().enumerate() {
            let thin = if snr == 10 { bad } else { thin };
            // Pairs of sentences: one of each half.
            let pick = |n: usize, v: usize| (n / 2 + 1).is_multiple_of(thin) && (n / 2 / thin + n + turn) % 3 == v;
            jobs.extend(said.jobs(on(snr, LOSS_PERCENT), pick));
        }
        let behind = if self.wants("behind") {
            let behind = product::run("the one behind it hears", &self.behind()?, &jobs, noises)?;
            self.report.keep(BEHIND, &behind);
            behind
        } else {
            Run::default()
        };
        let stock = if self.wants("stock") {
            let stock = Stock::install(&self.report.cache())?.run("stock PocketSphinx hears", &jobs, noises)?;
            self.report.keep("stock", &stock);
            stock
        } else {
            Run::default()
        };
        tell_words(&mut self.report, &self.said, [&ours, &behind, &stock]);
        Ok(())
    }

    /// Wants of all labels, held out from what trains them, said once each by the voices in turn.
    fn intents(&mut self) -> Result<(), String> {
        let turns: Vec<_> = held_out::turns().into_iter().step_by(if self.quick { 4 } else { 1 }).collect();
        let lines = turns.iter().map(|turn| Line {
            held: true,
            asked: Asked::Free,
            meant: turn.label.into(),
            text: turn.text.into(),
        });
        let said = Said::by_turns(&mut self.voices, &VOICES, lines.collect())?;
        let run = product::run("wants of all kinds", &self.config, &by_turns(&said), &self.noises)?;
        let (mut heard, mut written) = (held_out::Tally::default(), held_out::Tally::default());
        let mut page = String::from("voice\tsnr_db\tmeant\ttaken\tconfidence\tsaid\theard\n");
        for outcome in &run.outcomes {
            let Some(turn) = turns.iter().find(|turn| turn.text == outcome.job.line.text) else { continue };
            let taken = extract(&outcome.text, &[]);
            heard.add(turn, &taken);
            written.add(turn, &extract(turn.text, &[]));
            let snr = outcome.job.channel.snr_db.unwrap_or_default();
            page += &format!(
                "{}\t{snr}\t{}\t{}\t{:.2}\t{}\t{}\n",
                outcome.job.voice,
                turn.label,
                taken.intent.name(),
                taken.confidence,
                turn.text,
                outcome.text
            );
        }
        self.report.page("speech-intents.tsv", &page)?;
        self.report.part("Wants of all labels, held out", &["heard", "as written"]);
        let both = [&heard, &written];
        self.report.row("turns", 0, &both.map(|tally| tally.turns as f64));
        self.report.row("word errors, %", 1, &[run.errors(|_| true).percent(), 0.0]);
        self.report.row("macro-F1 of the labels", 3, &both.map(held_out::Tally::macro_f1));
        self.report.row("F1 of the slots", 3, &both.map(|tally| tally.slots.f1()));
        self.report.row("precision of what fires", 3, &both.map(held_out::Tally::fired_precision));
        self.report.row("recall of what fires", 3, &both.map(held_out::Tally::fired_recall));
        self.report.row("false triggers in 100 negatives", 2, &both.map(held_out::Tally::false_triggers_percent));
        for (key, value) in [
            ("turns", heard.turns as f64),
            ("wer", run.errors(|_| true).percent()),
            ("macro_f1", heard.macro_f1()),
            ("macro_f1_as_written", written.macro_f1()),
            ("slots", heard.slots.f1()),
            ("fired_precision", heard.fired_precision()),
            ("fired_recall", heard.fired_recall()),
            ("false_triggers_percent", heard.false_triggers_percent()),
            ("false_builds", heard.false_builds as f64),
            ("right", heard.right as f64 / heard.turns.max(1) as f64),
        ] {
            self.report.put(format!("intents_asr_{key}"), value);
        }
        Ok(())
    }

    /// The sentences of a file, a label and a text in each line, and what the product makes of them: nothing is scored but the
    /// words. A label may begin with what was asked: "what", "features", "approval", "free".
    fn say(&mut self) -> Result<(), String> {
        let Some(file) = std::env::var_os("BENCH_SAY") else { return Ok(()) };
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let lines = text.lines().filter_map(|line| line.split_once('\t')).map(|(label, text)| Line {
            held: false,
            asked: label.split(' ').next().and_then(Asked::of).unwrap_or(Asked::Free),
            meant: label.into(),
            text: text.into(),
        });
        let said = Said::by_turns(&mut self.voices, &VOICES, lines.collect())?;
        let run = product::run("the sentences of a file", &self.config, &by_turns(&said), &self.noises)?;
        let mut page = String::from("label\tsaid\theard\tvoice\tsnr_db\tconfidence\twanted\tsure\ttaken\tothers\n");
        for outcome in &run.outcomes {
            let (job, snr) = (outcome.job, outcome.job.channel.snr_db.unwrap_or_default());
            let (line, heard) = (job.line, &outcome.text);
            let found = extract(heard, &[]);
            let (wanted, sure) = (found.intent.name(), found.confidence);
            // What a label says behind the question is what is meant, as the corpus has it.
            let meant = line.meant.split_once(' ').filter(|(asked, _)| Asked::of(asked).is_some());
            let taken = meant.map(|(_, meant)| {
                judge(Measure::Frame, &Line { meant: meant.into(), ..line.clone() }, heard, outcome.confidence)
            });
            let taken = taken.map_or_else(|| "-".into(), |taken| format!("{taken:?}"));
            page += &format!(
                "{}\t{}\t{heard}\t{}\t{snr}\t{:.2}\t{wanted}\t{sure:.3}\t{taken}\t{}\n",
                line.meant,
                line.text,
                job.voice,
                outcome.confidence,
                outcome.alternatives.join(" / ")
            );
        }
        self.report.page("speech-said.tsv", &page)?;
        self.report.part("Sentences of a file", &["heard"]);
        self.report.row("sentences", 0, &[run.outcomes.len() as f64]);
        self.report.row("word errors, %", 1, &[run.errors(|_| true).percent()]);
        Ok(())
    }

    /// Dictated numbers.
    fn digits(&mut self) -> Result<(), String> {
        let numbers = corpus::numbers().into_iter().step_by(if self.quick { 3 } else { 1 }).collect();
        let said = Said::new(&mut self.voices, &[VOICES[0], VOICES[1], VOICES[2], ASIDE], numbers)?;
        let lines = [on(30, LOSS_PERCENT), on(30, 0.0), on(20, LOSS_PERCENT)];
        let jobs: Vec<Job<'_>> = lines.iter().flat_map(|channel| said.jobs(*channel, |_, _| true)).collect();
        let run = product::run("numbers", &self.config, &jobs, &self.noises)?;
        self.report.keep("default", &run);
        self.report.part("Numbers of ten digits, exact, %", &["30 dB", "no loss", "20 dB"]);
        let mut best: f64 = 0.0;
        for (voice, _) in &said.speech {
            let exact = lines.map(|channel| {
                let of: Vec<_> =
                    run.outcomes.iter().filter(|o| o.job.voice == *voice && o.job.channel == channel).collect();
                let right = of.iter().filter(|o| digits(&o.job.line.text) == digits(&o.text)).count();
                100.0 * right as f64 / of.len().max(1) as f64
            });
            self.report.row(&if *voice == ASIDE { format!("{voice} (aside)") } else { (*voice).into() }, 1, &exact);
            for (name, exact) in ["30db", "30db_no_loss", "20db"].iter().zip(exact) {
                self.report.put(format!("digits_exact_{voice}_{name}"), exact);
            }
            if *voice != ASIDE {
                best = best.max(exact[0]);
            }
        }
        self.report.put("digits_exact_best_30db", best);
        Ok(())
    }

    /// Whatever better recogniser and voice is installed, on a third of the turns.
    fn packs(&mut self) -> Result<(), String> {
        let models = std::env::var_os("BENCH_MODELS").map_or_else(|| self.config.models.clone(), Into::into);
        let installed = Shelf::open(&models).installed();
        if installed.is_empty() {
            self.report.say(&format!("No pack is installed in {}: callwright models list", models.display()));
            return Ok(());
        }
        let prompts = human::prompts(&self.report.cache(), 24)?;
        let people: Vec<Job<'_>> = prompts.iter().map(prompt_job).collect();
        self.report
            .part("Installed packs", &["word err %", "intent %", "frame %", "human %", "CPU/speech", "final p95"]);
        for pack in installed.iter().filter(|pack| matches!(pack.pack.kind, Kind::StreamingAsr | Kind::OfflineAsr)) {
            let name = &pack.pack.name;
            let asr = EngineChoice::parse(name)?;
            let config = SpeechConfig { asr, models: models.clone(), ..self.config.clone() };
            let (loaded, note) = speech::line::Rig::start(&config)?.recogniser();
            if !loaded.contains(name) {
                self.report.say(&format!("{name} could not be loaded: {note}"));
                continue;
            }
            let thin = if self.quick { 3 } else { 1 };
            let mut jobs = Vec::new();
            for (turn, snr) in [30, 20].into_iter().enumerate() {
                jobs.extend(self.said.jobs(on(snr, LOSS_PERCENT), |n, v| (n / thin + turn) % 3 == v && n % thin == 0));
            }
            let run = product::run(&format!("{name} hears"), &config, &jobs, &self.noises)?;
            let person = product::run(&format!("{name} hears a person"), &config, &people, &self.noises)?;
            let paced: Vec<Job<'_>> = jobs.iter().step_by(12).copied().collect();
            let paced = product::run_paced(&format!("{name} at the pace of a call"), &config, &paced, &self.noises)?;
            self.report.keep(name, &run);
            let key = name.replace(['-', '.'], "_");
            let figures = [
                ("wer_synthetic", run.errors(|_| true).percent()),
                ("intent_accuracy", run.understood(Measure::Intent, |_| true).0),
                ("frame_accuracy", run.understood(Measure::Frame, |_| true).0),
                ("wer_human", person.errors(|_| true).percent()),
                ("rtf", paced.rtf()),
                ("final_ms_p95", quantile(&paced.finals_ms(), 0.95)),
            ];
            self.report.row(name, 2, &figures.map(|(_, value)| value));
            for (figure, value) in figures {
                self.report.put(format!("pack_{key}_{figure}"), value);
            }
        }
        let voices: Vec<&str> =
            installed.iter().filter(|pack| pack.pack.kind == Kind::Tts).map(|pack| pack.pack.name.as_str()).collect();
        if voices.is_empty() {
            return Ok(());
        }
        let columns = ["first p50", "first p95", "CPU/speech", "late p95", "cancel p95"];
        self.report.part("Installed voices beside the built-in one, ms", &columns);
        let mut texts = mouth::texts();
        texts.truncate(if self.quick { 10 } else { texts.len() });
        for name in voices.into_iter().chain([mouth::VOICE]) {
            let voice = EngineChoice::parse(name)?;
            let config = SpeechConfig { voice, models: models.clone(), ..self.config.clone() };
            let spoken = match mouth::product(&config, &texts) {
                Ok(spoken) => spoken,
                Err(why) => {
                    self.report.say(&format!("{name}: {why}"));
                    continue;
                }
            };
            let figures = [
                ("first_audio_ms_p50", spoken.first(0.5)),
                ("first_audio_ms_p95", spoken.first(0.95)),
                ("rtf", spoken.rtf()),
                ("cancel_audio_ms_p95", quantile(&spoken.late_ms, 0.95)),
                ("cancel_wall_ms_p95", quantile(&spoken.stopped_ms, 0.95)),
            ];
            self.report.row(name, 3, &figures.map(|(_, value)| value));
            for (figure, value) in figures.into_iter().filter(|_| name != mouth::VOICE) {
                self.report.put(format!("pack_{}_{figure}", name.replace(['-', '.'], "_")), value);
            }
        }
        Ok(())
    }

    /// Prompts read by a person.
    fn human(&mut self) -> Result<(), String> {
        let prompts = human::prompts(&self.report.cache(), if self.quick { 24 } else { 150 })?;
        let jobs: Vec<Job<'_>> = prompts.iter().map(prompt_job).collect();
        let ours = product::run("a person is heard", &self.config, &jobs, &self.noises)?;
        self.report.keep("default", &ours);
        let (mut behind, mut stock) = (Run::default(), Run::default());
        if self.wants("behind") {
            behind = product::run("the one behind it hears a person", &self.behind()?, &jobs, &self.noises)?;
            self.report.keep(BEHIND, &behind);
        }
        if self.wants("stock") {
            stock = Stock::install(&self.report.cache())?.run("stock hears a person", &jobs, &self.noises)?;
            self.report.keep("stock", &stock);
        }
        let found = [&ours, &behind, &stock].map(|run| run.errors(|_| true));
        self.report.part("A person's telephone prompts", &["default", "behind it", "stock"]);
        self.report.row("prompts", 0, &found.map(|errors| errors.texts as f64));
        let percents = found.map(|errors| if errors.texts > 0 { errors.percent() } else { f64::NAN });
        self.report.row("word errors, %", 1, &percents);
        self.report.say(
            "The prompts speak of telephones, not of the agent's domain: the one behind the default knows few of their words.",
        );
        for (engine, percent) in ["default", BEHIND, "stock"].iter().zip(percents) {
            self.report.put(format!("{engine}_wer_human"), percent);
        }
        self.report.put("human_prompts", found[0].texts as f64);
        Ok(())
    }

    /// From the end of a turn to its result, at the pace of a call.
    fn finals(&mut self) -> Result<(), String> {
        let every = if self.quick { 6 } else { 5 };
        let jobs = self.said.jobs(on(GOOD_SNR_DB, LOSS_PERCENT), |n, v| n % every == 0 && (n / every) % 3 == v);
        let run = product::run_paced("finals at the pace of a call", &self.config, &jobs, &self.noises)?;
        let finals = run.finals_ms();
        let all = [quantile(&finals, 0.5), quantile(&finals, 0.95), quantile(&finals, 1.0)];
        self.report.part("Request for the result → result, ms", &["p50", "p95", "max"]);
        self.report.row(&format!("one caller, {} turns", finals.len()), 1, &all);
        self.report.put("final_ms_p50", all[0]);
        self.report.put("final_ms_p95", all[1]);
        self.report.put("final_ms_max", all[2]);
        self.report.put("rtf", run.rtf());
        self.report.put("vad_rtf", run.vad_s / run.speech_s());
        self.report.put("streams_per_core", 1.0 / (run.rtf() + run.vad_s / run.speech_s()));
        self.report.part("CPU time per time of speech", &["recogniser", "ears", "streams"]);
        let streams = 1.0 / (run.rtf() + run.vad_s / run.speech_s());
        self.report.row(
            "20 dB, at the pace of a call; streams a core",
            3,
            &[run.rtf(), run.vad_s / run.speech_s(), streams],
        );
        Ok(())
    }

    /// Resident memory of one more thread that decodes, in processes of their own.
    fn memory(&mut self) -> Result<(), String> {
        let child = |decoders: usize, agents: usize| -> Result<f64, String> {
            let exe = std::env::current_exe().map_err(|e| e.to_string())?;
            let output = std::process::Command::new(exe)
                .env("BENCH_MEMORY", decoders.to_string())
                .env("BENCH_AGENTS", agents.to_string())
                .output()
                .map_err(|e| e.to_string())?;
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (one, five, three_agents) = (child(1, 1)?, child(5, 1)?, child(1, 3)?);
        let each = (five - one) / 4.0;
        self.report.part("Resident memory, MiB", &["default"]);
        self.report.row("one more recogniser thread", 1, &[each]);
        self.report.row("process with one of them, ears and voice", 1, &[one]);
        self.report.row("one more agent with words of its own", 1, &[(three_agents - one) / 2.0]);
        self.report.row("process that serves three such agents", 1, &[three_agents]);
        self.report.put("memory_mib_three_agents", three_agents);
        self.report.put("memory_mib_per_agent", (three_agents - one) / 2.0);
        self.report.put("memory_mib_per_decoder", each);
        self.report.put("memory_mib_one_decoder", one);
        Ok(())
    }

    /// How soon it speaks, what that costs, how soon it stops; beside the command.
    fn mouth(&mut self) -> Result<(), String> {
        let texts = mouth::texts();
        let ours = mouth::product(&self.config, &texts)?;
        let command = mouth::command(&self.report.cache(), &texts)?;
        self.report.part("Speaking", &["default", "flite cmd"]);
        self.report.row("first audio of a text, ms p50", 1, &[ours.first(0.5), command.first(0.5)]);
        self.report.row("first audio of a text, ms p95", 1, &[ours.first(0.95), command.first(0.95)]);
        self.report.row("CPU time per time of speech", 4, &[ours.rtf(), command.rtf()]);
        self.report.row("audio that follows a flush, ms p95", 0, &[quantile(&ours.late_ms, 0.95)]);
        self.report.row("flush → synthesis over, ms p95", 2, &[quantile(&ours.stopped_ms, 0.95)]);
        for (key, value) in [
            ("tts_first_audio_ms_p50", ours.first(0.5)),
            ("tts_first_audio_ms_p95", ours.first(0.95)),
            ("tts_rtf", ours.rtf()),
            ("tts_cancel_audio_ms_p95", quantile(&ours.late_ms, 0.95)),
            ("tts_cancel_audio_ms_max", quantile(&ours.late_ms, 1.0)),
            ("tts_cancel_wall_ms_p95", quantile(&ours.stopped_ms, 0.95)),
            ("flite_command_first_audio_ms_p50", command.first(0.5)),
            ("flite_command_first_audio_ms_p95", command.first(0.95)),
            ("flite_command_rtf", command.rtf()),
        ] {
            self.report.put(key, value);
        }
        Ok(())
    }

    /// Conversations at once on one core.
    fn talks(&mut self) -> Result<(), String> {
        let jobs = self.said.jobs(on(GOOD_SNR_DB, LOSS_PERCENT), |n, v| n % 3 == v);
        let seconds = if self.quick { 8 } else { 25 };
        let mut plan = vec![(Manner::Duplex, 10), (Manner::Talk, 10), (Manner::Talk, 25)];
        if !self.quick {
            plan.extend([(Manner::Duplex, 15), (Manner::Talk, 15), (Manner::Talk, 20)]);
            plan.sort_by_key(|(manner, lanes)| (*manner == Manner::Talk, *lanes));
        }
        let columns =
            ["finals p50", "finals p95", "breaks", "first p95", "core %", "caller %", "agent %", "both %", "holds"];
        self.report.part("Conversations at once on one core, ms", &columns);
        let mut most = [0; 2];
        for (manner, lanes) in plan {
            let found = talks::run(manner, lanes, seconds, &jobs, &self.noises, &self.config)?;
            let name = format!("{manner:?}").to_lowercase();
            let finals = [0.5, 0.95].map(|share| quantile(&found.finals_ms, share));
            let first = quantile(&found.first_ms, 0.95);
            let shares = [found.core_percent, found.caller_percent, found.agent_percent, found.both_percent];
            let holds = f64::from(u8::from(found.holds()));
            let mut values = vec![finals[0], finals[1], found.underruns as f64, first];
            values.extend(shares);
            values.push(holds);
            self.report.row(&format!("{name}, {lanes} conversations"), 0, &values);
            if found.holds() {
                let best = &mut most[usize::from(manner == Manner::Talk)];
                *best = lanes.max(*best);
            }
            for (key, value) in [
                ("final_ms_p95", finals[1]),
                ("underruns", found.underruns as f64),
                ("overflows", found.overflows as f64),
                ("first_audio_ms_p95", first),
                ("core_percent", found.core_percent),
                ("both_percent", found.both_percent),
                ("bench_late_ms", found.late_ms),
                ("holds", holds),
            ] {
                self.report.put(format!("conversations_{name}_{lanes}_{key}"), value);
            }
        }
        self.report.say("talk: in turns, every third caller interrupts and every third speaks over the agent; duplex: both all the time.");
        self.report.say("holds (1): finals p95 at most 500 ms and no break in the agent's audio.");
        self.report.put("conversations_duplex", most[0] as f64);
        self.report.put("conversations_talk", most[1] as f64);
        Ok(())
    }
}

/// Started by [`Bench::memory`]: a plane with so many recogniser threads for so many agents, and what it holds.
#[allow(clippy::print_stdout, reason = "the answer to the parent")]
fn memory_child(decoders: usize, agents: usize) -> ExitCode {
    let asr = EngineChoice::parse(DEFAULT).unwrap_or_default();
    let own = |n: usize| AgentSpeech {
        name: format!("agent-{n}"),
        vocabulary: vec![format!("Agent {n}"), "ERP".into(), "Wexford".into()],
        ..AgentSpeech::default()
    };
    let agents = (0..agents).map(own).collect();
    let config = SpeechConfig { asr, recogniser_threads: decoders, agents, ..SpeechConfig::default() };
    match speech::line::Rig::start(&config) {
        Ok(_rig) => {
            println!("{}", machine::resident_mib());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("bench-speech: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the default, the one behind it and stock made of the words; the latter two of fewer turns.
fn tell_words(report: &mut Report, said: &Said, [ours, behind, stock]: [&Run<'_>; 3]) {
    let with_stock = !stock.outcomes.is_empty();
    let good = |job: &Job<'_>| job.channel.snr_db >= Some(GOOD_SNR_DB) && job.channel.loss_percent > 0.0;
    let among = |run: &Run<'_>, job: &Job<'_>| {
        run.outcomes
            .iter()
            .any(|o| std::ptr::eq(o.job.line, job.line) && o.job.voice == job.voice && o.job.channel == job.channel)
    };
    let fewer = if with_stock { stock } else { behind };
    let also_stock = |job: &Job<'_>| among(fewer, job);
    report.part("Word errors, %", &["default", "same turns", "behind it", "stock"]);
    type Pick<'p> = Box<dyn Fn(&Job<'_>) -> bool + 'p>;
    let mut rows: Vec<(String, String, Pick<'_>)> =
        vec![("unseen sentences, 20 dB and better".into(), "synthetic".into(), Box::new(good))];
    for voice in VOICES {
        rows.push((format!("  {voice}"), voice.into(), Box::new(move |job| good(job) && job.voice == voice)));
    }
    rows.push((
        "  the half that is for looking at".into(),
        "dev".into(),
        Box::new(move |job| good(job) && !job.line.held),
    ));
    rows.push((
        "  the half that nobody tunes to".into(),
        "held".into(),
        Box::new(move |job| good(job) && job.line.held),
    ));
    for snr in [30, 20, 10] {
        let pick = move |job: &Job<'_>| job.channel == on(snr, LOSS_PERCENT);
        rows.push((format!("{snr} dB"), format!("{snr}db"), Box::new(pick)));
    }
    rows.push(("20 dB, no packet lost".into(), "20db_no_loss".into(), Box::new(|job| job.channel == on(20, 0.0))));
    for (name, key, pick) in &rows {
        let (all, second, theirs) = (ours.errors(pick), behind.errors(pick), stock.errors(pick));
        let same = ours.errors(|job| pick(job) && also_stock(job));
        let or_dash = |errors: speech::score::Errors| if errors.texts > 0 { errors.percent() } else { f64::NAN };
        report.row(name, 1, &[all, same, second, theirs].map(or_dash));
        report.put(format!("default_wer_{key}"), or_dash(all));
        report.put(format!("{BEHIND}_wer_{key}"), or_dash(second));
        report.put(format!("stock_wer_{key}"), or_dash(theirs));
        if key == "synthetic" {
            report.put("default_wer_on_stock_turns", or_dash(same));
        }
    }
    let same = ours.errors(|job| good(job) && with_stock && also_stock(job)).percent();
    report.put("wer_share_of_stock", same / stock.errors(good).percent());
    report.part("Sentences, %", &["default", "behind it", "stock", "perfect ear"]);
    let exact = |run: &Run<'_>| if run.outcomes.is_empty() { f64::NAN } else { run.errors(good).exact_percent() };
    report.row("without any error", 1, &[exact(ours), exact(behind), exact(stock), 100.0]);
    for measure in [Measure::Intent, Measure::Frame] {
        tell_meaning(report, measure, said, [ours, behind, stock], good);
    }
    for (key, value) in [
        ("default_sentences_exact", exact(ours)),
        ("stock_sentences_exact", exact(stock)),
        ("sentences", said.lines.len() as f64),
        ("rtf_fast", ours.rtf()),
        ("stock_rtf", if with_stock { stock.rtf() } else { f64::NAN }),
        ("stock_final_ms_p50", quantile(&stock.finals_ms(), 0.5)),
        ("stock_final_ms_p95", quantile(&stock.finals_ms(), 0.95)),
        ("stock_memory_mib_per_decoder", if with_stock { stock.memory_mib } else { f64::NAN }),
    ] {
        report.put(key, value);
    }
    if with_stock {
        report.part("Cost", &["default", "stock"]);
        report.row("CPU time per time of speech", 3, &[ours.rtf(), stock.rtf()]);
        report.row(
            "result after the audio, p95, ms (both cores busy)",
            0,
            &[quantile(&ours.finals_ms(), 0.95), quantile(&stock.finals_ms(), 0.95)],
        );
    }
}

/// What the engines made of what is meant, by one measure. The strict reading of every row: taken up at once.
fn tell_meaning(
    report: &mut Report,
    measure: Measure,
    said: &Said,
    runs: [&Run<'_>; 3],
    good: impl Fn(&Job<'_>) -> bool + Copy,
) {
    let name = measure.name();
    let title = match measure {
        Measure::Intent => "Intent accuracy: the class at once, %",
        Measure::Frame => "Frame accuracy: class and all features, %",
    };
    report.part(title, &["default", "behind it", "stock", "perfect ear"]);
    let ceiling = |of: &[Taken], pick: &dyn Fn(&Line) -> bool| {
        let lines: Vec<&Line> = said.lines.iter().filter(|line| pick(line)).collect();
        let right = lines.iter().filter(|line| of.contains(&judge(measure, line, &line.text, 1.0))).count();
        100.0 * right as f64 / lines.len().max(1) as f64
    };
    let led = [Taken::Right, Taken::AskedBack];
    let found = runs.map(|run| run.understood(measure, good));
    let top = (ceiling(&led[..1], &|_| true), ceiling(&led, &|_| true));
    report.row("taken as meant at once", 1, &[found[0].0, found[1].0, found[2].0, top.0]);
    report.row("taken as meant, or asked back about", 1, &[found[0].1, found[1].1, found[2].1, top.1]);
    let kept = runs.map(|run| kept(measure, run, good));
    report.row("taken as a perfect ear would", 1, &[kept[0], kept[1], kept[2], 100.0]);
    for (key, value) in [
        (name.to_owned(), found[0].0),
        (format!("{name}_or_asked_back"), found[0].1),
        (format!("{name}_as_perfect_ear"), kept[0]),
        (format!("{name}_perfect_ear"), top.0),
        (format!("{name}_or_asked_back_perfect_ear"), top.1),
        (format!("{BEHIND}_{name}"), found[1].0),
        (format!("stock_{name}"), found[2].0),
    ] {
        report.put(key, value);
    }
    for (half, held) in [("dev", false), ("held", true)] {
        let pick = |job: &Job<'_>| good(job) && job.line.held == held;
        let found = runs.map(|run| run.understood(measure, pick));
        let top = ceiling(&led[..1], &|line| line.held == held);
        let row = if held { "  the half that nobody tunes to" } else { "  the half that is for looking at" };
        report.row(row, 1, &[found[0].0, found[1].0, found[2].0, top]);
        report.put(format!("{name}_{half}"), found[0].0);
        report.put(format!("{name}_or_asked_back_{half}"), found[0].1);
        report.put(format!("{name}_perfect_ear_{half}"), top);
    }
    for asked in [Asked::What, Asked::Features, Asked::Approval, Asked::Free] {
        let pick = |job: &Job<'_>| good(job) && job.line.asked == asked;
        let found = runs.map(|run| run.understood(measure, pick).0);
        let asked = format!("{asked:?}").to_lowercase();
        report.row(&format!("  {asked}"), 1, &found);
        report.put(format!("{name}_{asked}"), found[0]);
    }
}

/// Percent of turns that are taken as their own text would be.
fn kept(measure: Measure, run: &Run<'_>, of: impl Fn(&Job<'_>) -> bool) -> f64 {
    let picked: Vec<_> = run.outcomes.iter().filter(|o| of(&o.job)).collect();
    let same = |o: &speech::turns::Outcome<'_>| {
        judge(measure, o.job.line, &o.text, o.confidence) == judge(measure, o.job.line, &o.job.line.text, 1.0)
    };
    if picked.is_empty() {
        return f64::NAN;
    }
    100.0 * picked.iter().filter(|o| same(o)).count() as f64 / picked.len() as f64
}

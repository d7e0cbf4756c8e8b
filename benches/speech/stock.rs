//! Stock PocketSphinx, the peer: the wheel of the package index in a process of its own. Purpose: what the product's default
//! would be without its own language model. Deliberately absent: a fall-back; a peer that cannot be had fails the bench with
//! the way to get it.

use super::channel::Noises;
use super::screen::{Progress, note};
use super::turns::{Job, Outcome, Run, calls};
use callwright_dsp::resample::half_band::Upsampler2;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const PACKAGE: &str = "pocketsphinx==5.1.1";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/pocketsphinx/hear.py");
/// Processes at once.
const PROCESSES: usize = 2;
/// Line before and after the speech that it gets: as much as the product decodes.
const MARGIN: usize = 2400;

/// The installed wheel.
pub struct Stock {
    site: PathBuf,
}

impl Stock {
    /// Installs the wheel into `cache` unless it is there. Fails with how to get it.
    pub fn install(cache: &Path) -> Result<Self, String> {
        let site = cache.join(PACKAGE.replace("==", "-"));
        if site.join("pocketsphinx").is_dir() {
            return Ok(Self { site });
        }
        note(&format!("fetching {PACKAGE} for comparison (29 MB)"));
        let partial = site.with_extension("partial");
        let output = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"])
            .arg(&partial)
            .arg(PACKAGE)
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .output()
            .map_err(|e| format!("python3: {e}"))?;
        if !output.status.success() {
            return Err(format!(
                "the peer is missing: python3 -m pip install --no-deps --target {} {PACKAGE}\n{}",
                site.display(),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        std::fs::rename(&partial, &site).map_err(|e| format!("{}: {e}", site.display()))?;
        Ok(Self { site })
    }

    /// Every job, two processes at once.
    pub fn run<'a>(&self, what: &str, jobs: &[Job<'a>], noises: &Noises) -> Result<Run<'a>, String> {
        let calls = calls(jobs);
        let (next, progress) = (AtomicUsize::new(0), Progress::new(what, jobs.len()));
        let run: Mutex<Run<'a>> = Mutex::default();
        std::thread::scope(|scope| {
            let listeners: Vec<_> = (0..PROCESSES)
                .map(|_| {
                    scope.spawn(|| -> Result<(), String> {
                        let mut peer = Peer::start(&self.site)?;
                        run.lock().map_err(|e| e.to_string())?.memory_mib = peer.memory_mib;
                        while let Some(turns) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                            for job in turns {
                                let (outcome, cpu_s) = peer.hear(job, noises)?;
                                let mut run = run.lock().map_err(|e| e.to_string())?;
                                run.outcomes.push(outcome);
                                run.recogniser_s += cpu_s;
                                progress.step();
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            listeners.into_iter().try_for_each(|one| one.join().map_err(|_| "a listener of the bench panicked")?)
        })?;
        run.into_inner().map_err(|e| e.to_string())
    }
}

struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    memory_mib: f64,
}

impl Peer {
    fn start(site: &Path) -> Result<Self, String> {
        let mut child = Command::new("python3")
            .arg(SCRIPT)
            .env("PYTHONPATH", site)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("python3: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the peer has no pipes".into());
        };
        let mut peer = Self { child, input, output: BufReader::new(output), memory_mib: f64::NAN };
        peer.memory_mib = peer.answer()?["memory_mib"].as_f64().unwrap_or(f64::NAN);
        Ok(peer)
    }

    fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|e| format!("the peer: {e}"))?;
        serde_json::from_str(&line).map_err(|_| format!("the peer ended or said {line:?}; see its message above"))
    }

    fn hear<'a>(&mut self, job: &Job<'a>, noises: &Noises) -> Result<(Outcome<'a>, f64), String> {
        let turn = job.turn(noises, job.tail());
        let narrow: Vec<i16> = turn.packets.iter().flat_map(|packet| packet.pcm).collect();
        let from = turn.speech_end - job.speech.len();
        let cut = &narrow[from.saturating_sub(MARGIN)..(turn.speech_end + MARGIN).min(narrow.len())];
        let mut wide = vec![0; cut.len() * 2];
        Upsampler2::default().process(cut, &mut wide);
        let mut octets = (wide.len() as u32).to_le_bytes().to_vec();
        octets.extend(wide.iter().flat_map(|sample| sample.to_le_bytes()));
        self.input.write_all(&octets).and_then(|()| self.input.flush()).map_err(|e| format!("the peer: {e}"))?;
        let answer = self.answer()?;
        let outcome = Outcome {
            job: *job,
            text: answer["text"].as_str().unwrap_or_default().to_owned(),
            confidence: 1.0,
            alternatives: Vec::new(),
            final_ms: answer["final_ms"].as_f64().unwrap_or(f64::NAN),
        };
        Ok((outcome, answer["cpu_s"].as_f64().unwrap_or(f64::NAN)))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It would end at the end of its input, too; nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The product's ears under test. Purpose: turns through the speech plane exactly as the daemon has it: rings, voice
//! detection, pool, the agent's own language model, the search that the question asks for. Threads of its own, which play
//! media workers. Deliberately absent: sockets, turn-taking (the turn ends where the endpointer would end it at the
//! earliest).

use super::channel::Noises;
use super::line::Rig;
use super::machine::{cpu_s, recogniser_cpu_s};
use super::screen::Progress;
use super::turns::{Job, Outcome, Run, calls};
use callwright::speech::SpeechConfig;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Callers at once while words are counted; figures of time come from elsewhere.
const CALLERS: usize = 2;

/// Every job as fast as the engine decodes.
pub fn run<'a>(what: &str, config: &SpeechConfig, jobs: &[Job<'a>], noises: &Noises) -> Result<Run<'a>, String> {
    let config = SpeechConfig { recognisers: 2 * CALLERS, recogniser_threads: CALLERS, ..config.clone() };
    let rig = Rig::start(&config)?;
    let calls = calls(jobs);
    let (next, progress) = (AtomicUsize::new(0), Progress::new(what, jobs.len()));
    let results: Mutex<Vec<(usize, Vec<Outcome<'a>>)>> = Mutex::default();
    let (recogniser, vad) = (recogniser_cpu_s(), cpu_s("ears"));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let caller = std::thread::Builder::new().name("caller".into());
                caller.spawn_scoped(scope, || -> Result<(), String> {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(turns) = calls.get(at) else { return Ok(()) };
                        let mut call = rig.call()?;
                        let mut outcomes = Vec::with_capacity(turns.len());
                        for job in turns {
                            let turn = job.turn(noises, job.tail());
                            let heard = call.hear(job.line.asked.expectation(), &turn.packets)?;
                            outcomes.push(Outcome {
                                job: *job,
                                text: heard.text,
                                confidence: heard.confidence,
                                alternatives: heard.alternatives,
                                final_ms: heard.took.as_secs_f64() * 1e3,
                            });
                            progress.step();
                        }
                        results.lock().map_err(|e| e.to_string())?.push((at, outcomes));
                    }
                })
            })
            .collect();
        callers.into_iter().try_for_each(|caller| {
            let caller = caller.map_err(|e| e.to_string())?;
            caller.join().map_err(|_| "a caller of the bench panicked")?
        })
    })?;
    let (recogniser_s, vad_s) = (recogniser_cpu_s() - recogniser, cpu_s("ears") - vad);
    let mut results = results.into_inner().map_err(|e| e.to_string())?;
    results.sort_by_key(|(at, _)| *at);
    let outcomes = results.into_iter().flat_map(|(_, outcomes)| outcomes).collect();
    Ok(Run { outcomes, recogniser_s, vad_s, memory_mib: f64::NAN })
}

/// Every job at the pace of a call, one caller alone: what the result takes when nothing else runs.
pub fn run_paced<'a>(what: &str, config: &SpeechConfig, jobs: &[Job<'a>], noises: &Noises) -> Result<Run<'a>, String> {
    let rig = Rig::start(config)?;
    let progress = Progress::new(what, jobs.len());
    let (recogniser, vad) = (recogniser_cpu_s(), cpu_s("ears"));
    let said = std::thread::scope(|scope| {
        let caller = std::thread::Builder::new().name("caller".into());
        let caller = caller.spawn_scoped(scope, || -> Result<Vec<Outcome<'a>>, String> {
            let mut outcomes = Vec::with_capacity(jobs.len());
            for turns in calls(jobs) {
                let mut call = rig.call()?;
                for job in turns {
                    let turn = job.turn(noises, job.tail());
                    let heard = call.hear_paced(job.line.asked.expectation(), &turn.packets)?;
                    let final_ms = heard.took.as_secs_f64() * 1e3;
                    outcomes.push(Outcome {
                        job,
                        text: heard.text,
                        confidence: heard.confidence,
                        alternatives: heard.alternatives,
                        final_ms,
                    });
                    progress.step();
                }
            }
            Ok(outcomes)
        });
        caller.map_err(|e| e.to_string())?.join().map_err(|_| "a caller of the bench panicked".to_owned())?
    });
    let (recogniser_s, vad_s) = (recogniser_cpu_s() - recogniser, cpu_s("ears") - vad);
    Ok(Run { outcomes: said?, recogniser_s, vad_s, memory_mib: f64::NAN })
}

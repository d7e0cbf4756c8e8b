//! The embedded voice through the mouth's own parts. Skipped, loudly, where it is not installed.
#![expect(clippy::print_stderr, reason = "a skipped test says so, measurements are printed")]

use super::super::clause::clauses;
use super::super::normalise::{Lexicon, Reading, normalise, normalise_as};
use super::timing::{Extent, word_times};
use super::voice::{Ending, Voice};
use callwright_dsp::level;
use callwright_models::Assets;
use callwright_models::tts::Flite;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const TEXTS: [&str; 24] = [
    "Hello, this is Grace.",
    "What shall I build for you today?",
    "I understood that you want a small CRM with contacts and deals for your sales team.",
    "Shall I build it? Please say yes, or tell me what to change.",
    "I build it now. It takes about ten seconds, and I tell you when it is live.",
    "Your CRM is live. You find it at port 8100.",
    "Deployed, 5 APIs live, 10 records.",
    "I'm sorry, I did not catch that. Could you say it again?",
    "You can also press 1 for yes and 2 for no.",
    "I can't build a blockchain yet, but I wrote it down as an open point.",
    "The build stopped in its third stage because a test failed. I try it once more.",
    "There were 42 requests since this morning, and none of them failed.",
    "Is there anything else that I can do for you?",
    "Thank you for calling. Goodbye.",
    "Would you like me to call you back when it is deployed?",
    "The web site has a booking form, opening hours and a page with your address.",
    "I replaced the field for the telephone number by one for the customer's e-mail address.",
    "One moment please.",
    "Your order came to $34.50 and was delivered on 3 March 2026.",
    "The customer's number is +1 555 123 4567.",
    "Everybody in the office can see it, but only the owner may change it.",
    "I found three customers of that name; which of them do you mean?",
    "Nobody has used it since Tuesday afternoon at half past four.",
    "You asked for an online shop with products, orders, customers and payment by invoice.",
];

fn voice(name: &str) -> Option<Voice> {
    match Flite::load(&Assets::locate(), name) {
        Ok(flite) => Some(Voice::new(Box::new(flite)).unwrap().0),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

#[test]
fn proportion_is_near_the_engines_own_times() {
    let mut errors: Vec<f64> = Vec::new();
    for name in ["slt", "rms"] {
        let Some(mut voice) = voice(name) else { return };
        for clause in TEXTS.iter().flat_map(|text| clauses(normalise(text))) {
            let (rendered, ending) = voice.render(&clause, &mut |_| ControlFlow::Continue(()));
            assert_eq!(ending, Ending::Whole);
            let speech_ms = (rendered.samples.len() / 8) as u32 - clause.pause_ms;
            let guessed = word_times(&clause, &[], 0, Extent::Whole(speech_ms));
            assert_eq!(guessed.len(), rendered.words.len());
            let ends = guessed.iter().zip(&rendered.words).take(guessed.len().saturating_sub(1));
            errors.extend(ends.map(|(guess, truth)| f64::from(guess.end_ms) - f64::from(truth.end_ms)));
        }
    }
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let bias = errors.iter().sum::<f64>() / errors.len() as f64;
    eprintln!(
        "{} words: mean error {mean:.0} ms, p95 {:.0} ms, bias {bias:.0} ms",
        sizes.len(),
        quantile(&sizes, 0.95)
    );
    assert!(mean < 100.0, "{mean}");
}

#[test]
fn words_that_were_cut_are_never_credited_early() {
    let Some(mut voice) = voice("slt") else { return };
    let (mut early, mut all) = (0, 0);
    for clause in TEXTS.iter().flat_map(|text| clauses(normalise(text))) {
        let (whole, _) = voice.render(&clause, &mut |_| ControlFlow::Continue(()));
        for part in [4, 3, 2] {
            let cut_ms = (whole.samples.len() / 8 / part) as u32;
            let credited = word_times(&clause, &[], 0, Extent::Cut(cut_ms, voice.pace())).len();
            let truth = whole.words.iter().filter(|word| word.end_ms <= cut_ms).count();
            all += 1;
            early += usize::from(credited > truth);
        }
    }
    eprintln!("{early} of {all} cuts credit a word too many");
    assert!(early * 20 <= all, "{early} of {all}");
}

#[test]
fn the_lexicons_sounds_are_spoken() {
    let Some(mut voice) = voice("slt") else { return };
    let mut length = |said: Option<&str>| {
        let lexicon = Lexicon::new(said.map(|said| ("Xyz", said))).unwrap();
        let reading = Reading { lexicon, ..Reading::default() };
        let clause = clauses(normalise_as("the word Xyz is", &reading)).remove(0);
        let (rendered, ending) = voice.render(&clause, &mut |_| ControlFlow::Continue(()));
        assert_eq!((ending, rendered.words.len()), (Ending::Whole, 4));
        rendered.words[2].end_ms - rendered.words[2].start_ms
    };
    let (short, long, plain) =
        (length(Some("/AY1/")), length(Some("/K AA1 L R AY0 T AH0 N IY0 S T AH0/")), length(Some("calling everybody")));
    assert!(short < 350 && long > short + 400 && plain > short + 300, "{short} {long} {plain}");
    assert!(length(None) > 150);
}

#[test]
fn every_voice_is_as_loud_on_the_line_and_never_clips() {
    for name in ["slt", "rms", "awb", "kal16"] {
        let Some(mut voice) = voice(name) else { return };
        let mut samples = Vec::new();
        for clause in TEXTS[..8].iter().flat_map(|text| clauses(normalise(text))) {
            samples.extend(voice.render(&clause, &mut |_| ControlFlow::Continue(())).0.samples);
        }
        let loud: Vec<i16> = samples.chunks(160).filter(|part| level::dbfs(part) > -40.0).flatten().copied().collect();
        let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
        eprintln!("{name}: {:.1} dBFS, peak {peak}", level::dbfs(&loud));
        assert!((-22.0..-18.0).contains(&level::dbfs(&loud)), "{name}: {}", level::dbfs(&loud));
        assert!(peak < 30_000, "{name}: {peak}");
    }
}

/// Prints how long a clause takes to its first audio; run with `--run-ignored only --no-capture`.
#[test]
#[ignore = "a measurement"]
fn first_audio() {
    let cpu = || {
        std::thread::yield_now();
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    for name in ["slt", "rms", "kal16"] {
        let Some(mut voice) = voice(name) else { return };
        let (mut first, mut later) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (mut spent, mut spoken) = (Duration::ZERO, 0);
        for _ in 0..5 {
            for text in TEXTS {
                for (n, clause) in clauses(normalise(text)).into_iter().enumerate() {
                    let (began, began_cpu) = (Instant::now(), cpu());
                    let mut took = None;
                    let (rendered, _) = voice.render(&clause, &mut |_| {
                        took.get_or_insert_with(|| (began.elapsed(), cpu() - began_cpu));
                        ControlFlow::Continue(())
                    });
                    spent += cpu() - began_cpu;
                    spoken += rendered.samples.len();
                    let (wall, cpu) = took.unwrap();
                    let kind = if n == 0 { &mut first } else { &mut later };
                    kind.0.push(wall.as_secs_f64() * 1000.0);
                    kind.1.push(cpu.as_secs_f64() * 1000.0);
                }
            }
        }
        for (what, (mut wall, mut cpu)) in [("first", first), ("later", later)] {
            wall.sort_by(f64::total_cmp);
            cpu.sort_by(f64::total_cmp);
            eprintln!(
                "{name} {what} clauses ({}): wall p50 {:.1} p95 {:.1} max {:.1} ms; CPU p50 {:.1} p95 {:.1} max {:.1} ms",
                wall.len(),
                quantile(&wall, 0.5),
                quantile(&wall, 0.95),
                quantile(&wall, 1.0),
                quantile(&cpu, 0.5),
                quantile(&cpu, 0.95),
                quantile(&cpu, 1.0),
            );
        }
        eprintln!("{name}: real-time factor {:.4}", spent.as_secs_f64() * 8000.0 / spoken as f64);
    }
}

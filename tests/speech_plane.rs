//! The speech plane end to end, through rings and without sockets: a synthetic caller over a G.711 line in, the agent's
//! frames out. Skipped, loudly, on a machine without the engines (`make setup`).
#![allow(clippy::print_stderr, reason = "measurements are printed")]

mod ears;

use callwright::config::EngineChoice;
use callwright::conversation::Expectation;
use callwright::id::{Generation, UtteranceId};
use callwright::media::OutFrame;
use callwright::pipeline::intent::Transcript;
use callwright::speech::{AgentSpeech, SpeechConfig, SpeechError, SpeechEvent};
use callwright_dsp::level;
use ears::{Call, Noise, PATIENCE, config, line, said, start, turn};
use ringbuf::traits::Observer;
use std::time::{Duration, Instant};

#[test]
fn a_request_is_heard_word_by_word() {
    // As fast as the ears read, the one that decodes turns again and again has no time for more.
    for (asr, least, said) in [
        ("auto", 1, "there is a lot of noise on this line"),
        ("pocketsphinx", 3, "i need a crm for my sales team with contacts and deals"),
    ] {
        let asr = EngineChoice::parse(asr).unwrap();
        let Some(rig) = start(&SpeechConfig { asr, ..config() }) else { return };
        let mut call = rig.call();
        let (text, _) = call.hear(Expectation::Open, &turn("rms", said));
        assert_eq!(text, said);
        let partials: Vec<_> = call.seen.iter().filter(|event| matches!(event, SpeechEvent::Partial { .. })).collect();
        assert!(partials.len() >= least, "{partials:?}");
    }
}

#[test]
fn speech_starts_and_ends_where_it_does() {
    let Some(rig) = start(&config()) else { return };
    for (voice, noise_amplitude) in [("rms", 0.0), ("awb", 0.0), ("rms", 150.0)] {
        let mut call = rig.call();
        let speech = said(voice, "build me an app for my customers please");
        let mut samples = vec![0; 8000];
        samples.extend(&speech);
        samples.extend([0; 8000]);
        let mut noise = Noise(5);
        for sample in &mut samples {
            *sample = sample.saturating_add(noise.next(noise_amplitude));
        }
        call.feed(&line(&samples));
        let onset = call.wait("onset", |event| match event {
            SpeechEvent::Onset { at, .. } => Some(at.0),
            _ => None,
        });
        call.lane.finalize();
        let (started, ended) = call.wait("final", |event| match event {
            SpeechEvent::Final { started, ended, .. } => Some((started.0, ended.0)),
            _ => None,
        });
        assert_eq!(started, onset);
        let (begin, end) = (8000_i64, 8000 + speech.len() as i64);
        let off_ms = |at: u64, truth: i64| (at as i64 - truth) / 8;
        assert!(off_ms(onset, begin).abs() <= 64, "{voice}: onset {} ms off", off_ms(onset, begin));
        assert!(off_ms(ended, end).abs() <= 64, "{voice}: end {} ms off", off_ms(ended, end));
    }
}

#[test]
fn voice_is_reported_often_while_it_matters() {
    let Some(rig) = start(&config()) else { return };
    let mut call = rig.call();
    call.feed(&vec![0; 8000 * 4]);
    call.feed(&turn("rms", "hello"));
    call.lane.finalize();
    call.wait("final", |event| matches!(event, SpeechEvent::Final { .. }).then_some(()));
    let voice = |from: u64, to: u64| {
        let within =
            |event: &&SpeechEvent| matches!(event, SpeechEvent::Voice { at, .. } if (from..to).contains(&at.0));
        call.seen.iter().filter(within).count()
    };
    assert!((6..=9).contains(&voice(0, 32_000)), "{} reports in 4 s of silence", voice(0, 32_000));
    assert!(voice(36_000, 44_000) >= 28, "{} reports in a second around speech", voice(36_000, 44_000));
}

#[test]
fn answers_are_heard_from_two_voices() {
    let Some(rig) = start(&config()) else { return };
    for voice in ["rms", "awb"] {
        let mut call = rig.followed_call();
        // The line is learnt from the request that comes before every question.
        call.hear(Expectation::Open, &turn(voice, "please build me a crm with contacts and deals"));
        for (said, heard) in [
            ("yes", &["yes"][..]),
            ("yes please", &["yes please"]),
            ("yeah", &["yeah", "yes", "yep"]),
            ("go ahead", &["go ahead"]),
            ("that's right", &["that's right", "right"]),
            ("no", &["no", "nope"]),
            ("stop", &["stop"]),
            ("cancel", &["cancel"]),
            ("wait", &["wait"]),
        ] {
            // Lone words of synthetic voices that are heard as "us", "counsel", "you got": they are asked about again.
            if [("awb", "yes"), ("awb", "cancel"), ("rms", "yeah")].contains(&(voice, said)) {
                continue;
            }
            let (text, confidence) = call.hear(Expectation::YesNo, &turn(voice, said));
            assert!(heard.contains(&text.as_str()), "{voice} said '{said}', heard '{text}' ({confidence:.2})");
            // A yeah is asked back about: a yes is written as often.
            if matches!(said, "yes" | "yes please" | "go ahead" | "that's right" | "no") {
                assert!(confidence >= 0.5, "{voice} said '{said}', heard '{text}' ({confidence:.2})");
            }
        }
    }
}

/// Numbers that nothing was heard of, or a part, while the likeliest text alone was pursued.
#[test]
fn numbers_of_ten_digits_are_heard_to_their_end() {
    let Some(rig) = start(&config()) else { return };
    for voice in ["rms", "slt"] {
        let mut call = rig.followed_call();
        call.hear(Expectation::Open, &turn(voice, "please build me a crm with contacts and deals"));
        let numbers = [
            "eight four eight four five one three five five nine",
            "five eight one four two eight four seven four seven",
            "one one nine six five two four six nine one",
            "four nine seven three three four oh six five four",
            "one five three three five eight eight two three four",
        ];
        let heard = numbers.map(|said| call.hear(Expectation::Digits { max: 10 }, &turn(voice, said)).0);
        let right = numbers.iter().zip(&heard).filter(|(said, heard)| *said == heard).count();
        assert!(right >= 4 && heard.iter().all(|heard| !heard.is_empty()), "{voice}: {right} of 5: {heard:?}");
    }
}

#[test]
fn digits_are_heard_from_two_voices() {
    let Some(rig) = start(&config()) else { return };
    for voice in ["rms", "awb"] {
        let mut call = rig.followed_call();
        call.hear(Expectation::Open, &turn(voice, "please build me a crm with contacts and deals"));
        let (mut right, mut heard) = (0, Vec::new());
        for said in ["one two three four", "five six seven eight", "nine zero four two", "three", "eight", "one nine"] {
            let (text, _) = call.hear(Expectation::Digits { max: 4 }, &turn(voice, said));
            right += usize::from(text == said);
            heard.push(text);
        }
        assert!(right >= 5, "{voice}: {right} of 6: {heard:?}");
    }
}

#[test]
fn what_is_no_speech_approves_nothing() {
    let Some(rig) = start(&config()) else { return };
    let mut noise = Noise(9);
    let mut sounds: Vec<(String, Vec<i16>)> = vec![("silence".into(), vec![0; 16_000])];
    for amplitude in [100.0, 1000.0, 8000.0, 20_000.0] {
        for length in [800, 3200, 12_000] {
            let mut samples = vec![0; 4000];
            samples.extend(noise.samples(length, amplitude));
            samples.extend([0; 8000]);
            sounds.push((format!("noise {amplitude} for {length}"), samples));
        }
    }
    for hertz in [350.0_f32, 440.0, 697.0, 1000.0, 2100.0] {
        let wave = |n: i32| ((n as f32 * hertz * std::f32::consts::TAU / 8000.0).sin() * 8000.0) as i16;
        sounds.push((format!("tone of {hertz} Hz"), (0..12_000).map(wave).collect()));
    }
    for text in ["hello there how are you", "the kitchen is flooded", "mm hm"] {
        let mut backwards = turn("rms", text);
        backwards.reverse();
        sounds.push((format!("'{text}' backwards"), backwards));
    }
    for (name, samples) in sounds {
        let mut call = rig.call();
        let (text, confidence) = call.hear(Expectation::YesNo, &samples);
        let approves = ["yes", "yeah", "yep", "sure", "ahead", "right", "correct", "okay", "do it", "build it"];
        let approved = approves.iter().any(|word| text.contains(word)) && confidence >= 0.5;
        assert!(!approved, "{name} became '{text}' ({confidence:.2})");
    }
}

#[test]
fn every_finalize_is_answered_even_when_nobody_spoke() {
    let Some(rig) = start(&config()) else { return };
    let mut call = rig.call();
    assert_eq!(call.hear(Expectation::Open, &[0; 8000]).0, "");
    assert_eq!(call.hear(Expectation::YesNo, &[0; 800]).0, "");
}

#[test]
fn a_turn_that_nobody_ends_ends_itself() {
    let Some(rig) = start(&config()) else { return };
    let mut call = rig.call();
    call.feed(&turn("rms", "go ahead"));
    call.feed(&vec![0; 8000 * 6]);
    let text = call.wait("final", |event| match event {
        SpeechEvent::Final { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert_eq!(text, "go ahead");
}

#[test]
fn who_finds_no_recogniser_waits_and_is_understood() {
    const TEXT: &str = "please build me a crm with contacts and deals";
    // One place; the other engine has many.
    let asr = EngineChoice::parse("pocketsphinx").unwrap();
    let Some(rig) = start(&SpeechConfig { asr, ..config() }) else { return };
    let (mut first, mut second, mut third) = (rig.call(), rig.call(), rig.call());
    let speech = turn("rms", TEXT);
    first.feed(&speech);
    second.feed(&speech);
    second.lane.finalize();
    third.feed(&speech);
    let text = |event: &SpeechEvent| match event {
        SpeechEvent::Final { text, .. } => Some(text.clone()),
        _ => None,
    };
    first.lane.finalize();
    assert_eq!(first.wait("final", text), TEXT);
    assert_eq!(second.wait("final", text), TEXT, "it had ended while it waited");
    third.lane.finalize();
    assert_eq!(third.wait("final", text), TEXT, "it was taken up in the middle");
    let failed = |call: &Call| call.seen.iter().any(|event| matches!(event, SpeechEvent::Failed { .. }));
    assert!(!failed(&first) && !failed(&second) && !failed(&third));
    // Calls that go away in the middle of a turn, served or waiting, leave the recogniser to the others.
    first.feed(&speech);
    second.feed(&speech);
    drop((first, second));
    assert_eq!(third.hear(Expectation::Open, &speech).0, TEXT);
}

#[test]
fn says_a_text_with_the_time_of_every_word() {
    let Some(rig) = start(&config()) else { return };
    let mut call = rig.call();
    let text = "Your CRM is live: 5 APIs, 42 records, at http://127.0.0.1:8100/. Is there anything else?";
    call.lane.speak(UtteranceId(1), Generation(0), text);
    let frames = call.play(UtteranceId(1));
    let (words, samples) = call.wait("spoken", |event| match event {
        SpeechEvent::Spoken { utterance: UtteranceId(1), words, samples } => Some((words.clone(), *samples)),
        _ => None,
    });
    let written: Vec<&str> = words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(written, text.split_whitespace().collect::<Vec<_>>());
    assert!(words.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
    assert!(words.iter().all(|word| word.start_ms < word.end_ms && u64::from(word.end_ms) * 8 <= samples));
    let pcm: Vec<i16> = frames.iter().flat_map(|frame| frame.samples().to_vec()).collect();
    assert_eq!(pcm.len() as u64, samples);
    assert!(frames.iter().all(|frame| frame.generation == Generation(0) && frame.utterance == UtteranceId(1)));
    assert_eq!(frames.iter().filter(|frame| frame.end).count(), 1);
    let loud: Vec<i16> = pcm.chunks(160).filter(|part| level::dbfs(part) > -40.0).flatten().copied().collect();
    assert!((-23.0..-17.0).contains(&level::dbfs(&loud)), "{} dBFS", level::dbfs(&loud));
    assert!(level::first_voiced(&pcm, 8000, -45.0).is_some_and(|at| at < 400), "it begins with sound");
    // Each word lies where the energy is: the middle of a word is never silent.
    for word in &words {
        let (from, to) = (word.start_ms as usize * 8, word.end_ms as usize * 8);
        assert!(level::dbfs(&pcm[from..to]) > -40.0, "{word:?} is silent");
    }
}

#[test]
fn a_warmed_text_starts_at_once_and_an_empty_one_ends_at_once() {
    let Some(rig) = start(&config()) else { return };
    let greeting = "Hello, this is Grace. What shall I build for you today?";
    rig.plane.warm("", [greeting.to_owned()]);
    let mut call = rig.call();
    call.lane.speak(UtteranceId(1), Generation(0), "");
    call.lane.speak(UtteranceId(2), Generation(0), greeting);
    let frames = call.play(UtteranceId(2));
    assert!(frames[0].end && frames[0].utterance == UtteranceId(1) && frames[0].len == 0);
    call.lane.speak(UtteranceId(3), Generation(0), greeting);
    let again = call.play(UtteranceId(3));
    let pcm = |frames: &[OutFrame]| frames.iter().flat_map(|frame| frame.samples().to_vec()).collect::<Vec<_>>();
    assert_eq!(pcm(&frames[1..]), pcm(&again));
    // The best of several: a busy machine may hold any one of them.
    let took = (4..9).map(|n| {
        call.lane.speak(UtteranceId(n), Generation(0), greeting);
        call.play(UtteranceId(n));
        call.wait("start", |event| match event {
            SpeechEvent::SpeakStarted { utterance: UtteranceId(id), took } if *id == n => Some(*took),
            _ => None,
        })
    });
    let took = took.min().expect("several");
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_flush_stops_within_one_frame() {
    let Some(rig) = start(&config()) else { return };
    let mut call = rig.call();
    let long = "This is a long sentence that goes on without any mark to breathe at for quite some time. ".repeat(8);
    call.lane.speak(UtteranceId(1), Generation(0), long.clone());
    call.lane.speak(UtteranceId(2), Generation(0), long.clone());
    let deadline = Instant::now() + PATIENCE;
    while call.outbound.occupied_len() < 20 {
        assert!(Instant::now() < deadline, "no audio");
    }
    call.lane.flush(Generation(1));
    let in_ring = call.outbound.occupied_len();
    for utterance in [UtteranceId(1), UtteranceId(2)] {
        call.wait("spoken", |event| {
            matches!(event, SpeechEvent::Spoken { utterance: done, .. } if *done == utterance).then_some(())
        });
    }
    let late = call.outbound.occupied_len() - in_ring;
    assert!(late <= 1, "{late} frames after the flush");
    // What is asked for after the flush is said; what belongs to the old generation is not.
    call.lane.speak(UtteranceId(3), Generation(0), "too late");
    call.lane.speak(UtteranceId(4), Generation(1), "go on");
    let frames = call.play(UtteranceId(4));
    assert!(frames.iter().all(|frame| frame.utterance != UtteranceId(3) && frame.utterance != UtteranceId(2)));
}

#[test]
fn a_call_that_does_not_play_delays_no_other() {
    let Some(rig) = start(&config()) else { return };
    let (stuck, mut lively) = (rig.call(), rig.call());
    let long = "This is a long sentence that goes on without any mark to breathe at for quite some time. ".repeat(20);
    for n in 1..=10 {
        stuck.lane.speak(UtteranceId(n), Generation(0), long.clone());
    }
    let asked = Instant::now();
    lively.lane.speak(UtteranceId(1), Generation(0), "I am here.");
    lively.play(UtteranceId(1));
    // The other one would speak for many minutes.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn the_agent_is_heard_by_its_own_ears() {
    let Some(rig) = start(&SpeechConfig { voice: EngineChoice::parse("rms").unwrap(), ..config() }) else { return };
    let (mut speaker, mut listener) = (rig.call(), rig.call());
    speaker.lane.speak(UtteranceId(1), Generation(0), "Please build me a CRM with contacts and deals.");
    let mut samples = vec![0; 4000];
    samples.extend(speaker.play(UtteranceId(1)).iter().flat_map(|frame| frame.samples().to_vec()));
    samples.extend([0; 8000]);
    let (text, confidence) = listener.hear(Expectation::Open, &line(&samples));
    assert_eq!(text, "please build me a crm with contacts and deals", "{confidence}");
}

/// What an operator writes into a lexicon is what a listener hears: in plain words, and in phones.
#[test]
fn an_agents_lexicon_is_heard() {
    let lexicon = [("Zorp", "/S IY1 AA1 R EH1 M/"), ("frobs", "contacts")];
    let agent = AgentSpeech {
        name: "max".into(),
        lexicon: lexicon.map(|(word, said)| (word.to_owned(), said.to_owned())).into(),
        ..AgentSpeech::default()
    };
    let voice = EngineChoice::parse("rms").unwrap();
    let Some(rig) = start(&SpeechConfig { voice, agents: vec![agent], ..config() }) else { return };
    let (mut speaker, mut listener) = (rig.call(), rig.call());
    speaker.lane.speak(UtteranceId(1), Generation(0), "Please build me a Zorp with frobs and deals.");
    let mut samples = vec![0; 4000];
    samples.extend(speaker.play(UtteranceId(1)).iter().flat_map(|frame| frame.samples().to_vec()));
    samples.extend([0; 8000]);
    let (text, confidence) = listener.hear(Expectation::Open, &line(&samples));
    assert_eq!(text, "please build me a crm with contacts and deals", "{confidence}");
    let words = speaker.wait("spoken", |event| match event {
        SpeechEvent::Spoken { words, .. } => Some(words.clone()),
        _ => None,
    });
    let written: Vec<&str> = words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(written, ["Please", "build", "me", "a", "Zorp", "with", "frobs", "and", "deals."]);
}

#[test]
fn lanes_are_counted_and_come_back() {
    let Some(rig) = start(&SpeechConfig { lanes: 2, ..config() }) else { return };
    let (first, second) = (rig.call(), rig.call());
    assert!(matches!(rig.try_call(), Err(SpeechError::NoCapacity { lanes: 2 })));
    drop(second);
    let third = rig.call();
    drop((first, third));
}

/// Prints what the plane takes in real time; run with `--run-ignored only --no-capture`.
#[test]
#[ignore = "a measurement, 20 s"]
fn figures() {
    let memory_kb = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let (began, before) = (Instant::now(), memory_kb());
    let Some(rig) = start(&SpeechConfig { recognisers: 4, ..SpeechConfig::default() }) else { return };
    eprintln!("start: {:?}, {} MB resident more", began.elapsed(), (memory_kb() - before) / 1024);
    let mut call = rig.call();
    for (n, text) in (1..).zip([
        "Sure.",
        "Hello, this is Grace. What shall I build for you?",
        "I will build a small CRM with contacts and deals for your sales team. Shall I build it?",
        "Deployed, 5 APIs live, 10 records.",
    ]) {
        call.lane.speak(UtteranceId(n), Generation(0), text);
        call.play(UtteranceId(n));
        let took = call.wait("start", |event| match event {
            SpeechEvent::SpeakStarted { utterance, took } if *utterance == UtteranceId(n) => Some(*took),
            _ => None,
        });
        eprintln!("first audio {took:?}: {text}");
    }
    for calls in [1, 4] {
        let turns: Vec<Vec<i16>> =
            (0..calls).map(|_| turn("rms", "please build me a crm with contacts and deals")).collect();
        let mut lines: Vec<Call> = (0..calls).map(|_| rig.call()).collect();
        let began = Instant::now();
        for frame in 0..turns[0].len() / 160 {
            for (line, samples) in lines.iter_mut().zip(&turns) {
                line.feed_frame(&samples[frame * 160..][..160]);
            }
            let due = began + Duration::from_millis(20) * frame as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        for line in &mut lines {
            line.lane.finalize();
            let (text, took) = line.wait("final", |event| match event {
                SpeechEvent::Final { text, took, .. } => Some((text.clone(), *took)),
                _ => None,
            });
            eprintln!("{calls} calls at once: final after {took:?}: {text}");
        }
    }
}

/// What the demonstration's caller says, in several renditions (a synthetic voice breathes differently each time).
#[test]
fn the_demonstration_is_heard() {
    let Some(rig) = start(&config()) else { return };
    for rendition in 0..4 {
        let mut call = rig.call();
        for (said, expectation, heard) in [
            (
                "Good morning, we repair bicycles, could you make us a C R M with contacts and deals?",
                Expectation::Open,
                &["crm", "contacts", "deals"][..],
            ),
            ("Yes.", Expectation::YesNo, &["yes"]),
            ("What is happening with my C R M?", Expectation::Open, &["happening", "crm"]),
            ("How's the C R M?", Expectation::Open, &["crm"]),
            ("Thank you, goodbye.", Expectation::Open, &["goodbye"]),
        ] {
            let (text, confidence) = call.hear(expectation, &turn("rms", said));
            eprintln!("{rendition}: {said} > {text} ({confidence:.2})");
            let understood = Transcript::new(&text);
            assert!(
                heard.iter().all(|word| understood.plain().contains(word)),
                "'{said}' became '{text}' ({confidence:.2})"
            );
            assert!(
                expectation != Expectation::YesNo || confidence >= 0.5,
                "'{said}' became '{text}' ({confidence:.2})"
            );
        }
    }
}

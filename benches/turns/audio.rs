//! What the callers of this bench sound like on the line. Purpose: speech cut where the caller hesitates, with the melody of
//! a sentence that goes on; noises; all of it 8 kHz through G.711. Seeded. Deliberately absent: what is said (`corpus`).

use super::corpus::{Noise, Random, Sound, Turn};
use super::noises;
use callwright_dsp::codec::g711;
use callwright_dsp::level;
use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use callwright_models::tts::Flite;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Samples a millisecond.
pub(crate) const PER_MS: usize = 8;
/// Line noise, about −55 dBFS.
const LINE_NOISE: f32 = 100.0;

/// The voices, loaded once.
pub(crate) struct Studio {
    voices: HashMap<String, Flite>,
}

/// A turn as it is heard, and where its stretches of speech end, in samples.
pub(crate) struct Take {
    pub(crate) pcm: Vec<i16>,
    /// End of each stretch of speech.
    pub(crate) ends: Vec<usize>,
    /// Where the next stretch begins; none for the last.
    pub(crate) resumes: Vec<usize>,
}

/// A sound over the agent's voice.
pub(crate) struct Over {
    /// Where the agent begins to speak.
    pub(crate) begins: usize,
    /// Where the sound begins.
    pub(crate) onset: usize,
    /// Delay, samples, and gain with which the agent comes back.
    pub(crate) echo: Option<(usize, f32)>,
    pub(crate) pcm: Vec<i16>,
}

impl Studio {
    pub(crate) fn new() -> Self {
        Self { voices: HashMap::new() }
    }

    /// A sentence at 8 kHz and about −20 dBFS, with the times of its words.
    pub(crate) fn say(&mut self, voice: &str, text: &str) -> (Vec<i16>, Vec<(usize, usize)>) {
        let (voice, size) = sized(voice);
        let flite = self
            .voices
            .entry(voice.to_owned())
            .or_insert_with(|| Flite::load(&Assets::locate(), voice).expect("the voice is installed: make setup"));
        let mut wide = Vec::new();
        let words = flite.speak(text, &mut |chunk| {
            wide.extend_from_slice(chunk);
            ControlFlow::Continue(())
        });
        let mut pcm = vec![0; wide.len() / 2 + 1];
        let made = Resampler::new(Rate::Hz16000, Rate::Hz8000).process(&wide, &mut pcm).written;
        pcm.truncate(made);
        let mut pcm = if size == 1.0 { pcm } else { lengthened(&pcm, size) };
        let gain = 3277.0 / level::rms(&pcm).max(1.0);
        scale(&mut pcm, gain);
        let at = |ms: u32| ((f64::from(ms) * size) as usize * PER_MS).min(pcm.len());
        let words = words.iter().map(|word| (at(word.start_ms), at(word.end_ms))).collect();
        (pcm, words)
    }

    /// Half a second of line, the turn with its hesitations, and `tail_ms` of line.
    pub(crate) fn take(&mut self, turn: &Turn, tail_ms: usize, random: &mut Random) -> Take {
        let text = turn.stretches.join(" ");
        let (whole, words) = self.say(turn.voice, &text);
        let mut pcm = vec![0; 500 * PER_MS];
        let (mut ends, mut resumes) = (Vec::new(), Vec::new());
        let (mut from, mut said) = (first_sound(&whole), 0);
        for (n, stretch) in turn.stretches.iter().enumerate() {
            said += stretch.split_whitespace().count();
            let last = n + 1 == turn.stretches.len();
            // The voice counts its words as we do, but for abbreviations, which nobody says here.
            let to = match words.get(said).filter(|_| !last) {
                Some(next) => words.get(said - 1).map_or(next.0, |word| word.1.max(from)),
                None => last_sound(&whole),
            };
            let mut part = whole[from.min(to)..to].to_vec();
            soften(&mut part);
            pcm.extend(part);
            ends.push(pcm.len() - quiet_tail(&pcm));
            from = to;
            if let Some(pause) = turn.pauses_ms.get(n) {
                pcm.extend(std::iter::repeat_n(0, *pause as usize * PER_MS));
                resumes.push(pcm.len());
            }
        }
        pcm.extend(std::iter::repeat_n(0, tail_ms * PER_MS));
        Take { pcm: line(pcm, random), ends, resumes }
    }

    /// What the caller said before, the line until the agent speaks, and a sound over the agent's voice: where the agent
    /// begins, the sound's onset, both in samples, and the audio before it goes through [`through_g711`]. `agent`: samples of
    /// what the agent says meanwhile. Of an echo only its path is told: what comes back is what is played.
    pub(crate) fn sound(&mut self, voice: &str, sound: Sound, agent: usize, random: &mut Random) -> Over {
        let mut pcm = vec![0; 300 * PER_MS];
        pcm.extend(trimmed(&self.say(voice, "hello i would like to talk about the crm").0));
        pcm.extend(vec![0; 1200 * PER_MS]);
        let begins = pcm.len();
        let onset = begins + (600 + (random.next() % 900) as usize) * PER_MS;
        let mut before = pcm;
        let mut pcm = vec![0; onset - begins];
        let mut echo = None;
        match sound {
            Sound::OverEcho(text) => {
                pcm.extend(trimmed(&self.say(voice, text).0));
                echo = Some(way_back(random));
            }
            Sound::Backchannel(text) if text.starts_with('~') => pcm.extend(hum(text, sized(voice).1, random)),
            Sound::Interruption(text) | Sound::Backchannel(text) => pcm.extend(trimmed(&self.say(voice, text).0)),
            Sound::SideTalk(text) => {
                let mut far = trimmed(&self.say(voice, text).0);
                scale(&mut far, 10_f32.powf(-(18.0 + 6.0 * random.share() as f32) / 20.0));
                pcm.extend(far);
            }
            Sound::Noise(Noise::Babble) => pcm.extend(noises::babble(self, random)),
            Sound::Noise(noise) => pcm.extend(make(noise, random)),
            Sound::Echo => {
                let (delay, gain) = way_back(random);
                echo = Some((delay, gain));
                // Time to say everything, and to be silent in between.
                pcm = vec![0; delay + agent + 1500 * PER_MS];
            }
        }
        pcm.extend(std::iter::repeat_n(0, 1500 * PER_MS));
        before.extend(pcm);
        let onset = if sound == Sound::Echo { begins } else { onset };
        Over { begins, onset, echo, pcm: with_line_noise(before, random) }
    }
}

/// A voice's name, and the size of who speaks with it: `awb@112` is longer by an eighth, and so lower and slower.
fn sized(voice: &str) -> (&str, f64) {
    let (name, size) = voice.split_once('@').unwrap_or((voice, "100"));
    (name, size.parse::<f64>().expect("hundredths") / 100.0)
}

/// Slower and lower by this, or faster and higher.
fn lengthened(pcm: &[i16], by: f64) -> Vec<i16> {
    (0..(pcm.len() as f64 * by) as usize)
        .map(|n| {
            let (from, share) = ((n as f64 / by) as usize, (n as f64 / by).fract());
            let at = |n: usize| f64::from(pcm[n.min(pcm.len() - 1)]);
            (at(from) * (1.0 - share) + at(from + 1) * share) as i16
        })
        .collect()
}

/// "mm", "mm-hm" or "hm" as people make it, with closed lips: 20 to 28 dB below full scale, a nasal's spectrum (poles near
/// 270, 1000 and 2200 Hz: Fant, "Acoustic theory of speech production", 1960), and where there is an "h", a breath.
fn hum(text: &str, size: f64, random: &mut Random) -> Vec<i16> {
    let f0 = random.pick(&[105.0, 130.0, 185.0, 220.0]) / size;
    let ms = |from: u64, spread: u64, random: &mut Random| from + random.next() % spread;
    // Length, breath or voice, pitch at its beginning and end.
    let parts: Vec<(u64, bool, f64, f64)> = match text {
        "~mm" => vec![(ms(280, 240, random), true, 1.02, 0.9)],
        "~hm" => vec![(ms(40, 40, random), false, 1.0, 1.0), (ms(180, 160, random), true, 1.05, 0.88)],
        _ => vec![
            (ms(130, 90, random), true, 0.95, 0.92),
            (ms(50, 50, random), false, 1.0, 1.0),
            (ms(170, 130, random), true, 1.05, 1.22),
        ],
    };
    let (mut pcm, mut phase) = (Vec::new(), 0.0_f64);
    for (length, voiced, begins, ends) in parts {
        let length = length as usize * PER_MS;
        for n in 0..length {
            let share = n as f64 / length as f64;
            let swell = (share * 12.0).min((1.0 - share) * 7.0).min(1.0);
            let pitch = f0 * (begins + (ends - begins) * share);
            phase += pitch / 8000.0;
            let voice: f64 = (1..)
                .map(f64::from)
                .take_while(|k| k * pitch < 3400.0)
                .map(|k| {
                    let pole = |at: f64, width: f64, gain: f64| gain / (1.0 + ((k * pitch - at) / width).powi(2));
                    let nasal = pole(270.0, 60.0, 1.0) + pole(1000.0, 100.0, 0.08) + pole(2200.0, 150.0, 0.04);
                    nasal / k * (std::f64::consts::TAU * k * phase).sin()
                })
                .sum();
            let breath = 0.02 * f64::from(white(random));
            pcm.push((6000.0 * swell * if voiced { voice + 0.2 * breath } else { breath }) as i16);
        }
    }
    let gain = 3277.0 / level::rms(&pcm).max(1.0) * 10_f32.powf(-(8.0 * random.share() as f32) / 20.0);
    scale(&mut pcm, gain);
    pcm
}

pub(crate) fn scale(pcm: &mut [i16], gain: f32) {
    for sample in pcm {
        *sample = (f32::from(*sample) * gain).clamp(-32_767.0, 32_767.0) as i16;
    }
}

fn first_sound(pcm: &[i16]) -> usize {
    level::first_voiced(pcm, 8000, -45.0).unwrap_or(0)
}

fn last_sound(pcm: &[i16]) -> usize {
    level::last_voiced(pcm, 8000, -45.0).map_or(pcm.len(), |last| (last + 1).min(pcm.len()))
}

fn trimmed(pcm: &[i16]) -> Vec<i16> {
    pcm[first_sound(pcm).min(last_sound(pcm))..last_sound(pcm)].to_vec()
}

/// Samples of silence at the end.
fn quiet_tail(pcm: &[i16]) -> usize {
    pcm.len() - last_sound(pcm)
}

/// No click where speech was cut.
fn soften(pcm: &mut [i16]) {
    let fade = (5 * PER_MS).min(pcm.len() / 2);
    let end = pcm.len();
    for n in 0..fade {
        let gain = n as f32 / fade as f32;
        pcm[n] = (f32::from(pcm[n]) * gain) as i16;
        pcm[end - 1 - n] = (f32::from(pcm[end - 1 - n]) * gain) as i16;
    }
}

fn white(random: &mut Random) -> f32 {
    random.share() as f32 * 2.0 - 1.0
}

fn make(noise: Noise, random: &mut Random) -> Vec<i16> {
    let ms = |ms: usize| ms * PER_MS;
    let burst = |length: usize, peak: f32, decay: f32, random: &mut Random| -> Vec<i16> {
        (0..length)
            .map(|n| {
                let t = n as f32 / length as f32;
                (white(random) * peak * (t * 40.0).min(1.0) * (-decay * t).exp()) as i16
            })
            .collect()
    };
    match noise {
        Noise::Cough => {
            let mut pcm = burst(ms(160), 9000.0, 3.0, random);
            pcm.extend(vec![0; ms(110)]);
            pcm.extend(burst(ms(140), 7000.0, 4.0, random));
            pcm
        }
        Noise::Knock => (0..3)
            .flat_map(|_| {
                let mut knock: Vec<i16> = (0..ms(60))
                    .map(|n| (12_000.0 * (-(n as f32) / 90.0).exp() * (n as f32 * 0.15).sin()) as i16)
                    .collect();
                knock.extend(vec![0; ms(140)]);
                knock
            })
            .collect(),
        Noise::Keyboard => (0..9)
            .flat_map(|_| {
                let mut click = burst(ms(12), 5000.0, 5.0, random);
                click.extend(vec![0; ms(60 + (random.next() % 90) as usize)]);
                click
            })
            .collect(),
        Noise::Breath => {
            let length = ms(600);
            let mut before = 0.0;
            (0..length)
                .map(|n| {
                    before = 0.7 * before + 0.3 * white(random);
                    let swell = (std::f32::consts::PI * n as f32 / length as f32).sin();
                    (before * swell * 2500.0) as i16
                })
                .collect()
        }
        Noise::Laugh => noises::laugh(random),
        Noise::Sneeze => noises::sneeze(random),
        Noise::Door => noises::door(random),
        Noise::Ring => noises::ring(random),
        // Made of voices.
        Noise::Babble => Vec::new(),
        Noise::Street => {
            let length = ms(1500);
            let mut before = 0.0;
            (0..length)
                .map(|n| {
                    before = 0.95 * before + 0.05 * white(random);
                    let swell = (std::f32::consts::PI * n as f32 / length as f32).sin();
                    (before * swell * 14_000.0) as i16
                })
                .collect()
        }
    }
}

/// What a G.711 line makes of it.
fn line(pcm: Vec<i16>, random: &mut Random) -> Vec<i16> {
    let mut pcm = with_line_noise(pcm, random);
    through_g711(&mut pcm);
    pcm
}

fn with_line_noise(mut pcm: Vec<i16>, random: &mut Random) -> Vec<i16> {
    for sample in &mut pcm {
        *sample = sample.saturating_add((white(random) * LINE_NOISE) as i16);
    }
    pcm
}

/// μ-law and back.
pub(crate) fn through_g711(pcm: &mut [i16]) {
    let mut octets = vec![0; pcm.len()];
    g711::encode_ulaw(pcm, &mut octets);
    g711::decode_ulaw(&octets, pcm);
}

/// A speakerphone's echo: 50 to 300 ms later, 10 to 30 dB quieter.
fn way_back(random: &mut Random) -> (usize, f32) {
    let delay = (50 + (random.next() % 250) as usize) * PER_MS;
    (delay, 10_f32.powf(-(10.0 + 20.0 * random.share() as f32) / 20.0))
}

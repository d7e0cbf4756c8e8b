//! A recogniser of a pack that hears as the caller speaks. Purpose: all places of the thread decoded together, words so far,
//! and a result soon after the end. Owning thread: the recogniser thread. Invariants: one look at the engine decodes at most
//! [`STEPS`] chunks of each turn, so that a turn which has waited delays the orders of the others by no more; the end of a
//! turn is decoded from silence that is pushed at once, not waited for. Deliberately absent: which words are expected (the
//! engine was told when it was made).

use super::{Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use callwright_models::asr::{OnlineEngine, OnlineTurn};
use std::collections::VecDeque;

/// Chunks (80 to 600 ms of audio) of one turn that are decoded before the next orders are looked at.
const STEPS: usize = 16;

/// One caller's turn.
struct Place {
    turn: OnlineTurn,
    /// All of its audio is there.
    ending: bool,
}

/// A pack's engine with a number of places.
pub(in crate::speech) struct StreamingRecogniser {
    engine: OnlineEngine,
    places: Vec<Option<Place>>,
    finished: VecDeque<(usize, Finished)>,
}

impl StreamingRecogniser {
    /// `places`: callers who may speak at the same moment.
    pub(in crate::speech) fn new(engine: OnlineEngine, places: usize) -> Self {
        Self { engine, places: (0..places.max(1)).map(|_| None).collect(), finished: VecDeque::new() }
    }
}

impl Recogniser for StreamingRecogniser {
    fn places(&self) -> usize {
        self.places.len()
    }

    fn begin(&mut self, place: usize, _expectation: Expectation, _memory: &LineMemory) -> Result<(), String> {
        let turn = self.engine.begin().map_err(|error| error.to_string())?;
        self.places[place] = Some(Place { turn, ending: false });
        Ok(())
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        if let Some(place) = self.places[place].as_mut().filter(|place| !place.ending) {
            place.turn.accept(samples);
        }
        Ok(())
    }

    fn advance(&mut self) {
        let Self { engine, places, finished } = self;
        engine.decode(places.iter_mut().flatten().map(|place| &mut place.turn), STEPS);
        for (at, slot) in places.iter_mut().enumerate() {
            let done = slot.as_ref().is_some_and(|place| place.ending && !engine.is_ready(&place.turn));
            if let Some(place) = slot.take_if(|_| done) {
                finished.push_back((at, Finished { heard: Ok(engine.result(&place.turn)), memory: None }));
            }
        }
    }

    fn partial(&mut self, place: usize) -> String {
        self.places[place].as_ref().map(|place| self.engine.partial(&place.turn)).unwrap_or_default()
    }

    fn finish(&mut self, at: usize) {
        match self.places[at].as_mut() {
            Some(place) => {
                self.engine.finish(&mut place.turn);
                place.ending = true;
            }
            // Every end is answered, also that of a turn which has none.
            None => {
                self.finished.push_back((at, Finished { heard: Err("there was no turn".into()), memory: None }));
            }
        }
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.finished.pop_front()
    }

    /// Chunks were left for later.
    fn is_pending(&self) -> bool {
        self.places.iter().flatten().any(|place| place.ending) || !self.finished.is_empty()
    }

    fn abandon(&mut self, place: usize) {
        self.places[place] = None;
        self.finished.retain(|(other, _)| *other != place);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack_fixture as fixture;
    use super::*;
    use callwright_models::Assets;
    use callwright_models::asr::OnlinePlan;

    fn recogniser(directory: &std::path::Path, places: usize) -> Option<StreamingRecogniser> {
        let assets = Assets::locate();
        if let Err(error) = callwright_models::sherpa::version(&assets) {
            fixture::skipped(&error);
            return None;
        }
        let engine = OnlineEngine::load(&assets, &fixture::tone(directory), &OnlinePlan::default()).unwrap();
        Some(StreamingRecogniser::new(engine, places))
    }

    /// Runs the engine as its thread does; at most so many looks.
    fn settle(recogniser: &mut StreamingRecogniser, looks: usize) -> Vec<(usize, String)> {
        let mut heard = Vec::new();
        for _ in 0..looks {
            recogniser.advance();
            while let Some((place, finished)) = recogniser.poll_finished() {
                heard.push((place, finished.heard.unwrap().text));
            }
        }
        heard.sort();
        heard
    }

    #[test]
    fn sentences_over_the_telephone_are_heard_to_the_word() {
        use callwright_models::double::{self, Line, Random, SENTENCES};
        let assets = Assets::locate();
        let (Ok(pack), Ok(_)) = (double::installed(&assets), callwright_models::sherpa::version(&assets)) else {
            return fixture::skipped(&"no sherpa-onnx or no Flite");
        };
        let engine = OnlineEngine::load(&assets, &pack, &OnlinePlan::default()).unwrap();
        let mut recogniser = StreamingRecogniser::new(engine, 3);
        let mut random = Random::new(11);
        // Not single words, which the double may take for part of a sentence.
        let sentences = SENTENCES.iter().filter(|sentence| sentence.split(' ').count() >= 3);
        for (n, sentence) in sentences.enumerate().take(9) {
            let line = Line { before: 800, after: 1600, gain: 1.0, noise: 30.0 };
            let spoken = line.carry(&double::say(&assets, sentence).unwrap(), &mut random);
            recogniser.begin(n % 3, Expectation::Open, &None).unwrap();
            for piece in spoken.chunks(160) {
                recogniser.accept(n % 3, piece).unwrap();
                recogniser.advance();
            }
            recogniser.finish(n % 3);
            assert_eq!(settle(&mut recogniser, 1), [(n % 3, (*sentence).to_owned())]);
        }
    }

    #[test]
    fn turns_side_by_side_are_each_heard_whole() {
        let directory = tempfile::tempdir().unwrap();
        let Some(mut recogniser) = recogniser(directory.path(), 4) else { return };
        let texts = ["no one", "a bone on a base", "so", "bees see no one"];
        for place in 0..4 {
            recogniser.begin(place, Expectation::Open, &None).unwrap();
        }
        let spoken: Vec<_> = texts.iter().map(|text| fixture::spoken(text)).collect();
        let mut ended = [false; 4];
        let mut heard = Vec::new();
        let mut partials = vec![String::new(); 4];
        for at in (0..12_000).step_by(160) {
            for (place, spoken) in spoken.iter().enumerate() {
                if at < spoken.len() {
                    recogniser.accept(place, &spoken[at..(at + 160).min(spoken.len())]).unwrap();
                } else if !ended[place] {
                    recogniser.finish(place);
                    ended[place] = true;
                }
            }
            heard.extend(settle(&mut recogniser, 1));
            for (place, partial) in partials.iter_mut().enumerate().filter(|(place, _)| !ended[*place]) {
                *partial = recogniser.partial(place);
            }
        }
        heard.sort();
        assert_eq!(heard, texts.iter().map(|text| (*text).to_owned()).enumerate().collect::<Vec<_>>());
        assert!(!recogniser.is_pending());
        assert!(partials[1].starts_with("a bon"), "{partials:?}");
    }

    #[test]
    fn a_result_comes_in_one_look_after_the_end_and_the_place_is_as_new() {
        let directory = tempfile::tempdir().unwrap();
        let Some(mut recogniser) = recogniser(directory.path(), 1) else { return };
        for text in ["bees", "no", "sane"] {
            recogniser.begin(0, Expectation::YesNo, &None).unwrap();
            recogniser.accept(0, &fixture::spoken(text)).unwrap();
            assert!(!recogniser.is_pending());
            recogniser.finish(0);
            assert!(recogniser.is_pending());
            assert_eq!(settle(&mut recogniser, 1), [(0, text.to_owned())]);
            assert_eq!(recogniser.partial(0), "");
        }
    }

    #[test]
    fn a_long_turn_is_taken_up_in_steps() {
        let directory = tempfile::tempdir().unwrap();
        let Some(mut recogniser) = recogniser(directory.path(), 2) else { return };
        let text = "no one sees a bone ".repeat(10);
        recogniser.begin(0, Expectation::Open, &None).unwrap();
        recogniser.accept(0, &fixture::spoken(&text)).unwrap();
        recogniser.finish(0);
        // 190 letters are 11.4 s, 39 chunks with the silence.
        assert_eq!(settle(&mut recogniser, 2), []);
        assert!(recogniser.is_pending());
        assert_eq!(settle(&mut recogniser, 1), [(0, text.trim().to_owned())]);
    }

    #[test]
    fn what_is_abandoned_is_never_answered() {
        let directory = tempfile::tempdir().unwrap();
        let Some(mut recogniser) = recogniser(directory.path(), 2) else { return };
        recogniser.begin(0, Expectation::Open, &None).unwrap();
        recogniser.accept(0, &fixture::spoken("no")).unwrap();
        recogniser.finish(0);
        recogniser.abandon(0);
        assert_eq!(settle(&mut recogniser, 3), []);
        recogniser.finish(1);
        let (place, finished) = recogniser.poll_finished().unwrap();
        assert!(place == 1 && finished.heard.is_err());
    }
}

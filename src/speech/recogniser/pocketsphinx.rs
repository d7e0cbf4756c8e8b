//! The embedded recogniser: one PocketSphinx decoder a place. Purpose: searches by expectation, telephone audio sent up to
//! the model's rate, the cepstral mean kept with the call. Invariant: a turn that has waited for its place is decoded bit by
//! bit, so that the others are heard meanwhile. Owning thread: the recogniser thread. Deliberately absent: what is listened
//! for (`search`).

use super::{Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use crate::speech::search;
use callwright_dsp::resample::half_band::Upsampler2;
use callwright_models::asr::Decoder;
use std::collections::{BTreeSet, VecDeque};

/// Samples (8 kHz) of one place that are decoded before the next place has its turn: a quarter of a second.
const ADVANCE_SAMPLES: usize = 2000;

struct Place {
    decoder: Decoder,
    /// Searches that were added since it was made.
    added: BTreeSet<&'static str>,
    expectation: Expectation,
    upsampler: Upsampler2,
    /// Samples that wait to be decoded, in the pieces in which they came.
    backlog: VecDeque<Box<[i16]>>,
    /// The turn is over; its result comes when the backlog is decoded.
    ending: bool,
    /// Why samples were refused, until it is told.
    refused: Option<String>,
}

/// Warm decoders; made at start because one costs about 10 MB and 30–150 ms.
pub(in crate::speech) struct PocketSphinxRecogniser {
    places: Vec<Place>,
    finished: VecDeque<(usize, Finished)>,
    wide: Vec<i16>,
}

impl PocketSphinxRecogniser {
    pub(in crate::speech) fn new(decoders: Vec<Decoder>) -> Self {
        let place = |decoder| Place {
            decoder,
            added: BTreeSet::new(),
            expectation: Expectation::Open,
            upsampler: Upsampler2::default(),
            backlog: VecDeque::new(),
            ending: false,
            refused: None,
        };
        Self { places: decoders.into_iter().map(place).collect(), finished: VecDeque::new(), wide: Vec::new() }
    }
}

impl Recogniser for PocketSphinxRecogniser {
    fn places(&self) -> usize {
        self.places.len()
    }

    fn begin(&mut self, place: usize, expectation: Expectation, memory: &LineMemory) -> Result<(), String> {
        let place = &mut self.places[place];
        place.upsampler = Upsampler2::default();
        (place.ending, place.refused) = (false, None);
        place.backlog.clear();
        place.expectation = expectation;
        let mut name = search::name(expectation);
        if let Some(network) = search::network(expectation)
            && !place.added.contains(name)
        {
            match place.decoder.set_network(name, &network) {
                Ok(()) => {
                    place.added.insert(name);
                }
                // A full temporary directory, for instance: the caller is heard all the same.
                Err(error) => {
                    tracing::error!(%error, "speech: listens for anything, as the search for digits cannot be made");
                    place.expectation = Expectation::Open;
                    name = search::name(Expectation::Open);
                }
            }
        }
        place
            .decoder
            .activate(name)
            .and_then(|()| place.decoder.start(memory.as_deref()))
            .map_err(|error| error.to_string())
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        let place = &mut self.places[place];
        place.backlog.extend(samples.chunks(ADVANCE_SAMPLES).map(Box::from));
        place.refused.take().map_or(Ok(()), Err)
    }

    fn advance(&mut self) {
        for (at, place) in self.places.iter_mut().enumerate() {
            let mut done = 0;
            while done < ADVANCE_SAMPLES
                && let Some(samples) = place.backlog.pop_front()
            {
                self.wide.resize(samples.len() * 2, 0);
                place.upsampler.process(&samples, &mut self.wide);
                if let Err(error) = place.decoder.process(&self.wide) {
                    place.refused = Some(error.to_string());
                }
                done += samples.len();
            }
            if place.ending && place.backlog.is_empty() {
                place.ending = false;
                let heard = place.decoder.finish_with_synonyms(search::synonyms(place.expectation));
                let memory = place.decoder.cepstral_mean();
                self.finished.push_back((at, Finished { heard: Ok(heard), memory }));
            }
        }
    }

    fn is_behind(&self, place: usize) -> bool {
        !self.places[place].backlog.is_empty()
    }

    fn is_pending(&self) -> bool {
        self.places.iter().any(|place| place.ending)
    }

    fn partial(&mut self, place: usize) -> String {
        self.places[place].decoder.partial()
    }

    fn finish(&mut self, at: usize) {
        self.places[at].ending = true;
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.finished.pop_front()
    }

    fn abandon(&mut self, place: usize) {
        let left = &mut self.places[place];
        left.decoder.abandon();
        left.backlog.clear();
        left.ending = false;
        self.finished.retain(|(other, _)| *other != place);
    }
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod tests {
    use super::*;
    use callwright_models::Assets;
    use callwright_models::asr::{DecoderPlan, PocketSphinx, Search, Tuning};

    #[test]
    fn a_turn_that_has_waited_is_decoded_between_the_others() {
        let Ok(engine) = PocketSphinx::load(&Assets::locate()) else {
            eprintln!("skipped: run make setup");
            return;
        };
        let grammar = "#JSGF V1.0;\ngrammar answer;\npublic <answer> = yes | no;\n";
        let plan = DecoderPlan {
            pronunciations: engine.look_up(["yes", "no"]).unwrap(),
            searches: vec![(search::name(Expectation::Open), Search::Grammar(grammar.to_owned()))],
            tuning: Tuning::default(),
        };
        let decoders = (0..2).map(|_| engine.decoder(&plan).unwrap()).collect();
        let mut recogniser = PocketSphinxRecogniser::new(decoders);
        for place in 0..2 {
            recogniser.begin(place, Expectation::Open, &None).unwrap();
        }
        // The first has waited for three seconds.
        recogniser.accept(0, &[0; 24_000]).unwrap();
        recogniser.accept(1, &[0; 1000]).unwrap();
        recogniser.finish(0);
        recogniser.finish(1);
        recogniser.advance();
        assert_eq!(recogniser.poll_finished().map(|(place, _)| place), Some(1), "the other has waited for it");
        assert!(recogniser.is_behind(0) && !recogniser.is_behind(1) && recogniser.is_pending());
        let rounds = (0..100).find(|_| {
            recogniser.advance();
            recogniser.poll_finished().is_some_and(|(place, _)| place == 0)
        });
        assert_eq!(rounds, Some(24_000 / ADVANCE_SAMPLES - 2));
        assert!(!recogniser.is_behind(0) && !recogniser.is_pending());
        // What is given up is forgotten whole.
        recogniser.begin(0, Expectation::Open, &None).unwrap();
        recogniser.accept(0, &[0; 24_000]).unwrap();
        recogniser.abandon(0);
        recogniser.advance();
        assert!(!recogniser.is_behind(0) && recogniser.poll_finished().is_none());
        recogniser.begin(0, Expectation::Open, &None).unwrap();
    }
}

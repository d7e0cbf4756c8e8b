//! The embedded recogniser: one PocketSphinx decoder a place. Purpose: searches by expectation, telephone audio sent up to
//! the model's rate, the cepstral mean kept with the call. Owning thread: the recogniser thread. Deliberately absent: what
//! is listened for (`search`).

use super::{Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use crate::speech::search;
use callwright_dsp::resample::half_band::Upsampler2;
use callwright_models::asr::Decoder;
use std::collections::{BTreeSet, VecDeque};

struct Place {
    decoder: Decoder,
    /// Searches that were added since it was made.
    added: BTreeSet<&'static str>,
    expectation: Expectation,
    upsampler: Upsampler2,
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
        place.expectation = expectation;
        let name = search::name(expectation);
        if let Some(network) = search::network(expectation)
            && !place.added.contains(name)
        {
            place.decoder.set_network(name, &network).map_err(|error| error.to_string())?;
            place.added.insert(name);
        }
        place
            .decoder
            .activate(name)
            .and_then(|()| place.decoder.start(memory.as_deref()))
            .map_err(|error| error.to_string())
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        let place = &mut self.places[place];
        self.wide.resize(samples.len() * 2, 0);
        place.upsampler.process(samples, &mut self.wide);
        place.decoder.process(&self.wide).map_err(|error| error.to_string())
    }

    fn partial(&mut self, place: usize) -> String {
        self.places[place].decoder.partial()
    }

    fn finish(&mut self, at: usize) {
        let place = &mut self.places[at];
        let heard = place.decoder.finish_with_synonyms(search::synonyms(place.expectation));
        let memory = place.decoder.cepstral_mean();
        self.finished.push_back((at, Finished { heard: Ok(heard), memory }));
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.finished.pop_front()
    }

    fn abandon(&mut self, place: usize) {
        self.places[place].decoder.finish();
        self.finished.retain(|(other, _)| *other != place);
    }
}

//! What has been said before. Purpose: greetings, questions and apologies are synthesised once. Owner: the mouth.
//! Invariants: at most [`PROMPT_CACHE_SAMPLES`]; what was used longest ago leaves first, but nothing that was made before it
//! was needed while there is anything else, and that has three quarters of the room at most; nothing empty is kept; the key holds all that the sound
//! depends on: the voice, the words as they are said (so the agent's lexicon), phones and the pause; and the words as they
//! were written, which the times are told for.

use super::super::clause::Clause;
use super::voice::Rendered;
use crate::limits::PROMPT_CACHE_SAMPLES;
use std::collections::HashMap;
use std::sync::Arc;

/// A voice by its place in the mouth's list, and what it says.
pub(super) type Key = (usize, Arc<str>);

/// What a clause's sound depends on, apart from the voice.
pub(super) fn wording(clause: &Clause) -> Arc<str> {
    let mut key = format!("{} {}", clause.pause_ms, clause.text());
    for word in &clause.words {
        key.push(' ');
        key.push_str(&word.written);
        if let Some(phones) = &word.phones {
            key.push('/');
            key.push_str(phones);
        }
    }
    key.into()
}

struct Kept {
    rendered: Arc<Rendered>,
    used: u64,
    /// Made before it was needed: greetings and the like.
    warm: bool,
}

/// The cache.
pub(super) struct PromptCache {
    kept: HashMap<Key, Kept>,
    samples: usize,
    room: usize,
    uses: u64,
}

impl Default for PromptCache {
    fn default() -> Self {
        Self::with_room(PROMPT_CACHE_SAMPLES)
    }
}

impl PromptCache {
    pub(super) fn with_room(room: usize) -> Self {
        Self { kept: HashMap::new(), samples: 0, room, uses: 0 }
    }

    pub(super) fn find(&mut self, key: &Key) -> Option<Arc<Rendered>> {
        self.uses += 1;
        let kept = self.kept.get_mut(key)?;
        kept.used = self.uses;
        Some(Arc::clone(&kept.rendered))
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        self.kept.contains_key(key)
    }

    /// Keeps a clause that was spoken whole; one that would fill a quarter of the cache is not a prompt.
    pub(super) fn keep(&mut self, key: Key, rendered: &Arc<Rendered>, warm: bool) {
        let length = rendered.samples.len();
        if length == 0 || length > self.room / 4 {
            return;
        }
        // It may have been there already.
        let warm = warm || self.kept.get(&key).is_some_and(|kept| kept.warm);
        if let Some(old) = self.kept.remove(&key) {
            self.samples -= old.rendered.samples.len();
        }
        let warmed: usize = self.kept.values().filter(|kept| kept.warm).map(|kept| kept.rendered.samples.len()).sum();
        let warm = warm && warmed + length <= self.room / 4 * 3;
        while self.samples + length > self.room {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| (kept.warm, kept.used)).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| self.kept.remove(&key)) else { break };
            self.samples -= gone.rendered.samples.len();
        }
        self.uses += 1;
        self.samples += length;
        let kept = Kept { rendered: Arc::clone(rendered), used: self.uses, warm };
        self.kept.insert(key, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::wording as wording_of;
    use super::*;

    fn rendered(samples: usize) -> Arc<Rendered> {
        Arc::new(Rendered { samples: vec![1; samples], words: Vec::new() })
    }

    #[test]
    fn what_was_used_longest_ago_leaves_first_and_the_bound_holds() {
        let mut cache = PromptCache::with_room(1000);
        let key = |voice: usize, n: usize| (voice, Arc::from(format!("{n}")));
        for n in 0..4 {
            cache.keep(key(0, n), &rendered(250), false);
        }
        assert!(cache.find(&key(0, 0)).is_some());
        cache.keep(key(0, 4), &rendered(250), false);
        assert!(cache.holds(&key(0, 0)) && !cache.holds(&key(0, 1)) && cache.holds(&key(0, 4)));
        assert!(!cache.holds(&key(1, 0)), "another voice says it otherwise");
        cache.keep(key(0, 5), &rendered(251), false);
        assert!(!cache.holds(&key(0, 5)), "longer than a prompt");
        for n in 0..100 {
            cache.keep(key(0, n % 7), &rendered(100 + n), false);
            let held: usize = cache.kept.values().map(|kept| kept.rendered.samples.len()).sum();
            assert!(held == cache.samples && held <= 1000);
        }
    }

    #[test]
    fn what_was_made_ahead_stays_and_leaves_room_for_the_rest() {
        let mut cache = PromptCache::with_room(1000);
        let key = |n: usize| (0, Arc::from(format!("{n}")));
        for n in 0..6 {
            cache.keep(key(n), &rendered(200), true);
        }
        for n in 10..40 {
            cache.keep(key(n), &rendered(200), false);
        }
        assert!((0..3).all(|n| cache.holds(&key(n))), "the first are the greetings");
        assert!(cache.samples <= 1000 && cache.holds(&key(39)));
        cache.keep(key(50), &rendered(0), false);
        assert!(!cache.holds(&key(50)), "nothing to hear");
    }

    #[test]
    fn the_wording_tells_apart_what_sounds_different() {
        use super::super::super::clause::clauses;
        use super::super::super::normalise::{Lexicon, Reading, normalise_as};
        let wording = |text: &str, reading: &Reading| wording_of(&clauses(normalise_as(text, reading))[0]);
        let lexicon = |said: &str| Reading { lexicon: Lexicon::new([("Nguyen", said)]).unwrap(), ..Reading::default() };
        let plain = Reading::default();
        let said = [
            wording("Nguyen", &plain),
            wording("Nguyen", &lexicon("win")),
            wording("Nguyen", &lexicon("/W IH1 N/")),
            wording("Nguyen", &lexicon("/W AY1 N/")),
            wording("Nguyen.", &plain),
            wording("42 calls", &plain),
            wording("forty two calls", &plain),
        ];
        for (n, one) in said.iter().enumerate() {
            assert!(said[..n].iter().all(|other| other != one), "{said:?}");
        }
    }
}

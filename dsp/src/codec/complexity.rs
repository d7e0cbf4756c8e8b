//! How much work an Opus encoder may do. Purpose: quality where there is headroom, punctuality where there is none. Pure; one
//! for each media worker, fed about once a second with how busy the worker was. Invariants: the answer is 0–10; one second of
//! overload takes it down, only a stretch of calm takes it up, one rung a time; a constant load settles, since a rung is only
//! climbed when the load that it is expected to make stays clear of where it would be left again. Deliberately absent: the
//! measuring, the applying (`Encoder::apply`), bit rates.
//!
//! What it buys at the usual bit rates: at 16 kHz PESQ-WB 4.1 at complexity 1, 4.4 at 4, 4.5 at 6; at 8 kHz less than 0.1, and
//! nothing that is heard where the sound goes on to G.711 or comes from it. A path of that kind may stay at 1.

/// One setting that is worth its price: complexities 2, 3, 5, 7, 9 and 10 cost more than the one below and sound no better
///.
struct Rung {
    complexity: u8,
    /// Work of an encoder, in per cent of that at complexity 0 (the larger of the ratios measured at 8 and 16 kHz).
    cost: f32,
}

const RUNGS: [Rung; 5] = [
    Rung { complexity: 0, cost: 100.0 },
    Rung { complexity: 1, cost: 110.0 },
    Rung { complexity: 4, cost: 290.0 },
    Rung { complexity: 6, cost: 315.0 },
    Rung { complexity: 8, cost: 430.0 },
];

/// Busy share from which one rung is left.
const PRESSED: f32 = 0.70;
/// Busy share from which everything above the lowest rung is left at once.
const OVERLOADED: f32 = 0.90;
/// Busy share that a climb must not exceed, as foreseen.
const CALM: f32 = 0.55;
/// Lateness of a frame, µs, from which a rung is left, and from which all are.
const LATE_MICROS: u32 = 2_000;
const TOO_LATE_MICROS: u32 = 8_000;
/// Reports without pressure before a rung is climbed.
const PATIENCE: u8 = 10;

/// Complexity that follows headroom.
#[derive(Clone, Debug)]
pub struct ComplexityPolicy {
    rung: usize,
    calm: u8,
}

impl Default for ComplexityPolicy {
    /// Starts at complexity 1, as [`super::EncoderSettings`] does.
    fn default() -> Self {
        Self { rung: 1, calm: 0 }
    }
}

impl ComplexityPolicy {
    /// The complexity in force, 0–10.
    #[must_use]
    pub const fn complexity(&self) -> u8 {
        RUNGS[self.rung].complexity
    }

    /// Takes in one report: the share of its time that the worker was busy (0–1; no number counts as 1) and the latest that
    /// any frame left after it was due (µs). Returns the complexity from now on. Report about once a second: a shorter time
    /// makes it nervous, a longer one slow.
    pub fn complexity_for(&mut self, busy: f32, lateness_micros: u32) -> u8 {
        let busy = if busy.is_nan() { 1.0 } else { busy.clamp(0.0, 1.0) };
        if busy >= OVERLOADED || lateness_micros >= TOO_LATE_MICROS {
            *self = Self { rung: 0, calm: 0 };
        } else if busy >= PRESSED || lateness_micros >= LATE_MICROS {
            *self = Self { rung: self.rung.saturating_sub(1), calm: 0 };
        } else if self.climb_is_safe(busy) {
            self.calm += 1;
            if self.calm >= PATIENCE {
                *self = Self { rung: self.rung + 1, calm: 0 };
            }
        } else {
            self.calm = 0;
        }
        self.complexity()
    }

    /// As if all of the load were encoders: an upper bound.
    fn climb_is_safe(&self, busy: f32) -> bool {
        RUNGS.get(self.rung + 1).is_some_and(|next| busy * next.cost / RUNGS[self.rung].cost <= CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_idle_worker_climbs_slowly_to_the_top() {
        let mut policy = ComplexityPolicy::default();
        let seen: Vec<u8> = (0..60).map(|_| policy.complexity_for(0.05, 100)).collect();
        assert_eq!((seen[8], seen[9], seen[19], seen[29], seen[59]), (1, 4, 6, 8, 8));
    }

    #[test]
    fn pressure_takes_one_rung_and_overload_takes_all() {
        let mut policy = ComplexityPolicy { rung: 4, calm: 0 };
        assert_eq!(policy.complexity_for(0.75, 0), 6);
        assert_eq!(policy.complexity_for(0.2, LATE_MICROS), 4, "late frames count as pressure");
        assert_eq!(policy.complexity_for(0.95, 0), 0);
        let mut policy = ComplexityPolicy { rung: 4, calm: 0 };
        assert_eq!(policy.complexity_for(0.1, TOO_LATE_MICROS), 0);
        let mut policy = ComplexityPolicy { rung: 4, calm: 0 };
        assert_eq!(policy.complexity_for(f32::NAN, 0), 0);
    }

    #[test]
    fn one_busy_second_starts_the_patience_anew() {
        let mut policy = ComplexityPolicy::default();
        for _ in 0..5 {
            for _ in 0..9 {
                assert_eq!(policy.complexity_for(0.1, 0), 1);
            }
            assert_eq!(policy.complexity_for(0.5, 0), 1);
        }
    }

    proptest! {
        /// Encoders and other work make a load that depends on the rung; whatever their mix, it comes to rest, and where it
        /// rests above the lowest rung it is not pressed.
        #[test]
        fn a_constant_load_settles(other in 0.0f32..0.9, encoders in 0.0f32..0.9, start in 0usize..5) {
            let mut policy = ComplexityPolicy { rung: start, calm: 0 };
            let load = |p: &ComplexityPolicy| (other + encoders * RUNGS[p.rung].cost / 100.0).min(1.0);
            for _ in 0..200 {
                let busy = load(&policy);
                policy.complexity_for(busy, 0);
            }
            let rest = policy.rung;
            prop_assert!(rest == 0 || load(&policy) < PRESSED);
            for _ in 0..100 {
                let busy = load(&policy);
                policy.complexity_for(busy, 0);
                prop_assert_eq!(policy.rung, rest);
            }
        }

        #[test]
        fn any_report_gives_a_complexity(reports in proptest::collection::vec((any::<f32>(), any::<u32>()), 0..100)) {
            let mut policy = ComplexityPolicy::default();
            for (busy, late) in reports {
                prop_assert!(policy.complexity_for(busy, late) <= 10);
            }
        }
    }
}

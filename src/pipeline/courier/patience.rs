//! When a message is tried again. Pure: chance is an argument. Source: exponential back-off with jitter, half of it fixed
//! ("equal jitter", Brooker, AWS architecture blog, 2015), so that receivers that come back are not met by all at once.

use std::time::Duration;

/// How long the courier waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two looks at apps that have answered requests.
    pub look: Duration,
    /// For an answer, the connection included.
    pub answer: Duration,
    /// After the first failed try; twice as long after each further one.
    pub first: Duration,
    /// But never longer than this.
    pub longest: Duration,
    /// Tries before a message is given up.
    pub tries: u32,
}

impl Default for Patience {
    /// Sixteen tries in some eight hours.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            answer: Duration::from_secs(10),
            first: Duration::from_secs(10),
            longest: Duration::from_secs(3600),
            tries: 16,
        }
    }
}

impl Patience {
    /// The wait after `failed` tries; `None`: give up. `chance`: any number, each as likely.
    pub(super) fn after(&self, failed: u32, chance: u32) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let doubled = 1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(doubled).min(self.longest);
        Some(full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let patience = Patience::default();
        let seconds = |failed, chance| patience.after(failed, chance).map(|wait| wait.as_secs_f64());
        assert_eq!((seconds(1, 0), seconds(1, u32::MAX)), (Some(5.0), Some(10.0)));
        assert_eq!((seconds(2, u32::MAX), seconds(5, 0)), (Some(20.0), Some(80.0)));
        assert_eq!((seconds(12, u32::MAX), seconds(15, u32::MAX)), (Some(3600.0), Some(3600.0)));
        assert_eq!(seconds(16, 0), None);
        let whole: f64 = (1..16).filter_map(|failed| seconds(failed, u32::MAX / 2)).sum();
        assert!((5.0 * 3600.0..9.0 * 3600.0).contains(&whole), "{whole} s in all");
        let endless = Patience { tries: u32::MAX, ..patience };
        assert_eq!(endless.after(4_000_000_000, 0), Some(Duration::from_secs(1800)));
    }
}

//! What the agent did about a sound of the caller's. Purpose: a script says of a step what the agent should do meanwhile
//! (`agent = "goes_on"` or `"stops"`); here that is judged from what passed the wire. Pure. Deliberately absent: words (an
//! `expect` judges those), how the figures are taken (`score`).

use std::time::Duration;

use super::score::Turn;

/// Within this the agent must be silent, and stay so, when it was interrupted.
pub const STOPS_WITHIN: Duration = Duration::from_millis(600);
/// Within this the agent must be talking again after a sound that was none of its business: half a second to judge it, and as
/// much again where the sentence had a pause of its own. (That it went on and did not begin anew, an `expect` shows.)
pub const GOES_ON_WITHIN: Duration = Duration::from_millis(1200);

/// What the agent should do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It may pause, and goes on where it was.
    GoesOn,
    /// It stops and stays silent while the caller speaks.
    Stops,
}

impl Reaction {
    /// As written in a script.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "goes_on" => Ok(Self::GoesOn),
            "stops" => Ok(Self::Stops),
            other => Err(format!("agent = {other:?}: give \"goes_on\" or \"stops\"")),
        }
    }

    /// Judges a turn.
    ///
    /// # Errors
    /// A sentence that says what the agent did instead.
    pub fn judge(self, turn: &Turn) -> Result<(), String> {
        let Some(yielded) = turn.yielded else {
            return Err("the agent was not talking, so there was nothing to see".into());
        };
        let ms = |d: Duration| d.as_millis();
        let lasted = turn.last_voiced.since(turn.onset);
        match (self, yielded.stop, yielded.resume) {
            (Self::GoesOn, None, _) => Ok(()),
            // It came to its end later.
            (Self::GoesOn, Some(stop), _) if stop > GOES_ON_WITHIN.max(lasted) => Ok(()),
            (Self::GoesOn, Some(_), Some(resume)) if resume <= GOES_ON_WITHIN.max(lasted) => Ok(()),
            (Self::GoesOn, Some(stop), Some(resume)) => {
                Err(format!("the agent fell silent after {} ms and went on only after {} ms", ms(stop), ms(resume)))
            }
            (Self::GoesOn, Some(stop), None) => Err(format!("the agent stopped after {} ms for good", ms(stop))),
            (Self::Stops, None, _) => Err("the agent talked on".into()),
            (Self::Stops, Some(stop), _) if stop > STOPS_WITHIN => {
                Err(format!("the agent stopped only after {} ms", ms(stop)))
            }
            (Self::Stops, Some(_), Some(resume)) if resume < lasted => {
                Err(format!("the agent went on after {} ms, while the caller still spoke", ms(resume)))
            }
            (Self::Stops, Some(_), _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::score::{Part, PartKind, Yielded};
    use super::*;
    use crate::time::Tick;

    fn turn(stop: Option<u64>, resume: Option<u64>) -> Turn {
        let duration = Duration::from_millis;
        Turn {
            part: Part { label: None, kind: PartKind::Say, content: String::new(), interrupts: true, reaction: None },
            onset: Tick(0),
            last_voiced: Tick(900_000_000),
            response: None,
            overlapped: false,
            heard_over: None,
            yielded: Some(Yielded { duck: None, stop: stop.map(duration), resume: resume.map(duration) }),
        }
    }

    #[test]
    fn a_pause_is_no_stop_and_a_second_start_is_none_either() {
        use Reaction::{GoesOn, Stops};
        for (reaction, stop, resume, well) in [
            (GoesOn, None, None, true),
            (GoesOn, Some(80), Some(560), true),
            (GoesOn, Some(2440), None, true),
            (GoesOn, Some(80), Some(1900), false),
            (GoesOn, Some(80), None, false),
            (Stops, Some(80), None, true),
            (Stops, Some(80), Some(1500), true),
            (Stops, Some(80), Some(560), false),
            (Stops, Some(800), None, false),
            (Stops, None, None, false),
        ] {
            let judged = reaction.judge(&turn(stop, resume));
            assert_eq!(judged.is_ok(), well, "{reaction:?} {stop:?} {resume:?}: {judged:?}");
        }
        assert!(GoesOn.judge(&Turn { yielded: None, ..turn(None, None) }).is_err());
        assert!(Reaction::parse("sings").is_err() && Reaction::parse("stops") == Ok(Stops));
    }
}

//! Digits by INFO (RFC 6086 legacy use, `application/dtmf-relay` and `application/dtmf`), both ways. Purpose: DTMF for peers
//! that have no RFC 4733. Invariants: our digits leave one after the other, so that none overtakes another; at most
//! [`limits::SIP_DIGITS_MAX`] wait. Deliberately absent: choosing between this and RFC 4733 (the call side's).

use std::collections::VecDeque;

use super::inbound::InDialog;
use super::request::Outgoing;
use super::table::Purpose;
use super::{Agent, AgentError, EndedBy, LegId, SipEvent};
use crate::limits;
use crate::sip::message::{Message, Method};
use crate::time::Tick;

/// Our digits that have not been heard yet.
#[derive(Debug, Default)]
pub(super) struct Digits {
    waiting: VecDeque<(char, u16)>,
    sending: bool,
}

impl Agent {
    /// Sends a digit (`0`–`9`, `*`, `#`, `A`–`D`) by INFO; `duration_ms` is what the peer shall play. Whether the peer
    /// understands it is not known: use it where nothing else was agreed on.
    ///
    /// # Errors
    /// [`AgentError::BadTarget`] for anything that is no digit, [`AgentError::NoCapacity`] when too many wait.
    pub fn send_digit(&mut self, now: Tick, leg: LegId, digit: char, duration_ms: u16) -> Result<(), AgentError> {
        if !matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D') {
            return Err(AgentError::BadTarget);
        }
        let state = self.established(leg, "send_digit")?;
        if state.digits.waiting.len() >= limits::SIP_DIGITS_MAX {
            return Err(AgentError::NoCapacity);
        }
        state.digits.waiting.push_back((digit, duration_ms));
        self.send_next_digit(now, leg);
        Ok(())
    }

    fn send_next_digit(&mut self, now: Tick, leg: LegId) {
        let Some(state) = self.legs.get_mut(&leg).filter(|state| !state.digits.sending) else { return };
        let Some((digit, duration_ms)) = state.digits.waiting.pop_front() else { return };
        state.digits.sending = true;
        let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n").into_bytes();
        let body = Some(("application/dtmf-relay", body.as_slice()));
        let outgoing = Outgoing { method: Method::Info, headers: vec![], body, purpose: Purpose::Info(leg) };
        if self.send_in_dialog(now, leg, None, outgoing).is_err()
            && let Some(state) = self.legs.get_mut(&leg)
        {
            state.digits = Digits::default();
        }
    }

    /// A digit of ours was heard, or refused, or lost; the next may go.
    pub(super) fn digit_done(&mut self, now: Tick, leg: LegId, code: u16) {
        match code {
            100..200 => {}
            481 => self.dialog_gone(now, leg, EndedBy::Remote, "the peer does not know the call any more (481)"),
            _ => {
                if let Some(state) = self.legs.get_mut(&leg) {
                    state.digits.sending = false;
                }
                self.send_next_digit(now, leg);
            }
        }
    }

    /// A digit by INFO, or something else that we acknowledge or refuse.
    pub(super) fn handle_info(&mut self, now: Tick, leg: LegId, request: &Message, with: InDialog<'_>) {
        let digit = match request.content_type().as_deref() {
            Some("application/dtmf-relay") => relay_digit(&request.body),
            Some("application/dtmf") => digit_of(&request.body),
            _ if request.body.is_empty() => None,
            _ => {
                let accept = [("Accept", "application/dtmf-relay, application/dtmf".to_owned())];
                return self.answer_at_once(now, with, 415, &accept);
            }
        };
        self.answer_at_once(now, with, 200, &[]);
        if let Some(digit) = digit
            && !self.is_backlogged()
        {
            self.emit(SipEvent::InfoDigit { leg, digit });
        }
    }
}

/// `Signal=5` of a dtmf-relay body.
fn relay_digit(body: &[u8]) -> Option<char> {
    body.split(|&b| b == b'\n').find_map(|line| {
        let equals = line.iter().position(|&b| b == b'=')?;
        line[..equals].trim_ascii().eq_ignore_ascii_case(b"Signal").then(|| digit_of(&line[equals + 1..]))?
    })
}

fn digit_of(octets: &[u8]) -> Option<char> {
    match octets.trim_ascii() {
        b"10" => Some('*'),
        b"11" => Some('#'),
        [one] if b"0123456789*#ABCDabcd".contains(one) => Some(char::from(one.to_ascii_uppercase())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(relay_digit(b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(relay_digit(b"Duration=100\nsignal = *\n"), Some('*'));
        assert_eq!(relay_digit(b"Signal=11\r\n"), Some('#'));
        assert_eq!(relay_digit(b"Signal=16"), None);
        assert_eq!(relay_digit(b"Signal="), None);
        assert_eq!(digit_of(b"d\r\n"), Some('D'));
    }
}

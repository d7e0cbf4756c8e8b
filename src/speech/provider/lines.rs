//! Lines out of a stream of octets (sans-IO). Purpose: newline-delimited JSON and server-sent events arrive cut anywhere.
//! Invariant: an unfinished line never exceeds `limits::PROVIDER_MESSAGE_MAX`. Deliberately absent: what the lines say.

use super::failure::ProviderError;
use crate::limits::PROVIDER_MESSAGE_MAX;

/// Collects octets, gives lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    octets: Vec<u8>,
    /// Before this there is no line end.
    searched: usize,
}

impl Lines {
    /// Takes the next octets.
    ///
    /// # Errors
    /// [`ProviderError::Oversized`] when a line is too long; the stream is useless from then on.
    pub(super) fn push(&mut self, octets: &[u8]) -> Result<(), ProviderError> {
        if self.octets.len() + octets.len() > PROVIDER_MESSAGE_MAX {
            return Err(ProviderError::Oversized);
        }
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    /// The next whole line without its end.
    pub(super) fn poll_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.octets[self.searched..].iter().position(|octet| *octet == b'\n') else {
            self.searched = self.octets.len();
            return None;
        };
        let mut line: Vec<u8> = self.octets.drain(..=self.searched + end).collect();
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }

    /// What follows the last line end, once the stream is over.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.octets)
    }
}

/// The data of a line of an event stream (WHATWG HTML, section 9.2.6); other fields and comments have none. The providers
/// send each event's data on one line.
pub(super) fn event_data(line: &[u8]) -> Option<&[u8]> {
    let data = line.strip_prefix(b"data:")?;
    Some(data.strip_prefix(b" ").unwrap_or(data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 16];
        let refused = (0..1000).find(|_| lines.push(&chunk).is_err());
        assert_eq!(refused, Some(PROVIDER_MESSAGE_MAX >> 16));
    }

    #[test]
    fn data_of_events() {
        assert_eq!(event_data(b"data: {}"), Some(&b"{}"[..]));
        assert_eq!(event_data(b"data:{}"), Some(&b"{}"[..]));
        assert_eq!(event_data(b"event: x"), None);
        assert_eq!(event_data(b": comment"), None);
        assert_eq!(event_data(b""), None);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_the_stream_is_cut(text in "[a-c\r\n]{0,60}", cuts in proptest::collection::vec(1..8_usize, 0..60)) {
            let mut whole = Lines::default();
            whole.push(text.as_bytes()).unwrap();
            let mut expected: Vec<Vec<u8>> = std::iter::from_fn(|| whole.poll_line()).collect();
            expected.push(whole.rest());
            let (mut lines, mut found, mut left) = (Lines::default(), Vec::new(), text.as_bytes());
            for cut in cuts {
                let (now, later) = left.split_at(cut.min(left.len()));
                left = later;
                lines.push(now).unwrap();
                found.extend(std::iter::from_fn(|| lines.poll_line()));
            }
            lines.push(left).unwrap();
            found.extend(std::iter::from_fn(|| lines.poll_line()));
            found.push(lines.rest());
            prop_assert_eq!(found, expected);
        }
    }
}

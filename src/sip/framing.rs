//! Messages out of a stream (RFC 3261 §18.3, RFC 5626 §3.5.1). Purpose: octets as they come, one by one or many messages at
//! once, become whole messages and keep-alives. Sans-IO, owned by the task of one connection. Invariants: memory is bounded
//! by `limits::SIP_MESSAGE_MAX`; an octet is looked at once; a message that is senseless but whose length is certain is
//! passed on, so that one bad message costs nobody the connection; once a length is uncertain nothing that follows can be
//! trusted, and the connection must be closed. Deliberately absent: time (a message that never ends is the task's), and
//! understanding what is passed on.

use crate::limits;
use crate::sip::message::{BodyLength, Malformed, body_length};

/// What came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A whole message.
    Message(Vec<u8>),
    /// A double CRLF: answer with [`PONG`] (RFC 5626 §4.4.1).
    Ping,
    /// A single CRLF: the answer to our [`PING`], or the first half of theirs.
    Pong,
}

/// What keeps a flow open, and asks for a [`PONG`].
pub const PING: &[u8] = b"\r\n\r\n";
/// The answer to a [`PING`].
pub const PONG: &[u8] = b"\r\n";

/// Why a stream cannot be read on. All are the peer's fault; the only cure is a new connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramingError {
    /// What comes is not SIP, such as a web browser or a TLS greeting on the port for TCP.
    #[error("this is not SIP")]
    NotSip,
    /// The header section does not end within [`limits::SIP_HEAD_MAX`].
    #[error("the header section is longer than {} octets", limits::SIP_HEAD_MAX)]
    HeadTooLong,
    /// There is a body and no Content-Length, or several that differ, or one that is no number.
    #[error("the length of the body is not certain: a stream needs one Content-Length (RFC 3261 section 18.3)")]
    LengthUncertain,
    /// The body is longer than [`limits::SIP_BODY_MAX`].
    #[error("the body is longer than {} octets", limits::SIP_BODY_MAX)]
    BodyTooLong,
}

impl FramingError {
    /// What the peer is told, where it can be told anything; `None`: it speaks something else.
    #[must_use]
    pub const fn told(self) -> Option<Malformed> {
        match self {
            Self::NotSip => None,
            Self::HeadTooLong => Some(Malformed { status: 513, what: "Message Too Large" }),
            Self::LengthUncertain => Some(Malformed { status: 400, what: "Bad or missing Content-Length" }),
            Self::BodyTooLong => Some(Malformed { status: 413, what: "Request Entity Too Large" }),
        }
    }
}

/// Cuts one stream. After an error it gives nothing but that error.
#[derive(Debug, Default)]
pub struct Framer {
    /// The message that is under way, from its first octet.
    message: Vec<u8>,
    /// Where the current line of the header section begins.
    line: usize,
    /// Octets of `message` once it is whole; 0 while in the header section.
    whole: usize,
    /// Line ends in a row between messages.
    blank_lines: u8,
    failed: Option<FramingError>,
}

impl Framer {
    /// Takes the next octets of the stream; whatever they complete goes to `sink`, in order.
    ///
    /// # Errors
    /// [`FramingError`], after what was whole before it has been given out.
    pub fn handle(&mut self, mut octets: &[u8], sink: &mut impl FnMut(Frame)) -> Result<(), FramingError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !octets.is_empty() {
            let step = if self.message.is_empty() {
                Ok(self.between(octets, sink))
            } else if self.whole == 0 {
                self.head(octets, sink)
            } else {
                Ok(self.body(octets, sink))
            };
            match step {
                Ok(used) => octets = &octets[used..],
                Err(error) => {
                    self.failed = Some(error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether a message has begun and is not whole.
    #[must_use]
    pub const fn is_within(&self) -> bool {
        !self.message.is_empty()
    }

    /// What has come of the message that is under way, or that the error is about: enough to say what is wrong, perhaps.
    /// Nothing can be read after it.
    #[must_use]
    pub fn into_unfinished(self) -> Vec<u8> {
        self.message
    }

    /// Keep-alives and empty lines between messages; the first octet of anything else begins one.
    fn between(&mut self, octets: &[u8], sink: &mut impl FnMut(Frame)) -> usize {
        let octet = octets[0];
        match octet {
            b'\r' => {}
            b'\n' => {
                self.blank_lines += 1;
                sink(if self.blank_lines == 2 { Frame::Ping } else { Frame::Pong });
                self.blank_lines %= 2;
            }
            other => {
                self.blank_lines = 0;
                self.message.push(other);
                (self.line, self.whole) = (0, 0);
            }
        }
        1
    }

    /// The header section, line by line, up to an empty one.
    fn head(&mut self, octets: &[u8], sink: &mut impl FnMut(Frame)) -> Result<usize, FramingError> {
        let (used, ended) = octets.iter().position(|&b| b == b'\n').map_or((octets.len(), false), |at| (at + 1, true));
        if self.message.len() + used > limits::SIP_HEAD_MAX {
            return Err(if self.line == 0 { FramingError::NotSip } else { FramingError::HeadTooLong });
        }
        self.message.extend_from_slice(&octets[..used]);
        if self.line == 0 && self.message.len() > limits::SIP_LINE_MAX && !ended {
            return Err(FramingError::NotSip);
        }
        if !ended {
            return Ok(used);
        }
        let line = &self.message[self.line..];
        if self.line == 0 && !line.windows(4).any(|w| w.eq_ignore_ascii_case(b"SIP/")) {
            return Err(FramingError::NotSip);
        }
        let over = matches!(line, b"\n" | b"\r\n");
        self.line = self.message.len();
        if !over {
            return Ok(used);
        }
        let length = match body_length(&self.message) {
            BodyLength::Octets(length) => length,
            BodyLength::None => 0,
            BodyLength::Uncertain => return Err(FramingError::LengthUncertain),
        };
        if length > limits::SIP_BODY_MAX {
            return Err(FramingError::BodyTooLong);
        }
        self.whole = self.message.len() + length;
        self.give(sink);
        Ok(used)
    }

    fn body(&mut self, octets: &[u8], sink: &mut impl FnMut(Frame)) -> usize {
        let used = octets.len().min(self.whole - self.message.len());
        self.message.extend_from_slice(&octets[..used]);
        self.give(sink);
        used
    }

    fn give(&mut self, sink: &mut impl FnMut(Frame)) {
        if self.message.len() == self.whole {
            sink(Frame::Message(std::mem::take(&mut self.message)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::message::parse_datagram;

    const HEAD: &str = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    fn message(lines: &str, body: &str) -> Vec<u8> {
        format!("{HEAD}{lines}\r\n{body}").into_bytes()
    }

    fn cut(octets: &[u8], step: usize) -> (Vec<Frame>, Result<(), FramingError>) {
        let (mut framer, mut frames) = (Framer::default(), Vec::new());
        for chunk in octets.chunks(step.max(1)) {
            if let Err(error) = framer.handle(chunk, &mut |frame| frames.push(frame)) {
                assert_eq!(framer.handle(b"INVITE", &mut |_| panic!("nothing after an error")), Err(error));
                return (frames, Err(error));
            }
        }
        (frames, Ok(()))
    }

    #[test]
    fn octet_by_octet_or_all_at_once_it_is_the_same() {
        let (a, b, c) = (message("Content-Length: 5\r\n", "v=0\r\n"), message("l : 0\r\n", ""), message("", ""));
        let stream = [&b"\r\n\r\n"[..], &a, &b, b"\r\n", &c, b"\r\n\r\n\r\n", &a].concat();
        let whole = |m: &[u8]| Frame::Message(m.to_vec());
        let expected = [
            Frame::Pong,
            Frame::Ping,
            whole(&a),
            whole(&b),
            Frame::Pong,
            whole(&c),
            Frame::Pong,
            Frame::Ping,
            Frame::Pong,
            whole(&a),
        ];
        for step in [1, 2, 3, 7, 64, 1500, stream.len()] {
            let (frames, result) = cut(&stream, step);
            assert_eq!((frames.as_slice(), result), (&expected[..], Ok(())), "in steps of {step}");
        }
    }

    #[test]
    fn a_message_that_is_senseless_but_has_a_length_is_passed_on() {
        for lines in
            ["Content-Length: 3\r\nFrom: again\r\n", "nonsense\r\nContent-Length: 3\r\n", "Content-Length:\r\n  3\r\n"]
        {
            let stream = [message(lines, "abc"), message("", "")].concat();
            let (frames, result) = cut(&stream, 11);
            assert_eq!((frames.len(), result), (2, Ok(())), "{lines}");
            assert_eq!(frames[0], Frame::Message(message(lines, "abc")));
        }
    }

    #[test]
    fn an_uncertain_length_ends_the_stream() {
        for (lines, error) in [
            ("Content-Type: application/sdp\r\n", FramingError::LengthUncertain),
            ("Content-Length: 1\r\nl: 2\r\n", FramingError::LengthUncertain),
            ("Content-Length: -1\r\n", FramingError::LengthUncertain),
            ("Content-Length: 1 1\r\n", FramingError::LengthUncertain),
            ("Content-Length:\r\n", FramingError::LengthUncertain),
            ("Content-Length: 99999999999999999999999999\r\n", FramingError::LengthUncertain),
            ("Content-Length: 18446744073709551615\r\n", FramingError::BodyTooLong),
            ("Content-Length: 32769\r\n", FramingError::BodyTooLong),
        ] {
            let stream = [message("", ""), message(lines, "v=0\r\n"), message("", "")].concat();
            let (frames, result) = cut(&stream, 100);
            assert_eq!((frames.len(), result), (1, Err(error)), "{lines}");
        }
        let twice = message("Content-Length: 3\r\nl: 3\r\n", "abc");
        assert_eq!(cut(&twice, 9), (vec![Frame::Message(twice.clone())], Ok(())), "said twice, meant once");
    }

    #[test]
    fn what_is_not_sip_or_has_no_end_is_seen() {
        assert_eq!(cut(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 3).1, Err(FramingError::NotSip));
        assert_eq!(cut(&[0x16; 20_000], 1000).1, Err(FramingError::NotSip));
        let endless = [message("", "")[..HEAD.len()].to_vec(), b"X: y\r\n".repeat(20_000)].concat();
        assert_eq!(cut(&endless, 1400).1, Err(FramingError::HeadTooLong));
        let line = [HEAD.as_bytes(), b"X: ", &[b'y'; 70_000]].concat();
        assert_eq!(cut(&line, 1400).1, Err(FramingError::HeadTooLong));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"\r\n\r\n".to_vec()),
            Just(message("", "")),
            proptest::collection::vec(any::<u8>(), 0..40)
                .prop_map(|body| { [message(&format!("Content-Length: {}\r\n", body.len()), ""), body].concat() }),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// However the stream is cut, the frames are the same, and messages that the parser takes are framed as it reads them.
        #[test]
        fn cutting_does_not_matter(stream in stream(), step in 1usize..50) {
            let (all, result) = cut(&stream, stream.len().max(1));
            let (parts, again) = cut(&stream, step);
            prop_assert_eq!(&all, &parts);
            prop_assert_eq!(result, again);
            for frame in all {
                if let Frame::Message(octets) = frame
                    && let Ok(read) = parse_datagram(&octets)
                {
                    let body = octets.len() - read.body.len();
                    prop_assert!(octets[..body].ends_with(b"\n"));
                }
            }
        }
    }
}

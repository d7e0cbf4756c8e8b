//! Frames between the daemon and a kernel. Purpose: one JSON object a line on the kernel's standard input and output, so that a
//! program in any language can be one.
//!
//! ```text
//! daemon  hello{protocol}                                             task{…}          cancel{}
//! kernel              ready{protocol,name,capabilities,build_types}          progress{percent,say} ask{…} artefact{path,…}
//!                                                                            cite{…} … done{files,digest} | fail{say,retry}
//! ```
//!
//! A kernel that asks goes on with its default, and ends; a build that shall wait for the answer (`wait_s`) is begun again with it,
//! in `answers` of its task. Pure. Invariants: a line is `limits::KERNEL_FRAME_MAX` octets at most; unknown frames, unknown and
//! repeated fields are refused; texts are bounded and hold no control characters. Deliberately absent: which frame may come when
//! (`session`), and whether the files are any good (the bundle's checks and scenarios).

use super::Capability;
use crate::limits::{KERNEL_CHOICES_MAX, KERNEL_FRAME_MAX, KERNEL_WAIT_MAX};
use crate::pipeline::manifest::{BuildManifest, BuildType};
use crate::pipeline::spec::Spec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of what is written here; both sides name it first.
pub const PROTOCOL: u32 = 1;

/// Characters of a sentence.
const SENTENCE_MAX: usize = 300;
/// Characters of a name or a value.
const NAME_MAX: usize = 80;
/// Characters of a path.
const PATH_MAX: usize = 200;

/// What a kernel is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToKernel {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
    },
    /// What is to be made; after `ready`.
    Task(Box<Task>),
    /// The task is not wanted any more: end.
    Cancel {},
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The build that it is for.
    pub id: String,
    /// What the plan gave this kernel.
    pub capabilities: Vec<Capability>,
    /// What was asked for.
    pub manifest: BuildManifest,
    /// What will be there.
    pub spec: Spec,
    /// What was answered, by the id of the question; defaults that were settled on included.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// Time for all of it.
    pub seconds: u64,
}

/// What a kernel says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromKernel {
    /// Its first frame.
    Ready {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Its name.
        name: String,
        /// What it can do.
        capabilities: Vec<Capability>,
        /// For which types.
        build_types: Vec<BuildType>,
    },
    /// It is at work; also its sign of life.
    Progress {
        /// 0 to 100.
        percent: u8,
        /// A line for the caller.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        say: Option<String>,
    },
    /// The order leaves something open.
    Ask(Ask),
    /// A file of the bundle.
    Artefact {
        /// Its path in the bundle.
        path: String,
        /// Its text, or
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// its octets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    },
    /// Why a part is there.
    Cite {
        /// The part.
        part: String,
        /// Where it comes from.
        source: String,
    },
    /// Everything was said.
    Done {
        /// How many files there were.
        files: usize,
        /// [`super::session::digest`] of them.
        digest: String,
    },
    /// It makes nothing of the task.
    Fail {
        /// Why, in spoken words.
        say: String,
        /// Whether another try may do better.
        #[serde(default)]
        retry: bool,
    },
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Its name within the build: `[a-z0-9_]`, the same whenever it is asked. Constraints of the manifest are named so.
    pub ask_id: String,
    /// In spoken words.
    pub question: String,
    /// What may be answered.
    pub choices: Vec<Choice>,
    /// The value of the choice that holds without an answer.
    pub default: String,
    /// The app does not go live without an answer for so long; 0: it does, and an answer makes its next version.
    #[serde(default)]
    pub wait_s: u64,
}

/// What may be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// For programs.
    pub value: String,
    /// For people, as they say it.
    pub say: String,
}

/// Why a line is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The line does not end.
    #[error("a line of more than {KERNEL_FRAME_MAX} octets")]
    TooLarge,
    /// The output ended within a line.
    #[error("the output ended within a line")]
    Cut,
    /// No JSON, or no frame of this protocol.
    #[error("no frame of protocol {PROTOCOL}: {0}")]
    Malformed(String),
    /// A frame whose content is out of bounds.
    #[error("{field} of a frame {what}")]
    Bounds {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(line).map_err(|error| FrameError::Malformed(error.to_string()))
}

/// As a line with its end.
#[must_use]
pub fn write<T: Serialize>(frame: &T) -> Vec<u8> {
    // Plain data with text keys: there is nothing that JSON cannot hold.
    let mut line = serde_json::to_vec(frame).unwrap_or_default();
    line.push(b'\n');
    line
}

impl ToKernel {
    /// # Errors
    /// What is no frame to a kernel.
    pub fn read(line: &[u8]) -> Result<Self, FrameError> {
        parse(line)
    }
}

impl FromKernel {
    /// # Errors
    /// What is no frame of a kernel, or out of bounds.
    pub fn read(line: &[u8]) -> Result<Self, FrameError> {
        let frame: Self = parse(line)?;
        frame.check()?;
        Ok(frame)
    }

    /// A file as a frame.
    #[must_use]
    pub fn artefact(path: String, content: Vec<u8>) -> Self {
        match String::from_utf8(content) {
            Ok(text) => Self::Artefact { path, text: Some(text), base64: None },
            Err(other) => Self::Artefact { path, text: None, base64: Some(STANDARD.encode(other.into_bytes())) },
        }
    }

    fn check(&self) -> Result<(), FrameError> {
        let bounds = |field, what| Err(FrameError::Bounds { field, what });
        match self {
            Self::Ready { name, .. } => plain("name", name, NAME_MAX),
            Self::Progress { percent: 101.., .. } => bounds("percent", "is more than 100"),
            Self::Progress { say, .. } => say.as_ref().map_or(Ok(()), |say| plain("say", say, SENTENCE_MAX)),
            Self::Ask(ask) => ask.check(),
            Self::Artefact { path, text, base64 } => {
                plain("path", path, PATH_MAX)?;
                if text.is_some() == base64.is_some() {
                    return bounds("artefact", "has not exactly one of text and base64");
                }
                Ok(())
            }
            Self::Cite { part, source } => {
                plain("part", part, PATH_MAX)?;
                plain("source", source, SENTENCE_MAX)
            }
            Self::Done { digest, .. } => plain("digest", digest, NAME_MAX),
            Self::Fail { say, .. } => plain("say", say, SENTENCE_MAX),
        }
    }
}

impl Ask {
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), FrameError> {
        let bounds = |field, what| Err(FrameError::Bounds { field, what });
        let id = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if !(1..=40).contains(&self.ask_id.len()) || !self.ask_id.bytes().all(id) {
            return bounds("ask_id", "is not 1 to 40 of a-z, 0-9 and _");
        }
        plain("question", &self.question, SENTENCE_MAX)?;
        if !(2..=KERNEL_CHOICES_MAX).contains(&self.choices.len()) {
            return bounds("choices", "are not 2 to 9");
        }
        for (at, choice) in self.choices.iter().enumerate() {
            plain("value", &choice.value, NAME_MAX)?;
            plain("say", &choice.say, NAME_MAX)?;
            if self.choices[..at].iter().any(|other| other.value == choice.value) {
                return bounds("choices", "hold a value twice");
            }
        }
        if !self.choices.iter().any(|choice| choice.value == self.default) {
            return bounds("default", "is not among the choices");
        }
        if self.wait_s > KERNEL_WAIT_MAX.as_secs() {
            return bounds("wait_s", "is more than a day");
        }
        Ok(())
    }
}

/// The content of an artefact.
///
/// # Errors
/// It is not base64.
pub(super) fn content(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, FrameError> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(octets)) => {
            STANDARD.decode(octets).map_err(|_| FrameError::Bounds { field: "base64", what: "is not base64" })
        }
        _ => Err(FrameError::Bounds { field: "artefact", what: "has not exactly one of text and base64" }),
    }
}

fn plain(field: &'static str, text: &str, chars_max: usize) -> Result<(), FrameError> {
    if text.trim().is_empty() {
        return Err(FrameError::Bounds { field, what: "is empty" });
    }
    if text.chars().count() > chars_max {
        return Err(FrameError::Bounds { field, what: "is too long" });
    }
    if text.chars().any(char::is_control) {
        return Err(FrameError::Bounds { field, what: "holds control characters" });
    }
    Ok(())
}

/// Cuts what comes in pieces into lines.
#[derive(Debug, Default)]
pub struct Framer {
    waiting: Vec<u8>,
    /// How far `waiting` was searched for an end of line.
    looked: usize,
    broken: bool,
}

impl Framer {
    /// The next piece.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.broken {
            self.waiting.extend_from_slice(octets);
        }
    }

    /// The next line without its end; `None`: more has to come first. After an error nothing comes any more.
    pub fn next_line(&mut self) -> Option<Result<Vec<u8>, FrameError>> {
        if self.broken {
            return None;
        }
        let end = self.waiting[self.looked..].iter().position(|octet| *octet == b'\n').map(|at| self.looked + at);
        self.looked = end.map_or(self.waiting.len(), |_| 0);
        if end.unwrap_or(self.waiting.len()) > KERNEL_FRAME_MAX {
            (self.waiting, self.broken) = (Vec::new(), true);
            return Some(Err(FrameError::TooLarge));
        }
        let mut line: Vec<u8> = self.waiting.drain(..=end?).collect();
        line.pop();
        Some(Ok(line))
    }

    /// The other side has ended.
    ///
    /// # Errors
    /// Within a line.
    pub fn end(&self) -> Result<(), FrameError> {
        if self.waiting.is_empty() { Ok(()) } else { Err(FrameError::Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn words(max: usize) -> BoxedStrategy<String> {
        proptest::string::string_regex(&format!(
            "[a-zA-ZäßЖ日\u{1f600}\"\\\\/{{}}:,.?-][a-zA-Zäß Ж日\u{1f600}\"\\\\/{{}}:,.?-]{{0,{}}}",
            max - 1
        ))
        .expect("a pattern")
        .boxed()
    }

    fn asks() -> BoxedStrategy<FromKernel> {
        (
            "[a-z0-9_]{1,40}",
            words(SENTENCE_MAX),
            vec(words(NAME_MAX), 2..=KERNEL_CHOICES_MAX),
            any::<prop::sample::Index>(),
            0..=86_400_u64,
        )
            .prop_map(|(ask_id, question, says, default, wait_s)| {
                let choices: Vec<Choice> =
                    says.into_iter().enumerate().map(|(n, say)| Choice { value: format!("value {n}"), say }).collect();
                let default = choices[default.index(choices.len())].value.clone();
                FromKernel::Ask(Ask { ask_id, question, choices, default, wait_s })
            })
            .boxed()
    }

    fn frames() -> BoxedStrategy<FromKernel> {
        let capabilities = prop::sample::subsequence(Capability::ALL.to_vec(), 0..=5);
        let types = prop::sample::subsequence(BuildType::ALL.to_vec(), 0..=6);
        prop_oneof![
            (any::<u32>(), words(NAME_MAX), capabilities, types).prop_map(
                |(protocol, name, capabilities, build_types)| {
                    FromKernel::Ready { protocol, name, capabilities, build_types }
                }
            ),
            (0..=100_u8, prop::option::of(words(SENTENCE_MAX)))
                .prop_map(|(percent, say)| FromKernel::Progress { percent, say }),
            asks(),
            (words(PATH_MAX), vec(any::<u8>(), 0..300)).prop_map(|(path, content)| FromKernel::artefact(path, content)),
            (words(PATH_MAX), words(SENTENCE_MAX)).prop_map(|(part, source)| FromKernel::Cite { part, source }),
            (any::<u16>(), "[0-9a-f]{64}").prop_map(|(files, digest)| FromKernel::Done { files: files.into(), digest }),
            (words(SENTENCE_MAX), any::<bool>()).prop_map(|(say, retry)| FromKernel::Fail { say, retry }),
        ]
        .boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_in_whatever_pieces_it_comes(sent in vec(frames(), 1..6), piece in 1..200_usize) {
            let wire: Vec<u8> = sent.iter().flat_map(write).collect();
            let (mut framer, mut read) = (Framer::default(), Vec::new());
            for piece in wire.chunks(piece) {
                framer.push(piece);
                while let Some(line) = framer.next_line() {
                    read.push(FromKernel::read(&line.unwrap()).unwrap());
                }
            }
            prop_assert_eq!(framer.end(), Ok(()));
            prop_assert_eq!(read, sent);
        }

        #[test]
        fn the_content_of_an_artefact_comes_as_it_was(octets in vec(any::<u8>(), 0..500)) {
            let FromKernel::Artefact { text, base64, .. } = FromKernel::artefact("a".into(), octets.clone()) else {
                unreachable!("it is one")
            };
            prop_assert_eq!(content(text, base64).unwrap(), octets);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let ask = |id: &str, default: &str, more: &str| {
            format!(
                r#"{{"type":"ask","ask_id":"{id}","question":"Which?","choices":[{{"value":"a","say":"A"}},{{"value":"b","say":"B"}}],"default":"{default}"{more}}}"#
            )
        };
        assert!(FromKernel::read(ask("x", "a", "").as_bytes()).is_ok());
        for wrong in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"type":"rocket"}"#,
            r#"{"type":"progress"}"#,
            r#"{"type":"progress","percent":101}"#,
            r#"{"type":"progress","percent":-1}"#,
            r#"{"type":"progress","percent":1,"percent":2}"#,
            r#"{"type":"progress","percent":1,"more":2}"#,
            r#"{"type":"progress","percent":1} {"type":"progress","percent":2}"#,
            r#"{"type":"progress","percent":1,"say":""}"#,
            r#"{"type":"progress","percent":1,"say":"a\u0007b"}"#,
            r#"{"type":"artefact","path":"a"}"#,
            r#"{"type":"artefact","path":"a","text":"b","base64":"Yg=="}"#,
            r#"{"type":"artefact","path":"","text":"b"}"#,
            r#"{"type":"fail"}"#,
            r#"{"type":"done","files":-1,"digest":"0"}"#,
            &ask("X", "a", ""),
            &ask("", "a", ""),
            &ask("x", "c", ""),
            &ask("x", "a", r#","wait_s":86401"#),
            &ask("x", "a", r#","deadline":1"#),
        ] {
            assert!(FromKernel::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(FromKernel::read(b"\xff\xfe").is_err());
        assert!(ToKernel::read(br#"{"type":"cancel","now":true}"#).is_err());
        assert_eq!(ToKernel::read(br#"{"type":"cancel"}"#), Ok(ToKernel::Cancel {}));
        assert!(content(None, Some("@".into())).is_err());
    }

    #[test]
    fn a_line_that_does_not_end_is_cut_off() {
        let mut framer = Framer::default();
        let piece = vec![b'x'; 1 << 16];
        let mut pushed = 0;
        let error = loop {
            framer.push(&piece);
            pushed += piece.len();
            match framer.next_line() {
                None => assert!(pushed <= KERNEL_FRAME_MAX, "{pushed} octets are kept"),
                Some(line) => break line,
            }
        };
        assert_eq!(error, Err(FrameError::TooLarge));
        framer.push(b"\n{}\n");
        assert!(framer.next_line().is_none(), "nothing is believed after it");
        let mut framer = Framer::default();
        framer.push(b"{\"type\":");
        assert!(framer.next_line().is_none());
        assert_eq!(framer.end(), Err(FrameError::Cut));
    }
}

//! The rules of the house as data: who may import whom, which names live where, what nothing may be called.
//! To add a module, add its row to [`MODULES`]; the checks in `check.rs` read these tables and hold no names of their own.

/// One module (longest prefix wins) and what it may import besides itself.
pub(crate) struct Module {
    pub(crate) path: &'static str,
    pub(crate) layer: u8,
    pub(crate) may: May,
    /// The rule's sentence, printed with every violation.
    pub(crate) rule: &'static str,
}

pub(crate) enum May {
    /// Everything of a lower layer, and these of its own or a higher one.
    Below(&'static [&'static str]),
    /// These and nothing else of ours.
    Only(&'static [&'static str]),
}

const PURE: &str = "a pure core sees layer 0 and its named neighbours: it is driven with bytes and time by a shell";
const ENGINE: &str = "layer 2 (engines) stands on layers 0 and 1, never on a shell";
const SHELL: &str = "layer 3 (shells) stands on layers 0 to 2 and on its named neighbours";
const TOP: &str = "layer 5 composes; nothing below may know it";

pub(crate) const MODULES: &[Module] = &[
    // Layer 0: nothing of ours.
    Module { path: "dsp", layer: 0, may: May::Only(&[]), rule: "dsp is layer 0: it imports nothing of ours" },
    Module { path: "id", layer: 0, may: May::Only(&[]), rule: "id is layer 0: it imports nothing of ours" },
    Module { path: "time", layer: 0, may: May::Only(&[]), rule: "time is layer 0: it imports nothing of ours" },
    Module { path: "limits", layer: 0, may: May::Only(&[]), rule: "limits is layer 0: it imports nothing of ours" },
    // Layer 1: pure.
    // Plain data: what is negotiated is what is sent, keys included.
    Module { path: "sip", layer: 1, may: May::Below(&["rtp::format", "rtp::sdes", "rtp::srtp"]), rule: PURE },
    Module { path: "rtp", layer: 1, may: May::Below(&[]), rule: PURE },
    Module { path: "turn", layer: 1, may: May::Below(&["conversation"]), rule: PURE },
    Module { path: "conversation", layer: 1, may: May::Below(&["pipeline::manifest", "pipeline::intent"]), rule: PURE },
    Module {
        path: "call::machine",
        layer: 1,
        // The last three are plain data: what crosses a ring or a channel, never the thread behind it.
        may: May::Below(&[
            "sip",
            "rtp",
            "turn",
            "conversation",
            "pipeline::intent",
            "pipeline::manifest",
            "call::record",
            "call::exchange",
            "media::command",
            "media::event",
            "speech::event",
        ]),
        rule: PURE,
    },
    Module { path: "call::bridge::machine", layer: 1, may: May::Below(&["call::record"]), rule: PURE },
    Module { path: "call::record", layer: 1, may: May::Below(&[]), rule: PURE },
    Module {
        path: "call::exchange",
        layer: 1,
        may: May::Below(&["conversation", "turn", "pipeline::manifest", "call::record"]),
        rule: PURE,
    },
    Module { path: "pipeline::manifest", layer: 1, may: May::Below(&[]), rule: PURE },
    // Numbers in words are read in one place.
    Module {
        path: "pipeline::intent",
        layer: 1,
        may: May::Below(&["pipeline::manifest", "conversation::spoken"]),
        rule: PURE,
    },
    Module {
        path: "pipeline::spec",
        layer: 1,
        may: May::Below(&["pipeline::manifest", "pipeline::intent"]),
        rule: PURE,
    },
    Module {
        path: "pipeline::scheduler",
        layer: 1,
        may: May::Below(&["pipeline::manifest", "pipeline::spec", "conversation"]),
        rule: PURE,
    },
    // Layer 2: engines.
    Module { path: "models", layer: 2, may: May::Only(&["dsp"]), rule: "models imports dsp and nothing else of ours" },
    Module { path: "llm", layer: 2, may: May::Below(&["telemetry"]), rule: ENGINE },
    Module { path: "knowledge", layer: 2, may: May::Below(&["models", "store", "telemetry"]), rule: ENGINE },
    Module { path: "store", layer: 2, may: May::Below(&["telemetry"]), rule: ENGINE },
    Module { path: "bus", layer: 2, may: May::Below(&["store", "telemetry"]), rule: ENGINE },
    Module { path: "telemetry", layer: 2, may: May::Below(&[]), rule: ENGINE },
    Module {
        path: "config",
        layer: 2,
        may: May::Below(&[]),
        rule: "config is plain data, read once: it knows no part that it configures",
    },
    Module { path: "os", layer: 2, may: May::Below(&[]), rule: ENGINE },
    // What SIP and HTTP share: our certificate.
    Module { path: "tls", layer: 2, may: May::Below(&[]), rule: ENGINE },
    Module { path: "packs", layer: 2, may: May::Below(&["models", "os", "telemetry"]), rule: ENGINE },
    // Layer 3: shells.
    Module {
        path: "media",
        layer: 3,
        may: May::Only(&["dsp", "rtp", "telemetry::marks", "telemetry::Marks", "os", "id", "time", "limits"]),
        rule: "media sees only dsp, rtp, telemetry::marks, os and layer 0: what it cannot name it cannot wait for",
    },
    Module { path: "speech", layer: 3, may: May::Below(&["media"]), rule: SHELL },
    Module { path: "sip::transport", layer: 3, may: May::Below(&[]), rule: SHELL },
    Module { path: "webrtc", layer: 3, may: May::Below(&["media"]), rule: SHELL },
    Module { path: "twilio", layer: 3, may: May::Below(&["media"]), rule: SHELL },
    Module {
        path: "pipeline",
        layer: 3,
        // It writes bundles and starts the child that runs them; apphost knows nothing of the pipeline.
        may: May::Below(&["apphost"]),
        rule: SHELL,
    },
    Module { path: "apphost", layer: 3, may: May::Below(&[]), rule: SHELL },
    // Layer 4.
    Module {
        path: "call",
        layer: 4,
        may: May::Below(&[]),
        rule: "call::{actor,registry} is layer 4: it drives planes, and knows no api, cli or daemon",
    },
    // Layer 5.
    Module { path: "console", layer: 5, may: May::Only(&[]), rule: TOP },
    Module { path: "api", layer: 5, may: May::Below(&["console"]), rule: TOP },
    Module { path: "daemon", layer: 5, may: May::Below(&["api", "console"]), rule: TOP },
    Module { path: "cli", layer: 5, may: May::Below(&["api", "daemon", "console"]), rule: TOP },
    Module { path: "main", layer: 5, may: May::Below(&["api", "daemon", "cli"]), rule: TOP },
];

/// A foreign name and where it may be used.
pub(crate) struct Name {
    /// Path prefixes, by whole segments.
    pub(crate) names: &'static [&'static str],
    pub(crate) place: Place,
    pub(crate) rule: &'static str,
    pub(crate) remedy: &'static str,
}

pub(crate) enum Place {
    /// Only in these modules.
    Only(&'static [&'static str]),
    /// Never in these modules.
    Never(&'static [&'static str]),
    /// Never in a module of layer 1.
    NeverPure,
}

pub(crate) const NAMES: &[Name] = &[
    Name {
        names: &["ort", "libloading", "sherpa_onnx", "sherpa_rs", "pocketsphinx", "flite"],
        place: Place::Only(&["models"]),
        rule: "inference engines are named in the models crate only",
        remedy: "add a typed wrapper to models and call that",
    },
    Name {
        names: &["rusqlite"],
        place: Place::Only(&["store", "apphost"]),
        rule: "rusqlite is named in store (and apphost, for the app's own file) only",
        remedy: "add a method to the aggregate's file in src/store",
    },
    Name {
        names: &["axum"],
        place: Place::Only(&["api", "apphost"]),
        rule: "axum is named in api (and apphost) only",
        remedy: "return data; let src/api turn it into a response",
    },
    Name {
        names: &["anyhow", "eyre"],
        place: Place::Only(&[]),
        rule: "errors are one enum per module, so that the caller can tell whose fault it is and whether to retry",
        remedy: "derive thiserror::Error on an enum of this module",
    },
    Name {
        names: &[
            "tokio",
            "std::net::UdpSocket",
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::os::unix::net",
            "std::fs",
            "std::env",
            "std::process",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "libc",
            "rusqlite",
            "hyper",
        ],
        place: Place::NeverPure,
        rule: "layer 1 is pure: no tokio, sockets, files, threads or clocks",
        remedy: "take bytes and a Tick as arguments, hand out actions through poll_*; let the shell do it",
    },
    Name {
        names: &[
            "tokio",
            "serde",
            "serde_json",
            "std::net",
            "std::fs",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
        ],
        place: Place::Never(&["dsp"]),
        rule: "dsp computes: no tokio, serde, sockets, files, threads or clock",
        remedy: "pass samples and counts in; let media do the rest",
    },
    Name {
        names: &[
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
            "std::sync::Once",
            "std::sync::OnceLock",
            "std::sync::LazyLock",
            "std::sync::mpsc",
            "parking_lot",
            "tracing",
            "log",
            "metrics",
        ],
        place: Place::Never(&[
            "rtp",
            "dsp",
            // What a worker uses beside its own modules.
            "telemetry::marks",
            "telemetry::histogram",
            "os::batch",
            "os::clock",
            "os::wait",
            "os::wake",
            "time",
        ]),
        rule: "what runs for every packet takes no lock and writes no log",
        remedy: "own the state; what is computed once is computed in `new`",
    },
    Name {
        names: &[
            "tokio",
            "serde",
            "serde_json",
            "toml",
            "rusqlite",
            "axum",
            "hyper",
            "tracing",
            "log",
            "metrics",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
            "std::sync::Once",
            "std::sync::OnceLock",
            "std::sync::LazyLock",
            "std::sync::mpsc",
            "std::fs",
            "parking_lot",
        ],
        place: Place::Never(&["media"]),
        rule: "media waits for nobody: no lock, no tokio, no log, no file on a media thread",
        remedy: "use a ring, an atomic counter of telemetry::marks or a MediaEvent; let the control plane log it",
    },
];

/// One module that may use names which its parent may not, and why.
pub(crate) struct Exception {
    pub(crate) module: &'static str,
    pub(crate) names: &'static [&'static str],
    #[expect(dead_code, reason = "for the reader of this table")]
    pub(crate) why: &'static str,
}

pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        module: "media::plane",
        names: &["std::sync::Mutex", "std::sync::mpsc"],
        why: "the control plane's handle: its threads share the sending end of the command ring; workers hold the other \
              end and never see the lock, and the channel carries one answer while a worker starts",
    },
    Exception {
        module: "dsp::dtmf::bank",
        names: &["std::sync::OnceLock"],
        why: "tables that all detectors share, made by the first `Detector::new`, on a control thread; a detector keeps the \
              reference",
    },
    Exception {
        module: "media::recorder::disk",
        names: &["std::fs"],
        why: "the recorder's threads write files; a worker holds a tap, which is a ring and three atomics",
    },
];

/// Where `unsafe` may stand (test code apart: allocators and fault injection need it).
pub(crate) const UNSAFE_IN: &[&str] = &["dsp::kernel", "media::socket", "os", "models::ffi"];

/// A macro or word and where it may be used; words in comments count as well when `text` is set.
pub(crate) struct Word {
    pub(crate) words: &'static [&'static str],
    pub(crate) only_in: &'static [&'static str],
    pub(crate) in_tests: bool,
    pub(crate) remedy: &'static str,
}

pub(crate) const MACROS: &[Word] = &[
    Word {
        words: &["dbg", "todo", "unimplemented"],
        only_in: &[],
        in_tests: false,
        remedy: "finish it before it is committed",
    },
    Word {
        words: &["println", "print", "eprintln", "eprint"],
        only_in: &["cli", "main"],
        in_tests: true,
        remedy: "return the text or log it with tracing; only a subcommand prints",
    },
    Word {
        words: &["anyhow", "bail"],
        only_in: &[],
        in_tests: true,
        remedy: "return a variant of the module's error enum",
    },
];

/// Words that may stand nowhere in a tracked text file, comments included.
/// They are put together here so that this file does not trip over itself.
pub(crate) const BANNED_TEXT: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "mend it now; a note to oneself is not merged"),
    (concat!("XX", "X:"), "mend it now; a note to oneself is not merged"),
    (concat!("/wo", "rk/"), "no path of one machine: use a path relative to the root or a variable"),
    (concat!("/ro", "ot/"), "no path of one machine: use a path relative to the root or a variable"),
    (concat!("/tmp/", "cw"), "no path of one machine: use a path relative to the root or a variable"),
];

/// Hosts that tracked files may name in a URL; any other may be a private one.
pub(crate) const HOSTS: &[&str] = &[
    "0.0.0.0",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "{",
    "$",
    "example.com",
    "example.net",
    "example.org",
    "example",
    "invalid",
    "test",
    "local",
    "apache.org",
    "crates.io",
    "deepgram.com",
    "docs.rs",
    "elevenlabs.io",
    "freedesktop.org",
    "github.com",
    "huggingface.co",
    "ietf.org",
    "itu.int",
    "keepachangelog.com",
    "kernel.org",
    "npmjs.org",
    "openai.com",
    "openapis.org",
    "prometheus.io",
    "pypi.org",
    "rfc-editor.org",
    "rust-lang.org",
    "rustsec.org",
    "rustup.rs",
    "semver.org",
    "spec.commonmark.org",
    "telnyx.com",
    "twilio.com",
    // Of the example in its documentation.
    "mycompany.com",
    "sqlite.org",
    "w3.org",
    "json-schema.org",
];

/// Names that say nothing, with what to do instead.
pub(crate) const BANNED_MODULES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];
/// Endings of a second version beside the first.
pub(crate) const BANNED_ENDINGS: &[&str] =
    &["_v2", "_v3", "_new", "_old", "_backup", "_tmp", "_manager", "_utils", "_helpers"];

/// What the top level holds; dotfiles apart.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "dsp",
    "models",
    "systemd",
    "benches",
    "fuzz",
    "tests",
    "README.md",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "deny.toml",
];
/// Of these, the ones that every commit has.
pub(crate) const TOP_LEVEL_ALWAYS: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "dsp",
    "models",
    "systemd",
    "tests",
    "README.md",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "deny.toml",
];

pub(crate) const SHIPPED_LINES_MAX: usize = 800;
/// `mod.rs` is a table of contents: docs, `mod`, `pub use`, a static table.
pub(crate) const MOD_LINES_MAX: usize = 200;
pub(crate) const MAIN_LINES_MAX: usize = 60;
pub(crate) const FILE_BYTES_MAX: u64 = 500 * 1024;

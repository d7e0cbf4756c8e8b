//! Proof that the checker sees: each rule is broken once in a tree of a few lines, and once kept.

use crate::check::{self, File, Tree, Violation};
use crate::rules::TOP_LEVEL_ALWAYS;
use crate::source::Source;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(
        files
            .iter()
            .map(|(path, text)| File {
                path: (*path).to_owned(),
                bytes: text.len() as u64,
                text: Some((*text).to_owned()),
            })
            .collect(),
    )
}

#[track_caller]
fn finds(found: &[Violation], expected: &[(&str, usize, &str)]) {
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{shown:#?}");
    for ((path, line, part), violation) in expected.iter().zip(found) {
        assert!(
            violation.path == *path && violation.line == *line && violation.rule.contains(part),
            "wanted {path}:{line} {part:?}\n{shown:#?}"
        );
        assert!(!violation.remedy.is_empty());
    }
}

fn paths(code: &str) -> Vec<String> {
    Source::new("src/sip/agent.rs", code).mentions().into_iter().map(|mention| mention.path).collect()
}

#[test]
fn use_trees_aliases_and_inline_paths_are_resolved() {
    assert_eq!(
        paths("use crate::a::{b, c::{d as e, *}, self};"),
        ["crate::a::b", "crate::a::c::d", "crate::a::c", "crate::a",]
    );
    assert_eq!(
        paths("use super::super::media as m;\nfn f() { m::worker::run() }"),
        ["crate::media", "crate::media::worker::run"]
    );
    assert_eq!(
        paths("mod deep;\nfn f() { deep::g(); self::deep::h(); super::x::y() }"),
        ["crate::sip::agent::deep::g", "crate::sip::agent::deep::h", "crate::sip::x::y",]
    );
    assert_eq!(
        paths("fn f(a: ::std::fs::File) { a.b::<u8>(); Vec::<std::time::Instant>::new() }"),
        ["std::fs::File", "std::time::Instant"]
    );
    assert_eq!(
        paths("use callwright_dsp::codec; use std::sync;\nstatic A: sync::Mutex<()> = codec::X;"),
        ["dsp::codec", "std::sync", "std::sync::Mutex", "dsp::codec::X",]
    );
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let hidden = r####"
        // crate::api::a
        /* crate::api::b /* crate::api::c */ crate::api::d */
        const A: &str = "crate::api::e \" crate::api::f";
        const B: &[u8] = br##"crate::api::g "# crate::api::h"##;
        const C: char = '"'; const D: char = '\''; fn f<'a>(_: &'a str) {}
        #[cfg(test)]
        mod tests { use crate::api::i; fn g() { let _ = '}'; } }
        #[test]
        fn h() { crate::api::j() }
        #[cfg(all(test, unix))]
        use crate::api::k;
        fn shipped() { crate::time::l() }
    "####;
    assert_eq!(paths(hidden), ["crate::time::l"]);
    let source = Source::new("src/a.rs", "//! a\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
    assert_eq!(source.shipped_lines(), 2);
}

#[test]
fn imports_against_the_layers_are_seen() {
    let found = check::imports(&tree(&[
        ("src/sip/agent.rs", "use crate::{time::Tick, store::Calls};"),
        ("src/sip/transport/udp.rs", "use crate::sip::agent::Agent;\nuse crate::os::clock;"),
        ("src/sip/dialog.rs", "\nfn f() { super::transport::udp::bind() }"),
        (
            "src/media/worker.rs",
            "use crate::telemetry::marks::Marks;\nuse crate::telemetry::log;\nuse callwright_dsp::tone;",
        ),
        (
            "src/speech/asr.rs",
            "use callwright_models::asr;\nuse crate::media::InFrame;\nuse crate::conversation::Expectation;",
        ),
        ("src/conversation/mod.rs", "use crate::pipeline::manifest::BuildManifest;\nuse crate::pipeline::Pipeline;"),
        ("src/api/mod.rs", "use crate::pipeline::Pipeline;\nuse crate::cli::serve;"),
        ("src/cli/demo.rs", "use crate::api; use crate::daemon; use crate::call::registry;"),
        ("src/fax/mod.rs", "//! New."),
        ("dsp/src/codec/mod.rs", "use crate::level::rms;"),
        ("models/src/vad.rs", "use callwright_dsp::resample;\nuse callwright::time;"),
        ("src/main.rs", "use callwright::cli;"),
    ]));
    finds(
        &found,
        &[
            ("src/sip/agent.rs", 1, "imports store::Calls (layer 2)"),
            ("src/sip/dialog.rs", 2, "imports sip::transport"),
            ("src/media/worker.rs", 2, "media sees only"),
            ("src/conversation/mod.rs", 2, "imports pipeline::Pipeline"),
            ("src/api/mod.rs", 2, "imports cli::serve"),
            ("src/fax/mod.rs", 1, "no row"),
            ("models/src/vad.rs", 2, "models imports dsp"),
        ],
    );
}

#[test]
fn names_outside_their_home_are_seen() {
    let found = check::names(&tree(&[
        ("src/speech/vad.rs", "use ort::session::Session;"),
        ("models/src/vad.rs", "use ort::session::Session;"),
        ("src/pipeline/queue.rs", "fn f(c: rusqlite::Connection) {}"),
        ("src/store/calls.rs", "use rusqlite::Connection;"),
        ("src/turn/machine.rs", "use std::time::{Duration, Instant};"),
        ("src/sip/sdp.rs", "use std::net::{IpAddr, SocketAddr};"),
        ("src/media/session.rs", "use std::sync::{Arc, Mutex, atomic::AtomicU64};"),
        ("src/media/plane.rs", "use std::sync::{Mutex, RwLock};"),
        ("dsp/src/tone.rs", "\n\nfn f() { std::thread::yield_now() }"),
        ("src/call/actor.rs", "use axum::Json;"),
    ]));
    finds(
        &found,
        &[
            ("src/speech/vad.rs", 1, "models crate only"),
            ("src/pipeline/queue.rs", 1, "rusqlite"),
            ("src/turn/machine.rs", 1, "layer 1 is pure"),
            ("src/media/session.rs", 1, "media waits for nobody"),
            ("src/media/plane.rs", 1, "RwLock"),
            ("dsp/src/tone.rs", 3, "dsp computes"),
            ("src/call/actor.rs", 1, "axum"),
        ],
    );
}

#[test]
fn unsafe_and_printing_are_seen() {
    let found = check::words(&tree(&[
        ("src/call/actor.rs", "fn f() { unsafe { g() } }"),
        ("src/os/clock.rs", "fn f() { unsafe { g() } }"),
        ("tests/heap.rs", "unsafe impl Sync for A {}\nfn f() { println!(); dbg!(1) }"),
        ("src/bus/mod.rs", "fn f(print: bool) {\n    println!(\"x\");\n    if print != true {}\n}"),
        ("src/cli/dial/mod.rs", "fn f() { println!(\"x\") }"),
    ]));
    finds(
        &found,
        &[("src/call/actor.rs", 1, "unsafe"), ("tests/heap.rs", 2, "dbg!"), ("src/bus/mod.rs", 2, "println!")],
    );
}

#[test]
fn banned_text_is_seen() {
    let note = concat!("// FIX", "ME later");
    let path = concat!("cd /wo", "rk/x");
    let found = check::texts(&tree(&[
        ("src/a.rs", note),
        ("Makefile", path),
        (
            "README.md",
            "https://docs.rs/x http://127.0.0.1:8080/ http://{address}/ net/work/ https://www.rfc-editor.org/rfc/rfc3261",
        ),
        ("SECURITY.md", concat!("https:/", "/mirror.corp.internal/x")),
    ]));
    finds(
        &found,
        &[
            ("src/a.rs", 1, "in a tracked file"),
            ("Makefile", 1, "in a tracked file"),
            ("SECURITY.md", 1, "mirror.corp.internal"),
        ],
    );
}

#[test]
fn shape_is_seen() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(801));
    let tested =
        format!("//! Long, but most of it tests.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(801));
    let mut files = tree(&[
        ("src/a.rs", &long),
        ("src/b.rs", &tested),
        ("src/c.rs", "fn f() {}"),
        ("src/utils.rs", "//! Things."),
        ("src/d/mod.rs", "//! D.\nmod ring_v2;"),
        ("PLAN.md", ""),
    ]);
    files.files.push(File { path: "models/big.bin".to_owned(), bytes: 600 * 1024, text: None });
    finds(
        &check::shape(&files),
        &[
            ("PLAN.md", 1, "plan"),
            ("models/big.bin", 1, "600 KB"),
            ("src/a.rs", 1, "802 lines"),
            ("src/c.rs", 1, "//! docs"),
            ("src/utils.rs", 1, "utils"),
            ("src/d/mod.rs", 2, "ring_v2"),
        ],
    );
}

#[test]
fn top_level_and_limits_are_seen() {
    let mut files: Vec<(&str, &str)> = TOP_LEVEL_ALWAYS.iter().map(|path| (*path, "")).collect();
    files.retain(|(path, _)| *path != "deny.toml");
    files.extend([(".ci/run", ""), ("docs/guide.md", "")]);
    finds(&check::top_level(&tree(&files)), &[("docs", 1, "does not hold"), ("deny.toml", 1, "missing")]);

    let found = check::limits(&tree(&[
        ("src/limits.rs", "//! L.\npub const A: usize = 1;\npub const B: usize = 2;\nconst _: () = assert!(A < B);"),
        ("src/bus/mod.rs", "use crate::limits::A;\n// B\n#[cfg(test)]\nmod tests { use crate::limits::B; }"),
    ]));
    finds(&found, &[("src/limits.rs", 3, "B bounds nothing")]);
}

#[test]
fn broken_promises_are_seen() {
    let found = check::promises(&tree(&[
        (
            "README.md",
            "```\nmake run\ncallwright serve --config x\n```\nTry `make bench-codec`, `make fly`,\n`callwright doctor`, `src/cli/serve.rs` or `src/gone.rs`; make sure.",
        ),
        ("Makefile", "A := b\nrun: build ## start\nbuild:\n\tcargo build\nbench-%: ## bench\n"),
        ("src/cli/serve.rs", ""),
        (".config/nextest.toml", "filter = 'binary(=gone) | binary(=tidy)'"),
        ("tests/tidy.rs", ""),
    ]));
    let api = check::promises(&tree(&[
        ("README.md", "| request |\n| `GET /a` | a |\n| `GET /b` | b |"),
        ("src/api/openapi.json", r#"{"paths": {"/a": {"get": {}}, "/c": {"post": {}}}}"#),
    ]));
    finds(&api, &[("README.md", 3, "GET /b"), ("README.md", 1, "POST /c")]);
    finds(
        &found,
        &[
            ("README.md", 5, "make fly"),
            ("README.md", 6, "callwright doctor"),
            ("README.md", 6, "src/gone.rs"),
            (".config/nextest.toml", 1, "gone"),
            ("Makefile", 3, "build"),
        ],
    );
}

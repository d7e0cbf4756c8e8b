//! Archives as they are, as they break, and as an attacker would make them.

use super::*;
use bzip2::Compression;
use bzip2::write::BzEncoder;
use proptest::prelude::*;
use tar::{Builder, Header};

fn all(_: &Path) -> bool {
    true
}

fn bz2(octets: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// One entry with a name that [`Builder`] would refuse.
fn entry(kind: EntryType, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o4777);
    if kind == EntryType::Symlink {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut octets = header.as_bytes().to_vec();
    octets.extend(content);
    octets.resize(octets.len().next_multiple_of(512), 0);
    octets
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = entries.concat();
    octets.extend([0; 1024]);
    bz2(&octets)
}

fn unpacked(archive: &[u8]) -> (Result<Unpacked, ArchiveError>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("in");
    fs::create_dir(&inside).unwrap();
    let outcome = unpack(archive, archive.len() as u64, &inside, Bounds::PACK, &all);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something was written outside");
    (outcome, directory)
}

fn refusal(archive: &[u8]) -> String {
    unpacked(archive).0.unwrap_err().to_string()
}

#[test]
fn a_pack_comes_out_as_it_went_in() {
    let mut builder = Builder::new(Vec::new());
    let long = format!("pack/{}/deep.txt", "directory-with-a-long-name/".repeat(8));
    for (name, content) in [("pack/tokens.txt", "a 0\n"), ("pack/empty", ""), (long.as_str(), "deep")] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let (outcome, directory) = unpacked(&bz2(&builder.into_inner().unwrap()));
    assert_eq!(outcome.unwrap(), Unpacked { files: 3, octets: 8 });
    let read = |name: &str| fs::read_to_string(directory.path().join("in").join(name)).unwrap();
    assert_eq!(
        (read("pack/tokens.txt"), read("pack/empty"), read(&long)),
        ("a 0\n".into(), String::new(), "deep".into())
    );
}

#[test]
fn long_names_of_posix_are_read() {
    let record = |text: &str| format!("{} {text}\n", text.len() + 4);
    // Another attribute's value may hold a newline.
    let header = record("xattr=two\n9 path=") + &record("path=pack/renamed.txt");
    let archive = tar(&[
        entry(EntryType::XGlobalHeader, b"g", record("comment=hello wor").as_bytes()),
        entry(EntryType::XHeader, b"x", header.as_bytes()),
        entry(EntryType::Regular, b"pack/short", b"abc"),
    ]);
    let (outcome, directory) = unpacked(&archive);
    outcome.unwrap();
    assert_eq!(fs::read(directory.path().join("in/pack/renamed.txt")).unwrap(), b"abc");
    let giant = record("size=99999999999999");
    let archive =
        tar(&[entry(EntryType::XHeader, b"x", giant.as_bytes()), entry(EntryType::Regular, b"pack/short", b"abc")]);
    assert!(refusal(&archive).contains("8 GiB"));
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let archive =
        tar(&[entry(EntryType::Regular, b"p/keep", b"1234"), entry(EntryType::Regular, b"p/drop", &[7; 5000])]);
    let directory = tempfile::tempdir().unwrap();
    let keep = |path: &Path| path.ends_with("keep");
    let outcome = unpack(&archive[..], archive.len() as u64, directory.path(), Bounds::PACK, &keep).unwrap();
    assert_eq!(outcome, Unpacked { files: 1, octets: 4 });
    assert!(!directory.path().join("p/drop").exists());
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in [&b"../evil"[..], b"pack/../../evil", b"pack/..", b"/etc/evil", b"..\\evil", b"pack/\xff\xfe"] {
        let said = refusal(&tar(&[entry(EntryType::Regular, b"pack/ok", b"x"), entry(EntryType::Regular, name, b"x")]));
        assert!(said.contains("nothing of it was installed"), "{said}");
    }
    let longer = [b"pack/".as_slice(), &[b'a'; 2000]].concat();
    let said =
        refusal(&tar(&[entry(EntryType::GNULongName, b"L", &longer), entry(EntryType::Regular, b"pack/x", b"x")]));
    assert!(said.contains("1024"), "{said}");
}

#[test]
fn a_long_name_leads_out_no_more_than_a_short_one() {
    let archive =
        tar(&[entry(EntryType::GNULongName, b"L", b"../../evil\0"), entry(EntryType::Regular, b"pack/harmless", b"x")]);
    assert!(refusal(&archive).contains("leads out"));
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let said = refusal(&tar(&[entry(kind, b"pack/x", b"")]));
        assert!(said.contains("pack/x"), "{said}");
    }
    assert!(refusal(&tar(&[entry(EntryType::Symlink, b"pack/x", b"")])).contains("a link"));
}

#[test]
fn a_file_through_a_file_and_a_file_twice_are_refused() {
    let twice = tar(&[entry(EntryType::Regular, b"pack/x", b"1"), entry(EntryType::Regular, b"./pack/./x", b"2")]);
    assert!(refusal(&twice).contains("twice"));
    let through = tar(&[entry(EntryType::Regular, b"pack", b"1"), entry(EntryType::Regular, b"pack/x", b"2")]);
    assert!(unpacked(&through).0.is_err());
}

#[test]
fn bombs_are_refused_before_they_fill_the_disk() {
    // 64 MiB of zeros in 47 octets or so.
    let zeros = vec![0; 64 << 20];
    let archive = tar(&[entry(EntryType::Regular, b"pack/zeros", &zeros)]);
    assert!(archive.len() < 10_000, "{}", archive.len());
    let (outcome, directory) = unpacked(&archive);
    let said = outcome.unwrap_err().to_string();
    assert!(said.contains("more than 1 MB"), "{said}");
    let written = fs::metadata(directory.path().join("in/pack/zeros")).map_or(0, |m| m.len());
    assert!(written <= 2 << 20, "{written}");

    let header = tar(&[entry(EntryType::GNULongName, b"L", &zeros[..200_000]), entry(EntryType::Regular, b"x", b"")]);
    assert!(refusal(&header).contains("one header"));

    let many = tar(&vec![entry(EntryType::Directory, b"pack/d", b""); 21]);
    let bounds = Bounds { entries: 20, ..Bounds::PACK };
    let directory = tempfile::tempdir().unwrap();
    let said = unpack(&many[..], 1 << 20, directory.path(), bounds, &all).unwrap_err().to_string();
    assert!(said.contains("20 files"), "{said}");
}

#[test]
fn a_cut_archive_is_damaged_and_says_so() {
    let content: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let whole = tar(&[entry(EntryType::Regular, b"pack/x", &content)]);
    assert!(unpacked(&whole).0.is_ok());
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        let said = refusal(&whole[..cut]);
        assert!(said.contains("damaged") && said.contains("fetch it again"), "{cut}: {said}");
    }
    let mut flipped = whole;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert!(refusal(&flipped).contains("damaged"));
}

#[test]
fn a_directory_is_copied_under_the_same_rules() {
    let from = tempfile::tempdir().unwrap();
    fs::create_dir(from.path().join("sub")).unwrap();
    fs::write(from.path().join("a"), "12").unwrap();
    fs::write(from.path().join("sub/b"), "345").unwrap();
    let into = tempfile::tempdir().unwrap();
    let copied = copy(from.path(), into.path(), Bounds::PACK, &all).unwrap();
    assert_eq!(copied, Unpacked { files: 2, octets: 5 });
    assert_eq!(fs::read(into.path().join("sub/b")).unwrap(), b"345");

    let small = tempfile::tempdir().unwrap();
    let bounds = Bounds { octets: 3, ..Bounds::PACK };
    assert!(copy(from.path(), small.path(), bounds, &all).unwrap_err().to_string().contains("more than 3"));
    std::os::unix::fs::symlink("/etc/passwd", from.path().join("sub/link")).unwrap();
    let again = tempfile::tempdir().unwrap();
    assert!(copy(from.path(), again.path(), Bounds::PACK, &all).unwrap_err().to_string().contains("sub/link"));
}

#[test]
fn what_the_archive_says_of_modes_is_ignored() {
    use std::os::unix::fs::PermissionsExt;
    let (outcome, directory) = unpacked(&tar(&[entry(EntryType::Regular, b"pack/x", b"#!")]));
    outcome.unwrap();
    let mode = fs::metadata(directory.path().join("in/pack/x")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7111, 0, "{mode:o}");
}

#[test]
fn sizes_are_said_as_people_say_them() {
    for (octets, words) in [
        (0, "0 octets"),
        (999, "999 octets"),
        (1_499, "1 kB"),
        (999_999, "1 MB"),
        (127_887_156, "128 MB"),
        (12_400_000_000, "12 GB"),
    ] {
        assert_eq!(octets_in_words(octets), words);
    }
    assert!(octets_in_words(u64::MAX).ends_with(" GB"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_octets_make_it_panic_or_write_outside(octets in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = unpacked(&octets);
        // Past the decompressor, too.
        let _ = unpacked(&bz2(&octets));
    }

    #[test]
    fn a_flipped_octet_of_a_header_does_no_harm(at in 0_usize..1536, with in any::<u8>()) {
        let mut plain = [entry(EntryType::Regular, b"pack/a", b"abc"), entry(EntryType::Regular, b"pack/b", b"de")].concat();
        plain[at] ^= with;
        // A checksum that holds lets the change through.
        for header in [0, 1024] {
            let mut sum = Header::new_old();
            sum.as_mut_bytes().copy_from_slice(&plain[header..header + 512]);
            sum.set_cksum();
            plain[header..header + 512].copy_from_slice(sum.as_bytes());
        }
        plain.extend([0; 1024]);
        let _ = unpacked(&bz2(&plain));
    }
}

#[test]
fn archives_of_npm_are_unpacked_under_the_same_rules() {
    let gzip = |octets: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    };
    let plain = |entries: &[Vec<u8>]| [entries.concat(), vec![0; 1024]].concat();
    let whole = gzip(&plain(&[
        entry(EntryType::Regular, b"package/build/tokenizer.json", b"{}"),
        entry(EntryType::Regular, b"package/LICENSE", b"MIT"),
    ]));
    let (outcome, directory) = unpacked(&whole);
    assert_eq!(outcome.unwrap(), Unpacked { files: 2, octets: 5 });
    assert_eq!(fs::read(directory.path().join("in/package/build/tokenizer.json")).unwrap(), b"{}");
    // Cut anywhere, with a changed octet, or grown beyond what its length lets expect.
    for length in [1, 2, 10, whole.len() / 2, whole.len() - 1] {
        assert!(refusal(&whole[..length]).contains("damaged"), "{length}");
    }
    let mut changed = whole.clone();
    let crc = changed.len() - 6;
    changed[crc] ^= 1;
    assert!(refusal(&changed).contains("damaged"));
    let bomb = gzip(&plain(&[entry(EntryType::Regular, b"package/zeros", &vec![0; 8 << 20])]));
    assert!(refusal(&bomb).contains("more than"), "{} octets", bomb.len());
    let hostile = gzip(&plain(&[entry(EntryType::Regular, b"../evil", b"x")]));
    assert!(refusal(&hostile).contains("leads out"));
}

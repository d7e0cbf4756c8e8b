//! The recorder as a whole: real files, virtual time where the threads are not what is tested.

use super::align::Pair;
use super::disk::{Place, Repair};
use super::keeper::{Finished, Keeper};
use super::ogg_opus::tests::play;
use super::thread::{Order, Recording, Standing};
use super::*;
use crate::os::clock;
use crate::time::{MediaTime, Tick};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

const DAY: Wallclock = Wallclock(1_795_180_000_000); // 2026-11-20

/// A recorder without threads: `pass` is called with the time that the test wants.
struct Bench {
    dir: tempfile::TempDir,
    recorder: thread::Recorder,
    keeper: Keeper,
    told: Arc<Mutex<Vec<Report>>>,
    marks: Arc<Marks>,
    now: Tick,
}

impl Bench {
    fn new() -> Self {
        Self::below(tempfile::tempdir().unwrap(), 0)
    }

    fn below(dir: tempfile::TempDir, floor_octets: u64) -> Self {
        let place = Place::open(dir.path()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep_told = Arc::clone(&told);
        let reports: Reports = Arc::new(move |report| keep_told.lock().unwrap().push(report));
        let (finished, to_keep) = bounded(64);
        let (_, orders) = bounded::<Order>(1);
        let marks = Arc::new(Marks::new());
        let keeper = Keeper {
            place: place.clone(),
            keep: Duration::from_secs(7 * 86_400),
            leftovers: Vec::new(),
            finished: to_keep,
            reports: Arc::clone(&reports),
        };
        let recorder = thread::Recorder {
            place,
            floor_octets,
            avoid_cpus: Vec::new(),
            orders,
            finished,
            standing: Arc::new(Standing::default()),
            marks: Arc::clone(&marks),
            reports,
            open: Vec::new(),
        };
        Self { dir, recorder, keeper, told, marks, now: clock::monotonic() }
    }

    fn open(&mut self, call: u64, format: Format) -> (Tap, Control) {
        let (tap, ring, shared) = tap();
        let name = thread::name(CallId(call), DAY, format);
        let recording = Recording::new(CallId(call), name, format, ring, Arc::clone(&shared));
        self.recorder.standing.open.fetch_add(1, Relaxed);
        self.recorder.open.push(recording);
        (tap, Control(shared))
    }

    fn pass_after(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        self.recorder.pass(self.now, false);
    }

    /// What the keeper's thread would do with finished files.
    fn keep(&self) -> Vec<Ended> {
        while let Ok(finished) = self.keeper.finished.try_recv() {
            self.keeper.keep(finished);
        }
        let told = self.told.lock().unwrap();
        told.iter().filter_map(|r| if let Report::Ended(ended) = r { Some(ended.clone()) } else { None }).collect()
    }

    fn path(&self, call: u64, format: Format) -> PathBuf {
        locate(self.dir.path(), &thread::name(CallId(call), DAY, format)).expect("there is a file")
    }

    fn pairs(&self, call: u64, format: Format) -> Vec<Pair> {
        pairs(&self.path(call, format), format)
    }
}

fn pairs(path: &Path, format: Format) -> Vec<Pair> {
    match format {
        Format::Wav => {
            let samples: Vec<i16> = hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect();
            samples.chunks(2).map(|pair| [pair[0], pair[1]]).collect()
        }
        Format::Opus => play(&fs::read(path).unwrap()).pairs,
    }
}

/// Both sides of `n` frames from frame `first` on; the value tells the frame.
fn push(tap: &mut Tap, first: u64, n: u64) {
    for frame in first..first + n {
        let value = (frame % 1000) as i16 + 1;
        tap.push_samples(Side::Caller, MediaTime(frame * 160), &[value; 160]);
        tap.push_samples(Side::Agent, MediaTime(frame * 160), &[-value; 160]);
    }
}

#[test]
fn a_call_becomes_a_private_file_below_its_date() {
    let mut b = Bench::new();
    let (mut tap, _control) = b.open(0xab, Format::Wav);
    push(&mut tap, 0, 50);
    b.pass_after(200);
    let part = b.path(0xab, Format::Wav);
    assert!(part.ends_with("recordings/2026/11/20/call_00000000000000ab.wav.part"), "{part:?}");
    drop(tap);
    b.pass_after(200);
    let ended = b.keep().pop().unwrap();
    assert_eq!((ended.outcome, ended.samples, ended.octets), (Outcome::Complete, 8000, 80 + 32_000));
    assert_eq!((ended.lost_frames, ended.withheld_frames, ended.trimmed_samples), (0, 0, 0));
    let whole = b.path(0xab, Format::Wav);
    assert!(whole.ends_with(&ended.name) && !part.exists());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(&whole).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(whole.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let file = b.pairs(0xab, Format::Wav);
    assert_eq!((file.len(), file[0], file[159], file[160], file[7999]), (8000, [1, -1], [1, -1], [2, -2], [50, -50]));
    assert_eq!((b.recorder.standing.open.load(Relaxed), b.marks.recording_taken.get()), (0, 100));
}

#[test]
fn a_call_without_audio_leaves_no_file() {
    let mut b = Bench::new();
    drop(b.open(1, Format::Wav));
    b.pass_after(200);
    let ended = b.keep();
    assert_eq!((ended.len(), &ended[0].outcome), (1, &Outcome::Empty));
    assert_eq!(fs::read_dir(b.dir.path().join("recordings")).unwrap().count(), 0);
}

#[test]
fn at_any_moment_what_is_older_than_a_second_plays() {
    for format in [Format::Wav, Format::Opus] {
        let mut b = Bench::new();
        let (mut tap, _control) = b.open(1, format);
        for pass in 1..=15 {
            push(&mut tap, (pass - 1) * 10, 10);
            if pass % 3 == 0 {
                // The agent falls silent: the caller's audio does not wait for it longer than it may.
                tap.push_samples(Side::Caller, MediaTime(pass * 1600), &[7; 160]);
            }
            b.pass_after(200);
            // What another process would find now, and what would be left after a kill -9.
            let found = pairs(&b.path(1, format), format);
            assert!(found.len() as u64 + 8000 > pass * 1600, "{format:?} pass {pass}: {} samples", found.len());
        }
        // Nothing comes any more, from neither side: all of it plays within a second.
        tap.push_samples(Side::Caller, MediaTime(150 * 160), &[7; 160]);
        for _ in 0..5 {
            b.pass_after(200);
        }
        let found = pairs(&b.path(1, format), format).len();
        let lookahead = if format == Format::Opus { 160 + 60 } else { 0 };
        assert!(found + lookahead >= 151 * 160, "{format:?}: {found}");
    }
}

#[test]
fn frames_lost_to_a_slow_recorder_are_counted_and_stay_silent() {
    let mut b = Bench::new();
    let (mut tap, _control) = b.open(1, Format::Wav);
    push(&mut tap, 0, 150);
    b.pass_after(3000);
    push(&mut tap, 150, 10);
    drop(tap);
    b.pass_after(200);
    let ended = b.keep().pop().unwrap();
    let held = limits_held();
    assert_eq!((ended.lost_frames, ended.samples), (2 * 150 - 2 * held, 160 * 160));
    assert_eq!(b.marks.recording_overflowed.get(), ended.lost_frames);
    let file = b.pairs(1, Format::Wav);
    let at = |frame: u64| file[frame as usize * 160];
    assert_eq!(
        (at(held - 1), at(held), at(149), at(150)),
        ([held as i16, -(held as i16)], [0, 0], [0, 0], [151, -151])
    );
}

/// Frames of each side that the ring holds.
fn limits_held() -> u64 {
    crate::limits::RECORDING_RING_FRAMES as u64 / 2
}

#[test]
fn a_phone_that_jumps_an_hour_ahead_does_not_fill_the_disk() {
    let mut b = Bench::new();
    let (mut tap, _control) = b.open(1, Format::Wav);
    push(&mut tap, 0, 10);
    push(&mut tap, 3600 * 50, 10);
    push(&mut tap, 10, 10);
    drop(tap);
    b.pass_after(200);
    let ended = b.keep().pop().unwrap();
    assert_eq!((ended.samples, b.marks.recording_misplaced.get()), (20 * 160, 20));
}

#[test]
fn what_is_said_while_paused_is_silence_and_the_rest_stays_in_place() {
    let mut b = Bench::new();
    let (mut tap, control) = b.open(1, Format::Wav);
    push(&mut tap, 0, 10);
    control.pause();
    push(&mut tap, 10, 10);
    control.resume();
    push(&mut tap, 20, 10);
    drop(tap);
    b.pass_after(600);
    let ended = b.keep().pop().unwrap();
    assert_eq!((ended.withheld_frames, ended.lost_frames, ended.samples), (20, 0, 30 * 160));
    let file = b.pairs(1, Format::Wav);
    assert!(file[10 * 160..20 * 160].iter().all(|pair| *pair == [0, 0]));
    assert_eq!((file[10 * 160 - 1], file[20 * 160]), ([10, -10], [21, -21]));
}

#[test]
fn below_the_floor_everything_ends_and_nothing_begins() {
    let mut b = Bench::below(tempfile::tempdir().unwrap(), u64::MAX);
    let (mut tap, _control) = b.open(1, Format::Wav);
    push(&mut tap, 0, 20);
    b.pass_after(200);
    let _silent = b.open(2, Format::Wav);
    b.recorder.look_at_space();
    push(&mut tap, 20, 20);
    b.pass_after(200);
    let mut ended = b.keep();
    // The second call had said nothing yet: there is nothing to report.
    assert_eq!(ended.pop().unwrap().outcome, Outcome::Empty);
    let ended = ended.pop().unwrap();
    assert_eq!(ended.outcome, Outcome::Stopped("too little free space".to_owned()));
    assert_eq!((ended.samples, b.pairs(1, Format::Wav).len()), (3200, 3200));
    assert!(b.recorder.standing.full.load(Relaxed));
    assert!(b.told.lock().unwrap().iter().any(|r| matches!(r, Report::Space { full: true, .. })));
    b.recorder.floor_octets = 0;
    b.recorder.look_at_space();
    assert!(!b.recorder.standing.full.load(Relaxed));
}

/// A file system of this size, or `None` where that may not be made.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(octets: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={octets}"), "tmpfs"])
            .arg(dir.path())
            .output();
        made.is_ok_and(|made| made.status.success()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_ends_the_recording_with_its_cause_and_the_file_plays() {
    for format in [Format::Wav, Format::Opus] {
        // Not root: the floor's test above has the rest of it.
        let Some(small) = SmallDisk::new(48 << 10) else { return };
        let inner = tempfile::tempdir_in(small.0.path()).unwrap();
        let mut b = Bench::below(inner, 0);
        let (mut tap, control) = b.open(1, format);
        let mut frames = 0;
        let ended = loop {
            // Noise, which Opus cannot make small.
            for n in frames..frames + 50 {
                let noise: Vec<i16> =
                    (0..160_u64).map(|i| ((n * 160 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as i16).collect();
                tap.push_samples(Side::Caller, MediaTime(n * 160), &noise);
                tap.push_samples(Side::Agent, MediaTime(n * 160), &noise);
            }
            frames += 50;
            b.pass_after(1000);
            if let Some(ended) = b.keep().pop() {
                break ended;
            }
            assert!(frames < 5000, "{format:?}: the disk never became full");
        };
        assert_eq!(ended.outcome, Outcome::Stopped("the disk is full".to_owned()), "{format:?}");
        let whole = b.path(1, format);
        assert!(whole.ends_with(&ended.name) && ended.octets == fs::metadata(&whole).unwrap().len());
        let plays = pairs(&whole, format).len() as u64;
        assert!(plays > 3200 && plays <= ended.samples && plays + 60 > ended.samples, "{format:?}: {plays}");
        // The call goes on; pushing is free of effect.
        push(&mut tap, frames, 500);
        b.pass_after(200);
        assert_eq!((b.keep().len(), control.0.overflowed.load(Relaxed)), (1, 0));
    }
}

#[test]
fn a_fault_in_one_recording_leaves_the_others_alone() {
    let mut b = Bench::new();
    let (mut first, _c1) = b.open(1, Format::Wav);
    let (mut second, _c2) = b.open(2, Format::Wav);
    // Somebody has put a file where the first one's directory should be.
    let day = b.dir.path().join("recordings/2026/11");
    fs::create_dir_all(&day).unwrap();
    fs::create_dir(day.join("20")).unwrap();
    fs::create_dir(day.join("20/call_0000000000000001.wav.part")).unwrap();
    push(&mut first, 0, 20);
    push(&mut second, 0, 20);
    b.pass_after(200);
    drop((first, second));
    b.pass_after(200);
    let mut ended = b.keep();
    ended.sort_by_key(|e| e.call.0);
    assert!(matches!(ended[0].outcome, Outcome::Stopped(_)));
    assert_eq!((&ended[1].outcome, ended[1].samples), (&Outcome::Complete, 3200));
}

/// A complete file of either format, as octets.
fn a_file(format: Format, frames: u64) -> Vec<u8> {
    let mut b = Bench::new();
    let (mut tap, _control) = b.open(1, format);
    for first in (0..frames).step_by(10) {
        push(&mut tap, first, 10);
        b.pass_after(200);
    }
    fs::read(b.path(1, format)).unwrap()
}

fn mended(format: Format, octets: &[u8]) -> (Repair, Option<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let name = thread::name(CallId(3), DAY, format);
    let day = dir.path().join(&name).parent().unwrap().to_owned();
    fs::create_dir_all(day).unwrap();
    fs::write(dir.path().join(format!("{name}.part")), octets).unwrap();
    assert_eq!(place.leftovers(), std::slice::from_ref(&name));
    let outcome = place.repair(&name).unwrap();
    (outcome, fs::read(dir.path().join(&name)).ok())
}

#[test]
fn a_file_cut_anywhere_is_mended_up_to_there() {
    for format in [Format::Wav, Format::Opus] {
        let whole = a_file(format, 100);
        for cut in [0, 10, 79, 80, 83, 84, 200, whole.len() / 2, whole.len() - 1, whole.len()] {
            let (outcome, file) = mended(format, &whole[..cut]);
            match (outcome, file) {
                (Repair::Plays { samples, octets }, Some(file)) => {
                    assert_eq!(octets, file.len() as u64);
                    let dir = tempfile::tempdir().unwrap();
                    let path = dir.path().join("x");
                    fs::write(&path, &file).unwrap();
                    let found = pairs(&path, format);
                    assert!(format == Format::Opus || file.len() as u64 == 80 + samples * 4);
                    assert!(found.len() as u64 <= samples && found.len() as u64 + 60 > samples, "{format:?} {cut}");
                    assert!(format == Format::Wav || play(&file).ended);
                    assert!(cut >= 84);
                }
                (Repair::Empty | Repair::Foreign, None) => assert!(cut < 400, "{format:?} {cut}"),
                other => panic!("{format:?} cut at {cut}: {:?}", other.0),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_in_a_leftover_it_is_mended_or_left_alone(
        opus: bool, cut: prop::sample::Index, wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        use std::sync::LazyLock;
        static WHOLE: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [a_file(Format::Wav, 20), a_file(Format::Opus, 60)]);
        let format = if opus { Format::Opus } else { Format::Wav };
        let mut octets = WHOLE[usize::from(opus)].clone();
        octets.truncate(cut.index(octets.len() + 1));
        for (place, value) in wrong {
            if !octets.is_empty() {
                let place = place.index(octets.len());
                octets[place] = value;
            }
        }
        let (outcome, file) = mended(format, &octets);
        prop_assert_eq!(matches!(outcome, Repair::Plays { .. }), file.is_some());
        if let (Some(file), Format::Opus) = (file, format) {
            prop_assert!(play(&file).ended);
        }
    }
}

#[test]
fn old_recordings_go_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let root = dir.path().join("recordings");
    let put = |name: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"x").unwrap();
        path
    };
    let old = put("2026/11/01/call_01.wav");
    let part = put("2026/11/01/call_02.opus.part");
    let others = [
        put("2026/11/01/notes.txt"),
        put("2026/11/01/song.wav"),
        put("2026/11/02/x/call_03.wav"),
        put("letters/11/01/call_04.wav"),
        put("call_05.wav"),
    ];
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("call_06.wav"), b"x").unwrap();
    fs::create_dir_all(root.join("2026/10")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("2026/10/01")).unwrap();
    let now = || clock::wall();
    assert_eq!(place.purge(Duration::from_secs(3600), now()).0.len(), 0);
    let later = Wallclock(now().0 + 3_601_000);
    let mut gone = place.purge(Duration::from_secs(3600), later).0;
    gone.sort();
    assert_eq!(gone, ["recordings/2026/11/01/call_01.wav", "recordings/2026/11/01/call_02.opus"]);
    assert!(!old.exists() && !part.exists() && others.iter().all(|path| path.exists()));
    assert!(outside.path().join("call_06.wav").exists());
    // A day that became empty goes with its last file.
    others[..2].iter().for_each(|path| fs::remove_file(path).unwrap());
    let _ = put("2026/11/01/call_07.wav");
    place.purge(Duration::ZERO, later);
    assert!(!root.join("2026/11/01").exists() && root.join("2026/11/02").exists());
}

#[test]
fn beyond_four_gigabytes_a_file_still_says_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).unwrap();
    let name = thread::name(CallId(1), DAY, Format::Wav);
    let part = place.create(&name, Format::Wav).unwrap();
    part.write_at(&wav::head(0), 0).unwrap();
    // Sparse: it takes no room.
    let data = (4_u64 << 30) + 4000;
    part.write_at(&[1, 0, 2, 0], wav::HEAD_LEN as u64 + data - 4).unwrap();
    let octets = wav::HEAD_LEN as u64 + data;
    assert_eq!(part.repair().unwrap(), Repair::Plays { samples: data / 4, octets });
    let mut head = [0; wav::HEAD_LEN];
    let mut file = fs::File::open(dir.path().join(format!("{name}.part"))).unwrap();
    io::Read::read_exact(&mut file, &mut head).unwrap();
    assert_eq!(head, wav::head(data));
}

/// The threads, in real time: everything above in one life.
#[test]
fn the_threads_record_mend_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let leftover = thread::name(CallId(9), DAY, Format::Opus);
    fs::create_dir_all(dir.path().join(&leftover).parent().unwrap()).unwrap();
    fs::write(dir.path().join(format!("{leftover}.part")), a_file(Format::Opus, 100)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep_told = Arc::clone(&told);
    let config = RecorderConfig {
        data: dir.path().to_owned(),
        format: Format::Wav,
        // Written a moment ago, so it stays, although its date is none of today.
        keep: Duration::from_secs(3600),
        floor_octets: 0,
        avoid_cpus: vec![0],
    };
    let recorder =
        Recorder::start(config, Arc::new(Marks::new()), Arc::new(move |r| keep_told.lock().unwrap().push(r))).unwrap();
    let mut taps: Vec<_> = (0..20).map(|n| recorder.open(CallId(n), DAY).unwrap()).collect();
    assert_eq!(recorder.open_now(), 20);
    taps.iter_mut().for_each(|(tap, _)| push(tap, 0, 30));
    let until = Instant::now() + Duration::from_secs(5);
    let ended = |n: usize| {
        while told
            .lock()
            .unwrap()
            .iter()
            .filter(|r| matches!(r, Report::Ended(e) if e.outcome == Outcome::Complete))
            .count()
            < n
        {
            assert!(Instant::now() < until, "{:?}", told.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    taps.truncate(5);
    ended(15);
    assert_eq!(recorder.open_now(), 5);
    // Those that are still up when the daemon stops are whole as well.
    assert!(recorder.stop());
    ended(20);
    assert_eq!(recorder.open(CallId(50), DAY).unwrap_err(), NotRecorded::Stopped);
    for call in 0..20 {
        let file = pairs(&dir.path().join(thread::name(CallId(call), DAY, Format::Wav)), Format::Wav);
        assert_eq!((file.len(), file[29 * 160]), (4800, [30, -30]));
    }
    let size = fs::metadata(dir.path().join(&leftover)).unwrap().len();
    assert!(
        told.lock()
            .unwrap()
            .iter()
            .any(|r| matches!(r, Report::Recovered { name, samples, octets } if *name == leftover && *samples > 12_000 && *octets == size))
    );
    assert!(play(&fs::read(dir.path().join(&leftover)).unwrap()).ended);
}

#[test]
fn there_is_a_bound_on_recordings_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = RecorderConfig {
        data: dir.path().to_owned(),
        format: Format::Opus,
        keep: Duration::from_secs(3600),
        floor_octets: 0,
        avoid_cpus: Vec::new(),
    };
    let recorder = Recorder::start(config, Arc::new(Marks::new()), Arc::new(|_| {})).unwrap();
    let taps: Vec<_> = (0..RECORDINGS_OPUS_MAX as u64).map(|n| recorder.open(CallId(n), DAY).unwrap()).collect();
    let refused = recorder.open(CallId(1 << 40), DAY).unwrap_err();
    assert_eq!(refused, NotRecorded::TooMany(RECORDINGS_OPUS_MAX));
    drop(taps);
    assert!(recorder.stop());
}

#[test]
fn a_finished_file_that_cannot_be_kept_is_said() {
    let b = Bench::new();
    let place = Place::open(b.dir.path()).unwrap();
    let name = thread::name(CallId(4), DAY, Format::Wav);
    let part = place.create(&name, Format::Wav).unwrap();
    fs::remove_dir_all(b.dir.path().join("recordings/2026")).unwrap();
    let ended = Ended {
        call: CallId(4),
        name,
        format: Format::Wav,
        outcome: Outcome::Complete,
        samples: 0,
        octets: 0,
        lost_frames: 0,
        withheld_frames: 0,
        trimmed_samples: 0,
    };
    b.keeper.keep(Finished { part: Some(part), ended });
    assert!(b.told.lock().unwrap().iter().any(|r| matches!(r, Report::Failed { what } if what.contains("not safe"))));
}

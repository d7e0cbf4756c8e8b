//! Every bound of the daemon, in one place. Purpose: nothing grows without a line here; relations between bounds are
//! asserted at compile time. Deliberately absent: anything an operator tunes (that is `config`).

use std::time::Duration;

/// Samples in one 20 ms frame at 8 kHz: the unit of every audio ring.
pub const FRAME_SAMPLES: usize = 160;
/// Length of one frame.
pub const FRAME: Duration = Duration::from_millis(20);
/// Largest RTP/UDP datagram that we read, octets.
pub const RTP_DATAGRAM_MAX: usize = 1500;
/// Calls that one media worker holds at most.
pub const CALLS_PER_WORKER_MAX: usize = 4096;
/// Frames buffered from the worker to speech (2 s).
pub const INBOUND_RING_FRAMES: usize = 100;
/// Frames buffered from speech to the worker (2 s).
pub const OUTBOUND_RING_FRAMES: usize = 100;
/// Commands waiting for one media worker.
pub const MEDIA_COMMANDS_MAX: usize = 8192;
/// Events waiting from one media worker.
pub const MEDIA_EVENTS_MAX: usize = 8192;
/// Silence is fed to speech when no packet came for its due time plus this.
pub const SILENCE_AFTER: Duration = Duration::from_millis(60);
/// Packets after which a symmetric-RTP source is locked.
pub const LATCH_PACKETS: u32 = 5;
/// Media sent at most to an address that never answered.
pub const UNANSWERED_MEDIA_MAX: Duration = Duration::from_secs(2);
/// A released RTP port is not given out again for this long (RTP of the old call must not be heard).
pub const PORT_QUARANTINE: Duration = Duration::from_secs(2);

/// Largest SIP message, octets.
pub const SIP_MESSAGE_MAX: usize = 65_535;
/// Header fields in one SIP message.
pub const SIP_HEADERS_MAX: usize = 256;
/// Octets in one SIP header line.
pub const SIP_LINE_MAX: usize = 8192;
/// Octets in one SIP body.
pub const SIP_BODY_MAX: usize = 32_768;
/// Server and client transactions alive at once.
pub const SIP_TRANSACTIONS_MAX: usize = 16_384;
/// m-lines in one SDP.
pub const SDP_MEDIA_MAX: usize = 16;
/// Formats in one m-line.
pub const SDP_FORMATS_MAX: usize = 64;

/// Events waiting for one call actor.
pub const CALL_EVENTS_MAX: usize = 256;
/// Jobs waiting for one speech worker.
pub const SPEECH_JOBS_MAX: usize = 1024;
/// Characters in one spoken text.
pub const SPOKEN_TEXT_MAX: usize = 2000;
/// Longest wait for the end of a turn.
pub const ENDPOINT_MAX: Duration = Duration::from_secs(3);

/// Builds waiting in the queue; beyond it `slow` is said (ledger N09).
pub const BUILD_QUEUE_MAX: usize = 4;
/// Bytes of one HTTP request body, control API and apps.
pub const HTTP_BODY_MAX: usize = 1 << 20;

const _: () = assert!(FRAME_SAMPLES * 50 == 8000);
const _: () = assert!(SIP_BODY_MAX < SIP_MESSAGE_MAX);
const _: () = assert!(SIP_LINE_MAX < SIP_MESSAGE_MAX);

/// Files in one app bundle.
pub const BUNDLE_FILES_MAX: usize = 512;
/// Octets of one file of a bundle.
pub const BUNDLE_FILE_MAX: usize = 512 << 10;
/// Octets of a whole bundle.
pub const BUNDLE_MAX: usize = 8 << 20;
/// Request bodies of an app, octets; a bundle may ask for less.
pub const APP_BODY_MAX: u32 = 1 << 20;
/// Time that one request to an app may take, milliseconds; a bundle may ask for less.
pub const APP_REQUEST_MS_MAX: u32 = 30_000;
/// Steps of SQLite's machine that one request may take; a bundle may ask for less.
pub const APP_SQL_STEPS_MAX: u64 = 200_000_000;
/// Rows that one query of an app may return; a bundle may ask for less.
pub const APP_ROWS_MAX: u32 = 5_000;
/// Size of an app's database, MiB; a bundle may ask for less.
pub const APP_DATABASE_MB_MAX: u32 = 1024;
/// Connections that one app serves at once.
pub const APP_CONNECTIONS_MAX: usize = 64;
/// Address space of one app process, octets.
pub const APP_MEMORY_MAX: u64 = 512 << 20;
/// Descriptors of one app process: connections, database files, the loop's own.
pub const APP_FILES_MAX: u64 = 128;
/// Instructions of the template machine for one page.
pub const APP_TEMPLATE_FUEL: u64 = 2_000_000;
/// Octets of an app's answer that the scenario runner reads.
pub const SCENARIO_ANSWER_MAX: u64 = 4 << 20;
/// Scenarios in one bundle.
pub const SCENARIOS_MAX: usize = 200;

const _: () = assert!(APP_CONNECTIONS_MAX as u64 + 32 < APP_FILES_MAX);

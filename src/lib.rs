//! # Callwright: how it is built
//!
//! One Linux daemon that answers the phone, listens, speaks, can be interrupted, and turns what callers ask for into
//! running software, then reports on it by phone. Everything runs on one box; no cloud service is needed.
//!
//! This page is the map. Each module's own page says its purpose, its thread, its invariants and what it leaves out.
//! Read them in the order in which a caller's voice passes through them, which is the order of the `mod` list below.
//!
//! ## Bird's-eye view
//!
//! ```text
//! UDP ─► media ─► rtp ─► dsp codec ─► ring ─► speech: vad, asr ─► turn ─► conversation ─► dialogue
//!                                                                                            │
//! UDP ◄─ media ◄─ rtp ◄─ dsp codec ◄─ ring ◄─ speech: tts ◄──────────────────────────────────┤
//!                                                                                            ▼
//!                            caller's browser ◄─ gateway ◄─ apphost (sandbox) ◄─ pipeline ◄─ Intent
//!
//! SIP  ─► sip::transport ─► sip::agent ─► call::actor ─► call::machine ─► MediaCommand ─► media
//! HTTP ─► api ─► call, pipeline, store                    media ─► MediaEvent ─► call::actor
//! Twilio (HTTP, WebSocket) ─► api ─► twilio ─► legs and events as of SIP; audio ◄─ rings ─► media
//! ```
//!
//! There are two planes. The **media plane** is a few pinned threads that move audio and wait for nobody. The **control
//! plane** is everything else: tokio tasks, speech threads and build threads. They meet in bounded rings and channels,
//! and in nothing else: no lock is shared, so no slow disk, model or caller can hold up a packet of somebody else.
//!
//! The parts that decide (`sip` without its transport, `rtp`, `turn`, `conversation`, `call::machine`,
//! `pipeline::{intent, manifest, spec, scheduler}`) are **pure**: they take bytes and time as arguments through
//! `handle_*`, and hand out what to do through `poll_*`. They own no socket, file, thread or clock, so tests drive whole
//! calls in virtual time. The **shells** around them own the sockets and threads and decide nothing.
//!
//! ## Life of a packet
//!
//! 1. A media worker wakes (a packet or a due time), reads a batch of datagrams with the kernel's receive time, and
//!    finds each one's session by its socket.
//! 2. `rtp` opens SRTP and checks the header in place; the source must be the locked one; telephone-events become digits
//!    once, keys in the audio too where no events were agreed.
//! 3. The decoder of the packet's own payload type (`dsp::codec`) makes a frame of it, in memory that the call has had
//!    since it was set up.
//! 4. In order: the frame goes into the inbound ring at once. Speech never waits for a playout buffer. Lost: the voice's
//!    own pitch goes on for a moment and fades. Nothing at all for 60 ms: silence, because audio time never stops.
//! 5. An echo leg encodes and sends the frame in the same pass, a bridge leg hands it to the other leg: unchanged when
//!    both speak one codec, else decoded and encoded. A speech leg sends on its own 20 ms clock whatever the outbound
//!    ring holds, or silence.
//! 6. One eventfd write wakes the speech thread, at most once a pass. Counters move; nothing is logged, locked,
//!    allocated or freed.
//!
//! ## Life of a turn
//!
//! 1. `speech` sees voice in the inbound ring (energy gate, then Silero) and leases a place in the agent's recogniser, with
//!    pre-roll. Which engine that is, `speech::engines` decided at start: the configured one, else Moonshine, else
//!    PocketSphinx, said. `speech::guide` leans the search towards what callers of this agent say.
//! 2. `turn` decides on audio time whether the caller has finished: what the agent asked (a yes, digits, anything), what was
//!    heard so far (`turn::endpoint`), how the pause sounded and how this caller pauses set how long it waits. In a pause
//!    the recogniser makes its result and the voice the likely answer, both in advance.
//! 3. `conversation` takes the final text and returns a `Reply`: clauses to say, what to expect next, perhaps an
//!    `Intent`. It starts nothing without an explicit yes or the key 1 after the read-back was heard.
//! 4. `speech` writes the text out as it is said (`normalise`), cuts it into clauses, and a voice makes them one by one into
//!    the outbound ring, tagged with the call's generation. Until the first sample is heard `call::machine` keeps watch: a
//!    filler, a stand-in, an honest sentence.
//! 5. When somebody makes a sound over the agent, it falls silent (`MediaCommand::Duck`) and `turn::interruption` judges. An
//!    aside: it goes on from the very sample, and the ears forget what was said. An interruption: the generation is raised
//!    and `FlushPlayout` empties the ring in the worker. No thread is cancelled. `Played` tells how much was heard, and
//!    history keeps only that.
//!
//! ## Life of a build
//!
//! 1. `Intent::Build` carries a manifest. `pipeline` writes it and the event `build.request.created` in one
//!    transaction, then answers; a crash after that loses nothing.
//! 2. Threads of the lowest class (SCHED_IDLE) take it through the stages: spec (what the order leaves open is taken from
//!    what was built before, and cited: `knowledge`), bundle (SQL, views, API description,
//!    scenario tests) in a git repository of its own. The bundle is made by a kernel: a confined child process of this
//!    program, told and heard in frames, of which nothing is trusted. What it asks is put to the caller meanwhile.
//! 3. The app's own tests run against a throw-away instance. One that fails parks the build, and the caller hears its
//!    name.
//! 4. `apphost` runs the bundle as a child process that locks itself in before it reads a byte of it: Landlock, seccomp,
//!    resource limits, an inherited socket and no other.
//! 5. The gateway serves it on a port of its own and measures every request. "How's the CRM?" is answered from these
//!    counts and the app's own rows.
//!
//! ## Threads
//!
//! | thread | count | class | runs | may wait for |
//! | --- | --- | --- | --- | --- |
//! | `media-N` | `media.workers` | SCHED_FIFO, else nice −20 | `media::worker` | packets and due times |
//! | `ears` | 1 | normal | `speech::ears`: voice activity of every call | the rings' eventfds |
//! | `asr…` | by engine and vocabulary | normal | `speech::asr`: recognition; `asr-turns` where it is turn by turn | orders |
//! | `end-of-turn` | 1 with its model | normal | `speech::end_of_turn` | questions |
//! | `mouth` | 1 | normal | `speech::tts`: lanes, prompt cache, outbound rings | orders, time |
//! | `voice-N` | 2, 8 with voices elsewhere | normal | `speech::synthesiser`, a clause each | the mouth, a provider |
//! | `voice-watch` | 1 while a Kokoro clause is made | normal | `models::tts::kokoro`: ends it when nobody wants it | time |
//! | `cloud` | 1 where providers are used | normal | `speech::provider`: their sockets | the network |
//! | `packs` | 1 at the first start | SCHED_IDLE | `packs`: fetches the recommended ones | the network, the disk |
//! | tokio workers | cores | normal | `sip::transport`, `call::actor`, `api`, gateway | anything asynchronous |
//! | `store` | 1 | normal | the only writer of the database | the disk |
//! | `player` | 1 | normal | `call::player`: tones and files into outbound rings | time |
//! | `recorder` | 1 | normal | `media::recorder`: recorded calls to files | time, the disk |
//! | `recordings` | 1 | below normal | the same: syncing, mending, deleting files | the disk |
//! | `build-N` | few | SCHED_IDLE | `pipeline` stages | disk, child processes |
//! | apps | a process each | normal, limited | `apphost` | its own socket |
//!
//! ## What is absent on purpose
//!
//! - No lock, allocation, free, log line or system call but sockets, clock and one wake on the packet path.
//! - No unbounded queue: every bound stands in [`limits`], and a test fails on one that nothing reads.
//! - No clock in a pure module: [`time`] has the three kinds of time, and they are arguments.
//! - No panic on outside input, and none that ends more than its own call.
//! - No engine linked in: speech libraries are loaded at run time, and a missing one is announced, not fatal.
//! - No silent fallback: a limited recogniser, a refused scheduling class or a skipped check says so.
//! - No global event bus and no service locator: `daemon` builds the planes and hands each its ends.
//!
//! Who may import whom is data in `tests/tidy/rules.rs`; `tests/tidy.rs` fails with the rule's sentence.

pub mod cli;
pub mod config;
pub mod daemon;

pub mod sip;
pub mod twilio;

pub mod call;

pub mod media;
pub mod rtp;
pub mod webrtc;

pub mod speech;
pub mod turn;

pub mod conversation;

pub mod apphost;
pub mod pipeline;

pub mod bus;
pub mod knowledge;
pub mod store;

pub mod api;

pub mod packs;

pub mod telemetry;

pub mod os;
pub mod tls;

pub mod id;
pub mod limits;
pub mod time;

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

/// Audio in one received RTP packet at most, milliseconds.
pub const RTP_PACKET_MS_MAX: usize = 60;
/// The same in samples at 8 kHz.
pub const RTP_PACKET_SAMPLES_MAX: usize = 480;
/// Octets of one RTP payload at most.
pub const RTP_PAYLOAD_MAX: usize = RTP_DATAGRAM_MAX - 12;
/// No valid RTP for this long, and not on hold: control is told.
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(60);
/// A call that was on hold from its first moment, and of which no packet ever came, ends after this time: long enough for
/// those who connect two parties one after the other, and ring the second meanwhile.
pub const HELD_UNHEARD_MAX: Duration = Duration::from_secs(300);
/// A peer whose RTCP still comes may be without RTP for this long: some muted phones send nothing else.
pub const MUTED_MAX: Duration = Duration::from_secs(600);
/// Caller audio is never further ahead of the wall clock than this; packets beyond are dropped.
pub const AHEAD_MAX: Duration = Duration::from_millis(500);
/// Datagrams read from one call's socket in one pass, so that a flood on one port cannot starve the other calls.
pub const DATAGRAMS_PER_PASS_MAX: usize = 64;
/// Datagrams read, or packets sent, by one system call.
pub const DATAGRAM_BATCH: usize = 16;
/// Commands carried out in one pass.
pub const COMMANDS_PER_PASS_MAX: usize = 256;
/// Sources that are considered at once while a call's source is not known yet.
pub const LATCH_CANDIDATES_MAX: usize = 4;
/// A source may move (NAT rebinding) only when the locked one was silent for this long.
pub const RELATCH_SILENCE: Duration = Duration::from_secs(10);
/// Sources followed at once under one SRTP key; our sessions see one, and another when a peer starts anew.
pub const SRTP_SOURCES_MAX: usize = 8;
/// Sources that gave way to newer ones under one SRTP key and stay refused; beyond them the key is used up.
pub const SRTP_SOURCES_RETIRED_MAX: usize = 64;

/// Frames buffered from the worker to the recorder: 2.5 s of both sides.
pub const RECORDING_RING_FRAMES: usize = 256;
/// The recorder looks into its rings this often; the worker never wakes it.
pub const RECORDING_POLL: Duration = Duration::from_millis(200);
/// Calls recorded as WAV at once; further ones go on without.
pub const RECORDINGS_MAX: usize = 1024;
/// Calls recorded as Opus at once: one thread encodes them all.
pub const RECORDINGS_OPUS_MAX: usize = 300;

/// Datagrams of STUN and DTLS that wait for the control side of one call: a few flights of a handshake.
pub const ASIDE_DATAGRAMS_MAX: usize = 16;
/// Calls that share one UDP port.
pub const SHARED_PORT_SEATS_MAX: usize = 20_000;
/// Of one call's handshakes and checks, what may wait to be sent.
pub const LINK_TRANSMITS_MAX: usize = 64;
/// Addresses of one browser whose checks were answered and are remembered.
pub const LINK_SOURCES_MAX: usize = 16;
/// Addresses whence one ICE session is checked from at all, of before and of now: what has been checked from is kept for as
/// long as the session.
pub const LINK_SOURCES_EVER_MAX: usize = 64;
/// Handshakes that run at once on one call without ICE, where anybody may send a ClientHello.
pub const LINK_ASSOCIATIONS_MAX: usize = 4;
/// Orders that wait for one call's link.
pub const LINK_ORDERS_MAX: usize = 8;
/// Time for checks and handshake before the call is given up.
pub const LINK_SETUP_MAX: Duration = Duration::from_secs(30);
/// Without an authentic check for this long the peer no longer consents to be sent to (RFC 7675 section 5.1).
pub const CONSENT_MAX: Duration = Duration::from_secs(30);
/// A browser waits this long for the answer to its offer: longer than a bridge rings.
pub const BROWSER_ANSWER_MAX: Duration = Duration::from_secs(200);
/// Calls of browsers without a token that one network may have on which no handshake was done yet.
pub const BROWSER_UNLINKED_MAX: usize = 16;
/// Who may follow the events of one browser's call at once: its page, and the page as it comes back from other networks while
/// the streams of before have not been found dead.
pub const BROWSER_STREAMS_MAX: usize = 4;
/// Pages that wait for calls to one number: the tabs and machines of one person.
pub const PHONE_PAGES_MAX: usize = 8;
/// Pages that wait for calls at all.
pub const PHONES_MAX: usize = 256;
/// News that wait for a page to read them.
pub const PHONE_EVENTS_MAX: usize = 32;
/// A call that rings has this long to answer the offer of a page that takes it.
pub const PHONE_TAKE_MAX: Duration = Duration::from_secs(20);
/// A call rings so long where no page waits any more: one that is just being loaded again may answer.
pub const PHONE_AWAY_MAX: Duration = Duration::from_secs(5);
/// What waits for the door by which a call came that is not SIP's.
pub const DOOR_VERBS_MAX: usize = 16;

/// Largest SIP message, octets.
pub const SIP_MESSAGE_MAX: usize = 65_535;
/// Header fields in one SIP message.
pub const SIP_HEADERS_MAX: usize = 256;
/// Octets in one SIP header line.
pub const SIP_LINE_MAX: usize = 8192;
/// Octets in one SIP body.
pub const SIP_BODY_MAX: usize = 32_768;
/// Parts of one SIP body, those in parts included.
pub const SIP_BODY_PARTS_MAX: usize = 16;
/// How deep they may lie in one another.
pub const SIP_BODY_DEPTH_MAX: usize = 2;
/// Header fields of one part.
pub const SIP_PART_FIELDS_MAX: usize = 16;
/// Via header fields in one SIP message (hops): as many as Max-Forwards allows where it begins (RFC 3261 §8.1.1.6), and the
/// caller's own. RFC 4475 §3.1.1.7 has 34.
pub const SIP_VIAS_MAX: usize = 71;
/// Contact, Route or Record-Route entries in one SIP message.
pub const SIP_CONTACTS_MAX: usize = 64;
/// Signalling legs (calls) alive at once in one agent.
pub const SIP_LEGS_MAX: usize = 8192;
/// SIP events waiting for the call side; above it new INVITEs get 503.
pub const SIP_EVENTS_MAX: usize = 1024;
/// SIP datagrams waiting for the socket; above it the oldest is dropped (UDP may lose it anyway).
pub const SIP_TRANSMITS_MAX: usize = 4096;
/// Nonces whose use is remembered; older ones are stale.
pub const SIP_NONCES_MAX: usize = 4096;
/// Places where one extension is reached at once.
pub const SIP_BINDINGS_PER_EXTENSION: usize = 10;
/// Places where all extensions are reached.
pub const SIP_BINDINGS_MAX: usize = 4096;
/// Addresses at which the challenges of one account are answered.
pub const SIP_ACCOUNT_PEERS_MAX: usize = 64;
/// Commands waiting for the SIP transport.
pub const SIP_COMMANDS_MAX: usize = 1024;
/// Source addresses whose rate of new dialogs is remembered.
pub const SIP_SOURCES_MAX: usize = 4096;
/// Different 2xx responses (forks) to one INVITE that are acknowledged and hung up.
pub const SIP_FORKS_MAX: usize = 8;
/// Hops that one request may try (RFC 3263).
pub const SIP_HOPS_MAX: usize = 8;
/// How often a call may be sent elsewhere by who is called (RFC 3261 §8.1.3.4).
pub const SIP_REDIRECTS_MAX: u8 = 3;
/// How many of those who have passed a call on are named to whom it is passed on next.
pub const DIVERSIONS_MAX: usize = 5;
/// How long the preferred telephones of a number ring alone before the others ring as well.
pub const SIP_TURN: Duration = Duration::from_secs(20);
/// A hop that has said nothing for so long is left for the next, where there is one: an INVITE has gone out four times.
pub const SIP_FAILOVER_AFTER: Duration = Duration::from_secs(4);
/// Octets in the header section of one SIP message on a stream.
pub const SIP_HEAD_MAX: usize = SIP_MESSAGE_MAX - SIP_BODY_MAX;
/// Largest SIP request by UDP where TCP can be tried first (RFC 3261 §18.1.1).
pub const SIP_UDP_REQUEST_MAX: usize = 1300;
/// SIP connections that others may have to us.
pub const SIP_FLOWS_MAX: usize = 4096;
/// SIP connections that one source address may have to us.
pub const SIP_FLOWS_PER_SOURCE_MAX: usize = 256;
/// SIP connections that we open.
pub const SIP_FLOWS_OPENED_MAX: usize = 1024;
/// Messages that wait for one SIP connection; one more, and its peer does not read.
pub const SIP_FLOW_QUEUE_MAX: usize = 128;
/// Messages of all SIP connections that wait for the driver; above it connections are not read.
pub const SIP_ARRIVALS_MAX: usize = 1024;
/// One SIP message on a stream, from its first octet to its last.
pub const SIP_FLOW_MESSAGE_MAX: Duration = Duration::from_secs(10);
/// The first SIP message on a connection that came to us.
pub const SIP_FLOW_FIRST_MAX: Duration = Duration::from_secs(30);
/// A SIP connection on which nothing at all comes or goes.
pub const SIP_FLOW_IDLE_MAX: Duration = Duration::from_secs(3600);
/// A SIP connection of ours on which nothing but keep-alives comes or goes.
pub const SIP_FLOW_UNUSED_MAX: Duration = Duration::from_secs(1800);
/// Writing one SIP message to a connection.
pub const SIP_FLOW_WRITE_MAX: Duration = Duration::from_secs(10);
/// A connection that is closed for a message that will not be whole waits no longer for the answer to it.
pub const SIP_UNFIT_MAX: Duration = Duration::from_secs(1);
/// A TLS handshake of a peer that connects.
pub const SIP_HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Opening a SIP connection, handshake included.
pub const SIP_DIAL_MAX: Duration = Duration::from_secs(4);
/// Shortest time between keep-alives on a SIP connection of ours; up to 5 s more (RFC 5626 §4.4.1: 95 to 120 s, but trunks
/// close idle connections sooner).
pub const SIP_PING_MIN: Duration = Duration::from_secs(25);
/// The answer to a keep-alive, of a peer that answers them (RFC 5626 §4.4.1).
pub const SIP_PONG_MAX: Duration = Duration::from_secs(10);
/// Finding the hops for a SIP URI.
pub const SIP_LOOKUP_MAX: Duration = Duration::from_secs(5);
/// DNS records that are kept for their time to live.
pub const SIP_DNS_RECORDS_MAX: u64 = 1024;
/// DNS records of one answer that count.
pub const SIP_DNS_ANSWERS_MAX: usize = 32;
/// Peers that have told us our own address.
pub const SIP_SEEN_AS_MAX: usize = 1024;
/// OPTIONS without an answer, in a row, after which a peer is down.
pub const SIP_PINGS_LOST_MAX: u32 = 3;
/// Answers in a row after which a peer that was down is up.
pub const SIP_PINGS_FOUND_MIN: u32 = 2;
/// Longest time between OPTIONS to a peer that is in doubt or down.
pub const SIP_PING_DOWN: Duration = Duration::from_secs(15);
/// After a peer has refused a password at OPTIONS, it is not shown there again for so long.
pub const SIP_PROOF_PAUSE: Duration = Duration::from_secs(300);
/// Hops remembered as dead.
pub const SIP_DEAD_HOPS_MAX: usize = 1024;
/// How long a hop that did not answer is tried last.
pub const SIP_DEAD_HOP_KEPT: Duration = Duration::from_secs(60);
/// Header fields of one INVITE that are handed on to the call side.
pub const SIP_HANDED_HEADERS_MAX: usize = 32;
/// Octets of one of them.
pub const SIP_HANDED_HEADER_OCTETS_MAX: usize = 512;
/// Header fields of a caller that agents, records and events see.
pub const CALLER_FIELDS_MAX: usize = 16;
/// Characters of one of them.
pub const CALLER_FIELD_CHARS_MAX: usize = 256;
/// Provisional responses that wait for the PRACK of the one before (RFC 3262).
pub const SIP_PROVISIONALS_MAX: usize = 8;
/// Digits that wait to leave by INFO.
pub const SIP_DIGITS_MAX: usize = 64;
/// Shortest session interval that is agreed to (RFC 4028 §5).
pub const SIP_SESSION_MIN: Duration = Duration::from_secs(90);
/// Session interval that we ask for (RFC 4028 §4 recommends 1800 s).
pub const SIP_SESSION: Duration = Duration::from_secs(1800);
/// Longest ringing, either way (RFC 3261 timer C: more than 3 minutes).
pub const SIP_RINGING_MAX: Duration = Duration::from_secs(200);
/// Server and client transactions alive at once.
pub const SIP_TRANSACTIONS_MAX: usize = 16_384;
/// m-lines in one SDP.
pub const SDP_MEDIA_MAX: usize = 16;
/// Attributes in one m-line, and in the session part.
pub const SDP_ATTRIBUTES_MAX: usize = 512;
/// Formats in one m-line.
pub const SDP_FORMATS_MAX: usize = 64;

/// Longest call. A phone that died on hold sends neither audio nor BYE; nothing else would end its call.
pub const CALL_MAX: Duration = Duration::from_secs(4 * 3600);
/// How long the other end of a bridged call may ring before its caller is told that nobody answers. Below the three
/// minutes after which a proxy on the way may give up (RFC 3261 section 16.6, timer C).
pub const BRIDGE_RINGING_MAX: Duration = Duration::from_secs(90);
/// How long somebody rings whom a telephone has a bridged call handed to; then the call goes back.
pub const REFERRED_RINGING_MAX: Duration = Duration::from_secs(45);
/// Callers that are played a tone or a file at once.
pub const PLAYER_SEATS_MAX: usize = 4096;
/// Calls in one room.
pub const ROOM_MEMBERS_MAX: usize = 16;
/// Calls in rooms at once.
pub const ROOMS_MAX: usize = 1024;
/// Orders waiting for the mixer.
pub const ROOM_ORDERS_MAX: usize = 2048;
/// Longest tone that an order plays, seconds.
pub const ORDERED_TONE_S_MAX: u32 = 60;
/// Longest ringing of a call that waits for an order to answer it, or that we place. Below `SIP_RINGING_MAX`.
pub const RINGING_MAX: Duration = Duration::from_secs(180);
/// Header fields that a placed call may carry.
pub const CALL_HEADERS_MAX: usize = 16;
/// Octets of one of them.
pub const CALL_HEADER_MAX: usize = 512;
/// Telephones of one group.
pub const GROUP_MEMBERS_MAX: usize = 16;
/// Calls whose SIP messages are kept.
pub const LADDER_CALLS_MAX: usize = 500;
/// Messages kept of one call.
pub const LADDER_MESSAGES_MAX: usize = 64;
/// Octets kept of one message.
pub const LADDER_MESSAGE_MAX: usize = 4096;
/// Longest message that a caller leaves.
pub const MESSAGE_MAX: Duration = Duration::from_secs(180);
/// Octets of its text.
pub const MESSAGE_TEXT_MAX: usize = 8192;
/// Share of a media worker's time beyond which no new call is taken, so that those that are up do not suffer.
pub const MEDIA_BUSY_MAX: f64 = 0.85;
/// Orders waiting for the player.
pub const PLAYER_ORDERS_MAX: usize = 1024;
/// Longest audio file, played or dialled with: 28.8 MB in memory.
pub const AUDIO_FILE_MAX: Duration = Duration::from_secs(30 * 60);
/// A tone is played no longer than this; then the call ends.
pub const TONE_MAX: Duration = Duration::from_secs(3600);
/// Calls of one source that may stay without an ACK where half of all are fewer.
pub const UNACKNOWLEDGED_MIN: usize = 8;
/// How long an answer may stay without its ACK where all calls are in use: eight times the first repeat's interval.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(4);
/// Time over which log lines that strangers cause are counted.
pub const LOG_WINDOW: Duration = Duration::from_secs(60);
/// Lines of one source within it that say that something was refused.
pub const LOG_REFUSED_MAX: u32 = 10;
/// Lines of one source within it about calls that it offers, and the same of calls that end: a busy trunk has fewer.
pub const LOG_CALLS_MAX: u32 = 600;
/// Sources that are told apart for it.
pub const LOG_SOURCES_MAX: usize = 256;
/// Octets of one value that a stranger wrote.
pub const LOG_VALUE_MAX: usize = 256;
/// Events waiting for one call actor.
pub const CALL_EVENTS_MAX: usize = 256;
/// Places among them that only events take without which a call would never end or never be answered.
pub const CALL_EVENTS_RESERVE: usize = 16;
/// Jobs waiting for one speech worker.
pub const SPEECH_JOBS_MAX: usize = 1024;
/// Calls attached to speech at once at most, whatever the configuration says.
pub const SPEECH_LANES_MAX: usize = 512;
/// Warm recognisers at most; each holds about 10 MB.
pub const RECOGNISERS_MAX: usize = 64;
/// Turns that each thread of an engine of whole turns keeps at once: places there cost nothing but their audio, of
/// `UTTERANCE_MAX` at most (0.5 MB).
pub const WHOLE_TURN_PLACES_MAX: usize = 64;
/// Threads of such an engine at most; each holds both models (some 120 MB), and up to 130 MB more while it hears a turn of half a
/// minute, of which it keeps what turns of 8 s need (26 MB at most).
pub const RECOGNISER_THREADS_MAX: usize = 8;
/// Turns that wait for a recogniser, each of `UTTERANCE_MAX` at most (0.5 MB).
pub const RECOGNISER_QUEUE_MAX: usize = 64;
/// Pauses that wait for the end-of-turn model, each with 8 s of audio at most (0.1 MB). A question that waits is worth little.
pub const END_OF_TURN_QUESTIONS_MAX: usize = 8;
/// Clients of `/stream` at once.
pub const SPEECH_STREAMS_MAX: usize = 16;
/// Chunks of a stream that may wait before its client is told `slow` (ledger N09).
pub const STREAM_QUEUE_MAX: usize = 4;
/// Chunks of a stream that may wait at all; then nothing more is read from its socket.
pub const STREAM_QUEUE_FULL: usize = 32;
/// Octets of one message of a stream: two seconds of PCM at 48 kHz.
pub const STREAM_MESSAGE_MAX: usize = 192_000;
/// Audio of a stream that may wait for the recogniser; the rest waits in its queue.
pub const STREAM_BACKLOG_MAX: Duration = Duration::from_millis(500);
/// Silence that ends an utterance of a stream, audio time.
pub const STREAM_UTTERANCE_IDLE: Duration = Duration::from_millis(700);
/// Utterances of one call that wait to be spoken.
pub const SPEECH_UTTERANCES_MAX: usize = 32;
/// Threads that synthesise, at most: they wait for engines elsewhere more than they compute.
pub const MOUTHS_MAX: usize = 32;
/// Clauses that wait to be synthesised before they are needed.
pub const WARM_CLAUSES_MAX: usize = 1024;
/// Synthesised audio kept for saying it again: 10 minutes at 8 kHz, 9.6 MB.
pub const PROMPT_CACHE_SAMPLES: usize = 600 * 8000;
/// Pieces of one turn's audio that wait to be sent to a provider: more than a turn of `UTTERANCE_MAX` in frames.
pub const PROVIDER_CHUNKS_MAX: usize = 2048;
/// Octets of one message or line of a provider: some ten seconds of audio in base64.
pub const PROVIDER_MESSAGE_MAX: usize = 1 << 20;
/// Pieces of synthesised audio that wait for the mouth.
pub const PROVIDER_PIECES_MAX: usize = 64;
/// Longest clause that a provider may speak.
pub const PROVIDER_SPEECH_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a connection to a provider.
pub const PROVIDER_CONNECT_MAX: Duration = Duration::from_secs(3);
/// Words that a provider is told to expect.
pub const PROVIDER_VOCABULARY_MAX: usize = 100;
/// Characters of them, with one between each.
pub const PROVIDER_VOCABULARY_CHARACTERS_MAX: usize = 1000;
/// Longest stretch that is recognised as one turn.
pub const UTTERANCE_MAX: Duration = Duration::from_secs(30);
/// A turn that nobody ends is ended this long after its last speech.
pub const UTTERANCE_IDLE_MAX: Duration = Duration::from_secs(5);
/// Characters in one spoken text.
pub const SPOKEN_TEXT_MAX: usize = 2000;
/// Entries in one agent's pronunciation lexicon.
pub const LEXICON_ENTRIES_MAX: usize = 5000;
/// Octets of a word or of its pronunciation there.
pub const LEXICON_ENTRY_MAX: usize = 200;
/// Longest wait for the end of a turn.
pub const ENDPOINT_MAX: Duration = Duration::from_secs(3);
/// Longest turn of a caller; then it is cut (hold music and recordings never pause).
pub const TURN_MAX: Duration = Duration::from_secs(30);
/// Turn events waiting for the call actor.
pub const TURN_EVENTS_MAX: usize = 16;
/// Runs of tools that a call remembers.
pub const TOOL_RUNS_MAX: usize = 32;
/// Characters of one heard turn that are looked at.
pub const HEARD_TEXT_MAX: usize = 2000;
/// Sentences of one text that are looked at for intents, the last ones.
pub const INTENT_SENTENCES_MAX: usize = 40;
/// Kinds of intents of one conversation that wait to be acted on.
pub const INTENT_KEYS_MAX: usize = 32;
/// Lines of history that come with a text whose intent is asked for.
pub const INTENT_HISTORY_MAX: usize = 50;
/// Turns kept of one conversation.
pub const HISTORY_TURNS_MAX: usize = 400;
/// Open points kept of one request.
pub const OPEN_POINTS_MAX: usize = 12;
/// Words and phrases that one agent's configuration adds to what its recogniser knows.
pub const VOCABULARY_MAX: usize = 500;
/// Sentences that the recogniser's language model is made from.
pub const DOMAIN_SENTENCES_MAX: usize = 10_000;

/// Builds waiting in the queue; beyond it `slow` is said (ledger N09).
pub const BUILD_QUEUE_MAX: usize = 4;
/// Bytes of one HTTP request body, control API and apps.
pub const HTTP_BODY_MAX: usize = 1 << 20;

/// Writes waiting for the store's one writer; beyond it `StoreError::Overloaded`.
pub const STORE_WRITES_MAX: usize = 1024;
/// Writes that share one transaction (and so one sync of the disk).
pub const STORE_BATCH_MAX: usize = 64;
/// Records of each kind that wait while the disk takes none (some 2 kB each); beyond it the oldest are lost.
pub const RECORDS_WAITING_MAX: usize = 8192;
/// What still waits when the store is closed is tried for this long.
pub const STORE_CLOSING_MAX: Duration = Duration::from_secs(2);
/// Rows of a kind that are deleted in one write when they are too old.
pub const PURGE_BATCH: usize = 200;
/// Connections that read the store.
pub const STORE_READERS: usize = 3;
/// A write waits this long for a foreign lock on the database file.
pub const STORE_LOCK_WAIT: Duration = Duration::from_secs(2);
/// Rows on one page of a list.
pub const PAGE_ROWS_MAX: usize = 200;
/// Events kept for replay; older ones are pruned at start and while running.
pub const EVENTS_KEPT_MAX: u64 = 200_000;
/// Events that a slow live subscriber may lag before it is served from the store again.
pub const BUS_LIVE_EVENTS_MAX: usize = 1024;
/// Spoken build updates waiting for one listener.
pub const BUILD_UPDATES_MAX: usize = 256;
/// Threads that build; each owns one build at a time.
pub const BUILD_THREADS: usize = 2;
/// Attempts of one build stage before the build is parked.
pub const BUILD_STAGE_ATTEMPTS_MAX: u32 = 3;
/// Client connections open at once on one app's gateway listener; further ones wait in the kernel.
pub const GATEWAY_CONNECTIONS_MAX: usize = 256;
/// Connections to one app that the gateway keeps open for the next request.
pub const GATEWAY_KEPT_MAX: usize = 16;
/// Requests under way at once from the gateway to one app; further ones get 503.
pub const GATEWAY_REQUESTS_MAX: usize = 48;
/// An app must answer a request within this.
pub const APP_ANSWER_MAX: Duration = Duration::from_secs(30);
/// Route templates counted per app; further ones count as `other`.
pub const APP_ROUTES_MAX: usize = 64;
/// Figures of this box that are handed to a dashboard at once; what is beyond follows the next time.
pub const BOX_FIGURES_MAX: usize = 20_000;
/// The same in one message: well below what an app takes (`APP_BODY_MAX`).
pub const BOX_PIECE_MAX: usize = 1_000;
/// A dashboard that has no figures yet gets those of so many past days.
pub const BOX_DAYS_MAX: u64 = 31;
/// Names and addresses in a certificate of our own making.
pub const CERTIFICATE_NAMES_MAX: usize = 32;
/// Connections to the control API on this machine's loopback.
pub const HTTP_LOCAL_CONNECTIONS_MAX: usize = 512;
/// Connections to the control API by all others; those of loopback keep their own places.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// Of these, the ones that come from one address (IPv6: network): a hundred browsers behind one router, six each.
pub const HTTP_CONNECTIONS_PER_SOURCE_MAX: usize = 640;
/// A TLS handshake with the control API, from the first octet of the connection on.
pub const HTTP_HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A request's head, from its first octet or the end of the request before; so an idle connection lasts as long.
pub const HTTP_HEAD_MAX: Duration = Duration::from_secs(15);
/// A request's body, all of it.
pub const HTTP_BODY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Octets of one request's head.
pub const HTTP_HEAD_OCTETS_MAX: usize = 32 << 10;
/// A client that takes nothing of an answer for this long is gone.
pub const HTTP_UNREAD_MAX: Duration = Duration::from_secs(30);
/// Networks whose wrong tokens are counted apart.
pub const HTTP_GUESSERS_MAX: usize = 1024;
/// Event-stream clients of the control API at once.
pub const EVENT_STREAMS_MAX: usize = 64;

/// Octets of one message of a Twilio media stream.
pub const TWILIO_MESSAGE_MAX: usize = 64 << 10;
/// Octets of audio in one of them: 2 s of µ-law, where 20 ms are usual.
pub const TWILIO_PAYLOAD_MAX: usize = 16_000;
/// Messages of one stream that are refused before the stream is.
pub const TWILIO_FAULTS_MAX: u64 = 200;
/// Messages of one stream in one second: fifty come in real time, and what a stall has dammed up all at once.
pub const TWILIO_MESSAGES_PER_SECOND_MAX: u32 = 5_000;
/// Marks of one stream that have not come back.
pub const TWILIO_MARKS_MAX: usize = 64;
/// Audio that lies at Twilio unplayed at most.
pub const TWILIO_AHEAD_MAX: Duration = Duration::from_millis(200);
/// Tokens that streams may still be opened with.
pub const TWILIO_TOKENS_MAX: usize = 1024;
/// How long one is good: from the TwiML to the stream it is a second or two.
pub const TWILIO_TOKEN_LIFE: Duration = Duration::from_secs(60);
/// Sockets that have not said which call they are of, all together.
pub const TWILIO_STRANGERS_MAX: usize = 64;
/// A socket says within this which call it is of.
pub const TWILIO_START_MAX: Duration = Duration::from_secs(10);
/// A socket that brings nothing for so long is gone: Twilio sends fifty messages a second, also of a silent caller.
pub const TWILIO_SILENT_MAX: Duration = Duration::from_secs(30);
/// Sending one message to a socket.
pub const TWILIO_WRITE_MAX: Duration = Duration::from_secs(10);
/// Fields of one webhook.
pub const TWILIO_FIELDS_MAX: usize = 256;
/// Webhooks of Telnyx that are remembered while they are in time, so that none is taken twice.
pub const TELNYX_SEEN_MAX: usize = 4096;
/// Orders that wait for the task of one socket.
pub const TWILIO_ORDERS_MAX: usize = 16;
/// Longest request to Twilio's REST API.
pub const TWILIO_REST_MAX: Duration = Duration::from_secs(10);
/// Octets of its answer that are read.
pub const TWILIO_ANSWER_MAX: usize = 64 << 10;

/// Packets that wait between a socket of the control plane and a media worker, each way: 2.5 s.
pub const WIRE_RING_PACKETS: usize = 128;
/// Octets of one of them: RTP header and 60 ms of G.711.
pub const WIRE_PACKET_MAX: usize = 12 + RTP_PACKET_SAMPLES_MAX;

const _: () = assert!(HTTP_CONNECTIONS_PER_SOURCE_MAX < HTTP_CONNECTIONS_MAX);
const _: () = assert!(SRTP_SOURCES_MAX > 0);
const _: () = assert!(TWILIO_PAYLOAD_MAX / FRAME_SAMPLES < WIRE_RING_PACKETS);
const _: () = assert!(TWILIO_PAYLOAD_MAX.div_ceil(3) * 4 < TWILIO_MESSAGE_MAX);
const _: () = assert!(STORE_BATCH_MAX <= STORE_WRITES_MAX);
const _: () = assert!(2 * PURGE_BATCH < STORE_WRITES_MAX);
const _: () = assert!(FRAME_SAMPLES * 50 == 8000);
const _: () = assert!(RTP_PACKET_MS_MAX * 8 == RTP_PACKET_SAMPLES_MAX);
const _: () = assert!(UTTERANCE_IDLE_MAX.as_nanos() > ENDPOINT_MAX.as_nanos());
const _: () = assert!(PROVIDER_CHUNKS_MAX as u128 * FRAME.as_millis() > UTTERANCE_MAX.as_millis());
const _: () = assert!(STREAM_QUEUE_MAX < STREAM_QUEUE_FULL);
const _: () = assert!(SIP_BODY_MAX < SIP_MESSAGE_MAX);
const _: () = assert!(SIP_LINE_MAX < SIP_MESSAGE_MAX);
/// Steps in one script of `callwright dial`.
pub const DIAL_STEPS_MAX: usize = 500;
/// Digits in one `press`.
pub const DIAL_DIGITS_MAX: usize = 32;
/// Utterances and digit strings of a dialled call that wait to be sent.
pub const DIAL_JOBS_MAX: usize = 64;
/// Frames that wait for the ear of a dialled call (2 minutes: it may think long, but not for ever).
pub const DIAL_EAR_FRAMES_MAX: usize = 6000;
/// Recognised pieces of speech that wait for the script of a dialled call.
pub const DIAL_PIECES_MAX: usize = 1024;
/// Octets of one script file.
pub const DIAL_SCRIPT_OCTETS_MAX: u64 = 1 << 20;

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

/// Time that a child process has to load a model pack: the largest ones take some ten seconds on a busy machine.
pub const VERIFICATION_MAX: Duration = Duration::from_secs(180);
/// The same at the daemon's start, which waits for it: calls come first.
pub const TRIAL_MAX: Duration = Duration::from_secs(30);
/// Octets that are heard of what it prints.
pub const VERIFICATION_OUTPUT_MAX: u64 = 256 << 10;
/// Octets that stay free beside what a model pack needs.
pub const PACK_ROOM_SPARE: u64 = 128 << 20;
/// The release host has this long to answer when packs are offered unasked.
pub const OFFER_ANSWER_MAX: Duration = Duration::from_secs(5);
/// Set-up waits this long for all of them; what has come by then is gone on with later.
pub const OFFER_MAX: Duration = Duration::from_secs(600);
/// A host that was silent or refused is not asked again unasked for this long.
pub const OFFER_AGAIN_AFTER: Duration = Duration::from_secs(6 * 3600);

/// All files of one app's data together, octets; an app beyond it is stopped. A database as large as one may be, its log, three
/// backups and two copies on their way fit.
pub const APP_DATA_MAX: u64 = 8 << 30;
/// Files of one app's data; an app beyond it is stopped. Its database, log, index and a few copies are some ten.
pub const APP_DATA_FILES_MAX: usize = 1000;
/// A worker that is not heard of for this long loses its build to another; longer than any stage takes.
pub const BUILD_LEASE: Duration = Duration::from_secs(180);
/// Apps that one supervisor keeps, versions that are being switched included.
pub const SUPERVISED_APPS_MAX: usize = 256;
/// Connections to a supervisor at once.
pub const SUPERVISOR_CLIENTS_MAX: usize = 16;
const _: () = assert!(APP_CONNECTIONS_MAX as u64 + 32 < APP_FILES_MAX);
/// Messages to webhooks that wait in the store; apps then keep theirs.
pub const DELIVERIES_WAITING_MAX: u64 = 10_000;
/// Of these, for one webhook; beyond it the oldest are given up.
pub const DELIVERIES_PER_URL_MAX: u32 = 2_000;
/// Messages that were given up and are kept.
pub const DELIVERIES_DEAD_MAX: u32 = 1_000;
/// Messages that arrived and are remembered.
pub const DELIVERIES_DONE_MAX: u32 = 1_000;
/// Messages on their way to webhooks at once, each to another one.
pub const COURIERS_MAX: usize = 8;
/// Callers who wait to be called when their build is over.
pub const RETURN_CALLS_WAITING_MAX: i64 = 1_000;
/// Those that are over and are kept to be looked at.
pub const RETURN_CALLS_KEPT_MAX: u32 = 1_000;
/// Of them, those that are rung at once.
pub const RETURN_CALLS_RINGING_MAX: usize = 4;
/// Octets of one frame of a kernel: the largest file of a bundle, every character escaped.
pub const KERNEL_FRAME_MAX: usize = 4 << 20;
/// Frames of one task.
pub const KERNEL_FRAMES_MAX: usize = 4_096;
/// Pieces of output, 64 KiB each, that wait for the thread that gave the task.
pub const KERNEL_PIECES_MAX: usize = 16;
/// Questions of one task.
pub const KERNEL_ASKS_MAX: usize = 4;
/// Choices of a question: as many as keys.
pub const KERNEL_CHOICES_MAX: usize = 9;
/// Reasons of one task.
pub const KERNEL_CITES_MAX: usize = 512;
/// A kernel says that it is there within this time; its process may have to wait for a busy machine.
pub const KERNEL_READY_MAX: Duration = Duration::from_secs(30);
/// It gives a sign of life so often while it works.
pub const KERNEL_SILENCE_MAX: Duration = Duration::from_secs(60);
/// A task takes no longer.
pub const KERNEL_TASK_MAX: Duration = Duration::from_secs(900);
/// A build waits no longer for an answer.
pub const KERNEL_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

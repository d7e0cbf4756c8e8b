//! The marks: latency histograms and counters under contract names. Purpose: one struct that every plane shares, made
//! once at start, written with relaxed atomics from any thread including media workers. Invariants: no heap and no lock
//! on the writing side; names are a contract with outside measurement and never change. Deliberately absent: per-call
//! figures (`media::SessionStats`, call records).

use crate::telemetry::histogram::{Histogram, ROUTE_BOUNDS, TURN_BOUNDS};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Declares the struct, its start value and its rendering from one table each, so that no field can be forgotten.
macro_rules! marks {
    (
        histograms { $( $(#[doc = $hdoc:literal])+ $hist:ident: $hname:literal, $hlabel:literal, $bounds:ident; )+ }
        counters { $( $(#[doc = $cdoc:literal])+ $counter:ident: $cname:literal, $clabel:literal; )+ }
    ) => {
        /// All marks of the daemon.
        #[derive(Debug)]
        pub struct Marks {
            $( $(#[doc = $hdoc])+ pub $hist: Histogram, )+
            $( $(#[doc = $cdoc])+ pub $counter: Counter, )+
        }

        impl Marks {
            /// All zero.
            #[must_use]
            pub const fn new() -> Self {
                Self {
                    $( $hist: Histogram::new(&$bounds), )+
                    $( $counter: Counter::new(), )+
                }
            }

            fn histograms(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, &Histogram)> {
                [ $( ($hname, $hlabel, concat!($($hdoc),+), &self.$hist), )+ ].into_iter()
            }

            fn counters(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, &Counter)> {
                [ $( ($cname, $clabel, concat!($($cdoc),+), &self.$counter), )+ ].into_iter()
            }
        }
    };
}

marks! {
    histograms {
        /// Kernel receive time of a packet to its audio readable by speech; packets held behind a gap count in jitter_buffer_seconds instead.
        route_ingress: "media_route_seconds", "path=\"ingress\"", ROUTE_BOUNDS;
        /// Due time of an outgoing frame to its send returned.
        route_egress: "media_route_seconds", "path=\"egress\"", ROUTE_BOUNDS;
        /// Kernel receive time of a packet to its send on the other leg returned.
        route_bridge: "media_route_seconds", "path=\"bridge\"", ROUTE_BOUNDS;
        /// Time that packets waited behind a gap, deliberately.
        jitter_buffer: "jitter_buffer_seconds", "", ROUTE_BOUNDS;
        /// Due time to wake-up of the media loop.
        media_lateness: "media_lateness_seconds", "", ROUTE_BOUNDS;
        /// Last voiced caller sample to first agent sample on the wire.
        turn_response: "turn_response_seconds", "", TURN_BOUNDS;
        /// Last voiced caller sample to the decision that the turn is over.
        endpoint: "turn_response_part_seconds", "part=\"endpoint\"", TURN_BOUNDS;
        /// End of the turn to the final transcript.
        asr_final: "turn_response_part_seconds", "part=\"asr_final\"", TURN_BOUNDS;
        /// Final transcript to the first clause of the answer.
        think: "turn_response_part_seconds", "part=\"think\"", TURN_BOUNDS;
        /// First clause to its first audio in the ring.
        tts_first_audio: "turn_response_part_seconds", "part=\"tts_first_audio\"", TURN_BOUNDS;
        /// First audio in the ring to the wire.
        playout: "turn_response_part_seconds", "part=\"playout\"", TURN_BOUNDS;
        /// Caller onset to agent at −20 dB on the wire.
        barge_in_duck: "barge_in_duck_seconds", "", TURN_BOUNDS;
        /// Caller onset to the decision that whoever speaks has the floor.
        barge_in_floor: "barge_in_floor_seconds", "", TURN_BOUNDS;
        /// Caller onset to the agent's going on after an aside: for so long it is silent for nothing.
        barge_in_aside: "barge_in_aside_seconds", "", TURN_BOUNDS;
        /// Caller onset to the last agent sample sent.
        barge_in_stop: "barge_in_stop_seconds", "", TURN_BOUNDS;
        /// ACK to the first greeting sample on the wire.
        greeting: "greeting_seconds", "", TURN_BOUNDS;
    }
    counters {
        /// RTP packets accepted from the right source.
        rtp_received: "rtp_packets_total", "kind=\"received\"";
        /// RTP packets sent.
        rtp_sent: "rtp_packets_total", "kind=\"sent\"";
        /// RTP packets from a source that is not the call's.
        rtp_forged: "rtp_packets_total", "kind=\"forged\"";
        /// RTP packets whose place had passed, or dropped to keep up with the wall clock.
        rtp_late: "rtp_packets_total", "kind=\"late\"";
        /// RTP packets seen before.
        rtp_duplicate: "rtp_packets_total", "kind=\"duplicate\"";
        /// Datagrams that are no RTP of ours.
        rtp_garbage: "rtp_packets_total", "kind=\"garbage\"";
        /// RTP packets of a payload type that was not agreed.
        rtp_wrong_payload: "rtp_packets_total", "kind=\"wrong_payload\"";
        /// RTP packets of a bridged leg that the other leg could not be sent.
        rtp_unbridged: "rtp_packets_total", "kind=\"unbridged\"";
        /// RTP and RTCP packets that were not authentic, or replayed.
        srtp_failed: "rtp_packets_total", "kind=\"srtp_failed\"";
        /// RTP and RTCP packets that came before their keys.
        srtp_early: "rtp_packets_total", "kind=\"srtp_early\"";
        /// RTP packets declared lost.
        rtp_lost: "rtp_packets_total", "kind=\"lost\"";
        /// Packets that the socket would not take.
        rtp_send_failed: "rtp_packets_total", "kind=\"send_failed\"";
        /// RTCP packets accepted.
        rtcp_received: "rtcp_packets_total", "kind=\"received\"";
        /// RTCP packets sent.
        rtcp_sent: "rtcp_packets_total", "kind=\"sent\"";
        /// RTCP packets from strangers, or unreadable.
        rtcp_dropped: "rtcp_packets_total", "kind=\"dropped\"";
        /// Frames that speech took from its rings.
        speech_frames_read: "speech_frames_total", "kind=\"read\"";
        /// Frames lost because speech did not read.
        speech_frames_overflowed: "speech_frames_total", "kind=\"overflowed\"";
        /// Frames of silence fed to speech for want of packets.
        silence_frames_fed: "speech_frames_total", "kind=\"silence\"";
        /// Frames of agent audio sent.
        frames_sent: "playout_frames_total", "kind=\"sent\"";
        /// Frames of silence sent because there was nothing to say.
        silence_frames_sent: "playout_frames_total", "kind=\"silence\"";
        /// Frames skipped because the loop woke more than a frame late.
        frames_skipped: "playout_frames_total", "kind=\"skipped\"";
        /// Frames dropped because their generation was flushed.
        frames_flushed: "playout_frames_total", "kind=\"flushed\"";
        /// Frames that the recorder took from its rings.
        recording_taken: "recording_frames_total", "kind=\"taken\"";
        /// Frames lost because the recorder did not read.
        recording_overflowed: "recording_frames_total", "kind=\"overflowed\"";
        /// Frames whose audio time cannot be.
        recording_misplaced: "recording_frames_total", "kind=\"misplaced\"";
        /// Keys reported.
        digits: "digits_total", "";
        /// Reports of media workers dropped because control did not read them.
        media_events_dropped: "media_events_dropped_total", "";
        /// Calls ended by a panic in their media chain.
        media_panics: "media_panics_total", "";
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self::new()
    }
}

impl Marks {
    /// Appends all marks in Prometheus text format (exposition 0.0.4). Control side only: this allocates.
    pub fn render(&self, out: &mut String) {
        let mut family = "";
        for (name, label, help, histogram) in self.histograms() {
            if name != family {
                let _ = write!(out, "# HELP {name}{help}\n# TYPE {name} histogram\n");
                family = name;
            }
            histogram.render(out, name, label);
        }
        for (name, label, help, counter) in self.counters() {
            if name != family {
                let _ = write!(out, "# HELP {name}{help}\n# TYPE {name} counter\n");
                family = name;
            }
            let braces = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
            let _ = writeln!(out, "{name}{braces} {}", counter.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    #[test]
    fn the_contract_names_are_rendered_each_family_once() {
        let marks = Marks::new();
        marks.route_ingress.record(Duration::from_micros(40));
        marks.turn_response.record(Duration::from_millis(470));
        marks.rtp_forged.add(3);
        let mut text = String::new();
        marks.render(&mut text);
        for line in [
            "media_route_seconds_count{path=\"ingress\"} 1",
            "media_route_seconds_bucket{path=\"egress\",le=\"+Inf\"} 0",
            "media_route_seconds_count{path=\"bridge\"} 0",
            "turn_response_seconds_count 1",
            "turn_response_part_seconds_count{part=\"asr_final\"} 0",
            "barge_in_duck_seconds_count 0",
            "barge_in_floor_seconds_count 0",
            "barge_in_aside_seconds_count 0",
            "barge_in_stop_seconds_count 0",
            "jitter_buffer_seconds_count 0",
            "rtp_packets_total{kind=\"forged\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing");
        }
        let mut families = HashSet::new();
        for line in text.lines().filter(|l| l.starts_with("# TYPE")) {
            assert!(families.insert(line), "{line} twice: rows of a family must stand together");
        }
    }
}

//! Counters of one playout buffer, named after <https://www.w3.org/TR/webrtc-stats/> (RTCInboundRtpStreamStats) where it has
//! a name. Times are in samples at the buffer's rate. Invariant: they only grow, but for `delay` and `target_delay`.

/// What a playout buffer has done so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Packets handed in.
    pub packets_received: u64,
    /// Packets whose audio was decoded (or whose comfort noise was taken over).
    pub packets_played: u64,
    /// `packetsDiscarded`: too late, twice, of another stream, overflow or not of the codec. The parts follow.
    pub packets_discarded: u64,
    /// Of these: came after their time.
    pub packets_late: u64,
    /// Of these: were there already.
    pub packets_duplicated: u64,
    /// Of these: no room, or more than 500 ms behind.
    pub packets_flushed: u64,
    /// Of these: not decodable, or of a timeline that did not last.
    pub packets_invalid: u64,
    /// Packets restored from the redundancy of their successor (`fecPacketsReceived` counts those that arrived, this those
    /// that served).
    pub packets_recovered: u64,

    /// `jitterBufferDelay`, in samples × samples: the wait of each packet until decoding, times its samples.
    pub jitter_buffer_delay: u64,
    /// `jitterBufferTargetDelay`, the same way.
    pub jitter_buffer_target_delay: u64,
    /// `jitterBufferEmittedCount`: decoded samples.
    pub jitter_buffer_emitted_count: u64,

    /// `totalSamplesReceived`: samples given out, made up or not.
    pub total_samples_received: u64,
    /// `concealedSamples`: made up because no packet was there.
    pub concealed_samples: u64,
    /// `silentConcealedSamples`: of these, silence or comfort noise.
    pub silent_concealed_samples: u64,
    /// `concealmentEvents`: runs of concealed samples.
    pub concealment_events: u64,
    /// `insertedSamplesForDeceleration`.
    pub inserted_samples_for_deceleration: u64,
    /// `removedSamplesForAcceleration`.
    pub removed_samples_for_acceleration: u64,
    /// Comfort noise as the sender asked for it.
    pub comfort_noise_samples: u64,
    /// Silence before the first packet of a stream.
    pub waiting_samples: u64,
    /// Times that the buffer ran empty although the stream had not paused.
    pub underruns: u64,
    /// Times that the stream was taken to begin anew.
    pub resyncs: u64,

    /// Present delay over the fastest packet, samples.
    pub delay: u64,
    /// Present aim for it, samples.
    pub target_delay: u64,
}

impl Statistics {
    /// Mean wait in the buffer, samples: `jitterBufferDelay / jitterBufferEmittedCount`.
    #[must_use]
    pub const fn mean_delay(&self) -> u64 {
        match self.jitter_buffer_emitted_count {
            0 => 0,
            count => self.jitter_buffer_delay / count,
        }
    }
}

//! The metrics of the control plane, as a closed set. Purpose: names, kinds and help in one place; call sites cannot misspell
//! one. Any thread but the media workers (they count in `marks`). Invariant: label values are bounded (apps by the port range,
//! routes by the tracker). Deliberately absent: serving them (`api`).

pub use metrics_exporter_prometheus::PrometheusHandle as Handle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::time::Duration;

/// Every metric of the control plane. The names are a contract with dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Calls that ended, by class; refused ones too.
    CallsEnded,
    /// Calls of this moment, from the INVITE on.
    CallsActive,
    /// Recordings that ended, by outcome.
    RecordingsEnded,
    /// Calls being recorded.
    RecordingsActive,
    /// Records that wait for the disk to take them.
    RecordsWaiting,
    /// Records that the disk never took.
    RecordsLost,
    /// Requests that apps answered, by app, route and status class.
    AppRequests,
    /// How long apps took to answer, by app and route, seconds.
    AppRequestSeconds,
    /// Starts of app processes, by app; beyond the first each is a crash.
    AppStarts,
    /// Build stages done, by stage and outcome.
    BuildStages,
    /// How long build stages took, by stage, seconds.
    BuildStageSeconds,
    /// Approval to live, seconds.
    BuildLiveSeconds,
    /// Builds refused since the queue was full.
    BuildsSlow,
    /// Requests of the control API, by route and status class.
    ApiRequests,
    /// Clients that follow the event stream.
    EventStreams,
    /// Clients of the event stream that were closed since they did not read.
    EventStreamsSlow,
    /// Clients whose speech is heard.
    SpeechStreams,
    /// How often such a client was told `slow`.
    SpeechStreamsSlow,
    /// Share of the last second in which a media worker was busy, by worker.
    MediaBusy,
    /// Complexity at which the Opus encoders of a worker run, by worker.
    OpusComplexity,
    /// Clauses to be spoken, by whether they were known by heart: `hit` or `miss`.
    PromptCache,
    /// Clauses that a voice could not speak, by voice; the built-in one stood in.
    VoiceFallbacks,
    /// Breakers of providers, by provider and part: 0 closed, 1 probing, 2 open.
    ProviderBreaker,
    /// Turns and clauses asked of providers, by provider, part and outcome.
    ProviderRequests,
    /// Turns and clauses that a local engine took over, by provider and part.
    ProviderFallbacks,
    /// Whole seconds of audio sent to providers for recognition, by provider: what recognition costs.
    ProviderAudioSeconds,
    /// Characters sent to providers for synthesis, by provider: what synthesis costs.
    ProviderCharacters,
    /// Connections to the port for SIP over TLS that shook no hands.
    SipHandshakesFailed,
    /// SIP messages, by direction.
    SipMessages,
    /// SIP messages that were dropped without an answer, by reason.
    SipDropped,
    /// SIP requests that were refused before anybody looked at what they want, by reason.
    SipRefused,
    /// SIP messages sent again.
    SipRetransmissions,
    /// SIP requests that went on to another hop, since one was dead or busy.
    SipFailovers,
    /// SIP transactions of this moment, by role.
    SipTransactions,
    /// Datagrams on the port that browsers share which were no call's, by reason.
    SharedPortDropped,
    /// Twilio's media streams of this moment.
    TwilioStreams,
    /// Webhooks and sockets that were refused, by reason.
    TwilioRefused,
    /// Messages of media streams that were refused, by reason.
    TwilioMessagesRefused,
    /// Tries to bring an app's message to a webhook, by outcome.
    WebhookDeliveries,
    /// Messages that wait for their webhook.
    WebhookDeliveriesWaiting,
    /// Messages that were given up and are kept.
    WebhookDeliveriesDead,
}

/// All of them, for descriptions.
const ALL: [Metric; 41] = [
    Metric::SharedPortDropped,
    Metric::SipHandshakesFailed,
    Metric::SipMessages,
    Metric::SipDropped,
    Metric::SipRefused,
    Metric::SipRetransmissions,
    Metric::SipFailovers,
    Metric::SipTransactions,
    Metric::WebhookDeliveries,
    Metric::WebhookDeliveriesWaiting,
    Metric::WebhookDeliveriesDead,
    Metric::TwilioStreams,
    Metric::TwilioRefused,
    Metric::TwilioMessagesRefused,
    Metric::CallsEnded,
    Metric::CallsActive,
    Metric::RecordingsEnded,
    Metric::RecordingsActive,
    Metric::RecordsWaiting,
    Metric::RecordsLost,
    Metric::AppRequests,
    Metric::AppRequestSeconds,
    Metric::AppStarts,
    Metric::BuildStages,
    Metric::BuildStageSeconds,
    Metric::BuildLiveSeconds,
    Metric::BuildsSlow,
    Metric::ApiRequests,
    Metric::EventStreams,
    Metric::EventStreamsSlow,
    Metric::SpeechStreams,
    Metric::SpeechStreamsSlow,
    Metric::MediaBusy,
    Metric::OpusComplexity,
    Metric::PromptCache,
    Metric::VoiceFallbacks,
    Metric::ProviderBreaker,
    Metric::ProviderRequests,
    Metric::ProviderFallbacks,
    Metric::ProviderAudioSeconds,
    Metric::ProviderCharacters,
];

impl Metric {
    /// As exported.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallsEnded => "calls_ended_total",
            Self::CallsActive => "calls_active",
            Self::RecordingsEnded => "recordings_ended_total",
            Self::RecordingsActive => "recordings_active",
            Self::RecordsWaiting => "store_records_waiting",
            Self::RecordsLost => "store_records_lost_total",
            Self::AppRequests => "app_requests_total",
            Self::AppRequestSeconds => "app_request_seconds",
            Self::AppStarts => "app_starts_total",
            Self::BuildStages => "build_stages_total",
            Self::BuildStageSeconds => "build_stage_seconds",
            Self::BuildLiveSeconds => "build_live_seconds",
            Self::BuildsSlow => "builds_slow_total",
            Self::ApiRequests => "api_requests_total",
            Self::EventStreams => "event_streams",
            Self::EventStreamsSlow => "event_streams_slow_total",
            Self::SpeechStreams => "speech_streams",
            Self::SpeechStreamsSlow => "speech_streams_slow_total",
            Self::MediaBusy => "media_busy_ratio",
            Self::OpusComplexity => "media_opus_complexity",
            Self::PromptCache => "tts_prompt_cache_total",
            Self::VoiceFallbacks => "tts_voice_fallbacks_total",
            Self::ProviderBreaker => "provider_breaker",
            Self::ProviderRequests => "provider_requests_total",
            Self::ProviderFallbacks => "provider_fallbacks_total",
            Self::ProviderAudioSeconds => "provider_audio_seconds_total",
            Self::ProviderCharacters => "provider_characters_total",
            Self::SipHandshakesFailed => "sip_handshakes_failed_total",
            Self::SipMessages => "sip_messages_total",
            Self::SipDropped => "sip_dropped_total",
            Self::SipRefused => "sip_refused_total",
            Self::SipRetransmissions => "sip_retransmissions_total",
            Self::SipFailovers => "sip_failovers_total",
            Self::SipTransactions => "sip_transactions",
            Self::SharedPortDropped => "webrtc_port_dropped_total",
            Self::TwilioStreams => "twilio_streams",
            Self::TwilioRefused => "twilio_refused_total",
            Self::TwilioMessagesRefused => "twilio_messages_refused_total",
            Self::WebhookDeliveries => "webhook_deliveries_total",
            Self::WebhookDeliveriesWaiting => "webhook_deliveries_waiting",
            Self::WebhookDeliveriesDead => "webhook_deliveries_dead",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::CallsEnded => "Calls that ended, by class",
            Self::CallsActive => "Calls of this moment",
            Self::RecordingsEnded => "Recordings that ended, by outcome",
            Self::RecordingsActive => "Calls being recorded",
            Self::RecordsWaiting => "Records of calls that wait for the disk",
            Self::RecordsLost => "Records of calls that the disk never took",
            Self::AppRequests => "Requests answered by generated apps",
            Self::AppRequestSeconds => "Time until an app's answer began",
            Self::AppStarts => "Starts of app processes",
            Self::BuildStages => "Build stages by outcome",
            Self::BuildStageSeconds => "Time that a build stage took",
            Self::BuildLiveSeconds => "Time from approval to live",
            Self::BuildsSlow => "Builds refused since four were waiting",
            Self::ApiRequests => "Requests of the control API",
            Self::EventStreams => "Clients on the event stream",
            Self::EventStreamsSlow => "Clients of the event stream that were closed since they did not read",
            Self::SpeechStreams => "Clients whose speech is heard",
            Self::SpeechStreamsSlow => "Clients of /stream told to slow down",
            Self::MediaBusy => "Share of the last second in which a media worker was busy",
            Self::OpusComplexity => "Complexity of Opus encoders: follows what the core has left",
            Self::PromptCache => "Clauses to be spoken, known by heart (hit) or synthesised (miss)",
            Self::VoiceFallbacks => "Clauses that a voice failed to speak",
            Self::ProviderBreaker => "0: the provider is asked; 1: it is tried again; 2: it is left alone",
            Self::ProviderRequests => "Turns and clauses asked of a provider, by outcome",
            Self::ProviderFallbacks => "Turns and clauses of a provider that a local engine took over",
            Self::ProviderAudioSeconds => "Seconds of audio sent to a provider for recognition",
            Self::ProviderCharacters => "Characters sent to a provider for synthesis",
            Self::SipHandshakesFailed => "Connections to the port for SIP over TLS without a handshake",
            Self::SipMessages => "SIP messages, by direction",
            Self::SipDropped => {
                "SIP messages dropped without an answer: of strangers, malformed, stray, or for want of room to send"
            }
            Self::SipRefused => {
                "SIP requests refused as malformed, for a wrong password, by the rate of one source, or for want of room"
            }
            Self::SipRetransmissions => "SIP messages sent again",
            Self::SipFailovers => "SIP requests that went on to another hop",
            Self::SipTransactions => "SIP transactions of this moment, by role",
            Self::SharedPortDropped => "Datagrams on the port of [webrtc] udp_port that were no call's, by reason",
            Self::TwilioStreams => "Media streams of Twilio of this moment",
            Self::TwilioRefused => "Webhooks and sockets of Twilio that were refused, by reason",
            Self::TwilioMessagesRefused => "Messages of media streams that were refused, by reason",
            Self::WebhookDeliveries => "Tries to bring an app's message to a webhook, by outcome",
            Self::WebhookDeliveriesWaiting => "Messages of apps that wait for their webhook",
            Self::WebhookDeliveriesDead => "Messages of apps that were given up and are kept",
        }
    }
}

/// Makes the recorder of this process; call once at start. `render` of the handle gives the text for `/metrics`; call its
/// `run_upkeep` every few seconds.
///
/// # Errors
/// Somebody installed a recorder before.
pub fn install() -> Result<Handle, String> {
    let buckets = |metric: Metric| Matcher::Full(metric.name().to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            buckets(Metric::AppRequestSeconds),
            &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5],
        )
        .and_then(|b| {
            b.set_buckets_for_metric(buckets(Metric::BuildStageSeconds), &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0])
        })
        .and_then(|b| {
            b.set_buckets_for_metric(buckets(Metric::BuildLiveSeconds), &[0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0])
        })
        .map_err(|e| e.to_string())?;
    let handle = builder.install_recorder().map_err(|e| e.to_string())?;
    for metric in ALL {
        match metric {
            Metric::CallsEnded
            | Metric::RecordingsEnded
            | Metric::RecordsLost
            | Metric::AppRequests
            | Metric::AppStarts
            | Metric::BuildStages
            | Metric::BuildsSlow
            | Metric::PromptCache
            | Metric::VoiceFallbacks
            | Metric::SpeechStreamsSlow
            | Metric::EventStreamsSlow
            | Metric::ApiRequests
            | Metric::ProviderRequests
            | Metric::ProviderFallbacks
            | Metric::ProviderAudioSeconds
            | Metric::ProviderCharacters
            | Metric::SipHandshakesFailed
            | Metric::SharedPortDropped
            | Metric::SipMessages
            | Metric::SipDropped
            | Metric::SipRefused
            | Metric::SipRetransmissions
            | Metric::SipFailovers
            | Metric::TwilioRefused
            | Metric::TwilioMessagesRefused
            | Metric::WebhookDeliveries => {
                metrics::describe_counter!(metric.name(), metric.help());
            }
            Metric::AppRequestSeconds | Metric::BuildStageSeconds | Metric::BuildLiveSeconds => {
                metrics::describe_histogram!(metric.name(), metrics::Unit::Seconds, metric.help());
            }
            Metric::CallsActive
            | Metric::RecordingsActive
            | Metric::RecordsWaiting
            | Metric::EventStreams
            | Metric::SpeechStreams
            | Metric::MediaBusy
            | Metric::OpusComplexity
            | Metric::ProviderBreaker
            | Metric::SipTransactions
            | Metric::TwilioStreams
            | Metric::WebhookDeliveriesWaiting
            | Metric::WebhookDeliveriesDead => {
                metrics::describe_gauge!(metric.name(), metric.help())
            }
        }
    }
    Ok(handle)
}

const CLASSES: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];

fn class(status: u16) -> &'static str {
    CLASSES.get(usize::from(status / 100)).copied().unwrap_or(CLASSES[5])
}

/// An app answered.
pub fn app_answer(app: &str, route: &str, status: u16, took: Duration) {
    let (app, route) = (app.to_owned(), route.to_owned());
    let labels = [("app", app.clone()), ("route", route.clone()), ("class", class(status).to_owned())];
    metrics::counter!(Metric::AppRequests.name(), &labels).increment(1);
    metrics::histogram!(Metric::AppRequestSeconds.name(), "app" => app, "route" => route).record(took.as_secs_f64());
}

/// An app's process was started.
pub fn app_started(app: &str) {
    metrics::counter!(Metric::AppStarts.name(), "app" => app.to_owned()).increment(1);
}

/// A build stage came to its end; `outcome` is `done`, `retry` or `parked`.
pub fn build_stage(stage: &'static str, outcome: &'static str, took: Duration) {
    metrics::counter!(Metric::BuildStages.name(), "stage" => stage, "outcome" => outcome).increment(1);
    metrics::histogram!(Metric::BuildStageSeconds.name(), "stage" => stage).record(took.as_secs_f64());
}

/// A build went live, this long after it was approved.
pub fn build_live(took: Duration) {
    metrics::histogram!(Metric::BuildLiveSeconds.name()).record(took.as_secs_f64());
}

/// A call ended; `class` is one of `call::record::EndClass`.
pub fn call_ended(class: &'static str) {
    metrics::counter!(Metric::CallsEnded.name(), "class" => class).increment(1);
}

/// Somebody connected to the port for SIP over TLS, and there was no handshake.
pub fn sip_handshake_failed() {
    metrics::counter!(Metric::SipHandshakesFailed.name()).increment(1);
}

/// What the SIP agent has counted since start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipFigures {
    /// Messages by `direction`.
    pub messages: [(&'static str, u64); 2],
    /// Dropped, by `reason`.
    pub dropped: [(&'static str, u64); 4],
    /// Refused, by `reason`.
    pub refused: [(&'static str, u64); 4],
    /// Sent again.
    pub retransmissions: u64,
    /// Gone on to another hop.
    pub failovers: u64,
    /// Transactions alive, by `role`.
    pub transactions: [(&'static str, u32); 2],
}

/// The SIP agent has counted so far.
pub fn sip(figures: &SipFigures) {
    let all = |metric: Metric, label: &'static str, counts: &[(&'static str, u64)]| {
        for (value, count) in counts {
            metrics::counter!(metric.name(), label => *value).absolute(*count);
        }
    };
    all(Metric::SipMessages, "direction", &figures.messages);
    all(Metric::SipDropped, "reason", &figures.dropped);
    all(Metric::SipRefused, "reason", &figures.refused);
    metrics::counter!(Metric::SipRetransmissions.name()).absolute(figures.retransmissions);
    metrics::counter!(Metric::SipFailovers.name()).absolute(figures.failovers);
    for (role, alive) in figures.transactions {
        metrics::gauge!(Metric::SipTransactions.name(), "role" => role).set(f64::from(alive));
    }
}

/// A datagram on the port that browsers share was no call's; `reason` is one of `webrtc::seats::Dropped`.
pub fn shared_port_dropped(reason: &'static str) {
    metrics::counter!(Metric::SharedPortDropped.name(), "reason" => reason).increment(1);
}

/// So many calls are up.
pub fn calls_active(calls: usize) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by sip.max_calls")]
    metrics::gauge!(Metric::CallsActive.name()).set(calls as f64);
}

/// What a media worker has left: busy share of the last second, and the complexity that it grants Opus encoders.
pub fn media_headroom(worker: usize, busy: f64, complexity: u8) {
    let worker = worker.to_string();
    metrics::gauge!(Metric::MediaBusy.name(), "worker" => worker.clone()).set(busy);
    metrics::gauge!(Metric::OpusComplexity.name(), "worker" => worker).set(f64::from(complexity));
}

/// A recording ended; `outcome` is `complete`, `stopped`, `recovered` or `refused`.
pub fn recording_ended(outcome: &'static str) {
    metrics::counter!(Metric::RecordingsEnded.name(), "outcome" => outcome).increment(1);
}

/// So many records wait for the disk.
pub fn records_waiting(records: usize) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by RECORDS_WAITING_MAX")]
    metrics::gauge!(Metric::RecordsWaiting.name()).set(records as f64);
}

/// A record is lost.
pub fn record_lost() {
    metrics::counter!(Metric::RecordsLost.name()).increment(1);
}

/// So many calls are being recorded.
pub fn recordings_active(recordings: usize) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by RECORDINGS_MAX")]
    metrics::gauge!(Metric::RecordingsActive.name()).set(recordings as f64);
}

/// A clause is to be spoken; `outcome` is `hit` or `miss` of the prompt cache.
pub fn prompt_cache(outcome: &'static str) {
    metrics::counter!(Metric::PromptCache.name(), "outcome" => outcome).increment(1);
}

/// A voice could not speak a clause.
pub fn voice_fallback(voice: &str) {
    metrics::counter!(Metric::VoiceFallbacks.name(), "voice" => voice.to_owned()).increment(1);
}

/// A build was refused.
pub fn build_slow() {
    metrics::counter!(Metric::BuildsSlow.name()).increment(1);
}

/// The control API answered; `route` is a template.
pub fn api_answer(route: &str, status: u16) {
    metrics::counter!(Metric::ApiRequests.name(), "route" => route.to_owned(), "class" => class(status)).increment(1);
}

/// So many more clients follow the event stream, or fewer.
pub fn event_streams(more: f64) {
    metrics::gauge!(Metric::EventStreams.name()).increment(more);
}

/// So many more clients stream speech, or fewer.
pub fn speech_streams(more: f64) {
    metrics::gauge!(Metric::SpeechStreams.name()).increment(more);
}

/// A client was told that more than `limits::STREAM_QUEUE_MAX` of its chunks wait.
pub fn speech_stream_slow() {
    metrics::counter!(Metric::SpeechStreamsSlow.name()).increment(1);
}

/// A client of the event stream did not read.
pub fn event_stream_slow() {
    metrics::counter!(Metric::EventStreamsSlow.name()).increment(1);
}

/// So many more media streams of Twilio, or fewer.
pub fn twilio_streams(more: f64) {
    metrics::gauge!(Metric::TwilioStreams.name()).increment(more);
}

/// A webhook or a socket was refused.
pub fn twilio_refused(reason: &'static str) {
    metrics::counter!(Metric::TwilioRefused.name(), "reason" => reason).increment(1);
}

/// A message of a media stream was refused.
pub fn twilio_message_refused(reason: &'static str) {
    metrics::counter!(Metric::TwilioMessagesRefused.name(), "reason" => reason).increment(1);
}

/// A message was brought to its webhook, or not; `outcome` is `delivered`, `retry` or `dead`.
pub fn delivery(outcome: &'static str) {
    metrics::counter!(Metric::WebhookDeliveries.name(), "outcome" => outcome).increment(1);
}

/// So many messages wait for their webhook, and so many were given up and are kept.
pub fn deliveries(waiting: u64, dead: u64) {
    #[expect(clippy::cast_precision_loss, reason = "bounded by DELIVERIES_WAITING_MAX")]
    metrics::gauge!(Metric::WebhookDeliveriesWaiting.name()).set(waiting as f64);
    #[expect(clippy::cast_precision_loss, reason = "bounded by DELIVERIES_DEAD_MAX")]
    metrics::gauge!(Metric::WebhookDeliveriesDead.name()).set(dead as f64);
}

/// A provider's breaker is closed (0), probing (1) or open (2); `part` is `asr` or `tts`.
pub fn provider_breaker(provider: &'static str, part: &'static str, state: u8) {
    metrics::gauge!(Metric::ProviderBreaker.name(), "provider" => provider, "part" => part).set(f64::from(state));
}

/// A provider was asked; `outcome` is `ok` or one of `speech::provider::ProviderError`.
pub fn provider_request(provider: &'static str, part: &'static str, outcome: &'static str) {
    let labels = [("provider", provider), ("part", part), ("outcome", outcome)];
    metrics::counter!(Metric::ProviderRequests.name(), &labels).increment(1);
}

/// A local engine took over from a provider.
pub fn provider_fallback(provider: &'static str, part: &'static str) {
    metrics::counter!(Metric::ProviderFallbacks.name(), "provider" => provider, "part" => part).increment(1);
}

/// So many more whole seconds of audio were sent.
pub fn provider_audio_seconds(provider: &'static str, seconds: u64) {
    metrics::counter!(Metric::ProviderAudioSeconds.name(), "provider" => provider).increment(seconds);
}

/// So many more characters were sent.
pub fn provider_characters(provider: &'static str, characters: u64) {
    metrics::counter!(Metric::ProviderCharacters.name(), "provider" => provider).increment(characters);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention_and_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|m| m.name()).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert_eq!((class(200), class(599), class(999)), ("2xx", "5xx", "5xx"));
    }
}

//! ElevenLabs. Documents: elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps (request, lines of the
//! answer), help.elevenlabs.io "API - Error Code 400 or 401".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// `…/stream-with-timestamps`, response: one line, `characters` with their start and end in seconds.
pub(crate) fn line(audio: &[u8], characters: &[(&str, f64, f64)]) -> String {
    let alignment = serde_json::json!({
        "characters": characters.iter().map(|c| c.0).collect::<Vec<_>>(),
        "character_start_times_seconds": characters.iter().map(|c| c.1).collect::<Vec<_>>(),
        "character_end_times_seconds": characters.iter().map(|c| c.2).collect::<Vec<_>>(),
    });
    let audio = BASE64_STANDARD.encode(audio);
    let value = serde_json::json!({ "audio_base64": audio, "alignment": alignment, "normalized_alignment": alignment });
    format!("{value}\n")
}

/// The same, where a line has audio only.
pub(crate) fn line_without_alignment(audio: &[u8]) -> String {
    let audio = BASE64_STANDARD.encode(audio);
    let value = serde_json::json!({ "audio_base64": audio, "alignment": null, "normalized_alignment": null });
    format!("{value}\n")
}

/// "API - Error Code 400 or 401", "Example 401 response detail".
pub(crate) const INVALID_KEY: &str = r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#;

//! OpenAI. Documents, all under developers.openai.com: `/api/reference/resources/audio/subresources/transcriptions/…`
//! (`methods/create`, `streaming-events`), `/api/reference/resources/audio/subresources/speech/methods/create`,
//! `/api/docs/guides/error-codes`.

/// `…/transcriptions/streaming-events`: transcript.text.delta.
pub(crate) fn delta(text: &str) -> String {
    event(&serde_json::json!({ "type": "transcript.text.delta", "delta": text }))
}

/// `…/transcriptions/streaming-events`: transcript.text.done, with `include[]=logprobs`.
pub(crate) fn done(text: &str, logprobs: &[f64]) -> String {
    let tokens: Vec<_> = logprobs
        .iter()
        .map(|logprob| serde_json::json!({ "token": "x", "bytes": [120], "logprob": logprob }))
        .collect();
    event(&serde_json::json!({
        "type": "transcript.text.done",
        "text": text,
        "logprobs": tokens,
        "usage": {
            "type": "tokens",
            "input_tokens": 14,
            "input_token_details": { "text_tokens": 0, "audio_tokens": 14 },
            "output_tokens": 45,
            "total_tokens": 59
        }
    }))
}

fn event(data: &serde_json::Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// `…/transcriptions/methods/create`, "Returns": a transcription as one object.
pub(crate) const WHOLE: &str = r#"{"text":"Imagine the wildest idea that you've ever had.",
"usage":{"type":"tokens","input_tokens":14,"output_tokens":101,"total_tokens":115}}"#;

/// `/api/docs/guides/error-codes`, "429 - Rate limit reached for requests", in the form of every error.
pub(crate) const RATE_LIMIT: &str = r#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;

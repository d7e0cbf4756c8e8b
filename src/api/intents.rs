//! `/v1/intents`: what a text wants, by the understanding that the telephone has. Starts nothing; an intent that is sure enough
//! is also an event (`intent.recognised`), derived from what was asked, so that a repeat is none.

use super::problem::Problem;
use super::state::AppState;
use super::steer::body;
use crate::limits::{HEARD_TEXT_MAX, INTENT_HISTORY_MAX};
use crate::os::clock;
use crate::pipeline::intent::{Extraction, Said, Side, extract, utterance_id};
use crate::store::EventKind;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// A text whose intent is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    /// What was said last; 1 to 2,000 characters
    text: String,
    /// What was said before, the oldest first; at most 50 lines
    #[serde(default)]
    history: Vec<Line>,
}

/// A line of the history; a bare text is the caller's, unless it puts one of the agent's questions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Line {
    Text(String),
    Said {
        /// `agent` (or `assistant`, `system`), `caller` (or `user`)
        #[serde(alias = "speaker", alias = "side", alias = "from")]
        role: Role,
        /// What they said
        #[serde(alias = "content")]
        text: String,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[serde(alias = "assistant", alias = "system", alias = "bot")]
    Agent,
    #[serde(alias = "user", alias = "human", alias = "customer")]
    Caller,
}

pub(super) async fn recognise(
    State(state): State<AppState>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Problem> {
    let asking: Asking = body(&headers, &bytes)?;
    let history = checked(&asking)?;
    let found = extract(&asking.text, &history);
    if found.fires() {
        let mut parts = vec![asking.text.as_str()];
        parts.extend(history.iter().map(|line| line.text.as_str()));
        let id = utterance_id(&parts);
        let written = state.store.events().append(EventKind::IntentRecognised, &id, "", clock::wall(), answer(&found));
        if let Err(error) = written.await {
            tracing::warn!(%error, "an intent was recognised, but its event is not on disk");
        }
    }
    Ok(Json(answer(&found)))
}

fn checked(asking: &Asking) -> Result<Vec<Said>, Problem> {
    let wrong = |detail: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    let too_long = |text: &str| text.chars().nth(HEARD_TEXT_MAX).is_some();
    if asking.text.trim().is_empty() {
        return wrong("text is empty: send what was said".into());
    }
    if asking.history.len() > INTENT_HISTORY_MAX {
        return wrong(format!("history has more than {INTENT_HISTORY_MAX} lines: send the last ones"));
    }
    let history: Vec<Said> = asking.history.iter().map(Line::said).collect();
    if too_long(&asking.text) || history.iter().any(|line| too_long(&line.text)) {
        return wrong(format!("text and the lines of history have at most {HEARD_TEXT_MAX} characters each"));
    }
    Ok(history)
}

impl Line {
    fn said(&self) -> Said {
        match self {
            Self::Said { role, text } => {
                let side = match role {
                    Role::Agent => Side::Agent,
                    Role::Caller => Side::Caller,
                };
                Said { side, text: text.clone() }
            }
            Self::Text(text) => {
                let low = text.to_lowercase();
                let ours = ["shall i ", "what shall i", "should i build", "should i go ahead", "would you like me to"]
                    .iter()
                    .any(|question| low.contains(question));
                Said { side: if ours { Side::Agent } else { Side::Caller }, text: text.clone() }
            }
        }
    }
}

fn answer(found: &Extraction) -> Value {
    // Rounded down to four places, so that what is written and what fires agree.
    let confidence = (found.confidence * 1e4).floor() / 1e4;
    json!({
        "intent": found.intent,
        "confidence": confidence,
        "fires": found.fires() && confidence > crate::pipeline::intent::FIRES,
        "entities": found.entities,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Vec<Said>, u16> {
        let asking: Asking = serde_json::from_value(body).map_err(|_| 0_u16)?;
        checked(&asking).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn what_may_be_asked() {
        assert_eq!(read(json!({"text": "hello"})), Ok(Vec::new()));
        let history = json!([
            "I run a bakery",
            {"role": "assistant", "content": "What shall I build for you?"},
            {"speaker": "caller", "text": "a website"},
            "Shall I build it?",
        ]);
        let sides: Vec<Side> =
            read(json!({"text": "yes", "history": history})).unwrap().into_iter().map(|line| line.side).collect();
        assert_eq!(sides, [Side::Caller, Side::Agent, Side::Caller, Side::Agent]);
    }

    #[test]
    fn what_may_not() {
        for (body, status) in [
            (json!({"text": " "}), 422),
            (json!({}), 0),
            (json!({"text": 3}), 0),
            (json!({"text": "a", "more": 1}), 0),
            (json!({"text": "a", "history": [{"role": "nobody", "text": "b"}]}), 0),
            (json!({"text": "a".repeat(HEARD_TEXT_MAX + 1)}), 422),
            (json!({"text": "a", "history": vec!["b"; INTENT_HISTORY_MAX + 1]}), 422),
            (json!({"text": "a", "history": ["b".repeat(HEARD_TEXT_MAX + 1)]}), 422),
        ] {
            assert_eq!(read(body.clone()), Err(status), "{:.60}", body.to_string());
        }
        assert!(read(json!({"text": "ä".repeat(HEARD_TEXT_MAX)})).is_ok());
    }
}

//! `/v1/intents`: what a text wants, or a call of before, by the understanding that the telephone has. Starts nothing; an intent that
//! is sure enough is also an event (`intent.recognised`), derived from what was asked, so that a repeat is none.

use super::problem::{Problem, read};
use super::state::AppState;
use super::steer::body;
use crate::limits::{HEARD_TEXT_MAX, INTENT_HISTORY_MAX};
use crate::os::clock;
use crate::pipeline::intent::{Extraction, Label, Said, Side, extract, utterance_id};
use crate::pipeline::manifest::BuildType;
use crate::store::{EventKind, Speaker, Turn};
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
    #[serde(default)]
    text: String,
    /// What was said before, the oldest first; at most 50 lines
    #[serde(default)]
    history: Vec<Line>,
    /// Instead of both: a call of before, `conv_…`. What it orders comes as a manifest that `POST /v1/builds` takes
    #[serde(default)]
    conversation_id: Option<String>,
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
    if let Some(id) = &asking.conversation_id {
        return of_call(&state, &asking, id.clone()).await.map(Json);
    }
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

/// What a call of before orders: its last turn that wants something built, else its last turn that wants anything.
async fn of_call(state: &AppState, asking: &Asking, id: String) -> Result<Value, Problem> {
    if !asking.text.is_empty() || !asking.history.is_empty() {
        let detail = "conversation_id stands instead of text and history: send one of them";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (store, of) = (state.store.clone(), id.clone());
    let found = read(move || store.conversations().get(&of)).await?;
    let (_, turns) = found.ok_or_else(|| Problem::not_found("there is no such conversation, or it was deleted"))?;
    // Every turn is read in the light of those before it: too much for a thread that others wait for.
    let read = tokio::task::spawn_blocking(move || (wanted(&turns), turns));
    let (wanted, turns) = read.await.map_err(|error| {
        tracing::warn!(%error, "a conversation was not read through");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the conversation was not read through")
    })?;
    let Some((at, found)) = wanted else {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nobody said anything in that conversation"));
    };
    let mut answer = answer(&found);
    answer["turn"] = json!(turns.get(at).map(|turn| turn.seq));
    answer["manifest"] = manifest(&found, &id, turns.get(at).map_or("", |turn| &turn.text)).unwrap_or(Value::Null);
    Ok(answer)
}

/// The turn and what it wants.
fn wanted(turns: &[Turn]) -> Option<(usize, Extraction)> {
    let said = |turn: &Turn| Said {
        side: if turn.who == Speaker::Caller { Side::Caller } else { Side::Agent },
        text: turn.text.clone(),
    };
    let history: Vec<Said> = turns.iter().map(said).collect();
    let mut best: Option<(usize, Extraction)> = None;
    for (at, line) in history.iter().enumerate().filter(|(_, line)| line.side == Side::Caller) {
        let found = extract(&line.text, &history[at.saturating_sub(INTENT_HISTORY_MAX)..at]);
        let orders = |found: &Extraction| found.fires() && found.intent.builds();
        match &mut best {
            // "With invoices, too", behind the order.
            Some((_, order)) if orders(order) && !orders(&found) => {
                if found.fires() && found.intent == Label::Amend {
                    order.entities.take(&found.entities);
                }
            }
            _ => best = Some((at, found)),
        }
    }
    best
}

/// As `POST /v1/builds` takes it; `None`: nothing is to be built, or nothing that a build can be of.
fn manifest(found: &Extraction, conversation: &str, said: &str) -> Option<Value> {
    let of = serde_json::to_value(found.intent).ok().filter(|_| found.fires())?;
    let build_type: BuildType = serde_json::from_value(of).ok()?;
    let told = serde_json::to_value(&found.entities).unwrap_or_default();
    let noun = build_type.noun();
    Some(json!({
        "build_type": build_type,
        "title": found.entities.title.clone().unwrap_or_else(|| noun.to_owned()),
        "description": said,
        "features": told["features"],
        "tech_stack": told["tech_stack"],
        "constraints": told["constraints"],
        "integrations": told["integrations"],
        "conversation_id": conversation,
        "created_from": "voice",
        "confidence": found.confidence.clamp(0.0, 1.0),
    }))
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

    fn turn(seq: u32, who: Speaker, text: &str) -> Turn {
        let (conversation_id, started) = ("conv_1".to_owned(), crate::time::Wallclock(1));
        Turn { conversation_id, seq, who, text: text.into(), heard: None, started, ended: None, confidence: None }
    }

    #[test]
    fn a_call_of_before_is_an_order_if_one_was_given() {
        let call = [
            turn(1, Speaker::Agent, "What shall I build for you?"),
            turn(2, Speaker::Caller, "Please build me a CRM with contacts and deals called Bluebird."),
            turn(3, Speaker::Agent, "Shall I build it?"),
            turn(4, Speaker::Caller, "thank you, goodbye"),
        ];
        let (at, found) = wanted(&call).unwrap();
        assert_eq!(at, 1, "{found:?}");
        let made = manifest(&found, "conv_1", &call[at].text).unwrap();
        assert_eq!((&made["build_type"], &made["title"]), (&json!("build_crm"), &json!("Bluebird")), "{made}");
        assert_eq!((&made["created_from"], &made["conversation_id"]), (&json!("voice"), &json!("conv_1")));
        assert_eq!(made["features"], json!(["contacts", "deals"]));
        let whole = super::super::builds::manifest(made.to_string().as_bytes(), None).unwrap();
        assert_eq!(whole.features, ["contacts", "deals"]);
        let (_, none) = wanted(&call[2..]).unwrap();
        assert_eq!(manifest(&none, "conv_1", ""), None, "{none:?}");
        assert_eq!(wanted(&call[..1]), None);
    }

    #[test]
    fn what_may_not() {
        for (body, status) in [
            (json!({"text": " "}), 422),
            (json!({}), 422),
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

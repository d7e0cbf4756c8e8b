//! `/v1/builds`: builds and their stages; a POST asks for one, as an approving caller does.

use super::calls::PageQuery;
use super::problem::{Problem, read};
use super::state::AppState;
use super::steer::body;
use crate::os::clock;
use crate::pipeline::code_in_words;
use crate::pipeline::manifest::{BuildManifest, CreatedFrom};
use crate::store::{Answered, AnsweredBy, Build, Cancelled, Page};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Build>>, Problem> {
    Ok(Json(read(move || state.store.builds().list(query.before, query.rows())).await?))
}

/// With the code of the app's first account, while the app is live and has none.
pub(super) async fn one(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let store = state.store.clone();
    let found = read(move || {
        let Some(build) = store.builds().get(&id)? else { return Ok(None) };
        let manifest = store.manifests().get(&build.manifest_id)?;
        let spec = store.world().get("build_spec", &build.id)?.map(|found| found.document);
        let questions = store.questions().of_build(&build.id)?;
        Ok(Some((build, manifest, spec, questions)))
    });
    let (build, manifest, spec, questions) =
        found.await?.ok_or_else(|| Problem::not_found("there is no such build"))?;
    // An app that does not answer now is asked again with the next request.
    let code = match &build.url {
        Some(_) => state.pipeline.setup_code(&build.slug).await.ok().flatten(),
        None => None,
    };
    let setup = code
        .zip(build.url.as_ref())
        .map(|(code, url)| json!({"url": format!("{url}setup"), "code": code, "spoken": code_in_words(&code)}));
    Ok(Json(json!({"build": build, "manifest": manifest, "spec": spec, "questions": questions, "setup": setup})))
}

/// Takes a manifest; what it leaves out gets its plain default. The same `Idempotency-Key` (or, without one, the same manifest)
/// again answers with the same build.
pub(super) async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // Also keeps web pages of other origins out: they cannot send this type unasked.
    if media_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the manifest as application/json"));
    }
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => match key.to_str() {
            Ok(key) if (1..=200).contains(&key.len()) => Some(key),
            _ => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "Idempotency-Key must have 1 to 200 ASCII characters",
                ));
            }
        },
    };
    let mut manifest = manifest(&bytes, key)?;
    manifest.created_from = source(&state, &bytes, &manifest.conversation_id).await?;
    let (store, id) = (state.store.clone(), manifest.manifest_id.clone());
    let before = read(move || store.manifests().get(&id)).await?;
    if before.as_ref().is_some_and(|before| asked(before) != asked(&manifest)) {
        let detail = "this Idempotency-Key or manifest_id was used for another manifest";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let build = state.pipeline.submit(manifest).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, [(header::LOCATION, format!("/v1/builds/{}", build.id))], Json(build)).into_response())
}

/// An answer to what a build asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answering {
    /// Its `name` or `id`
    question: String,
    /// The `value` of one of its choices
    answer: String,
}

/// Answers what a build asks; the same answer again changes nothing.
pub(super) async fn answer(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Build>), Problem> {
    let Answering { question, answer } = body(&headers, &bytes)?;
    let conflict = |detail: &str| Problem::new(StatusCode::CONFLICT, detail);
    match state.pipeline.answer(&id, &question, &answer, AnsweredBy::Api).await? {
        Answered::FollowUp(build) => Ok((StatusCode::ACCEPTED, Json(build))),
        Answered::Noted | Answered::GoesOn => {
            let build = read(move || state.store.builds().get(&id)).await?;
            Ok((StatusCode::OK, Json(build.ok_or_else(|| Problem::not_found("there is no such build"))?)))
        }
        Answered::TooLate => Err(conflict("it was answered otherwise, or the build is over")),
        Answered::InAMoment => Err(conflict("the app goes live at this moment; answer again in some seconds")),
        Answered::NoChoice(choices) => {
            let detail = "that is none of the choices of this question";
            let choices = serde_json::to_value(choices).unwrap_or_default();
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("choices", choices))
        }
        Answered::Unknown => Err(Problem::not_found("there is no such build, or it does not ask that")),
        Answered::Slow => {
            let detail = "too many builds wait; answer again in a minute";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).of_kind("slow"))
        }
    }
}

/// Ends a build that does not go live yet.
pub(super) async fn cancel(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Build>, Problem> {
    match state.pipeline.cancel(&id).await? {
        Cancelled::Done(build) => Ok(Json(build)),
        Cancelled::TooLate(_) => Err(Problem::new(StatusCode::CONFLICT, "it is over, or goes live at this moment")),
        Cancelled::Unknown => Err(Problem::not_found("there is no such build")),
    }
}

/// Whose word it is: that of a caller where the manifest says so and names the call, which is known; else the API's.
async fn source(state: &AppState, bytes: &[u8], conversation: &str) -> Result<CreatedFrom, Problem> {
    let said: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if said["created_from"] != "voice" || conversation.is_empty() {
        return Ok(CreatedFrom::Api);
    }
    let (store, id) = (state.store.clone(), conversation.to_owned());
    let found = read(move || store.conversations().get(&id)).await?;
    Ok(if found.is_some() { CreatedFrom::Voice } else { CreatedFrom::Api })
}

pub(super) fn manifest(body: &[u8], key: Option<&str>) -> Result<BuildManifest, Problem> {
    let invalid = |e: serde_json::Error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the manifest does not parse: {e}"))
    };
    let mut document: Map<String, Value> = serde_json::from_slice(body).map_err(invalid)?;
    let digest = |parts: &[&[u8]]| {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    let id = match key {
        Some(key) => format!("manifest_{}", digest(&[b"key ", key.as_bytes()])),
        None => format!("manifest_{}", digest(&[b"body ", Value::Object(document.clone()).to_string().as_bytes()])),
    };
    for (name, default) in [
        ("manifest_id", Value::String(id)),
        ("description", json!("")),
        ("features", json!([])),
        ("tech_stack", json!([])),
        ("constraints", json!({})),
        ("integrations", json!([])),
        ("conversation_id", json!("")),
        ("confidence", json!(1.0)),
        ("metadata", json!({})),
    ] {
        document.entry(name).or_insert(default);
    }
    document.insert("created_from".into(), json!("api"));
    let mut manifest: BuildManifest = serde_json::from_value(Value::Object(document)).map_err(invalid)?;
    manifest.metadata.insert("approval".into(), json!({"by": "api", "at": clock::wall().to_string()}));
    Ok(manifest)
}

/// The manifest without what differs between two askings for the same.
fn asked(manifest: &BuildManifest) -> BuildManifest {
    let mut asked = manifest.clone();
    asked.metadata.remove("approval");
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_request_becomes_a_whole_manifest() {
        let body = br#"{"build_type": "build_crm", "title": "CRM", "features": ["contacts"], "created_from": "voice"}"#;
        let one = manifest(body, None).unwrap();
        assert_eq!(one.created_from, CreatedFrom::Api);
        assert!(one.metadata.contains_key("approval"));
        assert_eq!(one.manifest_id, manifest(body, None).unwrap().manifest_id);
        assert_ne!(one.manifest_id, manifest(body, Some("k")).unwrap().manifest_id);
        assert!(manifest(b"[]", None).is_err());
        assert!(manifest(br#"{"build_type": "build_rocket", "title": "R"}"#, None).is_err());
    }
}

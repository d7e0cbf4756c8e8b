//! The description of the API, generated: routes from [`docs`] and [`browsers`], what they take from the very types that read it (`schemars`),
//! what they answer from the schemas beside this file. `openapi.json` is what comes out, checked in; a test compares them, and
//! writes the file where `CALLWRIGHT_WRITE_OPENAPI` is set. Deliberately absent: serving it (`page`).

mod browsers;
mod docs;

use super::steer;
use browsers::BROWSERS;
use docs::{Content, DOCS, Doc, Kind, Parameter, Place};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Schemas of what is answered by older resources.
const ANSWERED: &str = include_str!("openapi/schemas.json");

/// The whole description (OpenAPI 3.1).
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for doc in DOCS.iter().chain(BROWSERS) {
        let item = paths.entry(doc.path).or_insert_with(|| json!({}));
        item[doc.method.to_lowercase()] = operation(doc);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Callwright control API",
            "version": "1",
            "description": "Served on loopback, or with a bearer token. Errors are RFC 9457 problems.",
        },
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of [http] token or token_file; without one the API is open, on loopback only",
                },
            },
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn operation(doc: &Doc) -> Value {
    let mut operation = json!({"summary": doc.summary});
    if !doc.parameters.is_empty() {
        operation["parameters"] = doc.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = doc.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": reference(body)}}});
    }
    let mut responses = Map::new();
    for answer in doc.answers {
        let mut response = json!({"description": answer.1});
        if let Some(content) = content(&answer.2) {
            response["content"] = content;
        }
        responses.insert(answer.0.to_string(), response);
    }
    let problem = json!({"description": "Problem (RFC 9457)", "content": content(&Content::Problem)});
    responses.insert("default".to_owned(), problem);
    operation["responses"] = Value::Object(responses);
    operation
}

fn content(content: &Content) -> Option<Value> {
    Some(match content {
        Content::Empty => return None,
        Content::Json(schema) => json!({"application/json": {"schema": reference(schema)}}),
        Content::Problem => json!({"application/problem+json": {"schema": reference("Problem")}}),
        Content::Events => json!({"text/event-stream": {"schema": reference("Event")}}),
        Content::Text(kind) => json!({(*kind): {"schema": {"type": "string"}}}),
        Content::Octets(kinds) => {
            let octets = json!({"schema": {"type": "string", "format": "binary"}});
            kinds.iter().map(|kind| ((*kind).to_owned(), octets.clone())).collect::<Map<_, _>>().into()
        }
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
        Place::Header => ("header", false),
    };
    let kind = match parameter.kind {
        Kind::Text => "string",
        Kind::Integer => "integer",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": required,
        "schema": {"type": kind},
        "description": parameter.text,
    })
}

fn schemas() -> Map<String, Value> {
    // Part of the program, and read by a test.
    let mut schemas: Map<String, Value> = serde_json::from_str(ANSWERED).unwrap_or_default();
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add("Asking", of::<super::intents::Asking>());
    add("Answered", of::<super::builds::Answering>());
    add("Placing", of::<steer::Placing>());
    add("Answering", of::<steer::Answering>());
    add("Saying", of::<steer::Saying>());
    add("Playing", of::<steer::Playing>());
    add("Digits", of::<steer::Keys>());
    add("Nothing", of::<steer::Nothing>());
    add("Transferring", of::<steer::Transferring>());
    add("Bridging", of::<steer::Bridging>());
    add("HangingUp", of::<steer::HangingUp>());
    add("Queued", of::<steer::Queued>());
    add("Room", of::<steer::Room>());
    add("HandedOver", of::<steer::HandedOver>());
    add("Sections", of::<super::reload::Sections>());
    schemas
}

/// As the type is read or written.
fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("title");
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::ROUTES;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_file_is_what_the_code_says() {
        let written = format!("{:#}\n", document());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/openapi.json");
        if std::env::var_os("CALLWRIGHT_WRITE_OPENAPI").is_some() {
            std::fs::write(&file, &written).unwrap();
        } else {
            assert!(
                std::fs::read_to_string(&file).unwrap() == written,
                "src/api/openapi.json is out of date: CALLWRIGHT_WRITE_OPENAPI=1 cargo nextest run --lib the_file_is_what"
            );
        }
    }

    #[test]
    fn every_route_is_described_and_every_schema_is_there() {
        let docs = || DOCS.iter().chain(BROWSERS);
        let described: BTreeSet<_> = docs().map(|doc| (doc.method, doc.path)).collect();
        let answered: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!(described, answered);
        assert_eq!(described.len(), docs().count(), "none is there twice");
        let document = document();
        let known: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        let (text, mut used) = (document.to_string(), BTreeSet::new());
        for reference in text.split("#/components/schemas/").skip(1) {
            used.insert(reference.split('"').next().unwrap().to_owned());
        }
        assert_eq!(used, known, "what is used (left) and what is there (right)");
        for doc in docs() {
            let named: Vec<_> = doc.path.split('/').filter_map(|part| part.strip_prefix('{')).collect();
            let parameters = doc.parameters.iter().filter(|p| matches!(p.place, Place::Path)).map(|p| p.name);
            let named: Vec<_> = named.iter().map(|part| part.split('}').next().unwrap()).collect();
            assert_eq!(parameters.collect::<Vec<_>>(), named, "{}", doc.path);
            assert!(
                doc.method == "GET"
                    || doc.body.is_some()
                    || !doc.path.starts_with("/v1/calls/{id}/")
                    || doc.path.contains("recording")
            );
        }
    }
}

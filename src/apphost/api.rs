//! The JSON API of a resource. Purpose: list, create, read, replace, change, delete, over the bundle's SQL.
//! Invariants: lists are paged by an opaque cursor and stable while records are added; errors are
//! `{"error": {"code", "message", "fields"}}`.

use super::database::{Parameters, Row};
use super::exchange::{Request, Response};
use super::field::{self, Checked};
use super::service::{Problem, Service, id_parameter};
use crate::pipeline::spec::{Entity, FieldKind, slug};
use serde_json::{Map, Value, json};

/// Words of a search that count.
const SEARCH_WORDS_MAX: usize = 8;

/// One page of a list.
pub(super) struct Listing {
    pub(super) rows: Vec<Row>,
    /// Cursor of the next page.
    pub(super) next: Option<String>,
}

/// The records that `q` finds, or all, from `cursor` on.
pub(super) fn listing(
    service: &Service,
    entity: &Entity,
    q: &str,
    cursor: &str,
    limit: u32,
) -> Result<Listing, Problem> {
    let mut values = Parameters::from([
        ("limit".to_owned(), (limit + 1).into()),
        ("after_key".to_owned(), Value::Null),
        ("after_id".to_owned(), Value::Null),
    ]);
    if !cursor.is_empty() {
        let (key, id) = open_cursor(cursor).ok_or_else(|| Problem::Malformed("This cursor is not ours.".to_owned()))?;
        values.insert("after_key".to_owned(), key);
        values.insert("after_id".to_owned(), id);
    }
    let mut action = format!("{}_list", entity.name);
    if !q.trim().is_empty() {
        let Some(words) = match_words(q).filter(|_| !entity.search.is_empty()) else {
            return Ok(Listing { rows: Vec::new(), next: None });
        };
        values.insert("match".to_owned(), words.into());
        action = format!("{}_search", entity.name);
    }
    let mut rows = service.run(&action, &values, Some(entity))?;
    let mut next = None;
    if rows.len() > limit as usize {
        rows.truncate(limit as usize);
        next = rows.last().map(seal_cursor);
    }
    for row in &mut rows {
        row.shift_remove("_key");
    }
    Ok(Listing { rows, next })
}

pub(super) fn list(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    let limits = &service.bundle.app.limits;
    let limit = match request.query.get("limit").map(|l| l.parse::<u32>()) {
        None => limits.page_rows,
        Some(Ok(n)) if (1..limits.rows).contains(&n) => n,
        Some(_) => return Err(Problem::Malformed(format!("`limit` is a number from 1 to {}.", limits.rows - 1))),
    };
    let text = |name: &str| request.query.get(name).map_or("", String::as_str);
    let page = listing(service, entity, text("q"), text("cursor"), limit)?;
    Ok(Response::json(200, &json!({ "items": page.rows, "next": page.next })))
}

pub(super) fn read(service: &Service, entity: &Entity, id: i64) -> Result<Response, Problem> {
    Ok(Response::json(200, &service.record(entity, id)?.into()))
}

pub(super) fn create(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    let checked = field::from_json(entity, &object(request)?, None);
    let id = save(service, entity, checked, None)?;
    let record = service.record(entity, id)?;
    Ok(Response::json(201, &record.into()).with("location", format!("/api/{}/{id}", entity.name)))
}

pub(super) fn update(
    service: &Service,
    entity: &Entity,
    request: &Request,
    id: i64,
    replace: bool,
) -> Result<Response, Problem> {
    let stored = service.record(entity, id)?;
    let checked = field::from_json(entity, &object(request)?, (!replace).then_some(&stored));
    save(service, entity, checked, Some(id))?;
    read(service, entity, id)
}

pub(super) fn delete(service: &Service, entity: &Entity, id: i64) -> Result<Response, Problem> {
    let record = service.record(entity, id)?;
    service.run(&format!("{}_delete", entity.name), &id_parameter(id), Some(entity))?;
    service.tell(&format!("{}.deleted", entity.singular), &record)?;
    Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
}

pub(super) fn query(service: &Service, action: &str) -> Result<Response, Problem> {
    let row = service.run(action, &Parameters::new(), None)?.into_iter().next().unwrap_or_default();
    Ok(Response::json(200, &row.into()))
}

/// Stores checked values as a new record, or over the one called `id`; returns the id.
pub(super) fn save(service: &Service, entity: &Entity, mut checked: Checked, id: Option<i64>) -> Result<i64, Problem> {
    checked.errors.extend(service.dangling(entity, &checked.values)?);
    if !checked.errors.is_empty() {
        return Err(Problem::Invalid(checked.errors));
    }
    let mut values = checked.values;
    for field in entity.fields.iter().filter(|f| f.kind == FieldKind::Slug) {
        // Left empty, the address is made of the title.
        if values.get(&field.name).and_then(Value::as_str).is_none_or(str::is_empty) {
            let title = values.get(&entity.title_field).and_then(Value::as_str).unwrap_or_default();
            values.insert(field.name.clone(), slug(title).into());
        }
    }
    let verb = match id {
        Some(id) => {
            values.insert("id".to_owned(), id.into());
            "update"
        }
        None => "create",
    };
    let rows = service.run(&format!("{}_{verb}", entity.name), &values, Some(entity))?;
    let saved = rows.first().and_then(|r| r.get("id")).and_then(Value::as_i64);
    match (saved, id) {
        (Some(saved), _) => {
            let what = if id.is_some() { "updated" } else { "created" };
            service.tell(&format!("{}.{what}", entity.singular), &service.record(entity, saved)?)?;
            Ok(saved)
        }
        // Gone between being read and being written.
        (None, Some(_)) => Err(Problem::NotFound),
        (None, None) => Err(Problem::Broken(format!("{}_create returns no id", entity.name))),
    }
}

fn object(request: &Request) -> Result<Map<String, Value>, Problem> {
    if !request.has_type("application/json") {
        return Err(Problem::MediaType("application/json"));
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::Malformed("The body must be a JSON object.".to_owned())),
        Err(e) => Err(Problem::Malformed(format!("The body is not JSON: {e}."))),
    }
}

/// FTS5 expression for records that hold a word beginning with each word of `q`; none when `q` has no word.
fn match_words(q: &str) -> Option<String> {
    let words = q.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(SEARCH_WORDS_MAX);
    let quoted: Vec<String> = words.map(|w| format!("\"{w}\"*")).collect();
    if quoted.is_empty() { None } else { Some(quoted.join(" ")) }
}

fn seal_cursor(row: &Row) -> String {
    let at = json!([row.get("_key"), row.get("id")]);
    at.to_string().bytes().map(|b| format!("{b:02x}")).collect()
}

fn open_cursor(cursor: &str) -> Option<(Value, Value)> {
    if cursor.len() > 2048 || !cursor.len().is_multiple_of(2) || !cursor.is_ascii() {
        return None;
    }
    let octets: Option<Vec<u8>> =
        (0..cursor.len()).step_by(2).map(|i| u8::from_str_radix(&cursor[i..i + 2], 16).ok()).collect();
    match serde_json::from_slice(&octets?).ok()? {
        Value::Array(mut at) if at.len() == 2 && at[1].is_i64() => {
            let id = at.pop()?;
            Some((at.pop()?, id))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn search_words_are_quoted() {
        assert_eq!(match_words("ada love").as_deref(), Some("\"ada\"* \"love\"*"));
        assert_eq!(match_words("a\" OR *").as_deref(), Some("\"a\"* \"OR\"*"));
        assert_eq!(match_words(" -\"* "), None);
    }

    proptest! {
        #[test]
        fn no_cursor_panics(text in ".{0,40}") {
            _ = open_cursor(&text);
        }

        #[test]
        fn cursors_open_again(key in ".{0,40}", id in 0i64..) {
            let row = json!({"_key": key, "id": id});
            let sealed = seal_cursor(row.as_object().unwrap());
            prop_assert_eq!(open_cursor(&sealed), Some((key.into(), id.into())));
        }
    }
}

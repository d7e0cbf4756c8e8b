//! The HTML pages of a resource. Purpose: list, board, detail, form, over the bundle's SQL and views.
//! Invariants: pages work without script; what a form refuses is shown beside the field with the person's own input
//! kept; a sent form leads to another page, so that reloading repeats nothing.

use super::api::{Listing, listing, save};
use super::bundle::MenuEntry;
use super::database::{Parameters, Row};
use super::door::Role;
use super::exchange::{Request, Response, percent_encode};
use super::field::{self, Checked, show_money};
use super::service::{Problem, Service, id_parameter};
use super::token::{Tokens, hex};
use crate::pipeline::spec::{Entity, Field, FieldKind};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Field of a form with the print of the record that it showed.
const SEEN: &str = "_seen";

/// The same as long as nobody changes what a form shows of the record.
fn print_of(entity: &Entity, record: &Row) -> String {
    let shown: Vec<_> = entity.fields.iter().map(|f| record.get(&f.name)).collect();
    hex(&Sha256::digest(json!(shown).to_string()))
}

/// A page under construction: the context that every view gets.
pub(super) struct Draft<'a> {
    service: &'a Service,
    context: Map<String, Value>,
    new_cookie: Option<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(service: &'a Service, request: &Request) -> Self {
        let cookie = request.cookie(service.tokens.cookie_name()).filter(|c| Tokens::is_cookie(c)).map(str::to_owned);
        let new_cookie = if cookie.is_none() { Some(service.tokens.fresh()) } else { None };
        let token = service.tokens.token(cookie.as_ref().or(new_cookie.as_ref()).map_or("", String::as_str));
        let app = &service.bundle.app;
        let inside = |path: &str| {
            request.path == path
                || (path != "/" && request.path.starts_with(&format!("{}/", path.trim_end_matches('/'))))
        };
        let entries = |menu: &[MenuEntry]| -> Vec<Value> {
            menu.iter().map(|m| json!({ "path": m.path, "title": m.title, "current": inside(&m.path) })).collect()
        };
        // A database that does not answer is met by whatever the page is about.
        let user = service.account(request).ok().flatten();
        let nobody = app.access.is_some() && service.door.any(&service.database).is_ok_and(|any| !any);
        let searchable =
            app.resources.iter().find(|r| !r.search.is_empty()).map(|r| (service.page_path(&r.name), r.label.clone()));
        let mut context = Map::new();
        context.insert(
            "app".to_owned(),
            json!({ "title": app.title, "description": app.description, "menu": entries(&app.menu),
                    "public_menu": entries(&app.public_menu), "build": service.pages.build(),
                    "search_path": searchable.as_ref().map(|(path, _)| path),
                    "search_label": searchable.as_ref().map(|(_, label)| label.to_lowercase()),
                    "accounts": app.access.is_some(), "nobody": nobody, "path": request.path }),
        );
        let known = user.as_ref().map(|u| {
            json!({ "name": u.name, "role": u.role.word(), "staff": u.role >= Role::Staff,
                    "admin": u.role == Role::Admin })
        });
        context.insert("user".to_owned(), known.unwrap_or(Value::Null));
        context.insert("may_change".to_owned(), user.is_none_or(|u| u.role >= Role::Staff).into());
        context.insert("csrf".to_owned(), token.into());
        let done = request.query.get("did").map_or("", String::as_str);
        let notice = match done {
            "added" => "Added.",
            "saved" => "Saved.",
            "deleted" => "Deleted.",
            "sent" => "Thank you. It has been sent.",
            _ => "",
        };
        context.insert("notice".to_owned(), notice.into());
        Self { service, context, new_cookie }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.context.insert(name.to_owned(), value.into());
        self
    }

    fn resource(self, entity: &Entity) -> Self {
        let described = describe(self.service, entity);
        self.with("resource", described)
    }

    pub(super) fn render(self, status: u16, view: &str) -> Result<Response, Problem> {
        let html = self.service.pages.render(view, &self.context.into()).map_err(Problem::Broken)?;
        let mut response = Response::html(status, html);
        if let Some(cookie) = self.new_cookie {
            let name = self.service.tokens.cookie_name();
            // Strict would lose a visitor's basket on a link from elsewhere; the token does the rest.
            let site = if self.service.bundle.app.public_menu.is_empty() { "Strict" } else { "Lax" };
            response = response.with("set-cookie", format!("{name}={cookie}; Path=/; HttpOnly; SameSite={site}"));
        }
        Ok(response)
    }
}

pub(super) fn list(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    let text = |name: &str| request.query.get(name).map_or("", String::as_str);
    let q = text("q").trim();
    let total = count(service, entity)?;
    let draft = Draft::new(service, request).resource(entity).with("q", q).with("total", total);
    if entity.board.is_some() && q.is_empty() && text("view") != "list" {
        let rows = service.run(&format!("{}_board", entity.name), &Parameters::new(), Some(entity))?;
        let columns = service.run(&format!("{}_columns", entity.name), &Parameters::new(), Some(entity))?;
        return draft.with("rows", objects(rows)).with("columns", objects(columns)).render(200, "board");
    }
    let Listing { rows, next } = listing(service, entity, q, text("cursor"), service.bundle.app.limits.page_rows)?;
    let next = next.map(|cursor| {
        let path = service.page_path(&entity.name);
        format!("{path}?view=list&q={}&cursor={cursor}", percent_encode(q))
    });
    let draft = draft.with("rows", objects(rows)).with("next", next).with("paged", !text("cursor").is_empty());
    draft.render(200, &own_view(service, entity, "list"))
}

pub(super) fn detail(service: &Service, entity: &Entity, request: &Request, id: i64) -> Result<Response, Problem> {
    let record = service.record(entity, id)?;
    show(service, entity, request, &record, 200, "")
}

pub(super) fn new(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    form(service, entity, request, 200, None, &request.query, &BTreeMap::new(), "")
}

pub(super) fn edit(service: &Service, entity: &Entity, request: &Request, id: i64) -> Result<Response, Problem> {
    let record = service.record(entity, id)?;
    let fields = entity.fields.iter().map(|f| (f.name.clone(), input_text(f, record.get(&f.name))));
    let input = fields.chain([(SEEN.to_owned(), print_of(entity, &record))]).collect();
    form(service, entity, request, 200, Some(id), &input, &BTreeMap::new(), "")
}

pub(super) fn create(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    submit(service, entity, request, None)
}

pub(super) fn update(service: &Service, entity: &Entity, request: &Request, id: i64) -> Result<Response, Problem> {
    let record = service.record(entity, id)?;
    // What the form showed, where it said so, must still be what is there.
    let (now, mut input) = (print_of(entity, &record), request.form());
    let stale = input.get(SEEN).is_some_and(|seen| !seen.is_empty() && *seen != now);
    if stale && signed_form(service, request).is_ok() {
        input.insert(SEEN.to_owned(), now);
        let said = "It was changed while you had it open. Look at what is there now; saving again overwrites that.";
        return form(service, entity, request, 409, Some(id), &input, &BTreeMap::new(), said);
    }
    submit(service, entity, request, Some(id))
}

pub(super) fn delete(service: &Service, entity: &Entity, request: &Request, id: i64) -> Result<Response, Problem> {
    let record = service.record(entity, id)?;
    _ = signed_form(service, request)?;
    match service.run(&format!("{}_delete", entity.name), &id_parameter(id), Some(entity)) {
        Ok(_) => {
            service.tell(&format!("{}.deleted", entity.singular), &record)?;
            Ok(Response::see_other(format!("{}did=deleted", home(service, entity, &record))))
        }
        Err(Problem::Conflict(_, sentence)) => show(service, entity, request, &record, 409, &sentence),
        Err(other) => Err(other),
    }
}

/// A named action on one record, such as moving it to another column.
pub(super) fn act(
    service: &Service,
    entity: &Entity,
    request: &Request,
    id: i64,
    action: &str,
    fields: &[String],
    then: &str,
) -> Result<Response, Problem> {
    let submitted = signed_form(service, request)?;
    let record = service.record(entity, id)?;
    let wanted = entity.fields.iter().filter(|f| fields.contains(&f.name));
    let Checked { mut values, errors } = field::from_form(wanted, &submitted);
    if let Some(sentence) = errors.values().next() {
        return show(service, entity, request, &record, 422, sentence);
    }
    values.insert("id".to_owned(), id.into());
    match service.run(action, &values, Some(entity)) {
        Ok(_) => {
            service.tell(&format!("{}.updated", entity.singular), &service.record(entity, id)?)?;
            Ok(Response::see_other(then.replace("{id}", &id.to_string())))
        }
        Err(Problem::Conflict(_, sentence)) => show(service, entity, request, &record, 409, &sentence),
        Err(other) => Err(other),
    }
}

/// The page that says what went wrong.
pub(super) fn problem(service: &Service, request: &Request, status: u16, message: &str) -> Response {
    let draft = Draft::new(service, request).with("status", status).with("message", message);
    draft.render(status, "problem").unwrap_or_else(|_| {
        // The view itself is broken; the message is ours and holds no markup.
        Response::html(status, format!("<!doctype html><title>{status}</title><p>{message}"))
    })
}

fn submit(service: &Service, entity: &Entity, request: &Request, id: Option<i64>) -> Result<Response, Problem> {
    let submitted = match signed_form(service, request) {
        Ok(submitted) => submitted,
        // Typed text is worth more than the rule that refused it: show it again, with a fresh token.
        Err(Problem::Forged) if request.header("sec-fetch-site") != "cross-site" => {
            let input = request.form();
            let message = Problem::Forged.message();
            return form(service, entity, request, 403, id, &input, &BTreeMap::new(), &message);
        }
        Err(other) => return Err(other),
    };
    let checked = field::from_form(entity.fields.iter(), &submitted);
    match save(service, entity, checked, id) {
        Ok(saved) if entity.within.is_some() => {
            let record = service.record(entity, saved)?;
            let did = if id.is_some() { "saved" } else { "added" };
            Ok(Response::see_other(format!("{}did={did}", home(service, entity, &record))))
        }
        Ok(saved) => {
            let did = if id.is_some() { "saved" } else { "added" };
            Ok(Response::see_other(format!("{}/{saved}?did={did}", service.page_path(&entity.name))))
        }
        Err(Problem::Invalid(errors)) => form(service, entity, request, 422, id, &submitted, &errors, ""),
        Err(Problem::Conflict(field, sentence)) if !field.is_empty() => {
            form(service, entity, request, 409, id, &submitted, &BTreeMap::from([(field, sentence)]), "")
        }
        Err(Problem::Conflict(_, sentence)) => {
            form(service, entity, request, 409, id, &submitted, &BTreeMap::new(), &sentence)
        }
        Err(other) => Err(other),
    }
}

/// The submitted form, if it is one and was shown by this process.
pub(super) fn signed_form(service: &Service, request: &Request) -> Result<BTreeMap<String, String>, Problem> {
    if !request.has_type("application/x-www-form-urlencoded") {
        return Err(Problem::MediaType("application/x-www-form-urlencoded"));
    }
    let form = request.form();
    let cookie = request.cookie(service.tokens.cookie_name());
    if service.tokens.accepts(cookie, form.get("csrf").map(String::as_str)) { Ok(form) } else { Err(Problem::Forged) }
}

/// The detail page, with the records that belong to this one.
fn show(
    service: &Service,
    entity: &Entity,
    request: &Request,
    record: &Row,
    status: u16,
    warning: &str,
) -> Result<Response, Problem> {
    let id = record.get("id").and_then(Value::as_i64).unwrap_or_default();
    let mut children = Vec::new();
    for (child, by) in service.bundle.app.children(&entity.name) {
        let parameters = Parameters::from([("parent".to_owned(), id.into())]);
        let rows = service.run(&format!("{}_by_{by}", child.name), &parameters, Some(child))?;
        // Only records that live within this one are composed on its page.
        let inputs = if child.within.as_deref() == Some(by) {
            // The parent is this record; no list of others to choose from.
            let others = child.fields.iter().filter(|f| f.name != by);
            inputs(service, others, &BTreeMap::new(), &BTreeMap::new())?
        } else {
            Vec::new()
        };
        children.push(json!({ "resource": describe(service, child), "by": by, "rows": rows, "inputs": inputs }));
    }
    Draft::new(service, request)
        .resource(entity)
        .with("record", record.clone())
        .with("children", children)
        .with("warning", warning)
        .render(status, &own_view(service, entity, "detail"))
}

#[expect(clippy::too_many_arguments, reason = "a form is its input and what is to be said about it")]
fn form(
    service: &Service,
    entity: &Entity,
    request: &Request,
    status: u16,
    id: Option<i64>,
    input: &BTreeMap<String, String>,
    errors: &BTreeMap<String, String>,
    warning: &str,
) -> Result<Response, Problem> {
    Draft::new(service, request)
        .resource(entity)
        .with("inputs", inputs(service, entity.fields.iter(), input, errors)?)
        .with("errors", errors.len())
        .with("warning", warning)
        .with("id", id)
        .with("seen", input.get(SEEN).filter(|_| id.is_some()).cloned())
        .render(status, &own_view(service, entity, "form"))
}

/// What a form shows for each field.
pub(super) fn inputs<'a>(
    service: &Service,
    fields: impl Iterator<Item = &'a Field>,
    input: &BTreeMap<String, String>,
    errors: &BTreeMap<String, String>,
) -> Result<Vec<Value>, Problem> {
    let mut inputs = Vec::new();
    for field in fields {
        let value = input.get(&field.name).cloned().unwrap_or_default();
        let options = match (field.kind, &field.references) {
            (FieldKind::Choice, _) => {
                field.choices.iter().map(|c| json!({ "value": c.value, "label": c.label })).collect()
            }
            (FieldKind::Reference, Some(target)) => {
                let rows = service.run(&format!("{target}_options"), &Parameters::new(), None)?;
                let option = |r: &Row| json!({ "value": r["id"].to_string(), "label": r["label"] });
                rows.iter().filter(|r| r.contains_key("id") && r.contains_key("label")).map(option).collect()
            }
            _ => Vec::new(),
        };
        let mut described = describe_field(service, field);
        described["value"] = value.into();
        described["error"] = errors.get(&field.name).cloned().unwrap_or_default().into();
        described["options"] = options.into();
        inputs.push(described);
    }
    Ok(inputs)
}

fn count(service: &Service, entity: &Entity) -> Result<Value, Problem> {
    let rows = service.run(&format!("{}_count", entity.name), &Parameters::new(), Some(entity))?;
    Ok(rows.first().and_then(|r| r.values().next()).cloned().unwrap_or(Value::Null))
}

/// Where one goes after a record of `entity` is gone: its parent's page, or its list. Ends with `?` or `&`.
fn home(service: &Service, entity: &Entity, record: &Row) -> String {
    let parent = entity.within.as_deref().and_then(|by| {
        let target = entity.field(by)?.references.as_deref()?;
        Some(format!("{}/{}?", service.page_path(target), record.get(by)?.as_i64()?))
    });
    parent.unwrap_or_else(|| format!("{}?", service.page_path(&entity.name)))
}

/// `{resource}_{view}` when the bundle has one, else the common `{view}`.
fn own_view(service: &Service, entity: &Entity, view: &str) -> String {
    let own = format!("{}_{view}", entity.name);
    if service.pages.has(&own) { own } else { view.to_owned() }
}

/// What views may know about a resource; every key is always there.
pub(super) fn describe(service: &Service, entity: &Entity) -> Value {
    json!({
        "name": entity.name,
        "singular": entity.singular,
        "label": entity.label,
        "label_one": entity.label_one,
        "title_field": entity.title_field,
        "searchable": !entity.search.is_empty(),
        "importable": service.pages.has("import") && entity.within.is_none(),
        "board": entity.board,
        "within": entity.within,
        "path": service.page_path(&entity.name),
        "fields": entity.fields.iter().map(|f| describe_field(service, f)).collect::<Vec<_>>(),
    })
}

fn describe_field(service: &Service, field: &Field) -> Value {
    json!({
        "name": field.name,
        "label": field.label,
        "kind": field.kind,
        "required": field.required,
        "list": field.list,
        "chars_max": field.chars_max,
        "hint": field.hint,
        "autocomplete": field.autocomplete,
        "references": field.references,
        "title_key": field.references.as_ref().map(|_| title_key(&field.name)),
        "references_path": field.references.as_deref().map(|t| service.page_path(t)),
        "choices": field.choices.iter().map(|c| json!({ "value": c.value, "label": c.label, "closed": c.closed }))
            .collect::<Vec<_>>(),
    })
}

/// Column that holds the title of the record that the reference `field` points to: `contact_id` → `contact_title`.
pub(super) fn title_key(field: &str) -> String {
    format!("{}_title", field.strip_suffix("_id").unwrap_or(field))
}

/// A stored value as a form shows it.
fn input_text(field: &Field, value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) if field.kind == FieldKind::Money => show_money(n.as_i64().unwrap_or_default()),
        Some(Value::Number(n)) => n.to_string(),
        _ => String::new(),
    }
}

pub(super) fn objects(rows: Vec<Row>) -> Vec<Value> {
    rows.into_iter().map(Value::Object).collect()
}

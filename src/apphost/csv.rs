//! Records as CSV (RFC 4180), out and in. Invariants: a cell that a spreadsheet would run is made harmless; an import is
//! checked whole before its first row is stored; at most [`ROWS_MAX`] rows at once.

use super::api::{listing, save};
#[cfg(test)]
use super::database::Row;
use super::exchange::{Request, Response};
use super::field::{self, Checked};
use super::page::{Draft, describe, signed_form};
use super::service::{Problem, Service};
use crate::pipeline::spec::{Entity, Field, FieldKind};
use serde_json::Value;
use std::collections::BTreeMap;

/// Rows of one import.
const ROWS_MAX: usize = 2_000;
/// Octets of one export.
const EXPORT_MAX: usize = 16 << 20;
/// Faults that are named.
const FAULTS_MAX: usize = 8;

/// All records (or those that `q` finds) as CSV.
pub(super) fn export(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    let q = request.query.get("q").map_or("", String::as_str);
    let mut head: Vec<String> = vec!["id".to_owned()];
    head.extend(entity.fields.iter().map(|f| f.name.clone()));
    head.extend(["created_at".to_owned(), "updated_at".to_owned()]);
    let mut csv = head.join(",") + "\r\n";
    let mut cursor = String::new();
    loop {
        let page = listing(service, entity, q, &cursor, service.bundle.app.limits.rows - 1)?;
        for row in &page.rows {
            let cells: Vec<String> = head.iter().map(|name| cell(entity.field(name), row.get(name))).collect();
            csv += &(cells.join(",") + "\r\n");
        }
        if csv.len() > EXPORT_MAX {
            return Err(Problem::Malformed(format!(
                "These are more than {} MB. Search for fewer, or read /api/{} page by page.",
                EXPORT_MAX >> 20,
                entity.name
            )));
        }
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    let name = format!("attachment; filename=\"{}.csv\"", entity.name);
    Ok(Response::file("text/csv; charset=utf-8", csv.into_bytes()).with("content-disposition", name))
}

fn cell(field: Option<&Field>, value: Option<&Value>) -> String {
    let text = match (value, field.map(|f| f.kind)) {
        (Some(Value::Number(n)), Some(FieldKind::Money)) => {
            let cents = n.as_i64().unwrap_or_default();
            format!("{}.{:02}", cents / 100, cents % 100)
        }
        (Some(Value::String(text)), _) => text.clone(),
        (Some(Value::Null) | None, _) => String::new(),
        (Some(other), _) => other.to_string(),
    };
    // Spreadsheets run cells that look like formulas; a telephone number is none.
    let starts_badly = text.starts_with(['=', '@', '\t', '\r'])
        || (text.starts_with(['+', '-']) && !text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c)));
    let text = if starts_badly { format!("'{text}") } else { text };
    if text.contains(['"', ',', ';', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The page that takes an import.
pub(super) fn form(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    show(service, entity, request, 200, "", &[], "")
}

fn show(
    service: &Service,
    entity: &Entity,
    request: &Request,
    status: u16,
    said: &str,
    faults: &[String],
    text: &str,
) -> Result<Response, Problem> {
    if !service.pages.has("import") {
        return Err(Problem::NotFound);
    }
    Draft::new(service, request)
        .with("resource", describe(service, entity))
        .with("said", said)
        .with("faults", faults.to_vec())
        .with("csv", text)
        .render(status, "import")
}

/// Stores the rows of a submitted CSV, or says what is wrong with which.
pub(super) fn import(service: &Service, entity: &Entity, request: &Request) -> Result<Response, Problem> {
    let submitted = signed_form(service, request)?;
    let text = submitted.get("csv").map_or("", String::as_str);
    let refused = |faults: &[String]| show(service, entity, request, 422, "Nothing was stored.", faults, text);
    let mut rows = parse(text).into_iter();
    let head: Vec<Option<&Field>> = match rows.next() {
        Some(names) => names.iter().map(|name| column(entity, name)).collect(),
        None => return refused(&["The first line holds the names of the columns.".to_owned()]),
    };
    if head.iter().all(Option::is_none) {
        let known: Vec<_> = entity.fields.iter().map(|f| f.name.as_str()).collect();
        return refused(&[format!("No column is called {}.", known.join(", "))]);
    }
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.len() > ROWS_MAX {
        return refused(&[format!("{} rows are too many at once; {ROWS_MAX} are fine.", rows.len())]);
    }
    let mut faults = Vec::new();
    let mut ready = Vec::new();
    for (number, cells) in rows.into_iter().enumerate() {
        let named = head.iter().zip(cells).filter_map(|(f, cell)| Some(((*f)?.name.clone(), cell.trim().to_owned())));
        let Checked { values, mut errors } = field::from_form(entity.fields.iter(), &named.collect());
        errors.extend(service.dangling(entity, &values)?);
        for sentence in errors.values() {
            faults.push(format!("Row {}: {sentence}", number + 2));
        }
        ready.push(values);
    }
    if !faults.is_empty() {
        let more = faults.len().saturating_sub(FAULTS_MAX);
        faults.truncate(FAULTS_MAX);
        if more > 0 {
            faults.push(format!("And {more} more."));
        }
        return refused(&faults);
    }
    // One commit for all: each of its own would keep everybody else waiting for the disk.
    let kept = service.database.together(|| {
        let (mut stored, mut faults) = (0, Vec::new());
        for (number, values) in ready.into_iter().enumerate() {
            match save(service, entity, Checked { values, errors: BTreeMap::new() }, None) {
                Ok(_) => stored += 1,
                Err(Problem::Conflict(_, said)) => faults.push(format!("Row {} was left out: {said}", number + 2)),
                Err(other) => return (Err(other), false),
            }
        }
        (Ok((stored, faults)), true)
    });
    let (stored, mut faults): (usize, Vec<String>) = kept.map_err(|e| Problem::from_database(e, None))??;
    faults.truncate(FAULTS_MAX);
    let said = format!("{stored} {} stored.", if stored == 1 { "row was" } else { "rows were" });
    show(service, entity, request, 200, &said, &faults, "")
}

fn column<'a>(entity: &'a Entity, name: &str) -> Option<&'a Field> {
    let name = name.trim().trim_start_matches('\u{feff}');
    entity.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name) || f.label.eq_ignore_ascii_case(name))
}

/// Rows of cells; empty lines are left out.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            (true, '"') => quoted = false,
            (true, c) => cell.push(c),
            (false, '"') if cell.is_empty() => quoted = true,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\r') => {}
            (false, '\n') => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (false, c) => cell.push(c),
        }
    }
    row.push(cell);
    rows.push(row);
    rows.retain(|r| r.iter().any(|c| !c.trim().is_empty()));
    rows
}

/// A row as a line, for tests of the round trip.
#[cfg(test)]
fn line(row: &Row) -> String {
    row.values().map(|v| cell(None, Some(v))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cells in proptest::collection::vec("[a-z,\"\n ]{1,12}x", 1..5)) {
            let row: Row = cells.iter().enumerate().map(|(i, c)| (i.to_string(), c.clone().into())).collect();
            prop_assert_eq!(parse(&line(&row)), vec![cells]);
        }
    }

    #[test]
    fn a_file_of_a_spreadsheet_is_read() {
        assert_eq!(
            parse("name,city\r\n\"Ada, Countess\",\"a \"\"b\"\"\"\r\n\r\n"),
            [["name", "city"], ["Ada, Countess", "a \"b\""]]
        );
    }
}

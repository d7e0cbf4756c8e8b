//! SQL of any app: one migration per entity, the actions that every entity has. Pure text out of the spec.
//! Invariants: rules that the forms check are also rules of the schema, each with a name that can be shown to people;
//! nothing of a request is ever pasted into SQL (named parameters only).

use crate::apphost::field::{DECIMAL_MAX, MONEY_MAX, NUMBER_MAX};
use crate::pipeline::spec::{Entity, Field, FieldKind, OnDelete, Spec};
use std::collections::BTreeMap;

/// Milliseconds matter to whoever sorts by time.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// The migration that makes the table of `entity`, with its rules, indexes, search and triggers.
pub(super) fn schema(entity: &Entity) -> String {
    let table = &entity.name;
    let mut lines = vec!["id INTEGER PRIMARY KEY AUTOINCREMENT".to_owned()];
    lines.extend(entity.fields.iter().map(|f| column(entity, f)));
    if closed(entity).is_some() {
        lines.push("closed_at TEXT".to_owned());
    }
    lines.push(format!("created_at TEXT NOT NULL DEFAULT ({NOW})"));
    lines.push(format!("updated_at TEXT NOT NULL DEFAULT ({NOW})"));
    lines.extend(entity.fields.iter().flat_map(rules));
    let mut sql = format!("-- {}.\nCREATE TABLE {table} (\n    {}\n) STRICT;\n", entity.label, lines.join(",\n    "));
    for f in &entity.fields {
        let name = &f.name;
        if f.unique {
            sql += &format!("\nCREATE UNIQUE INDEX {table}_{name} ON {table} ({name}) WHERE {name} <> '';\n");
        } else if f.kind == FieldKind::Reference || entity.board.as_ref() == Some(name) {
            sql += &format!("\nCREATE INDEX {table}_{name} ON {table} ({name});\n");
        }
    }
    if !newest_first(entity) {
        let title = &entity.title_field;
        sql += &format!("\nCREATE INDEX {table}_{title} ON {table} ({title}, id);\n");
    }
    sql += &touch(entity);
    sql += &close(entity);
    sql += &search(entity);
    sql
}

fn column(entity: &Entity, f: &Field) -> String {
    let name = &f.name;
    let needed = if f.required { " NOT NULL" } else { "" };
    match f.kind {
        FieldKind::Money => format!("{name} INTEGER NOT NULL DEFAULT 0"),
        FieldKind::Date => format!("{name} TEXT{needed}"),
        FieldKind::Reference => {
            let target = f.references.as_deref().unwrap_or_default();
            let then = match f.on_delete {
                Some(OnDelete::Cascade) => "CASCADE",
                Some(OnDelete::Restrict) | None => "RESTRICT",
            };
            format!("{name} INTEGER{needed} REFERENCES {target} (id) ON DELETE {then}")
        }
        FieldKind::Choice => {
            let first = f.choices.first().map_or("", |c| c.value.as_str());
            format!("{name} TEXT NOT NULL DEFAULT '{first}'")
        }
        FieldKind::Number => format!("{name} INTEGER NOT NULL DEFAULT 0"),
        FieldKind::Decimal => format!("{name} REAL NOT NULL DEFAULT 0"),
        FieldKind::Slug => format!("{name} TEXT NOT NULL COLLATE NOCASE"),
        FieldKind::Email | FieldKind::LongText | FieldKind::Phone | FieldKind::Text => {
            let default = if f.required { "" } else { " DEFAULT ''" };
            let folded = f.unique || (*name == entity.title_field && !newest_first(entity));
            format!("{name} TEXT NOT NULL{default}{}", if folded { " COLLATE NOCASE" } else { "" })
        }
    }
}

/// Named rules: their names, with spaces, are what people read.
fn rules(f: &Field) -> Vec<String> {
    let name = &f.name;
    let rule = |what: &str, check: String| format!("CONSTRAINT {name}_{what} CHECK ({check})");
    let mut rules = Vec::new();
    let is_text = matches!(f.kind, FieldKind::Email | FieldKind::LongText | FieldKind::Phone | FieldKind::Text);
    if is_text && f.required {
        rules.push(rule("is_needed", format!("trim({name}) <> ''")));
    }
    if f.chars_max > 0 {
        rules.push(rule("is_too_long", format!("length({name}) <= {}", f.chars_max)));
    }
    match f.kind {
        FieldKind::Email => {
            rules.push(rule("is_no_address", format!("{name} = '' OR {name} LIKE '%_@_%._%'")));
        }
        FieldKind::Phone => {
            rules.push(rule("is_no_number", format!("{name} = '' OR {name} GLOB '*[0-9]*[0-9]*[0-9]*'")));
        }
        FieldKind::Money => {
            rules.push(rule("is_out_of_range", format!("{name} BETWEEN 0 AND {MONEY_MAX}")));
        }
        FieldKind::Date => {
            rules.push(rule("is_no_day", format!("{name} IS NULL OR {name} IS date({name})")));
        }
        FieldKind::Choice => {
            let values: Vec<_> = f.choices.iter().map(|c| format!("'{}'", c.value)).collect();
            rules.push(rule("is_unknown", format!("{name} IN ({})", values.join(", "))));
        }
        FieldKind::Number => rules.push(rule("is_out_of_range", format!("{name} BETWEEN 0 AND {NUMBER_MAX}"))),
        FieldKind::Decimal => rules.push(rule("is_out_of_range", format!("abs({name}) <= {DECIMAL_MAX:e}"))),
        FieldKind::Slug => {
            rules.push(rule("is_no_address", format!("{name} <> '' AND {name} NOT GLOB '*[^a-z0-9-]*'")));
        }
        FieldKind::LongText | FieldKind::Reference | FieldKind::Text => {}
    }
    rules
}

/// Keeps `updated_at`.
fn touch(entity: &Entity) -> String {
    let (table, names) = (&entity.name, field_names(entity, ""));
    format!(
        "\nCREATE TRIGGER {table}_touched AFTER UPDATE OF {names} ON {table}\nBEGIN\n    UPDATE {table} SET updated_at = \
         {NOW} WHERE id = NEW.id;\nEND;\n"
    )
}

/// Keeps `closed_at`: set when the record reaches a closed column, emptied when it is opened again.
fn close(entity: &Entity) -> String {
    let Some((board, values)) = closed(entity) else { return String::new() };
    let table = &entity.name;
    let body = format!(
        "BEGIN\n    UPDATE {table}\n    SET closed_at = CASE WHEN NEW.{board} IN ({values}) THEN coalesce(closed_at, {NOW}) \
         END\n    WHERE id = NEW.id;\nEND;\n"
    );
    format!(
        "\nCREATE TRIGGER {table}_begun AFTER INSERT ON {table}\n{body}\nCREATE TRIGGER {table}_moved AFTER UPDATE OF \
         {board} ON {table}\n{body}"
    )
}

/// Full-text search beside the table (FTS5 with external content), kept by triggers.
fn search(entity: &Entity) -> String {
    if entity.search.is_empty() {
        return String::new();
    }
    let table = &entity.name;
    let names = entity.search.join(", ");
    let of = |row: &str| entity.search.iter().map(|n| format!("{row}.{n}")).collect::<Vec<_>>().join(", ");
    let put = format!("    INSERT INTO {table}_fts (rowid, {names}) VALUES (NEW.id, {});\n", of("NEW"));
    let take = format!(
        "    INSERT INTO {table}_fts ({table}_fts, rowid, {names}) VALUES ('delete', OLD.id, {});\n",
        of("OLD")
    );
    format!(
        "\nCREATE VIRTUAL TABLE {table}_fts USING fts5 (\n    {names}, content = '{table}', content_rowid = 'id',\n    \
         tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'\n);\n\nCREATE TRIGGER {table}_found AFTER INSERT ON \
         {table}\nBEGIN\n{put}END;\n\nCREATE TRIGGER {table}_found_anew AFTER UPDATE OF {names} ON \
         {table}\nBEGIN\n{take}{put}END;\n\nCREATE TRIGGER {table}_lost AFTER DELETE ON {table}\nBEGIN\n{take}END;\n"
    )
}

/// Actions by name.
pub(super) type Actions = BTreeMap<String, String>;

/// Writes one action, with a line that says what it does.
pub(super) fn put(actions: &mut Actions, name: &str, says: &str, sql: &str) {
    actions.insert(name.to_owned(), format!("-- {says}\n{sql};\n"));
}

/// The actions of all entities, and the counts of `GET /api/summary`.
pub(super) fn actions(spec: &Spec) -> Actions {
    let mut actions = Actions::new();
    let mut add = |name: String, says: &str, sql: String| put(&mut actions, &name, says, &sql);
    for entity in &spec.entities {
        let (table, one) = (&entity.name, entity.label_one.to_lowercase());
        let select = select(spec, entity);
        let (after, order) = if newest_first(entity) {
            ("(:after_id IS NULL OR t.id < :after_id)".to_owned(), "t.id DESC".to_owned())
        } else {
            let title = &entity.title_field;
            (format!("(:after_id IS NULL OR (t.{title}, t.id) > (:after_key, :after_id))"), format!("t.{title}, t.id"))
        };
        let tail = format!("ORDER BY {order}\nLIMIT :limit");
        add(
            format!("{table}_list"),
            &format!("A page of {table}, in order, after a given one."),
            format!("{select}\nWHERE {after}\n{tail}"),
        );
        if !entity.search.is_empty() {
            add(
                format!("{table}_search"),
                &format!("A page of the {table} that match."),
                format!(
                    "{select}\nJOIN {table}_fts ON {table}_fts.rowid = t.id\nWHERE {table}_fts MATCH :match AND {after}\n{tail}"
                ),
            );
        }
        add(format!("{table}_count"), &format!("How many {table}."), format!("SELECT count(*) AS n FROM {table}"));
        add(format!("{table}_get"), &format!("One {one}."), without_key(&format!("{select}\nWHERE t.id = :id")));
        add(
            format!("{table}_create"),
            &format!("A new {one}."),
            format!(
                "INSERT INTO {table} ({})\nVALUES ({})\nRETURNING id",
                field_names(entity, ""),
                field_names(entity, ":")
            ),
        );
        let set: Vec<_> = entity.fields.iter().map(|f| format!("{0} = :{0}", f.name)).collect();
        add(
            format!("{table}_update"),
            &format!("New values of one {one}."),
            format!("UPDATE {table}\nSET {}\nWHERE id = :id\nRETURNING id", set.join(", ")),
        );
        add(
            format!("{table}_delete"),
            &format!("Away with one {one}."),
            format!("DELETE FROM {table} WHERE id = :id RETURNING id"),
        );
        for f in entity.fields.iter().filter(|f| f.kind == FieldKind::Reference) {
            add(
                format!("{table}_by_{}", f.name),
                &format!("The {table} of one {}.", f.label.to_lowercase()),
                without_key(&format!("{select}\nWHERE t.{} = :parent\nORDER BY t.id DESC\nLIMIT 200", f.name)),
            );
        }
        let referred = spec.entities.iter().flat_map(|e| &e.fields).any(|f| f.references.as_ref() == Some(table));
        if referred {
            let (title, second) = (&entity.title_field, second_text(entity));
            let label = second.map_or_else(
                || title.clone(),
                |s| format!("{title} || CASE WHEN {s} <> '' THEN ' · ' || {s} ELSE '' END"),
            );
            add(
                format!("{table}_options"),
                &format!("What a form offers where it asks for a {one}."),
                format!("SELECT id, {label} AS label FROM {table} ORDER BY {title}, id LIMIT 1000"),
            );
        }
        if let Some(board) = &entity.board {
            board_actions(&mut add, entity, board, &select);
        }
    }
    let sums: Vec<_> = spec.entities.iter().map(|e| format!("(SELECT count(*) FROM {0}) AS {0}", e.name)).collect();
    add("summary".to_owned(), "How many records of each kind.", format!("SELECT\n    {}", sums.join(",\n    ")));
    actions
}

fn board_actions(add: &mut impl FnMut(String, &str, String), entity: &Entity, board: &str, select: &str) {
    let table = &entity.name;
    add(
        format!("{table}_board"),
        "What the board shows: all that is open, and what was closed in the last 90 days.",
        without_key(&format!(
            "{select}\nWHERE t.closed_at IS NULL OR t.closed_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 \
             days')\nORDER BY t.updated_at DESC, t.id DESC\nLIMIT 500"
        )),
    );
    let Some(choices) = entity.field(board).map(|f| &f.choices) else { return };
    let rows: Vec<_> = choices
        .iter()
        .enumerate()
        .map(|(i, c)| format!("({i}, '{}', '{}')", c.value, c.label.replace('\'', "''")))
        .collect();
    let money = entity.fields.iter().find(|f| f.kind == FieldKind::Money);
    let sum = money.map_or_else(|| "0".to_owned(), |m| format!("coalesce(sum(t.{}), 0)", m.name));
    add(
        format!("{table}_columns"),
        "Each column of the board with its count and sum.",
        format!(
            "WITH columns (position, value, label) AS (\n    VALUES {}\n)\nSELECT columns.value, columns.label, \
             count(t.id) AS n, {sum} AS total_cents\nFROM columns LEFT JOIN {table} t ON t.{board} = \
             columns.value\nGROUP BY columns.position\nORDER BY columns.position",
            rows.join(", ")
        ),
    );
    add(
        format!("{table}_move"),
        "To another column.",
        format!("UPDATE {table} SET {board} = :{board} WHERE id = :id RETURNING id"),
    );
}

/// All columns of a record, the titles of what it refers to, and the key that lists are ordered by.
fn select(spec: &Spec, entity: &Entity) -> String {
    let mut columns = vec!["t.id".to_owned()];
    let mut joins = String::new();
    for f in &entity.fields {
        columns.push(format!("t.{}", f.name));
        if let Some(target) = f.references.as_deref().and_then(|name| spec.entity(name)) {
            let stem = f.name.strip_suffix("_id").unwrap_or(&f.name);
            // An order is a word of SQL.
            let row = if stem == "order" { "order_row" } else { stem };
            columns.push(format!("{row}.{} AS {stem}_title", target.title_field));
            joins += &format!("\nLEFT JOIN {} {row} ON {row}.id = t.{}", target.name, f.name);
        }
    }
    if closed(entity).is_some() {
        columns.push("t.closed_at".to_owned());
    }
    columns.extend(["t.created_at".to_owned(), "t.updated_at".to_owned()]);
    let key = if newest_first(entity) { "t.id" } else { &format!("t.{}", entity.title_field) };
    format!("SELECT {}, {key} AS _key\nFROM {} t{joins}", columns.join(", "), entity.name)
}

/// Without the cursor's column, which only paged lists have.
fn without_key(sql: &str) -> String {
    match (sql.find(" AS _key"), sql.find(", t.updated_at, ")) {
        (Some(end), Some(start)) => {
            format!("{}{}", &sql[..start + ", t.updated_at".len()], &sql[end + " AS _key".len()..])
        }
        _ => sql.to_owned(),
    }
}

fn field_names(entity: &Entity, prefix: &str) -> String {
    entity.fields.iter().map(|f| format!("{prefix}{}", f.name)).collect::<Vec<_>>().join(", ")
}

/// The board's field and its closed values as an SQL list.
fn closed(entity: &Entity) -> Option<(&str, String)> {
    let board = entity.board.as_deref()?;
    let values: Vec<_> =
        entity.field(board)?.choices.iter().filter(|c| c.closed).map(|c| format!("'{}'", c.value)).collect();
    (!values.is_empty()).then(|| (board, values.join(", ")))
}

/// Work is listed by age, people and things by name.
fn newest_first(entity: &Entity) -> bool {
    entity.board.is_some() || entity.within.is_some()
}

fn second_text(entity: &Entity) -> Option<&str> {
    let is_it = |f: &&Field| f.kind == FieldKind::Text && f.name != entity.title_field;
    entity.fields.iter().find(is_it).map(|f| f.name.as_str())
}

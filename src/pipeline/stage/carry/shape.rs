//! The shape of a table as the kernels write it, so that two can be compared. Purpose: what must be run for one to become the
//! other, where nothing of the data can get lost or be refused: columns that may be empty, indexes, triggers, what is searched.
//! Pure. Invariant: SQL of any other form has no shape, and is then left to a person.

use std::collections::BTreeMap;

/// A table and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    table: String,
    /// Definitions by column.
    columns: BTreeMap<String, String>,
    /// Named rules: their names begin with the column's.
    rules: BTreeMap<String, String>,
    /// Indexes, triggers, the search table: statements by what they make, in the order of making.
    objects: Vec<(String, String)>,
}

/// What a statement makes: `TRIGGER contacts_touched`.
fn made(statement: &str) -> Option<String> {
    let rest = statement.strip_prefix("CREATE ")?;
    let rest = rest.strip_prefix("UNIQUE ").or_else(|| rest.strip_prefix("VIRTUAL ")).unwrap_or(rest);
    let mut words = rest.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

impl Shape {
    /// The shape after this migration, whose statements have blank lines between them; `None`: it is of another form.
    pub(super) fn after(mut self, sql: &str) -> Option<Self> {
        for statement in sql.split("\n\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            let lines = statement.lines().skip_while(|line| line.starts_with("--"));
            let statement = lines.collect::<Vec<_>>().join("\n");
            if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
                let (table, rest) = rest.split_once(" (\n")?;
                let body = rest.strip_suffix("\n) STRICT;")?;
                if !self.table.is_empty() {
                    return None;
                }
                self.table = table.to_owned();
                for line in body.split(",\n") {
                    self.add(line)?;
                }
            } else if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
                let (table, rest) = rest.split_once(" ADD COLUMN ")?;
                if table != self.table {
                    return None;
                }
                rest.strip_suffix(';')?.lines().try_for_each(|line| self.add(line))?;
            } else if let Some(what) = statement.strip_prefix("DROP ") {
                let what = what.strip_suffix(';')?;
                self.objects.retain(|(made, _)| made != what);
            } else if let Some(what) = made(&statement) {
                self.objects.push((what, statement));
            } else if !statement.starts_with("INSERT INTO ") {
                return None;
            }
        }
        (!self.table.is_empty()).then_some(self)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let line = line.trim();
        let of = if line.starts_with("CONSTRAINT ") { &mut self.rules } else { &mut self.columns };
        let name = line.strip_prefix("CONSTRAINT ").unwrap_or(line).split_whitespace().next()?;
        // Two of one name: it is not read as it is meant.
        of.insert(name.to_owned(), line.to_owned()).is_none().then_some(())
    }

    /// What makes this shape `wanted`; `None`: that would change or refuse what is there. Empty: they are the same.
    pub(super) fn growth(&self, wanted: &Self) -> Option<String> {
        let kept = |own: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            own.iter().all(|(name, definition)| other.get(name) == Some(definition))
        };
        if self.table != wanted.table || !kept(&self.columns, &wanted.columns) || !kept(&self.rules, &wanted.rules) {
            return None;
        }
        let mut statements = Vec::new();
        let mut rules: Vec<(&String, &String)> =
            wanted.rules.iter().filter(|(name, _)| !self.rules.contains_key(*name)).collect();
        for (name, definition) in wanted.columns.iter().filter(|(name, _)| !self.columns.contains_key(*name)) {
            // Rows that are there get the default, so there has to be one, and no expression (SQLite, ALTER TABLE).
            let needed = definition.contains(" NOT NULL");
            if needed && !definition.contains(" DEFAULT ") || definition.contains(" DEFAULT (") {
                return None;
            }
            let mut statement = format!("ALTER TABLE {} ADD COLUMN {definition}", self.table);
            let longer = |rule: &str| wanted.columns.keys().any(|c| c.len() > name.len() && belongs(rule, c));
            rules.retain(|(rule, text)| {
                let own = belongs(rule, name) && !longer(rule);
                if own {
                    statement += &format!("\n    {text}");
                }
                !own
            });
            statements.push(statement + ";");
        }
        // A new rule over a column that is there might refuse what it holds.
        if !rules.is_empty() {
            return None;
        }
        let find =
            |of: &Self, what: &str| of.objects.iter().find(|(made, _)| made == what).map(|(_, text)| text.clone());
        let drops = |what: &str| find(wanted, what) != find(self, what);
        // The last made goes first: a trigger before the table that it writes.
        for (what, _) in self.objects.iter().rev().filter(|(what, _)| drops(what)) {
            statements.push(format!("DROP {what};"));
        }
        for (what, text) in wanted.objects.iter().filter(|(what, _)| drops(what)) {
            statements.push(text.clone());
            if let Some(search) = what.strip_prefix("TABLE ") {
                statements.push(format!("INSERT INTO {search} ({search}) VALUES ('rebuild');"));
            }
        }
        let mut sql = statements.join("\n\n");
        if !sql.is_empty() {
            sql = format!("-- {} grow.\n{sql}\n", self.table);
        }
        Some(sql)
    }
}

fn belongs(rule: &str, column: &str) -> bool {
    rule.strip_prefix(column).is_some_and(|rest| rest.starts_with("_is_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "-- Contacts.
CREATE TABLE contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y', 'now')),
    CONSTRAINT name_is_too_long CHECK (length(name) <= 200)
) STRICT;

CREATE TRIGGER contacts_touched AFTER UPDATE OF name ON contacts
BEGIN
    UPDATE contacts SET created_at = 1 WHERE id = NEW.id;
END;

CREATE VIRTUAL TABLE contacts_fts USING fts5 (
    name, content = 'contacts', content_rowid = 'id'
);
";

    fn shape(sql: &str) -> Shape {
        Shape::default().after(sql).unwrap()
    }

    #[test]
    fn a_table_grows_by_a_column_its_rules_and_what_is_searched() {
        let wanted = BEFORE
            .replace("    created_at TEXT", "    phone TEXT NOT NULL DEFAULT '',\n    phone_home TEXT,\n    created_at TEXT")
            .replace(
                "<= 200)",
                "<= 200),\n    CONSTRAINT phone_home_is_long CHECK (1),\n    CONSTRAINT phone_is_no_number CHECK (phone <> '1')",
            )
            .replace("UPDATE OF name", "UPDATE OF name, phone")
            .replace("    name, content", "    name, phone, content");
        let growth = shape(BEFORE).growth(&shape(&wanted)).unwrap();
        let order: Vec<usize> = [
            "ADD COLUMN phone TEXT NOT NULL DEFAULT ''\n    CONSTRAINT phone_is_no_number",
            "ADD COLUMN phone_home TEXT\n    CONSTRAINT phone_home_is_long",
            "DROP TABLE contacts_fts;",
            "DROP TRIGGER contacts_touched;",
            "CREATE TRIGGER contacts_touched",
            "CREATE VIRTUAL TABLE contacts_fts",
            "VALUES ('rebuild');",
        ]
        .iter()
        .map(|part| growth.find(part).unwrap_or_else(|| panic!("{part} is not in\n{growth}")))
        .collect();
        assert!(order.is_sorted(), "{growth}");
        // What has grown is what was wanted, and does not grow again.
        let grown = shape(BEFORE).after(&growth).unwrap();
        assert_eq!(grown.growth(&shape(&wanted)).as_deref(), Some(""));
    }

    #[test]
    fn what_could_lose_or_refuse_data_is_left_to_a_person() {
        for (from, to) in [
            ("<= 200", "<= 100"),
            ("    name TEXT", "    title TEXT NOT NULL,\n    name TEXT"),
            ("    name TEXT", "    made TEXT DEFAULT (date()),\n    name TEXT"),
            ("    name TEXT NOT NULL COLLATE NOCASE,\n", ""),
            ("<= 200)", "<= 200),\n    CONSTRAINT name_is_odd CHECK (name <> 'x')"),
        ] {
            let wanted = BEFORE.replace(from, to);
            assert_ne!(wanted, BEFORE, "{from}");
            assert_eq!(shape(BEFORE).growth(&shape(&wanted)), None, "{to}");
        }
        assert_eq!(shape(BEFORE).growth(&shape(BEFORE)).as_deref(), Some(""));
        for odd in ["", "DELETE FROM contacts;", "CREATE TABLE a (b)", "SELECT 1;"] {
            assert_eq!(Shape::default().after(odd), None, "{odd}");
        }
    }
}

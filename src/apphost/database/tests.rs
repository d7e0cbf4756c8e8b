//! The fence around a bundle's SQL: what it cannot do, how long, how much, and that it happens whole.

use super::*;
use crate::apphost::bundle::Files;

fn bundle(schema: &str, actions: &[(&str, &str)], limits: &str) -> Bundle {
    let app = format!(
        "format = 1\ntitle = 'T'\nslug = 't'\ndescription = ''\ncurrency = 'USD'\nmenu = []\nroutes = []\n[limits]\n{limits}\n\
         [[resources]]\nname = 'things'\nsingular = 'thing'\nlabel = 'Things'\nlabel_one = 'Thing'\ntitle_field = 'name'\n\
         [[resources.fields]]\nname = 'name'\nlabel = 'Name'\nkind = 'text'\nchars_max = 9\n"
    );
    let mut files = Files::from([
        ("app.toml".to_owned(), app.into_bytes()),
        ("openapi.json".to_owned(), b"{\"paths\": {}}".to_vec()),
        ("schema/0001_things.sql".to_owned(), schema.as_bytes().to_vec()),
    ]);
    for view in ["problem", "list", "detail", "form"] {
        files.insert(format!("views/{view}.html"), Vec::new());
    }
    for verb in ["list", "get", "create", "update", "delete", "count"] {
        files.insert(format!("actions/things_{verb}.sql"), b"SELECT count(*) FROM things".to_vec());
    }
    for (name, sql) in actions {
        files.insert(format!("actions/{name}.sql"), sql.as_bytes().to_vec());
    }
    Bundle::from_files(&files).unwrap_or_else(|e| panic!("{e}"))
}

const THINGS: &str = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
                      CONSTRAINT name_is_short CHECK (length(name) < 9));";

fn open(bundle: &Bundle) -> Result<Database, DatabaseError> {
    Database::open(Path::new(":memory:"), bundle, Keeping::ThrowAway)
}

#[test]
fn sql_of_a_bundle_cannot_leave_its_file_or_change_the_rules() {
    for sql in [
        "ATTACH '/tmp/other.db' AS other",
        "DETACH main",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA data_version = 1",
        "SELECT load_extension('/tmp/evil.so')",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "CREATE TABLE other (a)",
        "DROP TABLE things",
        "CREATE TEMP TABLE t (a)",
        "CREATE TRIGGER t AFTER INSERT ON things BEGIN DELETE FROM things; END",
        "ANALYZE",
        "VACUUM",
        "VACUUM INTO '/tmp/stolen.db'",
        "UPDATE sqlite_master SET sql = ''",
        "SELECT edit('x')",
        "SELECT readfile('/etc/passwd')",
    ] {
        let result = open(&bundle(THINGS, &[("evil", sql)], ""));
        assert!(matches!(result, Err(DatabaseError::BadSql { .. })), "{sql}: {result:?}");
        // Nor where scenarios may write what they like.
        let database = open(&bundle(THINGS, &[], "")).unwrap();
        assert!(database.probe(sql, true).is_err(), "{sql}");
        assert_eq!(database.counts().unwrap(), [("things".to_owned(), 0)], "{sql}");
    }
}

#[test]
fn migrations_cannot_leave_their_file_either() {
    for sql in [
        "ATTACH '/tmp/other.db' AS other;",
        "PRAGMA journal_mode = DELETE;",
        "SELECT load_extension('/tmp/evil.so');",
        "CREATE VIRTUAL TABLE v USING dbstat;",
        "COMMIT;",
        "CREATE TABLE half (a); CREATE TABLE broken (",
    ] {
        let result = open(&bundle(&format!("{THINGS} {sql}"), &[], ""));
        assert!(matches!(result, Err(DatabaseError::BadSql { .. })), "{sql}: {result:?}");
    }
}

#[test]
fn unknown_parameters_are_named() {
    let result = open(&bundle(THINGS, &[("odd", "SELECT * FROM things WHERE name = :nme")], ""));
    assert_eq!(result.unwrap_err().to_string(), "actions/odd.sql: has the unknown parameter nme");
}

#[test]
fn a_query_without_end_is_stopped_by_its_steps() {
    let forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let database = open(&bundle(THINGS, &[("forever", forever)], "sql_steps = 100000")).unwrap();
    assert!(matches!(database.run("forever", &Parameters::new()), Err(DatabaseError::Budget)));
    // And the next request has a full budget again.
    assert!(database.run("things_count", &Parameters::new()).is_ok());
}

#[test]
fn a_query_without_end_is_stopped_by_the_clock() {
    let forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let database = open(&bundle(THINGS, &[("forever", forever)], "sql_steps = 200000000\nrequest_ms = 20")).unwrap();
    // Its steps would take a hundred times as long.
    assert!(matches!(database.run("forever", &Parameters::new()), Err(DatabaseError::Budget)));
}

#[test]
fn an_action_happens_whole_or_not_at_all() {
    let both = "INSERT INTO things (name) VALUES ('first'); INSERT INTO things (name) VALUES (:name)";
    let database = open(&bundle(THINGS, &[("both", both)], "")).unwrap();
    let run = |name: &str| database.run("both", &Parameters::from([("name".to_owned(), name.into())]));
    let refused = run("much too long").unwrap_err();
    assert!(matches!(refused, DatabaseError::Rule(Rule::Check(ref name)) if name == "name_is_short"), "{refused}");
    assert_eq!(database.counts().unwrap()[0].1, 0);
    run("second").unwrap();
    assert_eq!(database.counts().unwrap()[0].1, 2);
    let again = run("third").unwrap_err();
    assert!(matches!(again, DatabaseError::Rule(Rule::Unique(ref c)) if c == "things.name"), "{again}");
    assert_eq!(database.counts().unwrap()[0].1, 2);
}

#[test]
fn what_was_done_together_is_kept_together_or_not_at_all() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO things (name) SELECT max(i) FROM n";
    let add = "INSERT INTO things (name) VALUES (:name)";
    let database = open(&bundle(THINGS, &[("endless", endless), ("add", add)], "sql_steps = 100000")).unwrap();
    let run = |name: &str| database.run("add", &Parameters::from([("name".to_owned(), name.into())]));
    let count = || database.counts().unwrap()[0].1;
    assert!(database.begin(true));
    run("first").unwrap();
    // What its own rule refuses is out, the others stay.
    assert!(matches!(run("first"), Err(DatabaseError::Rule(_))));
    assert!(matches!(run("much too long"), Err(DatabaseError::Rule(_))));
    run("second").unwrap();
    assert!(database.is_within() && database.commit() && !database.is_within());
    assert_eq!(count(), 2);
    assert!(database.begin(true));
    run("third").unwrap();
    assert!(matches!(database.run("endless", &Parameters::new()), Err(DatabaseError::Budget)));
    assert!(!database.is_within() && !database.commit(), "SQLite has taken it all back");
    assert_eq!(count(), 2);
    assert!(database.begin(false));
    run("fourth").unwrap();
    database.abandon();
    assert_eq!((count(), database.is_within()), (2, false));
    run("fifth").unwrap();
    assert_eq!(count(), 3);
}

#[test]
fn a_full_database_refuses_and_stays_whole() {
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400000) \
                INSERT INTO things (id, name) SELECT i, i FROM n";
    let database = open(&bundle(THINGS, &[("fill", fill)], "database_mb = 1\nsql_steps = 200000000")).unwrap();
    assert!(matches!(database.run("fill", &Parameters::new()), Err(DatabaseError::Full)));
    assert_eq!(database.counts().unwrap()[0].1, 0);
}

#[test]
fn rows_are_bounded() {
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n";
    let database = open(&bundle(THINGS, &[("many", many)], "rows = 60")).unwrap();
    assert_eq!(database.run("many", &Parameters::new()).unwrap().len(), 60);
}

#[test]
fn a_probe_leaves_no_trace_unless_it_is_kept() {
    let database = open(&bundle(THINGS, &[], "")).unwrap();
    let insert = "INSERT INTO things (name) VALUES ('x'); SELECT count(*) FROM things";
    assert_eq!(database.probe(insert, false).unwrap()[0].values().next(), Some(&1.into()));
    assert_eq!(database.counts().unwrap()[0].1, 0);
    database.probe(insert, true).unwrap();
    assert_eq!(database.counts().unwrap()[0].1, 1);
}

#[test]
fn data_of_a_newer_bundle_is_not_touched() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("app.db");
    drop(Database::open(&path, &bundle(THINGS, &[], ""), Keeping::Durable).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let result = Database::open(&path, &bundle(THINGS, &[], ""), Keeping::Durable);
    assert!(matches!(result, Err(DatabaseError::FromTheFuture { found: 7, known: 1 })), "{result:?}");
}

#[test]
fn statements_are_cut_at_real_semicolons() {
    let cut = |sql| split(sql);
    assert_eq!(cut("SELECT ';'; -- a; b'\nSELECT 2;"), ["SELECT ';'", "SELECT 2"]);
    assert_eq!(cut("SELECT 'it''s; so' /* ; it's */ ;; SELECT \"a;b\""), ["SELECT 'it''s; so'", "SELECT \"a;b\""]);
    assert_eq!(cut("/*/ ; */ SELECT 1"), ["SELECT 1"]);
    assert!(cut(" -- nothing").is_empty());
}

//! What a bundle is refused for, and that what the kernel makes is not.

use super::*;
use crate::pipeline::kernel;
use crate::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use crate::pipeline::spec::Spec;
use proptest::prelude::*;

fn generated() -> Files {
    let manifest = BuildManifest {
        manifest_id: "man_1".to_owned(),
        build_type: BuildType::BuildCrm,
        title: "CRM".to_owned(),
        description: String::new(),
        features: vec!["deals".to_owned()],
        tech_stack: Vec::new(),
        constraints: serde_json::Map::new(),
        integrations: Vec::new(),
        conversation_id: "conv_1".to_owned(),
        created_from: CreatedFrom::Voice,
        confidence: 0.9,
        metadata: serde_json::Map::new(),
    };
    kernel::crm::generate(&Spec::compose(&manifest), &manifest)
}

/// The error after one file was changed.
fn refused(path: &str, change: impl Fn(&str) -> String) -> String {
    let mut files = generated();
    let text = String::from_utf8(files.get(path).cloned().unwrap_or_default()).unwrap();
    files.insert(path.to_owned(), change(&text).into_bytes());
    Bundle::from_files(&files).expect_err(path).to_string()
}

#[test]
fn files_and_keys_that_mean_nothing_are_refused() {
    for path in ["evil.sh", "bin/tool", "static/page.html", "views/x.txt", "actions/x.py", "tests/x.sh", "schema/x.sql"]
    {
        assert!(refused(path, |_| "x".to_owned()).contains("no place in a bundle"), "{path}");
    }
    assert!(refused("app.toml", |t| format!("secret = 1\n{t}")).contains("unknown field"));
    assert!(refused("app.toml", |t| t.replace("[limits]", "[limits]\nspeed = 9")).contains("unknown field"));
    assert!(refused("tests/contacts.toml", |t| format!("{t}\nspeed = 9")).contains("unknown field"));
    assert!(refused("spec.json", |_| "{".to_owned()).contains("spec.json"));
}

#[test]
fn what_is_used_must_be_there() {
    for path in [
        "app.toml",
        "openapi.json",
        "views/form.html",
        "views/overview.html",
        "actions/deals_move.sql",
        "schema/0001_contacts.sql",
    ] {
        let mut files = generated();
        files.remove(path);
        assert!(Bundle::from_files(&files).is_err(), "{path}");
    }
}

#[test]
fn the_description_of_the_api_is_the_api() {
    let more = |t: &str| t.replace("\"/api/summary\"", "\"/api/telepathy\"");
    let said = refused("openapi.json", more);
    assert!(said.contains("/api/summary") || said.contains("/api/telepathy"), "{said}");
    let said = refused("openapi.json", |t| t.replacen("\"delete\": {", "\"trace\": {", 1));
    assert_eq!(said, "openapi.json: does not describe DELETE /api/contacts/{id}, which the routes answer");
}

#[test]
fn limits_and_names_are_kept_in_bounds() {
    let limit = |from: &'static str, to: &'static str| refused("app.toml", move |t| t.replace(from, to));
    assert!(limit("body_bytes = 524288", "body_bytes = 9999999").contains("limits.body_bytes"));
    assert!(limit("sql_steps = 20000000", "sql_steps = 0").contains("limits.sql_steps"));
    assert!(limit("page_rows = 50", "page_rows = 5000").contains("limits.page_rows"));
    assert!(limit("path = \"/contacts\"\nresource", "path = \"/_/meta\"\nresource").contains("/_/"));
    assert!(limit("path = \"/contacts\"\nresource", "path = \"/../x\"\nresource").contains("lower-case"));
    assert!(limit("name = \"contacts\"", "name = \"contacts; DROP TABLE x\"").contains("contacts; DROP"));
    assert!(limit("name = \"value_cents\"", "name = \"id\"").contains("reserved"));
    assert!(limit("references = \"contacts\"", "references = \"nobody\"").contains("must name a resource"));
    assert!(limit("format = 1", "format = 2").contains("this program reads 1"));
}

/// Files come from kernels, too, and are written by the daemon.
#[test]
fn no_path_leads_out() {
    let home = tempfile::tempdir().unwrap();
    for path in [
        "deploy/../../x",
        "deploy//x",
        "deploy/a/b",
        "deploy/..",
        "deploy/",
        "/deploy/x",
        "static/../../x.css",
        "tests/../../x.toml",
        "views/../../x.html",
        "actions/../../x.sql",
        "schema/0002_a/../../../x.sql",
        "../x",
        "./app.toml",
        "..",
        "",
    ] {
        let mut files = generated();
        files.insert(path.to_owned(), b"x".to_vec());
        let found = Bundle::from_files(&files);
        assert!(matches!(found, Err(BundleError::NotAllowed { .. })), "{path}: {found:?}");
        let files = Files::from([(path.to_owned(), b"x".to_vec())]);
        let below = home.path().join("below");
        let error = write_dir(&files, &below).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "{path}");
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0, "{path}");
    }
}

#[test]
fn reading_follows_no_links_and_keeps_bounds() {
    let home = tempfile::tempdir().unwrap();
    write_dir(&generated(), home.path()).unwrap();
    std::fs::create_dir(home.path().join(".git")).unwrap();
    std::fs::write(home.path().join(".git/config"), "x").unwrap();
    assert_eq!(read_dir(home.path()).unwrap(), generated());

    std::os::unix::fs::symlink("/etc/passwd", home.path().join("static/link.txt")).unwrap();
    assert!(matches!(read_dir(home.path()), Err(BundleError::NotAllowed { .. })));
    std::fs::remove_file(home.path().join("static/link.txt")).unwrap();

    std::fs::create_dir_all(home.path().join("static/deep")).unwrap();
    assert!(matches!(read_dir(home.path()), Err(BundleError::NotAllowed { .. })));
    std::fs::remove_dir(home.path().join("static/deep")).unwrap();

    std::fs::write(home.path().join("static/big.txt"), vec![b'x'; BUNDLE_FILE_MAX + 1]).unwrap();
    assert!(matches!(read_dir(home.path()), Err(BundleError::TooLarge { .. })));
    assert!(matches!(read_dir(Path::new("/nonexistent")), Err(BundleError::Unreadable { .. })));
}

#[test]
fn app_toml_survives_being_written_again() {
    let app = App::parse(std::str::from_utf8(&generated()["app.toml"]).unwrap()).unwrap();
    assert_eq!(App::parse(&toml::to_string(&app).unwrap()).unwrap(), app);
}

proptest! {
    #[test]
    fn no_app_toml_panics(text in ".{0,300}") {
        _ = App::parse(&text);
    }

    #[test]
    fn no_damaged_app_toml_panics(at in 0usize..6000, octet in any::<u8>()) {
        let mut files = generated();
        let text = files.get_mut("app.toml").unwrap();
        let at = at % text.len();
        text[at] = octet;
        _ = Bundle::from_files(&files);
    }
}

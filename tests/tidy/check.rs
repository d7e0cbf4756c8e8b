//! The checks themselves: each takes the tree, reads the tables of `rules.rs` and returns what breaks them.
//! Nothing here touches the file system, so that the self-test can run them on a tree of three lines.

use std::collections::BTreeSet;
use std::fmt;

use crate::rules::{self, May, Module, Name, Place, Word};
use crate::source::{Source, line_at};

/// A tracked file; `text` is `None` when it is not UTF-8.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) text: Option<String>,
}

pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) sources: Vec<Source>,
}

impl Tree {
    pub(crate) fn new(files: Vec<File>) -> Self {
        let sources = files
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
            .filter_map(|file| Some(Source::new(&file.path, file.text.as_deref()?)))
            .collect();
        Self { files, sources }
    }

    fn text(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).and_then(|file| file.text.as_deref()).unwrap_or_default()
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files
            .iter()
            .any(|file| file.path == path || file.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Prints as `file:line: rule` and, below it, the remedy.
pub(crate) struct Violation {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: String,
    pub(crate) remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}\n    remedy: {}", self.path, self.line, self.rule, self.remedy)
    }
}

fn violation(path: &str, line: usize, rule: impl Into<String>, remedy: impl Into<String>) -> Violation {
    Violation { path: path.to_owned(), line, rule: rule.into(), remedy: remedy.into() }
}

/// `a::b` lies in `a` and in `a::b`, not in `a::bc`.
fn lies_in(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn row(path: &str) -> Option<&'static Module> {
    rules::MODULES.iter().filter(|module| lies_in(path, module.path)).max_by_key(|module| module.path.len())
}

/// Ours, without the leading `crate::`; `None` for a foreign path and for the bare root.
fn ours(path: &str) -> Option<&str> {
    if lies_in(path, "dsp") || lies_in(path, "models") {
        return Some(path);
    }
    path.strip_prefix("crate::").filter(|inside| !inside.is_empty())
}

fn shipped(tree: &Tree) -> impl Iterator<Item = &Source> {
    tree.sources.iter().filter(|source| !source.is_test_file && source.path.contains("src/"))
}

/// The import table: every path of ours that shipped code names is allowed to the module that names it.
pub(crate) fn imports(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in shipped(tree).filter(|source| !source.module.is_empty()) {
        let Some(from) = row(&source.module) else {
            found.push(violation(
                &source.path,
                1,
                format!("module {} has no row in the import table", source.module),
                "place it in a layer: one row in tests/tidy/rules.rs and in the design",
            ));
            continue;
        };
        let mut seen = BTreeSet::new();
        for mention in source.mentions() {
            let Some(target) = ours(&mention.path) else { continue };
            let Some(to) = row(target) else { continue };
            let allowed = from.path == to.path
                || match &from.may {
                    May::Only(list) => list.iter().any(|path| lies_in(target, path)),
                    May::Below(also) => to.layer < from.layer || also.iter().any(|path| lies_in(target, path)),
                };
            if !allowed && seen.insert((mention.line, to.path)) {
                found.push(violation(
                    &source.path,
                    mention.line,
                    format!("{} (layer {}) imports {target} (layer {}): {}", source.module, from.layer, to.layer, from.rule),
                    "pass the value in as an argument, move the type down a layer, or have the layer above join the two",
                ));
            }
        }
    }
    dedup(found)
}

/// Foreign names that have one home, or none in some module.
pub(crate) fn names(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in shipped(tree) {
        let excepted = |path: &str| {
            rules::EXCEPTIONS.iter().any(|exception| {
                exception.module == source.module && exception.names.iter().any(|name| lies_in(path, name))
            })
        };
        let forbidden = |name: &Name| match name.place {
            Place::Only(homes) => !homes.iter().any(|home| lies_in(&source.module, home)),
            Place::Never(places) => places.iter().any(|place| lies_in(&source.module, place)),
            Place::NeverPure => row(&source.module).is_some_and(|module| module.layer == 1),
        };
        for mention in source.mentions() {
            for name in rules::NAMES.iter().filter(|name| forbidden(name)) {
                if name.names.iter().any(|path| lies_in(&mention.path, path)) && !excepted(&mention.path) {
                    found.push(violation(
                        &source.path,
                        mention.line,
                        format!("{} names {}: {}", source.module, mention.path, name.rule),
                        name.remedy,
                    ));
                }
            }
        }
    }
    dedup(found)
}

/// `unsafe` stands only where the table says, and macros that print or give up nowhere else than there.
pub(crate) fn words(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in &tree.sources {
        for (offset, word) in source.words() {
            let test = source.in_test(offset);
            let at = |rule: String, remedy: &str| violation(&source.path, source.line_at(offset), rule, remedy);
            let home = |homes: &[&str]| homes.iter().any(|home| lies_in(&source.module, home));
            if word == "unsafe" && !test && !home(rules::UNSAFE_IN) {
                found.push(at(
                    format!("unsafe in {}: it stands only in {}", source.module, rules::UNSAFE_IN.join(", ")),
                    "use the safe wrapper there, or add one",
                ));
            }
            let rest = source.code[offset + word.len()..].trim_start();
            if !rest.starts_with('!') || rest.starts_with("!=") {
                continue;
            }
            let banned = |rule: &&Word| rule.words.contains(&word) && !home(rule.only_in) && !(test && rule.in_tests);
            if let Some(rule) = rules::MACROS.iter().find(banned) {
                found.push(at(format!("{word}! has no place here"), rule.remedy));
            }
        }
    }
    found
}

/// Words and addresses that no tracked text may hold.
pub(crate) fn texts(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        let Some(text) = file.text.as_deref().filter(|_| file.path != "Cargo.lock") else { continue };
        for (needle, remedy) in rules::BANNED_TEXT {
            for (offset, _) in text.match_indices(needle) {
                let glued =
                    text[..offset].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '/');
                if !glued {
                    found.push(violation(
                        &file.path,
                        line_at(text, offset),
                        format!("{needle:?} in a tracked file"),
                        *remedy,
                    ));
                }
            }
        }
        for (offset, host) in hosts(text) {
            let known = rules::HOSTS
                .iter()
                .any(|known| host == *known || host.strip_suffix(known).is_some_and(|sub| sub.ends_with('.')));
            if !known {
                found.push(violation(
                    &file.path,
                    line_at(text, offset),
                    format!("{host} is named in a URL and is not on the list of public hosts"),
                    "use example.com; if it is a public source, add it to HOSTS in tests/tidy/rules.rs",
                ));
            }
        }
    }
    found
}

/// Hosts of `http(s)://` URLs with their offset; templates (`http://{address}`) and numbers in private ranges apart.
fn hosts(text: &str) -> Vec<(usize, &str)> {
    text.match_indices("://")
        .filter(|(offset, _)| {
            text[..*offset].ends_with("http") || text[..*offset].ends_with("https") || text[..*offset].ends_with("git")
        })
        .map(|(offset, _)| {
            let start = offset + 3;
            let rest = &text[start..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c))).unwrap_or(rest.len());
            (start, rest[..end].trim_end_matches('.'))
        })
        .filter(|(_, host)| !host.is_empty() && !host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .collect()
}

/// Size, names, docs: what a reader meets first.
pub(crate) fn shape(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        if file.bytes > rules::FILE_BYTES_MAX {
            found.push(violation(
                &file.path,
                1,
                format!("{} KB in git; the most is {} KB", file.bytes / 1024, rules::FILE_BYTES_MAX / 1024),
                "fetch it at set-up by digest (models/manifest.toml) or generate it",
            ));
        }
        let stem = file.path.rsplit('/').next().unwrap_or_default();
        if stem.ends_with(".md")
            && ["plan", "todo", "summary", "notes", "status"].iter().any(|word| stem.to_lowercase().contains(word))
        {
            found.push(violation(
                &file.path,
                1,
                "a plan is not part of the product",
                "put what lasts into the module's docs or CHANGELOG.md",
            ));
        }
    }
    for source in &tree.sources {
        let max = match source.path.as_str() {
            "src/main.rs" => rules::MAIN_LINES_MAX,
            path if path.ends_with("/mod.rs") => rules::MOD_LINES_MAX,
            _ => rules::SHIPPED_LINES_MAX,
        };
        if !source.is_test_file && source.shipped_lines() > max || source.shipped_lines() > rules::SHIPPED_LINES_MAX {
            found.push(violation(
                &source.path,
                1,
                format!("{} lines without tests; the most is {max}", source.shipped_lines()),
                if source.path.ends_with("mod.rs") {
                    "mod.rs is a table of contents: move code into a file named by what it does"
                } else {
                    "split it along a noun of the field"
                },
            ));
        }
        if !source.text.trim_start().starts_with("//!") {
            found.push(violation(
                &source.path,
                1,
                "a module begins with //! docs",
                "say its purpose, owning thread, invariants and what is deliberately absent",
            ));
        }
        let file_module =
            source.path.trim_end_matches(".rs").trim_end_matches("/mod").rsplit('/').next().unwrap_or_default();
        let declared = source.declared_modules();
        for (line, name) in declared.iter().map(|(line, name)| (*line, name.as_str())).chain([(1, file_module)]) {
            let banned = rules::BANNED_MODULES.contains(&name)
                || rules::BANNED_ENDINGS.iter().any(|ending| name.ends_with(ending));
            if banned {
                found.push(violation(
                    &source.path,
                    line,
                    format!("module name {name} says nothing about what is inside"),
                    "name it by its noun; replace the old version in place",
                ));
            }
        }
    }
    dedup(found)
}

/// The top level holds exactly what the design lists.
pub(crate) fn top_level(tree: &Tree) -> Vec<Violation> {
    let entries: BTreeSet<&str> = tree.files.iter().filter_map(|file| file.path.split('/').next()).collect();
    let unknown =
        entries.iter().filter(|entry| !entry.starts_with('.') && !rules::TOP_LEVEL.contains(entry)).map(|entry| {
            violation(entry, 1, "the top level does not hold this", "move it under the directory that it serves")
        });
    let missing = rules::TOP_LEVEL_ALWAYS
        .iter()
        .filter(|entry| !entries.contains(**entry))
        .map(|entry| violation(entry, 1, "missing from the top level", "every commit has it"));
    unknown.chain(missing).collect()
}

/// A limit that nothing reads is a promise that nothing keeps.
pub(crate) fn limits(tree: &Tree) -> Vec<Violation> {
    let path = "src/limits.rs";
    let mut read: BTreeSet<&str> = BTreeSet::new();
    for source in shipped(tree).filter(|source| source.path != path) {
        read.extend(source.words().filter(|(offset, _)| !source.in_test(*offset)).map(|(_, word)| word));
    }
    let Some(source) = tree.sources.iter().find(|source| source.path == path) else { return Vec::new() };
    let words: Vec<_> = source.words().collect();
    words
        .windows(3)
        .filter(|triple| triple[0].1 == "pub" && triple[1].1 == "const" && !read.contains(triple[2].1))
        .map(|triple| {
            violation(
                path,
                source.line_at(triple[2].0),
                format!("{} bounds nothing", triple[2].1),
                "use it where the queue or buffer is made, or delete it",
            )
        })
        .collect()
}

/// What the documents tell people to type and to open exists.
pub(crate) fn promises(tree: &Tree) -> Vec<Violation> {
    let targets = make_targets(tree.text("Makefile"));
    let mut found = requests(tree);
    for path in ["README.md", "SECURITY.md", "src/lib.rs"] {
        let text = tree.text(path);
        for (line, code) in code_spans(text) {
            for target in after(&code, "make ") {
                let known = targets.iter().any(|known| match known.strip_suffix('%') {
                    Some(stem) => target.starts_with(stem),
                    None => target == *known,
                });
                if !known {
                    found.push(violation(
                        path,
                        line,
                        format!("`make {target}` is promised"),
                        "add the target to Makefile or mend the text",
                    ));
                }
            }
            for command in after(&code, "callwright ") {
                if !tree.has(&format!("src/cli/{command}.rs")) && !tree.has(&format!("src/cli/{command}")) {
                    found.push(violation(
                        path,
                        line,
                        format!("`callwright {command}` is promised"),
                        format!("add src/cli/{command}.rs or mend the text"),
                    ));
                }
            }
            for word in code.split_whitespace() {
                let word = word.trim_matches(|c: char| "`,;()".contains(c));
                let inside = ["src/", "dsp/", "models/", "tests/", "systemd/", "benches/", "fuzz/"]
                    .iter()
                    .any(|top| word.starts_with(top));
                let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c));
                if inside && plain && !tree.has(word) {
                    found.push(violation(
                        path,
                        line,
                        format!("{word} is named and does not exist"),
                        "mend the text or add the file",
                    ));
                }
            }
        }
    }
    for (line, text) in numbered(tree.text(".config/nextest.toml")) {
        for name in after_all(text, "binary(=", ')') {
            let bare = name.trim_start_matches('=');
            if !tree.has(&format!("tests/{bare}.rs")) && !tree.has(&format!("tests/{bare}/main.rs")) {
                found.push(violation(
                    ".config/nextest.toml",
                    line,
                    format!("test binary {bare} does not exist, so its override is dead"),
                    "rename or delete the override",
                ));
            }
        }
    }
    for (line, text) in numbered(tree.text("Makefile")) {
        let Some((target, _)) = text.split_once(':').filter(|(name, rest)| is_target(name) && !rest.starts_with('='))
        else {
            continue;
        };
        if !text.contains("## ") && !target.starts_with('.') && !target.contains('/') {
            found.push(violation(
                "Makefile",
                line,
                format!("target {target} has no help line"),
                "add `## what it does` behind it",
            ));
        }
    }
    found
}

/// README's table of requests is the API's own description, row for row.
fn requests(tree: &Tree) -> Vec<Violation> {
    let path = "src/api/openapi.json";
    let document: serde_json::Value = serde_json::from_str(tree.text(path)).unwrap_or_default();
    let paths = document["paths"].as_object();
    let answered: BTreeSet<String> = paths
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flat_map(|item| item.keys()).map(move |method| (method, path))
        })
        .map(|(method, path)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let promised: Vec<(usize, &str)> = numbered(tree.text("README.md"))
        .filter_map(|(line, text)| {
            text.strip_prefix("| `").and_then(|rest| rest.split('`').next()).map(|code| (line, code))
        })
        .filter(|(_, code)| {
            ["GET /", "POST /", "PUT /", "PATCH /", "DELETE /", "OPTIONS /"].iter().any(|verb| code.starts_with(verb))
        })
        .collect();
    let unanswered = promised.iter().filter(|(_, request)| !answered.contains(*request)).map(|(line, request)| {
        violation(
            "README.md",
            *line,
            format!("`{request}` is promised"),
            format!("add it to {path} and its route, or mend the table"),
        )
    });
    // The pages at / and /call bring their own style and script.
    let files = ["GET /page.", "GET /call."];
    let told = |request: &String| {
        files.iter().any(|file| request.starts_with(file)) || promised.iter().any(|(_, told)| told == request)
    };
    let untold = answered.iter().filter(|request| !told(request)).map(|request| {
        violation("README.md", 1, format!("`{request}` is answered and not in the table"), "add its row under HTTP")
    });
    unanswered.chain(untold).filter(|_| paths.is_some()).collect()
}

fn is_target(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_%./".contains(&byte))
}

fn make_targets(makefile: &str) -> Vec<&str> {
    makefile
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, _)| name).filter(|name| is_target(name)))
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// What stands between backticks, and each line of a fenced block, with its line.
fn code_spans(markdown: &str) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for (number, line) in numbered(markdown) {
        let line = line.trim_start_matches("//!").trim();
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            spans.push((number, line.to_owned()));
        } else {
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span.to_owned())));
        }
    }
    spans
}

/// The word that follows `lead` where `lead` begins a command.
fn after<'a>(code: &'a str, lead: &str) -> Vec<&'a str> {
    code.match_indices(lead)
        .filter(|(offset, _)| code[..*offset].chars().next_back().is_none_or(|before| " ;&/$(".contains(before)))
        .filter_map(|(offset, _)| {
            code[offset + lead.len()..].split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).next()
        })
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

fn after_all<'a>(text: &'a str, lead: &str, end: char) -> Vec<&'a str> {
    text.match_indices(lead).filter_map(|(offset, _)| text[offset + lead.len()..].split(end).next()).collect()
}

fn dedup(mut found: Vec<Violation>) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    found.retain(|violation| seen.insert((violation.path.clone(), violation.line, violation.rule.clone())));
    found
}

//! Scenarios: scripts that come with the program, each about one thing that callers do and agents are bad at. Purpose: find
//! them by name, run several, and show how they went in a table. Pure but for reading files. Deliberately absent: the calls
//! (`command`), judging (`react`, `act`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::report::Report;
use super::script::Script;

/// Name and text of those that are built in.
const BUILT_IN: [(&str, &str); 8] = [
    ("cough", include_str!("scenarios/cough.toml")),
    ("backchannel", include_str!("scenarios/backchannel.toml")),
    ("babble", include_str!("scenarios/babble.toml")),
    ("side-talk", include_str!("scenarios/side-talk.toml")),
    ("interruption", include_str!("scenarios/interruption.toml")),
    ("pause", include_str!("scenarios/pause.toml")),
    ("echo", include_str!("scenarios/echo.toml")),
    ("echo-interruption", include_str!("scenarios/echo-interruption.toml")),
];

/// The built-in ones and what each shows, a line each.
pub fn list() -> String {
    let mut text = String::new();
    for (name, script) in BUILT_IN {
        let about = Script::parse(script, &BTreeMap::new()).ok().and_then(|script| script.about).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<18} {about}");
    }
    text
}

/// The scripts of these names: `all`, a built-in one, or a file that `from_file` reads.
///
/// # Errors
/// A sentence for the operator.
pub fn read(
    names: &[String],
    values: &BTreeMap<String, String>,
    from_file: impl Fn(&Path) -> Result<Script, String>,
) -> Result<Vec<(String, Script)>, String> {
    let built_in = |name: &str, text: &str| -> Result<(String, Script), String> {
        let script = Script::parse(text, values).map_err(|e| format!("{name}: {e}"))?;
        Ok((name.to_owned(), script))
    };
    let mut scripts = Vec::new();
    for name in names {
        if name == "all" {
            for (name, text) in BUILT_IN {
                scripts.push(built_in(name, text)?);
            }
        } else if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| known == name) {
            scripts.push(built_in(name, text)?);
        } else if Path::new(name).exists() {
            let stem = Path::new(name).file_stem().map_or_else(|| name.clone(), |s| s.to_string_lossy().into_owned());
            scripts.push((stem, from_file(Path::new(name))?));
        } else {
            let known = BUILT_IN.map(|(name, _)| name).join(", ");
            return Err(format!("{name}: no such file, and no scenario of that name; there are {known}, and all"));
        }
    }
    Ok(scripts)
}

/// Where the recording of a scenario goes: its name before the ending.
pub fn numbered(path: &Path, name: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
    path.with_file_name(format!("{stem}-{name}{ending}"))
}

/// How one went.
#[derive(Debug)]
pub struct Row {
    name: String,
    /// Onset → silence, and → speech again, of the first sound that is judged.
    silent_ms: Option<u128>,
    again_ms: Option<u128>,
    response_ms: Option<f64>,
    /// What went wrong first.
    pub failure: Option<String>,
}

impl Row {
    /// Of a call.
    pub fn of(name: &str, report: &Report) -> Self {
        let judged = report.score.turns.iter().find(|turn| turn.part.reaction.is_some()).and_then(|turn| turn.yielded);
        let response = report.score.response;
        Self {
            name: name.to_owned(),
            silent_ms: judged.and_then(|yielded| yielded.stop).map(|d| d.as_millis()),
            again_ms: judged.and_then(|yielded| yielded.resume).map(|d| d.as_millis()),
            response_ms: (response.count > 0).then_some(response.p50),
            failure: report.failure(),
        }
    }
}

/// The rows as a table, and the score.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "\n{:<18} {:>10} {:>12} {:>12}  {}\n",
        "scenario", "silent ms", "on again ms", "answered ms", "outcome"
    );
    let number = |n: Option<u128>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    for row in rows {
        let response = row.response_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"));
        let outcome = row.failure.as_deref().map_or_else(|| "passed".to_owned(), |why| format!("FAILED: {why}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<18} {:>10} {:>12} {response:>12}  {outcome}",
            row.name,
            number(row.silent_ms),
            number(row.again_ms)
        );
    }
    let passed = rows.iter().filter(|row| row.failure.is_none()).count();
    let _ = writeln!(text, "{passed} of {} passed", rows.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_built_in_can_be_read_and_say_what_they_show() {
        let all = read(&["all".into()], &BTreeMap::new(), |_| Err("no file is asked for".into())).unwrap();
        assert_eq!(all.len(), BUILT_IN.len());
        assert!(all.iter().all(|(_, script)| script.about.is_some()));
        assert_eq!(list().lines().count(), BUILT_IN.len());
        let why = read(&["nonsense".into()], &BTreeMap::new(), |_| Ok(Script::default())).unwrap_err();
        assert!(why.contains("no scenario of that name") && why.contains("backchannel"), "{why}");
    }

    #[test]
    fn recordings_of_several_calls_have_several_names() {
        assert_eq!(numbered(Path::new("a/both.wav"), "cough"), Path::new("a/both-cough.wav"));
        assert_eq!(numbered(Path::new("both"), "echo"), Path::new("both-echo"));
    }

    #[test]
    fn the_table_shows_what_failed_and_the_score() {
        let row = |name: &str, failure: Option<&str>| Row {
            name: name.into(),
            silent_ms: Some(84),
            again_ms: None,
            response_ms: Some(512.4),
            failure: failure.map(str::to_owned),
        };
        let text = table(&[row("cough", None), row("echo", Some("the agent talked on"))]);
        assert!(text.contains("passed") && text.contains("FAILED: the agent talked on"), "{text}");
        assert!(text.ends_with("1 of 2 passed\n"), "{text}");
    }
}

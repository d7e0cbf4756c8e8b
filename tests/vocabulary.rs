//! What tests and the demonstration say was not taught: no such sentence stands in the text that the recogniser's language
//! model is made from. Otherwise hearing it would prove memory, not understanding.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A sentence this short ("yes", "thank you") can hardly be said in other words.
const WORDS_MIN: usize = 4;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lower case, letters and digits only, spelled letters joined: "a C.R.M." and "a c r m" are both "a crm".
fn bare(sentence: &str) -> Vec<String> {
    let spaced: String = sentence
        .to_lowercase()
        .replace('.', "")
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' })
        .collect();
    let mut words: Vec<String> = Vec::new();
    let mut spelled = false;
    for word in spaced.split_whitespace() {
        let letter = word.chars().count() == 1 && word != "i" && word != "a";
        match words.last_mut() {
            Some(last) if letter && spelled => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        spelled = letter;
    }
    words
}

/// Sentences of the fixtures, and whatever a caller's script says, with the file they stand in.
fn spoken() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().join("tests"), root().join("src/cli")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("part of the tree").flatten() {
            let path = entry.path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    for file in files {
        let name = file.strip_prefix(root()).expect("inside").display().to_string();
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if name.starts_with("tests/fixtures/") && name.ends_with("requests.txt") {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
            found.extend(lines.map(|line| (name.clone(), line.to_owned())));
        } else if name.ends_with(".toml")
            && let Ok(script) = text.parse::<toml::Table>()
        {
            let steps = script.get("step").and_then(toml::Value::as_array).into_iter().flatten();
            let said = steps.filter_map(|step| step.get("say").and_then(toml::Value::as_str));
            found.extend(said.map(|line| (name.clone(), line.to_owned())));
        }
    }
    found
}

#[test]
fn no_test_or_demonstration_sentence_was_taught() {
    let taught: BTreeSet<Vec<String>> = callwright::conversation::domain().sentences.lines().map(bare).collect();
    let spoken = spoken();
    assert!(spoken.len() >= 60, "the fixtures and scripts were found");
    let known: Vec<String> = spoken
        .iter()
        .map(|(file, sentence)| (file, sentence, bare(sentence)))
        .filter(|(_, _, words)| words.len() >= WORDS_MIN && taught.contains(words))
        .map(|(file, sentence, _)| format!("{file}: {sentence:?}"))
        .collect();
    assert!(
        known.is_empty(),
        "the language model was taught these very sentences; change the template or the test, whichever came later:\n{}",
        known.join("\n")
    );
}

#[test]
fn sentences_are_compared_by_their_words() {
    assert_eq!(bare("Let's build a C.R.M.!"), ["let's", "build", "a", "crm"]);
    assert_eq!(bare("a C R M with deals"), ["a", "crm", "with", "deals"]);
    assert_eq!(bare("I was"), ["i", "was"]);
}

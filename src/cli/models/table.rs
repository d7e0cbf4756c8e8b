//! What is listed: grouped by what a pack does, one that serves first to the eye.
#![expect(clippy::print_stdout, reason = "this subcommand's product is its output")]

use callwright_models::pack::archive::octets_in_words;
use callwright_models::pack::{Kind, Pack, Shelf, catalogue};
use serde_json::{Value, json};
use std::io::IsTerminal;

pub(super) fn print(shelf: &Shelf, installed_only: bool, as_json: bool) {
    let rows = rows(shelf, installed_only);
    if as_json {
        let packs: Vec<Value> = rows.iter().map(Row::as_json).collect();
        println!("{}", serde_json::to_string_pretty(&packs).unwrap_or_default());
        return;
    }
    for line in lines(shelf, &rows, installed_only, std::io::stdout().is_terminal()) {
        println!("{line}");
    }
}

struct Row {
    pack: Pack,
    installed: bool,
    serves: bool,
}

impl Row {
    fn as_json(&self) -> Value {
        let pack = &self.pack;
        json!({
            "name": pack.name, "kind": pack.kind, "family": pack.family, "installed": self.installed,
            "serves": self.serves, "recommended": pack.recommended, "url": pack.url, "sha256": pack.sha256,
            "size": pack.size, "licence": pack.licence, "rate": pack.rate, "languages": pack.languages,
            "about": pack.about, "speakers": pack.speakers(), "files": pack.files, "extra": pack.extra,
        })
    }
}

/// The catalogue, and what is installed beyond it.
fn rows(shelf: &Shelf, installed_only: bool) -> Vec<Row> {
    let installed = shelf.installed();
    let serves = |pack: &Pack| shelf.active(pack.kind).is_some_and(|active| active.pack.name == pack.name);
    let known = catalogue().iter().map(|pack| Row {
        installed: installed.iter().any(|there| there.pack.name == pack.name),
        serves: serves(pack),
        pack: pack.clone(),
    });
    let own = installed.iter().filter(|there| !catalogue().iter().any(|pack| pack.name == there.pack.name));
    let own = own.map(|there| Row { pack: there.pack.clone(), installed: true, serves: serves(&there.pack) });
    known.chain(own).filter(|row| row.installed || !installed_only).collect()
}

fn lines(shelf: &Shelf, rows: &[Row], installed_only: bool, colour: bool) -> Vec<String> {
    let paint = |code: &str, text: &str| {
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let mut lines = Vec::new();
    let width = rows.iter().map(|row| row.pack.name.len()).max().unwrap_or(0);
    for kind in Kind::ALL {
        let of_kind: Vec<&Row> = rows.iter().filter(|row| row.pack.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        lines.push(paint("1", title(kind)));
        for row in of_kind {
            let mark = match (row.serves, row.installed) {
                (true, _) => paint("32", "●"),
                (false, true) => "○".to_owned(),
                (false, false) => " ".to_owned(),
            };
            let name = format!("{:<width$}", row.pack.name);
            let name = if row.installed { paint("1", &name) } else { name };
            // A pack of the operator's own was never fetched.
            let size = match row.pack.download_octets() {
                0 => "–".to_owned(),
                octets => octets_in_words(octets),
            };
            let star = if row.pack.recommended { "  recommended" } else { "" };
            lines.push(format!("  {mark} {name}  {size:>7}  {:<6} {}{star}", languages(&row.pack), hertz(&row.pack)));
            lines.push(paint("2", &format!("      {} · {}", row.pack.about, row.pack.licence)));
            lines.extend(speakers(&row.pack).iter().map(|line| paint("2", line)));
        }
        lines.push(String::new());
    }
    for error in shelf.broken() {
        lines.push(paint("31", &error.to_string()));
    }
    let place = shelf.directory().display();
    match (rows.iter().any(|row| row.installed), installed_only) {
        (true, _) => lines.push(format!("● serves, ○ is installed, in {place}")),
        (false, true) => lines.push(format!("nothing is installed in {place}: the embedded engines serve")),
        (false, false) => {
            lines.push(format!("nothing is installed in {place}: the embedded engines serve"));
            lines.push("a good beginning: callwright models install --recommended".to_owned());
        }
    }
    lines
}

/// Who speaks, where speakers have names: the first is the one that speaks where none is named.
fn speakers(pack: &Pack) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (n, name) in pack.speakers().iter().enumerate() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + name.len() < 118 => {
                line.push(' ');
                line.push_str(name);
            }
            _ => lines.push(format!(
                "      {} {name}",
                if n == 0 { format!("voice = \"{}:…\":", pack.name) } else { String::new() }
            )),
        }
    }
    lines
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::StreamingAsr => "Recognition while the caller speaks (streaming-asr)",
        Kind::OfflineAsr => "Recognition of whole turns (offline-asr)",
        Kind::Tts => "Voices (tts)",
        Kind::EndOfTurn => "End of turn (end-of-turn)",
    }
}

fn languages(pack: &Pack) -> String {
    match pack.languages.as_slice() {
        [] => "–".to_owned(),
        [one] => one.clone(),
        many => format!("{} lg.", many.len()),
    }
}

fn hertz(pack: &Pack) -> String {
    let text = format!("{:.2}", f64::from(pack.rate) / 1000.0);
    format!("{:>5} kHz", text.trim_end_matches('0').trim_end_matches('.'))
}

/// One line about a pack.
pub(super) fn facts(pack: &Pack) -> String {
    format!("{}, {}, {}", pack.kind.name(), hertz(pack).trim(), pack.licence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_pack_and_says_where_to_begin() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path());
        let all = lines(&shelf, &rows(&shelf, false), false, false).join("\n");
        for pack in catalogue() {
            assert!(all.contains(&pack.name) && all.contains(&pack.licence), "{}", pack.name);
        }
        assert!(all.contains("models install --recommended") && !all.contains('\x1b'));
        assert!(all.lines().all(|line| line.chars().count() <= 140), "{all}");
        let none = lines(&shelf, &rows(&shelf, true), true, true).join("\n");
        assert!(none.contains("embedded engines serve"), "{none}");
    }
}

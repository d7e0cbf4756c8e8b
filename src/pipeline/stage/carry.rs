//! A new version's migrations on the data of the version before. Purpose: what that version's data have seen stays as it was, in
//! its order; what is new follows. Pure. Invariant: a migration that data may have seen is never changed. Deliberately absent:
//! migrations that change a table's shape: they need a person.

use crate::apphost::bundle::Files;
use std::collections::BTreeMap;

const FOLDER: &str = "schema/";

/// Renumbers the migrations of `files` so that they continue those of `before`.
///
/// # Errors
/// In words for the caller, when the data would have to be changed.
pub(super) fn forward(before: &Files, files: Files) -> Result<Files, String> {
    let (fresh, mut carried): (Files, Files) = files.into_iter().partition(|(path, _)| path.starts_with(FOLDER));
    let old: Vec<(&String, &Vec<u8>)> = before.iter().filter(|(path, _)| path.starts_with(FOLDER)).collect();
    let known: BTreeMap<&str, &Vec<u8>> = old.iter().filter_map(|(path, text)| Some((subject(path)?, *text))).collect();
    carried.extend(old.iter().map(|(path, text)| ((*path).clone(), (*text).clone())));
    let mut number = old.len();
    for (path, text) in fresh {
        let Some(subject) = subject(&path) else { continue };
        match known.get(subject) {
            Some(same) if **same == text => {}
            Some(_) => {
                return Err(format!(
                    "the change concerns the {} that you have already, and I do not change those without a person",
                    subject.trim_end_matches(".sql").replace('_', " ")
                ));
            }
            None => {
                number += 1;
                carried.insert(format!("{FOLDER}{number:04}_{subject}"), text);
            }
        }
    }
    Ok(carried)
}

/// `contacts.sql` of `schema/0001_contacts.sql`.
fn subject(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)?.split_once('_').map(|(_, subject)| subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_new_follows_what_data_have_seen() {
        let before =
            files(&[("schema/0001_contacts.sql", "C"), ("schema/0002_deals.sql", "D"), ("views/old.html", "x")]);
        let now = files(&[
            ("schema/0001_companies.sql", "O"),
            ("schema/0002_contacts.sql", "C"),
            ("schema/0003_deals.sql", "D"),
            ("schema/0004_notes.sql", "N"),
            ("views/list.html", "l"),
        ]);
        let paths: Vec<_> = forward(&before, now).unwrap().into_keys().collect();
        assert_eq!(
            paths,
            [
                "schema/0001_contacts.sql",
                "schema/0002_deals.sql",
                "schema/0003_companies.sql",
                "schema/0004_notes.sql",
                "views/list.html"
            ]
        );
    }

    #[test]
    fn a_table_that_would_change_is_refused_and_one_that_is_not_asked_for_any_more_stays() {
        let before = files(&[("schema/0001_contacts.sql", "C"), ("schema/0002_deals.sql", "D")]);
        let said = forward(&before, files(&[("schema/0001_contacts.sql", "other")])).unwrap_err();
        assert!(said.contains("the contacts that you have already"), "{said}");
        assert_eq!(forward(&before, files(&[("schema/0001_deals.sql", "D")])).unwrap(), before);
    }
}

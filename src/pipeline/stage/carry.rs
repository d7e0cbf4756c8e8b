//! A new version's migrations on the data of the version before. Purpose: what that version's data have seen stays as it was, in
//! its order; what is new follows, columns of tables that are there included ([`shape`]). Pure. Invariant: a migration that data
//! may have seen is never changed. Deliberately absent: migrations that could lose or refuse what is there: they need a person.

mod shape;

use crate::apphost::bundle::Files;
use shape::Shape;
use std::collections::BTreeMap;

const FOLDER: &str = "schema/";

/// Renumbers the migrations of `files` so that they continue those of `before`; a table that grows gets one more.
///
/// # Errors
/// In words for the caller, when the data would have to be changed.
pub(super) fn forward(before: &Files, files: Files) -> Result<Files, String> {
    let (fresh, mut carried): (Files, Files) = files.into_iter().partition(|(path, _)| path.starts_with(FOLDER));
    let old: Vec<(&String, &Vec<u8>)> = before.iter().filter(|(path, _)| path.starts_with(FOLDER)).collect();
    // In their order: the first makes a table, the others let it grow.
    let mut known: BTreeMap<&str, Vec<&Vec<u8>>> = BTreeMap::new();
    for (path, text) in &old {
        if let Some(subject) = subject(path) {
            known.entry(subject).or_default().push(text);
        }
    }
    carried.extend(old.iter().map(|(path, text)| ((*path).clone(), (*text).clone())));
    let mut number = old.len();
    for (path, text) in fresh {
        let Some(subject) = subject(&path) else { continue };
        let next = match known.get(subject).map(Vec::as_slice) {
            Some([same]) if **same == text => None,
            None => Some(text),
            Some(seen) => {
                let grown =
                    seen.iter().try_fold(Shape::default(), |shape, text| shape.after(&String::from_utf8_lossy(text)));
                let wanted = Shape::default().after(&String::from_utf8_lossy(&text));
                let growth = grown.zip(wanted).and_then(|(now, wanted)| now.growth(&wanted)).ok_or_else(|| {
                    format!(
                        "the change concerns the {} that you have already, and I do not change those without a person",
                        subject.trim_end_matches(".sql").replace('_', " ")
                    )
                })?;
                (!growth.is_empty()).then(|| growth.into_bytes())
            }
        };
        if let Some(text) = next {
            number += 1;
            carried.insert(format!("{FOLDER}{number:04}_{subject}"), text);
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

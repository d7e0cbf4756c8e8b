//! Feature packs of a type of app in a caller's words: "a contact form", "blog posts", "the stock control".
//!
//! Pure. Purpose: what a website or a shop is asked for is read by the catalogue of that type, longest name first, and not by
//! the words of a CRM, in which "a contact form" would be contacts. Invariant: a single word counts only where a list or an
//! article introduces it, so that "what about…" names no page. Deliberately absent: whether it is wanted (`feature`).

use super::Transcript;
use super::feature::Feature;
use super::transcript::PAUSE;
use crate::pipeline::manifest::{BuildType, catalogue};

/// Words of the longest name in the catalogue.
const WORDS_MAX: usize = 3;
/// Words that name a pack only as a part of a longer name.
const NOT_ALONE: &[&str] = &["about", "app", "build", "call", "find", "content", "services", "people", "numbers"];
/// Before what a dashboard shows: "a dashboard of calls".
const SHOWS: &[&str] = &["of", "show", "shows", "showing", "about", "on", "all", "many"];

/// The pack of `kind` that is named at word `i`, and how many words name it. `listed`: a list of features is being said.
pub(super) fn pack(heard: &Transcript, i: usize, kind: BuildType, listed: bool) -> Option<(Feature, usize)> {
    (1..=WORDS_MAX).rev().find_map(|count| {
        let words: Vec<&str> = (i..i + count).map(|k| heard.at(k)).collect();
        if words.iter().any(|word| word.is_empty() || *word == PAUSE) {
            return None;
        }
        let before = i.checked_sub(1).map_or("", |k| heard.at(k));
        let introduced = listed
            || matches!(before, "a" | "an" | "the" | "some" | "our" | "its" | "and" | PAUSE)
            || kind == BuildType::BuildDashboard && SHOWS.contains(&before);
        if count == 1 && (NOT_ALONE.contains(&words[0]) || !introduced) {
            return None;
        }
        let name = words.join("_");
        let one = name.strip_suffix('s').map(str::to_owned);
        let offer = [Some(name.clone()), one, Some(format!("{name}s"))]
            .into_iter()
            .flatten()
            .find_map(|name| catalogue::find(kind, &name))
            // "a REST API" is what is asked for, not a part of it.
            .filter(|offer| !offer.pack.eq_ignore_ascii_case(kind.noun()))?;
        Some((Feature { key: offer.pack.to_owned(), spoken: offer.spoken.to_owned() }, count))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Context, Understanding, understand, understand_of};
    use super::*;

    fn keys(understood: &Understanding) -> (Vec<&str>, Vec<&str>) {
        fn of(features: &[Feature]) -> Vec<&str> {
            features.iter().map(|f| f.key.as_str()).collect()
        }
        (of(&understood.edit.add), of(&understood.edit.remove))
    }

    #[test]
    fn a_request_is_read_in_the_words_of_its_type() {
        for (text, noun, wanted) in [
            ("build us a website with a blog and a contact form", "website", &["blog", "contact_form"][..]),
            ("we want a website where people can see news, with bookings", "website", &["booking"]),
            ("i need an online shop with a shopping cart and stock control", "online shop", &["cart", "stock"]),
            ("make me a rest api for customers and orders", "API", &["customers", "orders"]),
            ("we need a dashboard with charts and time ranges", "dashboard", &["charts", "ranges"]),
            ("build a dashboard of our calls", "dashboard", &["box"]),
            ("i want a dashboard of calls", "dashboard", &["box"]),
            ("please make us a dashboard that shows our phone calls and builds", "dashboard", &["box"]),
            ("we need a dashboard for the calls on this line", "dashboard", &["box"]),
            ("a dashboard with incoming calls and charts please", "dashboard", &["box", "charts"]),
        ] {
            let understood = understand(text, Context::AskedWhat);
            assert_eq!(understood.act, Act::BuildOther(noun), "{text}");
            assert_eq!(keys(&understood).0, wanted, "{text}");
        }
    }

    #[test]
    fn changes_are_read_in_the_words_of_what_is_talked_about() {
        let said = |text: &str, kind| understand_of(text, Context::AskedApproval, Some(kind));
        let form = said("no, without the contact form", BuildType::BuildWebsite);
        assert_eq!((form.act.clone(), keys(&form)), (Act::Features, (vec![], vec!["contact_form"])));
        let blog = said("add a blog please", BuildType::BuildWebsite);
        assert_eq!(keys(&blog), (vec!["blog"], vec![]));
        let crm = said("no, without the contact form", BuildType::BuildCrm);
        assert_eq!(keys(&crm).1, ["contacts"], "a CRM has no such thing");
    }

    #[test]
    fn a_dashboard_of_calls_and_apps_is_one_of_this_box() {
        for text in [
            "build me a dashboard of our calls, builds and apps",
            "we want a dashboard of our apps",
            "can you make a dashboard for our calls and apps",
            "a dashboard with calls, builds and errors of our apps, please",
        ] {
            let understood = understand(text, Context::AskedWhat);
            assert_eq!(understood.act, Act::BuildOther("dashboard"), "{text}");
            assert!(keys(&understood).0.contains(&"box"), "{text}: {:?}", understood.edit);
            assert!(understood.also.iter().all(|name| *name == "dashboard"), "{text}: {:?}", understood.also);
        }
        for text in
            ["build a dashboard and call me back", "make a dashboard app", "build a dashboard, then build a shop"]
        {
            let understood = understand(text, Context::AskedWhat);
            assert!(!keys(&understood).0.contains(&"box"), "{text}");
        }
    }

    #[test]
    fn a_stray_word_names_no_pack() {
        for text in ["what about tomorrow", "hello from the people of the house", "yes", "find me a taxi"] {
            let understood = understand_of(text, Context::AskedApproval, Some(BuildType::BuildWebsite));
            assert!(understood.edit.is_empty(), "{text}: {:?}", understood.edit);
        }
    }
}

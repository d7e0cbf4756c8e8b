//! Requests and non-requests that were written before, and apart from, the grammar and the language model's templates.

use callwright::pipeline::intent::{Act, Context, understand};

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect()
}

#[test]
fn people_who_ask_for_a_crm_are_understood() {
    let requests = lines(include_str!("fixtures/crm_requests.txt"));
    assert_eq!(requests.len(), 30);
    let missed: Vec<_> = requests
        .iter()
        .map(|l| (l, understand(l, Context::Free)))
        .filter(|(_, u)| !u.fires())
        .map(|(l, u)| format!("{:.2} {:?} {l}", u.confidence, u.act))
        .collect();
    assert!(missed.len() <= 2, "{} of 30 missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn people_who_do_not_ask_for_a_crm_start_nothing() {
    let others = lines(include_str!("fixtures/not_requests.txt"));
    assert_eq!(others.len(), 30);
    for context in [Context::Free, Context::AskedWhat, Context::AskedFeatures, Context::AskedApproval] {
        let fired: Vec<_> = others
            .iter()
            .map(|l| (l, understand(l, context)))
            .filter(|(_, u)| u.fires() || u.act == Act::Approve)
            .map(|(l, u)| format!("{:.2} {l}", u.confidence))
            .collect();
        assert!(fired.is_empty(), "{context:?}: {} of 30 fired:\n{}", fired.len(), fired.join("\n"));
    }
}

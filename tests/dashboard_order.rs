//! Dashboards as people ask for them: what is counted of the box's own calls is an order, and what asks after a dashboard that is
//! there is none.

use callwright::conversation::{Dialogue, Heard, Intent, Persona};
use callwright::pipeline::intent::{Act, Context, understand};
use callwright::pipeline::spec::Spec;

#[test]
fn a_dashboard_of_calls_is_an_order_however_it_is_described() {
    for says in [
        "I want a dashboard showing how many calls come in",
        "I'd like a dashboard that shows how many calls come in every day.",
        "Build me a dashboard of how many calls we get",
        "We need a dashboard of the phone calls that come in, please.",
        "Please make a dashboard with our incoming calls",
    ] {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        let reply = dialogue.hear(&Heard::certain(says));
        assert!(reply.text().contains("Shall I build it"), "{says}: {}", reply.text());
        let Some(Intent::Build(manifest)) = dialogue.key('1').intent else { panic!("{says}: no build") };
        let spec = Spec::compose(&manifest);
        assert!(spec.features.iter().any(|f| f.pack == "box"), "{says}: {:?}", manifest.features);
    }
}

#[test]
fn what_asks_after_a_dashboard_is_a_report() {
    for says in
        ["how is the dashboard doing", "how many records does the dashboard have", "I want a report on the dashboard"]
    {
        let act = understand(says, Context::Free).act;
        assert!(matches!(act, Act::Report(_)), "{says}: {act:?}");
    }
}

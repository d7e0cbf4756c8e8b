//! What is read back before an order is approved takes 20 s of speech at most, by the embedded voice's own samples, whatever was
//! ordered; and nothing of it is left out without a word.

use callwright::config::EngineChoice;
use callwright::conversation::{Dialogue, Heard, Persona, Reply};
use callwright::speech::{Reading, SpeechConfig, rehearse};
use callwright_models::Assets;

/// Of speech, seconds.
const READ_BACK_MAX: f64 = 20.0;
/// Orders of each type, from short to as much as anybody says, and what their features are: of ours, and some that nobody builds.
const TYPES: [(&str, &[&str]); 5] = [
    ("CRM", &["contacts", "companies", "deals", "stages", "notes", "search", "export"]),
    ("website", &["a blog", "a contact form", "bookings", "opening hours", "a gallery"]),
    ("online shop", &["categories", "stock", "vouchers", "reviews", "gift cards"]),
    ("API", &["customers", "orders", "products", "tasks", "events", "articles", "items"]),
    ("dashboard", &["charts", "filters", "time ranges", "alerts", "forecasts"]),
];
const BEYOND: &[&str] =
    &["invoices", "subscriptions", "warehouses", "newsletters", "translations", "certificates", "surveys", "payrolls"];
const REST: &[&str] = &[
    "called Northumberland Harbour Restoration",
    "for our international transportation consultancy organisation",
    "in React, PostgreSQL, Kubernetes, TypeScript, Tailwind and GraphQL",
    "connected to Salesforce, Slack, Stripe, Mailchimp, QuickBooks and HubSpot",
    "for about two hundred and seventy seven thousand users",
    "with a budget of nine hundred and eighty seven thousand six hundred and fifty four dollars",
    "in seventeen months",
];

/// The agent's answer to an order, and to the questions before its read-back.
fn read_back(order: &str) -> Reply {
    let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
    dialogue.greet();
    let mut reply = dialogue.hear(&Heard::certain(order));
    for _ in 0..2 {
        if !reply.text().contains("Shall I build it?") {
            reply = dialogue.hear(&Heard::certain(if reply.text().contains("or both") { "everything" } else { "yes" }));
        }
    }
    let text = reply.text();
    assert!(text.contains(" with ") && text.contains("Shall I build it?"), "{order}: {reply:?}");
    reply
}

fn seconds(text: &str) -> f64 {
    let voice = EngineChoice::parse("slt").expect("the embedded voice");
    let spoken = rehearse(&SpeechConfig::default(), &Assets::locate(), &voice, Reading::default(), text);
    spoken.unwrap_or_else(|why| panic!("{text}: {why}")).samples.len() as f64 / 8_000.0
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures that were measured")]
fn an_order_of_any_type_and_length_is_read_back_within_20_seconds_of_speech() {
    let mut longest = 0.0_f64;
    for (noun, features) in TYPES {
        for most in 0..=features.len() + BEYOND.len() {
            let wanted: Vec<&str> = features.iter().chain(BEYOND).copied().take(most).collect();
            let with = if wanted.is_empty() { String::new() } else { format!(" with {}", wanted.join(", ")) };
            // All that can be said beside features, or one thing more each time.
            let beside = if most % 2 == 0 { REST } else { &REST[..most % REST.len()] };
            let order =
                format!("please build {noun}{with} {}", beside.join(", ")).replacen(" build ", " build me a ", 1);
            let reply = read_back(&order);
            let text = reply.text();
            let took = seconds(&text);
            println!("{took:5.1} s {text}");
            longest = longest.max(took);
            assert!(took <= READ_BACK_MAX, "{took:.1} s: {text}");
        }
    }
    println!("longest: {longest:.1} s");
    assert!(longest > 10.0, "these are long orders: {longest:.1} s");
}

#[test]
fn what_is_not_named_is_counted() {
    let order = "please build me a CRM with contacts, companies, deals, stages, notes, search, export, invoices, subscriptions, \
                 warehouses, newsletters, translations in React, PostgreSQL and Kubernetes, \
                 connected to Salesforce, Slack and Stripe, for nine hundred users, at most five thousand dollars, in two weeks";
    let text = read_back(order).text();
    assert!(text.contains(" more"), "{text}");
    for part in [
        "5000 dollars",
        "two weeks",
        "900 users",
        "I can't build ",
        " more yet.",
        "I build without React and two more.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

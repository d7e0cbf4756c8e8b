//! How an agent treats its callers, from the configuration; and who is the same caller when the line was cut. Pure but for
//! the PIN's file. Invariants: a PIN that is configured and cannot be read lets nobody in; a withheld number is nobody's;
//! where nothing is recorded, nobody is asked. Deliberately absent: what the manners lead to (`machine`, `conversation`).

use super::machine::Patience;
use super::transfer::{Transfer, Way};
use crate::config::{Agent, Config, ConsentChoice, PinFor, with_fields};
use crate::conversation::{Consent, PUTTING_THROUGH, Persona, Pin};
use crate::sip::message::{Address, Uri, to_text};
use crate::turn::TurnConfig;
use std::time::Duration;

/// Users that stand for nobody (RFC 3323 section 4.1, and what trunks write).
const WITHHELD: [&str; 8] =
    ["anonymous", "unknown", "unavailable", "restricted", "private", "withheld", "asserted-identity", "nobody"];
/// Digits from which on a user part is a telephone number, whatever host it comes by.
const NUMBER_MIN: usize = 6;

/// An agent's.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    pub(super) persona: Persona,
    pub(super) patience: Patience,
    pub(super) turn: TurnConfig,
    /// How long a call that was cut off is remembered; zero: not at all.
    pub(super) resume: Duration,
    /// To whom callers go that want a person: the next where one does not take the call.
    pub(super) operators: Vec<Transfer>,
    /// The same but for whom: what is said, and how long it rings.
    operator_by: Transfer,
    /// What the caller is told then.
    operator_said: String,
}

impl Manners {
    /// Those of `agent`, without its PIN. `recorded`: whether this call is to be.
    pub(super) fn of(config: &Config, agent: &str, recorded: bool) -> Self {
        let found = config.agents.iter().find(|a| a.name == agent);
        let unnamed = Agent::named(agent);
        let agent = found.unwrap_or(&unnamed);
        let mut persona = Persona::named(&spoken_name(&agent.name));
        if let Some(greeting) = &agent.greeting {
            persona.greeting = vec![greeting.clone()];
        }
        persona.idle_prompts = agent.idle_prompts;
        persona.pin_at_start = agent.pin_for == PinFor::Calls;
        persona.trusted = agent.trust_extensions;
        let text = |usual: &str| agent.consent_text.clone().unwrap_or_else(|| usual.to_owned());
        persona.consent = match agent.consent {
            _ if !recorded => Consent::Silent,
            ConsentChoice::None => Consent::Silent,
            ConsentChoice::Announce => Consent::Announce(text("This call is recorded.")),
            ConsentChoice::Ask => Consent::Ask(text("I would like to record this call. Is that all right?")),
        };
        let operator_by = Transfer {
            with: None,
            to: String::new(),
            from: None,
            // The caller is to come back where nobody answers, and a phone that was asked does not bring it back.
            way: Way::Room,
            ringing: Duration::from_secs(agent.operator_ringing_s),
            announce: agent.operator_announce.clone(),
            sorry: None,
        };
        let said = agent.operator_text.clone().unwrap_or_else(|| PUTTING_THROUGH.to_owned());
        persona.putting_through = agent.operator.is_some().then(|| said.clone());
        let mut patience = Patience::with_filler_after(Duration::from_millis(agent.filler_after_ms));
        patience.longest = Duration::from_secs(u64::from(agent.max_minutes) * 60);
        Self {
            persona,
            patience,
            turn: TurnConfig { idle_after: Duration::from_secs(agent.idle_s), ..TurnConfig::default() },
            resume: Duration::from_secs(u64::from(agent.resume_minutes) * 60),
            operators: agent.operator.as_deref().map(|to| persons(config, to, &operator_by)).unwrap_or_default(),
            operator_by,
            operator_said: said,
        }
    }

    /// With the person whom the route names, if it does.
    pub(super) fn with_operator(mut self, config: &Config, to: Option<&str>) -> Self {
        if let Some(to) = to {
            self.operators = persons(config, to, &self.operator_by);
            self.persona.putting_through = Some(self.operator_said.clone());
        }
        self
    }

    /// With the places in its words filled by what is known of the caller: header fields, name and value.
    pub(super) fn with_fields(mut self, fields: &[(String, String)]) -> Self {
        let said = self.persona.greeting.iter_mut().chain(&mut self.persona.putting_through);
        let told = self.operators.iter_mut().filter_map(|operator| operator.announce.as_mut());
        for text in said.chain(told) {
            *text = with_fields(text, fields);
        }
        self.persona.greeting.retain(|clause| !clause.is_empty());
        self
    }

    /// With the PIN of its file. Waits for the disk. Error: for the log.
    pub(super) fn with_pin(mut self, config: &Config, agent: &str) -> Result<Self, String> {
        let file = config.agents.iter().find(|a| a.name == agent).and_then(|a| a.pin_file.as_ref());
        if let Some(file) = file {
            let said = |why: &str| format!("the PIN of agent {agent} in {}: {why}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| said(&error.to_string()))?;
            let pin = Pin::new(text.trim()).ok_or_else(|| said("write 4 to 12 digits and nothing else"))?;
            self.persona.pin = Some(pin);
        }
        Ok(self)
    }
}

/// Who is rung, one after the other: of a group all its members, each as long as the group says, so that whoever answers can be
/// told something before the two hear each other.
fn persons(config: &Config, to: &str, by: &Transfer) -> Vec<Transfer> {
    let group = to.strip_prefix("group:").and_then(|name| config.groups.iter().find(|group| group.name == name));
    match group {
        Some(group) => {
            let ringing = Duration::from_secs(group.ringing_s);
            group.members.iter().map(|to| Transfer { to: to.clone(), ringing, ..by.clone() }).collect()
        }
        None => vec![Transfer { to: to.to_owned(), ..by.clone() }],
    }
}

/// Names in the configuration are lower case; people's names are not.
fn spoken_name(agent: &str) -> String {
    let mut letters = agent.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Who calls, by the From as written: a number, or user and host; `None` where that is withheld. What it says is believed as
/// far as whoever let the call in believes it.
pub(super) fn caller(from: &str) -> Option<String> {
    let address = Address::parse(from.as_bytes()).ok()?;
    let uri = Uri::parse(&address.uri).ok()?;
    let user = to_text(&uri.user.filter(|user| !user.is_empty())?).to_lowercase();
    let nobody = WITHHELD.contains(&user.as_str()) || uri.host.to_ascii_lowercase().ends_with("anonymous.invalid");
    if nobody {
        return None;
    }
    let digits = user.trim_start_matches('+');
    if digits.len() >= NUMBER_MIN && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(digits.to_owned());
    }
    Some(format!("{user}@{}", uri.host.to_ascii_lowercase()))
}

/// Whether From names nobody.
pub(super) fn is_withheld(from: &str) -> bool {
    let uri = Address::parse(from.as_bytes()).ok().and_then(|address| Uri::parse(&address.uri).ok());
    uri.is_none_or(|uri| {
        let user = uri.user.map(|user| to_text(&user).to_lowercase()).unwrap_or_default();
        WITHHELD.contains(&user.as_str()) || uri.host.to_ascii_lowercase().ends_with("anonymous.invalid")
    })
}

/// The user part of a From as written; empty where it is withheld or unreadable.
pub(super) fn user_of(from: &str) -> String {
    let address = Address::parse(from.as_bytes()).ok();
    let user = address.and_then(|address| Uri::parse(&address.uri).ok()?.user.map(|user| to_text(&user)));
    user.filter(|user| !WITHHELD.contains(&user.to_lowercase().as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_by_any_trunk_and_a_withheld_one_is_nobodys() {
        assert_eq!(caller("\"Ann\" <sip:+493012345@10.0.0.1:5070>;tag=1").as_deref(), Some("493012345"));
        assert_eq!(caller("<sip:493012345@sbc.example>").as_deref(), Some("493012345"));
        assert_eq!(caller("<sip:ann@10.0.0.1>").as_deref(), Some("ann@10.0.0.1"));
        assert_ne!(caller("<sip:ann@10.0.0.1>"), caller("<sip:ann@10.0.0.2>"));
        for nobody in [
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "<sip:c8oqz84zk7z@anonymous.invalid>",
            "<sip:Unknown@10.0.0.1>",
            "<sip:10.0.0.1>",
            "",
            "garbage",
        ] {
            assert_eq!(caller(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn nobody_is_asked_about_a_recording_that_is_not_made() {
        let mut config = Config::default();
        config.agents.push(Agent { consent: ConsentChoice::Ask, ..Agent::named("grace") });
        assert_eq!(Manners::of(&config, "grace", false).persona.consent, Consent::Silent);
        assert!(matches!(Manners::of(&config, "grace", true).persona.consent, Consent::Ask(_)));
        assert_eq!(Manners::of(&config, "nobody", true).persona.consent, Consent::Silent);
    }

    #[test]
    fn what_is_known_of_the_caller_is_said_to_it_and_to_the_operator() {
        let mut config = Config::default();
        config.agents.push(Agent {
            greeting: Some("Hello {X-Customer|there}.".to_owned()),
            operator: Some("extension:200".to_owned()),
            operator_announce: Some("A call about order {X-Order}.".to_owned()),
            ..Agent::named("grace")
        });
        let known = [("x-customer".to_owned(), "Ann".to_owned()), ("X-Order".to_owned(), "42".to_owned())];
        let manners = Manners::of(&config, "grace", false).with_fields(&known);
        assert_eq!(manners.persona.greeting, ["Hello Ann."]);
        assert_eq!(manners.operators[0].announce.as_deref(), Some("A call about order 42."));
        assert_eq!(Manners::of(&config, "grace", false).with_fields(&[]).persona.greeting, ["Hello there."]);
    }

    #[test]
    fn of_a_group_each_is_rung_in_its_order_and_as_long_as_it_says() {
        let text = "[[groups]]\nname = \"desks\"\nmembers = [\"sip:a@10.0.0.1\", \"sip:b@10.0.0.2\"]\nringing_s = 7\n\
                    [[agents]]\nname = \"grace\"\noperator = \"group:desks\"\noperator_announce = \"A call.\"\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load(Some(file.path()), std::iter::empty())
        };
        let config = read(text).unwrap();
        let rung = |manners: Manners| {
            let rung = manners.operators.into_iter();
            rung.map(|to| (to.to, to.ringing.as_secs(), to.announce)).collect::<Vec<_>>()
        };
        let told = Some("A call.".to_owned());
        let both = [("sip:a@10.0.0.1".to_owned(), 7, told.clone()), ("sip:b@10.0.0.2".to_owned(), 7, told)];
        assert_eq!(rung(Manners::of(&config, "grace", false)), both);
        let route = Manners::of(&config, "nobody", false).with_operator(&config, Some("group:desks"));
        assert_eq!(rung(route).len(), 2);
        let wrong = read(&text.replace("group:desks", "group:nobody"));
        assert!(wrong.unwrap_err().to_string().contains("[[groups]]"));
    }

    #[test]
    fn a_pin_that_cannot_be_read_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pin");
        let mut config = Config::default();
        config.agents.push(Agent { pin_file: Some(file.clone()), ..Agent::named("grace") });
        let read = || Manners::of(&config, "grace", false).with_pin(&config, "grace");
        assert!(read().unwrap_err().contains("pin"));
        std::fs::write(&file, "12").unwrap();
        assert!(read().unwrap_err().contains("4 to 12 digits"));
        std::fs::write(&file, "4711\n").unwrap();
        assert!(read().unwrap().persona.pin.is_some_and(|pin| pin.is("4711")));
    }
}

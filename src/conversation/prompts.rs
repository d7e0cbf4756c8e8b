//! What every caller of an agent may hear. Purpose: greetings, questions and apologies are synthesised before the first
//! call, so that they begin at once. Found out by talking to the dialogue as callers do who say little, so that nothing is
//! written down twice. Pure. Deliberately absent: what depends on what was built or asked for.

use super::{Consent, Dialogue, Heard, Persona, Reply, failure_lines};

/// Turns of one such caller at most; the dialogue gives up before.
const TURNS_MAX: usize = 12;

/// Whole replies, each once; the greeting first.
#[must_use]
pub fn prompts(persona: &Persona) -> Vec<String> {
    let mut prompts: Vec<String> = Vec::new();
    let mut take = |reply: &Reply| {
        let text = reply.text();
        if !text.is_empty() && !prompts.contains(&text) {
            prompts.push(text);
        }
        reply.hang_up
    };
    // How calls begin first; then what is said when something fails, which must be sayable when nothing else is.
    take(&Dialogue::new(persona.clone(), "rehearsal").greet());
    for line in failure_lines() {
        take(&Reply { say: vec![line.to_owned()], ..Reply::default() });
    }
    for yes in [true, false] {
        let mut dialogue = Dialogue::new(persona.clone(), "rehearsal");
        dialogue.greet();
        if persona.consent.is_asked() {
            take(&dialogue.key(if yes { '1' } else { '2' }));
        }
        if persona.pin.is_some() && persona.pin_at_start {
            dialogue.key('1');
            take(&dialogue.keys_over());
        }
    }
    let persona = &Persona { consent: Consent::Silent, pin: None, ..persona.clone() };
    // What callers say who need help, and then nothing more that is understood.
    for opening in ["", "hello", "what can you do", "thank you", "yes", "no", "build me a crm with contacts and deals"]
    {
        let mut dialogue = Dialogue::new(persona.clone(), "rehearsal");
        take(&dialogue.greet());
        let mut over = take(&dialogue.hear(&Heard::certain(opening)));
        for turn in 0..TURNS_MAX {
            if over {
                break;
            }
            over = match turn % 3 {
                0 => take(&dialogue.hear(&Heard { text: "mumble".into(), confidence: 0.1, alternatives: Vec::new() })),
                1 => take(&dialogue.no_input()),
                _ => take(&dialogue.key('9')),
            };
        }
    }
    let mut dialogue = Dialogue::new(persona.clone(), "rehearsal");
    take(&dialogue.greet());
    take(&dialogue.key('0'));
    if persona.putting_through.is_some() {
        take(&dialogue.not_put_through());
    }
    for said in ["one moment please", "goodbye"] {
        let mut dialogue = Dialogue::new(persona.clone(), "rehearsal");
        take(&dialogue.greet());
        take(&dialogue.hear(&Heard::certain(said)));
    }
    prompts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_comes_first_and_apologies_and_farewells_are_among_them() {
        let prompts = prompts(&Persona::named("Max"));
        assert!(prompts[0].starts_with("Hello, this is Max."), "{prompts:?}");
        for said in ["What shall I build for you?", "Sorry, I did not get that.", "Are you still there?", "Goodbye."] {
            assert!(prompts.iter().any(|prompt| prompt.contains(said)), "{said}: {prompts:?}");
        }
        assert!((5..60).contains(&prompts.len()), "{prompts:?}");
        let distinct: std::collections::BTreeSet<_> = prompts.iter().collect();
        assert_eq!(distinct.len(), prompts.len());
    }
}

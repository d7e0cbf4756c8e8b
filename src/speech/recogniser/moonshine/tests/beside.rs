//! Callers beside others: what the looks of one cost the other.

use super::*;

/// Looks that somebody gets who speaks for eight seconds where nobody speaks over an agent, beside these who do.
fn looks(beside: usize) -> usize {
    let mut rig = Rig::new(1 + beside, 30_000);
    rig.begin(0);
    let places: Vec<usize> = (0..=beside).collect();
    let mut looks = 0;
    for n in 0..250 {
        for place in &places[1..] {
            // Again and again, each at another time: there is always one whose first words decide.
            if n % 16 == 4 * (place - 1) {
                rig.begin(*place);
                rig.recogniser.serve(*place, Caller { agent: 0, over: true });
            }
        }
        rig.hear(&places, 0);
        looks += usize::from(rig.recogniser.has_news(0));
        rig.recogniser.partial(0);
    }
    looks
}

#[test]
fn those_who_speak_over_an_agent_do_not_starve_others() {
    let (alone, beside) = (looks(0), looks(4));
    assert!(alone >= 3 && beside >= alone, "{beside} looks, {alone} where nobody else speaks");
}

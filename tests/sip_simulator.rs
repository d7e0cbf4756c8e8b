//! Thousands of calls between three agents and a forking proxy, both ends of each, in virtual time over a network that loses,
//! repeats and reorders datagrams. Everything that the agent can do is done at random: early media, hold, UPDATE, offerless
//! re-INVITE, session timers, transfer, Replaces, digits, probes, refusals, CANCEL, verbs that come too late. Held to, for
//! every world:
//! - every leg ends with exactly one terminal event, and everything is released in time;
//! - every INVITE that arrived gets exactly one final response, and every 2xx an ACK or a BYE;
//! - when the dust has settled, both ends of a call agree on what each has said.
//!
//! All randomness comes from a seed, which a failure prints. `CALLWRIGHT_SIMULATOR_SEED=N` plays that world only, and writes
//! what went over the wire; `CALLWRIGHT_SIMULATOR_WORLDS=N` plays more worlds than usual in each test.

#![allow(clippy::print_stderr)] // what went over the wire is for whoever looks for the fault

#[path = "sip_simulator/proxy.rs"]
mod proxy;
#[path = "sip_simulator/world.rs"]
mod world;

use world::{Network, World};

/// Worlds of a test, each of 20 calls.
const WORLDS: u64 = 8;

fn play(network: Network, first_seed: u64) {
    let asked = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    if let Some(seed) = asked("CALLWRIGHT_SIMULATOR_SEED") {
        World::new(seed, network, true).play();
        return;
    }
    let mut seen = world::Seen::default();
    for seed in first_seed..first_seed + asked("CALLWRIGHT_SIMULATOR_WORLDS").unwrap_or(WORLDS) {
        seen += World::new(seed, network, false).play();
    }
    seen.assert_everything_happened();
}

const CLEAN: Network = Network { loss_percent: 0, repeat_percent: 0, delay_max_ms: 30 };
const LOSSY: Network = Network { loss_percent: 20, ..CLEAN };
const REORDERING: Network = Network { loss_percent: 2, repeat_percent: 40, delay_max_ms: 900 };
const TERRIBLE: Network = Network { loss_percent: 35, repeat_percent: 30, delay_max_ms: 600 };

macro_rules! worlds {
    ($($name:ident: $network:expr, $first:expr;)*) => { $(
        #[test]
        fn $name() {
            play($network, $first);
        }
    )* };
}

worlds! {
    on_a_good_network_1: CLEAN, 1_000;
    on_a_good_network_2: CLEAN, 1_100;
    on_a_good_network_3: CLEAN, 1_200;
    on_a_good_network_4: CLEAN, 1_300;
    on_a_network_that_loses_1: LOSSY, 2_000;
    on_a_network_that_loses_2: LOSSY, 2_100;
    on_a_network_that_loses_3: LOSSY, 2_200;
    on_a_network_that_loses_4: LOSSY, 2_300;
    on_a_network_that_repeats_and_reorders_1: REORDERING, 3_000;
    on_a_network_that_repeats_and_reorders_2: REORDERING, 3_100;
    on_a_network_that_repeats_and_reorders_3: REORDERING, 3_200;
    on_a_network_that_repeats_and_reorders_4: REORDERING, 3_300;
    on_a_terrible_network_1: TERRIBLE, 4_000;
    on_a_terrible_network_2: TERRIBLE, 4_100;
    on_a_terrible_network_3: TERRIBLE, 4_200;
    on_a_terrible_network_4: TERRIBLE, 4_300;
}

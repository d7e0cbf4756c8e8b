//! `callwright bench`: what this machine carries. Purpose: an operator sees how many calls one core serves and how late
//! the audio is, on the very machine, with the very binary. Main thread, one tokio runtime of its own; the daemon under
//! test is a child process pinned to a core of its own, the load comes from another core. Invariants: the bare UDP floor
//! is measured in the same run, since no figure means anything without it; nothing that was started outlives the command.
//! Deliberately absent: other products (they are measured with the same wire from outside).

mod calls;
mod daemon;
mod floor;
mod load;
mod report;
mod stamp;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use std::str::FromStr;

use clap::Subcommand;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Calls per core, audio delay and CPU of the media plane, beside a bare UDP reflector.
    Media(Media),
    /// The bare UDP reflector that the floor is measured with (started by `bench media`).
    #[command(hide = true)]
    Reflect {
        /// First UDP port; every second one is used.
        port: u16,
        /// How many ports.
        ports: u16,
    },
}

/// Arguments of `bench media`.
#[derive(Clone, Debug, clap::Args)]
struct Media {
    /// What to measure, as SCENARIO:CALLS; scenarios are echo, bridge, transcode and duplex.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "echo:100,echo:500,echo:1000,bridge:500,transcode:100,duplex:500"
    )]
    points: Vec<Point>,
    /// Length of a measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Measurements of each point; the table shows medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Core of the daemon under test.
    #[arg(long, default_value_t = 1)]
    daemon_cpu: usize,
    /// Core of the load.
    #[arg(long, default_value_t = 0)]
    load_cpu: usize,
    /// New calls a second.
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// Also write the figures here, one JSON object: metric → number.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the calls of one measurement do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Scenario {
    /// G.711 in, decoded, through both rings, encoded, out.
    Echo,
    /// G.711 to a second leg and back: two relayed streams a call.
    Bridge,
    /// G.711 to an Opus leg and back: one encoding and one decoding every 20 ms.
    Transcode,
    /// The daemon plays a tone on its own 20 ms clock while it listens: both directions at once.
    Duplex,
}

/// One measurement: a scenario and how many calls at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Point {
    scenario: Scenario,
    calls: usize,
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?}: give SCENARIO:CALLS, e.g. echo:500; scenarios: echo, bridge, transcode, duplex");
        let (name, calls) = text.split_once(':').ok_or_else(wrong)?;
        let scenario = Scenario::ALL.into_iter().find(|s| s.name() == name).ok_or_else(wrong)?;
        let calls = calls.parse().ok().filter(|n| (1..=CALLS_MAX).contains(n)).ok_or_else(wrong)?;
        Ok(Self { scenario, calls })
    }
}

/// RTP ports of the daemon under test are the bound.
const CALLS_MAX: usize = 4000;

impl Scenario {
    const ALL: [Self; 4] = [Self::Echo, Self::Bridge, Self::Transcode, Self::Duplex];

    const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Bridge => "bridge",
            Self::Transcode => "transcode",
            Self::Duplex => "duplex",
        }
    }
}

/// Runs the chosen benchmark.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.command {
        Command::Reflect { port, ports } => floor::reflect(*port, *ports).map_err(|e| e.to_string()),
        Command::Media(media) => measure(media),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report::fault(&why);
            ExitCode::FAILURE
        }
    }
}

fn measure(media: &Media) -> Result<(), String> {
    if media.daemon_cpu == media.load_cpu {
        return Err("the daemon and the load need a core each: give --daemon-cpu and --load-cpu".to_owned());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let mut table = report::Table::begin(media);
    for Point { scenario, calls } in &media.points {
        for round in 0..media.rounds {
            table.say(&format!("{} with {calls} calls, round {} of {}", scenario.name(), round + 1, media.rounds));
            let floor = floor::measure(media, *calls)?;
            let ours = runtime.block_on(calls::measure(media, *scenario, *calls))?;
            table.add(*scenario, *calls, &floor, &ours);
        }
    }
    table.finish(media.json.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_nonsense_is_explained() {
        assert_eq!("echo:500".parse(), Ok(Point { scenario: Scenario::Echo, calls: 500 }));
        for text in ["", "echo", "echo:", "echo:0", "echo:9999", "loop:5"] {
            assert!(text.parse::<Point>().unwrap_err().contains("SCENARIO:CALLS"), "{text}");
        }
    }
}

//! What the machine does meanwhile. Purpose: CPU time of threads by name, memory, load, and order statistics. Reads /proc.
//! Deliberately absent: wall time (whoever measures it, takes it).

use std::fs;
use std::path::Path;

/// Seconds on a core of this process's threads whose name begins with `name`, so far (the kernel's own count).
pub fn cpu_s(name: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = |path: &Path| -> Option<f64> {
        let comm = fs::read_to_string(path.join("comm")).ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        comm.trim().starts_with(name).then(|| times.split(' ').next()?.parse().ok())?
    };
    tasks.filter_map(|task| nanos(&task.path())).sum::<f64>() / 1e9
}

/// Seconds on a core of everything that recognises: all threads but the first and those named here. An engine's own threads
/// carry whatever name they were born with.
pub fn recogniser_cpu_s() -> f64 {
    all_but(&["ears", "mouth", "voice", "caller"])
}

/// The same of everything that speaks, while nobody is heard.
pub fn voice_cpu_s() -> f64 {
    all_but(&["ears", "asr", "caller"])
}

fn all_but(others: &[&str]) -> f64 {
    let own = std::process::id().to_string();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = |path: &Path| -> Option<f64> {
        let comm = fs::read_to_string(path.join("comm")).ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        let counts = path.file_name().is_some_and(|id| id != own.as_str())
            && !others.iter().any(|other| comm.starts_with(other));
        counts.then(|| times.split(' ').next()?.parse().ok())?
    };
    tasks.filter_map(|task| nanos(&task.path())).sum::<f64>() / 1e9
}

/// Resident memory of this process, MiB.
pub fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1024.0
}

/// Load averages as the kernel writes them.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Cores, and what they are.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':']))
}

/// The value that a share of all values does not exceed (nearest rank); not a number when there are none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.95), quantile(&values, 0.0)), (3.0, 5.0, 1.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}

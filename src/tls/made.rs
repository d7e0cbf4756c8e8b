//! Certificates that we make and sign ourselves, and the names that they are for. Invariants: the key's file is nobody else's from
//! its first octet on; a pair is replaced file by file, each whole. Deliberately absent: an authority of our own.

use super::{CertificateFacts, TlsError};
use crate::limits::CERTIFICATE_NAMES_MAX;
use base64::Engine;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::UnixTime;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// What is left of a certificate's time when it is made anew.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// How to make a certificate.
#[derive(Clone, Debug)]
pub struct Making {
    /// Names and addresses that it is for; the first one is its subject too.
    pub names: Vec<String>,
    /// How long it lasts; `None`: for ever, for peers that pin it. Browsers of one maker take none that lasts longer than 825 days.
    pub lasts: Option<Duration>,
}

/// Year, month, day.
type Day = (i32, u8, u8);

impl Making {
    /// For web browsers: as long as all of them take.
    #[must_use]
    pub const fn for_browsers(names: Vec<String>) -> Self {
        Self { names, lasts: Some(Duration::from_hours(824 * 24)) }
    }

    /// For peers that pin the fingerprint: it must not change.
    #[must_use]
    pub const fn for_good(names: Vec<String>) -> Self {
        Self { names, lasts: None }
    }

    pub(super) fn is_due(&self, facts: &CertificateFacts, now: UnixTime) -> bool {
        self.lasts.is_some() && facts.not_after.is_some() && facts.ends_in(now).is_none_or(|left| left < RENEW_BEFORE)
    }

    pub(super) fn make(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        let days = self.lasts.map_or(((1975, 1, 1), (4096, 1, 1)), |lasts| {
            let now = UnixTime::now().as_secs();
            // Clocks of telephones and laptops are behind at times.
            (day_of(now.saturating_sub(86_400)), day_of(now.saturating_add(lasts.as_secs())))
        });
        write_dated(certificate, key, &self.names, days.0, days.1)
    }
}

fn day_of(seconds: u64) -> Day {
    let when = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or_default();
    let date = when.to_zoned(jiff::tz::TimeZone::UTC).date();
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

/// Makes a pair that is valid from the first moment of one day to that of another.
pub(super) fn write_dated(
    certificate: &Path,
    key: &Path,
    names: &[String],
    from: Day,
    until: Day,
) -> Result<(), TlsError> {
    let unmade = |e: rcgen::Error| TlsError::Trust(e.to_string());
    let mut wanted = CertificateParams::new(names).map_err(unmade)?;
    let called = names.first().map_or("callwright", String::as_str);
    wanted.distinguished_name.push(DnType::CommonName, called);
    wanted.distinguished_name.push(DnType::OrganizationName, "Callwright on this machine");
    wanted.not_before = date_time_ymd(from.0, from.1, from.2);
    wanted.not_after = date_time_ymd(until.0, until.1, until.2);
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let secret = KeyPair::generate().map_err(unmade)?;
    let made = wanted.self_signed(&secret).map_err(unmade)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |why| TlsError::Write { path, why }
    };
    if let Some(directory) = certificate.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed(directory))?;
    }
    write_pem(key, "PRIVATE KEY", &secret.serialize_der(), 0o600).map_err(failed(key))?;
    write_pem(certificate, "CERTIFICATE", made.der(), 0o644).map_err(failed(certificate))
}

/// A whole file or the old one.
fn write_pem(path: &Path, label: &str, der: &[u8], mode: u32) -> std::io::Result<()> {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    let beside = path.with_extension("fresh");
    // What a start that broke off has left may be anybody's to read.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What this machine is called: its host name, `localhost`, and every address that it has but those of links alone.
#[must_use]
pub fn machine_names() -> Vec<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let mut names: Vec<String> = is_name.then_some(host).into_iter().collect();
    names.push("localhost".to_owned());
    let v4 = local_v4(&fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
    let v6 = local_v6(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for address in loopback.into_iter().chain(v4).chain(v6) {
        let text = address.to_string();
        if names.len() < CERTIFICATE_NAMES_MAX && !names.contains(&text) {
            names.push(text);
        }
    }
    names
}

/// `|-- 192.0.2.7` with `/32 host LOCAL` below it.
fn local_v4(trie: &str) -> Vec<IpAddr> {
    let (mut at, mut found) = (None, Vec::new());
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            at = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(at.filter(|a| !a.is_link_local() && !a.is_loopback()).map(IpAddr::V4));
        }
    }
    found
}

/// `20010db8000000000000000000000007 02 40 00 80 eth0`: address, interface, prefix, scope (00 global), flags.
fn local_v6(table: &str) -> Vec<IpAddr> {
    let parse = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let global = fields.get(3) == Some(&"00");
        let address = u128::from_str_radix(fields.first()?, 16).ok().filter(|_| global)?;
        Some(IpAddr::V6(Ipv6Addr::from(address)))
    };
    table.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_name_our_addresses() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.7\n        \
                    /32 host LOCAL\n     |-- 169.254.3.4\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let table =
            "fe800000000000000000000000000001 02 40 20 80 eth0\n20010db8000000000000000000000007 02 40 00 80 eth0\nx\n";
        assert_eq!(local_v6(table), ["2001:db8::7".parse::<IpAddr>().unwrap()]);
        let names = machine_names();
        assert!(names.iter().any(|n| n == "localhost") && names.iter().any(|n| n == "127.0.0.1"), "{names:?}");
        assert!(names.len() <= CERTIFICATE_NAMES_MAX);
    }

    #[test]
    fn a_day_is_a_day() {
        assert_eq!(day_of(951_782_400), (2000, 2, 29));
    }
}

//! One file over HTTP, to the end: what was fetched survives the process, and the next attempt goes on from there.
//!
//! Owning thread: the installing one; it waits for network and disk. Invariants: `FILE.partial` only grows with octets that
//! follow those in it (RFC 9110 sections 13.1.5 and 14: `Range` with `If-Range`), or begins anew; a redirect leads to https
//! or to this machine; a body is never longer than announced, within a margin. Deliberately absent: caches, mirrors' health,
//! parallel ranges.

use super::error::PackError;
use super::install::Step;
use callwright_models::pack::archive::octets_in_words;
use callwright_models::pack::{digest, manifest};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the network may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Without one octet.
    pub stall: Duration,
    /// Before the second attempt; doubles with each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), stall: Duration::from_secs(30), pause: Duration::from_millis(500) }
    }
}

/// Attempts in a row that brought nothing.
const FRUITLESS_MAX: u32 = 4;
/// Attempts in all.
const ATTEMPTS_MAX: u32 = 50;
/// Redirects from the release to where it is stored.
const REDIRECTS_MAX: usize = 5;
/// Octets beyond twice the announced ones: sizes of files that were never pinned are estimates.
const MARGIN: u64 = 16 << 20;
/// A stored state is this long at most, octets.
const STATE_OCTETS_MAX: u64 = 16 << 10;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub url: &'a str,
    /// Hexadecimal, where it is known.
    pub sha256: Option<&'a str>,
    /// Octets, exact or about.
    pub size: u64,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The whole file; [`Fetcher::forget`] deletes it.
    pub path: PathBuf,
    /// Hexadecimal.
    pub sha256: String,
}

/// Fetches files into one directory.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    /// Without the system's proxies, for this machine itself.
    near: Client,
    patience: Patience,
    directory: PathBuf,
}

/// Beside the partial file: what it is a part of.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    url: String,
    /// A strong `ETag`, or `Last-Modified`: what makes a range of another version impossible.
    validator: Option<String>,
    total: Option<u64>,
}

/// What one attempt came to.
enum Attempt {
    Whole,
    /// Begin anew: what is there does not belong to what the server has.
    Stale,
}

impl Fetcher {
    /// `directory` is made when something is fetched.
    ///
    /// # Errors
    /// No TLS on this machine.
    pub fn new(directory: PathBuf, patience: Patience) -> Result<Self, PackError> {
        // The first of the process to ask wins; all of ours ask for the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("callwright/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(patience.connect)
                .read_timeout(patience.stall)
                .redirect(redirect::Policy::custom(follow))
                .referer(false)
        };
        let unusable = |error: reqwest::Error| PackError::Unreachable {
            host: "https".to_owned(),
            url: "the release".to_owned(),
            why: in_words(&error),
        };
        Ok(Self {
            client: builder().build().map_err(unusable)?,
            near: builder().no_proxy().build().map_err(unusable)?,
            patience,
            directory,
        })
    }

    /// Whether somebody answers there, within `limit`. Costs one octet.
    ///
    /// # Errors
    /// [`PackError::Unreachable`], [`PackError::Refused`], [`PackError::Redirect`].
    pub async fn answers(&self, url: &str, limit: Duration) -> Result<(), PackError> {
        let request = self.client_for(url)?.get(url).header(RANGE, "bytes=0-0").send();
        match tokio::time::timeout(limit, request).await {
            Err(_) => Err(unreachable(url, format!("no answer within {} s", limit.as_secs_f32()))),
            Ok(Err(error)) => Err(failed(url, &error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) => Err(PackError::Refused { url: url.to_owned(), status: response.status().as_u16() }),
        }
    }

    /// Fetches a file, or what is missing of it, and checks its digest. Says how far it is through `watch`.
    ///
    /// # Errors
    /// [`PackError`]; after [`PackError::Digest`] and on a full disk nothing of it stays, otherwise what came does.
    pub async fn fetch(&self, wanted: Wanted<'_>, watch: &mut dyn FnMut(Step<'_>)) -> Result<Fetched, PackError> {
        fs::create_dir_all(&self.directory).map_err(PackError::io("making", &self.directory))?;
        let name = file_name(wanted.url)?;
        let path = self.directory.join(format!("{name}.partial"));
        let outcome = self.to_the_end(wanted, &path, watch).await;
        match outcome {
            Ok(sha256) => Ok(Fetched { path, sha256 }),
            Err(error) => {
                // What is too much or wrong, and what fills a disk that others need, does not stay.
                if matches!(error, PackError::Digest { .. } | PackError::TooLong { .. }) || error.is_full_disk() {
                    self.forget(&path);
                }
                Err(error)
            }
        }
    }

    /// Octets of a file that are here already.
    #[must_use]
    pub fn progress(&self, url: &str) -> u64 {
        let Ok(name) = file_name(url) else { return 0 };
        fs::metadata(self.directory.join(format!("{name}.partial"))).map_or(0, |metadata| metadata.len())
    }

    /// Deletes what was fetched.
    pub fn forget(&self, path: &Path) {
        for path in [path.to_path_buf(), state_path(path)] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a download is left behind");
            }
        }
    }

    async fn to_the_end(
        &self,
        wanted: Wanted<'_>,
        path: &Path,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<String, PackError> {
        let mut fruitless = 0;
        for _ in 0..ATTEMPTS_MAX {
            let before = length(path);
            let error = match self.attempt(wanted, path, watch).await {
                Ok(Attempt::Whole) => return self.checked(wanted, path),
                Ok(Attempt::Stale) => {
                    self.forget(path);
                    unreachable(wanted.url, "the server's ranges do not fit together".to_owned())
                }
                Err(error) => error,
            };
            fruitless = if length(path) > before { 0 } else { fruitless + 1 };
            if !error.is_passing() || fruitless > FRUITLESS_MAX {
                return Err(error);
            }
            let pause = self.patience.pause * 2_u32.pow(fruitless);
            watch(Step::Waiting { why: &error, pause });
            tokio::time::sleep(pause).await;
        }
        Err(unreachable(wanted.url, "too many attempts".to_owned()))
    }

    /// One request.
    async fn attempt(
        &self,
        wanted: Wanted<'_>,
        path: &Path,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Attempt, PackError> {
        let state = State::read(path).filter(|state| state.url == wanted.url);
        // Without a validator a range may be of another version; a known digest finds that out.
        let resumable = state.as_ref().is_some_and(|state| state.validator.is_some() || wanted.sha256.is_some());
        if !resumable {
            self.forget(path);
        }
        let have = length(path);
        let state = state.filter(|_| resumable).unwrap_or_default();
        if have > 0 && state.total == Some(have) {
            return Ok(Attempt::Whole);
        }
        let mut request = self.client_for(wanted.url)?.get(wanted.url);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &state.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let mut response = request.send().await.map_err(|error| failed(wanted.url, &error))?;
        let (mut have, total) = match response.status() {
            StatusCode::OK => (0, response.content_length()),
            StatusCode::PARTIAL_CONTENT if have > 0 => match content_range(&response) {
                Some((first, total)) if first == have => (have, total),
                _ => return Ok(Attempt::Stale),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(Attempt::Stale),
            status => return Err(PackError::Refused { url: wanted.url.to_owned(), status: status.as_u16() }),
        };
        let most = wanted.size.saturating_mul(2).saturating_add(MARGIN);
        let too_long = || PackError::TooLong {
            url: wanted.url.to_owned(),
            expected: octets_in_words(wanted.size),
            most: octets_in_words(most),
        };
        if total.is_some_and(|total| total > most) {
            return Err(too_long());
        }
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(PackError::io("opening", path))?;
        file.set_len(have).map_err(PackError::io("writing", path))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(have)).map_err(PackError::io("writing", path))?;
        // After the cut: killed in between, no old octets stand under a new validator.
        State { url: wanted.url.to_owned(), validator: validator(&response), total }.write(path)?;
        loop {
            watch(Step::Fetching { url: wanted.url, got: have, total: total.unwrap_or(wanted.size) });
            match response.chunk().await {
                Ok(Some(octets)) => {
                    have += octets.len() as u64;
                    if have > most {
                        return Err(too_long());
                    }
                    file.write_all(&octets).map_err(PackError::io("writing", path))?;
                }
                Ok(None) if total.is_none_or(|total| have == total) => break,
                other => {
                    let why = other.err().map_or_else(|| "it ended early".to_owned(), |error| in_words(&error));
                    return Err(PackError::Cut {
                        url: wanted.url.to_owned(),
                        got: octets_in_words(have),
                        total: total.map_or_else(|| "an unknown length".to_owned(), octets_in_words),
                        why,
                    });
                }
            }
        }
        file.sync_all().map_err(PackError::io("writing", path))?;
        Ok(Attempt::Whole)
    }

    fn checked(&self, wanted: Wanted<'_>, path: &Path) -> Result<String, PackError> {
        let found = digest::of_file(path).map_err(PackError::io("reading", path))?;
        match wanted.sha256 {
            Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
                Err(PackError::Digest { origin: wanted.url.to_owned(), expected: expected.to_ascii_lowercase(), found })
            }
            _ => Ok(found),
        }
    }

    fn client_for(&self, url: &str) -> Result<&Client, PackError> {
        if !manifest::is_fetchable(url) {
            return Err(PackError::Insecure { url: url.to_owned() });
        }
        Ok(if url.starts_with("http://") { &self.near } else { &self.client })
    }
}

impl State {
    fn read(partial: &Path) -> Option<Self> {
        let path = state_path(partial);
        if fs::metadata(&path).ok()?.len() > STATE_OCTETS_MAX {
            return None;
        }
        toml::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    fn write(&self, partial: &Path) -> Result<(), PackError> {
        let path = state_path(partial);
        let text = toml::to_string(self).unwrap_or_default();
        fs::write(&path, text).map_err(PackError::io("writing", &path))
    }
}

fn state_path(partial: &Path) -> PathBuf {
    partial.with_extension("state")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last segment of a URL's path, as a file name.
fn file_name(url: &str) -> Result<String, PackError> {
    let insecure = || PackError::Insecure { url: url.to_owned() };
    let parsed = Url::parse(url).map_err(|_| insecure())?;
    let name = parsed.path_segments().and_then(Iterator::last).unwrap_or_default();
    if manifest::is_name(name) { Ok(name.to_owned()) } else { Err(insecure()) }
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("it redirects in circles");
    }
    let from_here = attempt.previous().first().is_some_and(|url| url.scheme() == "http");
    let to = attempt.url();
    if to.scheme() == "https" || (from_here && manifest::is_fetchable(to.as_str())) {
        attempt.follow()
    } else {
        attempt.error("it redirects to an address without encryption")
    }
}

/// First octet and total of a 206.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn validator(response: &Response) -> Option<String> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    header(ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| header(LAST_MODIFIED))
}

fn unreachable(url: &str, why: String) -> PackError {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str()).unwrap_or(url).to_owned();
    PackError::Unreachable { host, url: url.to_owned(), why }
}

fn failed(url: &str, error: &reqwest::Error) -> PackError {
    if error.is_redirect() {
        return PackError::Redirect { url: url.to_owned(), why: innermost(error) };
    }
    unreachable(url, in_words(error))
}

fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    innermost(error)
}

/// The cause of the cause: the outer ones repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_names_the_file() {
        assert_eq!(file_name("https://example.com/a/b.tar.bz2?x=1").unwrap(), "b.tar.bz2");
        for bad in ["https://example.com/", "https://example.com/a/..", "https://example.com/%2e%2e", "nonsense"] {
            assert!(file_name(bad).is_err(), "{bad}");
        }
    }
}

//! `/v1/calls/{id}/recording`: the sound of a call, also while it grows. Takes one byte range (RFC 9110 section 14), so that
//! a player can seek; `/pause` and `/resume` below it. Files are read in pieces on blocking threads. Deliberately absent: several ranges at once, which are
//! answered with the whole file, as the RFC allows.

use super::problem::{Problem, read};
use super::state::AppState;
use crate::media::recorder::locate;
use crate::store::RecordingState;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use tokio::task::spawn_blocking;

/// Octets read at once.
const PIECE: u64 = 64 << 10;

pub(super) async fn sound(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = id.clone();
    let found = read(move || {
        let Some(recording) = state.store.recordings().get(&call)? else { return Ok(None) };
        let file = locate(&state.data, &recording.file).map(|path| {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok::<_, io::Error>((file, length))
        });
        Ok(Some((recording, file)))
    });
    let Some((recording, file)) = found.await? else {
        return Err(Problem::not_found("there is no such call, or it was not recorded"));
    };
    let (file, length) = match file {
        Some(Ok(opened)) => opened,
        Some(Err(error)) => {
            let detail = format!("the recording cannot be read: {error}");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
        }
        None if recording.state == RecordingState::Recording => {
            return Err(Problem::not_found("the recording has not begun"));
        }
        None => {
            return Err(Problem::new(StatusCode::GONE, "the recording was deleted, see [recording] keep_days"));
        }
    };
    let kind = if recording.format == "opus" { "audio/ogg; codecs=opus" } else { "audio/wav" };
    let fields = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{id}.{}\"", recording.format)),
        // Callers' voices do not belong in caches.
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    // There is no validator, so a conditional range is for a file that we cannot say is the same.
    let asked = headers.get(header::RANGE).filter(|_| !headers.contains_key(header::IF_RANGE));
    let (status, range) = match asked.and_then(|value| wanted(value.to_str().ok()?, length)) {
        None => (StatusCode::OK, 0..length),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => {
            let fields = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("there are {length} octets"));
            return Ok((fields, problem).into_response());
        }
    };
    let mut response = (status, fields, body(file, range.clone())).into_response();
    let sizes = response.headers_mut();
    sizes.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {}-{}/{length}", range.start, range.end - 1).parse()
    {
        sizes.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// Keeps both sides of a call that is up out of its recording; 204 once it is so.
pub(super) async fn pause(State(state): State<AppState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    (state.live_calls.pause_recording)(&id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a pause.
pub(super) async fn resume(State(state): State<AppState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    (state.live_calls.pause_recording)(&id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The octets asked for. `None`: not one range of bytes, so the whole; `Some(None)`: none of them exists.
fn wanted(value: &str, length: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = value.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<u64>().ok() } else { None };
    let range = match (first, last) {
        ("", suffix) => length.saturating_sub(number(suffix)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some((range.start < range.end).then_some(range))
}

/// Reads as fast as the client takes it.
fn body(file: File, range: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = spawn_blocking(move || {
            // A piece is 64 KiB at most.
            let mut piece = vec![0; PIECE.min(range.end - range.start) as usize];
            file.read_exact_at(&mut piece, range.start)?;
            Ok::<_, io::Error>((Bytes::from(piece), file, range))
        });
        let (piece, file, range) = read.await.map_err(io::Error::other)??;
        let next = range.start + piece.len() as u64..range.end;
        Ok::<_, io::Error>(Some((piece, (file, next))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_is_read_as_the_rfc_says() {
        for (value, range) in [
            ("bytes=0-99", Some(Some(0..100))),
            ("bytes=900-", Some(Some(900..1000))),
            ("bytes=-10", Some(Some(990..1000))),
            ("bytes=-5000", Some(Some(0..1000))),
            ("bytes=999-5000", Some(Some(999..1000))),
            ("bytes=1000-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-4", None),
            ("bytes=0-1,5-6", None),
            ("bytes=+1-2", None),
            ("bytes=", None),
            ("items=0-1", None),
        ] {
            assert_eq!(wanted(value, 1000), range, "{value}");
        }
        assert_eq!(wanted("bytes=0-", 0), Some(None));
    }

    proptest! {
        #[test]
        fn what_is_answered_lies_in_the_file(value in "bytes=[0-9]{0,20}-[0-9]{0,20}", length: u64) {
            if let Some(Some(range)) = wanted(&value, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}

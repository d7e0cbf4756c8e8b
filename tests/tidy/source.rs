//! Reads Rust source the way the tidy rules need it: comments and literals blanked out, test code marked, paths
//! listed with their line. A tokenizer, not a parser: it must never be wrong about what is a comment or a string, and
//! need not know more grammar than `use`, `mod` and `a::b::c`.

use std::collections::BTreeMap;
use std::ops::Range;

/// One Rust file, read.
pub(crate) struct Source {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// As it stands in the tree.
    pub(crate) text: String,
    /// Same length in lines and bytes; comments and the insides of literals are blanks.
    pub(crate) code: String,
    /// Byte ranges of `code` that only exist under `cfg(test)`.
    test_ranges: Vec<Range<usize>>,
    /// The whole file is test code (`tests/`, `benches/`, `fuzz/`, `build.rs`-like set-up, a `tests.rs` module).
    pub(crate) is_test_file: bool,
    /// Crate and module path, e.g. `sip::transport::udp`, `dsp::codec::g711`; empty for the root of `callwright`.
    pub(crate) module: String,
}

/// A path as it is named in code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    /// Absolute: `crate`, `self`, `super` and aliases of this file resolved. Ours start with `crate::` (or with
    /// `dsp`/`models` for the member crates), foreign ones with the crate's name.
    pub(crate) path: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let test_ranges = test_ranges(&code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            test_ranges,
            is_test_file: is_test_path(path),
            module: module_of(path),
        }
    }

    /// Lines that are shipped: the file without its `cfg(test)` items.
    pub(crate) fn shipped_lines(&self) -> usize {
        if self.is_test_file {
            return self.text.lines().count();
        }
        let test_lines: usize = self
            .test_ranges
            .iter()
            .map(|range| self.code[range.clone()].bytes().filter(|byte| *byte == b'\n').count() + 1)
            .sum();
        self.text.lines().count().saturating_sub(test_lines)
    }

    pub(crate) fn in_test(&self, offset: usize) -> bool {
        self.is_test_file || self.test_ranges.iter().any(|range| range.contains(&offset))
    }

    pub(crate) fn line_at(&self, offset: usize) -> usize {
        line_at(&self.code, offset)
    }

    /// Identifiers of shipped and test code with their offsets.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        tokens(&self.code).into_iter().filter_map(|token| match token {
            (offset, Token::Word(word)) => Some((offset, word)),
            _ => None,
        })
    }

    /// Names of the modules that the file declares (`mod a;` and `mod a {`), with their line.
    pub(crate) fn declared_modules(&self) -> Vec<(usize, String)> {
        let tokens = tokens(&self.code);
        tokens
            .windows(2)
            .filter_map(|pair| match pair {
                [(offset, Token::Word("mod")), (_, Token::Word(name))] => {
                    Some((self.line_at(*offset), (*name).to_owned()))
                }
                _ => None,
            })
            .collect()
    }

    /// Every path that shipped code names, resolved.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let tokens = tokens(&self.code);
        let mut aliases: BTreeMap<String, String> = self
            .declared_modules()
            .into_iter()
            .map(|(_, name)| (name.clone(), self.absolute(&format!("self::{name}"))))
            .collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            match tokens[at] {
                (offset, Token::Word("use")) if !self.in_test(offset) => {
                    let end = tokens[at..]
                        .iter()
                        .position(|token| matches!(token.1, Token::Mark(b';')))
                        .map_or(tokens.len(), |length| at + length);
                    let mut leaves = Vec::new();
                    use_tree(&tokens[at + 1..end], &mut 0, "", &mut leaves);
                    for (leaf_offset, path, name) in leaves {
                        let path = self.absolute(&path);
                        if let Some(name) = name {
                            aliases.insert(name, path.clone());
                        }
                        found.push((leaf_offset, path, true));
                    }
                    at = end;
                }
                (offset, Token::Word(first)) if !self.in_test(offset) => {
                    let (path, next) = plain_path(&tokens, at, first);
                    if next > at + 1 {
                        found.push((offset, path, false));
                    }
                    at = next;
                }
                _ => at += 1,
            }
        }
        found
            .into_iter()
            .map(|(offset, path, resolved)| {
                let path = if resolved { path } else { self.resolve(&path, &aliases) };
                Mention { line: self.line_at(offset), path }
            })
            .collect()
    }

    fn resolve(&self, path: &str, aliases: &BTreeMap<String, String>) -> String {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        match aliases.get(first) {
            Some(target) if rest.is_empty() => target.clone(),
            Some(target) => format!("{target}::{rest}"),
            None => self.absolute(path),
        }
    }

    /// `crate`, `self`, `super` and the member crates' outside names brought to one form.
    fn absolute(&self, path: &str) -> String {
        let mut base: Vec<&str> = self.module.split("::").filter(|part| !part.is_empty()).collect();
        let mut rest = path;
        let (first, tail) = path.split_once("::").unwrap_or((path, ""));
        match first {
            "crate" => {
                let member = base.first().copied().filter(|name| MEMBERS.contains(name));
                return member.map_or_else(|| path.to_owned(), |name| join(&[name], tail));
            }
            "callwright" => return join(&["crate"], tail),
            "callwright_dsp" => return join(&["dsp"], tail),
            "callwright_models" => return join(&["models"], tail),
            "self" => rest = tail,
            "super" => {
                while let Some(tail) = rest.strip_prefix("super") {
                    base.pop();
                    rest = tail.trim_start_matches("::");
                }
            }
            _ => return path.to_owned(),
        }
        if base.first().is_none_or(|name| !MEMBERS.contains(name)) {
            base.insert(0, "crate");
        }
        join(&base, rest)
    }
}

const MEMBERS: [&str; 2] = ["dsp", "models"];

fn join(base: &[&str], rest: &str) -> String {
    let mut path = base.join("::");
    if !rest.is_empty() {
        if !path.is_empty() {
            path.push_str("::");
        }
        path.push_str(rest);
    }
    path
}

pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.starts_with("fuzz/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

fn module_of(path: &str) -> String {
    let (member, inside) = match path.split_once("src/") {
        Some(("", inside)) => ("", inside),
        Some((member, inside)) => (member.trim_end_matches('/'), inside),
        None => ("", path),
    };
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let inside = if matches!(inside, "lib" | "mod") { "" } else { inside };
    join(&if member.is_empty() { vec![] } else { vec![member] }, &inside.replace('/', "::"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Path,
    Mark(u8),
}

fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            let start = at;
            while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                at += 1;
            }
            found.push((start, Token::Word(&code[start..at])));
        } else if code[at..].starts_with("::") {
            found.push((at, Token::Path));
            at += 2;
        } else {
            if byte.is_ascii_graphic() {
                found.push((at, Token::Mark(byte)));
            }
            // A multi-byte character can only stand in a literal or comment, which are blank by now.
            at += 1;
            while !code.is_char_boundary(at) {
                at += 1;
            }
        }
    }
    found
}

/// `a::b::c` from token `at` on; stops at generics. A word after `.` or `::` is not the start of a path.
fn plain_path(tokens: &[(usize, Token<'_>)], at: usize, first: &str) -> (String, usize) {
    let mut path = first.to_owned();
    let mut next = at + 1;
    while let [(_, Token::Path), (_, Token::Word(word)), ..] = &tokens[next..] {
        path.push_str("::");
        path.push_str(word);
        next += 2;
    }
    let field = at.checked_sub(1).is_some_and(|before| tokens[before].1 == Token::Mark(b'.'));
    let inside = at.checked_sub(2).is_some_and(|two| {
        tokens[at - 1].1 == Token::Path && matches!(tokens[two].1, Token::Word(_) | Token::Mark(b'>'))
    });
    if field || inside { (String::new(), at + 1) } else { (path, next) }
}

type Leaf = (usize, String, Option<String>);

/// Expands `a::{b, c::{d as e, *}}` to its leaves (offset, path, name that it gets here).
fn use_tree(tokens: &[(usize, Token<'_>)], at: &mut usize, prefix: &str, leaves: &mut Vec<Leaf>) {
    let mut path = prefix.to_owned();
    let mut name = None;
    let mut offset = None;
    let mut open = false;
    while let Some((position, token)) = tokens.get(*at) {
        *at += 1;
        match token {
            Token::Word("as") => {
                if let Some((_, Token::Word(alias))) = tokens.get(*at) {
                    name = Some((*alias).to_owned());
                    *at += 1;
                }
            }
            Token::Word("self") if !path.is_empty() && path == prefix => {
                name = prefix.rsplit("::").next().map(str::to_owned);
                offset = Some(*position);
                open = true;
            }
            Token::Word(word) => {
                path = join(&[&path], word);
                name = Some((*word).to_owned());
                offset.get_or_insert(*position);
                open = true;
            }
            Token::Mark(b'*') => {
                name = None;
                offset.get_or_insert(*position);
                open = true;
            }
            Token::Mark(b'{') => {
                use_tree(tokens, at, &path, leaves);
                open = false;
            }
            Token::Mark(b',') | Token::Mark(b'}') => {
                if open && let Some(offset) = offset {
                    leaves.push((offset, path.clone(), name.take()));
                }
                if matches!(token, Token::Mark(b'}')) {
                    return;
                }
                (path, offset, open) = (prefix.to_owned(), None, false);
            }
            _ => {}
        }
    }
    if open && let Some(offset) = offset {
        leaves.push((offset, path, name));
    }
}

/// Replaces comments and the insides of string and character literals by blanks, keeping every line break.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    let wipe = |out: &mut Vec<u8>, range: Range<usize>| {
        for byte in &mut out[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length);
            wipe(&mut out, at..end);
            at = end;
        } else if rest.starts_with(b"/*") {
            let end = block_comment_end(bytes, at);
            wipe(&mut out, at..end);
            at = end;
        } else if let Some((start, hashes)) = raw_string_start(rest).filter(|_| !word_before) {
            let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let inside = at + start;
            let end = find(&bytes[inside..], &closing).map_or(bytes.len(), |length| inside + length);
            wipe(&mut out, inside..end);
            at = (end + closing.len()).min(bytes.len());
        } else if rest[0] == b'"' {
            let end = quoted_end(bytes, at + 1, b'"');
            wipe(&mut out, at + 1..end);
            at = end + 1;
        } else if rest[0] == b'\'' {
            at = match char_literal_end(text, at) {
                Some(end) => {
                    wipe(&mut out, at + 1..end);
                    end + 1
                }
                None => at + 1, // a lifetime
            };
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).expect("whole characters are blanked, byte for byte with ASCII")
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// `r"`, `r#"`, `br##"`, `cr"`: offset of the first inner byte and the number of hashes.
fn raw_string_start(rest: &[u8]) -> Option<(usize, usize)> {
    let letters =
        rest.iter().take(2).position(|byte| *byte == b'r').filter(|at| *at == 0 || b"bc".contains(&rest[0]))?;
    let hashes = rest[letters + 1..].iter().take_while(|byte| **byte == b'#').count();
    (rest.get(letters + 1 + hashes) == Some(&b'"')).then_some((letters + 2 + hashes, hashes))
}

fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// End quote of the character literal that opens at `start`; `None` for a lifetime or loop label.
fn char_literal_end(text: &str, start: usize) -> Option<usize> {
    let mut inside = text[start + 1..].char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        return Some(quoted_end(text.as_bytes(), start + 1, b'\''));
    }
    let (length, next) = inside.next()?;
    (next == '\'').then_some(start + 1 + length)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Ranges of items under `#[cfg(test)]`, `#[cfg(all(test, …))]` and `#[test]`.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[") {
        let start = from + found;
        let end = code[start..].find(']').map_or(code.len(), |length| start + length + 1);
        let attribute: String = code[start..end].split_whitespace().collect();
        from = end;
        let gated =
            attribute.starts_with("#[cfg(test") || attribute.starts_with("#[cfg(all(test") || attribute == "#[test]";
        if gated && ranges.last().is_none_or(|range| !range.contains(&start)) {
            let item_end = item_end(code, end);
            ranges.push(start..item_end);
            from = item_end;
        }
    }
    ranges
}

/// End of the item that starts at `at`: its `;` before any brace, or the brace that closes its body.
fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code[at..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + offset + 1;
                }
            }
            b';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    code.len()
}

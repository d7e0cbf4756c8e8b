//! What the worst of peers may send: messages of our own after every section of RFC 4475 and RFC 5118 (`rfc4475.txt`,
//! `rfc5118.txt`), and thousands of INVITEs that are broken on purpose (`mutant`). After each a normal call succeeds: in the
//! agent in virtual time (`agent`), and over every transport that the daemon has (`wire`; a transport is a row of
//! `line::WAYS`). `CALLWRIGHT_TORTURE_EVERY=1` (`make torture`) places the call after each one over the wire, too.

mod agent;
mod line;
mod mutant;
#[path = "../rig/mod.rs"]
mod rig;
mod text;
mod wire;

/// SplitMix64: all that is random follows from the seed, so that a failure can be sent again.
#[derive(Clone)]
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Under `n`, which is not 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Status code of a response.
fn code_of(message: &[u8]) -> Option<u16> {
    std::str::from_utf8(message.strip_prefix(b"SIP/2.0 ")?.get(..3)?).ok()?.parse().ok()
}

/// A header field's value, octets read as Latin-1.
fn field(message: &[u8], name: &str) -> Option<String> {
    let text: String = message.iter().map(|&b| char::from(b)).collect();
    let head = text.split("\r\n\r\n").next()?.to_owned();
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Whether two fields of that name may be there: the first is meant.
fn tag(value: &str) -> Option<&str> {
    value.split_once(";tag=").map(|(_, tag)| tag.split(';').next().unwrap_or_default())
}

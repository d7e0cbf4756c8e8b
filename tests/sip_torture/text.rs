//! The form in which the messages are written down (described at the head of `rfc4475.txt`), and what a place makes of them.

/// Who sends, and by what.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `address:port` of the phone.
    pub(crate) me: String,
    /// As Via writes it.
    pub(crate) transport: &'static str,
    /// Port of the phone's audio.
    pub(crate) audio: u16,
}

/// What must happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// A call.
    Accept,
    /// Silence.
    Drop,
    /// This code.
    Code(u16),
}

/// One message with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// `RFC 4475 3.1.1.1 folded…`.
    pub(crate) name: String,
    /// What may happen to a whole message.
    pub(crate) outcomes: Vec<Outcome>,
    /// What may happen on a stream.
    pub(crate) on_stream: Vec<Outcome>,
    template: String,
}

impl Place {
    /// An offer that every telephone can meet.
    pub(crate) fn sdp(&self) -> String {
        let host = self.me.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        format!(
            "v=0\r\no=t 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\n",
            self.audio
        )
    }
}

/// All messages of both sets.
pub(crate) fn samples() -> Vec<Sample> {
    let sets = [("RFC 4475", include_str!("rfc4475.txt")), ("RFC 5118", include_str!("rfc5118.txt"))];
    let mut all = Vec::new();
    for (set, text) in sets {
        for part in text.strip_suffix('\n').unwrap_or(text).split("\n== ").skip(1) {
            let (head, template) = part.split_once('\n').expect("a message below its head");
            let mut columns = head.split('|').map(str::trim);
            let name = format!("{set} {}", columns.next().expect("a name"));
            let outcomes = outcomes(columns.next().unwrap_or_else(|| panic!("{name} has no verdict")));
            let on_stream = columns.next().map_or_else(|| outcomes.clone(), self::outcomes);
            // The last line's end was the separator's.
            let template = format!("{template}\n");
            all.push(Sample { name, outcomes, on_stream, template });
        }
    }
    all
}

fn outcomes(text: &str) -> Vec<Outcome> {
    let one = |word: &str| match word {
        "accept" => Outcome::Accept,
        "drop" => Outcome::Drop,
        code => Outcome::Code(code.parse().unwrap_or_else(|_| panic!("{code} is no outcome"))),
    };
    text.split('/').map(one).collect()
}

impl Sample {
    /// The octets as this place sends them for the `id`th time.
    pub(crate) fn octets(&self, at: &Place, id: u64) -> Vec<u8> {
        let text = self.template.replace("${cut}\n", "").replace('\n', "\r\n");
        let text = text.replace("${sdp}\r\n", "${sdp}");
        let whole = expand(&text, at, id);
        let needle = b"${len}";
        let Some(mark) = whole.windows(needle.len()).position(|w| w == needle) else { return whole };
        let body = whole.windows(4).position(|w| w == b"\r\n\r\n").map_or(whole.len(), |end| end + 4);
        let length = (whole.len() - body).to_string();
        [&whole[..mark], length.as_bytes(), &whole[mark + needle.len()..]].concat()
    }
}

/// Everything but the length, which is known last.
fn expand(text: &str, at: &Place, id: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.extend_from_slice(before.as_bytes());
        let (name, after) = after.split_once('}').expect("a name in braces");
        match name {
            "me" => out.extend_from_slice(at.me.as_bytes()),
            "tr" => out.extend_from_slice(at.transport.as_bytes()),
            "id" => out.extend_from_slice(id.to_string().as_bytes()),
            "sdp" => out.extend_from_slice(at.sdp().as_bytes()),
            "len" => out.extend_from_slice(b"${len}"),
            octet if octet.starts_with('x') => {
                out.push(u8::from_str_radix(&octet[1..], 16).unwrap_or_else(|_| panic!("{octet} is no octet")));
            }
            repeated => {
                let (times, what) = repeated.split_once('*').unwrap_or_else(|| panic!("{repeated} means nothing"));
                let times = times.parse().unwrap_or_else(|_| panic!("{repeated} means nothing"));
                out.extend_from_slice(what.repeat(times).as_bytes());
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[test]
fn the_sets_are_whole() {
    let all = samples();
    assert_eq!(all.iter().filter(|s| s.name.starts_with("RFC 4475")).count(), 13 + 19 + 1 + 15 + 1);
    assert_eq!(all.iter().filter(|s| s.name.starts_with("RFC 5118")).count(), 11);
    let at = Place { me: "192.0.2.1:5070".to_owned(), transport: "UDP", audio: 4000 };
    for sample in &all {
        let octets = sample.octets(&at, 7);
        assert!(octets.ends_with(b"\r\n"), "{}", sample.name);
        assert!(!octets.windows(2).any(|w| w == b"${"), "{}", sample.name);
        let bare = octets.iter().enumerate().filter(|(n, b)| **b == b'\n' && octets[n - 1] != b'\r');
        assert_eq!(bare.count(), 0, "{}", sample.name);
    }
}

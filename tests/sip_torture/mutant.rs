//! INVITEs that are broken on purpose, by field. Purpose: the same number gives the same message again; every kind of fault
//! is a row of [`KINDS`] with what is certain of it.

use super::Seeded;
use super::text::Place;

/// What is certain of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It can begin no call: an error, or silence.
    Refused,
    /// As signalling it may pass; the description in it leads to no call.
    NoMedia,
    /// Odd, and for a generous reader perhaps no fault.
    Open,
}

/// One broken INVITE.
pub(crate) struct Mutant {
    /// What was done to it.
    pub(crate) kind: &'static str,
    pub(crate) fate: Fate,
    pub(crate) octets: Vec<u8>,
}

/// An INVITE in parts, so that a fault hits one.
struct Draft {
    start: Vec<u8>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    /// Written last; `None` = its true value.
    length: Option<Vec<u8>>,
}

type Fault = fn(&mut Draft, &mut Seeded);

/// Repetitions of each kind, with other random numbers.
const ROUNDS: u64 = 70;

/// How many there are.
pub(crate) const MUTANTS: u64 = ROUNDS * KINDS.len() as u64;

const _: () = assert!(MUTANTS >= 4_500);

/// The `n`th of [`MUTANTS`], sent from `at`.
pub(crate) fn mutant(n: u64, at: &Place) -> Mutant {
    let (kind, fate, fault) = KINDS[usize::try_from(n).unwrap_or(0) % KINDS.len()];
    let mut random = Seeded(n.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut draft = Draft::new(n, at);
    fault(&mut draft, &mut random);
    let mut octets = draft.write();
    match kind {
        // What no field can say.
        "cut short" => octets.truncate(1 + random.below(octets.len() - 1)),
        "octets changed" => (0..1 + random.below(8)).for_each(|_| {
            let place = random.below(octets.len());
            octets[place] = random.next() as u8;
        }),
        "octets gone" => (0..1 + random.below(4)).for_each(|_| {
            let from = random.below(octets.len());
            let to = (from + 1 + random.below(30)).min(octets.len());
            octets.drain(from..to);
            octets.push(b'x');
        }),
        "octets twice" => {
            let from = random.below(octets.len());
            let part = octets[from..(from + 1 + random.below(300)).min(octets.len())].to_vec();
            octets.splice(from..from, part);
        }
        "NULs" => (0..1 + random.below(6)).for_each(|_| octets.insert(random.below(octets.len()), 0)),
        "grammar sown about" => (0..1 + random.below(5)).for_each(|_| {
            let seed = random.one_of::<[u8]>(&[
                b"\r\n",
                b"\r\n\r\n",
                b"\r",
                b"\n",
                b":",
                b";",
                b",",
                b"\"",
                b"<",
                b">",
                b"%",
                b"\\",
                b"[",
                b"]",
                b" ",
                b"\t",
                b"=",
                b"@",
            ]);
            let place = random.below(octets.len());
            octets.splice(place..place, seed.iter().copied());
        }),
        "noise" => octets = (0..1 + random.below(1400)).map(|_| random.next() as u8).collect(),
        "no empty line" => octets.truncate(octets.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |end| end + 2)),
        _ => {}
    }
    Mutant { kind, fate, octets }
}

impl Draft {
    fn new(n: u64, at: &Place) -> Self {
        let me = &at.me;
        let fields = [
            ("Via", format!("SIP/2.0/{} {me};branch=z9hG4bKmut{n};rport", at.transport)),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("\"Mutant\" <sip:m@{me}>;tag=m{n}")),
            ("To", "<sip:echo@callwright.test>".to_owned()),
            ("Call-ID", format!("mutant-{n}@{me}")),
            ("CSeq", "1 INVITE".to_owned()),
            ("Contact", format!("<sip:m@{me}>")),
            ("User-Agent", "torture".to_owned()),
            ("Content-Type", "application/sdp".to_owned()),
        ];
        Self {
            start: b"INVITE sip:echo@callwright.test SIP/2.0".to_vec(),
            fields: fields.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())).collect(),
            body: at.sdp().into_bytes(),
            length: None,
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut out = self.start.clone();
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.fields {
            // A fault may want a line of its own, without colon.
            let colon: &[u8] = if name.is_empty() { b"" } else { b": " };
            out.extend_from_slice(&[name, colon, value, b"\r\n"].concat());
        }
        let length = self.length.clone().unwrap_or_else(|| self.body.len().to_string().into_bytes());
        out.extend_from_slice(&[b"Content-Length: ", &length[..], b"\r\n\r\n"].concat());
        out.extend_from_slice(&self.body);
        out
    }

    fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for field in &mut self.fields {
            if field.0 == name.as_bytes() {
                field.1 = value.as_ref().to_vec();
            }
        }
    }

    fn edit(&mut self, name: &str, from: &str, to: &str) {
        for field in &mut self.fields {
            if field.0 == name.as_bytes() {
                field.1 = String::from_utf8_lossy(&field.1).replacen(from, to, 1).into_bytes();
            }
        }
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|field| field.0 != name.as_bytes());
    }

    fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.fields.push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
    }

    /// A line as it is.
    fn line(&mut self, at: usize, line: impl AsRef<[u8]>) {
        self.fields.insert(at, (Vec::new(), line.as_ref().to_vec()));
    }

    fn start(&mut self, line: impl AsRef<[u8]>) {
        self.start = line.as_ref().to_vec();
    }

    fn sdp(&mut self, from: &str, to: &str) {
        self.body = String::from_utf8_lossy(&self.body).replacen(from, to, 1).into_bytes();
    }
}

/// A number that no counter of ours holds.
fn giant(random: &mut Seeded) -> String {
    (0..12 + random.below(60)).map(|_| char::from(b'1' + random.below(9) as u8)).collect()
}

fn nothing(_: &mut Draft, _: &mut Seeded) {}

/// Kinds of faults.
const KINDS: &[(&str, Fate, Fault)] = &[
    // The start line.
    ("method that is no token", Fate::Refused, |d, r| {
        let method = r.one_of(&["INV\u{e9}TE", "INVITE:", "IN\"VITE", "(INVITE)", "@", "INVITE\u{1}", "IN,VITE"]);
        d.start(format!("{method} sip:echo@callwright.test SIP/2.0"));
    }),
    ("method in other letters", Fate::Refused, |d, r| {
        d.start(format!(
            "{} sip:echo@callwright.test SIP/2.0",
            r.one_of(&["invite", "Invite", "INVITe", "INVITEE", "NVITE"])
        ));
    }),
    ("blanks in the start line", Fate::Refused, |d, r| {
        d.start(r.one_of(&[
            "INVITE  sip:echo@callwright.test SIP/2.0",
            "INVITE sip:echo@callwright.test  SIP/2.0",
            " INVITE sip:echo@callwright.test SIP/2.0",
            "INVITE\tsip:echo@callwright.test\tSIP/2.0",
            "INVITE sip:ec ho@callwright.test SIP/2.0",
            "INVITE sip:echo@callwright.test SIP/2.0 ",
        ]));
    }),
    ("start line cut", Fate::Refused, |d, r| {
        let kept = 1 + r.below(d.start.len() - 1);
        d.start.truncate(kept);
    }),
    ("version", Fate::Refused, |d, r| {
        let version = r.one_of(&[
            "SIP/1.0",
            "SIP/3.0",
            "SIP/2.1",
            "SIP/2",
            "SIP/2.00",
            "SIP/",
            "SIP",
            "HTTP/1.1",
            "2.0",
            "SIP/-2.0",
            "SIP/99999999999.0",
        ]);
        d.start(format!("INVITE sip:echo@callwright.test {version}"));
    }),
    ("Request-URI", Fate::Refused, |d, r| {
        let uri = r.one_of(&[
            "",
            "sip",
            "sip:",
            "sip:@",
            "sip:echo@",
            "<sip:echo@h>",
            "\"sip:echo@h\"",
            "sip:echo@h:99999",
            "sip:echo@h:-1",
            "sip:echo@h:x",
            "sip:echo@[::1",
            "sip:echo@::1",
            "sip:echo@[1.2.3.4]",
            "http://example.com/",
            "mailto:a@b",
            "nobody:knows",
            ":",
            "sip:e@h\u{7f}",
            "sip:e@h:5060:5060",
        ]);
        d.start(format!("INVITE {uri} SIP/2.0"));
    }),
    ("giant Request-URI", Fate::Refused, |d, r| {
        d.start(format!("INVITE sip:{}@callwright.test SIP/2.0", "e".repeat(8200 + r.below(20_000))));
    }),
    ("escapes that are none in the Request-URI", Fate::Open, |d, r| {
        let user = r.one_of(&["%", "%4", "%zz", "echo%", "%%%%", "%00", "echo%0d%0aX:%20y", "%ff%fe", "%2"]);
        d.start(format!("INVITE sip:{user}@callwright.test SIP/2.0"));
    }),
    // Via.
    ("no Via", Fate::Refused, |d, _| d.remove("Via")),
    ("Via that is none", Fate::Refused, |d, r| {
        let via = r.one_of(&[
            "",
            "x",
            "SIP",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/7.0/UDP h;branch=z9hG4bK1",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP ;branch=z9hG4bK1",
            "SIP/2.0/U(P h",
            ",",
            ",,,",
            ";",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP [h]:5060",
            "SIP/2.0/UDP h h",
            "//",
            "SIP//UDP h",
            "\"",
            "<SIP/2.0/UDP h>",
        ]);
        d.set("Via", via);
    }),
    ("parameters of Via", Fate::Open, |d, r| {
        let tail = r.one_of(&[
            ";;;,",
            ";branch",
            ";branch=",
            ";rport=99999",
            ";rport=x",
            ";received=x",
            ";maddr=255.255.255.255",
            ";ttl=999",
            ";branch=\"",
            ";=;=",
            ";branch=z9hG4bK,x",
        ]);
        let via = d.fields[0].1.clone();
        let via: Vec<u8> = via.split(|b| *b == b';').next().unwrap_or_default().to_vec();
        d.set("Via", [&via[..], tail.as_bytes()].concat());
    }),
    ("too many Via", Fate::Refused, |d, r| {
        (0..80 + r.below(300))
            .for_each(|n| d.add("Via", format!("SIP/2.0/UDP h{n}.callwright.test;branch=z9hG4bKh{n}")));
    }),
    // From and To.
    ("no From", Fate::Refused, |d, _| d.remove("From")),
    ("no To", Fate::Refused, |d, _| d.remove("To")),
    ("From that is none", Fate::Refused, |d, r| d.set("From", broken_address(r))),
    ("To that is none", Fate::Refused, |d, r| d.set("To", broken_address(r))),
    ("To with a tag of ours that never was", Fate::Refused, |d, r| d.edit("To", ">", &format!(">;tag={:x}", r.next()))),
    ("From twice", Fate::Refused, |d, _| d.add("f", "<sip:other@callwright.test>;tag=2")),
    ("To twice", Fate::Refused, |d, _| d.add("TO", "<sip:other@callwright.test>")),
    ("tag of From", Fate::Open, |d, r| {
        let tag = r.one_of(&["", ";tag", ";tag=", ";tag=\"", ";tag=a;tag=b", ";tag=\u{1}", ";;;", ";tag=%", ";TAG=x"]);
        d.set("From", format!("<sip:m@callwright.test>{tag}"));
    }),
    ("display names", Fate::Open, |d, r| {
        let name = r.one_of(&[
            "\"\\\"",
            "\"\u{0}\"",
            "\"a\\\\\"",
            "\u{202e}evil",
            "a, b",
            "\"<sip:x@y>\"",
            "\u{ff}\u{fe}",
            "=?utf-8?q?x?=",
        ]);
        d.set("From", format!("{name} <sip:m@callwright.test>;tag=1"));
    }),
    ("giant names", Fate::Refused, |d, r| {
        d.set("From", format!("\"{}\" <sip:m@h>;tag=1", "n".repeat(8192 + r.below(20_000))))
    }),
    // Call-ID and CSeq.
    ("no Call-ID", Fate::Refused, |d, _| d.remove("Call-ID")),
    ("empty Call-ID", Fate::Refused, |d, r| d.set("Call-ID", r.one_of(&["", " ", "\t", "  \t "]))),
    ("Call-ID twice", Fate::Refused, |d, _| d.add("i", "another")),
    ("no CSeq", Fate::Refused, |d, _| d.remove("CSeq")),
    ("CSeq that is none", Fate::Refused, |d, r| {
        let cseq = r.one_of(&[
            "",
            "1",
            "INVITE",
            "INVITE 1",
            "x INVITE",
            "-1 INVITE",
            "+1 INVITE",
            "1.0 INVITE",
            "0x1 INVITE",
            "1INVITE",
            "1 INVITE 1",
            "4294967296 INVITE",
            "2147483648 INVITE",
            "1 IN,VITE",
            "1 ",
            "\u{661} INVITE",
            "1;INVITE",
            "1 \"INVITE\"",
        ]);
        d.set("CSeq", cseq);
    }),
    ("giant CSeq", Fate::Refused, |d, r| d.set("CSeq", format!("{} INVITE", giant(r)))),
    ("CSeq of another method", Fate::Refused, |d, r| {
        d.set("CSeq", format!("1 {}", r.one_of(&["BYE", "ACK", "CANCEL", "OPTIONS", "invite", "X", "REGISTER"])))
    }),
    ("CSeq twice", Fate::Refused, |d, _| d.add("cseq", "2 INVITE")),
    // Max-Forwards and Contact.
    ("Max-Forwards", Fate::Refused, |d, r| {
        d.set("Max-Forwards", r.one_of(&["256", "-1", "+1", "x", "", "70 70", "70,70", "0x46", "7e1", "\u{667}"]))
    }),
    ("giant Max-Forwards", Fate::Refused, |d, r| d.set("Max-Forwards", giant(r))),
    ("no Contact", Fate::Refused, |d, _| d.remove("Contact")),
    ("Contact that is none", Fate::Refused, |d, r| d.set("Contact", broken_address(r))),
    ("Contact of another scheme", Fate::Open, |d, r| {
        d.set(
            "Contact",
            r.one_of(&[
                "*",
                "<tel:1>",
                "<mailto:a@b>",
                "<sip:m@255.255.255.255>",
                "<sip:m@0.0.0.0:0>",
                "<sip:m@h:99999>",
                "<x>",
            ]),
        )
    }),
    ("too many Contacts", Fate::Refused, |d, r| d.set("Contact", "<sip:m@h>,".repeat(70 + r.below(500)))),
    // Content-Length.
    ("Content-Length that lies high", Fate::Refused, |d, r| {
        d.length = Some((d.body.len() + 1 + r.below(70_000)).to_string().into_bytes())
    }),
    ("Content-Length that lies low", Fate::NoMedia, |d, r| d.length = Some((1 + r.below(40)).to_string().into_bytes())),
    ("Content-Length that is no number", Fate::Refused, |d, r| {
        let length =
            r.one_of(&["-1", "+5", "", "x", "0x10", "1e2", "5, 5", "5 5", "\u{665}", "1.0", "--", "5;", "\"5\""]);
        d.length = Some(length.as_bytes().to_vec());
    }),
    ("giant Content-Length", Fate::Refused, |d, r| d.length = Some(giant(r).into_bytes())),
    ("Content-Length twice", Fate::Refused, |d, r| d.add("l", r.below(1000).to_string())),
    ("giant body", Fate::Refused, |d, r| d.body = vec![b'v'; 32_769 + r.below(30_000)]),
    // Lines.
    ("line without colon", Fate::Refused, |d, r| {
        let at = r.below(d.fields.len());
        d.line(at, r.one_of(&["Subject", "x", "<>", "a b c", "====", "Via SIP/2.0/UDP h", "\u{1}", "\"", "."]));
    }),
    ("header name that is none", Fate::Refused, |d, r| {
        let at = r.below(d.fields.len());
        d.line(
            at,
            r.one_of(&[
                ": x",
                "X Y: x",
                "X\u{0}: x",
                "X\u{b}: x",
                "(X): x",
                "X\u{e9}: x",
                "\"X\": x",
                "X/Y: z",
                "X@: z",
                "Via\u{7f}: x",
            ]),
        );
    }),
    ("control at the colon", Fate::Refused, |d, r| {
        let control = loop {
            let octet = r.below(32) as u8;
            if !matches!(octet, b'\t' | b'\n' | b'\r') {
                break octet;
            }
        };
        let at = r.below(d.fields.len());
        d.line(
            at,
            if r.below(2) == 0 {
                [b"X", &[control][..], b": v"].concat()
            } else {
                [b"X:", &[control][..], b"v"].concat()
            },
        );
    }),
    ("bare CR in a line", Fate::Refused, |d, r| d.set("User-Agent", r.one_of(&["a\rb", "\rb", "a\r\rb", "x\rVia: y"]))),
    ("too many header fields", Fate::Refused, |d, r| {
        (0..260 + r.below(3000)).for_each(|n| d.add(&format!("X-{n}"), "y"))
    }),
    ("many header fields", Fate::Open, |d, r| (0..100 + r.below(120)).for_each(|n| d.add(&format!("X-{n}"), "y"))),
    ("endless folding", Fate::Refused, |d, r| {
        d.set("User-Agent", format!("a{}", "\r\n b".repeat(4200 + r.below(6000))))
    }),
    ("folded lines", Fate::Open, |d, r| {
        let fold = r.one_of(&["\r\n ", "\r\n\t", "\r\n  \r\n ", "\n ", " \r\n  "]);
        let at = r.below(d.fields.len());
        let value = String::from_utf8_lossy(&d.fields[at].1).replace(' ', fold);
        d.fields[at].1 = value.into_bytes();
    }),
    ("endless line", Fate::Refused, |d, r| d.set("User-Agent", "u".repeat(8200 + r.below(40_000)))),
    ("octets that are no UTF-8", Fate::Open, |d, r| {
        let at = r.below(d.fields.len());
        let mut value = d.fields[at].1.clone();
        (0..1 + r.below(10)).for_each(|_| value.insert(r.below(value.len() + 1), 0x80 | r.next() as u8));
        d.fields[at].1 = value;
    }),
    // What else an INVITE may say.
    ("Require", Fate::Refused, |d, r| {
        d.add("Require", r.one_of(&["x", "100rel,foo", "a,b,c", "precondition", "sec-agree", "\"", "\u{ff}"]))
    }),
    ("Content-Type", Fate::Refused, |d, r| {
        d.set(
            "Content-Type",
            r.one_of(&[
                "",
                "x",
                "text/plain",
                "application/json",
                "application",
                "/",
                "application/sdp2",
                "multipart/mixed",
                "\u{0}",
            ]),
        )
    }),
    ("Content-Encoding", Fate::Refused, |d, r| {
        d.add("Content-Encoding", r.one_of(&["gzip", "x", "deflate,gzip", "identity, br"]))
    }),
    ("Session-Expires", Fate::Open, |d, r| {
        let value = r.one_of(&[
            "0",
            "-1",
            "x",
            "",
            "1",
            "4294967296",
            "99999999999999999999",
            "90;refresher=",
            "90;refresher=nobody",
            ";;",
        ]);
        d.add("Supported", "timer");
        d.add("Session-Expires", value);
    }),
    ("Min-SE", Fate::Open, |d, r| {
        d.add("Min-SE", r.one_of(&["0", "-1", "x", "", "4294967295", "99999999999999999999", "90, 90"]))
    }),
    ("Replaces", Fate::Refused, |d, r| {
        d.add(
            "Replaces",
            r.one_of(&[
                "",
                "x",
                ";",
                "x;to-tag=1",
                "x;to-tag=;from-tag=",
                "x;to-tag=1;from-tag=2",
                "\u{0}",
                "x;from-tag=2",
            ]),
        )
    }),
    ("routes", Fate::Open, |d, r| {
        d.add(
            r.one_of(&["Route", "Record-Route"]),
            r.one_of(&[
                "",
                "x",
                "<",
                "<sip:",
                "<sip:h>",
                "<sip:h;lr>,",
                "<sip:h:99999;lr>",
                "<http://example.com>",
                ";lr",
                ",,,",
                "\"",
                "<sip:255.255.255.255;lr>",
            ]),
        )
    }),
    ("too many routes", Fate::Refused, |d, r| d.add("Record-Route", "<sip:h;lr>,".repeat(70 + r.below(400)))),
    // The description.
    ("description that is none", Fate::NoMedia, |d, r| {
        d.body = r
            .one_of::<[u8]>(&[b"x", b"hello\r\n", b"\0\0\0\0", b"{}", b"v=", b"=", b"v=0", b"\r\n", b"v=0\r\n"])
            .to_vec()
    }),
    ("description cut", Fate::Open, |d, r| {
        let kept = 1 + r.below(d.body.len());
        d.body.truncate(kept);
    }),
    ("v and o and s", Fate::Open, |d, r| {
        let (from, to) = [
            ("v=0", "v=1"),
            ("v=0", "v="),
            ("o=t 1 1", "o=t x y"),
            ("o=t 1 1 IN", "o="),
            ("s=-\r\n", ""),
            ("t=0 0", "t=x"),
            ("v=0\r\n", ""),
            ("o=t 1", "o=t 99999999999999999999999"),
        ][r.below(8)];
        d.sdp(from, to);
    }),
    ("c", Fate::Open, |d, r| {
        let host = r.one_of(&[
            "c=",
            "c=IN",
            "c=IN IP4",
            "c=IN IP4 x",
            "c=IN IP4 999.1.1.1",
            "c=IN IP9 1",
            "c=IN IP4 255.255.255.255",
            "c=IN IP4 224.0.0.1/999",
            "c=ATM x y",
            "c=IN IP6 ::1::",
            "c=IN IP4 0.0.0.0",
        ]);
        d.sdp("c=IN IP4", host);
    }),
    ("m", Fate::Open, |d, r| {
        let m = r.one_of(&[
            "m=",
            "m=audio",
            "m=audio x RTP/AVP 0",
            "m=audio -1 RTP/AVP 0",
            "m=audio 65536 RTP/AVP 0",
            "m=audio 0 RTP/AVP 0",
            "m=audio 4000/99999 RTP/AVP 0",
            "m=audio 4000 RTP/AVP",
            "m=video 4000 RTP/AVP 0",
            "m=audio 4000 TCP 0",
            "m=audio 4000 RTP/AVP 999 -1 x",
            "m=audio 99999999999999999999 RTP/AVP 0",
        ]);
        let text = String::from_utf8_lossy(&d.body).into_owned();
        let at = text.find("m=audio").unwrap_or(0);
        d.body = format!("{}{m}\r\n", &text[..at]).into_bytes();
    }),
    ("attributes", Fate::Open, |d, r| {
        let a = r.one_of(&[
            "a=rtpmap:",
            "a=rtpmap:0",
            "a=rtpmap:x y/z",
            "a=rtpmap:0 PCMU/99999999999",
            "a=rtpmap:0 PCMU/0",
            "a=fmtp:",
            "a=ptime:0",
            "a=ptime:-1",
            "a=ptime:999999999999",
            "a=",
            "a=crypto:1",
            "a=crypto:x y inline:",
            "a=rtcp:99999",
            "a=sendonly\r\na=recvonly",
            "a=maxptime:0",
            "a=:",
            "b=AS:-1",
            "k=x",
        ]);
        d.body.extend_from_slice(&[a.as_bytes(), b"\r\n"].concat());
    }),
    ("too many m", Fate::Open, |d, r| {
        (0..50 + r.below(700)).for_each(|_| d.body.extend_from_slice(b"m=audio 4000 RTP/AVP 18\r\n"))
    }),
    ("noise in the description", Fate::Open, |d, r| {
        (0..1 + r.below(20)).for_each(|_| {
            let place = r.below(d.body.len());
            d.body[place] = r.next() as u8;
        })
    }),
    // The octets of the whole: done in `mutant`.
    ("cut short", Fate::Refused, nothing),
    ("no empty line", Fate::Refused, nothing),
    ("octets changed", Fate::Open, nothing),
    ("octets gone", Fate::Open, nothing),
    ("octets twice", Fate::Open, nothing),
    ("NULs", Fate::Open, nothing),
    ("grammar sown about", Fate::Open, nothing),
    ("noise", Fate::Refused, nothing),
];

fn broken_address(random: &mut Seeded) -> &'static str {
    random.one_of(&[
        "",
        "<",
        ">",
        "<>",
        "\"",
        "\"open <sip:a@h>",
        "<sip:a@h",
        "\"x\" sip:a@h",
        "<sip:a@h> x",
        ";tag=1",
        ",",
        "\"x\"",
        "\"x\" y <sip:a@h>",
    ])
}

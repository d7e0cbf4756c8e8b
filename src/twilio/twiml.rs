//! TwiML: what Twilio does with a call (<https://www.twilio.com/docs/voice/twiml>). Pure. Purpose: a small XML writer and the
//! few documents that are needed. Invariant: text from outside cannot become markup, and every document is XML 1.0.
//! Deliberately absent: reading XML.

use std::fmt::Write;

/// The type of the answer that carries it.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// One element being written.
#[derive(Debug)]
struct Element {
    name: &'static str,
    head: String,
    body: String,
}

impl Element {
    fn new(name: &'static str) -> Self {
        Self { name, head: String::new(), body: String::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        // Writing into a String cannot fail.
        let _ = write!(self.head, " {name}=\"{}\"", escaped(value));
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.body.push_str(&escaped(text));
        self
    }

    fn holding(mut self, child: &Self) -> Self {
        let _ = match child.body.is_empty() {
            true => write!(self.body, "<{}{}/>", child.name, child.head),
            false => write!(self.body, "<{0}{1}>{2}</{0}>", child.name, child.head, child.body),
        };
        self
    }

    fn document(&self) -> String {
        let whole = Self::new("").holding(self);
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", whole.body)
    }
}

/// As text or the value of an attribute. What XML 1.0 has no way to write is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if u32::from(c) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// Connects the call's audio, both ways, to `url`, which is told these parameters at the start. The call ends when the socket
/// does.
#[must_use]
pub fn connect(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut stream = Element::new("Stream").with("url", url);
    for (name, value) in parameters {
        stream = stream.holding(&Element::new("Parameter").with("name", name).with("value", value));
    }
    Element::new("Response").holding(&Element::new("Connect").holding(&stream)).document()
}

/// The same in TeXML, which sends our audio on only where it is told how it comes
/// (<https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream>).
#[must_use]
pub fn connect_both_ways(url: &str) -> String {
    let stream = Element::new("Stream")
        .with("url", url)
        .with("track", "inbound_track")
        .with("codec", "PCMU")
        .with("bidirectionalMode", "rtp")
        .with("bidirectionalCodec", "PCMU");
    Element::new("Response").holding(&Element::new("Connect").holding(&stream)).document()
}

/// Does not take the call: the caller hears the tone of a line that is busy.
#[must_use]
pub fn refuse() -> String {
    Element::new("Response").holding(&Element::new("Reject").with("reason", "busy")).document()
}

/// Hands the call to a number, or to an address of SIP.
#[must_use]
pub fn dial(to: &str, from: Option<&str>, timeout_s: u64) -> String {
    let noun = if to.starts_with("sip:") || to.starts_with("sips:") { "Sip" } else { "Number" };
    let mut dial = Element::new("Dial").with("timeout", &timeout_s.to_string());
    if let Some(from) = from {
        dial = dial.with("callerId", from);
    }
    Element::new("Response").holding(&dial.holding(&Element::new(noun).text(to))).document()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_is_connected_with_its_parameters() {
        assert_eq!(
            connect("wss://a.example/media", &[("token", "x1"), ("from", "\"Ann\" <&>")]),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Connect><Stream url=\"wss://a.example/media\">\
             <Parameter name=\"token\" value=\"x1\"/><Parameter name=\"from\" value=\"&quot;Ann&quot; &lt;&amp;&gt;\"/>\
             </Stream></Connect></Response>"
        );
    }

    #[test]
    fn nobody_writes_markup_into_it() {
        let hostile = "</Number></Dial><Dial>+900123</Dial>";
        let written = dial(hostile, Some("\"/><Hangup x=\""), 20);
        assert_eq!(written.matches('<').count(), 7, "{written}");
        assert!(written.contains("&lt;/Number&gt;") && !written.contains("<Hangup"), "{written}");
        assert!(dial("sip:a@b", None, 20).contains("<Sip>sip:a@b</Sip>"));
        assert!(refuse().ends_with("<Response><Reject reason=\"busy\"/></Response>"));
    }

    proptest! {
        #[test]
        fn any_text_stays_text(text in any::<String>()) {
            let inner = escaped(&text);
            prop_assert!(!inner.contains(['<', '>', '"', '\'']));
            prop_assert!(inner.chars().all(|c| c >= ' '));
            // An element without text is written in one tag.
            let tags = if inner.is_empty() { 6 } else { 7 };
            prop_assert_eq!(dial(&text, Some(&text), 1).matches('<').count(), tags);
        }
    }
}

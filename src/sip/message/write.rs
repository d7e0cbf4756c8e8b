//! The writer. Purpose: messages that no peer can misread; values cannot break out of their line. Content-Length is
//! always written.

use super::text::Method;

/// Builds one message.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Starts a request.
    #[must_use]
    pub fn request(method: &Method, uri: &[u8]) -> Self {
        let mut writer = Self { out: Vec::with_capacity(1024) };
        writer.out.extend_from_slice(method.as_bytes());
        writer.out.push(b' ');
        writer.clean(uri);
        writer.out.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// Starts a response.
    #[must_use]
    pub fn status(code: u16, reason: &str) -> Self {
        let mut writer = Self { out: Vec::with_capacity(1024) };
        writer.out.extend_from_slice(format!("SIP/2.0 {code} ").as_bytes());
        writer.clean(reason.as_bytes());
        writer.out.extend_from_slice(b"\r\n");
        writer
    }

    /// Adds a header field. CR, LF and NUL in the value become blanks.
    pub fn header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.clean(name.as_ref());
        self.out.extend_from_slice(b": ");
        self.clean(value.as_ref());
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the header section and adds the body.
    #[must_use]
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Vec<u8> {
        if let Some((content_type, _)) = body {
            self.header("Content-Type", content_type);
        }
        let octets = body.map_or(&b""[..], |(_, octets)| octets);
        self.header("Content-Length", octets.len().to_string());
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(octets);
        self.out
    }

    fn clean(&mut self, octets: &[u8]) {
        self.out.extend(octets.iter().map(|&b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b }));
    }
}

/// The usual reason phrase of a status code (RFC 3261 §21, and the registry that follows it).
#[must_use]
pub const fn reason_phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        417 => "Unknown Resource-Priority",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        428 => "Use Identity Header",
        433 => "Anonymity Disallowed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => "Response",
    }
}

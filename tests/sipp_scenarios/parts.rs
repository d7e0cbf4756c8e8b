//! What scenarios have in common, written in them as `@{name arguments}`. Those for SIPp as caller: `call`, `open`, `invite`,
//! `in`, `reinvite`, `ack`, `nack`, `cancel`, `bye`; as called: `take`, `answer`, `early`, `accept`, `again`, `own`, `hang_up`,
//! `ended`; for both: `provisional`, `recv`, `reply`, `sdp`, `description`, `octet`.

const FROM: &str = "\"Sipp\" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]t[call_number]";
const TO: &str = "<sip:[service]@[remote_ip]:[remote_port]>";
const CONTACT: &str = "Contact: <sip:sipp@[local_ip]:[local_port]>";
const VIA: &str = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70";

/// The scenario as SIPp reads it.
pub(crate) fn whole(text: &str) -> Vec<u8> {
    let text = expanded(text);
    let mut variables: Vec<&str> =
        text.split("assign_to=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    variables.sort_unstable();
    variables.dedup();
    let text = if variables.is_empty() {
        text
    } else {
        text.replace("</scenario>", &format!("<Reference variables=\"{}\"/>\n</scenario>", variables.join(",")))
    };
    // Beyond ASCII there are only the octets that `octet` wrote.
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect()
}

fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        out.push_str(before);
        let (inside, after) = after.split_once('}').expect("a part ends with a brace");
        let (name, arguments) = inside.split_once(' ').unwrap_or((inside, ""));
        out.push_str(&expanded(&part(name, arguments)));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn send(message: &str, repeats: bool) -> String {
    let retrans = if repeats { " retrans=\"500\"" } else { "" };
    format!("<send{retrans}><![CDATA[\n{message}\n]]></send>")
}

fn response(status: &str, tag: &str, rest: &str) -> String {
    format!("SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n{rest}")
}

const OUR_TAG: &str = ";tag=[pid]u[call_number]";
const EMPTY: &str = "Content-Length: 0\n";

fn part(name: &str, arguments: &str) -> String {
    let (first, others) = arguments.split_once(' ').unwrap_or((arguments, ""));
    match name {
        "description" => format!(
            "v=0\no=sipp 1 {first} IN IP4 [media_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [audio] RTP/AVP 0 101\n\
             a=rtpmap:101 telephone-event/8000\na={others}"
        ),
        "sdp" => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n@{{description {arguments}}}"),
        "octet" => char::from(u8::from_str_radix(first, 16).expect("an octet")).to_string(),
        "provisional" => {
            [100, 180, 183].map(|code| format!("<recv response=\"{code}\" optional=\"true\"/>\n")).concat()
        }
        "recv" => {
            let check = |place: &str, regexp: &str| {
                let regexp = regexp.replace('"', "&quot;").replace('<', "&lt;");
                format!("<action><ereg regexp=\"{regexp}\" {place} check_it=\"true\" assign_to=\"9\"/></action>")
            };
            let action = match others.split_once(' ') {
                Some(("body", regexp)) => check("search_in=\"body\"", regexp),
                Some(("hdr", rest)) => {
                    let (header, regexp) = rest.split_once(' ').expect("a header and what it must say");
                    check(&format!("search_in=\"hdr\" header=\"{header}\""), regexp)
                }
                _ => String::new(),
            };
            let routes = if first.starts_with('2') { " rrs=\"true\"" } else { "" };
            format!("<recv response=\"{first}\"{routes}>{action}</recv>")
        }
        "invite" => format!(
            "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{VIA}\nFrom: {FROM}\nTo: {TO}\nCall-ID: [call_id]\n\
             CSeq: {first} INVITE\n{CONTACT}"
        ),
        "in" => format!(
            "{first} [next_url] SIP/2.0\n{VIA}\nFrom: {FROM}\nTo: {TO}[peer_tag_param]\n[routes]\nCall-ID: [call_id]\n\
             CSeq: {others} {first}\n{CONTACT}"
        ),
        "open" => format!("{}\n@{{provisional}}", send(&format!("@{{invite {first}}}\n@{{sdp 1 sendrecv}}"), true)),
        "call" => "@{open 1}\n@{recv 200}\n@{ack 1}".to_owned(),
        "reinvite" => {
            format!("{}\n@{{provisional}}", send(&format!("@{{in INVITE {first}}}\n@{{sdp {others}}}"), true))
        }
        "ack" => {
            let body = if others.is_empty() { EMPTY.to_owned() } else { format!("@{{{others}}}") };
            send(&format!("@{{in ACK {first}}}\n{body}"), false)
        }
        "nack" => send(
            &format!(
                "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\nMax-Forwards: 70\nFrom: {FROM}\n[last_To:]\n\
                 Call-ID: [call_id]\nCSeq: {first} ACK\n{EMPTY}"
            ),
            false,
        ),
        "cancel" => {
            let request = |method: &str, via: &str, to: &str| {
                format!(
                    "{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{via}\nFrom: {FROM}\n{to}\nCall-ID: [call_id]\n\
                     CSeq: 1 {method}\n{EMPTY}"
                )
            };
            let cancel = request("CANCEL", "[last_Via:]\nMax-Forwards: 70", &format!("To: {TO}"));
            let ack = request("ACK", VIA, "[last_To:]");
            format!(
                "<send start_txn=\"cancel\"><![CDATA[\n{cancel}\n]]></send>\n<recv response=\"180\" response_txn=\"invite\" optional=\"true\"/>\n\
                 <recv response=\"200\" response_txn=\"cancel\"/>\n<recv response=\"487\" response_txn=\"invite\"/>\n\
                 <send ack_txn=\"invite\"><![CDATA[\n{ack}\n]]></send>"
            )
        }
        "bye" => format!("{}\n@{{recv 200}}", send(&format!("@{{in BYE {first}}}\n{EMPTY}"), true)),
        "take" => {
            let keep = |header: &str, regexp: &str, number: u8| {
                format!(
                    "<ereg regexp=\"{regexp}\" search_in=\"hdr\" header=\"{header}\" check_it=\"true\" assign_to=\"{number}\"/>"
                )
            };
            let all = [
                keep("Via:", ".+", 2),
                keep("From:", ".+", 3),
                keep("To:", ".+", 4),
                keep("Contact:", "sip:[^&gt;]+", 5),
            ];
            format!(
                "<recv request=\"INVITE\" rrs=\"true\"><action>{}</action></recv>\n{}",
                all.concat(),
                send(&response("100 Trying", "", EMPTY), false)
            )
        }
        "answer" => send(&response(arguments, OUR_TAG, &format!("{CONTACT}\n{EMPTY}")), false),
        "early" => send(&response(arguments, OUR_TAG, &format!("{CONTACT}\n@{{sdp 1 sendrecv}}")), false),
        "accept" => send(&response("200 OK", OUR_TAG, &format!("{CONTACT}\n@{{sdp {arguments}}}")), true),
        "again" => send(
            &format!(
                "SIP/2.0 200 OK\nVia: [$2]\nFrom: [$3]\nTo: [$4]{OUR_TAG}\nCall-ID: [call_id]\nCSeq: 1 INVITE\n{CONTACT}\n@{{sdp 1 sendrecv}}"
            ),
            false,
        ),
        "reply" => send(&response(arguments, "", EMPTY), false),
        "own" => format!(
            "{first} [$5] SIP/2.0\n{VIA}\nFrom: [$4]{OUR_TAG}\nTo: [$3]\nCall-ID: [call_id]\nCSeq: {others} {first}\n{CONTACT}"
        ),
        "hang_up" => format!("{}\n@{{recv 200}}", send(&format!("@{{own BYE {first}}}\n{EMPTY}"), true)),
        "ended" => "<recv request=\"BYE\" timeout=\"9000\"/>\n@{reply 200 OK}".to_owned(),
        other => panic!("there is no part {other}"),
    }
}

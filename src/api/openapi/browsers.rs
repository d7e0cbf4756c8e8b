//! The same for browsers: calls from them and to them. Data only.

use super::docs::{Answer, Content, Doc, Kind, Parameter, Place};

pub(super) const BROWSERS: &[Doc] = &[
    Doc {
        method: "GET",
        path: "/v1/webrtc",
        summary: "What a page needs to know before it calls: ice_servers (as RTCPeerConnection takes them; that of [webrtc.turn] with a name and password that end after its ttl_s), ice_transport_policy, codecs, and with the token phones: the numbers of [webrtc] phones, at which it may wait for calls",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "Facts", Content::Json("Anything"))],
    },
    Doc {
        method: "OPTIONS",
        path: "/v1/webrtc",
        summary: "Whether a page of another origin may call (CORS); needs no token",
        parameters: &[],
        body: None,
        answers: &[Answer(204, "The page may ask, or is one of ours", Content::Empty)],
    },
    Doc {
        method: "POST",
        path: "/v1/webrtc",
        summary: "Call from a browser (WHIP, RFC 9725): the body is an SDP offer (application/sdp) with one audio line. Answered as soon as the call is, or as soon as there is something to hear. 503 with Retry-After when there is no room",
        parameters: &[
            Parameter {
                place: Place::Query,
                name: "to",
                kind: Kind::Text,
                text: "The number, routed as that of a SIP call; [webrtc] number unless said",
            },
            Parameter {
                place: Place::Query,
                name: "answer",
                kind: Kind::Text,
                text: "In place of to: takes this call, which rings at /v1/webrtc/phones/{number}",
            },
        ],
        body: None,
        answers: &[
            Answer(201, "The SDP answer; Location is the call, ETag its ICE session", Content::Text("application/sdp")),
            Answer(404, "Nobody is at the number, or the call does not ring any more", Content::Problem),
            Answer(409, "Another page takes the call", Content::Problem),
            Answer(415, "The body is no application/sdp", Content::Problem),
            Answer(
                422,
                "The offer has no audio that is spoken here; sip_code is what a telephone would have heard",
                Content::Problem,
            ),
        ],
    },
    Doc {
        method: "DELETE",
        path: "/v1/webrtc/{id}",
        summary: "Hang up a browser's call, or decline one that rings",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_… of Location" }],
        body: None,
        answers: &[Answer(200, "It ends", Content::Empty), Answer(404, "There is no such call", Content::Problem)],
    },
    Doc {
        method: "OPTIONS",
        path: "/v1/webrtc/{id}",
        summary: "Whether a page of another origin may ask (CORS); needs no token",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_… of Location" }],
        body: None,
        answers: &[Answer(204, "The page may ask, or is one of ours", Content::Empty)],
    },
    Doc {
        method: "PATCH",
        path: "/v1/webrtc/{id}",
        summary: "Candidates, or an ICE restart from another network (application/trickle-ice-sdpfrag, RFC 8840); If-Match tells the ICE session that is meant",
        parameters: &[
            Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_… of Location" },
            Parameter { place: Place::Header, name: "If-Match", kind: Kind::Text, text: "ETag of the session, or *" },
        ],
        body: None,
        answers: &[
            Answer(
                200,
                "Restarted: our new name and password; ETag is new",
                Content::Text("application/trickle-ice-sdpfrag"),
            ),
            Answer(204, "Taken note of", Content::Empty),
            Answer(412, "The session that is meant is over", Content::Problem),
            Answer(428, "If-Match does not say which session is meant", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/webrtc/{id}/events",
        summary: "What happens on a browser's call and in its conversation, from its beginning: server-sent events or a WebSocket (as /v1/events), ending with the call",
        parameters: &[
            Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_… of Location" },
            Parameter { place: Place::Query, name: "after", kind: Kind::Text, text: "A position or an event's id" },
        ],
        body: None,
        answers: &[
            Answer(101, "A WebSocket from here on: one text message an event", Content::Json("Event")),
            Answer(200, "Events", Content::Events),
        ],
    },
    Doc {
        method: "OPTIONS",
        path: "/v1/webrtc/{id}/events",
        summary: "Whether a page of another origin may follow (CORS); needs no token",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_… of Location" }],
        body: None,
        answers: &[Answer(204, "The page may ask, or is one of ours", Content::Empty)],
    },
    Doc {
        method: "GET",
        path: "/v1/webrtc/phones/{number}",
        summary: "A page waits for calls to this number of [[extensions]] or [webrtc] phones, for as long as the stream is open. Server-sent events: waiting; ring (id, number, from, name); stop (id, why: answered, declined or missed). A call that rings is taken by POST /v1/webrtc?answer={id} and declined by DELETE /v1/webrtc/{id}",
        parameters: &[Parameter { place: Place::Path, name: "number", kind: Kind::Text, text: "The number" }],
        body: None,
        answers: &[
            Answer(200, "What rings", Content::Events),
            Answer(404, "It is nobody's number", Content::Problem),
            Answer(503, "Enough pages wait already", Content::Problem),
        ],
    },
    Doc {
        method: "OPTIONS",
        path: "/v1/webrtc/phones/{number}",
        summary: "Whether a page of another origin may wait (CORS); needs no token",
        parameters: &[Parameter { place: Place::Path, name: "number", kind: Kind::Text, text: "The number" }],
        body: None,
        answers: &[Answer(204, "The page may ask, or is one of ours", Content::Empty)],
    },
];

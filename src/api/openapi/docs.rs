//! What each route is for, takes and answers: one entry for every row of the route table, as a test holds. Data only.

/// One route.
pub(super) struct Doc {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Name of the schema of what it takes.
    pub(super) body: Option<&'static str>,
    /// Beside the problem that any route may answer with.
    pub(super) answers: &'static [Answer],
}

/// One parameter.
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) text: &'static str,
}

/// Where a parameter stands.
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter is.
pub(super) enum Kind {
    Text,
    Integer,
}

/// Status, when it is given, and what comes with it.
pub(super) struct Answer(pub(super) u16, pub(super) &'static str, pub(super) Content);

/// What comes with an answer.
pub(super) enum Content {
    Empty,
    /// By the name of its schema.
    Json(&'static str),
    Problem,
    Events,
    /// Of this type.
    Text(&'static str),
    /// Of one of these types.
    Octets(&'static [&'static str]),
}

pub(super) const DOCS: &[Doc] = &[
    Doc {
        method: "GET",
        path: "/",
        summary: "Status page: calls, live transcript, builds, apps",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "HTML", Content::Text("text/html"))],
    },
    Doc {
        method: "GET",
        path: "/health",
        summary: "How the daemon does: version, engines, the certificate of HTTPS, scheduling, subsystems",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "Health", Content::Json("Health"))],
    },
    Doc {
        method: "GET",
        path: "/health/live",
        summary: "The process answers",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "Alive", Content::Json("Anything"))],
    },
    Doc {
        method: "GET",
        path: "/health/ready",
        summary: "Calls can be taken",
        parameters: &[],
        body: None,
        answers: &[
            Answer(200, "Ready", Content::Json("Anything")),
            Answer(503, "Not ready; lists the parts that are not well", Content::Empty),
        ],
    },
    Doc {
        method: "GET",
        path: "/metrics",
        summary: "All metrics, Prometheus text format",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "Metrics", Content::Text("text/plain"))],
    },
    Doc {
        method: "GET",
        path: "/openapi.json",
        summary: "This description",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "OpenAPI 3.1", Content::Json("Anything"))],
    },
    Doc {
        method: "GET",
        path: "/page.css",
        summary: "Style of the status page",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "CSS", Content::Text("text/css"))],
    },
    Doc {
        method: "GET",
        path: "/page.js",
        summary: "Script of the status page",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "JavaScript", Content::Text("text/javascript"))],
    },
    Doc {
        method: "GET",
        path: "/stream",
        summary: "Speech in, words out, over a WebSocket. Binary messages carry audio: PCM (16 bit, little-endian, one channel) or one bare Opus packet each; what it is stands in the query or in a first text message of the same names. Messages back are StreamWords, final ones at the end of each utterance, and StreamNotice. The text message {\"type\":\"end\"} flushes and closes. Everything is heard at 8 kHz. Pages of other origins are refused",
        parameters: &[
            Parameter { place: Place::Query, name: "format", kind: Kind::Text, text: "pcm, unless said, or opus" },
            Parameter { place: Place::Query, name: "sample_rate", kind: Kind::Text, text: "Of PCM" },
            Parameter {
                place: Place::Query,
                name: "agent",
                kind: Kind::Text,
                text: "Whose recogniser hears it; the first agent's by default",
            },
        ],
        body: None,
        answers: &[Answer(101, "The connection is a WebSocket from here on", Content::Json("StreamMessage"))],
    },
    Doc {
        method: "GET",
        path: "/v1/apps",
        summary: "Deployed apps with their measured traffic",
        parameters: &[],
        body: None,
        answers: &[Answer(200, "Apps", Content::Json("AppList"))],
    },
    Doc {
        method: "DELETE",
        path: "/v1/apps/{name}",
        summary: "Take an app away; its files are kept aside in `deleted/` of the data directory",
        parameters: &[Parameter { place: Place::Path, name: "name", kind: Kind::Text, text: "The app's `slug`" }],
        body: None,
        answers: &[
            Answer(204, "It is gone", Content::Empty),
            Answer(404, "There is no app of that name", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/apps/{name}/rollback",
        summary: "Bring the version before the live one back",
        parameters: &[
            Parameter { place: Place::Path, name: "name", kind: Kind::Text, text: "The app's `slug`" },
            Parameter {
                place: Place::Query,
                name: "lose_data",
                kind: Kind::Text,
                text: "`true`: also where the version before does not know the data of today, so that those of its own time come \
                       back; today's are kept as a file",
            },
        ],
        body: None,
        answers: &[
            Answer(200, "The app as it is live now", Content::Json("App")),
            Answer(404, "No such app is live", Content::Problem),
            Answer(409, "It is the first version, or data would be lost (`loses_data`)", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/apps/{name}/facts",
        summary: "The figures that the agent says on the phone",
        parameters: &[Parameter {
            place: Place::Path,
            name: "name",
            kind: Kind::Text,
            text: "name as people say it, e.g. crm",
        }],
        body: None,
        answers: &[Answer(200, "Facts", Content::Json("AppFacts"))],
    },
    Doc {
        method: "GET",
        path: "/v1/builds",
        summary: "Builds, newest first",
        parameters: &[
            Parameter { place: Place::Query, name: "before", kind: Kind::Integer, text: "`next` of the page before" },
            Parameter {
                place: Place::Query,
                name: "limit",
                kind: Kind::Integer,
                text: "rows, 1 to 200; 50 unless said",
            },
        ],
        body: None,
        answers: &[Answer(200, "Page of builds", Content::Json("BuildPage"))],
    },
    Doc {
        method: "POST",
        path: "/v1/builds",
        summary: "Ask for a build; the same key or manifest again answers with the same build",
        parameters: &[Parameter {
            place: Place::Header,
            name: "Idempotency-Key",
            kind: Kind::Text,
            text: "repeats of a request carry the same key",
        }],
        body: Some("BuildManifest"),
        answers: &[
            Answer(200, "The build was known already", Content::Json("Build")),
            Answer(202, "The build waits in the queue", Content::Json("Build")),
            Answer(
                503,
                "Four builds are waiting (problem type `slow`), or the store is not writable",
                Content::Problem,
            ),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/builds/{id}/cancel",
        summary: "End a build that does not go live yet",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "The build's `id`" }],
        body: None,
        answers: &[
            Answer(200, "The build, which is over", Content::Json("Build")),
            Answer(404, "There is no such build", Content::Problem),
            Answer(409, "It is over already, or goes live at this moment", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/builds/{id}",
        summary: "One build with its manifest and spec",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "build_…" }],
        body: None,
        answers: &[Answer(200, "Build", Content::Json("Anything"))],
    },
    Doc {
        method: "GET",
        path: "/v1/calls",
        summary: "Calls that are up and call detail records, newest first",
        parameters: &[
            Parameter { place: Place::Query, name: "before", kind: Kind::Integer, text: "`next` of the page before" },
            Parameter {
                place: Place::Query,
                name: "limit",
                kind: Kind::Integer,
                text: "rows, 1 to 200; 50 unless said",
            },
        ],
        body: None,
        answers: &[Answer(200, "Page of calls", Content::Json("CallPage"))],
    },
    Doc {
        method: "POST",
        path: "/v1/calls",
        summary: "Places a call",
        parameters: &[Parameter {
            place: Place::Header,
            name: "Idempotency-Key",
            kind: Kind::Text,
            text: "Requests with the same key are one call",
        }],
        body: Some("Placing"),
        answers: &[
            Answer(202, "It is being placed", Content::Json("LiveCall")),
            Answer(200, "It was placed by an earlier request: the call, or its record", Content::Json("LiveOrEnded")),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "There can be no such call", Content::Problem),
            Answer(503, "No room; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/calls/{id}",
        summary: "One call detail record",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: None,
        answers: &[Answer(200, "Call", Content::Json("Call"))],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/answer",
        summary: "Answers a call that rings for the app manual",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Answering"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/bridge",
        summary: "Has calls hear each other, two or more",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Bridging"),
        answers: &[
            Answer(200, "They do", Content::Json("Room")),
            Answer(204, "It has left the room", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/digits",
        summary: "Presses keys",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Digits"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/calls/{id}/events",
        summary: "What happens on one call and in its conversation (SSE), until it has ended",
        parameters: &[
            Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" },
            Parameter { place: Place::Query, name: "after", kind: Kind::Text, text: "A position or an event's id" },
            Parameter {
                place: Place::Header,
                name: "Last-Event-ID",
                kind: Kind::Text,
                text: "The same, as browsers send it",
            },
        ],
        body: None,
        answers: &[Answer(200, "Events", Content::Events), Answer(404, "No such call", Content::Problem)],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/hangup",
        summary: "Ends a call, or refuses one that rings",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("HangingUp"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/hold",
        summary: "Puts the other side on hold",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Nothing"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/calls/{id}/ladder",
        summary: "The SIP messages of a call as text, secrets masked; while they are kept",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: None,
        answers: &[
            Answer(200, "Ladder, then every message", Content::Text("text/plain")),
            Answer(404, "No such call, or its messages are gone", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/calls/{id}/ladder.pcap",
        summary: "The same as a capture for Wireshark",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: None,
        answers: &[
            Answer(200, "Capture", Content::Octets(&["application/vnd.tcpdump.pcap"])),
            Answer(404, "No such call, or its messages are gone", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/play",
        summary: "Plays a file or a tone after what was asked before",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Playing"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(202, "It will be heard after what was asked before", Content::Json("Queued")),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/calls/{id}/recording",
        summary: "The sound of a call, also while it lasts: stereo, caller left, agent right",
        parameters: &[
            Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" },
            Parameter { place: Place::Header, name: "Range", kind: Kind::Text, text: "One range of bytes (RFC 9110)" },
        ],
        body: None,
        answers: &[
            Answer(200, "The whole file", Content::Octets(&["audio/wav", "audio/ogg"])),
            Answer(206, "The range asked for", Content::Octets(&["audio/wav", "audio/ogg"])),
            Answer(410, "It was deleted after its time", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/recording/pause",
        summary: "Keeps both sides out of a call's recording: the file is silent meanwhile",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: None,
        answers: &[
            Answer(204, "Nothing is recorded from now on", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is not recorded", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/recording/resume",
        summary: "Ends a pause of a call's recording; before the answer nothing is recorded either way",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: None,
        answers: &[
            Answer(204, "What is said from now on is recorded", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is not recorded", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/resume",
        summary: "Takes it back",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Nothing"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/say",
        summary: "Speaks: by the agent between its own sentences, or on a steered call at once",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Saying"),
        answers: &[
            Answer(204, "It has begun", Content::Empty),
            Answer(202, "It will be heard after what was asked before", Content::Json("Queued")),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "POST",
        path: "/v1/calls/{id}/transfer",
        summary: "Hands the caller to somebody else, who may be told something first; back to the agent when nobody takes the call",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "call_…" }],
        body: Some("Transferring"),
        answers: &[
            Answer(
                202,
                "The other side is being called; call.transfer tells how far that is",
                Content::Json("HandedOver"),
            ),
            Answer(404, "No such call is up", Content::Problem),
            Answer(409, "The call is in no state for that", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
            Answer(422, "The order makes no sense", Content::Problem),
            Answer(503, "Ours; retry later", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/conversations/{id}",
        summary: "One conversation with its turns",
        parameters: &[Parameter { place: Place::Path, name: "id", kind: Kind::Text, text: "id of the conversation" }],
        body: None,
        answers: &[Answer(200, "Conversation", Content::Json("Conversation"))],
    },
    Doc {
        method: "GET",
        path: "/v1/events",
        summary: "Everything that happens, as server-sent events: replay, then live",
        parameters: &[
            Parameter {
                place: Place::Query,
                name: "after",
                kind: Kind::Text,
                text: "position or id of the last event seen",
            },
            Parameter {
                place: Place::Header,
                name: "Last-Event-ID",
                kind: Kind::Text,
                text: "as `after`; sent by browsers when they reconnect",
            },
        ],
        body: None,
        answers: &[Answer(200, "Event stream; each data line is an Event", Content::Events)],
    },
    Doc {
        method: "GET",
        path: "/v1/messages",
        summary: "Messages that callers have left, newest first",
        parameters: &[
            Parameter { place: Place::Query, name: "before", kind: Kind::Integer, text: "`next` of the page before" },
            Parameter {
                place: Place::Query,
                name: "limit",
                kind: Kind::Integer,
                text: "rows, 1 to 200; 50 unless said",
            },
        ],
        body: None,
        answers: &[Answer(200, "Page of messages", Content::Json("MessagePage"))],
    },
    Doc {
        method: "POST",
        path: "/v1/reload",
        summary: "Reads the configuration again and puts routes, numbers, groups, agents' manners and the token in force; calls go on",
        parameters: &[],
        body: Some("Nothing"),
        answers: &[
            Answer(200, "What is in force now, and what waits for a restart", Content::Json("Sections")),
            Answer(409, "The file is at fault: nothing has changed", Content::Problem),
            Answer(415, "Send it as application/json", Content::Problem),
        ],
    },
    Doc {
        method: "GET",
        path: "/v1/trunks",
        summary: "How the trunks stand: where they are, whether we are registered there, what of them is in use",
        parameters: &[],
        body: None,
        answers: &[
            Answer(200, "Trunks", Content::Json("TrunkList")),
            Answer(503, "Signalling is shut down", Content::Problem),
        ],
    },
];

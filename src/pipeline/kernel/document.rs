//! Documents of any app: API description, requirements in plain words, deploy files. Pure text out of the spec.

use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::{Entity, Field, FieldKind, Spec};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(super) fn pretty(value: &impl Serialize) -> String {
    // Both documents are plain structs with string keys, which JSON can always hold.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// OpenAPI 3.1. One API is one path here.
pub(super) fn openapi(spec: &Spec, more: Map<String, Value>) -> String {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for entity in &spec.entities {
        let one = &entity.label_one.replace(' ', "");
        schemas.insert(one.clone(), record_schema(entity));
        schemas.insert(format!("{one}Values"), values_schema(entity));
        paths.insert(format!("/api/{}", entity.name), collection(entity));
        paths.insert(format!("/api/{}/{{id}}", entity.name), item(entity));
    }
    schemas.insert(
        "Error".to_owned(),
        json!({ "type": "object", "required": ["error"], "properties": { "error": { "type": "object",
                "required": ["code", "message"],
                "properties": { "code": { "type": "string" }, "message": { "type": "string" },
                                "fields": { "type": "object", "additionalProperties": { "type": "string" } } } } } }),
    );
    let summary = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    paths.insert(
        "/api/summary".to_owned(),
        json!({ "get": { "operationId": "readSummary", "summary": "Counts and sums over everything",
                         "responses": { "200": answer("Counts and sums", &summary) } } }),
    );
    paths.extend(more);
    pretty(&json!({
        "openapi": "3.1.0",
        "info": { "title": spec.title, "description": spec.description, "version": "1" },
        "paths": paths,
        "security": [{ "key": [] }],
        "components": { "schemas": schemas,
                        "securitySchemes": { "key": { "type": "http", "scheme": "bearer",
                            "description": "A key that an admin made under Settings" } } },
    }))
}

fn collection(entity: &Entity) -> Value {
    let (one, many) = (&entity.label_one, &entity.label);
    let mut parameters =
        vec![query("limit", "Records on a page", "integer"), query("cursor", "`next` of the page before", "string")];
    if !entity.search.is_empty() {
        parameters.insert(0, query("q", "Beginnings of words that the record holds", "string"));
    }
    let page = json!({ "type": "object", "required": ["items", "next"], "properties": {
        "items": { "type": "array", "items": reference(one) }, "next": { "type": ["string", "null"] } } });
    json!({
        "get": { "operationId": format!("list{}", many.replace(' ', "")), "summary": format!("List or search {}", many.to_lowercase()),
                 "parameters": parameters, "responses": { "200": answer("One page", &page), "400": error() } },
        "post": { "operationId": format!("create{}", one.replace(' ', "")), "summary": format!("Add a {}", one.to_lowercase()),
                  "requestBody": body(one),
                  "responses": { "201": answer("The new record", &reference(one)), "400": error(), "409": error(),
                                 "415": error(), "422": error() } },
    })
}

fn item(entity: &Entity) -> Value {
    let one = &entity.label_one;
    let lower = one.to_lowercase();
    let change = |verb: &str, says: &str| {
        json!({ "operationId": format!("{verb}{}", one.replace(' ', "")), "summary": format!("{says} a {lower}"), "requestBody": body(one),
                "responses": { "200": answer("The record", &reference(one)), "400": error(), "404": error(),
                               "409": error(), "415": error(), "422": error() } })
    };
    json!({
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }],
        "get": { "operationId": format!("read{}", one.replace(' ', "")), "summary": format!("Read a {lower}"),
                 "responses": { "200": answer("The record", &reference(one)), "404": error() } },
        "put": change("replace", "Replace"),
        "patch": change("change", "Change some values of"),
        "delete": { "operationId": format!("delete{}", one.replace(' ', "")), "summary": format!("Delete a {lower}"),
                    "responses": { "204": { "description": "Gone" }, "404": error(), "409": error() } },
    })
}

fn record_schema(entity: &Entity) -> Value {
    let mut properties = Map::from_iter([("id".to_owned(), json!({ "type": "integer" }))]);
    for f in &entity.fields {
        properties.insert(f.name.clone(), field_schema(f));
        if f.kind == FieldKind::Reference {
            let stem = f.name.strip_suffix("_id").unwrap_or(&f.name);
            properties.insert(format!("{stem}_title"), json!({ "type": ["string", "null"] }));
        }
    }
    if entity.board.is_some() {
        properties.insert("closed_at".to_owned(), json!({ "type": ["string", "null"], "format": "date-time" }));
    }
    for stamp in ["created_at", "updated_at"] {
        properties.insert(stamp.to_owned(), json!({ "type": "string", "format": "date-time" }));
    }
    json!({ "type": "object", "properties": properties })
}

fn values_schema(entity: &Entity) -> Value {
    let properties: Map<_, _> = entity.fields.iter().map(|f| (f.name.clone(), field_schema(f))).collect();
    let has_default = |f: &&Field| f.required && f.kind != FieldKind::Choice;
    let required: Vec<_> = entity.fields.iter().filter(has_default).map(|f| &f.name).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "x-required-to-create": required })
}

fn field_schema(f: &Field) -> Value {
    match f.kind {
        FieldKind::Choice => {
            json!({ "type": "string", "enum": f.choices.iter().map(|c| &c.value).collect::<Vec<_>>() })
        }
        FieldKind::Date => json!({ "type": ["string", "null"], "format": "date" }),
        FieldKind::Money => json!({ "type": "integer", "minimum": 0, "description": "Hundredths of the currency" }),
        FieldKind::Reference => {
            json!({ "type": "integer", "description": format!("Id of a {}", f.label.to_lowercase()) })
        }
        FieldKind::Number => json!({ "type": "integer", "minimum": 0 }),
        FieldKind::Decimal => json!({ "type": "number" }),
        FieldKind::Slug => json!({ "type": "string", "pattern": "^[a-z0-9-]*$", "maxLength": 80 }),
        FieldKind::Email | FieldKind::LongText | FieldKind::Phone | FieldKind::Text => {
            json!({ "type": "string", "maxLength": f.chars_max })
        }
    }
}

fn query(name: &str, says: &str, kind: &str) -> Value {
    json!({ "name": name, "in": "query", "description": says, "schema": { "type": kind } })
}

fn reference(name: &str) -> Value {
    let name = name.replace(' ', "");
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn body(one: &str) -> Value {
    let one = one.replace(' ', "");
    json!({ "required": true, "content": { "application/json": { "schema": reference(&format!("{one}Values")) } } })
}

fn answer(says: &str, schema: &Value) -> Value {
    json!({ "description": says, "content": { "application/json": { "schema": schema } } })
}

fn error() -> Value {
    answer("Refused, with the reason", &reference("Error"))
}

/// What was asked and what will be there, for people.
pub(super) fn requirements(spec: &Spec, manifest: &BuildManifest) -> String {
    let mut text = format!("# {}\n\n{}\n\n## Asked for\n\n", spec.title, spec.description);
    let line = |items: &[String]| if items.is_empty() { "nothing named".to_owned() } else { items.join(", ") };
    text += &format!("- Features: {}\n", line(&manifest.features));
    text += &format!("- Technology: {}\n", line(&manifest.tech_stack));
    text += &format!("- Other systems: {}\n", line(&manifest.integrations));
    for (name, value) in &manifest.constraints {
        text += &format!("- {name}: {}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    text += "\n## Built\n\n";
    for entity in &spec.entities {
        let fields: Vec<_> = entity.fields.iter().map(|f| f.label.to_lowercase()).collect();
        text += &format!("- {}: {}\n", entity.label, fields.join(", "));
    }
    text += &format!("- JSON: {} APIs (one per path), described in openapi.json\n", spec.api.len());
    text += "\n## Tested before it goes live\n\n";
    for test in &spec.tests {
        text += &format!("- {}\n", test.name);
    }
    if !spec.open_points.is_empty() {
        text += "\n## Left open\n\n";
        for point in &spec.open_points {
            text += &format!("- {}: {}\n", point.feature, point.say);
        }
    }
    if !spec.questions.is_empty() {
        text += "\n## To be asked\n\n";
        for question in &spec.questions {
            text += &format!("- {question}\n");
        }
    }
    text += "\n## Ways through\n\n";
    for flow in &spec.flows {
        text += &format!("- {}: {}\n", flow.name, flow.steps.join(", then "));
    }
    text += "\n## Who may do what\n\n- Viewers read, staff change records, admins manage accounts, keys and webhooks.\n- The \
             first account is made at /setup with the code that was given out with the address.\n";
    text
}

pub(super) fn dockerfile(spec: &Spec) -> String {
    format!(
        "# Expects the callwright binary beside this file: cp /usr/bin/callwright deploy/ && docker build -f \
         deploy/Dockerfile -t {slug} .\nFROM debian:12-slim\nCOPY deploy/callwright /usr/bin/callwright\nCOPY . \
         /srv/bundle\nRUN install -d -o 65534 -g 65534 /srv/data\nUSER 65534:65534\nVOLUME /srv/data\nEXPOSE \
         8080\nENTRYPOINT [\"/usr/bin/callwright\", \"apphost\", \"--bundle\", \"/srv/bundle\", \"--data\", \"/srv/data\", \
         \"--listen\", \"0.0.0.0:8080\"]\n",
        slug = spec.slug
    )
}

pub(super) fn compose(spec: &Spec) -> String {
    format!(
        "services:\n  {slug}:\n    build:\n      context: ..\n      dockerfile: deploy/Dockerfile\n    ports:\n      - \
         \"127.0.0.1:8080:8080\"\n    volumes:\n      - data:/srv/data\n    read_only: true\n    cap_drop: [ALL]\n    \
         security_opt: [\"no-new-privileges:true\"]\n    restart: unless-stopped\nvolumes:\n  data: {{}}\n",
        slug = spec.slug
    )
}

/// The `.service` and the `.socket` file for systemd.
pub(super) fn units(spec: &Spec) -> [String; 2] {
    let (slug, title) = (&spec.slug, spec.title.replace(['\n', '%'], " "));
    let service = format!(
        "[Unit]\nDescription={title}\nRequires={slug}.socket\nAfter={slug}.socket\n\n[Service]\nExecStart=/usr/bin/callwright \
         apphost --bundle /usr/share/{slug} --data /var/lib/{slug} --socket-fd 3\nStateDirectory={slug}\nStateDirectoryMode=\
         0700\nDynamicUser=yes\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n\
         PrivateDevices=yes\nCapabilityBoundingSet=\nRestrictNamespaces=yes\nMemoryMax=512M\nTasksMax=4\n"
    );
    let socket = format!(
        "[Unit]\nDescription={title}, listening\n\n[Socket]\nListenStream=127.0.0.1:8080\n\n[Install]\nWantedBy=sockets.target\n"
    );
    [service, socket]
}

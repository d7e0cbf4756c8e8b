//! The website's template and packs: pages, blog, contact form, bookings. Pure.

use super::compose::{flow, include, test};
use super::entity::{choice, entity, field, page, person};
use super::{Entity, FieldKind, PageKind, Spec};

pub(super) fn add(spec: &mut Spec) {
    spec.pages.push(page("/manage", "Overview", PageKind::Overview, None));
    let mut entities = vec![pages()];
    spec.tests.push(test("a page shows only once it is published, in order, made safe"));
    flow(spec, "A visitor looks around", &["GET /", "GET /{slug}", "GET /find?q="]);
    flow(spec, "Staff writes a page", &["GET /pages/new", "POST /pages", "GET /{slug}"]);
    if spec.has("blog") {
        entities.push(posts());
        spec.tests.push(test("the blog shows what is published, the newest first"));
        flow(spec, "A visitor reads the blog", &["GET /blog", "GET /blog/{slug}"]);
    }
    if spec.has("contact_form") {
        entities.push(enquiries());
        spec.tests.push(test("a visitor writes to us"));
        flow(spec, "A visitor writes to us", &["GET /contact", "POST /contact", "GET /thanks", "GET /enquiries"]);
    }
    if spec.has("booking") {
        entities.push(bookings());
        spec.tests.push(test("a visitor books a time that is free"));
        flow(spec, "A visitor books", &["GET /book", "POST /book", "GET /thanks", "GET /bookings"]);
    }
    include(spec, entities);
}

fn status() -> super::Field {
    choice("status", "Status", &[("draft", "Draft", false), ("published", "Published", false)])
}

fn pages() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("slug", "Address", FieldKind::Slug).listed().hinted("Left empty, it is made of the title."),
        field("summary", "Summary", FieldKind::Text).long(240).hinted("One sentence under the title and in lists."),
        field("body", "Text", FieldKind::LongText)
            .long(20_000)
            .hinted("Blank lines part paragraphs. ## Heading, - list, **strong**, [words](https://example.com)."),
        field("position", "Position", FieldKind::Number).listed().hinted("Pages stand in the menu by this number."),
        status(),
    ];
    entity("pages", "page", "Pages", "Page", fields).found_by(&["title", "summary", "body"])
}

fn posts() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("slug", "Address", FieldKind::Slug).hinted("Left empty, it is made of the title."),
        field("summary", "Summary", FieldKind::Text).long(240),
        field("body", "Text", FieldKind::LongText).long(20_000).hinted("Written like the text of a page."),
        field("published_on", "Published on", FieldKind::Date).listed(),
        status(),
    ];
    entity("posts", "post", "Posts", "Post", fields).found_by(&["title", "summary", "body"])
}

fn enquiries() -> Entity {
    let mut fields = person();
    fields.push(field("message", "Message", FieldKind::LongText).needed());
    fields.push(choice(
        "status",
        "Status",
        &[("new", "New", false), ("working", "In progress", false), ("answered", "Answered", true)],
    ));
    entity("enquiries", "enquiry", "Enquiries", "Enquiry", fields)
        .found_by(&["name", "email", "message"])
        .on_board("status")
}

fn bookings() -> Entity {
    let times = [
        ("09_00", "09:00"),
        ("10_00", "10:00"),
        ("11_00", "11:00"),
        ("12_00", "12:00"),
        ("13_00", "13:00"),
        ("14_00", "14:00"),
        ("15_00", "15:00"),
        ("16_00", "16:00"),
        ("17_00", "17:00"),
        ("18_00", "18:00"),
        ("19_00", "19:00"),
        ("20_00", "20:00"),
    ]
    .map(|(value, label)| (value, label, false));
    let mut fields = person();
    fields.push(field("day", "Day", FieldKind::Date).needed().listed());
    fields.push(choice("at", "Time", &times));
    fields.push(field("people", "People", FieldKind::Number).listed());
    fields.push(field("message", "Message", FieldKind::LongText));
    fields.push(choice(
        "status",
        "Status",
        &[
            ("requested", "Requested", false),
            ("confirmed", "Confirmed", false),
            ("done", "Done", true),
            ("declined", "Declined", true),
        ],
    ));
    entity("bookings", "booking", "Bookings", "Booking", fields).found_by(&["name", "email"]).on_board("status")
}

//! The REST API's template: resources by name, keys, limits, documentation. Pure.

use super::compose::{flow, include, test};
use super::entity::{choice, entity, field, page, reference};
use super::{Entity, FieldKind, OnDelete, PageKind, Spec};

/// What a pack adds.
type Maker = fn() -> Entity;

pub(super) fn add(spec: &mut Spec) {
    spec.pages.push(page("/manage", "Overview", PageKind::Overview, None));
    let table: [(&str, Maker); 7] = [
        ("items", items),
        ("customers", customers),
        ("products", products),
        ("orders", orders),
        ("tasks", tasks),
        ("events", events),
        ("articles", articles),
    ];
    let mut entities: Vec<Entity> = table.iter().filter(|(pack, _)| spec.has(pack)).map(|(_, make)| make()).collect();
    // An order is somebody's.
    if spec.has("orders") && !spec.has("customers") {
        entities.insert(0, customers());
    }
    if entities.is_empty() {
        entities.push(items());
    }
    spec.tests.push(test("the documentation names every path and every field"));
    spec.tests.push(test("a program reads, writes and is told what was wrong"));
    flow(
        spec,
        "A program uses the API",
        &["GET /", "GET /openapi.json", "GET /api/{resource}", "POST /api/{resource}"],
    );
    flow(spec, "An admin gives out a key", &["GET /settings", "POST /settings/keys"]);
    include(spec, entities);
}

fn items() -> Entity {
    let fields = vec![
        field("name", "Name", FieldKind::Text).needed().listed(),
        field("description", "Description", FieldKind::LongText),
        field("amount", "Amount", FieldKind::Decimal).listed(),
        choice("status", "Status", &[("active", "Active", false), ("archived", "Archived", false)]),
    ];
    entity("items", "item", "Items", "Item", fields).found_by(&["name", "description"])
}

fn customers() -> Entity {
    let fields = vec![
        field("name", "Name", FieldKind::Text).needed().listed(),
        field("company", "Company", FieldKind::Text).listed(),
        field("email", "E-mail", FieldKind::Email).single().listed(),
        field("phone", "Phone", FieldKind::Phone).listed(),
    ];
    entity("customers", "customer", "Customers", "Customer", fields).found_by(&["name", "company", "email"])
}

fn products() -> Entity {
    let fields = vec![
        field("name", "Name", FieldKind::Text).needed().listed(),
        field("code", "Code", FieldKind::Slug).listed().hinted("Left empty, it is made of the name."),
        field("description", "Description", FieldKind::LongText),
        field("price_cents", "Price", FieldKind::Money).listed(),
        field("stock", "In stock", FieldKind::Number).listed(),
    ];
    entity("products", "product", "Products", "Product", fields).found_by(&["name", "description"])
}

fn orders() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        reference("customer_id", "Customer", "customers", OnDelete::Restrict).listed(),
        field("total_cents", "Total", FieldKind::Money).listed(),
        field("due", "Due", FieldKind::Date).listed(),
        choice(
            "status",
            "Status",
            &[("new", "New", false), ("paid", "Paid", false), ("sent", "Sent", true), ("cancelled", "Cancelled", true)],
        ),
    ];
    entity("orders", "order", "Orders", "Order", fields).found_by(&["title"]).on_board("status")
}

fn tasks() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("description", "Description", FieldKind::LongText),
        field("due", "Due", FieldKind::Date).listed(),
        choice("status", "Status", &[("open", "Open", false), ("doing", "In progress", false), ("done", "Done", true)]),
    ];
    entity("tasks", "task", "Tasks", "Task", fields).found_by(&["title", "description"]).on_board("status")
}

fn events() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("place", "Place", FieldKind::Text).listed(),
        field("day", "Day", FieldKind::Date).needed().listed(),
        field("seats", "Seats", FieldKind::Number).listed(),
        field("description", "Description", FieldKind::LongText),
    ];
    entity("events", "event", "Events", "Event", fields).found_by(&["title", "place", "description"])
}

fn articles() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("slug", "Address", FieldKind::Slug).listed().hinted("Left empty, it is made of the title."),
        field("body", "Text", FieldKind::LongText).long(20_000),
        field("published_on", "Published on", FieldKind::Date).listed(),
        choice("status", "Status", &[("draft", "Draft", false), ("published", "Published", false)]),
    ];
    entity("articles", "article", "Articles", "Article", fields).found_by(&["title", "body"])
}

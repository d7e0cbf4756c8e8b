//! The online shop's template: products, basket, checkout, orders, stock, payment by a test gateway. Pure.

use super::compose::{flow, include, test};
use super::entity::{choice, endpoint, entity, field, page, person, reference};
use super::{Entity, FieldKind, OnDelete, PageKind, Spec};

pub(super) fn add(spec: &mut Spec) {
    spec.pages.push(page("/manage", "Overview", PageKind::Overview, None));
    let names = [
        "visitors see what is published, by category and by words",
        "the basket keeps what was put in it",
        "a checkout makes one order at the shop's own prices and takes the stock",
        "two buyers of the last item get exactly one order",
        "a payment is believed only when it is signed and the amount is right",
        "a cancelled order gives its stock back",
    ];
    spec.tests.extend(names.map(test));
    spec.api.push(endpoint("/api/payments/webhook", &["POST"], None));
    flow(
        spec,
        "A customer buys",
        &[
            "GET /",
            "GET /product/{slug}",
            "POST /basket/add",
            "GET /basket",
            "GET /checkout",
            "POST /checkout",
            "GET /pay/{slug}",
            "POST /pay/{slug}",
            "POST /api/payments/webhook",
            "GET /order/{slug}",
        ],
    );
    flow(spec, "Staff sends an order", &["GET /orders", "GET /orders/{id}", "POST /orders/{id}/move"]);
    include(spec, vec![products(), orders(), lines()]);
}

fn products() -> Entity {
    let fields = vec![
        field("title", "Title", FieldKind::Text).needed().listed(),
        field("slug", "Address", FieldKind::Slug).hinted("Left empty, it is made of the title."),
        field("category", "Category", FieldKind::Text).listed().long(60),
        field("summary", "Summary", FieldKind::Text).long(240),
        field("description", "Description", FieldKind::LongText).hinted("Blank lines part paragraphs. - makes a list."),
        field("price_cents", "Price", FieldKind::Money).listed(),
        field("stock", "In stock", FieldKind::Number).listed(),
        choice("status", "Status", &[("draft", "Draft", false), ("published", "Published", false)]),
    ];
    entity("products", "product", "Products", "Product", fields).found_by(&["title", "category", "summary"])
}

fn orders() -> Entity {
    let mut fields = vec![field("reference", "Reference", FieldKind::Text).single().hinted("Given by the shop.")];
    fields.extend(person());
    fields.push(field("address", "Address", FieldKind::LongText).needed().long(600).filled_by("street-address"));
    fields.push(field("total_cents", "Total", FieldKind::Money).listed());
    fields.push(choice(
        "payment",
        "Payment",
        &[("unpaid", "Unpaid", false), ("paid", "Paid", false), ("failed", "Failed", false)],
    ));
    fields.push(choice(
        "status",
        "Status",
        &[
            ("new", "New", false),
            ("paid", "To be sent", false),
            ("sent", "Sent", true),
            ("cancelled", "Cancelled", true),
        ],
    ));
    entity("orders", "order", "Orders", "Order", fields)
        .titled("name")
        .found_by(&["name", "email", "reference"])
        .on_board("status")
}

fn lines() -> Entity {
    let fields = vec![
        field("title", "Product", FieldKind::Text).needed().listed(),
        reference("order_id", "Order", "orders", OnDelete::Cascade),
        reference("product_id", "Product of the shop", "products", OnDelete::Restrict),
        field("quantity", "Quantity", FieldKind::Number).listed(),
        field("price_cents", "Price", FieldKind::Money).listed(),
    ];
    entity("order_lines", "order_line", "Order lines", "Order line", fields).within("order_id")
}

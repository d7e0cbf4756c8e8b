//! The online shop's kernel: catalogue, basket, checkout, orders, stock, payment by a test gateway. Pure.
//! Invariants: prices and totals are the shop's own, never the browser's; an order and its stock change in one transaction;
//! a payment counts only by a signed message with the right amount.

use super::frame::{Ask, Choice};
use super::parts::{Parts, closed, menu, page_of, public, submit, view};
use crate::apphost::bundle::{Files, Submit, Target, View};
use crate::apphost::currency_sign;
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::{CURRENCIES, Spec, currency_words};
use serde_json::json;

const VIEWS: [(&str, &str); 8] = [
    ("home", include_str!("shop/home.html")),
    ("goods", include_str!("shop/goods.html")),
    ("product", include_str!("shop/product.html")),
    ("basket", include_str!("shop/basket.html")),
    ("checkout", include_str!("shop/checkout.html")),
    ("pay", include_str!("shop/pay.html")),
    ("order", include_str!("shop/order.html")),
    ("manage", include_str!("shop/manage.html")),
];

/// A new shop whose order names no currency leaves open what prices are in; the spec's own holds without an answer. Nothing waits
/// for the answer: it changes no data.
pub(super) fn questions(manifest: &BuildManifest, spec: &Spec) -> Vec<Ask> {
    if manifest.constraints.contains_key("currency") || manifest.amends().is_some() {
        return Vec::new();
    }
    let usual = spec.currency.as_str();
    let others = CURRENCIES.iter().map(|(code, _)| *code).filter(|code| *code != usual);
    let choice = |code: &str| Choice { value: code.to_owned(), say: currency_words(code).to_owned() };
    let choices = std::iter::once(usual).chain(others).map(choice).collect();
    let question = "Which currency are your prices in?".to_owned();
    vec![Ask { ask_id: "currency".to_owned(), question, choices, default: usual.to_owned(), wait_s: 0 }]
}

/// Generates a shop.
#[must_use]
pub(super) fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let mut parts = Parts::of(spec);
    for (name, text) in VIEWS {
        parts.file(&format!("views/{name}.html"), text);
    }
    parts.file("views/_goods.html", include_str!("shop/_goods.html"));
    parts.questions(include_str!("shop/questions.sql"));
    parts.schema.push(("shop", include_str!("shop/shop.sql").to_owned()));
    // A file of its own: what data have seen already is not changed.
    parts.schema.push(("taken_again", include_str!("shop/taken_again.sql").to_owned()));
    // Written for dollars; the pages show the shop's own currency.
    let scenarios = include_str!("shop/shop.toml").replace("\"$", &format!("\"{}", currency_sign(&spec.currency)));
    parts.scenarios.push(("shop".to_owned(), scenarios));
    let sums = [("lines", "basket"), ("sum", "basket_sum")];
    let goods = View {
        params: vec!["category".to_owned(), "q".to_owned()],
        ..view("goods", &[("goods", "goods"), ("categories", "categories")])
    };
    let checkout = View { form: Some("/checkout".to_owned()), ..page_of("checkout", &sums) };
    let buyer = submit("checkout", "orders", &["name", "email", "phone", "address"], "/pay/{reference}");
    let pay = submit("payment_event", "orders", &["payment"], "/order/{reference}");
    let hook = submit("payment_apply", "orders", &["reference", "payment", "total_cents"], "/");
    let change = ["product_id", "quantity"];
    parts.routes.extend([
        public("/", Target::View(view("home", &[("goods", "newest"), ("categories", "categories")]))),
        public("/goods", Target::View(goods)),
        public("/product/{slug}", Target::View(page_of("product", &[("product", "product")]))),
        public("/basket", Target::View(view("basket", &sums))),
        public("/basket/add", Target::Submit(submit("basket_add", "order_lines", &change, "/basket"))),
        public("/basket/change", Target::Submit(submit("basket_change", "order_lines", &change, "/basket"))),
        public("/checkout", Target::View(checkout)),
        public("/checkout", Target::Submit(Submit { event: Some("order.placed".to_owned()), ..buyer })),
        public("/pay/{slug}", Target::View(page_of("pay", &[("order", "unpaid_order")]))),
        public("/pay/{slug}", Target::Submit(Submit { relay: Some("/api/payments/webhook".to_owned()), ..pay })),
        public("/api/payments/webhook", Target::Hook(Submit { event: Some("order.payment".to_owned()), ..hook })),
        public(
            "/order/{slug}",
            Target::View(page_of("order", &[("order", "public_order"), ("lines", "public_lines")])),
        ),
        closed(
            "/manage",
            Target::View(view(
                "manage",
                &[
                    ("report", "report"),
                    ("sales", "sales"),
                    ("low", "low_stock"),
                    ("orders", "open_orders"),
                    ("best", "best_sellers"),
                ],
            )),
        ),
    ]);
    parts.paths.insert(
        "/api/payments/webhook".to_owned(),
        json!({ "post": { "operationId": "paymentEvent", "summary": "A payment provider tells how a payment went",
            "description": "Signed: x-signature: t=SECONDS,v1=HMAC-SHA-256 of `SECONDS.BODY` under the app's secret.",
            "security": [],
            "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object",
                "required": ["reference", "payment", "total_cents"],
                "properties": { "reference": { "type": "string" }, "payment": { "type": "string", "enum": ["paid", "failed"] },
                                "total_cents": { "type": "integer" } } } } } },
            "responses": { "200": { "description": "Taken; repeated messages change nothing" },
                           "401": { "description": "Not signed" } } } }),
    );
    parts.common = super::parts::data(&[("in_basket", "basket_sum")]);
    parts.public_menu = menu(&[("/", "Home"), ("/goods", "All products"), ("/basket", "Basket")]);
    parts.seed = Some(include_str!("shop/seed.sql").to_owned());
    parts.trials("/manage");
    parts.finish(manifest)
}

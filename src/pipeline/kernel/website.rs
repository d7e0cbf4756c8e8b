//! The website kernel: public pages, blog, contact form, bookings, and their management. Pure.

use super::parts::{Parts, closed, menu, page_of, public, submit, view};
use crate::apphost::bundle::{Files, Submit, Target, View};
use crate::pipeline::manifest::BuildManifest;
use crate::pipeline::spec::Spec;

/// Generates a website.
#[must_use]
pub(super) fn generate(spec: &Spec, manifest: &BuildManifest) -> Files {
    let (blog, contact, booking) = (spec.has("blog"), spec.has("contact_form"), spec.has("booking"));
    let mut parts = Parts::of(spec);
    parts.questions(include_str!("website/pages.sql"));
    let mut home = vec![("pages", "public_pages")];
    let mut manage = vec![("summary", "summary"), ("report", "report")];
    let mut entries = vec![("/", "Home")];
    let mut report = vec!["(SELECT count(*) FROM pages WHERE status = 'published') AS pages".to_owned()];
    parts.file("views/home.html", include_str!("website/home.html"));
    parts.file("views/page.html", include_str!("website/page.html"));
    parts.file("views/found.html", include_str!("website/found.html"));
    parts.file("views/manage.html", include_str!("website/manage.html"));
    parts.scenarios.push(("site_pages".to_owned(), include_str!("website/pages.toml").to_owned()));
    if blog {
        home.push(("posts", "public_posts"));
        entries.push(("/blog", "Blog"));
        parts.questions(include_str!("website/blog.sql"));
        parts.file("views/blog.html", include_str!("website/blog.html"));
        parts.file("views/post.html", include_str!("website/post.html"));
        parts.scenarios.push(("site_blog".to_owned(), include_str!("website/blog.toml").to_owned()));
        parts.routes.push(public("/blog", Target::View(view("blog", &[("posts", "public_posts")]))));
        parts.routes.push(public("/blog/{slug}", Target::View(page_of("post", &[("post", "public_post")]))));
        report.push("(SELECT count(*) FROM posts WHERE status = 'published') AS posts".to_owned());
    }
    let forms = |parts: &mut Parts<'_>, path: &str, form: Submit, name: &str| {
        let page = View { form: Some(path.to_owned()), ..view(name, &[]) };
        parts.routes.push(public(path, Target::View(page)));
        parts.routes.push(public(path, Target::Submit(form)));
    };
    if contact {
        entries.push(("/contact", "Contact"));
        manage.push(("enquiries", "new_enquiries"));
        parts.questions(include_str!("website/contact.sql"));
        parts.file("views/contact.html", include_str!("website/contact.html"));
        parts.scenarios.push(("site_contact".to_owned(), include_str!("website/contact.toml").to_owned()));
        let form = submit("enquire", "enquiries", &["name", "email", "phone", "message"], "/thanks");
        forms(&mut parts, "/contact", Submit { event: Some("enquiry.received".to_owned()), ..form }, "contact");
        report.push("(SELECT count(*) FROM enquiries) AS enquiries".to_owned());
        report.push("(SELECT count(*) FROM enquiries WHERE status = 'new') AS enquiries_new".to_owned());
    }
    if booking {
        entries.push(("/book", "Book"));
        manage.push(("bookings", "next_bookings"));
        parts.questions(include_str!("website/booking.sql"));
        parts.file("views/book.html", include_str!("website/book.html"));
        parts.scenarios.push(("site_booking".to_owned(), include_str!("website/booking.toml").to_owned()));
        parts.schema.push(("one_at_a_time", include_str!("website/one_at_a_time.sql").to_owned()));
        parts.schema.push(("moved_one_at_a_time", include_str!("website/moved_one_at_a_time.sql").to_owned()));
        let fields = ["name", "email", "phone", "day", "at", "people", "message"];
        let form = submit("book", "bookings", &fields, "/thanks");
        forms(&mut parts, "/book", Submit { event: Some("booking.requested".to_owned()), ..form }, "book");
        report.push("(SELECT count(*) FROM bookings WHERE status = 'requested') AS bookings_requested".to_owned());
    }
    if contact || booking {
        parts.file("views/thanks.html", include_str!("website/thanks.html"));
        parts.routes.push(public("/thanks", Target::View(view("thanks", &[]))));
    }
    let found = View { params: vec!["q".to_owned()], ..view("found", &[("found", "public_found")]) };
    let found_posts = if blog { include_str!("website/found_posts.sql") } else { "" };
    parts.questions(&include_str!("website/found.sql").replace("/*posts*/", found_posts));
    parts.routes.push(public("/find", Target::View(found)));
    parts.routes.push(public("/", Target::View(view("home", &home))));
    parts.routes.push(public("/{slug}", Target::View(page_of("page", &[("page", "public_page")]))));
    parts.routes.push(closed("/manage", Target::View(view("manage", &manage))));
    parts.questions(&format!("-- report: What is said on the telephone.\nSELECT {}\n", report.join(", ")));
    parts.common = super::parts::data(&[("menu", "public_pages")]);
    parts.public_menu = menu(&entries);
    let title = spec.title.replace('\'', "''");
    let description = spec.description.replace('\'', "''");
    let mut seed = include_str!("website/seed.sql").to_owned();
    if blog {
        seed += include_str!("website/seed_blog.sql");
    }
    parts.seed = Some(seed.replace("{title}", &title).replace("{description}", &description));
    parts.trials("/manage");
    parts.finish(manifest)
}

//! The one design of all apps: style sheet, script, and the views that every app has, in the colours of its theme. Pure.
//! Invariant: nothing is asked of another host; no inline style or script.

use crate::apphost::bundle::Files;
use crate::pipeline::spec::Spec;

const FIXED: &[(&str, &str)] = &[
    ("deploy/README.md", include_str!("design/deploy_README.md")),
    ("static/app.css", include_str!("design/static/app.css")),
    ("static/app.js", include_str!("design/static/app.js")),
    ("views/_parts.html", include_str!("design/views/_parts.html")),
    ("views/detail.html", include_str!("design/views/detail.html")),
    ("views/form.html", include_str!("design/views/form.html")),
    ("views/import.html", include_str!("design/views/import.html")),
    ("views/layout.html", include_str!("design/views/layout.html")),
    ("views/list.html", include_str!("design/views/list.html")),
    ("views/problem.html", include_str!("design/views/problem.html")),
    ("views/settings.html", include_str!("design/views/settings.html")),
    ("views/setup.html", include_str!("design/views/setup.html")),
    ("views/sign_in.html", include_str!("design/views/sign_in.html")),
    ("views/site.html", include_str!("design/views/site.html")),
];

pub(super) fn files(spec: &Spec) -> Files {
    let mut files: Files = FIXED.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    if spec.entities.iter().any(|e| e.board.is_some()) {
        files.insert("views/board.html".to_owned(), include_bytes!("design/views/board.html").to_vec());
    }
    files.insert("static/theme.css".to_owned(), theme(spec).into_bytes());
    files.insert("static/icon.svg".to_owned(), icon(spec).into_bytes());
    files
}

fn theme(spec: &Spec) -> String {
    let (light, dark) = (&spec.theme.accent, &spec.theme.accent_dark);
    format!(
        "/* The app's own colours: {name}. */\n:root {{ --accent: {light}; --accent-ink: #fff; --accent-soft: color-mix(in \
         srgb, {light} 13%, #fff); }}\n@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; --accent-ink: \
         #0b1120; --accent-soft: color-mix(in srgb, {dark} 20%, #111827); }} }}\n",
        name = spec.theme.name
    )
}

/// The first letter of the title on the theme's colour.
fn icon(spec: &Spec) -> String {
    let letter = spec.title.chars().find(char::is_ascii_alphanumeric).map_or('A', |c| c.to_ascii_uppercase());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"9\" \
         fill=\"{}\"/><text x=\"16\" y=\"22.500\" font-family=\"system-ui,Liberation Sans,sans-serif\" font-size=\"18\" \
         font-weight=\"700\" fill=\"#fff\" text-anchor=\"middle\">{letter}</text></svg>\n",
        spec.theme.accent
    )
}

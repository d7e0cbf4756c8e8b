//! The one design of all apps: style sheet, script, and the views that every app has, in the colours of its theme. Pure.
//! Invariant: nothing is asked of another host; no inline style or script.

use crate::apphost::bundle::Files;
use crate::pipeline::spec::{Spec, Theme};

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
    files.insert("static/theme.css".to_owned(), theme(&spec.theme).into_bytes());
    files.insert("static/icon.svg".to_owned(), icon(spec).into_bytes());
    files
}

fn theme(theme: &Theme) -> String {
    let (light, dark) = (&theme.accent, &theme.accent_dark);
    format!(
        "/* The app's own colours: {name}. */\n:root {{ --accent: {light}; --accent-ink: #fff; --accent-soft: color-mix(in \
         srgb, {light} 13%, #fff); }}\n@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; --accent-ink: \
         #0b1120; --accent-soft: color-mix(in srgb, {dark} 20%, #111827); }} }}\n",
        name = theme.name
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::spec::THEMES;
    use std::collections::BTreeMap;

    type Colour = [f64; 3];

    fn colour(hex: &str) -> Colour {
        let hex = hex.trim().trim_start_matches('#');
        let hex: String = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
        [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()))
    }

    /// `#rrggbb`, or `color-mix(in srgb, #rrggbb 13%, #rrggbb)`.
    fn value(text: &str) -> Option<Colour> {
        let Some(mix) = text.trim().strip_prefix("color-mix(in srgb,") else {
            return text.trim().starts_with('#').then(|| colour(text));
        };
        let (one, other) = mix.trim_end_matches(')').split_once(',')?;
        let (one, share) = one.trim().trim_end_matches('%').split_once(' ')?;
        let (one, other, share) = (colour(one), colour(other), share.parse::<f64>().ok()? / 100.0);
        Some([0, 1, 2].map(|n| one[n] * share + other[n] * (1.0 - share)))
    }

    /// The colours of a sheet that has its light ones first.
    fn colours(css: &str, dark: bool) -> BTreeMap<&str, Colour> {
        let (light, rest) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
        let text = if dark { rest.split_once("}\n}").map_or(rest, |(block, _)| block) } else { light };
        let named = text.split("--").filter_map(|part| part.split(';').next()?.split_once(':'));
        named.filter_map(|(name, text)| Some((name, value(text)?))).collect()
    }

    /// WCAG 2.2, relative luminance and contrast ratio.
    fn contrast(one: Colour, other: Colour) -> f64 {
        let of = |colour: Colour| {
            let [r, g, b] = colour
                .map(|c| c / 255.0)
                .map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (one, other) = (of(one), of(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn everything_that_is_read_has_contrast_in_every_theme_by_day_and_by_night() {
        let sheet = FIXED.iter().find(|(path, _)| *path == "static/app.css").unwrap().1;
        let pairs = [
            ("ink", "paper"),
            ("ink", "card"),
            ("ink", "hover"),
            ("ink", "accent-soft"),
            ("soft", "paper"),
            ("soft", "card"),
            ("soft", "hover"),
            ("accent", "paper"),
            ("accent", "card"),
            ("accent", "hover"),
            ("accent", "accent-soft"),
            ("accent-ink", "accent"),
            ("bad", "card"),
            ("bad", "bad-soft"),
            ("good", "good-soft"),
            ("lead", "card"),
            ("qualified", "card"),
            ("proposal", "card"),
            ("won", "card"),
            ("lost", "card"),
        ];
        for (name, accent, accent_dark) in THEMES {
            let theme = Theme { name: name.into(), accent: accent.into(), accent_dark: accent_dark.into() };
            let own = super::theme(&theme);
            for dark in [false, true] {
                let mut all = colours(sheet, dark);
                all.extend(colours(&own, dark));
                for (text, ground) in pairs {
                    let ratio = contrast(all[text], all[ground]);
                    assert!(ratio >= 4.5, "{name}, dark {dark}: {text} on {ground} has {ratio:.2}");
                }
            }
        }
    }
}

//! Charts as SVG, drawn by the server. Purpose: rows of `label` and `value` become a picture that a screen reader can read
//! too. Pure. Invariants: every text is escaped; no style attribute (the content policy forbids it), colours come from the
//! style sheet by class; any number of rows gives a bounded picture.

/// Points that are drawn at most; more are summed in groups.
const POINTS_MAX: usize = 120;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 12.0;

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) label: String,
    pub(super) value: f64,
}

/// How a chart looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Line,
    Columns,
    Bars,
}

impl Form {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "line" => Self::Line,
            "columns" => Self::Columns,
            "bars" => Self::Bars,
            _ => return None,
        })
    }
}

/// Draws `points`; `show` writes a value as people read it.
pub(super) fn draw(form: Form, title: &str, points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let points = thin(points, form);
    let name = escape(title);
    let summary = describe(&points, show);
    let body = match form {
        _ if points.is_empty() => {
            format!(
                "<text x=\"{}\" y=\"{}\" class=\"axis\" text-anchor=\"middle\">No data yet</text>",
                WIDTH / 2.0,
                HEIGHT / 2.0
            )
        }
        Form::Bars => return bars(&name, &summary, &points, show),
        Form::Line => axes(&points, show) + &line(&points, show),
        Form::Columns => axes(&points, show) + &columns(&points, show),
    };
    format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"xMidYMid meet\">\
         <title>{name}</title><desc>{}</desc>{body}</svg>",
        escape(&summary)
    )
}

/// Sums neighbours until few enough are left.
fn thin(points: &[Point], form: Form) -> Vec<Point> {
    let most = if form == Form::Bars { 12 } else { POINTS_MAX };
    let clean = points.iter().filter(|p| p.value.is_finite()).cloned();
    if form == Form::Bars {
        return clean.take(most).collect();
    }
    let all: Vec<Point> = clean.collect();
    let group = all.len().div_ceil(most).max(1);
    let sum = |g: &[Point]| Point { label: g[0].label.clone(), value: g.iter().map(|p| p.value).sum() };
    all.chunks(group).map(sum).collect()
}

fn describe(points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let by = |a: &&Point, b: &&Point| a.value.total_cmp(&b.value);
    match (points.first(), points.last(), points.iter().max_by(by), points.iter().min_by(by)) {
        (Some(first), Some(last), Some(high), Some(low)) => format!(
            "{} values from {} to {}. Highest {} at {}, lowest {} at {}.",
            points.len(),
            first.label,
            last.label,
            show(high.value),
            high.label,
            show(low.value),
            low.label
        ),
        _ => "No data yet.".to_owned(),
    }
}

/// A round number at or above `most`, for the top of the axis.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|c| *c >= most * 0.999_999).unwrap_or(most)
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(points: &[Point]) -> Self {
        let most = points.iter().map(|p| p.value).fold(0.0, f64::max);
        let least = points.iter().map(|p| p.value).fold(0.0, f64::min);
        Self { low: if least < 0.0 { -ceiling(-least) } else { 0.0 }, high: ceiling(most) }
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value - self.low) / (self.high - self.low))
    }
}

fn axes(points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let scale = Scale::of(points);
    let mut out = String::new();
    for step in 0..=4 {
        let value = scale.low + (scale.high - scale.low) * f64::from(step) / 4.0;
        let y = scale.y(value);
        out += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escape(&show(value))
        );
    }
    let every = points.len().div_ceil(6).max(1);
    for (i, point) in points.iter().enumerate().step_by(every) {
        out += &format!(
            "<text class=\"axis\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(i, points.len()).clamp(LEFT + 20.0, WIDTH - 24.0),
            HEIGHT - 6.0,
            escape(&shown_label(&point.label))
        );
    }
    out
}

/// "2026-11-20" → "20 Nov".
fn shown_label(label: &str) -> String {
    let day = super::render::day(label);
    if day == label {
        label.chars().take(14).collect()
    } else {
        day.rsplit_once(' ').map_or(day.clone(), |(d, _)| d.to_owned())
    }
}

fn x(index: usize, of: usize) -> f64 {
    let slot = (WIDTH - LEFT) / of.max(1) as f64;
    LEFT + slot * (index as f64 + 0.5)
}

fn line(points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let scale = Scale::of(points);
    let at: Vec<String> =
        points.iter().enumerate().map(|(i, p)| format!("{:.1},{:.1}", x(i, points.len()), scale.y(p.value))).collect();
    let (from, to, base) = (x(0, points.len()), x(points.len() - 1, points.len()), scale.y(0.0));
    let mut out = format!(
        "<polygon class=\"area\" points=\"{from:.1},{base:.1} {} {to:.1},{base:.1}\"/><polyline class=\"line\" points=\"{}\"/>",
        at.join(" "),
        at.join(" ")
    );
    for (i, p) in points.iter().enumerate() {
        out += &format!(
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{}\"><title>{}: {}</title></circle>",
            x(i, points.len()),
            scale.y(p.value),
            if points.len() > 40 { 2 } else { 3 },
            escape(&p.label),
            escape(&show(p.value))
        );
    }
    out
}

fn columns(points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let scale = Scale::of(points);
    let wide = ((WIDTH - LEFT) / points.len().max(1) as f64 * 0.7).clamp(1.5, 48.0);
    let column = |(i, p): (usize, &Point)| {
        let (a, b) = (scale.y(p.value.max(0.0)), scale.y(p.value.min(0.0)));
        format!(
            "<rect class=\"column-bar\" x=\"{:.1}\" y=\"{a:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" rx=\"2\"><title>{}: \
             {}</title></rect>",
            x(i, points.len()) - wide / 2.0,
            (b - a).max(0.5),
            escape(&p.label),
            escape(&show(p.value))
        )
    };
    points.iter().enumerate().map(column).collect()
}

/// Bars lie down, so that long names can be read.
fn bars(name: &str, summary: &str, points: &[Point], show: &dyn Fn(f64) -> String) -> String {
    let most = points.iter().map(|p| p.value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = points.len() as f64 * 34.0 + 4.0;
    let mut out = format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\"><title>{name}</title><desc>{}</desc>",
        escape(summary)
    );
    for (i, p) in points.iter().enumerate() {
        let y = i as f64 * 34.0;
        let wide = ((WIDTH - 300.0) * (p.value.max(0.0) / most)).max(2.0);
        out += &format!(
            "<text class=\"name\" x=\"0\" y=\"{:.1}\">{}</text><rect class=\"column-bar\" x=\"190\" y=\"{:.1}\" \
             width=\"{wide:.1}\" height=\"18\" rx=\"4\"/><text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y + 20.0,
            escape(&p.label.chars().take(24).collect::<String>()),
            y + 6.0,
            198.0 + wide,
            y + 20.0,
            escape(&show(p.value))
        );
    }
    out + "</svg>"
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_top_of_the_axis_is_round() {
        for (most, top) in [(0.0, 1.0), (3.0, 5.0), (9.9, 10.0), (21.0, 25.0), (100.0, 100.0), (0.03, 0.05)] {
            assert!((ceiling(most) - top).abs() < 1e-9, "{most}");
        }
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let points = [("Mon", 2.0), ("Tue", 5.0)].map(|(l, value)| Point { label: l.to_owned(), value });
        let svg = draw(Form::Columns, "Orders <b>", &points, &|v| v.to_string());
        assert!(svg.contains("<title>Orders &lt;b&gt;</title>") && svg.contains("Highest 5 at Tue, lowest 2 at Mon."));
        assert!(!svg.contains("style=") && svg.matches("<rect").count() == 2);
    }

    proptest! {
        #[test]
        fn any_rows_give_a_bounded_picture(rows in proptest::collection::vec((".{0,30}", proptest::num::f64::ANY), 0..300)) {
            let points: Vec<Point> = rows.into_iter().map(|(label, value)| Point { label, value }).collect();
            for form in [Form::Line, Form::Columns, Form::Bars] {
                let svg = draw(form, "t", &points, &|v| format!("{v:.0}"));
                prop_assert!(svg.matches('<').count() <= 5 * POINTS_MAX + 60);
                prop_assert!(!svg.contains("NaN") && !svg.contains("=\"inf"));
            }
        }
    }
}

//! Plain text with a few marks to HTML. Purpose: people write pages without HTML. Pure. Invariants: every character of the
//! text is escaped; a link leads to a web or mail address or into this app, nowhere else.
//!
//! Blank lines part paragraphs; `## ` begins a heading, `- ` a list's line, `> ` a quotation; `**strong**`, `[words](address)`.

use super::chart::escape;

/// HTML of `text`.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::new();
    for block in text.replace("\r\n", "\n").split("\n\n").map(str::trim).filter(|b| !b.is_empty()) {
        let lines: Vec<&str> = block.lines().map(str::trim_end).collect();
        if lines.iter().all(|l| l.starts_with("- ")) {
            let items: String = lines.iter().map(|l| format!("<li>{}</li>", inline(&l[2..]))).collect();
            out += &format!("<ul>{items}</ul>\n");
        } else if let Some(heading) = block.strip_prefix("## ").filter(|h| !h.contains('\n')) {
            out += &format!("<h2>{}</h2>\n", inline(heading));
        } else if lines.iter().all(|l| l.starts_with("> ")) {
            let said: Vec<_> = lines.iter().map(|l| inline(&l[2..])).collect();
            out += &format!("<blockquote><p>{}</p></blockquote>\n", said.join("<br>"));
        } else {
            let said: Vec<_> = lines.iter().map(|l| inline(l)).collect();
            out += &format!("<p>{}</p>\n", said.join("<br>"));
        }
    }
    out
}

fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['*', '[']) {
        let (before, here) = rest.split_at(at);
        out += &escape(before);
        let strong = here.strip_prefix("**").and_then(|t| t.split_once("**")).filter(|(inner, _)| !inner.is_empty());
        let link = here
            .strip_prefix('[')
            .and_then(|t| t.split_once("]("))
            .and_then(|(words, t)| t.split_once(')').map(|(to, after)| (words, to, after)))
            .filter(|(_, to, _)| is_address(to));
        if let Some((inner, after)) = strong {
            out += &format!("<strong>{}</strong>", escape(inner));
            rest = after;
        } else if let Some((words, to, after)) = link {
            out += &format!("<a href=\"{}\">{}</a>", escape(to), escape(words));
            rest = after;
        } else {
            let mut chars = here.chars();
            out += &escape(&chars.next().map(String::from).unwrap_or_default());
            rest = chars.as_str();
        }
    }
    out + &escape(rest)
}

fn is_address(to: &str) -> bool {
    let outside = ["https://", "http://", "mailto:"].iter().any(|s| to.starts_with(s));
    (outside || (to.starts_with('/') && !to.starts_with("//"))) && !to.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_become_html_and_nothing_else_does() {
        assert_eq!(
            prose("## Us\n\nWe **bake** [here](/visit).\nDaily.\n\n- rye\n- wheat"),
            "<h2>Us</h2>\n<p>We <strong>bake</strong> <a href=\"/visit\">here</a>.<br>Daily.</p>\n<ul><li>rye</li><li>wheat</li></ul>\n"
        );
        for bad in ["<script>alert(1)</script>", "[x](javascript:alert(1))", "[x](//evil)", "[x](data:text/html,x)"] {
            let html = prose(bad);
            assert!(!html.contains("<script") && !html.contains("<a "), "{html}");
        }
        assert!(!prose("[x](https://example.com\" onclick=\"b)").contains("\" onclick"));
    }

    proptest! {
        #[test]
        fn only_our_tags_come_out(text in "[-<>\"'&*\\[\\]()#a-z:/ \n]{0,80}") {
            let mut rest = prose(&text);
            for tag in ["p", "ul", "li", "h2", "strong", "blockquote", "a"] {
                rest = rest.replace(&format!("<{tag}>"), "").replace(&format!("</{tag}>"), "");
            }
            for piece in rest.replace("<br>", "").split('<').skip(1) {
                prop_assert!(piece.starts_with("a href=\""), "{}", piece);
            }
        }
    }
}

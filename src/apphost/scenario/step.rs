//! One scenario, step by step.

use super::{Scenario, Step};
use crate::apphost::door::{now, sign};
use crate::apphost::exchange::{Answer, Request, percent_encode};
use crate::apphost::service::SCENARIO_SECRET;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pages that a crawl looks at.
const CRAWL_PAGES_MAX: usize = 300;
/// Characters of an answer that a failure quotes.
const QUOTE_CHARS_MAX: usize = 200;

type Ask<'a> = &'a mut dyn FnMut(&Request) -> std::io::Result<Answer>;
type Saved = BTreeMap<String, Value>;

/// What the asker remembers between steps, as a browser does.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    session: Option<String>,
    token: Option<String>,
}

impl Browser {
    fn dress(&self, request: &mut Request, visitor: bool) {
        let session = self.session.iter().filter(|_| !visitor).cloned();
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = cookies.chain(session).collect();
        if !all.is_empty() {
            request.headers.insert("cookie".to_owned(), all.join("; "));
        }
    }

    fn remember(&mut self, answer: &Answer) {
        let cookie = answer.headers.get("set-cookie").and_then(|c| c.split(';').next()).and_then(|c| c.split_once('='));
        if let Some((name, value)) = cookie {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Runs `scenario` from an empty database; an error is what went wrong, in plain words.
pub(super) fn run(scenario: &Scenario, ask: Ask<'_>) -> Result<(), String> {
    let reset = if scenario.seed { "/_/reset?seed" } else { "/_/reset" };
    let fresh = send(ask, &Request::new("POST", reset))?;
    if fresh.status != 200 {
        return Err(format!("the data could not be emptied: {}", quote(&fresh.text())));
    }
    let mut saved = Saved::new();
    let mut browser = Browser::default();
    if !scenario.role.is_empty() {
        let opened = send(ask, &Request::new("POST", &format!("/_/session?role={}", scenario.role)))?;
        let opened: Value = serde_json::from_slice(&opened.body).map_err(|_| "there is no session".to_owned())?;
        let cookie = opened.pointer("/cookie").and_then(Value::as_str).and_then(|c| c.split(';').next());
        browser.session = Some(cookie.ok_or("there is no session")?.to_owned());
    }
    for step in &scenario.step {
        let done = if !step.crawl.is_empty() {
            crawl(ask, &fill(&step.crawl, &saved), &browser)
        } else if !step.sql.is_empty() {
            look(ask, step, &saved)
        } else {
            exchange(ask, step, &mut saved, &mut browser)
        };
        done.map_err(|what| format!("{}: {what}", step.say))?;
    }
    Ok(())
}

fn send(ask: Ask<'_>, request: &Request) -> Result<Answer, String> {
    ask(request).map_err(|e| format!("the app did not answer {} {}: {e}", request.method, request.path))
}

fn exchange(ask: Ask<'_>, step: &Step, saved: &mut Saved, browser: &mut Browser) -> Result<(), String> {
    let target = fill(&step.request, saved);
    let (method, target) = target.split_once(' ').ok_or("the request has no method")?;
    let mut request = Request::new(method, target);
    if let Some(json) = &step.json {
        request.headers.insert("content-type".to_owned(), "application/json".to_owned());
        request.body = fill_json(json, saved).to_string().into_bytes();
    }
    if let Some(form) = &step.form {
        request.headers.insert("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let mut pairs: Vec<(String, String)> = form.iter().map(|(n, v)| (n.clone(), fill(v, saved))).collect();
        if !step.forged {
            if browser.token.is_none() || !step.page.is_empty() {
                let page = if step.page.is_empty() {
                    format!("/{}/new", request.path.split('/').nth(1).unwrap_or_default())
                } else {
                    fill(&step.page, saved)
                };
                open_page(ask, &page, step, browser)?;
            }
            pairs.extend(browser.token.iter().map(|token| ("csrf".to_owned(), token.clone())));
        }
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{}={}", percent_encode(n), percent_encode(v))).collect();
        request.body = pairs.join("&").into_bytes();
    }
    if step.sign {
        let signature = sign(SCENARIO_SECRET, now(), &request.body);
        request.headers.insert("x-signature".to_owned(), signature);
    }
    // A forged form is another site's: the browser's cookies go with it, the token does not.
    browser.dress(&mut request, step.visitor);
    for (name, value) in &step.send {
        request.headers.insert(name.clone(), fill(value, saved));
    }
    let answer = send(ask, &request)?;
    browser.remember(&answer);
    judge(step, &answer, saved)
}

/// Cookie and token, as a browser gets them with the form.
fn open_page(ask: Ask<'_>, path: &str, step: &Step, browser: &mut Browser) -> Result<(), String> {
    let mut request = Request::new("GET", path);
    browser.dress(&mut request, step.visitor);
    let page = send(ask, &request)?;
    browser.remember(&page);
    let text = page.text();
    let token = text.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    browser.token = Some(token.ok_or_else(|| format!("the page {path} holds no form with a token"))?.0.to_owned());
    Ok(())
}

fn judge(step: &Step, answer: &Answer, saved: &mut Saved) -> Result<(), String> {
    // The same character; templates escape it in values only, which no scenario should have to know.
    let plain = |text: &str| text.replace("&#x2f;", "/");
    let text = plain(&answer.text());
    let wanted = step.status.unwrap_or(200);
    if answer.status != wanted {
        return Err(format!("expected status {wanted}, got {}: {}", answer.status, quote(&text)));
    }
    for (name, value) in &step.header {
        let (wanted, found) = (fill(value, saved), answer.headers.get(name).map_or("", String::as_str));
        if found != wanted {
            return Err(format!("expected the header {name} to be {wanted:?}, got {found:?}"));
        }
    }
    let needs_json = !(step.check.is_empty() && step.count.is_empty() && step.save.is_empty());
    let json: Value = if needs_json {
        serde_json::from_slice(&answer.body).map_err(|_| format!("expected JSON, got {}", quote(&text)))?
    } else {
        Value::Null
    };
    let at = |pointer: &str| json.pointer(pointer).unwrap_or(&Value::Null);
    for (pointer, wanted) in &step.check {
        let (wanted, found) = (fill_json(wanted, saved), at(pointer));
        if !same(&wanted, found) {
            return Err(format!("expected {pointer} to be {wanted}, got {found}"));
        }
    }
    for (pointer, wanted) in &step.count {
        let found = at(pointer).as_array().map(Vec::len);
        if found != Some(*wanted) {
            return Err(format!(
                "expected {wanted} entries in {pointer}, got {}",
                found.map_or("none".to_owned(), |n| n.to_string())
            ));
        }
    }
    for (name, pointer) in &step.save {
        if at(pointer).is_null() {
            return Err(format!("expected a value at {pointer}, got none"));
        }
        saved.insert(name.clone(), at(pointer).clone());
    }
    for (name, before) in &step.take {
        let (place, before) = match before.strip_prefix("header:").and_then(|b| b.split_once(' ')) {
            Some((header, before)) => (answer.headers.get(header).map_or("", String::as_str), before),
            None => (text.as_str(), before.as_str()),
        };
        let rest = place.split_once(before).map(|(_, rest)| rest);
        let value: String =
            rest.unwrap_or_default().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if value.is_empty() {
            return Err(format!("expected a value after {before:?}, got none"));
        }
        saved.insert(name.clone(), value.into());
    }
    for wanted in step.contains.iter().map(|w| plain(&fill(w, saved))) {
        if !text.contains(&wanted) {
            return Err(format!("expected the answer to hold {wanted:?}, which it does not"));
        }
    }
    for unwanted in step.lacks.iter().map(|w| plain(&fill(w, saved))) {
        if text.contains(&unwanted) {
            return Err(format!("expected the answer not to hold {unwanted:?}, which it does"));
        }
    }
    let mut rest = text.as_str();
    for wanted in step.order.iter().map(|w| plain(&fill(w, saved))) {
        match rest.split_once(wanted.as_str()) {
            Some((_, after)) => rest = after,
            None => {
                return Err(format!("expected {:?} in this order; {wanted:?} is not where it should be", step.order));
            }
        }
    }
    Ok(())
}

/// Looks into the data.
fn look(ask: Ask<'_>, step: &Step, saved: &Saved) -> Result<(), String> {
    let mut request = Request::new("POST", if step.keep { "/_/probe?keep" } else { "/_/probe" });
    request.body = fill(&step.sql, saved).into_bytes();
    let answer = send(ask, &request)?;
    let json: Value = serde_json::from_slice(&answer.body).map_err(|_| quote(&answer.text()))?;
    let refused = json.get("refused").and_then(Value::as_str);
    match (refused, step.refused.as_str()) {
        (Some(rule), "") => return Err(format!("expected the database to take it, but it was {rule}")),
        (Some(rule), wanted) if !rule.contains(wanted) => {
            return Err(format!("expected the rule {wanted} to refuse it, but it was {rule}"));
        }
        (None, wanted) if !wanted.is_empty() => {
            return Err(format!("expected the rule {wanted} to refuse it, but the database took it"));
        }
        _ => {}
    }
    if let Some(wanted) = &step.rows {
        let found = json.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
        let fits = found.len() == wanted.len()
            && wanted.iter().zip(&found).all(|(w, f)| {
                f.as_array().is_some_and(|f| f.len() == w.len() && w.iter().zip(f).all(|(w, f)| same(w, f)))
            });
        if !fits {
            return Err(format!(
                "expected the rows {}, got {}",
                Value::from(wanted.clone().into_iter().map(Value::from).collect::<Vec<_>>()),
                Value::from(found)
            ));
        }
    }
    Ok(())
}

/// Follows every link from `start`; each must lead to a page.
fn crawl(ask: Ask<'_>, start: &str, browser: &Browser) -> Result<(), String> {
    let mut seen = BTreeSet::from([start.to_owned()]);
    let mut pending = VecDeque::from([(start.to_owned(), "the start".to_owned())]);
    while let Some((target, from)) = pending.pop_front() {
        let mut request = Request::new("GET", &target);
        browser.dress(&mut request, false);
        let answer = send(ask, &request)?;
        if answer.status != 200 {
            return Err(format!("{from} leads to {target}, which answers {}", answer.status));
        }
        if !answer.headers.get("content-type").is_some_and(|t| t.starts_with("text/html")) {
            continue;
        }
        for link in links(&answer.text()) {
            if seen.len() < CRAWL_PAGES_MAX && seen.insert(link.clone()) {
                pending.push_back((link, target.clone()));
            }
        }
    }
    Ok(())
}

/// Targets within the app that a page refers to.
fn links(html: &str) -> Vec<String> {
    let mut links = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        for rest in html.split(attribute).skip(1) {
            let Some((target, _)) = rest.split_once('"') else { continue };
            let target = target.replace("&amp;", "&").replace("&#x2f;", "/");
            let target = target.split('#').next().unwrap_or_default();
            if target.starts_with('/') {
                links.push(target.to_owned());
            }
        }
    }
    links
}

fn same(wanted: &Value, found: &Value) -> bool {
    match wanted {
        Value::Bool(false) => found.is_null() || *found == false,
        Value::Bool(true) => !found.is_null() && *found != false,
        _ => wanted == found,
    }
}

/// `{name}` → the saved value.
fn fill(text: &str, saved: &Saved) -> String {
    let mut text = text.to_owned();
    for (name, value) in saved {
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&format!("{{{name}}}"), &plain);
    }
    text
}

/// The same within JSON; a string that is nothing but `{name}` becomes the value itself.
fn fill_json(json: &Value, saved: &Saved) -> Value {
    match json {
        Value::String(text) => {
            let name = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            name.and_then(|n| saved.get(n)).cloned().unwrap_or_else(|| fill(text, saved).into())
        }
        Value::Array(items) => items.iter().map(|i| fill_json(i, saved)).collect(),
        Value::Object(object) => object.iter().map(|(n, v)| (n.clone(), fill_json(v, saved))).collect(),
        other => other.clone(),
    }
}

fn quote(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

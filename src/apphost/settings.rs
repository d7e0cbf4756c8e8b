//! The pages about who may pass: sign-in, the first account, accounts, keys, webhooks. Purpose: the same in every app.
//! Invariants: every form carries the token; a page about people, keys or webhooks is shown to an admin only; the last
//! admin stays; the text of a key or a secret is shown once, when it is made.

use super::door::{self, KEYS_MAX, PASSWORD_MIN, Role};
use super::exchange::{Request, Response};
use super::page::{Draft, signed_form};
use super::service::{Problem, Service};
use super::token::same;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Wrong passwords for one name, and for one address, within the time.
const TRIES: u32 = 8;
const TRIES_ADDRESS: u32 = 40;
const TRIES_WITHIN: Duration = Duration::from_secs(600);
/// Characters of an account's name.
const NAME_MAX: usize = 60;
/// Set-up codes tried from one address, and from all, within the time: a stranger finds one of 10^9 in a year with a chance of
/// one in 300.
const CODES_ADDRESS: u32 = 10;
const CODES: u32 = 60;
/// Webhooks of one app.
const HOOKS_MAX: i64 = 10;
/// Requests a minute that a key may make at most.
const PER_MINUTE_MAX: u32 = 6_000;

/// Whether an address is one of the runtime's own.
pub(super) fn is_own(path: &str) -> bool {
    is_settings(path) || matches!(path, "/sign-in" | "/sign-out" | "/setup")
}

fn is_settings(path: &str) -> bool {
    path == "/settings" || path.starts_with("/settings/")
}

/// Answers the runtime's own addresses; `None`: it is none of them.
pub(super) fn respond(service: &Service, request: &Request, method: &str) -> Option<Result<Response, Problem>> {
    let path = request.path.as_str();
    if !is_own(path) {
        return None;
    }
    let own = is_settings(path);
    Some(match (method, path) {
        ("GET", "/sign-in") => sign_in_page(service, request, 200, "", ""),
        ("POST", "/sign-in") => sign_in(service, request),
        ("POST", "/sign-out") => sign_out(service, request),
        ("GET", "/setup") => setup_page(service, request, 200, "", ""),
        ("POST", "/setup") => setup(service, request),
        _ if own => settings(service, request, method),
        _ => Err(Problem::NotFound),
    })
}

fn any(service: &Service) -> Result<bool, Problem> {
    service.door.any(&service.database).map_err(|e| Problem::from_database(e, None))
}

/// Where to go after the sign-in: a path of this app.
fn next(text: &str) -> String {
    // Browsers leave TAB and line ends out of an address, and what is left may name another host.
    if text.starts_with('/') && !text.starts_with("//") && !text.contains(|c: char| c == '\\' || c.is_control()) {
        text.to_owned()
    } else {
        "/".to_owned()
    }
}

fn sign_in_page(
    service: &Service,
    request: &Request,
    status: u16,
    name: &str,
    said: &str,
) -> Result<Response, Problem> {
    if !any(service)? {
        return Ok(Response::see_other("/setup".to_owned()));
    }
    let form = request.form();
    let to = request.query.get("next").or_else(|| form.get("next")).map_or("", String::as_str);
    Draft::new(service, request)
        .with("warning", said)
        .with("name", name)
        .with("next", next(to))
        .render(status, "sign_in")
}

fn sign_in(service: &Service, request: &Request) -> Result<Response, Problem> {
    let form = match signed_form(service, request) {
        Ok(form) => form,
        Err(Problem::Forged) => {
            return sign_in_page(service, request, 403, "", "This page has expired. Please send it again.");
        }
        Err(other) => return Err(other),
    };
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let name = text("name").trim();
    {
        let mut throttle = service.throttle.borrow_mut();
        // By address first: who tries many names takes no place in the table of names.
        throttle.take("sign-in-from", request.client(), TRIES_ADDRESS, TRIES_WITHIN).map_err(Problem::Often)?;
        if name.chars().count() > NAME_MAX {
            drop(throttle);
            return sign_in_page(service, request, 403, "", "That name and password do not go together.");
        }
        throttle.take("sign-in", &name.to_lowercase(), TRIES, TRIES_WITHIN).map_err(Problem::Often)?;
    }
    let token = service.door.sign_in(&service.database, name, text("password"));
    match token.map_err(|e| Problem::from_database(e, None))? {
        Some(token) => Ok(Response::see_other(next(text("next"))).with("set-cookie", service.door.cookie(&token))),
        None => sign_in_page(service, request, 403, name, "That name and password do not go together."),
    }
}

fn sign_out(service: &Service, request: &Request) -> Result<Response, Problem> {
    _ = signed_form(service, request)?;
    service.door.close(&service.database, request).map_err(|e| Problem::from_database(e, None))?;
    Ok(Response::see_other("/".to_owned()).with("set-cookie", service.door.cookie("")))
}

fn setup_page(service: &Service, request: &Request, status: u16, name: &str, said: &str) -> Result<Response, Problem> {
    if any(service)? {
        return Ok(Response::see_other("/sign-in".to_owned()));
    }
    let form = request.form();
    let code = request.query.get("code").or_else(|| form.get("code")).map_or("", String::as_str);
    let draft = Draft::new(service, request).with("warning", said).with("name", name).with("code", code);
    draft.with("password_min", PASSWORD_MIN).render(status, "setup")
}

fn setup(service: &Service, request: &Request) -> Result<Response, Problem> {
    if any(service)? {
        return Ok(Response::see_other("/sign-in".to_owned()));
    }
    let form = match signed_form(service, request) {
        Ok(form) => form,
        Err(Problem::Forged) => {
            return setup_page(service, request, 403, "", "This page has expired. Please send it again.");
        }
        Err(other) => return Err(other),
    };
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    if !knows_code(service, request, text("code"))? {
        let said = "That is not the set-up code of this app. Whoever asked for the app was told it.";
        return setup_page(service, request, 403, text("name"), said);
    }
    match add_account(service, text("name"), text("password"), Role::Admin)? {
        Err(said) => setup_page(service, request, 422, text("name"), &said),
        Ok(id) => {
            service.forget_setup_code()?;
            let token = service.door.open(&service.database, id).map_err(|e| Problem::from_database(e, None))?;
            let to = service.bundle.app.menu.first().map_or("/", |m| m.path.as_str()).to_owned();
            Ok(Response::see_other(to).with("set-cookie", service.door.cookie(&token)))
        }
    }
}

/// Whether `typed` is the set-up code, however its digits are grouped. Takes the same time for every wrong one.
fn knows_code(service: &Service, request: &Request, typed: &str) -> Result<bool, Problem> {
    {
        let mut throttle = service.throttle.borrow_mut();
        let from = throttle.take("setup-from", request.client(), CODES_ADDRESS, TRIES_WITHIN);
        // Who is refused by address takes nothing from the others.
        from.and_then(|_| throttle.take("setup", "", CODES, TRIES_WITHIN)).map_err(Problem::Often)?;
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let Some(code) = service.setup_code()? else { return Ok(false) };
    Ok(same(&digits(&code), &digits(typed)))
}

fn add_account(service: &Service, name: &str, password: &str, role: Role) -> Result<Result<i64, String>, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Ok(Err("Write a name of 1 to 60 characters.".to_owned()));
    }
    if let Some(said) = door::password_fault(password) {
        return Ok(Err(said));
    }
    let made = service.door.add(&service.database, name, password, role);
    Ok(made.map_err(|e| Problem::from_database(e, None))?.ok_or_else(|| "There is somebody of that name.".to_owned()))
}

fn settings(service: &Service, request: &Request, method: &str) -> Result<Response, Problem> {
    match service.account(request)? {
        Some(account) if account.role == Role::Admin => {}
        Some(_) => return Err(Problem::NotAllowed),
        None => return Err(Problem::SignIn),
    }
    if method == "GET" {
        return if request.path == "/settings" { show(service, request, 200, "", "") } else { Err(Problem::NotFound) };
    }
    let form = signed_form(service, request)?;
    let text = |name: &str| form.get(name).map_or("", |v| v.trim());
    let run = |sql: &str, id: i64| {
        service.database.own(|c| c.execute(sql, [id])).map_err(|e| Problem::from_database(e, None))
    };
    let rest: Vec<&str> = request.path.split('/').skip(2).collect();
    let done = || Ok(Response::see_other("/settings?did=saved".to_owned()));
    match rest.as_slice() {
        ["accounts"] => {
            let Some(role) = Role::of(text("role")) else { return Err(Problem::Malformed("No such role.".to_owned())) };
            // A password may begin or end with a blank.
            let password = form.get("password").map_or("", String::as_str);
            match add_account(service, text("name"), password, role)? {
                Ok(_) => done(),
                Err(said) => show(service, request, 422, &said, ""),
            }
        }
        ["keys"] => {
            let role = if text("role") == "staff" { Role::Staff } else { Role::Viewer };
            let per_minute = text("per_minute").parse::<u32>().ok().filter(|n| (1..=PER_MINUTE_MAX).contains(n));
            let (Some(per_minute), 1..=60) = (per_minute, text("name").chars().count()) else {
                let said = format!("A key has a name and 1 to {PER_MINUTE_MAX} requests a minute.");
                return show(service, request, 422, &said, "");
            };
            let made = service.door.add_key(&service.database, text("name"), role, per_minute);
            match made.map_err(|e| Problem::from_database(e, None))? {
                Some(key) => show(service, request, 201, "", &format!("The new key, shown only now: {key}")),
                None => show(service, request, 422, &format!("There are {KEYS_MAX} keys already."), ""),
            }
        }
        ["hooks"] => {
            let url = text("url");
            if !(url.starts_with("https://") || url.starts_with("http://"))
                || url.len() > 300
                || url.chars().any(|c| c.is_whitespace() || c.is_control())
            {
                return show(service, request, 422, "Write an address like https://example.com/hook.", "");
            }
            let secret = super::token::hex(&door::random().map_err(|e| Problem::from_database(e, None))?);
            let made = service.database.own(|c| {
                let sql = "INSERT INTO _hooks (url, secret) SELECT ?1, ?2 WHERE (SELECT count(*) FROM _hooks) < ?3
                           ON CONFLICT DO NOTHING";
                c.execute(sql, (url, &secret, HOOKS_MAX))
            });
            match made.map_err(|e| Problem::from_database(e, None))? {
                1 => show(service, request, 201, "", &format!("The new webhook's secret, shown only now: {secret}")),
                _ => show(service, request, 422, "That address is there already, or there are too many.", ""),
            }
        }
        [what, id, "delete"] => {
            let Ok(id) = id.parse::<i64>() else { return Err(Problem::NotFound) };
            let sql = match *what {
                "accounts" => {
                    "DELETE FROM _accounts WHERE id = ?1 AND (role <> 'admin'
                     OR (SELECT count(*) FROM _accounts WHERE role = 'admin') > 1)"
                }
                "keys" => "DELETE FROM _keys WHERE id = ?1",
                "hooks" => "DELETE FROM _hooks WHERE id = ?1",
                _ => return Err(Problem::NotFound),
            };
            match (run(sql, id)?, *what) {
                (0, "accounts") => show(service, request, 409, "The last admin stays.", ""),
                _ => done(),
            }
        }
        _ => Err(Problem::NotFound),
    }
}

fn show(service: &Service, request: &Request, status: u16, warning: &str, secret: &str) -> Result<Response, Problem> {
    service.settle_tallies();
    let list = |sql: &str, names: &[&str]| -> Result<Vec<Value>, Problem> {
        let rows = service.database.own(|c| {
            let mut statement = c.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let cell = |(i, name): (usize, &&str)| {
                    let value = match row.get_ref(i)? {
                        rusqlite::types::ValueRef::Integer(n) => json!(n),
                        other => json!(other.as_str().unwrap_or_default()),
                    };
                    Ok(((*name).to_owned(), value))
                };
                out.push(names.iter().enumerate().map(cell).collect::<rusqlite::Result<BTreeMap<String, Value>>>()?);
            }
            Ok(out)
        });
        Ok(rows.map_err(|e| Problem::from_database(e, None))?.into_iter().map(|r| json!(r)).collect())
    };
    let keys = "SELECT k.id, k.name, k.role, k.per_minute, coalesce((SELECT sum(n) FROM _tally WHERE kind = 'call'
                AND name = k.id AND day > date('now', '-30 days')), 0) FROM _keys k ORDER BY k.name, k.id";
    Draft::new(service, request)
        .with(
            "accounts",
            list(
                "SELECT id, name, role, created_at FROM _accounts ORDER BY name",
                &["id", "name", "role", "created_at"],
            )?,
        )
        .with("keys", list(keys, &["id", "name", "role", "per_minute", "calls"])?)
        .with(
            "hooks",
            list(
                "SELECT h.id, h.url, (SELECT count(*) FROM _outbox o WHERE o.url = h.url) FROM _hooks h
                             ORDER BY h.url",
                &["id", "url", "waiting"],
            )?,
        )
        .with("warning", warning)
        .with("secret", secret)
        .with("password_min", PASSWORD_MIN)
        .render(status, "settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_after_the_sign_in_stays_in_the_app() {
        for own in ["/", "/contacts?page=2", "/a/b"] {
            assert_eq!(next(own), own);
        }
        for foreign in
            ["", "//evil.example", "/\t/evil.example", "/\n/evil.example", "/\\evil.example", "https://evil.example"]
        {
            assert_eq!(next(foreign), "/", "{foreign:?}");
        }
    }
}

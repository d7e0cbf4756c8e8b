//! `[[routes]]`: what answers which call. Purpose: the first route that fits a call has it; outside its hours, or when what
//! answers cannot, its fallback. Invariant: numbers are compared as written and in their one form (`numbers`). Deliberately
//! absent: answering.

use super::{App, BridgeTarget, Config, ConfigError, Hours};
use crate::limits::RINGING_MAX;
use crate::time::Wallclock;
use serde::{Deserialize, Serialize};

/// One entry of `[[routes]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The number called: as written or as +49…, with `*` for anything and `?` for one character.
    #[serde(rename = "match")]
    pub number: String,
    /// Calls of this trunk only.
    #[serde(default)]
    pub trunk: Option<String>,
    /// Calls from these numbers only; written as `match` is.
    #[serde(default)]
    pub from: Option<String>,
    /// What answers.
    pub app: App,
    /// When it does; empty: always.
    #[serde(default)]
    pub hours: Vec<Hours>,
    /// What answers otherwise, and when `app` cannot.
    #[serde(default)]
    pub fallback: Option<App>,
    /// How long `manual` and `bridge:` ring before the fallback takes the call, seconds.
    #[serde(default = "Route::ringing_s")]
    pub ringing_s: u64,
    /// Record these calls, given `[recording] enabled`.
    #[serde(default)]
    pub record: bool,
    /// Who is rung for its callers that want a person, in place of the agent's `operator`.
    #[serde(default)]
    pub operator: Option<String>,
}

/// Refuses an operator who can never be rung. Error: what to write instead.
pub(super) fn check_operator(to: &str, config: &Config) -> Result<(), String> {
    let wrong =
        || format!("{to:?} is nobody to ring; write sip:USER@HOST, extension:NUMBER, trunk:NAME:NUMBER or group:NAME");
    if let Some(name) = to.strip_prefix("group:") {
        return if config.groups.iter().any(|group| group.name == name) {
            Ok(())
        } else {
            Err(format!("{name} is not among [[groups]]; add it or correct the operator"))
        };
    }
    if to.contains(['{', '}']) {
        return Err(wrong());
    }
    match BridgeTarget::parse(to).map_err(|_| wrong())? {
        // Without a number it would be that of the caller's call.
        BridgeTarget::Trunk { number, .. } if number.contains('{') => Err(wrong()),
        BridgeTarget::Trunk { name, .. } if !config.trunks.iter().any(|trunk| trunk.name == name) => {
            Err(format!("{name} is not among [[trunks]]; add it or correct the operator"))
        }
        BridgeTarget::Extension(number) if !config.has_extension(&number) => {
            Err(format!("{number} is not among [[extensions]]; add it or correct the operator"))
        }
        _ => Ok(()),
    }
}

/// Who calls whom, as a route looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// The number called.
    pub number: &'a str,
    /// The caller's number or name; empty where it is withheld.
    pub from: &'a str,
    /// The trunk that the call came by.
    pub trunk: Option<&'a str>,
}

impl<'a> Called<'a> {
    /// Anybody, by any way, calls `number`.
    #[must_use]
    pub const fn number(number: &'a str) -> Self {
        Self { number, from: "", trunk: None }
    }
}

impl Route {
    /// Everybody who calls `number` is answered by `app`.
    #[must_use]
    pub fn to(number: impl Into<String>, app: App) -> Self {
        Self {
            number: number.into(),
            trunk: None,
            from: None,
            app,
            hours: Vec::new(),
            fallback: None,
            ringing_s: Self::ringing_s(),
            record: false,
            operator: None,
        }
    }

    const fn ringing_s() -> u64 {
        60
    }

    /// What answers at this moment; `None`: nothing, it is closed.
    #[must_use]
    pub fn app_at(&self, at: Wallclock) -> Option<&App> {
        if self.hours.is_empty() || self.hours.iter().any(|hours| hours.contain(at)) {
            Some(&self.app)
        } else {
            self.fallback.as_ref()
        }
    }

    /// What answers in its place.
    pub(super) fn apps(&self) -> impl Iterator<Item = &App> {
        [Some(&self.app), self.fallback.as_ref()].into_iter().flatten()
    }

    pub(super) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        for app in self.apps() {
            if let App::Agent(name) = app
                && !config.agents.iter().any(|agent| agent.name == *name)
            {
                return value(
                    "routes.app",
                    format!("agent:{name} is not among [[agents]]; add it or correct the name"),
                );
            }
        }
        for app in self.apps() {
            let unknown = match app {
                App::Bridge(BridgeTarget::Trunk { name, .. }) if !config.trunks.iter().any(|t| t.name == *name) => {
                    format!("{name} is not among [[trunks]]")
                }
                App::Bridge(BridgeTarget::Extension(number))
                    if !number.contains('{') && !config.has_extension(number) =>
                {
                    format!("{number} is not among [[extensions]]")
                }
                _ => continue,
            };
            return value("routes.app", format!("{unknown}; add it or correct the route"));
        }
        for app in self.apps() {
            if let App::Group(name) = app
                && !config.groups.iter().any(|group| group.name == *name)
            {
                return value(
                    "routes.app",
                    format!("group:{name} is not among [[groups]]; add it or correct the name"),
                );
            }
        }
        if let Some(Err(why)) = self.operator.as_deref().map(|to| check_operator(to, config)) {
            return value("routes.operator", why);
        }
        if !(1..=RINGING_MAX.as_secs()).contains(&self.ringing_s) {
            return value("routes.ringing_s", format!("write seconds from 1 to {}", RINGING_MAX.as_secs()));
        }
        if self.number.is_empty() || self.from.as_ref().is_some_and(String::is_empty) {
            return value("routes.match", "write a number, or \"*\" for any".to_owned());
        }
        Ok(())
    }
}

impl Config {
    /// Whether telephones or pages can be reached at this extension.
    #[must_use]
    pub fn has_extension(&self, number: &str) -> bool {
        self.extensions.iter().any(|extension| extension.number == number)
            || self.webrtc.phones.iter().any(|phone| phone == number)
    }

    /// The first route that fits; `None`: 404.
    #[must_use]
    pub fn find_route(&self, called: &Called<'_>) -> Option<&Route> {
        let fits = |pattern: &str, number: &str| {
            matches(pattern, number) || self.numbers.e164(number).is_some_and(|normal| matches(pattern, &normal))
        };
        self.routes.iter().find(|route| {
            fits(&route.number, called.number)
                && route.from.as_ref().is_none_or(|from| fits(from, called.from))
                && route.trunk.as_ref().is_none_or(|trunk| called.trunk == Some(trunk.as_str()))
        })
    }

    /// What answers a call to `number` from anybody, in its hours; `None` when no route matches (404).
    #[must_use]
    pub fn route(&self, number: &str) -> Option<&App> {
        self.find_route(&Called::number(number)).map(|route| &route.app)
    }
}

/// Whether `text` is of the pattern: `*` stands for anything, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(text: &str) -> Result<Config, String> {
        Config::parse("test.toml", text, std::iter::empty()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_first_route_that_fits_has_the_call() {
        let config = config(
            "[numbers]\ncountry = \"49\"\narea = \"30\"\n\
             [[routes]]\nmatch = \"+4930555*\"\ntrunk = \"carrier\"\napp = \"tone:100\"\n\
             [[routes]]\nmatch = \"+49305551\"\napp = \"tone:200\"\n\
             [[routes]]\nmatch = \"3??\"\nfrom = \"+44*\"\napp = \"tone:300\"\n\
             [[routes]]\nmatch = \"3??\"\napp = \"tone:400\"\n\
             [[routes]]\nmatch = \"*\"\nfrom = \"ann\"\napp = \"echo\"",
        )
        .unwrap();
        let app =
            |number, from, trunk| config.find_route(&Called { number, from, trunk }).map(|route| route.app.to_string());
        let says = |text: &str| Some(text.to_owned());
        assert_eq!(app("03055512", "x", Some("carrier")), says("tone:100"));
        assert_eq!(app("0049305551", "x", Some("other")), says("tone:200"));
        assert_eq!(app("+49 30 5551", "x", None), says("tone:200"));
        assert_eq!(app("300", "004420123456", None), says("tone:300"));
        assert_eq!(app("300", "030123456", None), says("tone:400"));
        assert_eq!(app("3000", "ann", None), says("echo"));
        assert_eq!(app("3000", "bob", None), None);
    }

    #[test]
    fn outside_its_hours_a_route_falls_back() {
        let text = "[[routes]]\nmatch = \"*\"\napp = \"agent:grace\"\nhours = [\"mon-fri 09:00-17:00 Europe/Berlin\", \
                    \"sat 10:00-12:00 Europe/Berlin\"]\n";
        let open = Wallclock(1_767_607_200_000); // Monday 2026-01-05 10:00 UTC
        let closed = Wallclock(open.0 + 12 * 3_600_000);
        let with = config(&format!("{text}fallback = \"tone:425\"")).unwrap();
        let route = with.find_route(&Called::number("1")).unwrap();
        assert_eq!(route.app_at(open), Some(&App::Agent("grace".into())));
        assert_eq!(route.app_at(closed).unwrap().to_string(), "tone:425");
        assert_eq!(config(text).unwrap().find_route(&Called::number("1")).unwrap().app_at(closed), None);
        for (wrong, said) in [
            ("fallback = \"agent:max\"", "agent:max"),
            ("hours = [\"mon 9-17\"]", "Europe/Berlin"),
            ("ringing_s = 0", "ringing_s"),
            ("from = \"\"", "match"),
        ] {
            let error = config(&format!("[[routes]]\nmatch = \"*\"\napp = \"echo\"\n{wrong}")).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn patterns_stand_for_numbers() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "300", true),
            ("300", "300", true),
            ("300", "3000", false),
            ("3*", "300", true),
            ("3?0", "310", true),
            ("3?0", "3110", false),
            ("*00", "3000", true),
            ("1*2*3", "1x2y23", true),
            ("1*2*3", "1x3y2", false),
            ("?", "", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_cut_out_of_a_text_fits_it(text in "[0-9+]{0,12}", holes in prop::collection::vec(any::<bool>(), 12)) {
            let pattern: String = text.chars().zip(&holes).map(|(c, hole)| if *hole { '?' } else { c }).collect();
            prop_assert!(matches(&pattern, &text));
            let starred: String = text.chars().zip(&holes).map(|(c, hole)| if *hole { '*' } else { c }).collect();
            prop_assert!(matches(&starred, &text));
            let longer = format!("{pattern}?");
            prop_assert!(!matches(&longer, &text));
        }
    }
}

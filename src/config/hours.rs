//! Opening hours of a route, written `"mon-fri 09:00-17:00 Europe/Berlin"`. Invariants: a time zone is always named; hours that
//! cross midnight belong to the day on which they begin; what is compared is the clock on the wall there, summer time
//! included. Deliberately absent: holidays.

use crate::time::Wallclock;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Some hours of some days.
#[derive(Clone, Debug)]
pub struct Hours {
    text: String,
    /// Monday first.
    days: [bool; 7],
    /// Minutes of the day; `until` may be the same day's end, or lie before `from`: then it is of the next day.
    from: u16,
    until: u16,
    zone: TimeZone,
}

impl Hours {
    /// Reads them.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?}: {what}; write it as \"mon-fri 09:00-17:00 Europe/Berlin\"");
        let mut parts = text.split_whitespace();
        let (Some(days), Some(times), Some(zone), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("days, times and a time zone"));
        };
        let days =
            parse_days(days).ok_or_else(|| wrong("days are mon, tue … or mon-fri, with commas between, or daily"))?;
        let (from, until) = times
            .split_once('-')
            .and_then(|(from, until)| Some((parse_time(from)?, parse_time(until)?)))
            .filter(|(from, until)| from != until && *from < DAY)
            .ok_or_else(|| wrong("times are 00:00 to 24:00"))?;
        let zone = TimeZone::get(zone).map_err(|_| wrong(&format!("there is no time zone {zone}")))?;
        Ok(Self { text: text.to_owned(), days, from, until, zone })
    }

    /// Whether this moment lies within.
    #[must_use]
    pub fn contain(&self, at: Wallclock) -> bool {
        // Beyond the year 9999 there is no clock to look at.
        let Ok(now) = Timestamp::from_millisecond(at.0.cast_signed()) else { return false };
        let there = now.to_zoned(self.zone.clone());
        let minute = there.hour().cast_unsigned() as u16 * 60 + there.minute().cast_unsigned() as u16;
        let open_on = |day: Weekday| self.days[usize::from(day.to_monday_zero_offset().cast_unsigned())];
        let today = there.weekday();
        if self.from < self.until {
            return open_on(today) && (self.from..self.until).contains(&minute);
        }
        let yesterday = there.date().checked_sub(1.day()).map_or(today, |date| date.weekday());
        (open_on(today) && minute >= self.from) || (open_on(yesterday) && minute < self.until)
    }
}

fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let number = |day: &str| DAYS.iter().position(|known| day.eq_ignore_ascii_case(known));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        // "sat-mon" goes over the end of the week.
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|n| days[(first + n) % 7] = true);
    }
    Some(days)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Wallclock {
        Wallclock(text.parse::<Timestamp>().unwrap().as_millisecond().cast_unsigned())
    }

    #[test]
    fn the_clock_on_the_wall_there_counts() {
        let office = Hours::parse("mon-fri 09:00-17:00 Europe/Berlin").unwrap();
        for (moment, open) in [
            // Winter: an hour ahead of UTC; summer: two.
            ("2026-01-05T07:59:59Z", false),
            ("2026-01-05T08:00:00Z", true),
            ("2026-01-05T15:59:59Z", true),
            ("2026-01-05T16:00:00Z", false),
            ("2026-07-06T06:59:59Z", false),
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T15:00:00Z", false),
            ("2026-01-03T10:00:00Z", false),
            ("2026-01-04T10:00:00Z", false),
            ("2026-01-09T10:00:00Z", true),
        ] {
            assert_eq!(office.contain(at(moment)), open, "{moment}");
        }
        let elsewhere = Hours::parse("daily 00:00-24:00 America/New_York").unwrap();
        assert!(elsewhere.contain(at("2026-03-08T07:30:00Z")) && elsewhere.contain(at("2026-11-01T05:59:59Z")));
    }

    #[test]
    fn hours_over_midnight_belong_to_their_first_day() {
        let night = Hours::parse("fri,sat 22:00-06:00 UTC").unwrap();
        for (moment, open) in [
            ("2026-01-02T21:59:00Z", false),
            ("2026-01-02T22:00:00Z", true),
            ("2026-01-03T05:59:00Z", true),
            ("2026-01-03T06:00:00Z", false),
            ("2026-01-04T05:00:00Z", true),
            ("2026-01-04T23:00:00Z", false),
            ("2026-01-02T05:00:00Z", false),
        ] {
            assert_eq!(night.contain(at(moment)), open, "{moment}");
        }
        let weekend = Hours::parse("sat-mon 10:00-12:00 UTC").unwrap();
        for (day, open) in [(2, false), (3, true), (4, true), (5, true), (6, false)] {
            assert_eq!(weekend.contain(at(&format!("2026-01-0{day}T11:00:00Z"))), open, "{day}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_advice() {
        for wrong in [
            "",
            "mon-fri 09:00-17:00",
            "mon-fri 09:00-17:00 Europe/Bärlin",
            "workdays 09:00-17:00 UTC",
            "mon 9-17 UTC",
            "mon 09:00-25:00 UTC",
            "mon 09:60-10:00 UTC",
            "mon 09:00-09:00 UTC",
            "mon 24:00-09:00 UTC",
            "mon 09:00-17:00 UTC please",
        ] {
            assert!(Hours::parse(wrong).unwrap_err().contains("Europe/Berlin"), "{wrong}");
        }
    }
}

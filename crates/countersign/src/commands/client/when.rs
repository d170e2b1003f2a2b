//! Times as people type them.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::time::Duration;

/// How long: 90s, 20m, 2h or 3d.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number with s, m, h or d, such as 20m".to_owned();
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let read = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, seconds) = read.ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// A time: RFC 3339, a day (its beginning in UTC), or how far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// So far from now.
    Away(Duration),
}

impl Moment {
    /// A time that is to come.
    pub fn to_come(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            "give a day such as 2027-01-31, a time such as 2027-01-31T12:00:00Z, or how far away it is, such as 30d"
                .to_owned()
        })
    }

    /// A time that is over.
    pub fn gone(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            "give a day such as 2027-01-31, a time such as 2027-01-31T12:00:00Z, or how long ago it was, such as 2h"
                .to_owned()
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        let away = || duration(text).ok().map(Self::Away);
        let time = || text.contains('T').then(|| text.parse().ok()).flatten();
        away().or_else(|| time().or_else(day).map(Self::At))
    }

    /// So far behind now.
    pub fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Away(away) => {
                let away = SignedDuration::try_from(away).unwrap_or(SignedDuration::MAX);
                now.checked_add(away).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// So far before now.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Away(away) => {
                let away = SignedDuration::try_from(away).unwrap_or(SignedDuration::MAX);
                now.checked_sub(away).unwrap_or(Timestamp::UNIX_EPOCH)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        assert_eq!(duration("20m"), Ok(Duration::from_mins(20)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("3d"), Ok(Duration::from_hours(72)));
        for wrong in ["", "m", "20", "20w", "-1s", "1.5h", "99999999999999999999h", "5ä"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_days_times_or_distances() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T20:00:00Z");
        for (text, after, before) in [
            ("2027-01-31", "2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z", "2027-01-31T11:00:00Z"),
            ("2h", "2026-11-21T22:00:00Z", "2026-11-21T18:00:00Z"),
        ] {
            let moment = Moment::to_come(text).unwrap();
            assert_eq!((moment.after(now), moment.before(now)), (at(after), at(before)), "{text}");
        }
        assert_eq!(Moment::to_come("18446744073709551615s").unwrap().after(now), Timestamp::MAX);
        for wrong in ["tomorrow", "", "2027-13-01", "31.01.2027", "20270131T", "now"] {
            assert!(Moment::to_come(wrong).unwrap_err().contains("30d"), "{wrong}");
            assert!(Moment::gone(wrong).unwrap_err().contains("2h"), "{wrong}");
        }
    }
}

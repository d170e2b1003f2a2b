//! Times for people: the clock in UTC, and how long it is until then.

use model::Timestamp;

/// "14:32 UTC", with the day in front when it is not today: "22 November 14:32 UTC".
pub fn at(time: Timestamp, now: Timestamp) -> String {
    let today = time.strftime("%F").to_string() == now.strftime("%F").to_string();
    let format = if today { "%H:%M UTC" } else { "%-d %B %H:%M UTC" };
    time.strftime(format).to_string()
}

/// "14:32 UTC, in 9 minutes"; "14:32 UTC, which has passed" when it has.
pub fn until(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.as_second().saturating_sub(now.as_second());
    match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => format!("{}, in {}", at(time, now), span(seconds)),
        _ => format!("{}, which has passed", at(time, now)),
    }
}

/// "usually within 30 seconds", "usually after 1 to 4 hours", "usually after 10 minutes to 2 hours".
pub fn range(least: u64, most: u64) -> String {
    if least == 0 {
        return format!("usually within {}", span(most));
    }
    let (least, most) = (span(least), span(most));
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.trim_end_matches('s').to_owned());
    match least.split_once(' ') {
        Some((count, _)) if unit(&least) == unit(&most) => format!("usually after {count} to {most}"),
        _ => format!("usually after {least} to {most}"),
    }
}

/// A length of time in its largest sensible unit, rounded up: "30 seconds", "9 minutes", "2 hours", "3 days".
pub fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        60 => (1, "minute"),
        3_600 => (1, "hour"),
        0..120 => (seconds, "second"),
        120..7_200 => (seconds.div_ceil(60), "minute"),
        7_200..172_800 => (seconds.div_ceil(3_600), "hour"),
        _ => (seconds.div_ceil(86_400), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_on_the_clock_and_in_length() {
        let now: Timestamp = "2026-11-21T14:23:00Z".parse().unwrap();
        assert_eq!(until("2026-11-21T14:32:00Z".parse().unwrap(), now), "14:32 UTC, in 9 minutes");
        assert_eq!(until("2026-11-22T01:00:00Z".parse().unwrap(), now), "22 November 01:00 UTC, in 11 hours");
        assert_eq!(until("2026-11-21T14:23:00Z".parse().unwrap(), now), "14:23 UTC, which has passed");
        assert!(until(Timestamp::MAX, Timestamp::MIN).contains(" days"));
        assert_eq!(span(1), "1 second");
        assert_eq!(span(121), "3 minutes");
    }
}

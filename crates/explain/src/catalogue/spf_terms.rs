//! The terms of SPF records, compared as words (RFC 7208 §4.6): names and mechanisms in any case, `+` as the default
//! qualifier. Nothing is evaluated here.

/// The `rules` that stand in `current` behind its first `all`; none unless every rule is in the record.
pub(super) fn behind_all<'a>(current: &str, rules: &'a str) -> Vec<&'a str> {
    let terms: Vec<String> = current.split_ascii_whitespace().map(plain).collect();
    let is_all = |term: &String| term.trim_start_matches(['-', '~', '?']) == "all";
    let Some(end) = terms.iter().position(is_all) else { return Vec::new() };
    let rules: Vec<&str> = rules.split_ascii_whitespace().collect();
    if !rules.iter().all(|rule| terms.contains(&plain(rule))) {
        return Vec::new();
    }
    rules.into_iter().filter(|rule| !terms[..end].contains(&plain(rule))).collect()
}

/// The terms of `record` that are not in `other`.
pub(super) fn missing_from<'a>(other: &str, record: &'a str) -> Vec<&'a str> {
    let kept: Vec<String> = other.split_ascii_whitespace().map(plain).collect();
    record.split_ascii_whitespace().filter(|term| !kept.contains(&plain(term))).collect()
}

fn plain(term: &str) -> String {
    term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_behind_all_are_told_from_rules_that_are_not_there() {
        let rule = "include:spf.send.example";
        assert_eq!(behind_all("v=spf1 mx ~all +Include:spf.send.example", rule), [rule]);
        assert!(behind_all("v=spf1 include:spf.send.example ~all", rule).is_empty());
        assert!(behind_all("v=spf1 mx ~all", rule).is_empty());
        assert!(behind_all("v=spf1 -include:spf.send.example ~all", rule).is_empty());
        assert_eq!(behind_all("v=spf1 a -all mx", "a mx"), ["mx"]);
        assert!(behind_all("v=spf1 -all mx", "a mx").is_empty());
    }

    #[test]
    fn what_a_new_record_does_not_keep_is_named() {
        let found = missing_from("v=spf1 ip4:192.0.2.1 -all", "v=spf1 ipv4:192.0.2.1 nonsense:x -all");
        assert_eq!(found, ["ipv4:192.0.2.1", "nonsense:x"]);
    }
}

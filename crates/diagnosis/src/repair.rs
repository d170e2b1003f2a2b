//! One repaired value of a record, whatever the number of findings about it: following one finding's remedy never
//! undoes another's.

use crate::{checks::Context, spf_tree};
use mail::{
    dkim::{KeyRecord, KeyState},
    dmarc::{PolicyRecord, PublicSuffix, ReportUri, with_tag, without_tags},
    spf::{MAX_VOID_LOOKUPS, SpfNodeProblem, SpfNodeTerm, SpfRecord},
};

/// The SPF record of a name with all that can be mended in it, and our mechanisms where they are not; `None` where
/// nothing can be, or where nothing but `all` would be left of a record that names senders.
pub fn spf(context: &Context<'_>) -> Option<String> {
    let found = context.spf_tree()?;
    let (record, tree) = (found.record(), &found.node);
    let known = |word: &str| tree.terms.iter().find(|term| term.text == word);
    let has_to_go = |term: &SpfNodeTerm| {
        has_to_go(term)
            || (tree.void_lookups > MAX_VOID_LOOKUPS && is_void(term))
            || (tree.passes_all && is_wide(term))
    };
    let words: Vec<&str> = record
        .split(' ')
        .enumerate()
        .filter_map(|(index, word)| match word {
            _ if index == 0 => Some(word),
            all if ["all", "+all", "?all"].iter().any(|open| all.eq_ignore_ascii_case(open)) => Some("~all"),
            other if known(other).is_some_and(has_to_go) => None,
            other => Some(other),
        })
        .collect();
    let mut mended = words.join(" ");
    if !words.iter().any(|word| is_all(word) || is_redirect(word)) {
        mended = format!("{} ~all", mended.trim_end_matches(' '));
    }
    if let Some(rules) = context.spf_rules().filter(|rules| !found.passes(rules)) {
        mended = spf_tree::merge_one(&mended, rules);
    }
    (mended != record && (names_senders(&mended) || !names_senders(record))).then_some(mended)
}

/// Whether a term lets everyone pass, leads back to a record that was passed already or to a name without one (which
/// is an error for all whom the terms before it do not name), or is never looked at.
fn has_to_go(term: &SpfNodeTerm) -> bool {
    let problem = term.leads_to.as_ref().and_then(|node| node.problem.as_ref());
    lets_everyone_pass(term)
        || matches!(problem, Some(SpfNodeProblem::Loop | SpfNodeProblem::NoRecord))
        || (!term.reached && is_redirect(&term.text))
}

/// Whether the look-up of a term finds nothing, so that nobody passes by it.
fn is_void(term: &SpfNodeTerm) -> bool {
    term.void_lookups > 0 && term.leads_to.is_none() && !term.text.contains('%')
}

/// Whether every client passes by this term, `all` apart.
pub fn lets_everyone_pass(term: &SpfNodeTerm) -> bool {
    term.leads_to.as_ref().is_some_and(|node| node.passes_all)
        || (term.text.to_ascii_lowercase().contains("ip4:") && term.text.ends_with("/0"))
        || is_all_of_ipv6(term)
}

/// Whether more clients of IPv4 pass by this term than any network has: with others like it, all of them may.
pub fn is_wide(term: &SpfNodeTerm) -> bool {
    let text = term.text.strip_prefix('+').unwrap_or(&term.text);
    let prefix = text.rsplit_once('/').and_then(|(_, prefix)| prefix.parse::<u8>().ok());
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ip4:"))
        && prefix.is_some_and(|prefix| prefix < 8)
}

/// Whether every client of IPv6 passes by this term.
pub fn is_all_of_ipv6(term: &SpfNodeTerm) -> bool {
    let text = term.text.strip_prefix('+').unwrap_or(&term.text);
    text.ends_with("/0") && text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ip6:"))
}

/// An SPF record that does not parse, with its known slips mended and `all` last; else the terms that nobody can
/// tell the meaning of. A part that is lost may be somebody's mail: then there is no record to offer.
pub fn spf_syntax(record: &str) -> Result<String, Vec<String>> {
    let (mut terms, mut ends, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for word in record.split_ascii_whitespace().skip(1) {
        match mended_term(word) {
            Some(mended) if is_all(&mended) => ends.push(mended),
            Some(mended) => terms.push(mended),
            None => lost.push(word.to_owned()),
        }
    }
    let words = std::iter::once("v=spf1".to_owned()).chain(terms).chain(ends.into_iter().take(1));
    let mended = words.collect::<Vec<_>>().join(" ");
    if lost.is_empty() && SpfRecord::parse(&mended).is_ok() { Ok(mended) } else { Err(lost) }
}

/// The term as it was meant; several where addresses were joined by commas.
fn mended_term(term: &str) -> Option<String> {
    const SLIPS: [(&str, &str); 5] = [
        ("ipv4:", "ip4:"),
        ("ipv6:", "ip6:"),
        ("ip:", "ip4:"),
        ("includes:", "include:"),
        ("include=", "include:"),
    ];
    let is_valid = |term: &str| SpfRecord::parse(&format!("v=spf1 {term}")).is_ok();
    if is_valid(term) {
        return Some(term.to_owned());
    }
    let lower = term.to_ascii_lowercase();
    let slips = SLIPS.iter().filter(|(slip, _)| lower.contains(slip));
    let mended = slips.map(|(slip, right)| lower.replacen(slip, right, 1));
    mended.chain([lower.clone()]).find_map(|term| {
        if is_valid(&term) {
            return Some(term);
        }
        let (kind, addresses) = term.split_once(':').filter(|(_, addresses)| addresses.contains(','))?;
        if !matches!(kind.trim_start_matches(['+', '-', '~', '?']), "ip4" | "ip6") {
            return None;
        }
        let parts = addresses.split(',').filter(|part| !part.is_empty());
        let parts: Vec<String> = parts
            .map(|part| if part.starts_with("ip") { part.to_owned() } else { format!("{kind}:{part}") })
            .collect();
        (!parts.is_empty() && parts.iter().all(|part| is_valid(part))).then(|| parts.join(" "))
    })
}

/// A DKIM record whose version, quotation marks or DER structure around an Ed25519 key make receivers discard it, with
/// the same key; `None` where more is wrong with it.
pub fn dkim_syntax(record: &str) -> Option<String> {
    let bare: String = record.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    let tags = bare.split(';').map(str::trim).filter(|tag| !tag.is_empty() && dkim_name(tag) != "v");
    let unwrapped = |tag: &str| match tag.split_once('=') {
        Some((name, key)) if name.trim() == "p" => {
            mail::dkim::unwrapped_ed25519(key).map(|key| format!("p={key}"))
        }
        _ => None,
    };
    let tags = tags.map(|tag| unwrapped(tag).unwrap_or_else(|| tag.to_owned()));
    let mended = std::iter::once("v=DKIM1".to_owned()).chain(tags).collect::<Vec<_>>().join("; ");
    let key = KeyRecord::parse(&mended).ok()?;
    (mended != record && key.serves_mail() && key.key != KeyState::Revoked).then_some(mended)
}

/// A DKIM record without the flag of a test, all else as it is.
pub fn dkim_in_earnest(record: &str) -> Option<String> {
    let tags = record.split(';').filter_map(|tag| {
        if dkim_name(tag) != "t" {
            return Some(tag.to_owned());
        }
        let (before, flags) = tag.split_once('=')?;
        let kept: Vec<&str> =
            flags.split(':').map(str::trim).filter(|flag| !flag.eq_ignore_ascii_case("y")).collect();
        (!kept.is_empty()).then(|| format!("{before}={}", kept.join(":")))
    });
    let mended = tags.collect::<Vec<_>>().join(";");
    KeyRecord::parse(&mended).is_ok_and(|key| !key.testing).then_some(mended)
}

fn dkim_name(tag: &str) -> &str {
    tag.split('=').next().unwrap_or_default().trim()
}

/// A DMARC record without the tags that are no longer part of it, that cannot be read, or that only registries use, and
/// with `mailto:` before the addresses that lack it.
pub fn dmarc(context: &Context<'_>, record: &str, parsed: &PolicyRecord) -> String {
    let mut reports = parsed.aggregate_reports.iter().chain(&parsed.failure_reports);
    let has_nothing_odd = parsed.removed_tags.is_empty()
        && parsed.ignored_tags.is_empty()
        && parsed.public_suffix == PublicSuffix::Undeclared
        && !parsed.policy_defaulted
        && reports.all(|uri| uri.address.is_some());
    if has_nothing_odd {
        return record.to_owned();
    }
    let mut tags = parsed.removed_tags.clone();
    if is_no_registry(context, parsed) {
        tags.push("psd".to_owned());
    }
    // Without the tag, subdomains would come under p: one that was to be spared would be refused all at once.
    let others = unusable_policies(parsed).filter(|tag| tag.name != "p");
    let value = others.fold(without_tags(record, &tags), |value, tag| {
        with_tag(&value, &tag.name, policy_meant(&tag.value))
    });
    let value = dmarc_addresses(value);
    // A policy that is there and valid is kept: then only sp or np stood in the way.
    let again = context.view.readings().dmarc(&value);
    if again.as_ref().as_ref().is_ok_and(|again| again.policy_defaulted) {
        return with_tag(&value, "p", "none");
    }
    value
}

/// The record with `mailto:` before each address for reports that is one without it; the tag as it is where another
/// entry of it would be left that no report goes to.
pub fn dmarc_addresses(record: String) -> String {
    ["rua", "ruf"].into_iter().fold(record, |record, name| {
        let tags = || record.split(';').filter_map(|tag| tag.split_once('='));
        let Some((_, list)) = tags().find(|(tag, _)| tag.trim() == name) else { return record };
        let is_address = |uri: &str| ReportUri::parse(uri).is_some_and(|uri| uri.address.is_some());
        let uris = list.split(',').map(str::trim).filter(|uri| !uri.is_empty());
        let meant = uris.map(|uri| if is_address(uri) { uri.to_owned() } else { format!("mailto:{uri}") });
        let meant: Vec<String> = meant.collect();
        let list = list.trim();
        let is_mended = meant.iter().all(|uri| is_address(uri)) && !list.split(',').all(is_address);
        if is_mended { with_tag(&record, name, &meant.join(",")) } else { record }
    })
}

/// The policy that a misspelt one was meant to be; where that is not clear none, which is what receivers apply now.
fn policy_meant(written: &str) -> &'static str {
    let letters = |text: &str| {
        let text = text.to_ascii_lowercase();
        let mut letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    };
    // Letters that are doubled, lost or in another order.
    let written = letters(written);
    let apart = |policy: &&str| {
        let policy = letters(policy);
        let lost = policy.iter().filter(|letter| !written.contains(letter)).count();
        lost + written.iter().filter(|letter| !policy.contains(letter)).count()
    };
    ["quarantine", "reject"].into_iter().find(|policy| apart(policy) <= 1).unwrap_or("none")
}

/// The tags `p`, `sp` and `np` whose value is no policy.
pub fn unusable_policies(parsed: &PolicyRecord) -> impl Iterator<Item = &mail::dmarc::IgnoredTag> {
    parsed.ignored_tags.iter().filter(|tag| matches!(tag.name.as_str(), "p" | "sp" | "np"))
}

/// Whether the record says `psd=y` at a domain that is no public suffix.
pub fn is_no_registry(context: &Context<'_>, parsed: &PolicyRecord) -> bool {
    parsed.public_suffix == PublicSuffix::Yes && model::registrable_domain(&context.plan.domain).is_some()
}

fn bare(term: &str) -> &str {
    term.trim_start_matches(['+', '-', '~', '?'])
}

fn is_all(term: &str) -> bool {
    bare(term).eq_ignore_ascii_case("all")
}

fn is_redirect(term: &str) -> bool {
    term.to_ascii_lowercase().starts_with("redirect=")
}

/// Whether a record has any term but its version, `all` and an explanation.
fn names_senders(record: &str) -> bool {
    let is_sender = |term: &str| !is_all(term) && !term.to_ascii_lowercase().starts_with("exp=");
    record.split_ascii_whitespace().skip(1).any(is_sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_mended_good_terms_stay_and_all_is_last() {
        for (record, mended) in [
            ("v=spf1 ipv4:192.0.2.1 include:a.test ~all", "v=spf1 ip4:192.0.2.1 include:a.test ~all"),
            ("V=SPF1 IP4:192.0.2.1,192.0.2.2 -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"),
            ("v=spf1 ipv4:192.0.2.1 -all mx ~all", "v=spf1 ip4:192.0.2.1 mx -all"),
            ("v=spf1 ip6:2001:db8::1,2001:db8::2 ~all", "v=spf1 ip6:2001:db8::1 ip6:2001:db8::2 ~all"),
        ] {
            assert_eq!(spf_syntax(record).as_deref(), Ok(mended), "{record}");
        }
    }

    #[test]
    fn a_key_is_kept_as_it_is_and_offered_only_where_it_is_good_then() {
        const KEY: &str = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        for (record, mended) in [
            (format!("v=dkim1; k=ed25519; {KEY}"), format!("v=DKIM1; k=ed25519; {KEY}")),
            (format!("k=ed25519; {KEY}; v=DKIM1;"), format!("v=DKIM1; k=ed25519; {KEY}")),
            (format!("v=DKIM1; k=\"ed25519\"; {KEY}"), format!("v=DKIM1; k=ed25519; {KEY}")),
        ] {
            assert_eq!(dkim_syntax(&record), Some(mended), "{record}");
        }
        for lost in ["v=dkim1; p=", "v=dkim1; p=AAAA", &format!("v=dkim1; h=sha1; k=ed25519; {KEY}"), "x"] {
            assert_eq!(dkim_syntax(lost), None, "{lost}");
        }
        for (flags, kept) in [(" t=y;", ""), (" t=y:s;", " t=s;"), (" t = s : y ;", " t =s;")] {
            let record = |flags: &str| format!("v=DKIM1; k=ed25519;{flags} {KEY}");
            assert_eq!(dkim_in_earnest(&record(flags)), Some(record(kept)), "{flags}");
        }
    }

    #[test]
    fn a_misspelt_policy_is_the_one_that_was_meant_or_none() {
        for (written, meant) in [
            ("rejct", "reject"),
            ("Reject!", "reject"),
            ("quarentine", "quarantine"),
            ("quarantined", "quarantine"),
            ("nonee", "none"),
            ("", "none"),
            ("foo", "none"),
            ("rejection", "none"),
        ] {
            assert_eq!(policy_meant(written), meant, "{written}");
        }
    }

    #[test]
    fn a_record_that_would_lose_a_part_is_not_offered() {
        for (record, lost) in [
            ("v=spf1 mx nonsense:x -all", "nonsense:x"),
            ("v=spf1 ip4:999.1.1.1 -all ip4:192.0.2.3", "ip4:999.1.1.1"),
            ("v=spf1 a:", "a:"),
            ("v=spf1 ip4:192.0.2.1,mail -all", "ip4:192.0.2.1,mail"),
        ] {
            assert_eq!(spf_syntax(record), Err(vec![lost.to_owned()]), "{record}");
        }
        assert_eq!(spf_syntax("v=spf1 redirect=a.test redirect=b.test"), Err(Vec::new()));
    }
}

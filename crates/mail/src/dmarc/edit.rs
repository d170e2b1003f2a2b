//! Changing one tag of a policy record and nothing else: what the owner wrote stays as it is byte for byte.

use crate::tag_list::is_fws;

fn name_of(tag: &str) -> &str {
    tag.split('=').next().unwrap_or_default().trim_matches(is_fws)
}

/// The record with a tag set to a value: in its place where it is there, else behind the version.
pub fn with_tag(record: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let mut out = String::with_capacity(record.len() + name.len() + value.len() + 3);
    for (position, tag) in record.split(';').enumerate() {
        if position > 0 {
            out.push(';');
        }
        match tag.split_once('=') {
            Some((before, after)) if name_of(tag) == name => {
                found = true;
                let lead = &after[..after.len() - after.trim_start_matches(is_fws).len()];
                let tail = &after[after.trim_end_matches(is_fws).len().max(lead.len())..];
                for part in [before, "=", lead, value, tail] {
                    out.push_str(part);
                }
            }
            _ => out.push_str(tag),
        }
    }
    if !found {
        let behind_version = out.find(';').unwrap_or(out.len());
        out.insert_str(behind_version, &format!("; {name}={value}"));
    }
    out
}

/// The record without these tags.
pub fn without_tags(record: &str, names: &[String]) -> String {
    if names.is_empty() {
        return record.to_owned();
    }
    let is_kept = |tag: &&str| !names.iter().any(|name| name_of(tag) == name);
    record.split(';').filter(is_kept).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_tag_changes() {
        assert_eq!(
            with_tag("v=DMARC1; p = none ;rua=mailto:a@b.test", "p", "quarantine"),
            "v=DMARC1; p = quarantine ;rua=mailto:a@b.test"
        );
        assert_eq!(with_tag("v=DMARC1;sp=none;p=none;", "p", "reject"), "v=DMARC1;sp=none;p=reject;");
        assert_eq!(
            with_tag("v=DMARC1; rua=mailto:a@b.test", "p", "none"),
            "v=DMARC1; p=none; rua=mailto:a@b.test"
        );
        assert_eq!(with_tag("v=DMARC1", "p", "none"), "v=DMARC1; p=none");
        assert_eq!(
            without_tags("v=DMARC1; p=none; pct=50; ri=1", &["pct".into(), "ri".into()]),
            "v=DMARC1; p=none"
        );
    }

    proptest! {
        #[test]
        fn a_valid_record_gets_the_policy_and_keeps_the_rest(tail in "(; ?(sp|np|fo|x) ?= ?[a-z0-1]{1,5} ?){0,3};?") {
            let record = format!("v=DMARC1; p=none{tail}");
            let changed = with_tag(&record, "p", "reject");
            prop_assert_eq!(&changed, &record.replacen("p=none", "p=reject", 1));
        }
    }
}

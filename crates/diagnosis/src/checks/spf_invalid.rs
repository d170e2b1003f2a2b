//! An SPF record that does not parse.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    spf_tree,
};
use mail::spf::SpfRecord;

/// There is one SPF record, and it has a syntax error.
///
/// One bad term makes the whole record a permanent error: nobody passes. Mend the term.
///
/// Source: RFC 7208 §4.6.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules } = &context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let [record] = records.as_slice() else { return None };
    let reason = SpfRecord::parse(record).err()?.to_string();
    let name = context.record.owner.clone();
    let mut replace_with = mended(record);
    if let Some(rules) = rules {
        replace_with = spf_tree::merge_one(&replace_with, rules);
    }
    let remedy = Remedy::MergeSpf { name: name.clone(), current: vec![record.clone()], replace_with };
    let defect = Defect::SpfInvalid { name, record: record.clone(), reason };
    Some(context.finding(defect, context.severity(), remedy))
}

/// The record with its bad terms mended where the slip is a known one, and left out where it is not: a term that
/// nobody can read authorises nobody.
fn mended(record: &str) -> String {
    let is_valid = |term: &str| SpfRecord::parse(&format!("v=spf1 {term}")).is_ok();
    let mend = |term: &str| {
        if is_valid(term) {
            return Some(term.to_owned());
        }
        let slips = [
            ("ipv4:", "ip4:"),
            ("ipv6:", "ip6:"),
            ("ip:", "ip4:"),
            ("includes:", "include:"),
            ("include=", "include:"),
        ];
        slips
            .iter()
            .filter(|(slip, _)| term.contains(slip))
            .map(|(slip, right)| term.replacen(slip, right, 1))
            .find(|mended| is_valid(mended))
    };
    let terms = record.split_ascii_whitespace().skip(1).filter_map(mend);
    std::iter::once("v=spf1".to_owned()).chain(terms).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn slips_are_mended_and_good_terms_stay() {
        assert_eq!(
            mended("v=spf1 ipv4:192.0.2.1 include:a.test ~all"),
            "v=spf1 ip4:192.0.2.1 include:a.test ~all"
        );
        assert_eq!(mended("v=spf1 mx nonsense:x -all"), "v=spf1 mx -all");
    }
}

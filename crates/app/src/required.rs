//! From what a check found to what should be written: the plan's records as wants of `publish`.

use diagnosis::{Defect, RecordReport, Report, plan::Expected, profile::TxtConflict};
use model::RecordStatus;
use publish::{ChangeSet, Displaces, Required, Want};

/// The records that a domain should have. All of them, those too that are right: what is asked for by nothing is a
/// left-over.
pub(crate) fn required(report: &Report) -> Vec<Required> {
    report.records.iter().filter_map(|record| required_of(report, record)).collect()
}

fn required_of(report: &Report, record: &RecordReport) -> Option<Required> {
    let planned = &record.planned;
    let want = match &planned.expected {
        Expected::Dkim { public_key: None, record: None } | Expected::Spf { rules: None } => return None,
        // A selector has one key.
        dkim @ Expected::Dkim { .. } => Want::Text { value: dkim.value(), displaces: Displaces::All },
        Expected::Spf { rules: Some(rules) } => {
            Want::Spf { rules: rules.clone(), lookups_after: lookups_after(report, &planned.key) }
        }
        Expected::Dmarc { suggested } => {
            Want::Policy { begins: "v=DMARC1".to_owned(), suggested: suggested.clone() }
        }
        Expected::Txt { value, conflict } => Want::Text {
            value: value.clone(),
            displaces: match conflict {
                TxtConflict::None => Displaces::Nothing,
                TxtConflict::All => Displaces::All,
                TxtConflict::Prefix(prefix) => Displaces::Prefix(prefix.clone()),
            },
        },
        Expected::Mx { preference, exchange, .. } => {
            Want::OnlyExchanger { preference: *preference, exchange: exchange.clone() }
        }
        other @ (Expected::Cname { .. }
        | Expected::Address { .. }
        | Expected::Delegation { .. }
        | Expected::Exact { .. }) => Want::Exactly { data: other.data() },
    };
    Some(Required {
        key: planned.key.clone(),
        owner: planned.owner.clone(),
        ttl: planned.ttl,
        essential: planned.required,
        want,
    })
}

/// How many look-ups the SPF record takes once our mechanisms are in it, where the check counted them.
fn lookups_after(report: &Report, key: &str) -> Option<u8> {
    let of_record = report.findings.iter().filter(|finding| finding.record.as_deref() == Some(key));
    let counted = of_record.filter_map(|finding| match &finding.defect {
        Defect::SpfMechanismAbsent { lookups_after, .. }
        | Defect::SpfMultipleRecords { lookups_after, .. } => Some(*lookups_after),
        _ => None,
    });
    counted.max().and_then(|lookups| u8::try_from(lookups).ok())
}

/// What DNS shows to be right is right, however it came to be: an alias of the customer's own that leads to our key, our
/// mechanism in a record that theirs includes.
pub(crate) fn settle_what_is_right(set: &mut ChangeSet, report: &Report) {
    let is_right = |key: &str| {
        let mut of_key = report.records.iter().filter(|record| record.planned.key == key);
        of_key.any(|record| record.status == RecordStatus::Verified)
    };
    let (right, blocked) = std::mem::take(&mut set.blocked).into_iter().partition(|one| is_right(&one.key));
    set.blocked = blocked;
    set.settled.extend(Vec::<publish::Blocked>::into_iter(right).map(|one| one.key));
    set.settled.sort();
}

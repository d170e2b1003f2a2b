//! What a deleted domain leaves behind at the DNS host: the records that were seen there and are ours.
//!
//! A record is named only when the newest report saw our content at its place, or could not see and an earlier one
//! was certain. Of an SPF record that other services
//! share, only our mechanisms are named: whoever deleted the whole of it would stop the mail of all the others.

use app::diagnosis::{Expected, RecordReport, Report};
use model::RecordStatus;
use serde::Serialize;
use utoipa::ToSchema;

/// A record that is still at the DNS host, and what can go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leftover)]
pub struct Leftover {
    /// The type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: String,
    /// The whole name.
    #[schema(example = "tok._domainkey.mail.example.com")]
    name: String,
    /// `delete`: the record can go. `edit`: only `take_out` can, the rest belongs to others.
    #[schema(example = "delete")]
    action: &'static str,
    /// The record's value as it was seen last; as it was planned, where the last check got no answer.
    value: String,
    /// What to take out of the value; null where the whole record can go.
    #[schema(required)]
    take_out: Option<String>,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.record_type, self.name)?;
        match &self.take_out {
            Some(terms) => write!(f, ": take out only {terms}; keep the rest"),
            None => Ok(()),
        }
    }
}

/// What can be removed, in the plan's order.
pub fn of(report: &Report) -> Vec<Leftover> {
    report.records.iter().filter_map(leftover).collect()
}

/// The sentence for people.
pub fn message(domain: &str, leftovers: &[Leftover]) -> String {
    if leftovers.is_empty() {
        return format!(
            "{domain} was deleted. At the last check none of its records was seen at your DNS host: there is nothing to remove."
        );
    }
    let mut list: Vec<String> = leftovers.iter().map(ToString::to_string).collect();
    list.dedup();
    let list = list.join(", ");
    if leftovers.iter().any(|leftover| leftover.record_type == "NS") {
        return format!(
            "{domain} was deleted, and our name servers have no such zone any more. It is still delegated to them: remove at your DNS host {list}."
        );
    }
    format!(
        "{domain} was deleted. The records at your DNS host were not touched; what you can remove there: {list}."
    )
}

fn leftover(record: &RecordReport) -> Option<Leftover> {
    let (value, take_out) = match &record.planned.expected {
        expected if record.current.is_empty() => remembered(record, expected)?,
        Expected::Spf { rules: Some(rules) } => {
            record.current.iter().find_map(|current| shared_spf(current, rules))?
        }
        Expected::Spf { rules: None } => return None,
        expected => (ours(record, expected)?, None),
    };
    Some(Leftover {
        record_type: record.record_type().to_string(),
        name: record.planned.owner.to_string(),
        action: if take_out.is_some() { "edit" } else { "delete" },
        value,
        take_out,
    })
}

/// What an earlier check was certain of, where the last one got no answer. What else is in a policy or an SPF record
/// is not known then.
fn remembered(record: &RecordReport, expected: &Expected) -> Option<(String, Option<String>)> {
    let is_there = matches!(record.status, RecordStatus::Unknown | RecordStatus::Pending)
        && record.last_certain == Some(RecordStatus::Verified);
    match expected {
        _ if !is_there => None,
        Expected::Dmarc { .. } | Expected::Spf { rules: None } | Expected::Dkim { public_key: None, .. } => {
            None
        }
        Expected::Spf { rules: Some(rules) } => Some((expected.value(), Some(rules.clone()))),
        _ => Some((expected.value(), None)),
    }
}

/// The value at the name that is ours alone.
fn ours(record: &RecordReport, expected: &Expected) -> Option<String> {
    let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    let is_ours = |current: &&String| match expected {
        Expected::Cname { target, .. } => plain(current) == plain(target.as_str()),
        // Shown with its preference, which may be another one.
        Expected::Mx { exchange, .. } => {
            current.rsplit(' ').next().is_some_and(|host| plain(host) == plain(exchange.as_str()))
        }
        // A key may be written in many ways: the report has compared it.
        Expected::Dkim { public_key: Some(_), .. } => {
            record.status == RecordStatus::Verified && current.contains("p=")
        }
        Expected::Dkim { public_key: None, .. } | Expected::Spf { .. } => false,
        Expected::Dmarc { suggested } => *current == suggested,
        Expected::Delegation { name_server, .. } => plain(current) == plain(name_server.as_str()),
        Expected::Txt { value, .. } => *current == value,
        Expected::Address { data } | Expected::Exact { data } => **current == data.to_string(),
    };
    record.current.iter().find(is_ours).cloned()
}

/// An SPF record with our mechanisms: its text, and the terms of ours where there are other senders beside them.
fn shared_spf(current: &str, rules: &str) -> Option<(String, Option<String>)> {
    let bare = |term: &str| term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
    let rules: Vec<String> = rules.split_ascii_whitespace().map(bare).collect();
    let terms = || current.split_ascii_whitespace().skip(1);
    let ours: Vec<&str> = terms().filter(|term| rules.contains(&bare(term))).collect();
    if ours.is_empty() {
        return None;
    }
    let has_others = terms().any(|term| !rules.contains(&bare(term)) && bare(term) != "all");
    Some((current.to_owned(), has_others.then(|| ours.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::diagnosis::{Plan, PlannedRecord};
    use model::{DomainName, Purpose, Timestamp};

    fn told(expected: Expected, status: RecordStatus, current: &[&str]) -> Option<String> {
        told_after(None, expected, status, current)
    }

    fn told_after(
        last_certain: Option<RecordStatus>,
        expected: Expected,
        status: RecordStatus,
        current: &[&str],
    ) -> Option<String> {
        let planned = PlannedRecord {
            hosted: false,
            key: "x".into(),
            purpose: Purpose::Spf,
            owner: DomainName::parse("g.example").unwrap(),
            ttl: 3600,
            required: true,
            expected,
            explanation: String::new(),
        };
        let plan = Plan::new(planned.owner.clone(), "x", vec![planned]);
        let mut report = Report::unchecked(&plan, Timestamp::UNIX_EPOCH);
        report.records[0].status = status;
        report.records[0].last_certain = last_certain;
        report.records[0].current = current.iter().map(|text| (*text).to_owned()).collect();
        of(&report).first().map(ToString::to_string)
    }

    #[test]
    fn nobody_is_told_to_delete_the_spf_record_of_others() {
        let spf = || Expected::Spf { rules: Some("include:spf.send.test".into()) };
        let told = |current: &[&str]| told(spf(), RecordStatus::Verified, current);
        assert_eq!(
            told(&["v=spf1 include:_spf.other.example include:spf.send.test ~all"]).unwrap(),
            "TXT g.example: take out only include:spf.send.test; keep the rest"
        );
        assert_eq!(told(&["v=spf1 include:SPF.send.test -all"]).unwrap(), "TXT g.example");
        assert_eq!(
            told(&["v=spf1 +include:spf.send.test redirect=other.example"]).unwrap(),
            "TXT g.example: take out only +include:spf.send.test; keep the rest"
        );
        assert_eq!(told(&["v=spf1 include:_spf.other.example ~all"]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn what_was_there_is_remembered_while_dns_does_not_answer() {
        let verified = Some(RecordStatus::Verified);
        let after = |expected| told_after(verified, expected, RecordStatus::Unknown, &[]);
        let target = DomainName::parse("a.dkim.send.test").unwrap();
        let cname = after(Expected::Cname { target, dkim_key: None });
        assert_eq!(cname.as_deref(), Some("CNAME g.example"));
        let spf = after(Expected::Spf { rules: Some("include:spf.send.test".into()) });
        assert_eq!(spf.as_deref(), Some("TXT g.example: take out only include:spf.send.test; keep the rest"));
        assert_eq!(after(Expected::Dmarc { suggested: "v=DMARC1; p=none".into() }), None);
    }

    #[test]
    fn only_what_was_seen_and_is_ours_is_named() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let cname = || Expected::Cname { target: name("a.dkim.send.test"), dkim_key: None };
        assert_eq!(
            told(cname(), RecordStatus::Verified, &["A.dkim.send.test."]).as_deref(),
            Some("CNAME g.example")
        );
        assert_eq!(told(cname(), RecordStatus::Failed, &["other.example"]), None);
        assert_eq!(told(cname(), RecordStatus::Missing, &[]), None);
        let dmarc = || Expected::Dmarc { suggested: "v=DMARC1; p=none".into() };
        assert_eq!(told(dmarc(), RecordStatus::Verified, &["v=DMARC1; p=reject"]), None);
        assert!(told(dmarc(), RecordStatus::Verified, &["v=DMARC1; p=none"]).is_some());
        assert!(told(cname(), RecordStatus::Unknown, &[]).is_none(), "never seen");
        let mx = || Expected::Mx { preference: 10, exchange: name("mx.send.test"), beside: Vec::new() };
        assert!(told(mx(), RecordStatus::Failed, &["5 mx.other.test", "20 mx.send.test"]).is_some());
        assert_eq!(told(mx(), RecordStatus::Failed, &["5 mx.other.test"]), None);
    }
}

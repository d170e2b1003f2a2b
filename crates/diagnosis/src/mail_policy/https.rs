//! Hosts of the plan that HTTPS is served on, and whether our certificate authority may issue for them.
//!
//! A CAA record at the host, or at the nearest name above it that has one, says who may (RFC 8659 §3). Without one
//! everybody may. Only where the plan names a certificate authority is anything judged.

use crate::{
    checks::{caa_forbids_issuance, records_of},
    finding::Finding,
    observation::Question,
    plan::Plan,
    view::{Fact, View},
};
use model::{Caa, DomainName, RecordType};
use serde::{Deserialize, Serialize};

/// Names looked at on the way up from a host.
const MAX_CLIMB: usize = 10;

/// One host that HTTPS is served on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpsHost {
    /// The planned record.
    pub key: String,
    /// The host.
    pub host: DomainName,
    /// The name whose CAA records hold; `None` where there are none.
    pub caa_at: Option<DomainName>,
    /// Those records, as in a zone file.
    pub caa: Vec<String>,
    /// Whether our certificate authority may issue; `None` where DNS did not tell, or the plan names none.
    pub may_issue: Option<bool>,
}

fn planned(plan: &Plan) -> impl Iterator<Item = (&String, &DomainName)> {
    let is_asked = plan.certificate_authority.is_some();
    plan.web_hosts().filter(move |_| is_asked).map(|record| (&record.key, &record.owner))
}

fn climb(host: &DomainName) -> Vec<DomainName> {
    host.ancestors().filter(|name| !name.is_root()).take(MAX_CLIMB).collect()
}

/// The CAA questions for each host, all names of the way up at once.
pub fn questions(plan: &Plan, view: &View) -> Vec<Question> {
    let mut out: Vec<Question> = Vec::new();
    for name in planned(plan).flat_map(|(_, host)| climb(host)) {
        let question = Question { name, record_type: RecordType::Caa };
        let is_asked = view.was_asked(&question.name, RecordType::Caa);
        if !is_asked && !out.contains(&question) {
            out.push(question);
        }
    }
    out
}

/// Each host with what holds for it.
pub fn hosts(plan: &Plan, view: &View) -> Vec<HttpsHost> {
    let authority = plan.certificate_authority.as_deref();
    planned(plan).map(|(key, host)| judge(key, host, authority, view)).collect()
}

fn judge(key: &str, host: &DomainName, authority: Option<&str>, view: &View) -> HttpsHost {
    let mut out =
        HttpsHost { key: key.to_owned(), host: host.clone(), caa_at: None, caa: Vec::new(), may_issue: None };
    for name in climb(host) {
        let Fact::Agreed(says) = view.fact(&name, RecordType::Caa) else { return out };
        let records: Vec<Caa> = records_of(says).iter().filter_map(Caa::from_data).collect();
        if !records.is_empty() {
            out.may_issue = authority.map(|authority| may_issue(&records, authority));
            out.caa = records.iter().map(ToString::to_string).collect();
            out.caa_at = Some(name);
            return out;
        }
    }
    out.may_issue = authority.map(|_| true);
    out
}

/// Whether a set of CAA records lets an authority issue for a name that is no wildcard (RFC 8659 §4.2).
fn may_issue(records: &[Caa], authority: &str) -> bool {
    let is_known = |tag: &str| {
        matches!(tag, "issue" | "issuewild" | "issuemail" | "iodef" | "contactemail" | "contactphone")
    };
    if records.iter().any(|record| record.flags & 128 != 0 && !is_known(&record.tag)) {
        return false;
    }
    let mut issuers = records.iter().filter(|record| record.tag == "issue").peekable();
    let issuer =
        |record: &Caa| record.value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    issuers.peek().is_none() || issuers.any(|record| issuer(record) == authority.to_ascii_lowercase())
}

/// What is found: hosts for which no certificate can be had.
pub fn check(plan: &Plan, hosts: &[HttpsHost]) -> Vec<Finding> {
    let authority = plan.certificate_authority.as_deref().unwrap_or_default();
    hosts.iter().filter_map(|host| caa_forbids_issuance::check(host, authority)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_decides_and_unknown_critical_properties_forbid() {
        let allowed = |lines: &[&str]| {
            let records: Vec<Caa> = lines.iter().filter_map(|line| Caa::parse(line)).collect();
            assert_eq!(records.len(), lines.len());
            may_issue(&records, "letsencrypt.org")
        };
        assert!(allowed(&[
            "0 issue \"LetsEncrypt.org; validationmethods=dns-01\"",
            "0 issue \"other.example\""
        ]));
        assert!(allowed(&["0 iodef \"mailto:a@b.example\"", "0 issuewild \";\""]));
        assert!(!allowed(&["0 issue \";\""]));
        assert!(!allowed(&["0 issue \"other.example\"", "0 issuewild \"letsencrypt.org\""]));
        assert!(!allowed(&["128 tbs \"x\"", "0 issue \"letsencrypt.org\""]));
    }
}

//! Reverse DNS of sending servers: an address has a name, and the name has the address (RFC 1912 §2.1).
//!
//! Mailbox providers ask for that of every server that sends. It is the operator's to mend, not the domain owner's:
//! only addresses that a plan names as its senders are looked at. [`reverse_dns`] is a function by itself, so that
//! an operator's own health check can use it.

use super::lookups;
use crate::{checks::sender_ptr_missing, finding::Finding, observation::Question, plan::Plan, view::View};
use ::mail::lookup::{Answer, Answers, Needed, reverse_name};
use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Senders of one plan that are looked at.
pub const MAX_SENDERS: usize = 32;
/// Names of one address that are looked at.
const MAX_NAMES: usize = 10;

/// What reverse DNS says of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ReverseDns {
    /// It has a name that leads back to it.
    Confirmed {
        /// The first such name.
        name: DomainName,
    },
    /// It has no name.
    Missing,
    /// Its names lead elsewhere.
    Unconfirmed {
        /// The names.
        names: Vec<DomainName>,
    },
    /// DNS did not answer.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

/// One sending server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderHost {
    /// Its address.
    pub address: IpAddr,
    /// What reverse DNS says.
    pub reverse: ReverseDns,
}

/// The reverse DNS of an address, confirmed by looking up the names.
pub fn reverse_dns(address: IpAddr, answers: &Answers) -> Result<ReverseDns, Needed> {
    let address = address.to_canonical();
    let Some(name) = reverse_name(address) else { return Ok(ReverseDns::Missing) };
    let names: Vec<DomainName> = match answers.get(&Question::new(name, RecordType::Ptr))? {
        Answer::Records(records) => records
            .iter()
            .filter_map(|data| if let RecordData::Ptr(name) = data { Some(name.clone()) } else { None })
            .take(MAX_NAMES)
            .collect(),
        Answer::NoData | Answer::NxDomain => Vec::new(),
        Answer::TempError(reason) => return Ok(ReverseDns::Unknown { reason: reason.clone() }),
    };
    if names.is_empty() {
        return Ok(ReverseDns::Missing);
    }
    let record_type = if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
    let questions: Vec<Question> =
        names.iter().map(|name| Question::new(name.clone(), record_type)).collect();
    let forward = answers.get_all(&questions)?;
    let is_back = |data: &RecordData| match data {
        RecordData::A(v4) => IpAddr::V4(*v4) == address,
        RecordData::Aaaa(v6) => IpAddr::V6(*v6) == address,
        _ => false,
    };
    let mut silent = None;
    for (name, answer) in names.iter().zip(forward) {
        match answer {
            Answer::Records(records) if records.iter().any(is_back) => {
                return Ok(ReverseDns::Confirmed { name: name.clone() });
            }
            Answer::TempError(reason) => silent = Some(reason.clone()),
            _ => {}
        }
    }
    Ok(match silent {
        Some(reason) => ReverseDns::Unknown { reason },
        None => ReverseDns::Unconfirmed { names },
    })
}

/// What has to be asked about the plan's senders.
pub fn questions(plan: &Plan, view: &View) -> Vec<Question> {
    addresses(plan)
        .filter_map(|address| lookups(view, |answers: &Answers| reverse_dns(address, answers)).err())
        .flatten()
        .collect()
}

fn addresses(plan: &Plan) -> impl Iterator<Item = IpAddr> {
    plan.senders.iter().copied().take(MAX_SENDERS)
}

/// The plan's senders.
pub fn senders(plan: &Plan, view: &View) -> Vec<SenderHost> {
    let judge = |address| {
        let judged = lookups(view, |answers: &Answers| reverse_dns(address, answers));
        let reverse = judged.unwrap_or(ReverseDns::Unknown { reason: "it was not asked for".to_owned() });
        SenderHost { address, reverse }
    };
    addresses(plan).map(judge).collect()
}

/// What is found: senders without a name that leads back.
pub fn check(senders: &[SenderHost]) -> Vec<Finding> {
    senders.iter().filter_map(sender_ptr_missing::check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn run(ptr: Answer, forward: Answer) -> ReverseDns {
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mut answers = Answers::new();
        answers.insert(Question::new(name("7.2.0.192.in-addr.arpa"), RecordType::Ptr), ptr);
        answers.insert(Question::new(name("mx.send.example"), RecordType::A), forward);
        reverse_dns(address, &answers).unwrap()
    }

    #[test]
    fn a_name_has_to_lead_back_and_silence_proves_nothing() {
        let named = || Answer::Records(vec![RecordData::Ptr(name("mx.send.example"))]);
        let forward = |last: u8| Answer::Records(vec![RecordData::A([192, 0, 2, last].into())]);
        assert!(matches!(run(named(), forward(7)), ReverseDns::Confirmed { .. }));
        assert!(matches!(run(named(), forward(8)), ReverseDns::Unconfirmed { .. }));
        assert!(matches!(run(named(), Answer::NxDomain), ReverseDns::Unconfirmed { .. }));
        assert_eq!(run(Answer::NxDomain, forward(7)), ReverseDns::Missing);
        assert!(matches!(run(named(), Answer::TempError("timeout".into())), ReverseDns::Unknown { .. }));
        assert!(matches!(run(Answer::TempError("timeout".into()), forward(7)), ReverseDns::Unknown { .. }));
    }
}

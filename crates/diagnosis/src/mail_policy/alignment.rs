//! Alignment (RFC 9989 §4.4): whether what SPF and DKIM prove is the domain that people see in From.
//!
//! All records can be right and DMARC fail all the same, when they prove another domain. What is judged here is
//! what mail of this plan will carry: the return path's host as the envelope sender, and the domains in front of
//! which the keys are.

use super::{DmarcReport, known_organizational_domain, walk_to_ask};
use crate::{observation::Question, plan::Plan, report::RecordReport, view::View};
use mail::{dmarc, dmarc::AlignmentMode};
use model::{DomainName, Purpose};
use serde::{Deserialize, Serialize};

/// What mail of this plan proves, against its author domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alignment {
    /// The domain in From.
    pub author_domain: DomainName,
    /// Its organizational domain, where the walk told.
    pub organizational_domain: Option<DomainName>,
    /// The envelope sender's domain, which SPF proves. Empty where the plan has no return path of its own: then it
    /// is the sending service's, and SPF cannot align.
    pub spf: Vec<Identifier>,
    /// The signing domains (`d=`).
    pub dkim: Vec<Identifier>,
}

/// One domain that mail proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// The domain.
    pub domain: DomainName,
    /// How exact it has to match, by the policy that holds.
    pub mode: AlignmentMode,
    /// Whether it does; `None` where DNS did not tell.
    pub aligned: Option<bool>,
    /// The planned records that it rests on.
    pub records: Vec<String>,
}

/// The domain that a key is in front of: what follows `_domainkey`.
pub fn signing_domain(owner: &DomainName) -> Option<DomainName> {
    if !owner.as_str().contains("_domainkey") {
        return None;
    }
    let mut name = owner.clone();
    // Past the root there is nothing.
    loop {
        let is_it = name.labels().next() == Some("_domainkey");
        name = name.parent()?;
        if is_it {
            return Some(name);
        }
    }
}

/// Whether a name is `<selector>._domainkey.<domain>`, as nearly all are: then nothing has to be taken apart.
fn is_key_of(owner: &DomainName, domain: &DomainName) -> bool {
    owner.is_below(domain)
        && (owner.as_str().strip_suffix(domain.as_str()))
            .and_then(|front| front.strip_suffix("._domainkey."))
            .is_some_and(|selector| !selector.is_empty() && !selector.contains('.'))
}

/// A domain and the keys of the records that it rests on.
type Proof = (DomainName, Vec<String>);

/// What SPF and what DKIM prove.
fn identifiers(plan: &Plan) -> (Vec<Proof>, Vec<Proof>) {
    let (mut spf, mut dkim) = (Vec::new(), Vec::new());
    let add = |list: &mut Vec<Proof>, domain: DomainName, key: &String| match list
        .iter_mut()
        .find(|(known, _)| *known == domain)
    {
        Some((_, keys)) => keys.push(key.clone()),
        None => list.push((domain, vec![key.clone()])),
    };
    for record in &plan.records {
        if record.purpose == Purpose::ReturnPath {
            add(&mut spf, record.owner.clone(), &record.key);
        }
        if record.purpose == Purpose::Dkim {
            let domain = if is_key_of(&record.owner, &plan.domain) {
                Some(plan.domain.clone())
            } else {
                signing_domain(&record.owner)
            };
            if let Some(domain) = domain {
                add(&mut dkim, domain, &record.key);
            }
        }
    }
    (spf, dkim)
}

/// What has to be asked to compare domains that differ: the way up from each.
pub fn questions(plan: &Plan, view: &View) -> Vec<Question> {
    let (spf, dkim) = identifiers(plan);
    spf.into_iter()
        .chain(dkim)
        .filter(|(domain, _)| *domain != plan.domain && shares_top(domain, &plan.domain))
        .flat_map(|(domain, _)| walk_to_ask(view, &domain))
        .collect()
}

fn shares_top(one: &DomainName, other: &DomainName) -> bool {
    one.labels().next_back() == other.labels().next_back()
}

/// What mail of the plan proves; `None` for an audit, which knows neither envelope nor signer.
pub fn alignment(
    plan: &Plan,
    view: &View,
    dmarc: Option<&DmarcReport>,
    records: &[RecordReport],
) -> Option<Alignment> {
    let is_audit = plan.profile == "audit";
    if is_audit || records.is_empty() {
        return None;
    }
    // Without any policy there is nothing to align for, and the walk's outcome changes with the first record.
    let organizational =
        dmarc.filter(|dmarc| dmarc.at.is_some()).and_then(|dmarc| dmarc.organizational_domain.clone());
    let (spf_mode, dkim_mode) = dmarc.map_or((AlignmentMode::Relaxed, AlignmentMode::Relaxed), |dmarc| {
        (dmarc.spf_alignment, dmarc.dkim_alignment)
    });
    let judge = |(domain, records): Proof, mode| {
        let aligned = is_aligned(&domain, plan, view, mode, organizational.as_ref());
        Identifier { domain, mode, aligned, records }
    };
    let (spf, dkim) = identifiers(plan);
    Some(Alignment {
        author_domain: plan.domain.clone(),
        spf: spf.into_iter().map(|one| judge(one, spf_mode)).collect(),
        dkim: dkim.into_iter().map(|one| judge(one, dkim_mode)).collect(),
        organizational_domain: organizational,
    })
}

fn is_aligned(
    domain: &DomainName,
    plan: &Plan,
    view: &View,
    mode: AlignmentMode,
    organizational: Option<&DomainName>,
) -> Option<bool> {
    if *domain == plan.domain {
        return Some(true);
    }
    if mode == AlignmentMode::Strict || !shares_top(domain, &plan.domain) {
        return Some(false);
    }
    let own = organizational?;
    let other = known_organizational_domain(view, domain)?;
    Some(dmarc::aligned(&plan.domain, domain, mode, own, &other))
}

//! What the domain's records come to for mail, beyond each record by itself: the SPF tree.
//!
//! [`questions`] says what has to be asked for it, [`examine`] makes data and findings of the answers. Nothing here
//! changes a status or the verdict: those are made from the records.

use crate::{
    finding::Finding,
    observation::Question,
    plan::Plan,
    report::RecordReport,
    spf_tree::{self, SpfReport},
    view::View,
};
use serde::{Deserialize, Serialize};

/// What the records come to for mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MailPolicy {
    /// The SPF records of the plan with all that they include.
    #[serde(default)]
    pub spf: Vec<SpfReport>,
}

/// What has to be asked beyond the records themselves.
pub fn questions(_plan: &Plan, _view: &View<'_>) -> Vec<Question> {
    Vec::new()
}

/// What the records come to, and what is found in that.
pub fn examine(_plan: &Plan, view: &View<'_>, records: &[RecordReport]) -> (MailPolicy, Vec<Finding>) {
    let spf = records
        .iter()
        .filter_map(|record| spf_tree::report(view, &record.planned, &record.current))
        .collect();
    (MailPolicy { spf }, Vec::new())
}

//! Planning and diagnosing sender domains: pure functions over data.
//!
//! The way of the data: a [`profile::Profile`] and a domain make a [`Plan`]; [`inquiry::next`] says what to ask for
//! it; the answers become an [`Observation`]; [`diagnose`] compares the two and makes a [`Report`] of [`Finding`]s,
//! record statuses and a verdict. Nothing here asks DNS, reads a clock or knows a sentence: `dns` asks, `explain`
//! speaks. The same plan, observation and time always make the same report.

mod address;
mod checks;
mod diagnose;
pub mod finding;
pub mod inquiry;
pub mod mail_policy;
pub mod near_miss;
pub mod observation;
pub mod plan;
pub mod profile;
pub mod propagation;
pub mod readings;
mod remedy;
mod repair;
pub mod report;
pub mod slip;
pub mod spf_tree;
pub mod sub_zone;
mod template;
pub mod view;
pub mod well_known;
pub mod wildcard;

pub use diagnose::{diagnose, diagnose_known};
pub use finding::{Defect, Finding, Remedy, UnmetRule};
pub use mail_policy::MailPolicy;
pub use observation::Observation;
pub use plan::{Expected, KeyBeside, Plan, PlannedRecord, Variables};
pub use profile::Profile;
pub use propagation::Propagation;
pub use report::{RecordReport, Report, Seen};

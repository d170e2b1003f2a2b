//! Tests of the diagnosis through its public functions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exported;
mod followed;
mod mail_policy;
mod same_report;
mod scenarios;
mod templates;

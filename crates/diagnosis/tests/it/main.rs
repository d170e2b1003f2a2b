//! Tests of the diagnosis through its public functions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mail_policy;
mod scenarios;
mod templates;

//! Tests of the words: every finding with every DNS host, whole reports, hostile answers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod arbitrary;
mod changes;
mod every;
mod golden;
mod hostile;
mod samples;
mod scenarios;

//! Tests of the mail standards through their public functions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was skipped, and how many cases passed")]

mod oracle;
mod spf_properties;
mod spf_suite;

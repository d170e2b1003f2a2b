//! Tests of the diagnosis through its public functions.

mod fake_dns;
mod scenario;
mod scenarios;

//! The commands, one file each.

pub mod backup;
pub mod check;
pub mod client;
pub mod dev;
pub mod dns_hosts;
pub mod doctor;
pub mod explain;
pub mod generate;
mod input;
pub mod migrate_store;
pub mod owner_link;
pub mod root_keys;
mod running;
pub mod serve;
pub mod show;
pub mod tour;

use crate::config::Config;
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// How a command ended; the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is good.
    Good = 0,
    /// There are problems, and they were told.
    Problems = 1,
    /// It was called wrongly, or could not start.
    Usage = 2,
    /// Nothing certain can be said.
    Unknown = 3,
    /// Somebody stopped it before it was done; 128 and the number of the signal, as shells have it.
    Interrupted = 130,
}

/// Sends log lines to standard error, as configured.
pub fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let logger = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.log_format == "json" {
        logger.json().flatten_event(true).try_init()
    } else {
        logger.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    // A second start in one process (tests) keeps the first logger.
    drop(started);
}

//! The composition root: configuration, the running instance, and the commands.
//!
//! The only place that reads the environment and the clock. `main.rs` parses the command line and calls
//! [`commands`]; tests start an [`Instance`] themselves.

pub mod commands;
pub mod config;
mod hex;
mod http;
pub mod instance;
mod name_servers;
mod oidc;
pub mod operations;
pub mod operator;
pub mod report_file;
mod serving;
mod telemetry;

pub use config::{Config, Overrides};
pub use instance::Instance;

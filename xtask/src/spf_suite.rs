//! `cargo xtask spf-suite`: the published test suite of RFC 7208, got if need be, and every case run.

use std::path::Path;

use crate::{process, setup};

/// False when a case fails, and when the suite cannot be had.
pub fn command(root: &Path) -> bool {
    if let Err(reason) = setup::spf_suite(root) {
        eprintln!("error: the RFC 7208 test suite cannot be had: {reason}");
        return false;
    }
    let mut command = process::cargo(root);
    command
        .args(["test", "--package", "mail", "--test", "it", "--", "--nocapture", "spf_suite::"])
        .env("COUNTERSIGN_TOOLS", setup::tools(root));
    command.status().is_ok_and(|status| status.success())
}

use super::{ExportRecord, by_zone, master};
use std::fmt::Write;

/// Lines for a zone file (RFC 1035 §5), names in full, so that they may go into any place of it.
pub fn zone_file(records: &[ExportRecord]) -> String {
    let mut out = String::new();
    for (zone, records) in by_zone(records) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "; zone {}", zone.absolute());
        for record in records {
            for note in record.notes() {
                let _ = writeln!(out, "; {note}");
            }
            let data = &record.record.data;
            let _ = writeln!(
                out,
                "{}\t{}\tIN\t{}\t{}",
                record.record.owner.absolute(),
                record.record.ttl,
                data.record_type(),
                master(data)
            );
        }
    }
    out
}

//! What became of mail, as people read it: for `countersign domains reputation` and `countersign tenants reputation`.

use super::{
    field,
    table::{facts, table},
    time,
};
use serde_json::Value;

fn share(rate: &Value) -> String {
    rate.as_f64().map_or_else(|| "-".to_owned(), |rate| format!("{:.2} %", rate * 100.0))
}

/// How a domain or a tenant stands.
pub fn of_reputation(reputation: &Value) -> String {
    let counted = &reputation["counted"];
    let mut told = vec![("State", field(reputation, "state").replace('_', " "))];
    if reputation["reason"].is_string() {
        told.push(("Why", field(reputation, "reason")));
    }
    if reputation["paused_at"].is_string() {
        let cause = reputation["pause_cause"] == "tenant";
        let cause = if cause { ", for the mail of all domains of its tenant" } else { "" };
        told.push(("Paused", time(reputation, "paused_at") + cause));
    }
    if reputation["paused_domains"].as_u64().is_some_and(|paused| paused > 0) {
        told.push(("Paused domains", field(reputation, "paused_domains")));
    }
    told.extend([
        ("Counted", format!("{} days, since it was last resumed", field(reputation, "window_days"))),
        ("Bounced", format!("{} ({})", field(counted, "bounced"), share(&reputation["bounce_rate"]))),
        (
            "Complained",
            format!("{} ({})", field(counted, "complained"), share(&reputation["complaint_rate"])),
        ),
    ]);
    let rows: Vec<[String; 5]> = reputation["days"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|day| ["date", "delivered", "bounced", "refused", "complained"].map(|name| field(day, name)))
        .collect();
    let heads = ["DAY", "DELIVERED", "BOUNCED", "REFUSED", "COMPLAINED"];
    format!("{}\n\n{}", facts(&told), table(heads, &rows, "Nothing was sent in these days."))
}

use super::{ExportRecord, by_set, by_zone, route53_value};
use serde_json::{Map, Value, json};

/// A template with one group of record sets for each zone. The hosted zones' ids are its parameters.
pub fn cloudformation(records: &[ExportRecord]) -> String {
    let mut parameters = Map::new();
    let mut resources = Map::new();
    for (index, (zone, records)) in by_zone(records).into_iter().enumerate() {
        let number = if index == 0 { String::new() } else { (index + 1).to_string() };
        let parameter = format!("HostedZoneId{number}");
        let sets: Vec<Value> = by_set(&records)
            .into_iter()
            .map(|((owner, record_type), set)| {
                let values: Vec<String> =
                    set.iter().map(|record| route53_value(&record.record.data)).collect();
                let ttl = set.iter().map(|record| record.record.ttl).min().unwrap_or_default();
                json!({
                    "Name": owner.absolute(),
                    "Type": record_type.to_string(),
                    "TTL": ttl.to_string(),
                    "ResourceRecords": values,
                })
            })
            .collect();
        resources.insert(
            format!("Records{number}"),
            json!({
                "Type": "AWS::Route53::RecordSetGroup",
                "Properties": {
                    "HostedZoneId": { "Ref": parameter },
                    "Comment": comment(&records),
                    "RecordSets": sets,
                },
            }),
        );
        parameters.insert(
            parameter,
            json!({ "Type": "AWS::Route53::HostedZone::Id", "Description": format!("The hosted zone {zone}") }),
        );
    }
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "DNS records of a sender domain",
        "Parameters": parameters,
        "Resources": resources,
    });
    format!("{template:#}\n")
}

/// A set that exists is refused: its reader has to know which one to take out first.
fn comment(records: &[&ExportRecord]) -> String {
    let replaced: Vec<&str> = records
        .iter()
        .filter(|record| !record.replaces.is_empty())
        .map(|record| record.record.owner.as_str())
        .collect();
    if replaced.is_empty() {
        return "DNS records of a sender domain".to_owned();
    }
    // It allows 256 characters.
    let text = format!(
        "Takes the place of the SPF record at {}: import or remove its TXT set first",
        replaced.join(", ")
    );
    text.chars().take(256).collect()
}

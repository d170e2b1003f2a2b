use super::{ExportRecord, by_set, by_zone, identifier, master, route53_value};
use model::{DomainName, RecordData};
use std::fmt::Write;

/// A string of Terraform's language: `${` and `%{` would begin a template.
fn hcl(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out.replace("${", "$${").replace("%{", "%%{")
}

fn zone_variable(zone: &DomainName, what: &str) -> String {
    let name = identifier(zone, "zone_id");
    format!("variable \"{name}\" {{\n  type        = string\n  description = {}\n}}\n", hcl(what))
}

/// Resources of Cloudflare's Terraform provider, version 5. The zone's id is a variable.
pub fn terraform_cloudflare(records: &[ExportRecord]) -> String {
    let mut out = String::new();
    for (zone, records) in by_zone(records) {
        out.push_str(&zone_variable(zone, &format!("Id of the zone {zone} at Cloudflare")));
        for record in records {
            let id = identifier(zone, &record.key);
            out.push('\n');
            for note in record.notes() {
                let _ = writeln!(out, "# {note}");
            }
            if !record.replaces.is_empty() {
                let _ = writeln!(
                    out,
                    "# Import that record before applying: terraform import cloudflare_dns_record.{id} ZONE_ID/RECORD_ID"
                );
            }
            let _ = writeln!(out, "resource \"cloudflare_dns_record\" \"{id}\" {{");
            let mut line = |name: &str, value: &str| {
                let _ = writeln!(out, "  {name:<8} = {value}");
            };
            let data = &record.record.data;
            line("zone_id", &format!("var.{}", identifier(zone, "zone_id")));
            line("name", &hcl(record.record.owner.as_str()));
            line("type", &hcl(&data.record_type().to_string()));
            line("ttl", &record.record.ttl.to_string());
            match data {
                RecordData::Mx { preference, exchange } => {
                    line("priority", &preference.to_string());
                    line("content", &hcl(exchange.as_str()));
                }
                RecordData::Txt(_) => line("content", &hcl(&master(data))),
                RecordData::Cname(_) | RecordData::A(_) | RecordData::Aaaa(_) => {
                    line("content", &hcl(&data.to_string()));
                    line("proxied", "false");
                }
                other => cloudflare_other(other, &mut line),
            }
            out.push_str("}\n");
        }
    }
    out
}

/// Types whose data Cloudflare wants in parts.
fn cloudflare_other(data: &RecordData, line: &mut impl FnMut(&str, &str)) {
    if let Some(srv) = model::Srv::from_data(data) {
        line("priority", &srv.priority.to_string());
        line(
            "data",
            &format!(
                "{{ priority = {}, weight = {}, port = {}, target = {} }}",
                srv.priority,
                srv.weight,
                srv.port,
                hcl(srv.target.as_str())
            ),
        );
    } else if let Some(caa) = model::Caa::from_data(data) {
        line(
            "data",
            &format!("{{ flags = {}, tag = {}, value = {} }}", caa.flags, hcl(&caa.tag), hcl(&caa.value)),
        );
    } else {
        line("content", &hcl(&data.to_string()));
    }
}

/// Resources of the AWS Terraform provider. The hosted zone's id is a variable. Records of a name and a type are one
/// resource there; it does not overwrite what exists.
pub fn terraform_route53(records: &[ExportRecord]) -> String {
    let mut out = String::new();
    for (zone, records) in by_zone(records) {
        out.push_str(&zone_variable(zone, &format!("Id of the hosted zone {zone} in Amazon Route 53")));
        for ((owner, record_type), set) in by_set(&records) {
            let id = identifier(zone, &set[0].key);
            out.push('\n');
            for note in set.iter().flat_map(|record| record.notes()) {
                let _ = writeln!(out, "# {note}");
            }
            if set.iter().any(|record| !record.replaces.is_empty()) {
                let _ = writeln!(
                    out,
                    "# Import that set before applying, and add its other values: \
                     terraform import aws_route53_record.{id} ZONE_ID_{owner}_{record_type}"
                );
            }
            let values: Vec<String> =
                set.iter().map(|record| hcl(&provider_value(&record.record.data))).collect();
            let ttl = set.iter().map(|record| record.record.ttl).min().unwrap_or_default();
            let _ = writeln!(
                out,
                "resource \"aws_route53_record\" \"{id}\" {{\n  zone_id = var.{}\n  name    = {}\n  type    = {}\n  \
                 ttl     = {ttl}\n  records = [{}]\n}}",
                identifier(zone, "zone_id"),
                hcl(owner.as_str()),
                hcl(&record_type.to_string()),
                values.join(", ")
            );
        }
    }
    out
}

/// The provider puts a text into quotation marks itself; between its strings they are for us to write.
fn provider_value(data: &RecordData) -> String {
    let value = route53_value(data);
    match data {
        RecordData::Txt(_) => {
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&value);
            inner.replace("\" \"", "\"\"")
        }
        _ => value,
    }
}

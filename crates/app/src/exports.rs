//! A domain's records as files.

use crate::{
    Error, Result,
    diagnosis::{Expected, RecordReport},
    domains::DomainView,
};
use model::{DomainName, Record, RecordData, TxtData};
use publish::export::{self, ExportRecord};

/// A form that records can be had in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values.
    Csv,
    /// Lines of a zone file.
    Zone,
    /// Terraform, for Cloudflare.
    TerraformCloudflare,
    /// Terraform, for Amazon Route 53.
    TerraformRoute53,
    /// AWS `CloudFormation`.
    Cloudformation,
    /// octoDNS.
    Octodns,
    /// `DNSControl`.
    Dnscontrol,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Zone,
        Self::Csv,
        Self::TerraformCloudflare,
        Self::TerraformRoute53,
        Self::Cloudformation,
        Self::Octodns,
        Self::Dnscontrol,
    ];

    /// Its name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Zone => "zone",
            Self::TerraformCloudflare => "terraform-cloudflare",
            Self::TerraformRoute53 => "terraform-route53",
            Self::Cloudformation => "cloudformation",
            Self::Octodns => "octodns",
            Self::Dnscontrol => "dnscontrol",
        }
    }

    /// Its name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Zone => "Zone file",
            Self::TerraformCloudflare => "Terraform (Cloudflare)",
            Self::TerraformRoute53 => "Terraform (Route 53)",
            Self::Cloudformation => "CloudFormation",
            Self::Octodns => "octoDNS",
            Self::Dnscontrol => "DNSControl",
        }
    }

    /// What its files are called at the end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Zone => "zone",
            Self::TerraformCloudflare | Self::TerraformRoute53 => "tf",
            Self::Cloudformation => "json",
            Self::Octodns => "yaml",
            Self::Dnscontrol => "js",
        }
    }

    /// Finds a form by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }
}

/// The records of a domain as a file; of those in `zone` alone where one is given.
pub fn export(view: &DomainView, form: Form, zone: Option<&DomainName>) -> Result<String> {
    let mut records: Vec<ExportRecord> = view.report.records.iter().filter_map(exported).collect();
    if let Some(zone) = zone {
        let mut zones: Vec<String> = records.iter().map(|record| record.zone.to_string()).collect();
        records.retain(|record| record.zone == *zone);
        if records.is_empty() && !zones.is_empty() {
            zones.sort();
            zones.dedup();
            let there = zones.join(", ");
            return Err(Error::field(
                "zone",
                format!("none of the records is in {zone}; they are in {there}"),
            ));
        }
    }
    let file = match form {
        Form::Csv => Ok(export::csv(&records)),
        Form::Zone => Ok(export::zone_file(&records)),
        Form::TerraformCloudflare => Ok(export::terraform_cloudflare(&records)),
        Form::TerraformRoute53 => Ok(export::terraform_route53(&records)),
        Form::Cloudformation => Ok(export::cloudformation(&records)),
        Form::Octodns => export::octodns(&records),
        Form::Dnscontrol => export::dnscontrol(&records),
    };
    file.map_err(|error| {
        let field = if matches!(error, export::ExportError::SeveralZones(_)) { "zone" } else { "format" };
        Error::field(field, error.to_string())
    })
}

/// What to publish; nothing where the plan takes any record there is (an audit of a domain that is not ours).
fn exported(report: &RecordReport) -> Option<ExportRecord> {
    let planned = &report.planned;
    let data = match (&report.replace, &planned.expected) {
        (_, Expected::Dkim { public_key: None, record: None } | Expected::Spf { rules: None }) => {
            return None;
        }
        (Some(merged), Expected::Spf { .. }) => RecordData::Txt(TxtData::from_text(merged)),
        (_, expected) => expected.data(),
    };
    let zone = report.zone.clone().or_else(|| model::registrable_domain(&planned.owner));
    Some(ExportRecord {
        key: planned.key.clone(),
        purpose: planned.purpose.to_string(),
        required: planned.required,
        zone: zone.unwrap_or_else(|| planned.owner.clone()),
        record: Record { owner: planned.owner.clone(), ttl: planned.ttl, data },
        // A record that has all that is wanted of it stays as it is.
        replaces: match &report.replace {
            Some(new) if report.current.as_slice() != std::slice::from_ref(new) => report.current.clone(),
            _ => Vec::new(),
        },
        status: report.status.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_by_its_name() {
        for form in Form::ALL {
            assert_eq!(Form::named(form.name()), Some(form));
        }
        assert_eq!(Form::named("xml"), None);
    }
}

//! What is looked for: which plan a domain is checked against.

use super::CheckArgs;
use diagnosis::{Plan, plan};
use model::DomainName;

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Any valid SPF and DMARC record, and valid keys at these selectors.
    Audit {
        /// The selectors.
        selectors: Vec<String>,
    },
}

impl Wanted {
    /// Reads the flags.
    pub fn from_arguments(arguments: &CheckArgs) -> Result<Self, String> {
        for selector in &arguments.selector {
            if selector.contains("._domainkey") {
                let short = selector.split("._domainkey").next().unwrap_or_default();
                return Err(format!("the selector \"{selector}\" is a whole name; give only \"{short}\""));
            }
            DomainName::parse(selector).map_err(|error| format!("the selector \"{selector}\": {error}"))?;
        }
        Ok(Self::Audit { selectors: arguments.selector.clone() })
    }

    /// The plan for one domain.
    pub fn plan(&self, domain: &DomainName) -> Result<Plan, String> {
        match self {
            Self::Audit { selectors } => {
                for selector in selectors {
                    domain
                        .prepend(&format!("{selector}._domainkey"))
                        .map_err(|error| format!("the selector \"{selector}\": {error}"))?;
                }
                Ok(plan::audit(domain, selectors))
            }
        }
    }
}

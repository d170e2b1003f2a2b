//! The titles of findings about mail policy: what an SPF record costs and how it ends.

use super::title::n;
use crate::shown::{list, value};
use diagnosis::Defect;

/// What was seen, in one line; what is not one of these findings is named by its code.
pub(super) fn title(defect: &Defect) -> String {
    match defect {
        Defect::SpfTooManyLookups { name, lookups, .. } => match lookups {
            0..=10 => format!("The SPF record at {} needs more DNS look-ups than receivers make", n(name)),
            _ => format!("The SPF record at {} needs {lookups} DNS look-ups; receivers stop at 10", n(name)),
        },
        Defect::SpfTooManyVoidLookups { name, void_lookups, .. } => format!(
            "{void_lookups} DNS look-ups of the SPF record at {} find nothing; receivers accept 2",
            n(name)
        ),
        Defect::SpfNearLookupLimit { name, lookups, .. } => {
            format!(
                "The SPF record at {} needs {lookups} of the 10 DNS look-ups that receivers make",
                n(name)
            )
        }
        Defect::SpfIncludeLoop { name, again, at, .. } if again == at => {
            format!("The SPF record at {} goes in a circle: {} includes itself", n(name), n(at))
        }
        Defect::SpfIncludeLoop { name, again, at, .. } => {
            format!("The SPF record at {} goes in a circle: {} leads back to {}", n(name), n(at), n(again))
        }
        Defect::SpfPtrUsed { name, terms, .. } => {
            format!("The SPF record at {} uses ptr: {}", n(name), list(terms))
        }
        Defect::SpfNoAll { name, ending: Some(ending), .. } => format!(
            "The SPF record at {} ends in {}, which says nothing about other senders",
            n(name),
            value(ending)
        ),
        Defect::SpfNoAll { name, ending: None, .. } => {
            format!("The SPF record at {} ends without all, and says nothing about other senders", n(name))
        }
        Defect::SpfRedirectIgnored { name, term, .. } => {
            format!("In the SPF record at {}, {} is never followed: all is in it", n(name), value(term))
        }
        other => other.code().to_owned(),
    }
}

//! What was wrong with a form, told beside its fields.

use crate::page::sentence;
use app::{Error, FieldError};

/// The errors of a form that is shown again.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormErrors {
    fields: Vec<FieldError>,
    general: Option<String>,
}

impl FormErrors {
    /// The errors, when the form can mend them; anything else goes on as it is.
    pub fn of(error: Error) -> Result<Self, Error> {
        match error {
            Error::Invalid(fields) => Ok(Self { fields, general: None }),
            Error::NotASenderDomain(_)
            | Error::DomainAlreadyAdded(_)
            | Error::DomainHeldElsewhere(_)
            | Error::AlreadyExists(_)
            | Error::LastOwner
            | Error::RoleTooLow
            | Error::RateLimited { .. }
            | Error::LimitReached { .. }
            | Error::DomainPendingVerification { .. }
            | Error::WarmupLimitExceeded { .. }
            | Error::TooLarge { .. } => {
                Ok(Self { fields: Vec::new(), general: Some(sentence(&error.to_string())) })
            }
            other => Err(other),
        }
    }

    /// The messages for a field, or for one of its parts such as `to[0]`.
    pub fn of_field(&self, field: &str) -> Option<String> {
        let own = |error: &&FieldError| {
            error
                .field
                .strip_prefix(field)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        };
        let messages: Vec<_> = self.fields.iter().filter(own).map(|error| sentence(&error.message)).collect();
        (!messages.is_empty()).then(|| messages.join(" "))
    }

    /// What belongs to no field of this form.
    pub fn others(&self, fields: &[&str]) -> Option<String> {
        let is_shown = |error: &&FieldError| {
            !fields.iter().any(|field| {
                error
                    .field
                    .strip_prefix(field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
            })
        };
        let mut messages: Vec<_> = self.general.iter().cloned().collect();
        messages.extend(
            self.fields
                .iter()
                .filter(is_shown)
                .map(|error| sentence(&format!("{}: {}", error.field, error.message))),
        );
        (!messages.is_empty()).then(|| messages.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_beside_their_fields() {
        let error = |field: &str| FieldError { field: field.into(), message: "is wrong".into() };
        let errors = FormErrors::of(Error::Invalid(vec![error("to[0]"), error("total")])).unwrap();
        assert_eq!(errors.of_field("to").as_deref(), Some("Is wrong."));
        assert_eq!(errors.of_field("subject"), None);
        assert_eq!(errors.others(&["to"]).as_deref(), Some("Total: is wrong."));
        assert!(FormErrors::of(Error::NoPlayground).is_err());
    }
}

//! What was wrong with a form, told beside its fields.

use crate::page::{Answer, html_with, sentence};
use app::{Error, FieldError};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

/// The errors of a form that is shown again.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormErrors {
    fields: Vec<FieldError>,
    general: Option<String>,
    /// Seconds until it may be sent again, where it came too often.
    retry_after: Option<u32>,
}

impl FormErrors {
    /// The errors, when the form can mend them; anything else goes on as it is.
    pub fn of(error: Error) -> Result<Self, Error> {
        let retry_after = match error {
            Error::RateLimited { retry_after, .. } | Error::AskedTooOften { retry_after, .. } => {
                Some(retry_after)
            }
            _ => None,
        };
        match error {
            Error::Invalid(fields) | Error::RecipientSuppressed(fields) => {
                Ok(Self { fields, ..Self::default() })
            }
            Error::WebhookTargetRefused(message) => {
                let fields = vec![FieldError { field: "url".to_owned(), message }];
                Ok(Self { fields, ..Self::default() })
            }
            Error::NotASenderDomain(_)
            | Error::DomainAlreadyAdded(_)
            | Error::DomainHeldElsewhere(_)
            | Error::ClaimedAway(_)
            | Error::NothingToClaim { .. }
            | Error::DomainDisabled(_)
            | Error::SendingPaused { .. }
            | Error::KeysNotRotatable { .. }
            | Error::AlreadyExists(_)
            | Error::LastOwner
            | Error::RoleTooLow
            | Error::RateLimited { .. }
            | Error::AskedTooOften { .. }
            | Error::LimitReached { .. }
            | Error::KeyNotActive(_)
            | Error::KeyRightsExceeded(_)
            | Error::WebhookDisabled(_)
            | Error::DomainPendingVerification { .. }
            | Error::WarmupLimitExceeded { .. }
            | Error::TooLarge { .. } => {
                let general = Some(sentence(&error.to_string()));
                Ok(Self { fields: Vec::new(), general, retry_after })
            }
            other => Err(other),
        }
    }

    /// What belongs to no field.
    pub fn general(message: &str) -> Self {
        Self { general: Some(sentence(message)), ..Self::default() }
    }

    /// The errors of a field stand at another one: the page has two forms with a field of that name.
    #[must_use]
    pub fn at(mut self, field: &str, shown_at: &str) -> Self {
        for error in self.fields.iter_mut().filter(|error| error.field == field) {
            shown_at.clone_into(&mut error.field);
        }
        self
    }

    /// The form: as it was asked for where nothing is wrong, else as what did not go through.
    pub fn answer(&self, page: &impl Template) -> Answer {
        let status = match self.retry_after {
            Some(_) => StatusCode::TOO_MANY_REQUESTS,
            None if self.fields.is_empty() && self.general.is_none() => StatusCode::OK,
            None => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut response = html_with(status, page)?;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    }

    /// Whether anything was wrong.
    pub fn any(&self) -> bool {
        !self.fields.is_empty() || self.general.is_some()
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
        let errors = FormErrors::of(Error::RecipientSuppressed(vec![error("to[0]")])).unwrap();
        assert_eq!(errors.of_field("to").as_deref(), Some("Is wrong."));
    }
}

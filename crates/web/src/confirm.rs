//! The page that asks once more: what will come of it, a button, and a way back. There is one, for everything.

use crate::{
    forms::FormErrors,
    page::{Answer, Shell},
};
use askama::Template;

/// Asks once more.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct Confirm {
    shell: Shell,
    heading: String,
    lines: Vec<String>,
    action: String,
    button: &'static str,
    danger: bool,
    /// What was typed as the reason, where one is asked for.
    reason: Option<String>,
    /// What the form brings along unseen.
    hidden: Vec<(&'static str, String)>,
    errors: FormErrors,
    back: String,
    keep: &'static str,
}

impl Confirm {
    /// Of something that is not undone. `action` is where the form goes, `back` where whoever does not want it goes.
    pub fn new(
        shell: Shell,
        heading: impl Into<String>,
        lines: Vec<String>,
        (action, button): (String, &'static str),
        back: impl Into<String>,
    ) -> Self {
        Self {
            shell,
            heading: heading.into(),
            lines,
            action,
            button,
            danger: true,
            reason: None,
            hidden: Vec::new(),
            errors: FormErrors::default(),
            back: back.into(),
            keep: "Keep it",
        }
    }

    /// Of something that takes nothing away.
    pub fn harmless(self) -> Self {
        Self { danger: false, keep: "Not now", ..self }
    }

    /// With these words for the way back.
    pub fn keep(self, keep: &'static str) -> Self {
        Self { keep, ..self }
    }

    /// With a field for the reason, and what was typed into it.
    pub fn asking_why(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// With a value that comes back with the form.
    pub fn carrying(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.hidden.push((name, value.into()));
        self
    }

    /// Once more, with why it did not go through.
    pub fn refused(self, errors: FormErrors) -> Self {
        Self { errors, ..self }
    }

    /// The page.
    pub fn answer(&self) -> Answer {
        self.errors.answer(self)
    }
}

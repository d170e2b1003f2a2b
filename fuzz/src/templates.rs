//! Domain Connect templates: parsing, and applying with arbitrary values.
//!
//! Input: the template, and behind a NUL lines with the domain, the host and `name=value` for the variables.

use super::input::{Input, name};
use diagnosis::{
    Profile, Variables,
    plan::from_template,
    profile::{Place, ProfileError},
};

/// The target.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let template = String::from_utf8_lossy(&data[..end]);
    let mut input = Input(data.get(end + 1..).unwrap_or_default());
    let (profile, notes) = match Profile::parse_with_notes(&template) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            match error {
                ProfileError::Field { place, .. } => is_in(place, &template),
                ProfileError::Json { line, .. } => assert!(line <= template.split('\n').count()),
                _ => {}
            }
            return;
        }
    };
    for note in &notes {
        is_in(note.place, &template);
    }
    let domain = input.name().filter(|name| name.as_str().len() < 200).unwrap_or_else(|| name("acme.test"));
    let host = input.text();
    let mut values = Variables::new();
    while !input.is_empty() {
        let line = input.text();
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        values.insert(name.to_owned(), value.to_owned());
    }
    for name in profile.variables() {
        values.entry(name).or_insert_with(|| "1".to_owned());
    }
    match from_template(&profile, &domain, &host, &values) {
        Ok(plan) => {
            assert!(!plan.records.is_empty() && plan.records.len() <= profile.records.len());
            for record in &plan.records {
                assert!(record.expected.value().len() <= 20_000);
                assert_eq!(record.expected.data().record_type(), record.expected.record_type());
                let same = plan.records.iter().filter(|other| other.key == record.key).count();
                assert_eq!(same, 1, "{}", record.key);
            }
            assert_eq!(from_template(&profile, &domain, &host, &values), Ok(plan));
        }
        Err(error) => {
            assert!(!matches!(error, ProfileError::MissingVariables { .. }), "{error}");
            if let ProfileError::Field { place, .. } = &error {
                is_in(*place, &template);
            }
            assert!(error.to_string().len() < 2_000, "{error}");
        }
    }
}

/// A place that an editor can go to.
fn is_in(place: Place, text: &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.split('\n').nth(place.line.wrapping_sub(1));
    let length = line.map(|line| line.chars().count());
    assert!(length.is_some_and(|length| place.column >= 1 && place.column <= length + 1), "{place}");
}

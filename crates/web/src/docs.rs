//! The manual pages of findings.

use crate::{
    Pages,
    page::{Answer, Failure, Section, Shell, html},
};
use askama::Template;
use axum::extract::Path;
use explain::{Page, catalogue};

#[derive(Template)]
#[template(path = "findings.html")]
struct FindingsPage {
    shell: Shell,
    pages: Vec<&'static Page>,
}

struct Reference {
    text: &'static str,
    href: Option<String>,
}

#[derive(Template)]
#[template(path = "finding.html")]
struct FindingPage {
    shell: Shell,
    page: &'static Page,
    references: Vec<Reference>,
}

pub(crate) async fn list(pages: Pages) -> Answer {
    html(&FindingsPage {
        shell: Shell::of(&pages, Section::Docs, "Findings"),
        pages: catalogue::pages().collect(),
    })
}

pub(crate) async fn show(pages: Pages, Path(code): Path<String>) -> Answer {
    let page = catalogue::page(&code).ok_or_else(|| Failure::no_such("finding", &code))?;
    let references = page.references.iter().map(|text| Reference { text, href: address(text) }).collect();
    html(&FindingPage { shell: Shell::of(&pages, Section::Docs, page.title), page, references })
}

/// Where an RFC's section can be read: "RFC 7208 §4.5".
fn address(text: &str) -> Option<String> {
    let rest = text.strip_prefix("RFC ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    if number.is_empty() {
        return None;
    }
    let section: String = rest
        .split_once('§')
        .map(|(_, section)| section.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect())
        .unwrap_or_default();
    let section = section.trim_end_matches('.');
    let anchor = if section.is_empty() { String::new() } else { format!("#section-{section}") };
    Some(format!("https://www.rfc-editor.org/rfc/rfc{number}{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_linked() {
        assert_eq!(address("RFC 7208 §4.5").unwrap(), "https://www.rfc-editor.org/rfc/rfc7208#section-4.5");
        assert_eq!(address("RFC 1034, all of it").unwrap(), "https://www.rfc-editor.org/rfc/rfc1034");
        assert_eq!(address("the public suffix list"), None);
    }
}

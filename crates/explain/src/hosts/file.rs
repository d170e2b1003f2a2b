//! Reading a host's data file, with the place of every mistake.

use super::{Host, HostApi, Proven, StepTemplates};

/// What is wrong with a host's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostFileError {
    /// It is not TOML, or a field is missing, unknown or of another type.
    #[error("hosts/{file}.toml, line {line}, column {column}: {message}")]
    Toml {
        /// The file's name without its ending.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser said.
        message: String,
    },
    /// A field holds something that makes no sense.
    #[error("hosts/{file}.toml, field {field}: {problem}")]
    Field {
        /// The file's name without its ending.
        file: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// The slots that a phrase of the steps may hold.
pub(crate) const SLOTS: &[&str] =
    &["name", "where", "zone", "type", "host", "short", "full", "value", "ttl", "priority"];

pub(super) fn parse(id: &str, text: &str) -> Result<Host, HostFileError> {
    let host: Host = toml::from_str(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        HostFileError::Toml { file: id.to_owned(), line, column, message: error.message().to_owned() }
    })?;
    match problem(id, &host) {
        Some((field, problem)) => Err(HostFileError::Field { file: id.to_owned(), field, problem }),
        None => Ok(host),
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn problem(id: &str, host: &Host) -> Option<(&'static str, String)> {
    let say = |field, text: &str| Some((field, text.to_owned()));
    if host.id != id {
        return Some(("id", format!("\"{}\" is not the file's name", host.id)));
    }
    for (field, text) in [("name", &host.name), ("where", &host.page)] {
        if text.trim().is_empty() {
            return say(field, "is empty");
        }
    }
    if let Some(pattern) = host.name_servers.iter().find(|pattern| !is_pattern(pattern)) {
        return Some(("name_servers", format!("\"{pattern}\" is not a pattern of a name below a domain")));
    }
    if !matches!(host.apex.as_str(), "" | "@") {
        return say("apex", "is neither \"@\" nor empty");
    }
    if host.ttl_default.is_some_and(|ttl| ttl < host.ttl_min) {
        return say("ttl_default", "is below ttl_min");
    }
    if host.delay_min > host.delay_usual || host.delay_usual > host.delay_max {
        return say("delay_usual", "is not between delay_min and delay_max");
    }
    if host.url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        return say("url", "does not begin with https://");
    }
    if !is_month(&host.last_verified) {
        return say("last_verified", "is neither a month such as \"2026-11\" nor empty");
    }
    let labels = &host.labels;
    let words = [&labels.record_type, &labels.host, &labels.value, &labels.ttl, &labels.priority];
    let api = host.api.as_ref();
    if let Some((field, problem)) = api.and_then(api_problem) {
        return say(field, problem);
    }
    let facts =
        host.quirks.iter().chain(api.map(|api| &api.auth)).chain(api.iter().flat_map(|api| &api.quirks));
    if words.into_iter().chain(&labels.target).chain(facts).any(|text| text.trim().is_empty()) {
        return say("labels, quirks or api", "has an empty text");
    }
    steps_problem(&host.steps)
}

fn api_problem(api: &HostApi) -> Option<(&'static str, &'static str)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_lowercase() || b"_".contains(&octet))
    };
    if api.fields.iter().any(|field| !is_name(&field.name) || field.label.trim().is_empty()) {
        return Some(("api.fields", "has one without a label, or a name with other than a-z and _"));
    }
    if api.rights.iter().any(|right| right.trim().is_empty()) {
        return Some(("api.rights", "has an empty text"));
    }
    if api.unproven.iter().any(|fact| fact.trim().is_empty())
        || !is_written_at(api) && !api.unproven.is_empty()
    {
        return Some(("api.unproven", "has an empty text, or nothing is written there"));
    }
    if api.token_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        return Some(("api.token_url", "does not begin with https://"));
    }
    let is_written = is_written_at(api);
    if is_written == api.fields.is_empty() || is_written == api.rights.is_empty() {
        return Some(("api.proven", "goes with fields and rights, or with neither"));
    }
    if is_written != api.proven_on.as_deref().is_some_and(|month| !month.is_empty() && is_month(month)) {
        return Some(("api.proven_on", "is a month such as \"2026-11\" where it is proven, else left out"));
    }
    None
}

fn is_written_at(api: &HostApi) -> bool {
    api.proven != Proven::None
}

fn steps_problem(steps: &StepTemplates) -> Option<(&'static str, String)> {
    let open =
        ["{name}", "{where}", "{zone}"].iter().fold(steps.open.clone(), |text, slot| text.replace(slot, ""));
    if !steps.open.contains("{zone}") || open.contains(['{', '}']) {
        return Some(("steps.open", "needs {zone}, and can hold {name} and {where} beside it".to_owned()));
    }
    let one = std::slice::from_ref;
    for (field, lines) in [
        ("steps.add", one(&steps.add)),
        ("steps.edit", one(&steps.edit)),
        ("steps.save", one(&steps.save)),
        ("steps.all", &steps.all),
        ("steps.cname", &steps.cname),
        ("steps.txt", &steps.txt),
        ("steps.mx", &steps.mx),
    ] {
        if lines.iter().any(|line| line.trim().is_empty()) {
            return Some((field, "is empty".to_owned()));
        }
        if let Some(line) = lines.iter().find(|line| !has_known_slots(line)) {
            return Some((field, format!("\"{line}\" has a slot that is not known")));
        }
    }
    None
}

/// "2026-11", or nothing.
fn is_month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else { return text.is_empty() };
    year.len() == 4
        && month.len() == 2
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month))
}

/// A pattern has to pin the registered domain: `*` alone, or `*.com`, would claim other hosts' servers.
fn is_pattern(pattern: &str) -> bool {
    let labels: Vec<&str> = pattern.split('.').collect();
    let characters =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '*' | '?');
    labels.len() >= 3
        && pattern.chars().all(characters)
        && labels.iter().all(|label| !label.is_empty())
        && labels[labels.len() - 2].starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn has_known_slots(line: &str) -> bool {
    let mut parts = line.split('{');
    let before = parts.next().unwrap_or_default();
    !before.contains('}')
        && parts.all(|part| {
            part.split_once('}').is_some_and(|(slot, rest)| SLOTS.contains(&slot) && !rest.contains('}'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::FILES;

    fn broken(from: &str, to: &str) -> String {
        let (_, text) = FILES.iter().find(|(id, _)| *id == "cloudflare").unwrap();
        assert!(text.contains(from));
        parse("cloudflare", &text.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_with_file_and_place() {
        let error = broken("quotes = false", "quotes = maybe");
        assert!(error.starts_with("hosts/cloudflare.toml, line 8, column 10: "), "{error}");
        let error = broken("quotes = false", "qoutes = false");
        assert!(error.starts_with("hosts/cloudflare.toml, line 8, column 1: unknown field"), "{error}");
        let error = broken("\"*.ns.cloudflare.com\"", "\"*.com\"");
        assert!(error.starts_with("hosts/cloudflare.toml, field name_servers: "), "{error}");
        let error = broken("add = \"press", "add = \"press {zoen}");
        assert!(error.starts_with("hosts/cloudflare.toml, field steps.add: "), "{error}");
        let error = broken("open = \"In", "open = \"In {host}");
        assert!(error.starts_with("hosts/cloudflare.toml, field steps.open: "), "{error}");
        let error = broken("delay_min = 0", "delay_min = 31");
        assert!(error.starts_with("hosts/cloudflare.toml, field delay_usual: "), "{error}");
        let error = broken("\"2026-11\"", "\"last week\"");
        assert!(error.starts_with("hosts/cloudflare.toml, field last_verified: "), "{error}");
        let error = broken("proven = \"fake\"", "");
        assert_eq!(
            error,
            "hosts/cloudflare.toml, field api.proven: goes with fields and rights, or with neither"
        );
        let error = broken("proven_on = \"2026-11\"", "");
        assert!(error.starts_with("hosts/cloudflare.toml, field api.proven_on: "), "{error}");
        let error = broken("proven = \"fake\"", "proven = \"fake\"\nunproven = [\" \"]");
        assert!(error.starts_with("hosts/cloudflare.toml, field api.unproven: "), "{error}");
        let error = broken("token_url = \"https", "token_url = \"http");
        assert!(error.starts_with("hosts/cloudflare.toml, field api.token_url: "), "{error}");
        let error = broken("name = \"token\"", "name = \"The token\"");
        assert!(error.starts_with("hosts/cloudflare.toml, field api.fields: "), "{error}");
        let error = broken("ttl_min = 60", "ttl_min = 6000");
        assert_eq!(error, "hosts/cloudflare.toml, field ttl_default: is below ttl_min");
    }
}

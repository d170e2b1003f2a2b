//! Tag lists (RFC 6376 §3.2), the syntax of DKIM signatures, DKIM keys and DMARC records.

/// One `name=value` of a list, white space around both removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

/// Why a text is not a tag list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagListError {
    #[error("\"{0}\" has no \"=\"")]
    NoEquals(String),
    #[error("\"{0}\" is not a tag name")]
    BadName(String),
    #[error("the tag \"{0}\" is there twice")]
    Twice(String),
    #[error("there are more than {MAX_TAGS} tags")]
    TooMany,
}

/// No published record or signature comes near; it bounds the search for duplicates.
const MAX_TAGS: usize = 64;

/// Splits a list. Names keep their case, for tag names are case-sensitive (RFC 6376 §3.2).
pub(crate) fn parse(text: &str) -> Result<Vec<Tag<'_>>, TagListError> {
    let mut tags: Vec<Tag<'_>> = Vec::with_capacity(4);
    let specs = text.split(';');
    for spec in specs {
        let spec = spec.trim_matches(is_fws);
        if spec.is_empty() {
            // One final semicolon is in the grammar; empty specs elsewhere are a frequent slip that every
            // known verifier reads past.
            continue;
        }
        let Some((name, value)) = spec.split_once('=') else {
            return Err(TagListError::NoEquals(clip(spec)));
        };
        let name = name.trim_matches(is_fws);
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_formed {
            return Err(TagListError::BadName(clip(name)));
        }
        if tags.iter().any(|tag| tag.name == name) {
            return Err(TagListError::Twice(clip(name)));
        }
        if tags.len() == MAX_TAGS {
            return Err(TagListError::TooMany);
        }
        tags.push(Tag { name, value: value.trim_matches(is_fws) });
    }
    Ok(tags)
}

/// Folding white space.
pub(crate) fn is_fws(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A short, printable piece of what a stranger sent, for error texts.
pub(crate) fn clip(text: &str) -> String {
    let mut out: String =
        text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_a_final_semicolon_are_allowed_and_duplicates_are_not() {
        let tags = parse(" v = DKIM1 ;\r\n\tp=a b;").unwrap();
        assert_eq!(tags, [Tag { name: "v", value: "DKIM1" }, Tag { name: "p", value: "a b" }]);
        assert_eq!(parse("a=1; a=2"), Err(TagListError::Twice("a".into())));
        assert_eq!(parse("\"v=DKIM1"), Err(TagListError::BadName("\"v".into())));
        assert_eq!(parse("v"), Err(TagListError::NoEquals("v".into())));
    }
}

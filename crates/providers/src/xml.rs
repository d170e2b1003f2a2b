//! The little XML that Amazon's older services speak, read into a tree: elements and their text. Attributes, comments and
//! declarations are passed over; a document type, which nothing here has a use for, is refused.

/// How deep elements may be in each other.
const MOST_DEPTH: usize = 16;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// The text in it, not that of elements in it.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// Reads a document; `None` where it is damaged.
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(octets).ok()?.trim_start_matches('\u{feff}');
        // Those that are open, outermost first; in front of them stands what holds the root.
        let mut open = vec![Self::default()];
        while let Some(start) = rest.find('<') {
            open.last_mut()?.text.push_str(&plain(&rest[..start])?);
            rest = &rest[start + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = comment.split_once("-->")?.1;
            } else if let Some(declaration) = rest.strip_prefix('?') {
                rest = declaration.split_once("?>")?.1;
            } else if rest.starts_with('!') {
                return None;
            } else {
                let (tag, behind) = rest.split_once('>')?;
                rest = behind;
                if let Some(name) = tag.strip_prefix('/') {
                    let done = open.pop().filter(|element| element.name == name.trim_end())?;
                    open.last_mut()?.children.push(done);
                    continue;
                }
                let is_closed = tag.ends_with('/');
                let name = tag.trim_end_matches('/').split_ascii_whitespace().next()?.to_owned();
                let element = Self { name, ..Self::default() };
                if is_closed {
                    open.last_mut()?.children.push(element);
                } else if open.len() > MOST_DEPTH {
                    return None;
                } else {
                    open.push(element);
                }
            }
        }
        let mut holder = open.pop().filter(|_| open.is_empty() && rest.trim().is_empty())?;
        holder.children.pop().filter(|_| holder.children.is_empty())
    }

    /// The first element of a name in it.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of a name in it.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Text with its references undone.
fn plain(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let (name, behind) = behind.split_once(';')?;
        rest = behind;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
    }
    out.push_str(rest);
    Some(out)
}

/// Text with what has a meaning in XML escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_document_is_read() {
        let text =
            b"<?xml version=\"1.0\"?>\n<a x=\"1\"><b>1 &lt; 2 &#38; &#x41;</b><c/><!-- > --><b>2</b></a>\n";
        let root = Element::parse(text).unwrap();
        assert_eq!((root.name.as_str(), root.text_of("b")), ("a", Some("1 < 2 & A")));
        assert_eq!(root.children.len(), 3);
        for broken in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<!DOCTYPE a><a/>",
            "<a>&none;</a>",
            "<a",
            "</a>",
            "<a/>x",
        ] {
            assert_eq!(Element::parse(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(Element::parse("<a>".repeat(100_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[^\\x00]{0,40}") {
            let document = format!("<a>{}</a>", escaped(&text));
            prop_assert_eq!(Element::parse(document.as_bytes()).unwrap().text, text);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[<>/a!?&;# -]{0,60}") {
            let _ = Element::parse(text.as_bytes());
        }
    }
}

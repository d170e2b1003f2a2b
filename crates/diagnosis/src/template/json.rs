//! JSON with the place of every value, so that what is wrong with a template can be pointed at.
//!
//! `serde_json` checks the grammar and decodes strings and numbers; this walks over text that it has accepted and
//! keeps where each value begins. Members of an object stay in their order, repeated ones too.

use crate::profile::{Place, ProfileError};

/// Deeper nesting is no template.
const MAX_DEPTH: usize = 16;

/// A value and where it begins, in octets from the start.
#[derive(Debug)]
pub struct Node {
    pub at: usize,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Null,
    Bool(bool),
    /// A number that is a whole one from 0 to 2⁶⁴-1, if it is.
    Number(Option<u64>),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug)]
pub struct Member {
    /// Where its name begins.
    pub at: usize,
    pub name: String,
    pub node: Node,
}

impl Value {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Parses the whole text.
pub fn parse(text: &str) -> Result<Node, ProfileError> {
    let error = |error: &serde_json::Error| ProfileError::Json {
        line: error.line(),
        column: error.column(),
        problem: without_place(error),
    };
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|e| error(&e))?;
    let mut walk = Walk { text, at: 0 };
    walk.node(0)
}

/// The place of an octet: both numbers counted from 1, columns in characters.
pub fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// `serde_json` ends its messages with the place, which is told apart here.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(problem, _)| problem.to_owned())
}

/// Reads text that is known to be JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl Walk<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn broken(&self, at: usize, problem: &str) -> ProfileError {
        let Place { line, column } = place(self.text, at);
        ProfileError::Json { line, column, problem: problem.to_owned() }
    }

    fn node(&mut self, depth: usize) -> Result<Node, ProfileError> {
        let first = self.peek();
        let at = self.at;
        if depth > MAX_DEPTH {
            return Err(self.broken(at, "it is nested too deeply for a template"));
        }
        let value = match first {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.text()?),
            _ => self.scalar(),
        };
        Ok(Node { at, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, ProfileError> {
        let mut members = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'}' => {
                    self.at += 1;
                    break;
                }
                b'"' => {
                    let at = self.at;
                    let name = self.text()?;
                    // The colon.
                    self.peek();
                    self.at += 1;
                    members.push(Member { at, name, node: self.node(depth + 1)? });
                }
                _ => self.at += 1,
            }
        }
        Ok(Value::Object(members))
    }

    fn list(&mut self, depth: usize) -> Result<Value, ProfileError> {
        let mut nodes = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b']' => {
                    self.at += 1;
                    break;
                }
                b',' => self.at += 1,
                _ => nodes.push(self.node(depth + 1)?),
            }
        }
        Ok(Value::List(nodes))
    }

    fn text(&mut self) -> Result<String, ProfileError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        end = (end + 1).min(bytes.len());
        self.at = end;
        let quoted = self.text.get(start..end).unwrap_or_default();
        serde_json::from_str(quoted)
            .map_err(|_| self.broken(start, "a text holds an escape of half a character"))
    }

    fn scalar(&mut self) -> Value {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length =
            rest.iter().take_while(|byte| !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'));
        self.at += length.count().max(1);
        match self.text.get(start..self.at).unwrap_or_default() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => Value::Number(number.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_begin() {
        let text = "{\n  \"é\": [1, true, null, -2.5],\n  \"b\": {\"c\": \"x\\\"\\u00e9\"}\n}";
        let root = parse(text).unwrap();
        let Value::Object(members) = &root.value else { panic!("{root:?}") };
        assert_eq!(place(text, members[0].at), Place { line: 2, column: 3 });
        assert_eq!(place(text, members[0].node.at), Place { line: 2, column: 8 });
        let Value::List(list) = &members[0].node.value else { panic!("{root:?}") };
        assert_eq!(list.len(), 4);
        assert_eq!(place(text, list[3].at), Place { line: 2, column: 24 });
        let Value::Object(inner) = &members[1].node.value else { panic!("{root:?}") };
        assert!(matches!(&inner[0].node.value, Value::Text(text) if text == "x\"é"));
    }

    #[test]
    fn what_is_no_json_names_its_place() {
        let error = parse("{\n \"a\": }").unwrap_err();
        assert!(matches!(error, ProfileError::Json { line: 2, .. }), "{error:?}");
        let error = parse("[\n\n \"\\ud800\"]").unwrap_err();
        assert_eq!(error.to_string(), "line 3, column 2: a text holds an escape of half a character");
        let deep = "[".repeat(30) + &"]".repeat(30);
        assert!(parse(&deep).unwrap_err().to_string().contains("nested too deeply"));
        assert!(parse("").is_err() && parse("{} x").is_err());
    }
}

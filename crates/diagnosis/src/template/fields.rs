//! Reading the fields of an object, with errors that name their place.

use super::{
    json::{Member, Node, Value, place},
    variables::{clip, pieces},
};
use crate::profile::{Note, Number, Place, ProfileError};

/// The file, and what was noticed in it.
pub struct File<'t> {
    pub text: &'t str,
    pub notes: Vec<Note>,
}

/// One object of the file.
#[derive(Clone, Copy)]
pub struct Object<'n> {
    /// `records[3].`, empty for the template itself.
    pub path: &'n str,
    pub at: usize,
    pub members: &'n [Member],
}

impl File<'_> {
    pub fn place(&self, at: usize) -> Place {
        place(self.text, at)
    }

    pub fn error(&self, at: usize, field: &str, problem: impl Into<String>) -> ProfileError {
        ProfileError::Field { place: self.place(at), field: field.to_owned(), problem: problem.into() }
    }

    /// Notes beyond a hundred help nobody.
    pub fn note(&mut self, at: usize, field: &str, text: impl Into<String>) {
        if self.notes.len() < 100 {
            self.notes.push(Note { place: self.place(at), field: clip(field), text: text.into() });
        }
    }
}

impl<'n> Object<'n> {
    /// The members of an object, each there once.
    pub fn of(file: &File<'_>, node: &'n Node, path: &'n str) -> Result<Self, ProfileError> {
        let name = path.trim_end_matches('.');
        let Value::Object(members) = &node.value else {
            let name = if name.is_empty() { "template" } else { name };
            return Err(file.error(
                node.at,
                name,
                format!("it must be an object, not {}", node.value.kind()),
            ));
        };
        for (index, member) in members.iter().enumerate() {
            if members[..index].iter().any(|earlier| earlier.name == member.name) {
                let field = format!("{path}{}", clip(&member.name));
                return Err(file.error(member.at, &field, "it is there twice"));
            }
        }
        Ok(Self { path, at: node.at, members })
    }

    pub fn field(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// The member, unless it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        let node = &self.members.iter().find(|member| member.name == name)?.node;
        if matches!(node.value, Value::Null) { None } else { Some(node) }
    }

    /// Where a member is, or else the object.
    pub fn at(&self, name: &str) -> usize {
        self.get(name).map_or(self.at, |node| node.at)
    }

    pub fn error(&self, file: &File<'_>, name: &str, problem: impl Into<String>) -> ProfileError {
        file.error(self.at(name), &self.field(name), problem)
    }

    /// A text, if it is there.
    pub fn text(&self, file: &File<'_>, name: &str) -> Result<Option<&'n str>, ProfileError> {
        match self.get(name).map(|node| &node.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.error(file, name, format!("it must be a text, not {}", other.kind()))),
        }
    }

    /// A text that has to be there.
    pub fn required(&self, file: &File<'_>, name: &str, of: &str) -> Result<&'n str, ProfileError> {
        self.text(file, name)?.ok_or_else(|| self.error(file, name, format!("{of} needs it")))
    }

    /// A text in which variables may stand.
    pub fn with_variables(&self, file: &File<'_>, name: &str, of: &str) -> Result<&'n str, ProfileError> {
        let text = self.required(file, name, of)?;
        pieces(text).map_err(|problem| self.error(file, name, problem))?;
        Ok(text)
    }

    pub fn flag(&self, file: &File<'_>, name: &str) -> Result<bool, ProfileError> {
        match self.get(name).map(|node| &node.value) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => {
                Err(self.error(file, name, format!("it must be true or false, not {}", other.kind())))
            }
        }
    }

    pub fn texts(&self, file: &File<'_>, name: &str) -> Result<Vec<&'n str>, ProfileError> {
        let Some(node) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = || self.error(file, name, "it must be a list of texts");
        let Value::List(nodes) = &node.value else { return Err(wrong()) };
        let text = |node: &'n Node| match &node.value {
            Value::Text(text) => Ok(text.as_str()),
            _ => Err(wrong()),
        };
        nodes.iter().map(text).collect()
    }

    /// A number up to `max`. Published templates write numbers as numbers, as texts and as variables.
    pub fn number(&self, file: &File<'_>, name: &str, max: u32) -> Result<Option<Number>, ProfileError> {
        let wrong = || self.error(file, name, format!("it must be a whole number from 0 to {max}"));
        let bounded = |number: u64| match u32::try_from(number) {
            Ok(number) if number <= max => Ok(Some(Number::Fixed(number))),
            _ => Err(wrong()),
        };
        match self.get(name).map(|node| &node.value) {
            None => Ok(None),
            Some(Value::Number(number)) => bounded(number.ok_or_else(wrong)?),
            Some(Value::Text(text)) if text.contains('%') => {
                pieces(text).map_err(|problem| self.error(file, name, problem))?;
                Ok(Some(Number::Variable(text.clone())))
            }
            Some(Value::Text(text)) => bounded(text.trim().parse().map_err(|_| wrong())?),
            Some(_) => Err(wrong()),
        }
    }

    /// Notes the members that nobody defined, and refuses those that the template calls critical and we do not
    /// know.
    pub fn check_names(&self, file: &mut File<'_>, known: &[&str]) -> Result<(), ProfileError> {
        let is_known = |name: &str| known.contains(&name);
        for name in self.texts(file, "crit")? {
            if !is_known(name) && self.get(name).is_some() {
                let problem = format!(
                    "the template must not be used without it, and \"{}\" is not known here",
                    clip(name)
                );
                return Err(self.error(file, "crit", problem));
            }
        }
        for member in self.members {
            let private = ["vnd.", "x-", "$", "_"].iter().any(|prefix| member.name.starts_with(prefix));
            if !is_known(&member.name) && !private {
                file.note(member.at, &self.field(&member.name), "no such field is known; it is passed over");
            }
        }
        Ok(())
    }
}

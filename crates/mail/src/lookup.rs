//! Questions and answers of the DNS, without the DNS.
//!
//! An evaluator asks [`Answers`]; what is not there yet comes back as [`Needed`]. The caller looks the questions
//! up, inserts what it saw and calls the evaluator again, until it returns a result. Evaluators are pure, so
//! running them again is safe. Nothing here queries or caches.

use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, net::IpAddr};

/// One name and type to look up, class IN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Question {
    /// The owner name.
    pub name: DomainName,
    /// The type.
    pub record_type: RecordType,
}

impl Question {
    /// A question.
    pub fn new(name: DomainName, record_type: RecordType) -> Self {
        Self { name, record_type }
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// What the DNS said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Records of the asked type, after CNAMEs were followed. Data of other types is ignored by evaluators.
    Records(Vec<RecordData>),
    /// The name exists, the type does not (RFC 2308 §2.2).
    NoData,
    /// The name does not exist (RFC 2308 §2.1).
    NxDomain,
    /// No usable answer: timeout, SERVFAIL, REFUSED and the like, with what was seen.
    TempError(String),
}

/// The questions an evaluator could not go on without. They may be looked up in any order or at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} DNS answers are needed first", .0.len())]
pub struct Needed(pub Vec<Question>);

impl Needed {
    /// Adds the questions of another, without repeating any.
    pub fn merge(&mut self, other: Self) {
        for question in other.0 {
            if !self.0.contains(&question) {
                self.0.push(question);
            }
        }
    }
}

/// The answers known so far. In JSON: a list of `{question, answer}`, in the order of the questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers(BTreeMap<Question, Answer>);

impl Answers {
    /// No answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an answer; an earlier one to the same question is replaced.
    pub fn insert(&mut self, question: Question, answer: Answer) {
        self.0.insert(question, answer);
    }

    /// The answer, or the question as what is needed.
    pub fn get(&self, question: &Question) -> Result<&Answer, Needed> {
        self.0.get(question).ok_or_else(|| Needed(vec![question.clone()]))
    }

    /// The answers to all questions, or every question still open.
    pub fn get_all(&self, questions: &[Question]) -> Result<Vec<&Answer>, Needed> {
        let mut needed = Needed(Vec::new());
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            match self.get(question) {
                Ok(answer) => answers.push(answer),
                Err(more) => needed.merge(more),
            }
        }
        if needed.0.is_empty() { Ok(answers) } else { Err(needed) }
    }

    /// All that is known.
    pub fn iter(&self) -> impl Iterator<Item = (&Question, &Answer)> {
        self.0.iter()
    }

    /// How many answers are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Question, Answer)> for Answers {
    fn from_iter<I: IntoIterator<Item = (Question, Answer)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Extend<(Question, Answer)> for Answers {
    fn extend<I: IntoIterator<Item = (Question, Answer)>>(&mut self, entries: I) {
        self.0.extend(entries);
    }
}

/// The name under `in-addr.arpa` or `ip6.arpa` at which the names of an address are (RFC 1035 §3.5, RFC 3596
/// §2.5).
pub fn reverse_name(ip: IpAddr) -> Option<DomainName> {
    let text = match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles: Vec<String> = ip
                .octets()
                .iter()
                .rev()
                .flat_map(|octet| [octet & 15, octet >> 4])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    };
    DomainName::from_labels(text.split('.').map(str::as_bytes))
}

#[derive(Serialize, Deserialize)]
struct Entry<Q, A> {
    question: Q,
    answer: A,
}

impl Serialize for Answers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(question, answer)| Entry { question, answer }))
    }
}

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Entry<Question, Answer>>::deserialize(deserializer)?;
        Ok(entries.into_iter().map(|entry| (entry.question, entry.answer)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_for_once_and_answers_survive_json() {
        let txt = Question::new(DomainName::parse("a.example").unwrap(), RecordType::Txt);
        let mx = Question::new(DomainName::parse("a.example").unwrap(), RecordType::Mx);
        let mut answers = Answers::new();
        let needed = answers.get_all(&[txt.clone(), mx.clone(), txt.clone()]).unwrap_err();
        assert_eq!(needed, Needed(vec![txt.clone(), mx.clone()]));
        answers.insert(txt, Answer::Records(vec![RecordData::Txt(model::TxtData::from_text("x"))]));
        answers.insert(mx, Answer::TempError("SERVFAIL".into()));
        let json = serde_json::to_string(&answers).unwrap();
        assert_eq!(serde_json::from_str::<Answers>(&json).unwrap(), answers);
    }
}

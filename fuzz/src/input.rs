//! Reading decisions out of octets. Where they run out, zeros follow.

use mail::lookup::{Answer, Answers, Needed, Question};
use model::{DomainName, RecordData, RecordType, TxtData};

/// The octets not read yet.
pub struct Input<'d>(pub &'d [u8]);

impl<'d> Input<'d> {
    /// The next octet.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// Two octets.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// So many octets, as far as there are.
    pub fn take(&mut self, length: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Up to the next line feed, which is left out.
    pub fn line(&mut self) -> &'d [u8] {
        let length = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let line = self.take(length);
        self.take(1);
        line
    }

    /// A line as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.line()).into_owned()
    }

    /// A line as a name, if it is one.
    pub fn name(&mut self) -> Option<DomainName> {
        let line = self.line();
        let name = DomainName::from_labels(line.split(|byte| *byte == b'.'))?;
        (!name.is_root()).then_some(name)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name that is one.
pub fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect("a name")
}

/// Runs an evaluation, giving each question the next answer of the input: one line, its first octet saying what.
pub fn evaluate<T>(input: &mut Input<'_>, run: impl Fn(&Answers) -> Result<T, Needed>) -> (T, Answers) {
    let mut answers = Answers::new();
    for _ in 0..400 {
        match run(&answers) {
            Ok(outcome) => return (outcome, answers),
            Err(Needed(questions)) => {
                assert!(!questions.is_empty(), "nothing is needed, and there is no outcome");
                for question in questions {
                    let answer = answer(input, &question);
                    answers.insert(question, answer);
                }
            }
        }
    }
    panic!("the evaluation does not end");
}

fn answer(input: &mut Input<'_>, question: &Question) -> Answer {
    if input.is_empty() {
        return Answer::NxDomain;
    }
    match input.byte() {
        b'N' => return Answer::NoData,
        b'X' => return Answer::NxDomain,
        b'T' => return Answer::TempError("timeout".to_owned()),
        _ => {}
    }
    let line = input.line();
    let record = |part: &[u8]| match question.record_type {
        RecordType::A => RecordData::A(octets::<4>(part).into()),
        RecordType::Aaaa => RecordData::Aaaa(octets::<16>(part).into()),
        RecordType::Mx => RecordData::Mx {
            preference: u16::from(part.first().copied().unwrap_or_default()),
            exchange: DomainName::from_labels(part.split(|byte| *byte == b'.')).unwrap_or_default(),
        },
        RecordType::Ptr => {
            RecordData::Ptr(DomainName::from_labels(part.split(|byte| *byte == b'.')).unwrap_or_default())
        }
        _ => RecordData::Txt(TxtData::from_strings(&part.chunks(255).collect::<Vec<_>>())),
    };
    Answer::Records(line.split(|byte| *byte == b'\t').map(record).collect())
}

fn octets<const N: usize>(part: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(part) {
        *to = *from;
    }
    out
}

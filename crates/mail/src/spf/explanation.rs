//! What a domain's owner says to senders who are refused (RFC 7208 §6.2).

use super::{
    SpfResult,
    evaluate::{Evaluation, Stop},
    macros::{ExplainString, MacroContext, SeenBy},
};
use crate::lookup::{Answer, Answers, Needed, Question};
use model::{DomainName, RecordData, RecordType, Timestamp};
use std::net::IpAddr;

/// A longer text is none: it goes into an SMTP reply.
const MAX_EXPLANATION: usize = 1_000;

/// The owner's explanation of a fail, for the same arguments as [`super::evaluate`].
///
/// `None` when the result is another one, or the owner gives no explanation that can be used: nothing about it is an
/// error (RFC 7208 §6.2). `receiver` is the name of the judging host. The text is a stranger's, of printable ASCII.
pub fn explanation(
    client_ip: IpAddr,
    mail_from_domain: &DomainName,
    sender_local_part: &str,
    helo: &str,
    receiver: &str,
    now: Timestamp,
    answers: &Answers,
) -> Result<Option<String>, Needed> {
    let mut evaluation = Evaluation::new(client_ip, mail_from_domain, sender_local_part, helo, answers);
    let checked = match evaluation.check_host(mail_from_domain) {
        Ok(checked) => checked,
        Err(Stop::Needed(needed)) => return Err(needed),
        Err(Stop::Error(..)) => return Ok(None),
    };
    let Some((spec, domain)) = checked.explanation.filter(|_| checked.result == SpfResult::Fail) else {
        return Ok(None);
    };
    let Some(name) = unless_error(evaluation.expand(&spec, &domain))?.flatten() else { return Ok(None) };
    let Answer::Records(records) = answers.get(&Question::new(name, RecordType::Txt))? else {
        return Ok(None);
    };
    let [RecordData::Txt(text)] = records.as_slice() else { return Ok(None) };
    let Ok(text) = ExplainString::parse(&text.joined()) else { return Ok(None) };
    let validated = if text.needs_validated_name() {
        unless_error(evaluation.validated_name(&domain))?.flatten()
    } else {
        None
    };
    let context = MacroContext {
        ip: evaluation.ip,
        local_part: evaluation.local_part,
        sender_domain: mail_from_domain,
        helo,
        domain: &domain,
        validated_name: validated.as_ref(),
    };
    let seen_by = SeenBy { receiver, seconds: now.as_second() };
    let said = text.expand(&context, &seen_by, MAX_EXPLANATION);
    // The macros hold what the client said.
    Ok(said.filter(|said| !said.is_empty() && said.bytes().all(|byte| (b' '..=b'~').contains(&byte))))
}

fn unless_error<T>(outcome: Result<T, Stop>) -> Result<Option<T>, Needed> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Needed(needed)) => Err(needed),
        Err(Stop::Error(..)) => Ok(None),
    }
}

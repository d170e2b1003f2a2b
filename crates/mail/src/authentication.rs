//! SPF, DKIM and DMARC over one received message, and the header field that says so (RFC 8601).
//!
//! The message and its envelope go in with the DNS answers known so far; the results come out when nothing more is
//! needed. What to do with the message is for the caller to decide.

use crate::{
    dkim::{self, SignatureOutcome},
    dmarc::{self, DmarcOutcome, DmarcResult},
    lookup::{Answers, Needed},
    spf::{self, SpfOutcome, SpfProblem, SpfResult},
};
use mail_parser::MessageParser;
use model::{DomainName, EmailAddress, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

/// A From field longer than this is not looked into.
const MAX_FROM_OCTETS: usize = 64 * 1024;

/// What the SMTP session knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who connected.
    pub client_ip: IpAddr,
    /// The argument of EHLO or HELO.
    pub helo: String,
    /// MAIL FROM; `None` for the null reverse-path.
    pub mail_from: Option<EmailAddress>,
}

/// Everything found about one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticationResults {
    /// The envelope the message came with.
    pub envelope: Envelope,
    /// The domain of the From field; `None` when there is no single one.
    pub author_domain: Option<DomainName>,
    /// SPF for MAIL FROM, or for the HELO name under a null reverse-path.
    pub spf: SpfOutcome,
    /// DKIM, topmost signature first.
    pub dkim: Vec<SignatureOutcome>,
    /// DMARC, with the alignment of both.
    pub dmarc: DmarcOutcome,
}

/// Authenticates a message.
///
/// While answers are missing, only the header is read. The body is hashed and the signatures are checked once, in
/// the call that returns the results.
pub fn authenticate(
    raw: &[u8],
    envelope: &Envelope,
    answers: &Answers,
    now: Timestamp,
) -> Result<AuthenticationResults, Needed> {
    let header = dkim::with_crlf(dkim::header_of(raw));
    let header = dkim::split(&header);
    let author = author_of(&header);
    let mut needed = Needed(Vec::new());
    let spf = check_spf(envelope, answers).map_err(|more| needed.merge(more)).ok();
    let candidates = dkim::prepare(&header, answers, now).map_err(|more| needed.merge(more)).ok();
    if let Ok(domain) = &author {
        // DMARC asks for the domains of signatures that pass. Here all pass that still can, so that nothing is left
        // to ask once they were checked.
        let presumed: Vec<SignatureOutcome> =
            candidates.iter().flatten().map(|candidate| candidate.outcome.clone()).collect();
        let unknown = no_spf(SpfResult::None, DomainName::root(), None);
        if let Err(more) = dmarc::evaluate(domain, spf.as_ref().unwrap_or(&unknown), &presumed, answers) {
            needed.merge(more);
        }
    }
    let (Some(spf), Some(candidates), true) = (spf, candidates, needed.0.is_empty()) else {
        return Err(needed);
    };
    let dkim = dkim::judge(raw, candidates);
    let dmarc = match &author {
        Ok(domain) => dmarc::evaluate(domain, &spf, &dkim, answers)?,
        Err(reason) => no_dmarc((*reason).to_owned(), dkim.len()),
    };
    Ok(AuthenticationResults { envelope: envelope.clone(), author_domain: author.ok(), spf, dkim, dmarc })
}

fn check_spf(envelope: &Envelope, answers: &Answers) -> Result<SpfOutcome, Needed> {
    let (ip, helo) = (envelope.client_ip, envelope.helo.as_str());
    if let Some(address) = &envelope.mail_from {
        return spf::evaluate(ip, address.domain(), address.local_part(), helo, answers);
    }
    // RFC 7208 §2.4: the HELO name stands in. An address literal is no domain.
    if let Ok(domain) = DomainName::parse(helo) {
        return spf::evaluate(ip, &domain, "postmaster", helo, answers);
    }
    let problem = SpfProblem::NotADomain(crate::tag_list::clip(helo));
    Ok(no_spf(SpfResult::None, DomainName::root(), Some(problem)))
}

/// An outcome without an evaluation.
fn no_spf(result: SpfResult, domain: DomainName, problem: Option<SpfProblem>) -> SpfOutcome {
    SpfOutcome { result, domain, lookups: 0, void_lookups: 0, matched: None, problem }
}

/// A permanent error without an evaluation.
fn no_dmarc(reason: String, signatures: usize) -> DmarcOutcome {
    DmarcOutcome {
        result: DmarcResult::PermError,
        discovery: None,
        spf_aligned: false,
        dkim_aligned: vec![false; signatures],
        disposition: None,
        reason: Some(reason),
    }
}

/// The one domain of the From field (RFC 9989 §5.3.1); the error is the reason, for people.
pub fn author_domain(raw: &[u8]) -> Result<DomainName, &'static str> {
    let header = dkim::with_crlf(dkim::header_of(raw));
    author_of(&dkim::split(&header))
}

fn author_of(header: &dkim::SplitMessage<'_>) -> Result<DomainName, &'static str> {
    let mut fields = header.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(b"from"));
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err("the message does not have exactly one From field");
    };
    if field.value.len() > MAX_FROM_OCTETS {
        return Err("the From field is too long");
    }
    let alone = [b"From:", field.value, b"\r\n\r\n"].concat();
    let parsed = MessageParser::new().parse_headers(&alone);
    let addresses = parsed.as_ref().and_then(|message| message.from());
    let mut domains = BTreeSet::new();
    for address in addresses.into_iter().flat_map(|addresses| addresses.iter()) {
        let domain = address.address().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        match domain.map(DomainName::parse) {
            Some(Ok(domain)) => domains.insert(domain),
            _ => return Err("the From field has an address without a valid domain"),
        };
    }
    match (domains.pop_first(), domains.is_empty()) {
        (Some(domain), true) => Ok(domain),
        (None, _) => Err("the From field has no address"),
        (Some(_), false) => Err("the From field has addresses of several domains"),
    }
}

impl AuthenticationResults {
    /// The results for a message that asks for more DNS lookups than the receiver is willing to make: permanent
    /// errors for SPF and DMARC with the reason, and no signature judged.
    pub fn too_expensive(envelope: &Envelope, raw: &[u8], reason: &str) -> Self {
        let domain = match &envelope.mail_from {
            Some(address) => address.domain().clone(),
            None => DomainName::parse(&envelope.helo).unwrap_or_else(|_| DomainName::root()),
        };
        let problem = SpfProblem::TooExpensive(reason.to_owned());
        Self {
            envelope: envelope.clone(),
            author_domain: author_domain(raw).ok(),
            spf: no_spf(SpfResult::PermError, domain, Some(problem)),
            dkim: Vec::new(),
            dmarc: no_dmarc(reason.to_owned(), 0),
        }
    }

    /// The `Authentication-Results` field, final CRLF included (RFC 8601 §2.2). Characters that an `authserv-id`
    /// cannot have are left out.
    pub fn header(&self, authserv_id: &str) -> String {
        let id: String =
            authserv_id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
        let mut out = format!("Authentication-Results: {id};\r\n\tspf={}", self.spf.result);
        match &self.envelope.mail_from {
            Some(address) => _ = write!(out, " smtp.mailfrom={}", value(&address.to_string())),
            None => _ = write!(out, " smtp.helo={}", value(&self.envelope.helo)),
        }
        // "none" would say that the message is not signed; signatures that were not judged are left out.
        if self.dkim.is_empty() && !matches!(self.spf.problem, Some(SpfProblem::TooExpensive(_))) {
            out.push_str(";\r\n\tdkim=none");
        }
        for outcome in &self.dkim {
            let _ = write!(out, ";\r\n\tdkim={}", outcome.result);
            if let Some(reason) = &outcome.reason {
                let _ = write!(out, " reason={}", quoted(reason));
            }
            if let Some(domain) = &outcome.signing_domain {
                let _ = write!(out, " header.d={}", value(domain.as_str()));
            }
            if let Some(selector) = &outcome.selector {
                let _ = write!(out, " header.s={}", value(selector));
            }
        }
        let _ = write!(out, ";\r\n\tdmarc={}", self.dmarc.result);
        if let Some(reason) = &self.dmarc.reason {
            let _ = write!(out, " reason={}", quoted(reason));
        }
        if let Some(domain) = &self.author_domain {
            let _ = write!(out, " header.from={}", value(domain.as_str()));
        }
        out.push_str("\r\n");
        out
    }
}

/// A `pvalue`: as it is when it is a token or an address of tokens, else a quoted string.
fn value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-^_`{|}~.@".contains(c);
    if !text.is_empty() && text.len() <= 320 && text.chars().all(plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A quoted string of at most 200 characters; what cannot be in one becomes `?`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(200) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Answer;
    use model::{RecordData, RecordType, TxtData};
    use proptest::prelude::*;

    fn run(raw: &[u8], mail_from: Option<&str>, zone: &[(&str, &str)]) -> AuthenticationResults {
        let envelope = Envelope {
            client_ip: "192.0.2.1".parse().unwrap(),
            helo: "mx.example.com".into(),
            mail_from: mail_from.map(|address| EmailAddress::parse(address).unwrap()),
        };
        let mut answers = Answers::new();
        for _ in 0..20 {
            match authenticate(raw, &envelope, &answers, Timestamp::UNIX_EPOCH) {
                Ok(results) => return results,
                Err(needed) => answers.extend(needed.0.into_iter().map(|question| {
                    let found = zone.iter().find(|(owner, _)| {
                        question.record_type == RecordType::Txt && question.name.as_str() == *owner
                    });
                    let answer = found.map_or(Answer::NxDomain, |(_, text)| {
                        Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))])
                    });
                    (question, answer)
                })),
            }
        }
        panic!("the authentication does not end");
    }

    const ZONE: &[(&str, &str)] = &[
        ("bounce.example.com", "v=spf1 ip4:192.0.2.0/24 -all"),
        ("mx.example.com", "v=spf1 a -all"),
        ("other.example", "v=spf1 ip4:192.0.2.0/24 -all"),
        ("_dmarc.example.com", "v=DMARC1; p=reject"),
    ];

    #[test]
    fn spf_of_an_aligned_domain_passes_dmarc_and_that_of_another_does_not() {
        let raw = b"From: Joe <joe@mail.example.com>\r\n\r\nx\r\n";
        let pass = run(raw, Some("b@bounce.example.com"), ZONE);
        assert_eq!(pass.dmarc.result, DmarcResult::Pass);
        assert_eq!(
            pass.header("mx.receiver.example"),
            "Authentication-Results: mx.receiver.example;\r\n\tspf=pass smtp.mailfrom=b@bounce.example.com;\r\n\t\
             dkim=none;\r\n\tdmarc=pass header.from=mail.example.com\r\n"
        );
        let fail = run(raw, Some("b@other.example"), ZONE);
        assert_eq!((fail.spf.result, fail.dmarc.result), (SpfResult::Pass, DmarcResult::Fail));
        assert_eq!(fail.dmarc.disposition, Some(dmarc::Policy::Reject));
        let null = run(raw, None, ZONE);
        assert_eq!((null.spf.result, null.spf.domain.as_str()), (SpfResult::Fail, "mx.example.com"));
        assert!(null.header("x").contains("smtp.helo=mx.example.com"));
        let json = serde_json::to_string(&null).unwrap();
        assert_eq!(serde_json::from_str::<AuthenticationResults>(&json).unwrap(), null);
    }

    #[test]
    fn no_author_or_several_is_a_permanent_error() {
        for raw in [
            &b"Subject: x\r\n\r\n"[..],
            b"From: a@example.com\r\nFrom: b@example.com\r\n\r\n",
            b"From: a@example.com, b@example.net\r\n\r\n",
            b"From: nobody\r\n\r\n",
            b"",
        ] {
            assert_eq!(run(raw, None, ZONE).dmarc.result, DmarcResult::PermError, "{raw:?}");
        }
        let two = run(b"From: a@example.com, b@example.com\r\n\r\n", None, ZONE);
        assert_eq!(two.author_domain.unwrap().as_str(), "example.com");
    }

    /// Ten signatures under their own domains, each with its own key, and a chain of includes. None of them holds.
    fn expensive() -> (String, Vec<(String, String)>) {
        let mut raw = String::new();
        let mut zone = vec![("_dmarc.example.com".to_owned(), "v=DMARC1; p=reject".to_owned())];
        for i in 0..10 {
            // One of them is relaxed as the others are, but covers a part of the body only.
            let length = if i == 4 { "l=7; " } else { "" };
            let _ = write!(
                raw,
                "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=d{i}.example.com; s=s; {length}\
                 h=from; bh=AAAA; b=AAAA\r\n"
            );
            let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
            zone.push((format!("s._domainkey.d{i}.example.com"), key.to_owned()));
        }
        for i in 0..5 {
            zone.push((format!("i{i}.example.com"), format!("v=spf1 include:i{}.example.com ~all", i + 1)));
        }
        zone.push(("i5.example.com".to_owned(), "v=spf1 ip4:192.0.2.1 -all".to_owned()));
        raw += "From: a@mail.example.com\r\n\r\n";
        raw += &"text\r\n".repeat(1000);
        (raw, zone)
    }

    #[test]
    fn nothing_is_hashed_while_answers_are_open_and_then_the_body_once() {
        let (raw, zone) = expensive();
        let envelope = Envelope {
            client_ip: "192.0.2.1".parse().unwrap(),
            helo: "mx.example.com".into(),
            mail_from: Some(EmailAddress::parse("b@i0.example.com").unwrap()),
        };
        let mut answers = Answers::new();
        dkim::work::take();
        let mut rounds = 0;
        let results = loop {
            match authenticate(raw.as_bytes(), &envelope, &answers, Timestamp::UNIX_EPOCH) {
                Ok(results) => break results,
                Err(needed) => {
                    assert_eq!(dkim::work::take(), (0, 0), "round {rounds}");
                    if rounds == 0 {
                        // SPF, ten keys, and the tree walk of three names, all at once.
                        assert_eq!(needed.0.len(), 14);
                        // The lone DKIM evaluation hashes nothing either.
                        let keys = dkim::verify(raw.as_bytes(), &answers, Timestamp::UNIX_EPOCH).unwrap_err();
                        assert_eq!((keys.0.len(), dkim::work::take()), (10, (0, 0)));
                    }
                    assert!(!needed.0.is_empty());
                    answers.extend(needed.0.into_iter().map(|question| {
                        let found = zone.iter().find(|(owner, _)| question.name.as_str() == owner);
                        let answer = found.map_or(Answer::NxDomain, |(_, text)| {
                            Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))])
                        });
                        (question, answer)
                    }));
                }
            }
            rounds += 1;
        };
        assert!(rounds > 5, "{rounds}");
        assert_eq!(dkim::work::take(), (1, 6000));
        assert_eq!((results.spf.result, results.dmarc.result), (SpfResult::Pass, DmarcResult::Pass));
        assert_eq!(results.dkim.len(), 10);
        assert!(results.dkim.iter().all(|outcome| outcome.result == dkim::DkimResult::Fail));
        assert_eq!(results.dmarc.dkim_aligned, [false; 10]);
    }

    #[test]
    fn a_message_that_asks_too_much_has_an_honest_verdict() {
        let (raw, _) = expensive();
        let envelope = Envelope {
            client_ip: "192.0.2.1".parse().unwrap(),
            helo: "mx.example.com".into(),
            mail_from: None,
        };
        let reason = "the message asks for more than 100 DNS lookups";
        let results = AuthenticationResults::too_expensive(&envelope, raw.as_bytes(), reason);
        assert_eq!(
            (results.spf.result, results.spf.domain.as_str()),
            (SpfResult::PermError, "mx.example.com")
        );
        assert_eq!(results.spf.problem.as_ref().unwrap().to_string(), reason);
        assert_eq!(results.author_domain.as_ref().unwrap().as_str(), "mail.example.com");
        assert_eq!(
            (results.dmarc.result, results.dmarc.reason.as_deref()),
            (DmarcResult::PermError, Some(reason))
        );
        assert_eq!(
            results.header("x"),
            format!(
                "Authentication-Results: x;\r\n\tspf=permerror smtp.helo=mx.example.com;\r\n\tdmarc=permerror \
                 reason=\"{reason}\" header.from=mail.example.com\r\n"
            )
        );
        let json = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<AuthenticationResults>(&json).unwrap(), results);
    }

    proptest! {
        #[test]
        fn any_from_field_is_read_without_panic(value in "[ -~\r\n\té]{0,80}") {
            let _ = author_domain(format!("From:{value}\r\n\r\n").as_bytes());
        }
    }
}

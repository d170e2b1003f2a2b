//! Signing and verifying together, RFC 8463's vectors, and `mail-auth` as the oracle.

use super::*;
use crate::lookup::{Answer, Answers, Question};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use mail_auth::{
    AuthenticatedMessage, MessageAuthenticator, Parameters, ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
    hickory_resolver::config::{ResolverConfig, ResolverOpts},
};
use model::{DomainName, RecordData, RecordType, Timestamp, TxtData};
use proptest::prelude::*;
use std::{
    borrow::Borrow,
    hash::Hash,
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    time::Instant,
};

const MESSAGE: &[u8] =
    b"From: Joe <joe@example.com>\r\nTo: Ann <ann@example.net>\r\nSubject: Hello\r\n\tthere  you\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\n\r\nHi,  you \r\n\r\nbye\r\n";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    SigningKey::from_pkcs8(der.as_ref()).unwrap()
});

fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).unwrap()
}

fn domain() -> DomainName {
    DomainName::parse("example.com").unwrap()
}

fn answers(records: &[(&str, &str)]) -> Answers {
    let mut answers = Answers::new();
    for (name, text) in records {
        let question = Question::new(DomainName::parse(name).unwrap(), RecordType::Txt);
        answers.insert(question, Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))]));
    }
    answers
}

fn published() -> Answers {
    answers(&[("sel._domainkey.example.com", &KEY.public_key_record().unwrap())])
}

fn signed(message: &[u8]) -> Vec<u8> {
    [sign(message, &KEY, &domain(), "sel", now()).unwrap(), message.to_vec()].concat()
}

fn only(message: &[u8], answers: &Answers) -> SignatureOutcome {
    let mut outcomes = verify(message, answers, now()).unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[test]
fn what_is_signed_verifies_and_what_is_changed_does_not() {
    let message = signed(MESSAGE);
    let outcome = only(&message, &published());
    assert_eq!((outcome.result, outcome.key_bits), (DkimResult::Pass, Some(2048)), "{outcome:?}");
    assert_eq!(message, signed(MESSAGE));

    let text = String::from_utf8(message.clone()).unwrap();
    let relaxed =
        text.replace("Hi,  you ", "Hi, you").replace("Subject: Hello\r\n\tthere", "SUBJECT:Hello there");
    assert_eq!(only(relaxed.as_bytes(), &published()).result, DkimResult::Pass);
    for changed in [
        text.replace("bye", "buy"),
        text.replace("Hello", "Hullo"),
        // Oversigned fields cannot be added.
        text.replace("To: Ann", "Subject: More\r\nTo: Ann"),
        text.replace("To: Ann", "Reply-To: <x@evil.example>\r\nTo: Ann"),
    ] {
        assert_eq!(only(changed.as_bytes(), &published()).result, DkimResult::Fail);
    }
}

#[test]
fn line_ends_and_white_space_at_the_end_of_the_body_do_not_matter() {
    let bare: Vec<u8> = MESSAGE.iter().copied().filter(|byte| *byte != b'\r').collect();
    assert_eq!(
        sign(&bare, &KEY, &domain(), "sel", now()).unwrap(),
        sign(MESSAGE, &KEY, &domain(), "sel", now()).unwrap()
    );
    let trailing = signed(&[MESSAGE, b" \r\n\t \r\n\r\n"].concat());
    assert_eq!(only(&trailing, &published()).result, DkimResult::Pass);
}

#[test]
fn keys_that_are_missing_revoked_or_doubled() {
    let message = signed(MESSAGE);
    let name = "sel._domainkey.example.com";
    let question = Question::new(DomainName::parse(name).unwrap(), RecordType::Txt);
    assert_eq!(verify(&message, &Answers::new(), now()).unwrap_err().0, std::slice::from_ref(&question));
    let with = |answer: Answer| only(&message, &[(question.clone(), answer)].into_iter().collect());
    assert_eq!(with(Answer::NxDomain).result, DkimResult::PermError);
    assert_eq!(with(Answer::TempError("SERVFAIL".into())).result, DkimResult::TempError);
    let txt = |text: &str| RecordData::Txt(TxtData::from_text(text));
    let revoked = with(Answer::Records(vec![txt("v=DKIM1; p=")]));
    assert!(revoked.reason.unwrap().contains("revoked"));
    let twice = KEY.public_key_record().unwrap();
    assert_eq!(with(Answer::Records(vec![txt(&twice), txt(&twice)])).result, DkimResult::PermError);
    let testing = with(Answer::Records(vec![txt(&format!("{twice}; t=y"))]));
    assert!(testing.testing && testing.result == DkimResult::Pass);
}

#[test]
fn messages_without_one_from_are_not_signed() {
    let error = |message: &[u8]| sign(message, &KEY, &domain(), "sel", now()).unwrap_err();
    assert_eq!(error(b"Subject: x\r\n\r\n"), SignError::From(0));
    assert_eq!(error(b"From: a@b.c\r\nfrom: d@e.f\r\n\r\n"), SignError::From(2));
    assert_eq!(error(b" folded\r\nFrom: a@b.c\r\n\r\n"), SignError::BeginsWithWhiteSpace);
    assert!(matches!(sign(MESSAGE, &KEY, &domain(), "a b", now()).unwrap_err(), SignError::Selector(_)));
}

#[test]
fn signatures_that_cannot_be_accepted_name_their_reason() {
    let reason = |tags: &str| {
        let message = format!("DKIM-Signature: {tags}\r\nFrom: a@example.com\r\n\r\nx\r\n");
        let outcome = only(message.as_bytes(), &published());
        assert_eq!(outcome.result, DkimResult::PermError, "{outcome:?}");
        outcome.reason.unwrap()
    };
    let rest = "d=example.com; s=sel; bh=AAAA; b=AAAA";
    assert!(reason(&format!("v=1; a=rsa-sha1; h=from; {rest}")).contains("SHA-1"));
    assert!(reason(&format!("v=1; a=rsa-sha256; h=to; {rest}")).contains("From"));
    assert!(reason(&format!("v=1; a=rsa-sha256; h=from; i=@other.example; {rest}")).contains("identity"));
    assert!(reason(&format!("v=1; a=rsa-sha256; h=from; t=9; x=8; {rest}")).contains("expires"));
    assert!(reason(&format!("v=1; a=rsa-sha256; h=from; l=99; {rest}")).contains("shorter"));
    assert!(reason(&format!("a=rsa-sha256; h=from; {rest}")).contains("v="));
}

/// RFC 8463 appendix A.3.
const RFC_8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

#[test]
fn the_vectors_of_rfc_8463() {
    let answers = answers(&[
        (
            "brisbane._domainkey.football.example.com",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ),
        (
            "test._domainkey.football.example.com",
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
        ),
    ]);
    let outcomes = verify(RFC_8463.as_bytes(), &answers, now()).unwrap();
    let seen: Vec<_> = outcomes.iter().map(|o| (o.result, o.key_bits, o.reason.clone())).collect();
    assert_eq!(seen, [(DkimResult::Pass, Some(256), None), (DkimResult::Pass, Some(1024), None)]);
}

/// A cache that knows one key and forgets the rest, so that the oracle never asks the network.
struct OneKey(Arc<DomainKey>);

impl ResolverCache<Box<str>, Txt> for OneKey {
    fn get<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(Txt::DomainKey(self.0.clone()))
    }
    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

struct Nothing;

impl<K, V> ResolverCache<K, V> for Nothing {
    fn get<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: K, _: V, _: Instant) {}
}

/// Whether `mail-auth` lets the signature pass. It is polled once: with the key in the cache it never waits.
fn oracle(message: &[u8]) -> Result<(), String> {
    let record = KEY.public_key_record().unwrap();
    let cache = OneKey(Arc::new(DomainKey::parse(record.as_bytes()).unwrap()));
    let authenticator =
        MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default()).unwrap();
    let parsed = AuthenticatedMessage::parse(message).unwrap();
    let parameters: Parameters<'_, &AuthenticatedMessage<'_>, OneKey, Nothing, Nothing, Nothing, Nothing> =
        Parameters {
            params: &parsed,
            cache_txt: Some(&cache),
            cache_mx: None::<&Nothing>,
            cache_ptr: None,
            cache_ipv4: None,
            cache_ipv6: None,
        };
    let mut verifying = pin!(authenticator.verify_dkim(parameters));
    match verifying.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcomes) => match outcomes.first().map(|outcome| outcome.result().clone()) {
            Some(mail_auth::DkimResult::Pass) => Ok(()),
            other => Err(format!("{other:?}")),
        },
        Poll::Pending => Err("the oracle asked the network".to_owned()),
    }
}

#[test]
fn the_oracle_accepts_what_we_sign() {
    // White space in front of a colon and lines of white space at the end are left out: the oracle misjudges both.
    for body in ["", "x", "Hi,  you \r\n\r\nbye\r\n\r\n\r\n", " lead\r\n..\r\ntab\tend\t\r\n"] {
        let head = "From: \"J. Doe\" <j@example.com>\r\nTo: a@example.net,\r\n b@example.net\r\nSubject:  =?utf-8?q?=C3=A9?=\r\nX-Other: 1\r\n\r\n";
        let message = signed(format!("{head}{body}").as_bytes());
        assert_eq!(oracle(&message), Ok(()), "{body:?}");
        assert_eq!(only(&message, &published()).result, DkimResult::Pass);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_message_that_can_be_signed_verifies(
        subject in "[ -~\t]{0,40}", body in "[ a\t\r\n]{0,60}", extra in "[A-Za-z: \r\n]{0,20}",
    ) {
        let message = format!("{extra}\r\nFrom: a@example.com\r\nSubject: {subject}\r\n\r\n{body}");
        if let Ok(field) = sign(message.as_bytes(), &KEY, &domain(), "sel", now()) {
            let whole = [field, message.into_bytes()].concat();
            prop_assert_eq!(only(&whole, &published()).result, DkimResult::Pass);
        }
    }

    #[test]
    fn any_signature_field_is_judged_without_panic(value in "[vabhdscltxi=1; /:@.\r\n\tfromA-Z]{0,120}") {
        let message = format!("DKIM-Signature:{value}\r\nFrom: a@example.com\r\n\r\n");
        let _ = verify(message.as_bytes(), &published(), now());
    }
}

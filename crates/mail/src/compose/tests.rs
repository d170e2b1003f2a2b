use super::*;
use crate::message::summary;
use proptest::prelude::*;

fn minimal() -> Composition {
    Composition {
        from: Mailbox::parse("Jörg, Müller <joerg@example.com>").unwrap(),
        to: vec![Mailbox::parse("ann@example.net").unwrap()],
        cc: vec![],
        bcc: vec![Mailbox::parse("secret@example.org").unwrap()],
        reply_to: vec![],
        subject: "Grüße from a subject that is long enough to be folded over more than one line, really"
            .into(),
        text: Some("Hello\nthere".into()),
        html: None,
        attachments: vec![],
        headers: vec![],
        message_id: "<1@example.com>".into(),
        date: Timestamp::from_second(1_760_000_000).unwrap(),
    }
}

fn full() -> Composition {
    Composition {
        html: Some("<p>Grüße <img src=\"cid:logo@x\"></p>".into()),
        attachments: vec![
            Attachment {
                filename: "Übersicht \"1\".csv".into(),
                content_type: "text/csv; charset=utf-8".into(),
                content: b"a;b\nc;d\r\n".to_vec(),
                content_id: None,
            },
            Attachment {
                filename: "logo.png".into(),
                content_type: "image/png".into(),
                content: vec![0; 100],
                content_id: Some("logo@x".into()),
            },
        ],
        headers: vec![
            ("List-Unsubscribe".into(), "<https://example.com/u/1>, <mailto:u@example.com>".into()),
            ("X-Ünlucky".replace('Ü', "U"), "schön".into()),
        ],
        ..minimal()
    }
}

fn text(composition: &Composition) -> String {
    String::from_utf8(compose(composition).unwrap()).unwrap()
}

#[test]
fn a_message_reads_back_and_is_the_same_twice() {
    let raw = compose(&full()).unwrap();
    assert_eq!(raw, compose(&full()).unwrap());
    let summary = summary(&raw);
    assert_eq!(summary.from[0].name.as_deref(), Some("Jörg, Müller"));
    assert_eq!(summary.from[0].address.as_deref(), Some("joerg@example.com"));
    assert_eq!(summary.subject.as_deref(), Some(full().subject.as_str()));
    assert_eq!(summary.message_id.as_deref(), Some("1@example.com"));
    assert_eq!(summary.date, Some(full().date));
    assert_eq!(summary.text.unwrap().trim_end(), "Hello\r\nthere");
    assert_eq!(summary.html.unwrap().trim_end(), full().html.unwrap());
    let names: Vec<_> = summary
        .attachments
        .iter()
        .map(|a| (a.filename.as_deref(), a.content_type.as_str(), a.size))
        .collect();
    assert_eq!(names, [(Some("logo.png"), "image/png", 100), (Some("Übersicht \"1\".csv"), "text/csv", 9)]);
}

#[test]
fn lines_end_in_crlf_are_short_and_hide_the_bcc() {
    for composition in [minimal(), full()] {
        let text = text(&composition);
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
        assert!(text.lines().all(|line| line.len() <= 998));
        assert!(text.is_ascii());
        assert!(!text.contains("secret@example.org"));
        assert!(text.contains("Date: Thu, 9 Oct 2025 08:53:20 +0000\r\n"), "{text}");
        assert_eq!(text.matches("MIME-Version: 1.0\r\n").count(), 1);
    }
    let long = Composition { text: Some("x".repeat(5000)), ..minimal() };
    assert!(self::text(&long).lines().all(|line| line.len() <= 998));
}

#[test]
fn headers_that_inject_or_are_ours_are_refused_and_the_field_is_named() {
    use ComposeProblem::{ContentType, ControlCharacter, HeaderName, MessageId, OwnedHeader, TooLong};
    let refused = |composition: Composition| {
        let error = compose(&composition).unwrap_err();
        assert_eq!(error.to_string(), error.problem().to_string());
        (error.field().to_owned(), error.problem().clone())
    };
    let with = |name: &str, value: &str| {
        let (field, problem) =
            refused(Composition { headers: vec![(name.into(), value.into())], ..minimal() });
        assert_eq!(field, format!("headers.{name}"));
        problem
    };
    assert!(matches!(with("X-A", "b\r\nBcc: c@d.example"), ControlCharacter(_)));
    assert!(matches!(with("X-A", "b\0"), ControlCharacter(_)));
    assert!(matches!(with("X A", "b"), HeaderName(_)));
    assert!(matches!(with("X:", "b"), HeaderName(_)));
    assert!(matches!(with("", "b"), HeaderName(_)));
    assert!(matches!(with("dkim-signature", "b"), OwnedHeader(_)));
    assert!(matches!(with("X-A", &"b".repeat(1000)), TooLong(_)));
    let at = |field: &str, composition: Composition| {
        let (seen, problem) = refused(composition);
        assert_eq!(seen, field);
        problem
    };
    let subject = |subject: String| Composition { subject, ..minimal() };
    assert!(matches!(at("subject", subject("a\nb".into())), ControlCharacter(_)));
    assert!(matches!(at("subject", subject("b".repeat(1000))), TooLong(_)));
    let id = Composition { message_id: "<a b@c>".into(), ..minimal() };
    assert!(matches!(at("message_id", id), MessageId(_)));
    let mut eml = full();
    eml.attachments[0].content_type = "message/rfc822".into();
    assert!(matches!(at("attachments[0]", eml), ContentType(_)));
    let mut long = full();
    long.attachments[1].filename = "b".repeat(1000);
    assert!(matches!(at("attachments[1]", long), TooLong(_)));
    let name = |name: String| Mailbox { name: Some(name), ..minimal().from };
    let from = Composition { from: name("b".repeat(1000)), ..minimal() };
    assert!(matches!(at("from", from), TooLong(_)));
    let good = minimal().from;
    let to = Composition { to: vec![good.clone(), name("a\r\nb".into())], ..minimal() };
    assert!(matches!(at("to[1]", to), ControlCharacter(_)));
    let cc = Composition { cc: vec![name("a\r\nb".into())], ..minimal() };
    assert!(matches!(at("cc[0]", cc), ControlCharacter(_)));
    let reply = Composition { reply_to: vec![good.clone(), good, name("a\r\nb".into())], ..minimal() };
    assert!(matches!(at("reply_to[2]", reply), ControlCharacter(_)));
}

proptest! {
    #[test]
    fn texts_and_subjects_survive(subject in "[!-~é€][ -~é€]{0,100}[!-~é€]", body in "[ -~é€\n]{0,200}") {
        let raw = compose(&Composition { subject: subject.clone(), text: Some(body.clone()), ..minimal() }).unwrap();
        let summary = summary(&raw);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let read = summary.subject.unwrap_or_default();
        prop_assert_eq!(words(&read), words(&subject));
        let text = summary.text.unwrap_or_default().replace("\r\n", "\n");
        prop_assert_eq!(text.trim_end(), body.trim_end());
    }
}

//! Domain Connect templates of others: what becomes of them, and what is said about those that are wrong.

use diagnosis::{Expected, Profile, Variables, plan::from_template, profile::ProfileError};
use model::DomainName;
use std::{fmt::Write, fs, path::PathBuf};

fn text_of(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(name);
    fs::read_to_string(path).unwrap()
}

fn values() -> Variables {
    [
        ("secondary", "192.0.2.11"),
        ("proof", "abc%domain%"),
        ("key", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        ("selector", "s1"),
        ("account", "a77"),
        ("value", "\"quotes stay\""),
        ("sub", "sub"),
        ("number", "7"),
        ("priority", "15"),
        ("port", "5060"),
        ("ttl", "900"),
        ("service", "_sip"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Settings, notes and the plan at `shop.acme.test`, a line each.
fn described(name: &str, groups: &[&str]) -> String {
    let (profile, notes) = Profile::parse_with_notes(&text_of(name)).unwrap();
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let mut out =
        format!("{} by {}: {}\n{:?}\n", profile.name, profile.provider, profile.title, profile.settings);
    for note in notes {
        writeln!(out, "note: {note}").unwrap();
    }
    let profile = profile.with_groups(&groups).unwrap();
    let plan = from_template(&profile, &DomainName::parse("acme.test").unwrap(), "shop", &values()).unwrap();
    for record in &plan.records {
        let expected = match &record.expected {
            Expected::Exact { data } => format!("{} {data}", data.record_type()),
            other => format!("{other:?}"),
        };
        let required = if record.required { "required" } else { "optional" };
        writeln!(out, "{} {} {} {required}: {}", record.key, record.owner, record.ttl, expected).unwrap();
    }
    out
}

#[test]
fn templates_of_every_kind_become_plans() {
    for name in [
        "shop.website.json",
        "suite.mailbox.json",
        "letters.sending.json",
        "forms.texts.json",
        "zone.delegation.json",
        "numbers.variables.json",
        "apex.absolute.json",
    ] {
        insta::assert_snapshot!(name, described(name, &[]));
    }
    insta::assert_snapshot!("later.fields.json", described("later.fields.json", &["with-alias"]));
}

#[test]
fn groups_are_applied_alone() {
    let domain = DomainName::parse("acme.test").unwrap();
    let profile = Profile::parse(&text_of("suite.mailbox.json")).unwrap();
    assert_eq!(profile.groups(), ["verify", "mail", "clients"]);
    let verify = profile.clone().with_groups(&["verify".to_owned()]).unwrap();
    assert_eq!(from_template(&verify, &domain, "", &values()).unwrap().records.len(), 1);
    let error = profile.with_groups(&["Verify".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no record is in the group \"Verify\"; the template's groups are verify, mail, clients"
    );

    let alternatives = Profile::parse(&text_of("later.fields.json")).unwrap();
    let error = from_template(&alternatives, &domain, "", &values()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 16, column 5 (records[4]): nothing can stand beside an alias (CNAME), and another record is at this \
         name (records[3], line 15)"
    );
}

#[test]
fn missing_values_are_told_all_at_once() {
    let domain = DomainName::parse("acme.test").unwrap();
    let profile = Profile::parse(&text_of("letters.sending.json")).unwrap();
    assert_eq!(profile.variables().into_iter().collect::<Vec<_>>(), ["account", "key", "selector"]);
    let error = from_template(&profile, &domain, "news", &Variables::new()).unwrap_err();
    assert_eq!(error.to_string(), "no value for the variables %account%, %key%, %selector%");
    assert_eq!(from_template(&profile, &domain, "@", &values()), Err(ProfileError::HostRequired));
    let error = from_template(&profile, &domain, "a b", &values()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host \"a b\": \"a b\" has the character ' ', which a domain name cannot have"
    );
}

/// The error that a template with this record gets, the record standing alone on line 2.
fn record_error(record: &str) -> String {
    let json = format!("{{\"serviceId\": \"x\", \"records\": [\n  {record}\n]}}");
    let domain = DomainName::parse("acme.test").unwrap();
    match Profile::parse(&json) {
        Err(error) => error.to_string(),
        Ok(profile) => from_template(&profile, &domain, "", &values()).unwrap_err().to_string(),
    }
}

#[test]
fn a_wrong_record_is_told_with_its_place() {
    for (record, error) in [
        (
            r#"{"type": "CNAME", "host": "a"}"#,
            "line 2, column 3 (records[0].pointsTo): a CNAME record needs it",
        ),
        (r#"{"host": "a"}"#, "line 2, column 3 (records[0].type): a record needs it"),
        (
            r#"{"type": "CNAME", "pointsTo": "a.example"}"#,
            "line 2, column 3 (records[0].host): a record needs it",
        ),
        (
            r#"{"type": "WKS", "host": "a"}"#,
            "line 2, column 12 (records[0].type): the type \"WKS\" is not known; known are A, AAAA, CAA, CNAME, MX, NS, SPFM, SRV and TXT",
        ),
        (r#"{"type": 5}"#, "line 2, column 12 (records[0].type): it must be a text, not a number"),
        (r#""text""#, "line 2, column 3 (records[0]): it must be an object, not a text"),
        (
            r#"{"type": "TXT", "host": "a", "host": "b", "data": "x"}"#,
            "line 2, column 32 (records[0].host): it is there twice",
        ),
        (
            r#"{"type": "TXT", "host": "ä..b", "data": "x"}"#,
            "line 2, column 27 (records[0].host): \"ä..b\" has an empty label (two dots in a row, or a dot in front)",
        ),
        (
            r#"{"type": "TXT", "host": "a", "data": "50% off"}"#,
            "line 2, column 40 (records[0].data): \"50% off\" has a % without its partner",
        ),
        (
            r#"{"type": "A", "host": "a", "pointsTo": "2001:db8::1"}"#,
            "line 2, column 42 (records[0].pointsTo): \"2001:db8::1\" is not an IPv4 address",
        ),
        (
            r#"{"type": "A", "host": "a", "pointsTo": "%value%"}"#,
            "line 2, column 3 (records[0].pointsTo): \"\"quotes stay\"\" is not an IPv4 address",
        ),
        (
            r#"{"type": "CNAME", "host": "a", "pointsTo": "192.0.2.1"}"#,
            "line 2, column 46 (records[0].pointsTo): \"192.0.2.1\" is an IP address, not a domain name",
        ),
        (
            r#"{"type": "NS", "host": "a", "pointsTo": "@"}"#,
            "line 2, column 43 (records[0].pointsTo): \"@\" would delegate a name to itself",
        ),
        (
            r#"{"type": "MX", "host": "a", "pointsTo": "a.example", "priority": 65536}"#,
            "line 2, column 68 (records[0].priority): it must be a whole number from 0 to 65535",
        ),
        (
            r#"{"type": "MX", "host": "a", "pointsTo": "a.example", "priority": "%sub%"}"#,
            "line 2, column 3 (records[0].priority): \"sub\" is no whole number from 0 to 65535",
        ),
        (
            r#"{"type": "TXT", "host": "a", "data": "x", "ttl": -1}"#,
            "line 2, column 52 (records[0].ttl): it must be a whole number from 0 to 2147483647",
        ),
        (
            r#"{"type": "TXT", "host": "a", "data": "x", "txtConflictMatchingMode": "Prefix"}"#,
            "line 2, column 3 (records[0].txtConflictMatchingPrefix): txtConflictMatchingMode is Prefix, and there is none",
        ),
        (
            r#"{"type": "TXT", "host": "a", "data": "x", "essential": "Sometimes"}"#,
            "line 2, column 58 (records[0].essential): \"Sometimes\" is neither Always nor OnApply",
        ),
        (
            r#"{"type": "SPFM", "host": "@", "spfRules": "v=spf1 a -all"}"#,
            "line 2, column 45 (records[0].spfRules): \"v=spf1\" does not belong in it: it holds mechanisms only",
        ),
        (
            r#"{"type": "SPFM", "host": "@", "spfRules": "inlcude:a.example"}"#,
            "line 2, column 45 (records[0].spfRules): in \"inlcude:a.example\": \"inlcude\" is not a mechanism",
        ),
        (
            r#"{"type": "TXT", "host": "a", "data": "x", "new": 1, "crit": ["new"]}"#,
            "line 2, column 63 (records[0].crit): the template must not be used without it, and \"new\" is not known here",
        ),
        (
            r#"{"type": "CNAME", "host": "A", "pointsTo": "a.example"}, {"type": "TXT", "host": "a", "data": "x"}"#,
            "line 2, column 60 (records[1]): nothing can stand beside an alias (CNAME), and another record is at this name (records[0], line 2)",
        ),
        (
            r#"{"type": "CNAME", "host": "a", "pointsTo": "a.example"}, {"type": "TXT", "host": "a.%domain%.", "data": "x"}"#,
            "line 2, column 60 (records[1]): nothing can stand beside an alias (CNAME), and another record is at this name (records[0], line 2)",
        ),
        (
            r#"{"type": "NS", "host": "a", "pointsTo": "a.example"}, {"type": "TXT", "host": "b.a", "data": "x"}"#,
            "line 2, column 57 (records[1]): the name is delegated by another record, so nothing else can be at it or below it (records[0], line 2)",
        ),
        (r#"{"type": "REDIR302", "host": "a"}"#, "the template has no records that can be checked"),
    ] {
        assert_eq!(record_error(record), error, "{record}");
    }
}

#[test]
fn a_wrong_template_is_told_with_its_place() {
    for (json, error) in [
        ("", "the file is empty; a template is a JSON object"),
        ("{\n  nonsense", "line 2, column 3: key must be a string"),
        ("[]", "line 1, column 1 (template): it must be an object, not a list"),
        ("{\"records\": []}", "the template has no records that can be checked"),
        ("{\"serviceId\": \"x\"}", "line 1, column 1 (records): a template needs it"),
        ("{\"records\": {}}", "line 1, column 13 (records): it must be a list, not an object"),
        (
            "{\"records\": [{\"type\": \"TXT\", \"host\": \"\", \"data\": \"x\"}]}",
            "line 1, column 1 (serviceId): a template needs it",
        ),
        (
            "{\"templateSpecVersion\": 2,\n\"records\": []}",
            "line 1, column 25 (templateSpecVersion): only version 1 of the format is known here",
        ),
        (
            "{\"records\": [],\n \"x-countersign\": {\"dkimkeys\": 1}}",
            "line 2, column 20 (x-countersign.dkimkeys): no such field is known; known are optionalGroups, dkimKeys, keyVariables, explanations, certificateAuthority, delegated",
        ),
    ] {
        assert_eq!(Profile::parse(json).unwrap_err().to_string(), error, "{json}");
    }
}

#[test]
fn large_templates_are_refused_and_values_do_not_grow() {
    let large = " ".repeat(300_000);
    assert_eq!(
        Profile::parse(&large).unwrap_err().to_string(),
        "the file has 300000 octets, 262144 are allowed"
    );
    let record = r#"{"type": "TXT", "host": "a", "data": "x"},"#.repeat(201);
    let many = format!("{{\"serviceId\": \"x\", \"records\": [{}]}}", record.trim_end_matches(','));
    assert!(Profile::parse(&many).unwrap_err().to_string().contains("it has 201 records, 200 are allowed"));
    let data = "%value%".repeat(2_000);
    let json =
        format!(r#"{{"serviceId": "x", "records": [{{"type": "TXT", "host": "a", "data": "{data}"}}]}}"#);
    let domain = DomainName::parse("acme.test").unwrap();
    let error = from_template(&Profile::parse(&json).unwrap(), &domain, "", &values()).unwrap_err();
    assert!(error.to_string().contains("longer than 16384 octets"), "{error}");
}

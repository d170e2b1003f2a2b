//! Profiles as template files for DNS hosts: what a host makes of one is what we ask of the domain.

use diagnosis::{
    Plan, Profile, Variables,
    plan::{from_template, plan},
    profile::ServiceProvider,
};
use model::{DomainName, Purpose};
use proptest::prelude::*;

const PROVIDER: ServiceProvider<'_> = ServiceProvider {
    id: "example.net",
    name: "Example Mail",
    service_id: "sending",
    public_key_domain: "send.example.net",
    redirect_domain: "mail.example.net",
};

fn fixed() -> Variables {
    variables([("platform", "send.example.net"), ("dmarcrua", "dmarc@send.example.net")])
}

fn variables<const N: usize>(of: [(&str, &str); N]) -> Variables {
    of.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Purpose, name, TTL, type and value of a record.
type Told = (Purpose, String, u32, String, String);

/// Where each record is, and what it is; how it is put into words is not the template's.
fn records(plan: &Plan) -> Vec<Told> {
    let of = |record: &std::sync::Arc<diagnosis::PlannedRecord>| {
        let data = record.expected.data();
        let (kind, preference) = (data.record_type().to_string(), record.expected.preference());
        let value = format!("{preference:?} {}", record.expected.value());
        (record.purpose, record.owner.to_string(), record.ttl, kind, value)
    };
    plan.records.iter().map(of).collect()
}

/// What a DNS host makes of the exported file, and what we ask of the domain.
fn both(profile: &Profile, zone: &str, host: &str, values: &Variables) -> [Vec<Told>; 2] {
    let file = profile.to_template(&PROVIDER, &fixed());
    let (loaded, notes) = Profile::parse_with_notes(&file).unwrap_or_else(|error| panic!("{error}: {file}"));
    assert!(notes.is_empty(), "{notes:?}: {file}");
    let zone = DomainName::parse(zone).unwrap();
    let domain = if host.is_empty() { zone.clone() } else { zone.prepend(host).unwrap() };
    let of_host = from_template(&loaded, &zone, host, values).unwrap();
    let all: Variables = fixed().into_iter().chain(values.clone()).collect();
    [records(&of_host), records(&plan(profile, &domain, &all).unwrap())]
}

#[test]
fn what_differs_between_domains_is_all_that_a_link_says() {
    for profile in Profile::built_in() {
        // Of a delegated one nothing is for a DNS host to write but NS records, which its template does not have.
        if profile.delegated.is_some() {
            continue;
        }
        let file = profile.to_template(&PROVIDER, &fixed());
        let loaded = Profile::parse(&file).unwrap();
        let named: Vec<String> = loaded.variables().into_iter().collect();
        let expected: &[&str] = match profile.name.as_str() {
            "two-txt" => &["key1", "token1"],
            "contact-domain" => &["token1", "token2"],
            _ => &["token1", "token2", "token3"],
        };
        assert_eq!(named, expected, "{file}");
        assert_eq!(loaded.settings.sync_public_key_domain.as_deref(), Some("send.example.net"));
        assert_eq!((loaded.name.as_str(), loaded.provider.as_str()), ("sending", "example.net"));
        assert_eq!(loaded.groups(), profile.groups());
        assert!(!file.contains("x-countersign") && !file.contains("%platform%"), "{file}");
        assert!(!file.contains("platform: the platform zone"), "{file}");
        // What may go once it was applied may go still.
        let on_apply = |profile: &Profile| {
            profile.records.iter().map(|record| (record.host.clone(), record.on_apply)).collect::<Vec<_>>()
        };
        assert_eq!(on_apply(&loaded), on_apply(&profile));
    }
}

#[test]
fn an_operator_s_profile_means_the_same_to_a_dns_host() {
    let json = r#"{"serviceId": "own", "serviceName": "Own", "records": [
        {"type": "CNAME", "host": "%token1%._domainkey", "pointsTo": "%token1%.%domain%.keys.%platform%", "ttl": 300},
        {"type": "TXT", "host": "@", "data": "proof=%fqdn%", "ttl": "600", "txtConflictMatchingMode": "All"},
        {"type": "SRV", "name": "@", "service": "_submission", "protocol": "_tcp", "priority": 1, "weight": 2,
         "port": 587, "target": "smtp.%platform%", "ttl": 60},
        {"type": "MX", "host": "@", "pointsTo": "mx.%platform%", "priority": "%prio%", "ttl": 60},
        {"type": "CAA", "host": "@", "data": "0 issue \"ca.example\"", "ttl": 60},
        {"type": "AAAA", "host": "web.acme.test.", "pointsTo": "2001:db8::1", "ttl": 60},
        {"type": "NS", "host": "sub", "pointsTo": "ns.%platform%", "ttl": 60},
        {"type": "TXT", "host": "spf", "data": "v=spf1 exists:%{i}.%platform% -all", "ttl": 60}
    ]}"#;
    let profile = Profile::parse(json).unwrap();
    let values = variables([("token1", "t1"), ("prio", "7")]);
    let [of_host, ours] = both(&profile, "acme.test", "mail", &values);
    assert_eq!(of_host, ours);
    assert_eq!(ours.len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For every profile that comes with the program, wherever in its zone the domain is.
    #[test]
    fn a_host_that_applies_the_template_writes_what_we_ask_for(
        zone in "[a-z]{1,10}\\.(test|example)",
        host in "([a-z][a-z0-9]{0,10}(\\.[a-z]{1,5})?)?",
        tokens in proptest::collection::hash_set("[a-z2-7]{24}", 3),
        key in "[A-Za-z0-9+/]{40,400}",
    ) {
        let mut values = Variables::new();
        for (number, token) in (1..).zip(&tokens) {
            values.insert(format!("token{number}"), token.clone());
            values.insert(format!("key{number}"), key.clone());
        }
        for profile in Profile::built_in() {
            if profile.delegated.is_some() {
                continue;
            }
            let [of_host, ours] = both(&profile, &zone, &host, &values);
            prop_assert_eq!(of_host, ours, "{}", profile.name);
        }
    }
}

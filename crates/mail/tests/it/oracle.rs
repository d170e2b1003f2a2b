//! Our parsers beside those of `mail-auth`, on records where both follow the same standard.
//!
//! Where they differ on purpose is kept out: `mail-auth` reads DMARC by RFC 7489's drafts of the successor (a missing
//! `p=` is accepted, values that are not valid are errors), and passes over a DKIM version that is not the first tag.

use mail::{
    dkim::{KeyRecord, KeyState},
    dmarc::{AlignmentMode, Policy, PolicyRecord, PublicSuffix},
    spf::SpfRecord,
};
use mail_auth::{
    common::{parse::TxtRecordParser, verify::DomainKey},
    dmarc as oracle,
};
use proptest::{prelude::*, sample::select};

const RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn policy(policy: Policy) -> oracle::Policy {
    match policy {
        Policy::None => oracle::Policy::None,
        Policy::Quarantine => oracle::Policy::Quarantine,
        Policy::Reject => oracle::Policy::Reject,
    }
}

fn alignment(mode: AlignmentMode) -> oracle::Alignment {
    match mode {
        AlignmentMode::Relaxed => oracle::Alignment::Relaxed,
        AlignmentMode::Strict => oracle::Alignment::Strict,
    }
}

proptest! {
    #[test]
    fn valid_dmarc_records_are_read_alike(
        p in select(vec!["none", "quarantine", "reject", "Reject"]),
        tags in proptest::collection::btree_map(
            select(vec!["sp", "np", "adkim", "aspf", "psd", "t", "rua"]), 0_usize..3, 0..6,
        ),
        separator in select(vec![";", "; ", " ; "]),
    ) {
        let value = |tag: &str, choice: usize| match tag {
            "sp" | "np" => ["none", "quarantine", "reject"][choice],
            "adkim" | "aspf" => ["r", "s", "r"][choice],
            "psd" => ["y", "n", "u"][choice],
            "t" => ["y", "n", "y"][choice],
            _ => ["mailto:a@b.example", "mailto:a@b.example,mailto:c@d.example", "mailto:a@b.example"][choice],
        };
        let mut text = format!("v=DMARC1{separator}p={p}");
        for (tag, choice) in &tags {
            for part in [separator, tag, "=", value(tag, *choice)] {
                text.push_str(part);
            }
        }
        let ours = PolicyRecord::parse(&text).unwrap();
        let theirs = oracle::Dmarc::parse(text.as_bytes()).unwrap();
        let subdomain = ours.subdomain_policy.unwrap_or(ours.policy);
        prop_assert_eq!(policy(ours.policy), theirs.p, "{}", text);
        prop_assert_eq!(policy(subdomain), theirs.sp, "{}", text);
        prop_assert_eq!(policy(ours.nonexistent_policy.unwrap_or(subdomain)), theirs.np, "{}", text);
        prop_assert_eq!(alignment(ours.dkim_alignment), theirs.adkim, "{}", text);
        prop_assert_eq!(alignment(ours.spf_alignment), theirs.aspf, "{}", text);
        prop_assert_eq!(ours.testing, theirs.t, "{}", text);
        let suffix = match ours.public_suffix {
            PublicSuffix::Yes => oracle::Psd::Yes,
            PublicSuffix::No => oracle::Psd::No,
            PublicSuffix::Undeclared => oracle::Psd::Default,
        };
        prop_assert_eq!(suffix, theirs.psd, "{}", text);
        let uris: Vec<&str> = ours.aggregate_reports.iter().map(|report| report.uri.as_str()).collect();
        let theirs: Vec<String> = theirs.rua.iter().map(|uri| uri.uri().to_owned()).collect();
        let bare = |uri: &str| uri.strip_prefix("mailto:").unwrap_or(uri).to_owned();
        prop_assert_eq!(
            uris.into_iter().map(bare).collect::<Vec<_>>(),
            theirs.iter().map(|uri| bare(uri)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn keys_that_we_take_are_taken_by_others(
        version in select(vec!["", "v=DKIM1; ", "v=DKIM1;"]),
        kind in select(vec![("", RSA), ("k=rsa; ", RSA), ("k=ed25519; ", ED25519)]),
        between in select(vec!["", "t=y; ", "t=s; ", "h=sha256; ", "s=email; ", "s=*; ", "n=note; ", "x=1; "]),
        cut in 1_usize..40,
        fold in any::<bool>(),
    ) {
        let (key_type, key) = kind;
        let key = if fold { format!("{} {}", &key[..cut], &key[cut..]) } else { key.to_owned() };
        let text = format!("{version}{key_type}{between}p={key}");
        let ours = KeyRecord::parse(&text).unwrap();
        prop_assert!(DomainKey::parse(text.as_bytes()).is_ok(), "{}", text);
        let is_rsa = matches!(ours.key, KeyState::Rsa { bits: 1024, .. });
        prop_assert_eq!(is_rsa, key_type != "k=ed25519; ");
        prop_assert_eq!(ours.testing, between == "t=y; ");
    }

    #[test]
    fn damaged_keys_are_taken_by_neither(at in 0_usize..200, with in "[!#%&()*,]") {
        let damaged = format!("{}{with}{}", &RSA[..at], &RSA[at..]);
        let text = format!("v=DKIM1; k=rsa; p={damaged}");
        prop_assert!(KeyRecord::parse(&text).is_err());
        prop_assert!(DomainKey::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "(v=(DMARC1|DKIM1|spf1)[; ])?[ -~é\u{202e}\t]{0,120}") {
        let _ = (PolicyRecord::parse(&text), KeyRecord::parse(&text), SpfRecord::parse(&text));
    }
}

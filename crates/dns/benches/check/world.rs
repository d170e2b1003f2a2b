//! The domains of the bench, their records, their faults, and what must be found.

use base64::{Engine, prelude::BASE64_STANDARD};
use diagnosis::{Plan, Profile, Report, Variables};
use model::{DomainName, Severity, Verdict};
use std::fmt::Write;

/// SPF, bounce SPF and MX, three DKIM aliases, DMARC: all of them required.
const TEMPLATE: &str = r#"{
  "providerId": "bench", "providerName": "Bench", "serviceId": "bench", "serviceName": "Bench", "version": 1,
  "records": [
    {"type": "CNAME", "groupId": "dkim", "host": "%token1%._domainkey", "pointsTo": "%token1%.dkim.platform.test", "ttl": 3600},
    {"type": "CNAME", "groupId": "dkim", "host": "%token2%._domainkey", "pointsTo": "%token2%.dkim.platform.test", "ttl": 3600},
    {"type": "CNAME", "groupId": "dkim", "host": "%token3%._domainkey", "pointsTo": "%token3%.dkim.platform.test", "ttl": 3600},
    {"type": "SPFM", "groupId": "spf", "host": "@", "spfRules": "include:spf.platform.test"},
    {"type": "SPFM", "groupId": "return_path", "host": "bounce", "spfRules": "include:spf.platform.test"},
    {"type": "MX", "groupId": "return_path", "host": "bounce", "pointsTo": "feedback.platform.test", "priority": 10, "ttl": 3600},
    {"type": "TXT", "groupId": "dmarc", "host": "_dmarc", "data": "v=DMARC1; p=none", "ttl": 3600,
     "txtConflictMatchingMode": "Prefix", "txtConflictMatchingPrefix": "v=DMARC1"}
  ],
  "x-countersign": {
    "optionalGroups": [], "dkimKeys": 3,
    "keyVariables": {"%token1%._domainkey": "key1", "%token2%._domainkey": "key2", "%token3%._domainkey": "key3"}
  }
}"#;

pub fn profile() -> Profile {
    Profile::parse(TEMPLATE).unwrap()
}

pub fn name(number: usize) -> String {
    format!("d{number}.test")
}

pub const TOKENS: [char; 3] = ['a', 'b', 'c'];

/// Keys are of the right form and all different; nobody signs with them.
pub fn variables(number: usize) -> Variables {
    let keys = TOKENS.map(|letter| key(number * 4 + usize::from(letter as u8 - b'a')));
    variables_with(number, keys)
}

pub fn variables_with(number: usize, keys: [String; 3]) -> Variables {
    let mut variables = Variables::new();
    for (index, (letter, key)) in TOKENS.iter().zip(keys).enumerate() {
        variables.insert(format!("token{}", index + 1), format!("{letter}{number}"));
        variables.insert(format!("key{}", index + 1), key);
    }
    variables
}

pub fn plan(profile: &Profile, number: usize, variables: &Variables) -> Plan {
    diagnosis::plan::plan(profile, &DomainName::parse(&name(number)).unwrap(), variables).unwrap()
}

/// An RSA key of 2048 bits in form: a modulus out of a small generator in the frame that all such keys have.
pub fn key(seed: usize) -> String {
    let mut der = BASE64_STANDARD.decode("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA").unwrap();
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..32 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        der.extend_from_slice(&state.to_be_bytes());
    }
    let start = der.len() - 256;
    der[start] |= 0x80;
    der[start + 255] |= 1;
    der.extend_from_slice(&[2, 3, 1, 0, 1]);
    BASE64_STANDARD.encode(der)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    AliasMissing,
    AliasElsewhere,
    AliasInDoubledZone,
    AliasAsText,
    TargetWithZone,
    TargetMissing,
    KeyRevoked,
    KeyOfAnother,
    SpfTwice,
    SpfWithoutUs,
    SpfMissingAtBounce,
    MxElsewhere,
    DmarcMissing,
    DmarcTwice,
}

const FAULTS: [Fault; 14] = [
    Fault::AliasMissing,
    Fault::AliasElsewhere,
    Fault::AliasInDoubledZone,
    Fault::AliasAsText,
    Fault::TargetWithZone,
    Fault::TargetMissing,
    Fault::KeyRevoked,
    Fault::KeyOfAnother,
    Fault::SpfTwice,
    Fault::SpfWithoutUs,
    Fault::SpfMissingAtBounce,
    Fault::MxElsewhere,
    Fault::DmarcMissing,
    Fault::DmarcTwice,
];

impl Fault {
    /// One domain in ten has a fault, each kind in turn.
    pub fn of(number: usize) -> Option<Self> {
        (number % 10 == 3).then(|| FAULTS[number / 10 % FAULTS.len()])
    }

    fn code(self) -> &'static str {
        match self {
            Self::AliasMissing => "record_missing",
            Self::AliasElsewhere => "cname_wrong_target",
            Self::AliasInDoubledZone => "record_in_doubled_zone",
            Self::AliasAsText => "record_wrong_type",
            Self::TargetWithZone => "cname_target_zone_appended",
            Self::TargetMissing => "cname_target_missing",
            Self::KeyRevoked => "dkim_key_revoked",
            Self::KeyOfAnother => "dkim_key_mismatched",
            Self::SpfTwice => "spf_multiple_records",
            Self::SpfWithoutUs => "spf_mechanism_absent",
            Self::SpfMissingAtBounce => "spf_missing",
            Self::MxElsewhere => "mx_wrong",
            Self::DmarcMissing => "dmarc_missing",
            Self::DmarcTwice => "dmarc_multiple_records",
        }
    }
}

/// How right a report is.
#[derive(Debug, Default, Clone, Copy)]
pub struct Score {
    pub domains: usize,
    pub made: usize,
    pub found: usize,
    pub accused: usize,
}

impl Score {
    pub fn add(&mut self, number: usize, report: &Report) {
        self.domains += 1;
        if let Some(fault) = Fault::of(number) {
            self.made += 1;
            let is_found = report.findings.iter().any(|finding| finding.code() == fault.code());
            if is_found && report.verdict == Verdict::Fail {
                self.found += 1;
            } else {
                eprintln!("missed: {fault:?} of {}: {:?}", report.domain, codes(report));
            }
        } else {
            let is_warned = report.findings.iter().any(|finding| finding.severity >= Severity::Warning);
            if is_warned || report.verdict != Verdict::Pass {
                self.accused += 1;
                eprintln!("accused: {}: {:?} {:?}", report.domain, report.verdict, codes(report));
            }
        }
    }
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(diagnosis::Finding::code).collect()
}

const HEAD: &str = "$TTL 3600\n@ SOA ns1.platform.test. hostmaster.platform.test. 1 3600 600 86400 300\n\
    @ NS ns1.platform.test.\n@ NS ns2.platform.test.\n";

/// The zone of one sender domain.
pub fn zone(number: usize) -> String {
    let fault = Fault::of(number);
    let is = |which| fault == Some(which);
    let mut text = HEAD.to_owned();
    for (index, letter) in TOKENS.into_iter().enumerate() {
        let owner = format!("{letter}{number}._domainkey");
        let target = format!("{letter}{number}.dkim.platform.test");
        let line = match fault.filter(|_| index == 1) {
            Some(Fault::AliasMissing) => continue,
            Some(Fault::AliasElsewhere) => format!("{owner} CNAME other.dkim.platform.test."),
            Some(Fault::AliasInDoubledZone) => {
                format!("{owner}.{}.{}. CNAME {target}.", name(number), name(number))
            }
            Some(Fault::AliasAsText) => format!("{owner} TXT \"{target}\""),
            Some(Fault::TargetWithZone) => format!("{owner} CNAME {target}.{}.", name(number)),
            _ => format!("{owner} CNAME {target}."),
        };
        let _ = writeln!(text, "{line}");
    }
    let spf = "TXT \"v=spf1 include:spf.platform.test ~all\"";
    if is(Fault::SpfWithoutUs) {
        text.push_str("@ TXT \"v=spf1 ip4:198.51.100.7 ~all\"\n");
    } else {
        let _ = writeln!(text, "@ {spf}");
    }
    if is(Fault::SpfTwice) {
        text.push_str("@ TXT \"v=spf1 ip4:198.51.100.7 ~all\"\n");
    }
    if !is(Fault::SpfMissingAtBounce) {
        let _ = writeln!(text, "bounce {spf}");
    }
    let exchange = if is(Fault::MxElsewhere) { "mail.elsewhere.test." } else { "feedback.platform.test." };
    let _ = writeln!(text, "bounce MX 10 {exchange}");
    if !is(Fault::DmarcMissing) {
        text.push_str("_dmarc TXT \"v=DMARC1; p=none\"\n");
    }
    if is(Fault::DmarcTwice) {
        text.push_str("_dmarc TXT \"v=DMARC1; p=reject\"\n");
    }
    text
}

/// The zone of the platform, with the keys of all domains.
pub fn platform_zone(domains: usize) -> String {
    let mut text = format!(
        "{HEAD}ns1 A 127.0.0.1\nns2 A 127.0.0.2\nspf TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n\
         feedback A 192.0.2.25\nother.dkim TXT \"nothing\"\n"
    );
    for number in 0..domains {
        let fault = Fault::of(number);
        for (index, letter) in TOKENS.into_iter().enumerate() {
            let mut key = key(number * 4 + index);
            match fault.filter(|_| index == 2) {
                Some(Fault::TargetMissing) => continue,
                Some(Fault::KeyRevoked) => key.clear(),
                Some(Fault::KeyOfAnother) => key = self::key(number * 4 + 3),
                _ => {}
            }
            let (first, second) = key.split_at(key.len().min(230));
            let _ = writeln!(text, "{letter}{number}.dkim TXT \"v=DKIM1; k=rsa; p={first}\" \"{second}\"");
        }
    }
    text
}

/// The zone of everything else: there is nothing.
pub const ROOT_ZONE: &str = "$TTL 3600\n@ SOA ns1.platform.test. hostmaster.platform.test. 1 3600 600 86400 300\n\
    @ NS ns1.platform.test.\n";

use super::*;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn exported(key: &str, owner: &str, data: RecordData) -> ExportRecord {
    ExportRecord {
        key: key.to_owned(),
        purpose: key.to_uppercase(),
        required: key != "dmarc",
        zone: name("acme.test"),
        record: Record { owner: name(owner), ttl: 3600, data },
        replaces: Vec::new(),
        status: "missing".to_owned(),
    }
}

/// One of each kind, and texts that try to leave their place.
fn records() -> Vec<ExportRecord> {
    let long = format!("v=DKIM1; k=rsa; p={}", "A".repeat(392));
    let mut spf = exported("spf", "mail.acme.test", text("v=spf1 a include:spf.send.test -all"));
    spf.replaces = vec!["v=spf1 a -all\n# injected".to_owned()];
    vec![
        exported("dkim-1", "t1._domainkey.mail.acme.test", RecordData::Cname(name("t1.dkim.send.test"))),
        exported("dkim-2", "t2._domainkey.mail.acme.test", text(&long)),
        spf,
        exported(
            "return_path-1",
            "bounce.mail.acme.test",
            RecordData::Mx { preference: 10, exchange: name("fb.send.test") },
        ),
        exported(
            "return_path-2",
            "bounce.mail.acme.test",
            RecordData::Mx { preference: 20, exchange: name("fc.send.test") },
        ),
        exported("dmarc", "_dmarc.acme.test", text("v=DMARC1; p=none; rua=mailto:d@send.test")),
        exported("nasty", "acme.test", text("${x} %{y} \"q\" back\\slash; é\u{7}")),
        exported("track", "track.acme.test", RecordData::A([192, 0, 2, 1].into())),
        exported("caa", "track.acme.test", model::Caa::parse("0 issue \"ca.example\"").unwrap().to_data()),
    ]
}

fn text(value: &str) -> RecordData {
    RecordData::Txt(TxtData::from_text(value))
}

#[test]
fn a_zone_file_has_every_record_in_full_and_no_line_that_a_stranger_wrote() {
    let file = zone_file(&records());
    let lines: Vec<&str> = file.lines().filter(|line| !line.starts_with(';')).collect();
    assert_eq!(lines.len(), records().len(), "{file}");
    assert_eq!(lines[0], "t1._domainkey.mail.acme.test.\t3600\tIN\tCNAME\tt1.dkim.send.test.");
    assert_eq!(lines[1].matches('"').count(), 4, "{}", lines[1]);
    assert_eq!(lines[3], "bounce.mail.acme.test.\t3600\tIN\tMX\t10 fb.send.test.");
    assert_eq!(lines[6], "acme.test.\t3600\tIN\tTXT\t\"${x} %{y} \\\"q\\\" back\\\\slash; \\195\\169\\007\"");
    assert!(file.contains("; takes the place of: v=spf1 a -all # injected\n"), "{file}");
}

#[test]
fn terraform_begins_no_template_and_merges_sets_only_where_they_are_one() {
    let cloudflare = terraform_cloudflare(&records());
    assert_eq!(cloudflare.matches("resource \"cloudflare_dns_record\"").count(), records().len());
    assert!(cloudflare.contains(r#"content  = "\"v=spf1 a include:spf.send.test -all\"""#), "{cloudflare}");
    assert!(
        cloudflare.contains(r#""\"$${x} %%{y} \\\"q\\\" back\\\\slash; \\195\\169\\007\"""#),
        "{cloudflare}"
    );
    assert!(!cloudflare.contains("\n# injected"), "{cloudflare}");
    let route53 = terraform_route53(&records());
    assert_eq!(route53.matches("resource \"aws_route53_record\"").count(), records().len() - 1);
    assert!(route53.contains(r#"records = ["10 fb.send.test.", "20 fc.send.test."]"#), "{route53}");
    assert!(route53.contains(&format!("{}\\\"\\\"AAA", "A".repeat(40))), "{route53}");
    assert!(route53.contains(r"\\303\\251\\007"), "{route53}");
}

#[test]
fn cloudformation_has_a_group_and_a_parameter_for_each_zone() {
    let mut all = records();
    let mut other = exported("dkim-9", "x.other.test", text("v=DKIM1; p="));
    other.zone = name("other.test");
    all.push(other);
    let template: serde_json::Value = serde_json::from_str(&cloudformation(&all)).unwrap();
    assert_eq!(template["Parameters"].as_object().unwrap().len(), 2);
    let sets = template["Resources"]["Records"]["Properties"]["RecordSets"].as_array().unwrap();
    assert_eq!(sets.len(), records().len() - 1);
    assert_eq!(
        template["Resources"]["Records2"]["Properties"]["RecordSets"][0]["ResourceRecords"][0],
        "\"v=DKIM1; p=\""
    );
    let refused = octodns(&all).unwrap_err();
    assert_eq!(refused, ExportError::SeveralZones("acme.test, other.test".to_owned()));
}

#[test]
fn octodns_and_dnscontrol_name_hosts_within_the_zone() {
    let yaml = octodns(&records()).unwrap();
    assert!(
        yaml.contains(
            "\"t1._domainkey.mail\":\n  ttl: 3600\n  type: CNAME\n  value: \"t1.dkim.send.test.\"\n"
        ),
        "{yaml}"
    );
    assert!(yaml.contains("value: \"v=DMARC1\\\\; p=none\\\\; rua=mailto:d@send.test\""), "{yaml}");
    assert!(yaml.contains("- exchange: \"fb.send.test.\"\n    preference: 10\n"), "{yaml}");
    assert!(yaml.contains("\"track\":\n  - ttl: 3600\n    type: A\n"), "{yaml}");
    let numbered: Vec<_> = ["t10", "t2", "t", "10a", "9z"]
        .map(|host| exported(host, &format!("{host}.acme.test"), text("x")))
        .into();
    let yaml = octodns(&numbered).unwrap();
    let hosts: Vec<&str> = yaml.lines().filter_map(|line| line.strip_suffix(':')).collect();
    assert_eq!(hosts, ["\"9z\"", "\"10a\"", "\"t\"", "\"t2\"", "\"t10\""]);
    let script = dnscontrol(&records()).unwrap();
    assert!(script.starts_with("D_EXTEND(\"acme.test\",\n  // DKIM-1\n  CNAME(\"t1._domainkey.mail\", \"t1.dkim.send.test.\", TTL(3600)),\n"), "{script}");
    assert!(script.ends_with("CAA(\"track\", \"issue\", \"ca.example\", TTL(3600))\n);\n"), "{script}");
    let unknown = exported("x", "acme.test", RecordData::Other { code: 64, octets: vec![1, 2] });
    let refused = ExportError::Type { tool: "DNSControl", record_type: RecordType::Other(64) };
    assert_eq!(dnscontrol(std::slice::from_ref(&unknown)).unwrap_err(), refused);
    assert!(zone_file(&[unknown]).contains("\tTYPE64\t\\# 2 0102\n"));
}

#[test]
fn csv_fields_survive_spreadsheets() {
    assert_eq!(csv::field("a,b"), "\"a,b\"");
    assert_eq!(csv::field("say \"x\""), "\"say \"\"x\"\"\"");
    assert_eq!(csv::field("=1+1"), "'=1+1");
    assert_eq!(csv::field("@"), "@");
    assert_eq!(csv::field("v=spf1 -all"), "v=spf1 -all");
    let file = csv(&records());
    assert_eq!(file.lines().count(), records().len() + 1);
    assert!(
        file.contains("MX,bounce.mail.acme.test,bounce.mail,acme.test,fb.send.test,10,3600,true,"),
        "{file}"
    );
}

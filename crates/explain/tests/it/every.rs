//! Every defect, with every remedy, at every DNS host: nothing empty, nothing unfilled.

use crate::samples::{defects, finding, n, now, remedies, report};
use diagnosis::{Defect, Remedy};
use explain::{
    Place, catalogue, hosts,
    paste::Step,
    render::{self, RenderOptions},
    title,
};
use model::{RecordStatus, RecordType, Severity, Verdict};

fn whole(text: &str, what: &str) {
    assert!(!text.trim().is_empty(), "{what}: empty");
    assert!(!text.contains(['{', '}']), "{what}: {text}");
    assert!(!text.contains("  ") && !text.contains(" ;") && !text.contains(": ;"), "{what}: {text}");
    assert!(!text.ends_with(": ") && !text.contains("()"), "{what}: {text}");
    assert!(!text.to_lowercase().contains("simply"), "{what}: {text}");
}

#[test]
fn every_code_has_a_sample_a_title_and_a_page() {
    let codes: Vec<&str> = defects().iter().map(Defect::code).collect();
    assert_eq!(codes, Defect::CODES);
    assert_eq!(catalogue::pages().map(|page| page.code).collect::<Vec<_>>(), Defect::CODES);
    for defect in defects() {
        let code = defect.code();
        let finding = finding(defect, diagnosis::Remedy::Nothing, Severity::Error, None);
        let title = title(&finding);
        whole(&title, code);
        assert!(title.len() < 200 && !title.ends_with('.') && title != code, "{title}");
        let page = catalogue::page(code).unwrap();
        for text in [page.title, page.what, page.why].iter().chain(page.how) {
            whole(text, code);
        }
        assert!(page.markdown().starts_with(&format!("# {}\n\nCode: `{code}`\n", page.title)));
    }
    assert!(catalogue::page("no_such_code").is_none());
}

#[test]
fn every_host_can_mend_everything() {
    let report = report(Verdict::Fail, RecordStatus::Missing, &[]);
    let zone = n("acme.test");
    assert!(hosts::all().len() > 20);
    let (defects, remedies) = (defects(), remedies());
    for (number, host) in hosts::all().iter().enumerate() {
        for (zone, record) in [(Some(&zone), report.records.get(1)), (None, None)] {
            let place = Place { host, zone, record, now: now() };
            for (index, defect) in defects.iter().enumerate() {
                // Every defect and every remedy at every host; all pairs of them at some.
                let all = number % 9 == 0;
                let few = remedies.iter().skip(index % remedies.len()).take(1);
                let chosen: Vec<_> = if all { remedies.iter().collect() } else { few.collect() };
                for remedy in chosen.into_iter().cloned() {
                    let what = format!("{}, {}, {remedy:?}", host.id, defect.code());
                    let finding = finding(defect.clone(), remedy, Severity::Error, None);
                    let guide = catalogue::guide(&finding, &place);
                    assert!(!guide.is_empty(), "{what}");
                    for step in &guide {
                        whole(&step.to_string(), &what);
                        if let Step::Record(paste) = step {
                            assert!(paste.ttl >= host.ttl_min, "{what}");
                            assert!(
                                paste
                                    .fields()
                                    .iter()
                                    .all(|(label, text)| !label.is_empty() && !text.is_empty())
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_field_of_every_host_names_the_record_once() {
    let zone = n("acme.test");
    for host in hosts::all() {
        let place = Place { host, zone: Some(&zone), record: None, now: now() };
        for remedy in remedies() {
            let finding = finding(defects().remove(1), remedy, Severity::Error, None);
            for step in catalogue::guide(&finding, &place) {
                let Step::Record(paste) = step else { continue };
                let full = match host.host_field {
                    hosts::HostField::Full => paste.host.trim_end_matches('.').to_owned(),
                    _ if matches!(paste.host.as_str(), "" | "@") => zone.to_string(),
                    _ => format!("{}.{zone}", paste.host),
                };
                assert_eq!(full, paste.name.as_str(), "{}", host.id);
            }
        }
    }
}

#[test]
fn nothing_to_paste_holds_a_placeholder() {
    let zone = n("acme.test");
    let record_type = RecordType::Txt;
    let long = format!("v=DKIM1; k=rsa; p={}", "A".repeat(5_000));
    for host in hosts::all() {
        let place = Place { host, zone: Some(&zone), record: None, now: now() };
        for value in ["v=DKIM1; k=rsa; p=…", "v=spf1 … ~all", &long] {
            let (name, value) = (n("s1._domainkey.acme.test"), value.to_owned());
            let (to, current) = (name.clone(), vec!["old".to_owned()]);
            let replace = |current| Remedy::Replace {
                name: name.clone(),
                record_type,
                current,
                value: value.clone(),
                preference: None,
            };
            for remedy in [
                Remedy::Add { name: name.clone(), record_type, value: value.clone(), preference: None },
                replace(Vec::new()),
                replace(current.clone()),
                replace(vec!["a".into(), "b".into()]),
                Remedy::Move {
                    from: n("s1.acme.test"),
                    to,
                    record_type,
                    value: value.clone(),
                    preference: None,
                },
            ] {
                for defect in defects() {
                    let finding = finding(defect, remedy.clone(), Severity::Error, None);
                    for step in catalogue::guide(&finding, &place) {
                        let what = format!("{}, {}, {step}", host.id, finding.code());
                        match &step {
                            Step::Record(paste) => assert!(!paste.value.contains('…'), "{what}"),
                            said => assert!(!said.to_string().contains("p=…;"), "{what}"),
                        }
                    }
                }
            }
        }
    }
}

/// A record of each type that a plan can hold, at a name below the zone and at its apex.
fn records() -> Vec<Remedy> {
    let long = format!("v=DKIM1; k=rsa; p={}", "A".repeat(392));
    let values = [
        (RecordType::A, "192.0.2.1".to_owned(), None),
        (RecordType::Aaaa, "2001:db8::1".to_owned(), None),
        (RecordType::Cname, "tok1.dkim.send.example".to_owned(), None),
        (RecordType::Mx, "feedback.send.example".to_owned(), Some(10)),
        (RecordType::Ns, "ns1.send.example".to_owned(), None),
        (RecordType::Txt, "v=spf1 include:spf.send.example ~all".to_owned(), None),
        (RecordType::Txt, long, None),
    ];
    let mut records = Vec::new();
    for (record_type, value, preference) in values {
        for name in [n("a.mail.acme.test"), n("acme.test")] {
            let (value, current) = (value.clone(), vec!["old".to_owned()]);
            let name_again = name.clone();
            records.push(Remedy::Add { name, record_type, value: value.clone(), preference });
            records.push(Remedy::Replace { name: name_again, record_type, current, value, preference });
        }
    }
    records
}

#[test]
fn every_host_guides_through_every_type_of_record() {
    let zone = n("acme.test");
    for host in hosts::all() {
        let place = Place { host, zone: Some(&zone), record: None, now: now() };
        for remedy in records() {
            let what = format!("{}, {remedy:?}", host.id);
            let finding = finding(defects().remove(1), remedy, Severity::Error, None);
            let guide = catalogue::guide(&finding, &place);
            for step in &guide {
                whole(&step.to_string(), &what);
            }
            let is_said = |step: &Step| !matches!(step, Step::Record(_));
            let says = |step: &Step, text: &str| is_said(step) && step.to_string().contains(text);
            assert!(says(&guide[0], "acme.test"), "{what}: where to go comes first");
            assert!(matches!(guide[1], Step::Record(_)), "{what}: then what to enter");
            assert!(guide.iter().any(|step| says(step, "Save")), "{what}: and how to finish");
            let Step::Record(paste) = &guide[1] else { continue };
            let proxy = guide.iter().any(|step| says(step, "Proxy status"));
            assert_eq!(
                proxy,
                host.id == "cloudflare" && paste.record_type == RecordType::Cname,
                "{what}: a proxy is spoken of where there is one"
            );
            assert_eq!(paste.value.starts_with('"'), host.quotes && paste.record_type == RecordType::Txt);
        }
    }
}

#[test]
fn of_several_hosts_each_is_guided_through() {
    for (servers, names) in [
        (&["ns-cloud-a1.googledomains.com"][..], &["Google Cloud DNS: ", "Squarespace Domains: "][..]),
        (&["dns1.p03.nsone.net"], &["Netlify: ", "NS1: ", "Squarespace Domains: "]),
        (&["ns1.hover.com", "ada.ns.cloudflare.com"], &["Cloudflare: ", "Hover: "]),
    ] {
        let report = report(Verdict::Fail, RecordStatus::Missing, servers);
        for (index, defect) in defects().into_iter().enumerate() {
            let all: Vec<_> = remedies().into_iter().chain(records()).collect();
            // Every defect and every remedy, and all pairs for the first.
            let chosen: Vec<_> = match index {
                0 => all,
                _ => all.iter().cycle().skip(index).take(2).cloned().collect(),
            };
            for remedy in chosen {
                let what = format!("{servers:?}, {}, {remedy:?}", defect.code());
                let finding = finding(defect.clone(), remedy.clone(), Severity::Error, Some("dkim-2"));
                let guide = explain::guide(&finding, &report, None, now());
                assert!(!guide.is_empty(), "{what}");
                for step in &guide {
                    whole(&step.to_string(), &what);
                }
                if matches!(remedy, Remedy::Add { .. }) {
                    let said: Vec<String> = guide.iter().map(ToString::to_string).collect();
                    for name in names {
                        assert!(said.iter().any(|text| text.starts_with(name)), "{what}: {said:#?}");
                    }
                    let blocks = guide.iter().filter(|step| matches!(step, Step::Record(_))).count();
                    assert_eq!(blocks, 1, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_record_in_another_zone_is_not_looked_for_at_the_host_of_the_domain() {
    let mut report = report(Verdict::Fail, RecordStatus::Missing, &["ada.ns.cloudflare.com"]);
    report.records[1].zone = Some(n("_domainkey.mail.acme.test"));
    let add = remedies().into_iter().find(|remedy| matches!(remedy, Remedy::Add { .. })).unwrap();
    let finding = finding(defects().remove(1), add, Severity::Error, Some("dkim-2"));
    let said =
        explain::guide(&finding, &report, None, now()).iter().map(ToString::to_string).collect::<String>();
    assert!(said.starts_with("At your DNS host, ") && !said.contains("Cloudflare"), "{said}");
    assert!(said.contains("_domainkey.mail.acme.test"), "{said}");
}

/// A report with one finding for a host of these name servers.
fn report_of(defect: Defect, remedy: Remedy, host: &hosts::Host) -> diagnosis::Report {
    let servers: Vec<String> =
        host.name_servers.iter().take(1).map(|pattern| pattern.replace(['*', '?'], "1")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut report = report(Verdict::Fail, RecordStatus::Verified, &servers);
    let finding = finding(defect, remedy, Severity::Error, Some("dkim-2"));
    crate::samples::set(&mut report, "dkim-2", RecordStatus::Failed, finding);
    report
}

/// What stands for something that was not filled in, in each format.
const EMPTY_IN_HTML: [&str; 9] = [
    "<p></p>",
    "<li></li>",
    "<td></td>",
    "<th></th>",
    "<dd></dd>",
    "<dt></dt>",
    "<code></code>",
    "<pre></pre>",
    "<h3></h3>",
];

fn has_no_empty_slot(text: &str, markdown: &str, html: &str, what: &str) {
    for line in text.lines().map(str::trim_start) {
        let mut words = line.split("  ").filter(|part| !part.is_empty());
        let label = words.next().unwrap_or_default();
        let is_field = ["Type", "Host", "Name", "Value", "TTL", "Target", "Content"].contains(&label);
        assert!(!is_field || words.next().is_some(), "{what}: {label} is empty:\n{text}");
    }
    let fenced: Vec<&str> = markdown.split("```").skip(1).step_by(2).collect();
    assert!(fenced.iter().all(|block| !block.trim().is_empty()), "{what}: {markdown}");
    assert!(
        markdown.replace("```", "").find("``").is_none() && !markdown.contains("****"),
        "{what}: {markdown}"
    );
    for line in markdown.lines() {
        assert!(!matches!(line.trim(), "-" | "#" | "##" | "###" | "1."), "{what}: {markdown}");
    }
    for empty in EMPTY_IN_HTML {
        assert!(!html.contains(empty), "{what}: {empty}: {html}");
    }
    for (format, shown) in [("markdown", markdown), ("html", html)] {
        assert!(!shown.contains(['{', '}']), "{what}: {format}: {shown}");
    }
}

#[test]
fn every_finding_is_rendered_for_every_host_in_every_format() {
    let remedies = remedies();
    for host in hosts::all() {
        every_finding_is_rendered_for(host, &remedies, None);
    }
}

/// A host that no file of the repository is about.
const NEW_HOST: &str = r#"
id = "a-new-host"
name = "A New Host"
name_servers = ["*.a-new-host.example"]
where = "Zones"
host_field = "full"
apex = ""
quotes = true
final_dot = true
proxied = false
domain_connect = false
ttl_default = 1800
ttl_min = 600
delay_min = 0
delay_usual = 60
delay_max = 300
last_verified = ""
quirks = ["Saving takes two clicks."]

[labels]
host = "Owner"
"#;

#[test]
fn a_new_host_is_one_file_and_nothing_else() {
    let host = hosts::Host::parse("a-new-host", NEW_HOST).unwrap();
    let remedies = remedies();
    every_finding_is_rendered_for(&host, &remedies, Some(&host));
    let place = Place { host: &host, zone: Some(&n("acme.test")), record: None, now: now() };
    let add = remedies.iter().find(|remedy| matches!(remedy, Remedy::Add { .. })).unwrap();
    let finding = finding(defects().remove(0), add.clone(), Severity::Error, None);
    let steps: Vec<String> = catalogue::guide(&finding, &place).iter().map(ToString::to_string).collect();
    let steps = steps.join("\n");
    for of_the_file in ["A New Host", "Zones", "Owner"] {
        assert!(steps.contains(of_the_file), "{of_the_file}: {steps}");
    }
    // What a file must not leave out is told with its place.
    let without = NEW_HOST.replace("where = \"Zones\"\n", "");
    let error = hosts::Host::parse("a-new-host", &without).unwrap_err().to_string();
    assert!(error.starts_with("hosts/a-new-host.toml, line ") && error.contains("where"), "{error}");
    // The files of the folder are all that is known: nothing lists them a second time.
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts")).unwrap();
    let files =
        folder.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml"));
    assert_eq!(files.count(), hosts::all().len());
}

fn every_finding_is_rendered_for(host: &hosts::Host, remedies: &[Remedy], given: Option<&hosts::Host>) {
    for (index, defect) in defects().into_iter().enumerate() {
        let what = format!("{}, {}", host.id, defect.code());
        let report = report_of(defect, remedies[index % remedies.len()].clone(), host);
        let verbose = index % 2 == 0;
        let options = RenderOptions { width: 80, verbose, host: given, ..RenderOptions::new(now()) };
        let text = render::text(&report, &options);
        for line in text.lines() {
            let is_block = line.starts_with("       ");
            let words = line.split_whitespace().filter(|word| *word != "-").count();
            assert!(line.chars().count() <= 80 || is_block || words == 1, "{what}: {line}");
            assert!(line.trim_end() == line && !line.contains(['{', '}']), "{what}: {line}");
        }
        assert!(!text.contains("\n\n\n") && text.lines().count() < 80, "{what}:\n{text}");
        let markdown = render::markdown(&report, &options);
        assert!(
            markdown.matches("```").count().is_multiple_of(2) && !markdown.contains("\n\n\n"),
            "{what}: {markdown}"
        );
        let html = render::html_fragment(&report, &options);
        for tag in ["section", "ol", "ul", "li", "dl", "table", "details", "p"] {
            let open = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{what}: {tag}: {html}");
        }
        has_no_empty_slot(&text, &markdown, &html, &what);
        let json = render::json(&report, now());
        assert!(json["findings"][0]["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{what}");
    }
}

/// Words of standards and zone files that a person with a panel does not have to know. In parentheses they may stand
/// behind words that say the same: "it found no answer (SERVFAIL)".
const JARGON: &[&str] = &[
    "permerror",
    "temperror",
    "PermError",
    "TempError",
    "NODATA",
    "NXDOMAIN",
    "SERVFAIL",
    "REFUSED",
    "FORMERR",
    "NOTIMP",
    "rcode",
    "RCODE",
    "RRset",
    "RRSIG",
    "DNSKEY",
    "NSEC",
    "SOA",
    "EDNS",
    "rdata",
    "RDATA",
    "FQDN",
    "apex",
    "owner name",
    "glue",
    "lame",
    "cut-off",
    "authoritative",
    "resolver cache",
    "A-label",
    "U-label",
    "bailiwick",
    "void look-up",
    "qualifier",
    "mechanism",
    "non-terminal",
    "public suffix list",
    "organizational domain",
    "RFC5321",
    "RFC5322",
    "MAIL FROM",
    "HELO",
    "ADSP",
    "SPKI",
    "PKCS",
    "base64",
];

/// The text without what stands in parentheses.
fn outside_of_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn no_jargon_is_left_unexplained() {
    let place = Place { host: hosts::generic(), zone: None, record: None, now: now() };
    let mut problems = Vec::new();
    for defect in defects() {
        let code = defect.code();
        let page = catalogue::page(code).unwrap();
        let mut texts: Vec<String> =
            [page.title, page.what, page.why].iter().chain(page.how).map(|text| (*text).to_owned()).collect();
        // The remedy that findings of the kind mostly have is not known here: each is tried.
        for remedy in remedies() {
            let finding = finding(defect.clone(), remedy, Severity::Error, None);
            texts.push(title(&finding));
            texts.extend(explain::steps(&finding, &place));
        }
        for status in [RecordStatus::Missing, RecordStatus::Failed, RecordStatus::Unknown] {
            for verdict in [Verdict::Fail, Verdict::Unknown, Verdict::Pass] {
                let mut report = report(verdict, status, &[]);
                report.findings.push(finding(defect.clone(), Remedy::Nothing, Severity::Error, None));
                texts.extend([explain::summary(&report), explain::meaning(&report)]);
                texts.extend(
                    report.records.iter().map(|one| explain::record_explanation(one, &report, now())),
                );
            }
        }
        texts.sort_unstable();
        texts.dedup();
        for text in texts {
            let bare = outside_of_parentheses(&text);
            let said = JARGON.iter().filter(|word| bare.contains(*word));
            problems.extend(said.map(|word| format!("{code} says {word:?}: {text}")));
        }
    }
    problems.sort_unstable();
    problems.dedup();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn times_are_told_on_the_clock() {
    let place = Place { host: hosts::generic(), zone: None, record: None, now: now() };
    let wait = remedies().into_iter().find(|r| matches!(r, diagnosis::Remedy::WaitUntil { .. })).unwrap();
    let finding = finding(defects().remove(0), wait, Severity::Info, None);
    assert_eq!(
        explain::steps(&finding, &place),
        ["Nothing to change: older answers run out by 14:32 UTC, in 9 minutes. It is checked again then."]
    );
}

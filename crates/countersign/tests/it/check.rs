//! `check` and `explain`, against a real DNS server.

use crate::{
    dns_server::{DnsServer, Said, countersign},
    support::Folder,
};
use std::fs;

const GOOD: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
    _dmarc IN TXT "v=DMARC1; p=reject""#;
const TWO_SPF: &str = r#"@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
    @ IN TXT "v=spf1 ip4:192.0.2.2 -all"
    _dmarc IN TXT "v=DMARC1; p=none""#;

async fn explain(file: &str, arguments: &[&str]) -> Said {
    let all = ["explain", "-"].iter().chain(arguments).map(|&text| text.to_owned()).collect();
    countersign(all, file).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_made_again_from_its_raw_answers() {
    let server = DnsServer::start(&[("good.test", GOOD), ("bad.test", TWO_SPF)]).await;
    for (domain, code) in [("good.test", 0), ("bad.test", 1), ("refused.test", 3)] {
        let stored = server.countersign(&["check", domain, "--format", "json"], "").await;
        let again = explain(&stored.out, &["--format", "json"]).await;
        assert_eq!(again.out, stored.out, "{domain}");
        assert_eq!((stored.code, again.code), (Some(code), Some(code)), "{domain}: {stored:?}");
        // All the formats are made of the same report, without the network.
        for format in ["text", "markdown", "html"] {
            let shown = explain(&stored.out, &["--format", format, "--verbose"]).await;
            assert_eq!(shown.code, Some(code));
            assert!(shown.out.contains(domain), "{shown:?}");
        }
    }
    let stored = server.countersign(&["check", "bad.test", "--format", "json"], "").await;
    let text = explain(&stored.out, &[]).await.out;
    let fresh = server.countersign(&["check", "bad.test"], "").await.out;
    assert_eq!(text, fresh);
    drop(server);
    assert_eq!(explain(&stored.out, &[]).await.out, text, "nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_explained_are_told_with_their_place() {
    let folder = Folder::new();
    let path = folder.0.join("report.json");
    fs::write(&path, "{\n  \"domain\": \"good.test\",\n  \"plan\": 7\n}").unwrap();
    let said = countersign(vec!["explain".to_owned(), path.display().to_string()], "").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("report.json: line 3, column 11: plan: invalid type"), "{said:?}");
    assert!(said.out.is_empty());
    let said = countersign(vec!["explain".to_owned(), "/nonexistent.json".to_owned()], "").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("/nonexistent.json"), "{said:?}");
    for (file, words) in [
        ("{\"observation\":{\"exchanges\":[{\"x\":".to_owned() + &"[".repeat(1 << 20), "recursion limit"),
        ("{\"".to_owned() + &"x".repeat(1 << 20), "EOF"),
        (" ".repeat((32 << 20) + 1), "larger than 32 MiB"),
        ("{}\n{}".to_owned(), "missing field `plan`"),
    ] {
        let said = explain(&file, &[]).await;
        assert_eq!(said.code, Some(2), "{words}");
        assert!(said.err.contains(words) && said.err.len() < 400, "{words}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_end_has_its_exit_code() {
    let server = DnsServer::start(&[("good.test", GOOD), ("bad.test", TWO_SPF)]).await;
    for (domain, code) in [
        ("good.test", 0),
        ("Jane <jane@GOOD.test>", 0),
        ("GOOD.test.", 0),
        ("bad.test", 1),
        ("https://good.test/x", 2),
        ("not a domain", 2),
    ] {
        let said = server.countersign(&["check", domain], "").await;
        assert_eq!(said.code, Some(code), "{domain}: {said:?}");
        assert_eq!(said.err.is_empty(), code != 2, "{domain}: {said:?}");
    }
    // Nothing listens there: the port was free a moment ago.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let offline = ["check", "good.test", "--resolver", &free, "--timeout", "5"].map(str::to_owned).to_vec();
    let said = countersign(offline, "").await;
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.out.contains("could not tell"), "{said:?}");
    assert!(said.out.contains("Is the address right?"), "{said:?}");
}

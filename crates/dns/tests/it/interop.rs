//! Our server as `dig` sees it, where `dig` is there.

use crate::support::{serve, zone, zones};
use std::process::Command;

fn dig(server: std::net::SocketAddr, arguments: &[&str]) -> Option<String> {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+time=2", "+tries=1"])
        .args(arguments)
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dig_reads_our_answers() {
    let long = vec![format!("\"{}\"", "x".repeat(250)); 12].join(" ");
    let text = format!("@ NS ns\nwww CNAME mail\nmail A 192.0.2.1\nlong TXT {long}");
    let server = serve("127.0.0.1:0", zones(&[zone("acme.test", &text, false)])).await;
    let Some(alias) = dig(server.address, &["www.acme.test", "A"]) else {
        println!("skipped: dig is not installed");
        return;
    };
    assert!(alias.contains("status: NOERROR") && alias.contains("192.0.2.1"), "{alias}");
    assert!(alias.contains("flags: qr aa rd;"), "{alias}");
    let long = dig(server.address, &["long.acme.test", "TXT"]).unwrap();
    assert!(long.contains("retrying in TCP mode") && long.contains("xxx"), "{long}");
    let missing = dig(server.address, &["none.acme.test", "A"]).unwrap();
    assert!(missing.contains("status: NXDOMAIN") && missing.contains("SOA"), "{missing}");
    let version = dig(server.address, &["+edns=1", "+noednsnegotiation", "acme.test", "NS"]).unwrap();
    assert!(version.contains("BADVERS"), "{version}");
}

//! Our signed mail, judged by somebody else's verifier over our DNS.

use crate::support::{Platform, skip};
use serde_json::json;
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

const SCRIPT: &str = r"
import sys, dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ['127.0.0.1'], int(sys.argv[1])
def txt(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    try:
        return b''.join(resolver.resolve(name, 'TXT')[0].strings)
    except dns.resolver.NXDOMAIN:
        return None
message = sys.stdin.buffer.read()
d = dkim.DKIM(message)
print('verified' if d.verify(dnsfunc=txt) else 'not verified')
try:
    tampered = dkim.DKIM(message.replace(b'It works', b'It lies')).verify(dnsfunc=txt)
except dkim.ValidationError:
    tampered = False
print('tampered verified' if tampered else 'tampered refused')
print('domain', d.domain.decode())
";

/// What dkimpy says of a message with our DNS at this port; nothing where it is not installed.
pub fn dkimpy(port: u16, raw: &[u8]) -> Option<String> {
    let tools = std::env::var_os("COUNTERSIGN_TOOLS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"), PathBuf::from);
    let python = tools.join("venv/bin/python3");
    if !python.exists() {
        return None;
    }
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(raw).unwrap();
    Some(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn dkimpy_accepts_our_signature_over_our_dns() {
    if dkimpy(1, b"").is_none() {
        skip("dkimpy_accepts_our_signature_over_our_dns", "dkimpy is not installed (cargo xtask setup)");
        return;
    }
    let platform = Platform::start().await;
    let api = &platform.api;
    api.verified("mail.acme.test", "acme.test", "three-cname").await;
    for text in ["It works.\r\n", "It works.\n \t\n\n", "It works"] {
        let (_, received) = api
            .send_and_receive(&json!({
                "from": "Acme <hello@mail.acme.test>", "to": ["a@example.org"], "subject": "Grüße – ünïcode",
                "text": text, "html": "<p>It works</p>", "headers": {"List-Unsubscribe": "<https://acme.test/u>"},
            }))
            .await;
        let raw = api.raw(received["id"].as_str().unwrap()).await;
        let said = dkimpy(platform.instance.dns.port(), &raw).unwrap();
        assert_eq!(said, "verified\ntampered refused\ndomain mail.acme.test\n", "{text:?}");
        api.delete("/sandbox/messages").await;
    }
    platform.stop().await;
}

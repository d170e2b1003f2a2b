//! `countersign dev`: the whole platform on loopback.

use crate::{Instance, config::Config, instance::StartError};
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

/// Starts the platform, prints where it is, and runs until Ctrl-C or SIGTERM.
pub async fn run(config: &Config) -> Result<(), StartError> {
    let instance = Instance::start(config).await?;
    print(&welcome(&instance, config));
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| StartError::Other(error.to_string()))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    print("\nStopping: what is in flight is finished …\n");
    instance.stop().await;
    print("Stopped. The next start goes on where this one ended.\n");
    Ok(())
}

/// A closed pipe is no reason to stop serving.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(written);
}

fn welcome(instance: &Instance, config: &Config) -> String {
    let Instance { http, dns, smtp, api_key, .. } = instance;
    let data = config.data.display();
    format!(
        r#"
Countersign is running, on this machine only.

  Dashboard      http://{http}/
  API            http://{http}/api/v1   reference: http://{http}/docs
  DNS            {dns} (UDP and TCP)   zones: {zone}, and the playground's
  Sandbox inbox  {smtp} (SMTP)   to read: http://{http}/sandbox
  API key        {api_key}
  State          {data}

A tour to paste into another terminal (or see it run by itself: {program} tour):

  export CS=http://{http}/api/v1 KEY={api_key}

  # 1. Add a domain, and see the records it needs.
  curl -s $CS/domains -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
       -d '{{"domain":"mail.acme.test"}}' | tee domain.json
  ID=$(grep -o 'dom_[0-9A-Z]*' domain.json | head -1)

  # 2. Publish them. acme.test is a playground zone: edit it at http://{http}/playground, or
  curl -s -X POST $CS/playground/domains/$ID/publish -H "Authorization: Bearer $KEY"
  #    The domain turns to verified by itself; watch it at http://{http}/domains/$ID
  curl -s $CS/domains/$ID -H "Authorization: Bearer $KEY" | grep -o '"status":"[a-z]*"' | head -1

  # 3. Send; it arrives in the sandbox inbox with its SPF, DKIM and DMARC verdict.
  curl -s $CS/emails -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
       -d '{{"from":"Acme <hello@mail.acme.test>","to":["you@example.org"],"subject":"Hello","text":"It works."}}'
  curl -s $CS/sandbox/messages -H "Authorization: Bearer $KEY"

  # Any domain, against any resolver:
  {program} check mail.acme.test --resolver {dns}
  dig @{ip} -p {port} TXT spf.{zone}

Ctrl-C stops it; state is kept.
"#,
        program = program(),
        zone = config.platform_zone,
        ip = dns.ip(),
        port = dns.port(),
    )
}

/// How this program was called: a path that can be pasted.
fn program() -> String {
    std::env::args_os()
        .next()
        .map_or_else(|| "countersign".to_owned(), |path| path.to_string_lossy().into_owned())
}

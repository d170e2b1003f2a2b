//! `countersign dev`: the whole platform on loopback.

use super::running::{print, run_until_stopped};
use crate::{Instance, config::Config, instance::StartError};

/// Starts the platform, prints where it is, and runs until Ctrl-C or SIGTERM.
pub async fn run(config: &Config) -> Result<(), StartError> {
    run_until_stopped(Instance::start(config), |instance| {
        print(&format!("{}\n", super::show::harmless(&welcome(instance, config))));
    })
    .await
}

fn welcome(instance: &Instance, config: &Config) -> String {
    let Instance { http, dns, smtp, api_key, .. } = instance;
    let data = config.data.display();
    let database = if config.database_url.is_empty() { "" } else { ", and a PostgreSQL database" };
    let public = instance.public_http.map_or_else(String::new, |address| {
        format!("\n  Public page    http://{address}/check   for visitors: nothing else is at this address")
    });
    format!(
        r#"
Countersign is running, on this machine only.

  Dashboard      http://{http}/{public}
  API            http://{http}/api/v1   reference: http://{http}/docs
  DNS            {dns} (UDP and TCP)   zones: {zone}, and the playground's
  Sandbox inbox  {smtp} (SMTP)   to read: http://{http}/sandbox
  API key        {api_key}
  State          {data}{database}

Or see the whole job run by itself:  {program} tour

To paste into another terminal. Add a domain, and see the records it needs:

  export CS=http://{http}/api/v1 KEY={api_key}
  curl -s $CS/domains -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
    -d '{{"domain":"mail.acme.test"}}'
  ID=$(curl -s "$CS/domains?q=mail.acme.test" -H "Authorization: Bearer $KEY" | grep -o 'dom_[0-9A-Z]*' | head -1)

Publish them, in the playground zone acme.test, and see that they are there (it would be seen by itself too):

  curl -s -X POST $CS/playground/domains/$ID/publish -H "Authorization: Bearer $KEY"
  curl -s -X POST $CS/domains/$ID/verify -H "Authorization: Bearer $KEY" | grep -o '"status":"[a-z]*"' | head -1

Send, and read how the message was judged when it came in:

  curl -s $CS/emails -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
    -d '{{"from":"Acme <hello@mail.acme.test>","to":["you@example.org"],"subject":"Hello","text":"It works."}}'
  sleep 2
  curl -s $CS/sandbox/messages -H "Authorization: Bearer $KEY" | grep -o '"authentication":{{.*'

Any domain, against any resolver:

  {program} check mail.acme.test --resolver {dns}

Ctrl-C stops it; state is kept.
"#,
        program = program(),
        zone = config.platform_zone,
    )
}

/// How this program was called: a path that can be pasted.
fn program() -> String {
    std::env::args_os()
        .next()
        .map_or_else(|| "countersign".to_owned(), |path| path.to_string_lossy().into_owned())
}

//! `countersign serve`: the platform for a company and its customers.

use super::running::{print, run_until_stopped};
use crate::{Instance, config::Config, instance::StartError};
use app::Transport;

/// Starts the platform, prints where it is, and runs until SIGTERM or Ctrl-C.
pub async fn run(config: &Config) -> Result<(), StartError> {
    run_until_stopped(Instance::serve(config), |instance| {
        print(&format!("{}\n", super::show::harmless(&welcome(instance, config))));
    })
    .await
}

fn welcome(instance: &Instance, config: &Config) -> String {
    let Instance { http, dns, smtp, .. } = instance;
    let settings = instance.app.settings();
    let database = if config.database_url.is_empty() { "" } else { ", and a PostgreSQL database" };
    let mut lines = vec![
        format!("Dashboard      {}", settings.public_url),
        format!("API            http://{http}/api/v1   reference: http://{http}/docs"),
    ];
    lines.extend(instance.public_http.map(|at| format!("Public page    http://{at}/check")));
    lines.extend(instance.operator_http.map(|at| {
        format!(
            "Operator       http://{at}/operator   what has to be fixed; also /metrics, /readyz, /healthz"
        )
    }));
    lines.push(format!("DNS            {dns} (UDP and TCP)   zone: {}", settings.platform_zone));
    lines.push(format!("SMTP           {smtp}   for bounces"));
    lines.push(match &settings.transport {
        Transport::Sandbox(_) => {
            format!("Mail goes to   the sandbox inbox: none leaves. To read: {}/sandbox", settings.public_url)
        }
        relay @ Transport::Relay { .. } => format!("Mail goes to   {relay}"),
    });
    lines.push(format!("State          {}{database}", config.data.display()));
    let mut text = format!("\nCountersign is running.\n\n  {}\n", lines.join("\n  "));
    if instance.first_start {
        let key = config.data.join("api-key");
        text += "\nThis is the first start. The API key of the first organisation, which may do everything, is in\n  ";
        text += &key.to_string_lossy();
        text.push('\n');
    }
    if let Some(link) = &instance.first_owner_link {
        text += "\nNobody is here yet. Become the owner with this link; it works once:\n\n  ";
        text += link;
        text.push('\n');
    }
    text
}

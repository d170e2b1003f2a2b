//! `countersign doctor`: is the platform that runs here in order, and what is to be done where it is not?

use super::{Exit, show};
use crate::{Config, Overrides};
use app::operator_health::{HealthItem, HealthState};
use std::{fmt::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

/// Longer than the slowest look: our zone is asked for with a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which platform is meant, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Configuration file of the platform [default: countersign.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the platform's operator listener is (of dev: its http) [default: as configured]
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// Everything as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the platform how it is, and says it.
pub async fn run(arguments: &DoctorArgs) -> Exit {
    let overrides = Overrides { config: arguments.config.clone(), ..Overrides::default() };
    let config = match Config::load(&overrides) {
        Ok(config) => config,
        Err(problem) => return show::fail(&problem.to_string()),
    };
    let mut refused = Vec::new();
    for base in bases(arguments.at.as_deref(), &config) {
        match ask(&base).await {
            Ok(items) => return tell(&items, arguments.json),
            Err(problem) => refused.push(problem),
        }
    }
    show::fail(&format!(
        "no platform told how it is: {}. Start it (countersign serve), or say with --at where its operator_http is",
        refused.join("; ")
    ))
}

/// Where to ask: at the operator's listener, and in development, where there is none, at the dashboard.
fn bases(at: Option<&str>, config: &Config) -> Vec<String> {
    if let Some(at) = at {
        let at = at.trim_end_matches('/');
        return vec![if at.contains("://") { at.to_owned() } else { format!("http://{at}") }];
    }
    let url = |address: SocketAddr| {
        let host = if address.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        } else {
            address
        };
        format!("http://{host}")
    };
    config.operator_http().ok().flatten().into_iter().chain([config.http]).map(url).collect()
}

async fn ask(base: &str) -> Result<Vec<HealthItem>, String> {
    let client =
        reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(format!("{base}/operator/health")).send().await;
    let answer = answer.map_err(|_| format!("nothing answers at {base}"))?;
    if !answer.status().is_success() {
        return Err(format!("{base} answers with {}", answer.status()));
    }
    answer.json().await.map_err(|_| format!("{base} is something else"))
}

fn tell(items: &[HealthItem], as_json: bool) -> Exit {
    let text = if as_json {
        serde_json::to_string_pretty(items).unwrap_or_default() + "\n"
    } else {
        show::harmless(&words(items)) + "\n"
    };
    let exit =
        if items.iter().any(|item| item.state == HealthState::Fail) { Exit::Problems } else { Exit::Good };
    show::print(&text).unwrap_or(exit)
}

fn words(items: &[HealthItem]) -> String {
    let count = |state| items.iter().filter(|item| item.state == state).count();
    let mut parts = Vec::new();
    for (state, word) in
        [(HealthState::Fail, "to fix"), (HealthState::Warn, "to look at"), (HealthState::Unknown, "not seen")]
    {
        if count(state) > 0 {
            parts.push(format!("{} {word}", count(state)));
        }
    }
    let head = if parts.is_empty() { "everything is in order".to_owned() } else { parts.join(", ") };
    let mut text = format!("Health of the platform: {head}\n");
    for item in items.iter().filter(|item| item.state != HealthState::Ok) {
        let word = match item.state {
            HealthState::Fail => "fix",
            HealthState::Warn => "look",
            HealthState::Unknown | HealthState::Ok => "not seen",
        };
        let _ = writeln!(text, "\n{word}  {}: {}", item.code, item.seen);
        text.extend(item.fix.iter().map(|fix| format!("   {fix}\n")));
    }
    let fine: Vec<&HealthItem> = items.iter().filter(|item| item.state == HealthState::Ok).collect();
    if !fine.is_empty() {
        text.push('\n');
    }
    for item in fine {
        let _ = writeln!(text, "fine  {}: {}", item.code, item.seen);
    }
    text
}

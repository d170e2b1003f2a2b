//! Configuration: defaults, then `countersign.toml`, then the environment, then flags. Later wins.

use crate::{
    commands::check::resolvers,
    hex,
    name_servers::{name_servers, secondaries},
    telemetry::Collector,
};
use figment::{
    Figment, Source,
    error::Kind,
    providers::{Env, Format, Serialized, Toml},
};
use model::DomainName;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};
use tracing_subscriber::EnvFilter;

/// Everything an operator can set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API and the dashboard listen.
    pub http: SocketAddr,
    /// Where everybody can check a domain: the page `/check` and the manual of findings, and nothing else. May be an
    /// address that others reach; empty for nowhere.
    pub public_http: String,
    /// The proxies in front of `public_http`: visitors are counted by what these say in `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpAddr>,
    /// `serve`: where browsers reach `http`, such as `https://mail.example.com`; links in messages begin with it. Empty
    /// where `http` itself is opened, on this machine.
    pub public_url: String,
    /// `serve`: where `/metrics`, `/healthz` and `/readyz` are without a key, for those who run the platform; empty for
    /// nowhere. (`dev` has them at `http`.)
    pub operator_http: String,
    /// By which names `operator_http` is asked, beside addresses and those of this machine, such as `metrics.internal`. It
    /// answers no others, so that a web page of a stranger cannot read it by a name of its own.
    pub operator_hosts: Vec<String>,
    /// The name of this process in leases and logs; empty for the host's name and the process's number.
    pub node_name: String,
    /// For how many seconds work is claimed, 4 to 3600: what a node that died had in hand is taken up by another one
    /// after so long.
    pub lease_seconds: u64,
    /// How many seconds what is under way may take when this process is asked to stop; the rest goes back to other nodes.
    pub drain_seconds: u64,
    /// `serve`: for how many seconds `/readyz` says so before anything stops, so that a proxy sends requests elsewhere.
    pub drain_notice_seconds: u64,
    /// Whether webhooks may be at addresses of this machine and of private networks, and without TLS. `dev` always
    /// allows it.
    pub private_webhook_targets: bool,
    /// Where the APIs of DNS hosts are, by host id (`cloudflare`, `hetzner`, …); left out stands for the usual place. For tests,
    /// and where requests leave by a proxy.
    pub dns_host_apis: std::collections::BTreeMap<String, String>,
    /// Where the DNS server listens, UDP and TCP.
    pub dns: SocketAddr,
    /// How many threads answer DNS over UDP at each address; 0 for one per core, up to four.
    pub dns_workers: usize,
    /// `serve`: how many DNS responses a second one network (/24, /56) gets over UDP for one name, up to 100000; ten times as
    /// many in all. Above that it is told to come back over TCP. 0 for any number.
    pub dns_rate_limit: u32,
    /// `serve`: the name servers of the platform zone, each with its addresses behind it, such as
    /// `ns1.send.example.com 198.51.100.5 2001:db8::5`; one that is not in the zone needs none. Empty for `ns1` in the zone, at
    /// `public_addresses`.
    pub name_servers: Vec<String>,
    /// `serve`: name servers of others that get the zone from here (AXFR, IXFR) and are told of changes: `198.51.100.7` or
    /// `198.51.100.7:5353`, and behind it the key that they sign with, `name:algorithm:secret`, such as
    /// `transfer.example:hmac-sha256:BASE64`. Without a key the address alone decides.
    pub secondaries: Vec<String>,
    /// Where the SMTP listener of the sandbox inbox listens.
    pub smtp: SocketAddr,
    /// The folder of the database and the master key.
    pub data: PathBuf,
    /// The PostgreSQL database, `postgres://user:password@host/name?sslmode=verify-full`; empty for a SQLite file in the
    /// data folder. `DATABASE_URL` in the environment sets it too.
    pub database_url: String,
    /// PostgreSQL: how many connections one process has at the most, from 2 to 500; all nodes together fewer than its
    /// `max_connections`. Requests and the work in the background share them.
    pub database_connections: u32,
    /// The zone that our DNS server serves keys, SPF include and bounce hosts in.
    pub platform_zone: String,
    /// `serve`: the addresses at which others reach our DNS server and SMTP listener; empty where `dns` is bound to one.
    pub public_addresses: Vec<IpAddr>,
    /// `serve`: the resolvers that domains are verified with, such as `9.9.9.9`; empty for those of this machine.
    pub resolvers: Vec<String>,
    /// `serve`: whether names and name servers of a private network are asked, for an installation that verifies domains
    /// of its own network. Else a customer's domain leads to no private address.
    pub private_dns: bool,
    /// `serve`: the server that accepted mail is handed to, `host:port`; it has to take mail from this machine without a
    /// password. `sandbox` to let nothing leave: everything goes into the sandbox inbox.
    pub smtp_relay: String,
    /// `serve`: how the relay is spoken to: `required` (STARTTLS with a certificate for its name), `opportunistic`, `none`.
    pub smtp_relay_tls: String,
    /// The addresses that mail leaves from; they make up the SPF include, and the reverse DNS of those that are public
    /// is looked at with every domain.
    pub sender_addresses: Vec<IpAddr>,
    /// The certificate authority that issues for tracking hosts, as CAA records name it, such as `letsencrypt.org`;
    /// empty to leave CAA records alone. A profile's own comes first.
    pub certificate_authority: String,
    /// Where DMARC reports of customers' domains go; empty for `dmarc@` the platform zone.
    pub dmarc_mailbox: String,
    /// The profile of domains that are added without naming one.
    pub default_profile: String,
    /// A folder of further profiles, Domain Connect templates; empty for none.
    pub profiles: PathBuf,
    /// A time server (NTP), `host` or `host:port`, that this machine's clock is compared with for its health; empty to
    /// compare with the clock of a PostgreSQL database alone.
    pub time_server: String,
    /// How many DKIM keys are made in advance.
    pub key_pool: usize,
    /// After how many days, on average, another DKIM key signs for a domain whose keys are behind aliases, 14 to 3,650; 0 for
    /// never by itself.
    pub rotate_days: u32,
    /// How many days after a DKIM key behind an alias was replaced its private part is published at `/retired-keys/SELECTOR`,
    /// 14 to 3,650, so that old signatures prove nothing; 0 for never: then it is forgotten.
    pub publish_retired_keys_days: u32,
    /// The largest message, in bytes.
    pub max_message_size: usize,
    /// The most messages that a domain which is warming up may send a day, however far it has come.
    pub warmup_daily_limit: u64,
    /// For how many hours a domain whose records broke goes on sending, 1 to 720; its owner is warned meanwhile.
    pub grace_hours: u32,
    /// After how many hours at the latest a domain that is right is looked at again, 1 to 168.
    pub watch_hours: u32,
    /// The resolvers that checks of any domain ask (the API's `/checks`, the page `/check`), such as `9.9.9.9`; no name
    /// server at a private address is asked then. Empty for our own DNS, which knows the playground and nothing else.
    pub check_resolvers: Vec<String>,
    /// How many checks of any domain one client (a key of the API, an address on the page) may ask for in a minute.
    pub checks_per_minute: u32,
    /// How many requests that look at something one API key may make in a minute, at each node; 0 for any number.
    pub reads_per_minute: u32,
    /// The same for requests that change something.
    pub writes_per_minute: u32,
    /// The same for messages to send.
    pub sends_per_minute: u32,
    /// The same for verifying domains.
    pub verifies_per_minute: u32,
    /// How many messages the sandbox inbox keeps.
    pub sandbox_messages: u32,
    /// How many bytes of messages the sandbox inbox keeps.
    pub sandbox_bytes: u64,
    /// For how many days events are kept, 7 at least; 0 for ever. Who polls `GET /events` with an older cursor is told so.
    pub keep_events_days: u32,
    /// For how many days deliveries to webhooks are kept once they came to an end; 0 for ever.
    pub keep_webhook_deliveries_days: u32,
    /// For how many days the audit log is kept; 0 for ever.
    pub keep_audit_days: u32,
    /// The master key, 64 hexadecimal digits; empty for a file in the data folder, made at the first start.
    pub master_key: String,
    /// The master key that is to come: what other nodes seal with it already opens here. Give it to every node before the
    /// first one has it as `master_key`; empty otherwise.
    pub next_master_key: String,
    /// Master keys from before the one in force: what they sealed still opens, and is sealed anew. Empty once
    /// `countersign doctor` says that they can go.
    pub previous_master_keys: Vec<String>,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter such as `info,dns=debug`.
    pub log: String,
    /// How it is logged: `text` or `json`.
    pub log_format: String,
    /// The collector that traces go to by OTLP over HTTP, such as `http://127.0.0.1:4318`; empty for none.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` in the environment sets it too.
    pub otlp_endpoint: String,
    /// The whole address that traces go to, where it is not that of the collector and `/v1/traces`.
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` in the environment sets it too.
    pub otlp_traces_endpoint: String,
    /// What is sent to the collector in headers, `name=value,name=value`, values percent-encoded.
    /// `OTEL_EXPORTER_OTLP_HEADERS` in the environment sets it too.
    pub otlp_headers: String,
    /// Which share of traces is recorded, from 0 to 1. `OTEL_TRACES_SAMPLER_ARG` in the environment sets it too.
    pub trace_ratio: f64,
    /// `serve`: where people log in too, beside password and link.
    pub oidc: OidcConfig,
    /// Records applied by the customer's DNS host, with a link (Domain Connect).
    pub domain_connect: DomainConnectConfig,
}

/// How DNS hosts know our templates; no links to them are made where `provider_id` is empty. `countersign domain-connect
/// template` writes the files for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DomainConnectConfig {
    /// Whose templates they are: a domain of yours, such as `example.com`.
    pub provider_id: String,
    /// What people read at their DNS host as your name; empty for `Countersign`.
    pub provider_name: String,
    /// Which template stands for which profile, where it is not called as the profile is: `{ three-cname = "mail" }`.
    pub service_ids: std::collections::BTreeMap<String, String>,
}

/// A provider of logins (OpenID Connect); none where `issuer` is empty. Let it send browsers back to
/// `<public_url>/login/provider/back`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// Its issuer, letter by letter as it says it itself, such as `https://login.example.com`.
    pub issuer: String,
    /// What this platform is called there.
    pub client_id: String,
    /// The secret that goes with it; empty for a public client. Others on the machine see environments and files that they
    /// may read: `client_secret_file` names one for the platform alone.
    pub client_secret: String,
    /// A file with the secret.
    pub client_secret_file: PathBuf,
    /// What people call it, on the button; empty for its host.
    pub name: String,
    /// Who has a verified address at one of these domains comes in without an invitation.
    pub allowed_domains: Vec<String>,
    /// As what: `viewer`, `member`, `admin` or `owner`; empty for `viewer`.
    pub default_role: String,
    /// Where, by the id of the organisation; empty for the first one.
    pub organisation: String,
    /// Whether an account that has the address already is linked at the first login there. Without it the user logs in as
    /// before once, and links it.
    pub link_by_address: bool,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            http: loopback(8080),
            public_http: loopback(8081).to_string(),
            trusted_proxies: Vec::new(),
            public_url: String::new(),
            operator_http: loopback(8082).to_string(),
            operator_hosts: Vec::new(),
            node_name: String::new(),
            lease_seconds: 120,
            drain_seconds: 30,
            drain_notice_seconds: 2,
            private_webhook_targets: false,
            dns_host_apis: std::collections::BTreeMap::new(),
            dns: loopback(5300),
            dns_workers: 0,
            dns_rate_limit: 200,
            name_servers: Vec::new(),
            secondaries: Vec::new(),
            smtp: loopback(2525),
            data: PathBuf::from("countersign-data"),
            database_url: String::new(),
            database_connections: 12,
            platform_zone: "send.countersign.test".to_owned(),
            public_addresses: Vec::new(),
            resolvers: Vec::new(),
            private_dns: false,
            smtp_relay: String::new(),
            smtp_relay_tls: "required".to_owned(),
            sender_addresses: vec![IpAddr::from([127, 0, 0, 1])],
            certificate_authority: String::new(),
            dmarc_mailbox: String::new(),
            default_profile: "three-cname".to_owned(),
            profiles: PathBuf::new(),
            time_server: String::new(),
            key_pool: 30,
            rotate_days: 180,
            publish_retired_keys_days: 0,
            max_message_size: 25 * 1024 * 1024,
            warmup_daily_limit: 100_000,
            grace_hours: 72,
            watch_hours: 24,
            check_resolvers: Vec::new(),
            checks_per_minute: 30,
            reads_per_minute: 6_000,
            writes_per_minute: 1_200,
            sends_per_minute: 6_000,
            verifies_per_minute: 300,
            sandbox_messages: 1_000,
            sandbox_bytes: 200 * 1024 * 1024,
            keep_events_days: 90,
            keep_webhook_deliveries_days: 30,
            keep_audit_days: 400,
            master_key: String::new(),
            next_master_key: String::new(),
            previous_master_keys: Vec::new(),
            log: "info".to_owned(),
            log_format: "text".to_owned(),
            otlp_endpoint: String::new(),
            otlp_traces_endpoint: String::new(),
            otlp_headers: String::new(),
            trace_ratio: 1.0,
            oidc: OidcConfig::default(),
            domain_connect: DomainConnectConfig::default(),
        }
    }
}

/// Flags that set configuration values for one run.
#[derive(Debug, Clone, Default, clap::Args, Serialize)]
pub struct Overrides {
    /// Configuration file [default: countersign.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where API and dashboard listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// Where visitors can check a domain: the page /check, and nothing of the dashboard; '' for nowhere [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_http: Option<String>,
    /// serve: where browsers reach --http through a proxy with TLS
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// serve: where /metrics, /healthz and /readyz are without a key; '' for nowhere [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_http: Option<String>,
    /// serve: server that accepted mail is handed to, or 'sandbox' to let nothing leave
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_relay: Option<String>,
    /// Where the DNS server listens [default: 127.0.0.1:5300]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// Where the SMTP listener of the sandbox inbox listens [default: 127.0.0.1:2525]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SocketAddr>,
    /// Folder of the database and the master key [default: countersign-data]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// PostgreSQL database instead of a SQLite file; others on this machine see flags, so give a password in the environment
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// Zone that our DNS server serves the keys in [default: send.countersign.test]
    #[arg(long, value_name = "ZONE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_zone: Option<String>,
    /// What is logged: error, warn, info, debug, or a filter such as info,dns=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or variable is wrong.
    #[error("the configuration is wrong: {0}")]
    Read(#[from] Box<figment::Error>),
    /// A setting that there is not.
    #[error("the configuration is wrong: there is no setting \"{}\" ({place}){hint}", one_line(.key))]
    Unknown {
        /// What was given.
        key: String,
        /// Where.
        place: String,
        /// What may have been meant, or where all are listed.
        hint: String,
    },
    /// A file that was named is not there.
    #[error("there is no file {}", one_line(&.0.to_string_lossy()))]
    NoFile(PathBuf),
    /// One value is wrong.
    #[error("the configuration is wrong: {key} = \"{}\": {problem}", one_line(.value))]
    Value {
        /// Which.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A value as it stands in a message: on one line, and nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    explain::shown::line(text, explain::shown::ON_LINE)
}

impl Config {
    /// Reads every source.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        if let Some(path) = overrides.config.as_ref().filter(|path| !path.is_file()) {
            return Err(ConfigError::NoFile(path.clone()));
        }
        let config: Self = figment(overrides).extract().map_err(wrong)?;
        config.platform_zone()?;
        config.certificate_authority()?;
        config.master_key()?;
        config.previous_master_keys()?;
        config.next_master_key()?;
        config.public_http()?;
        config.operator_http()?;
        config.check_resolvers()?;
        name_servers(&config, &config.platform_zone()?, &[])?;
        secondaries(&config)?;
        config.postgres()?;
        if config.warmup_daily_limit == 0 {
            let problem = "a domain in warm-up could never send; give 1 or more".to_owned();
            return Err(ConfigError::Value { key: "warmup_daily_limit", value: "0".to_owned(), problem });
        }
        for (key, hours, most) in
            [("grace_hours", config.grace_hours, 720), ("watch_hours", config.watch_hours, 168)]
        {
            if !(1..=most).contains(&hours) {
                let problem = format!("give 1 to {most} hours");
                return Err(ConfigError::Value { key, value: hours.to_string(), problem });
            }
        }
        if config.rotate_days != 0 && !(14..=3_650).contains(&config.rotate_days) {
            // A key that has signed stays for a week.
            let value = config.rotate_days.to_string();
            let problem = "give 14 to 3650 days, or 0 to rotate keys only when somebody asks".to_owned();
            return Err(ConfigError::Value { key: "rotate_days", value, problem });
        }
        let days = config.publish_retired_keys_days;
        if days != 0 && !(14..=3_650).contains(&days) {
            // A secondary that has lost us serves the key for a week more (EXPIRE of the SOA record), and mail that waited
            // somewhere is still looked at by its signature.
            let problem = "give 14 to 3650 days, or 0 to publish no private keys".to_owned();
            return Err(ConfigError::Value {
                key: "publish_retired_keys_days",
                value: days.to_string(),
                problem,
            });
        }
        if (1..7).contains(&config.keep_events_days) {
            // Webhooks are tried for days, and who polls may be away over a weekend.
            let value = config.keep_events_days.to_string();
            let problem = "give 7 or more, or 0 to keep events for ever".to_owned();
            return Err(ConfigError::Value { key: "keep_events_days", value, problem });
        }
        if !(4..=3_600).contains(&config.lease_seconds) {
            let value = config.lease_seconds.to_string();
            let problem = "give 4 to 3600; 120 fits most".to_owned();
            return Err(ConfigError::Value { key: "lease_seconds", value, problem });
        }
        if let Err(error) = EnvFilter::try_new(&config.log) {
            let problem = error.to_string();
            return Err(ConfigError::Value { key: "log", value: config.log, problem });
        }
        if !["text", "json"].contains(&config.log_format.as_str()) {
            let problem = "give text or json".to_owned();
            return Err(ConfigError::Value { key: "log_format", value: config.log_format, problem });
        }
        config.collector()?;
        Ok(config)
    }

    /// The collector that traces go to, if there is one.
    pub fn collector(&self) -> Result<Option<Collector>, ConfigError> {
        let (endpoint, traces) = (&self.otlp_endpoint, &self.otlp_traces_endpoint);
        Collector::read(endpoint, traces, &self.otlp_headers, self.trace_ratio).map_err(|error| {
            // An address may have a secret in it, headers have.
            let value =
                if error.key == "trace_ratio" { self.trace_ratio.to_string() } else { "…".to_owned() };
            ConfigError::Value { key: error.key, value, problem: error.problem }
        })
    }

    /// The platform zone, parsed.
    pub fn platform_zone(&self) -> Result<DomainName, ConfigError> {
        DomainName::parse(&self.platform_zone).map_err(|error| ConfigError::Value {
            key: "platform_zone",
            value: self.platform_zone.clone(),
            problem: error.to_string(),
        })
    }

    /// The certificate authority, if one is named.
    pub fn certificate_authority(&self) -> Result<Option<String>, ConfigError> {
        let value = &self.certificate_authority;
        if value.is_empty() {
            return Ok(None);
        }
        parse_authority(value).map(Some).map_err(|problem| ConfigError::Value {
            key: "certificate_authority",
            value: value.clone(),
            problem,
        })
    }

    /// Where the public pages listen, if anywhere.
    pub fn public_http(&self) -> Result<Option<SocketAddr>, ConfigError> {
        listener("public_http", &self.public_http)
    }

    /// Where the operator's routes listen, if anywhere.
    pub fn operator_http(&self) -> Result<Option<SocketAddr>, ConfigError> {
        listener("operator_http", &self.operator_http)
    }

    /// The resolvers for checks of any domain; none for our own DNS.
    pub fn check_resolvers(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        parse_resolvers("check_resolvers", &self.check_resolvers)
    }

    /// The address of the PostgreSQL database, if there is one.
    pub fn postgres(&self) -> Result<Option<&str>, ConfigError> {
        let url = self.database_url.as_str();
        if url.is_empty() {
            return Ok(None);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Some(url));
        }
        // The address may have a password in it.
        Err(ConfigError::Value {
            key: "database_url",
            value: "…".to_owned(),
            problem:
                "it does not begin with postgres://; leave it empty for a SQLite file in the data folder"
                    .to_owned(),
        })
    }

    /// The master key of the configuration, if one is there.
    pub fn master_key(&self) -> Result<Option<[u8; 32]>, ConfigError> {
        if self.master_key.is_empty() {
            return Ok(None);
        }
        parse_key(&self.master_key).map(Some).ok_or_else(|| ConfigError::Value {
            key: "master_key",
            value: "…".to_owned(),
            problem: "it is not 64 hexadecimal digits".to_owned(),
        })
    }

    /// The master key that is to come, if there is one.
    pub fn next_master_key(&self) -> Result<Option<[u8; 32]>, ConfigError> {
        if self.next_master_key.is_empty() {
            return Ok(None);
        }
        parse_key(&self.next_master_key).map(Some).ok_or_else(|| ConfigError::Value {
            key: "next_master_key",
            value: "…".to_owned(),
            problem: "it is not 64 hexadecimal digits".to_owned(),
        })
    }

    /// The master keys from before.
    pub fn previous_master_keys(&self) -> Result<Vec<[u8; 32]>, ConfigError> {
        let parsed = self.previous_master_keys.iter().map(|text| {
            parse_key(text).ok_or_else(|| ConfigError::Value {
                key: "previous_master_keys",
                value: "…".to_owned(),
                problem: "one of them is not 64 hexadecimal digits".to_owned(),
            })
        });
        parsed.collect()
    }

    /// The values in force as a `countersign.toml`, each with where it comes from. Secrets are not shown.
    pub fn describe(overrides: &Overrides) -> Result<String, ConfigError> {
        let config = Self::load(overrides)?;
        let figment = figment(overrides);
        let value = serde_json::to_value(&config).unwrap_or_default();
        let line = |key: &str, path: &str, value: &serde_json::Value| {
            let source =
                figment.find_metadata(path).map_or("default", |metadata| source_name(&metadata.name));
            let is_set = *value != serde_json::json!("") && *value != serde_json::json!([]);
            let shown = if SECRET.contains(&path) && is_set {
                "\"(set, not shown)\"".to_owned()
            } else {
                as_toml(value)
            };
            format!("{:<48} # {source}\n", format!("{key} = {shown}"))
        };
        let (mut out, mut tables) = (String::new(), String::new());
        for (key, value) in value.as_object().into_iter().flatten() {
            let Some(table) = value.as_object() else {
                out.push_str(&line(key, key, value));
                continue;
            };
            let _ = writeln!(tables, "\n[{key}]");
            for (inner, value) in table {
                tables.push_str(&line(inner, &format!("{key}.{inner}"), value));
            }
        }
        Ok(out + &tables)
    }
}

/// A value within a line; a table as one in braces.
fn as_toml(value: &serde_json::Value) -> String {
    let Some(table) = value.as_object() else { return value.to_string() };
    let pairs: Vec<String> =
        table.iter().map(|(key, value)| format!("{} = {value}", serde_json::json!(key))).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

/// What figment says, in the words of whoever wrote the setting.
fn wrong(error: figment::Error) -> ConfigError {
    let Kind::UnknownField(key, known) = &error.kind else { return ConfigError::Read(Box::new(error)) };
    let likeness = |name: &&str| strsim::normalized_damerau_levenshtein(key, name);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest.filter(|name| likeness(name) > 0.6) {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => "; `countersign config` lists all that there are".to_owned(),
    };
    let metadata = error.metadata.as_ref();
    let place = match metadata.and_then(|metadata| metadata.source.as_ref()) {
        Some(Source::File(path)) => one_line(&path.to_string_lossy()),
        _ if metadata.is_some_and(|metadata| metadata.name.contains("environment")) => {
            format!("COUNTERSIGN_{} in the environment", one_line(&key.to_uppercase()))
        }
        _ => metadata.map_or_else(String::new, |metadata| one_line(&metadata.name)),
    };
    ConfigError::Unknown { key: key.clone(), place, hint }
}

/// Where an optional listener is.
fn listener(key: &'static str, text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ConfigError::Value {
        key,
        value: text.to_owned(),
        problem: "give an address and a port such as 127.0.0.1:8081, or nothing".to_owned(),
    })
}

/// A list of resolvers.
pub(crate) fn parse_resolvers(key: &'static str, texts: &[String]) -> Result<Vec<SocketAddr>, ConfigError> {
    let parse = |text: &String| {
        resolvers::parse(text).map_err(|problem| ConfigError::Value { key, value: text.clone(), problem })
    };
    texts.iter().map(parse).collect()
}

/// A certificate authority as CAA records name it: by a domain of its own (RFC 8659 §4.2).
pub fn parse_authority(text: &str) -> Result<String, String> {
    let name = DomainName::parse(text).map_err(|error| error.to_string())?;
    if name.label_count() < 2 {
        return Err("a CAA record names an authority by its domain, such as letsencrypt.org".to_owned());
    }
    Ok(name.to_string())
}

/// 64 hexadecimal digits as a key.
pub fn parse_key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text.trim())?.try_into().ok()
}

/// What is not shown.
const SECRET: &[&str] = &[
    "master_key",
    "next_master_key",
    "previous_master_keys",
    "database_url",
    "otlp_headers",
    "secondaries",
    "oidc.client_secret",
];

const FLAGS: &str = "flag";

fn figment(overrides: &Overrides) -> Figment {
    Figment::from(Serialized::defaults(Config::default()))
        .merge(Toml::file(overrides.config.as_deref().unwrap_or(Path::new("countersign.toml"))))
        .merge(Env::raw().only(&["DATABASE_URL"]))
        .merge(Env::raw().filter_map(|key| of_opentelemetry(key.as_str()).map(Into::into)))
        .merge(
            Env::prefixed("COUNTERSIGN_")
                .ignore(&["tools", "config", "url", "api_key", "credentials", "organisation", "advisories"])
                .split("__"),
        )
        .merge(NamedFlags(overrides))
}

/// Which setting a variable is that OpenTelemetry gives to every program.
fn of_opentelemetry(variable: &str) -> Option<&'static str> {
    match variable.to_ascii_uppercase().as_str() {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("otlp_endpoint"),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some("otlp_traces_endpoint"),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("otlp_headers"),
        "OTEL_TRACES_SAMPLER_ARG" => Some("trace_ratio"),
        _ => None,
    }
}

/// Flags as a source of their own, so that `config` can name it.
struct NamedFlags<'a>(&'a Overrides);

impl figment::Provider for NamedFlags<'_> {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(FLAGS)
    }

    fn data(&self) -> Result<figment::value::Map<figment::Profile, figment::value::Dict>, figment::Error> {
        Serialized::defaults(self.0).data()
    }
}

fn source_name(name: &str) -> &str {
    if name.contains("TOML") {
        "file"
    } else if name.contains("environment") {
        "environment"
    } else if name == FLAGS {
        "flag"
    } else {
        "default"
    }
}

#[cfg(test)]
mod tests;

//! `countersign tour`: the main job, walked by itself against a private instance, each step with its time.
//!
//! It uses the public API alone, as a customer's program would, and stops with what went wrong at the first step
//! that does not do what it should.

use super::Exit;
use crate::{Config, Instance};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

const DOMAIN: &str = "mail.acme.test";

/// How long one step may take before the tour gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Walks the main job.
pub async fn run() -> Exit {
    let folder = std::env::temp_dir().join(format!("countersign-tour-{}", std::process::id()));
    let outcome = walk(&folder).await;
    drop(fs::remove_dir_all(&folder));
    match outcome {
        Ok(total) => {
            say(&format!("\nFrom added to proven in the inbox in {:.1} s.\n", total.as_secs_f64()));
            Exit::Good
        }
        Err(problem) => {
            drop(writeln!(std::io::stderr(), "\nThe tour failed: {}", super::show::harmless(&problem)));
            Exit::Problems
        }
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

async fn walk(folder: &Path) -> Result<Duration, String> {
    let start = Instant::now();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        http: free,
        public_http: String::new(),
        dns: free,
        smtp: free,
        data: folder.to_owned(),
        key_pool: 6,
        ..Config::default()
    };
    let mut tour = Tour::new();
    let instance = Instance::start(&config).await.map_err(|error| error.to_string())?;
    tour.connect(&instance)?;
    tour.done(
        "started a private instance",
        &format!("API {}, DNS {}, SMTP {}", instance.http, instance.dns, instance.smtp),
    );
    let outcome = tour.main_job().await;
    instance.stop().await;
    outcome.map(|()| start.elapsed())
}

struct Tour {
    http: reqwest::Client,
    base: String,
    key: String,
    step_started: Instant,
    step: usize,
}

impl Tour {
    fn new() -> Self {
        Self {
            http: reqwest::Client::new(),
            base: String::new(),
            key: String::new(),
            step_started: Instant::now(),
            step: 0,
        }
    }

    fn connect(&mut self, instance: &Instance) -> Result<(), String> {
        self.http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        self.base = format!("http://{}/api/v1", instance.http);
        self.key.clone_from(&instance.api_key);
        Ok(())
    }

    fn done(&mut self, what: &str, detail: &str) {
        self.step += 1;
        let millis = self.step_started.elapsed().as_millis();
        say(&format!("{:>2}. {what:<58} {millis:>6} ms\n", self.step));
        for line in detail.lines() {
            say(&format!("      {line}\n"));
        }
        self.step_started = Instant::now();
    }

    async fn main_job(&mut self) -> Result<(), String> {
        let domain = self.post("/domains", &json!({"domain": DOMAIN})).await?;
        let id = text(&domain, "/id")?.to_owned();
        let records = domain["records"].as_array().cloned().unwrap_or_default();
        let plan: Vec<String> = records
            .iter()
            .map(|r| {
                format!("{:<5} {}", r["type"].as_str().unwrap_or("?"), r["host"].as_str().unwrap_or("?"))
            })
            .collect();
        self.done(&format!("added {DOMAIN}: {} records to publish", records.len()), &plan.join("\n"));

        let zone = self.zone("acme.test").await?;
        let first = records.first().ok_or("the plan is empty")?;
        let full_name = text(first, "/name")?;
        let wrong = self.publish(&zone, first, full_name).await?;
        self.done(
            "published the first record wrongly",
            &format!("host field: {full_name} (the panel appends acme.test)"),
        );

        let checked = self.post(&format!("/domains/{id}/verify"), &json!({})).await?;
        let finding = finding(&checked, "record_in_doubled_zone")?;
        let steps: Vec<&str> =
            finding["steps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let said = format!("{}\n{}", text(finding, "/title")?, steps.join("\n"));
        self.done("the check found it and says the fix", &said);

        self.delete(&format!("/playground/records/{wrong}")).await?;
        for record in &records {
            self.publish(&zone, record, text(record, "/host")?).await?;
        }
        self.done(&format!("published all {} records rightly", records.len()), "");
        let verified = self.until(&format!("/domains/{id}"), is_complete).await?;
        let detail =
            format!("verified at {}; can send: {}", text(&verified, "/verified_at")?, verified["can_send"]);
        self.done("verified, by itself", &detail);

        let message = json!({
            "from": format!("Acme <hello@{DOMAIN}>"), "to": ["Someone <someone@example.org>"],
            "subject": "Grüße from the tour", "text": "It works.", "html": "<p>It <b>works</b>.</p>",
        });
        let accepted = self.post("/emails", &message).await?;
        let message_id = text(&accepted, "/id")?.to_owned();
        self.done("a message was accepted (202)", &message_id);
        let delivered = |message: &Value| message["recipients"][0]["status"] == "delivered";
        let sent = self.until(&format!("/emails/{message_id}"), delivered).await?;
        self.done(
            "signed and delivered by SMTP",
            text(&sent, "/recipients/0/attempts/0/reply").unwrap_or_default(),
        );

        let arrived = |list: &Value| !list["data"][0]["authentication"].is_null();
        let inbox = self.until("/sandbox/messages?recipient=someone@example.org", arrived).await?;
        self.judge(&inbox["data"][0]["authentication"])
    }

    /// Passes only when all three pass and align.
    fn judge(&mut self, authentication: &Value) -> Result<(), String> {
        let spf = &authentication["spf"];
        let dmarc = &authentication["dmarc"];
        let dkim = &authentication["dkim"][0];
        let detail = format!(
            "SPF   {} with {} (aligned: {})\nDKIM  {} with {} (aligned: {})\nDMARC {} with {}",
            spf["result"],
            spf["domain"],
            spf["aligned"],
            dkim["result"],
            dkim["domain"],
            dkim["aligned"],
            dmarc["result"],
            authentication["author_domain"],
        );
        let passes = |value: &Value| value["result"] == "pass";
        let aligned = spf["aligned"] == true && dkim["aligned"] == true;
        if !(passes(spf) && passes(dkim) && passes(dmarc) && aligned) {
            return Err(format!("the message is not authenticated:\n{detail}\n{authentication:#}"));
        }
        self.done("it arrived; authenticated by real DNS look-ups", &detail.replace('"', ""));
        Ok(())
    }

    /// The id of a playground zone.
    async fn zone(&self, apex: &str) -> Result<String, String> {
        let zones = self.get("/playground/zones").await?;
        let zone = zones["data"].as_array().into_iter().flatten().find(|zone| zone["apex"] == apex);
        zone.and_then(|zone| zone["id"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| format!("no playground zone {apex}"))
    }

    /// Types a record into the playground; returns its id.
    async fn publish(&self, zone: &str, record: &Value, host: &str) -> Result<String, String> {
        let typed = json!({
            "host": host, "type": record["type"], "value": record["value"], "ttl": 300, "priority": record["priority"],
        });
        let made = self.post(&format!("/playground/zones/{zone}/records"), &typed).await?;
        Ok(text(&made, "/id")?.to_owned())
    }

    async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.get(path).await?;
            if done(&value) {
                return Ok(value);
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "GET {path} did not get there within {} s: {value:#}",
                    PATIENCE.as_secs()
                ));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.answer(self.http.get(format!("{}{path}", self.base)), path).await
    }

    async fn delete(&self, path: &str) -> Result<Value, String> {
        self.answer(self.http.delete(format!("{}{path}", self.base)), path).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.answer(self.http.post(format!("{}{path}", self.base)).json(body), path).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value, String> {
        let response =
            request.bearer_auth(&self.key).send().await.map_err(|error| format!("{path}: {error}"))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| format!("{path}: {error}"))?;
        if !status.is_success() {
            return Err(format!("{path} answered {status}: {body}"));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|error| format!("{path}: {error}: {body}"))
    }
}

/// Verified, the recommended records too: the return path decides whether SPF aligns.
fn is_complete(domain: &Value) -> bool {
    let records = domain["records"].as_array();
    domain["status"] == "verified" && records.is_some_and(|all| all.iter().all(|r| r["status"] == "verified"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, String> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("no {pointer} in {value:#}"))
}

fn finding<'a>(domain: &'a Value, code: &str) -> Result<&'a Value, String> {
    let found = domain["findings"].as_array().into_iter().flatten().find(|finding| finding["code"] == code);
    found.ok_or_else(|| format!("the check did not find {code}: {:#}", domain["findings"]))
}

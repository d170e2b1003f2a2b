//! The client commands, the real program against a running platform.

use crate::support::{Folder, Platform, text};
use serde_json::Value;
use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

/// A terminal of its own: where it is logged in, and with what environment.
pub struct Terminal {
    pub folder: Folder,
    pub url: String,
    pub key: Option<String>,
}

pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Terminal {
    pub fn of(platform: &Platform) -> Self {
        let url = format!("http://{}", platform.instance.http);
        Self { folder: Folder::new(), url, key: Some(platform.instance.api_key.clone()) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(arguments)
            .current_dir(&self.folder.0)
            .env_clear()
            .env("HOME", &self.folder.0)
            .env("COUNTERSIGN_URL", &self.url)
            .stdin(Stdio::null());
        if let Some(key) = &self.key {
            command.env("COUNTERSIGN_API_KEY", key);
        }
        command
    }

    /// Runs to the end, beside the platform that it talks to.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// The same, with what is typed into it.
    pub async fn with_input(&self, arguments: &[&str], typed: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let typed = typed.to_owned();
        tokio::task::spawn_blocking(move || -> Said {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
            child.wait_with_output().unwrap().into()
        })
        .await
        .unwrap()
    }

    pub async fn good(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    pub async fn json(&self, arguments: &[&str]) -> Value {
        let out = self.good(&[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_from_added_to_mail_sent() {
    let platform = Platform::start().await;
    let terminal = Terminal::of(&platform);
    let zone = platform.api.zone("acme.test").await;
    assert!(terminal.good(&["domains", "list"]).await.contains("countersign domains add"));
    let added = terminal.json(&["domains", "add", "mail.acme.test", "--profile", "two-txt"]).await;
    let shown = terminal.good(&["domains", "show", "MAIL.acme.test."]).await;
    for wanted in
        ["mail.acme.test", text(&added, "id"), "pending", "TXT", text(&added["records"][0], "value")]
    {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let why = terminal.run(&["domains", "why", "mail.acme.test"]).await;
    assert_eq!(why.code, Some(1), "{}", why.out);
    assert!(
        why.out.contains("cannot send") && why.out.contains("DOMAIN_PENDING_VERIFICATION"),
        "{}",
        why.out
    );
    let report = terminal.good(&["domains", "report", "mail.acme.test"]).await;
    assert!(report.contains("mail.acme.test"), "{report}");
    let verify = terminal.run(&["domains", "verify", "mail.acme.test"]).await;
    assert_eq!(verify.code, Some(1), "{}{}", verify.out, verify.err);
    let zone_file = terminal.good(&["domains", "records", "mail.acme.test", "--format", "zone"]).await;
    assert!(zone_file.contains("TXT"), "{zone_file}");

    platform.api.publish_all(&zone, &added).await;
    let waited = terminal.run(&["domains", "verify", "mail.acme.test", "--watch", "--deadline", "60s"]).await;
    assert_eq!(waited.code, Some(0), "{}{}", waited.out, waited.err);
    assert!(terminal.good(&["domains", "why", "mail.acme.test"]).await.contains("can send"));
    assert!(terminal.good(&["domains", "list", "--status", "verified"]).await.contains("mail.acme.test"));

    let arguments = ["emails", "send", "--from", "me@mail.acme.test", "--to", "you@example.org", "--subject"];
    let send = [&arguments[..], &["Hello", "--text", "Hi.", "--watch"]].concat();
    let sent = terminal.good(&send).await;
    assert!(sent.contains("delivered") && sent.contains("you@example.org"), "{sent}");
    assert!(terminal.good(&["emails", "list"]).await.contains("Hello"));
    let events = terminal.run(&["events", "--types", "domain.verified"]).await;
    assert!(
        events.out.contains("domain.verified") && events.out.contains("mail.acme.test"),
        "{}",
        events.out
    );
    assert_eq!(events.out.lines().count(), 2, "a head and one event: {}", events.out);
    // The cursor is in the command that goes on.
    let next: Vec<&str> = events.err.trim().split("countersign ").last().unwrap().split(' ').collect();
    assert!(events.err.contains("--after"), "{}", events.err);
    assert!(terminal.good(&next).await.contains("Nothing happened since."), "{}", events.err);

    terminal.good(&["suppressions", "add", "you@example.org", "--reason", "asked"]).await;
    assert!(terminal.good(&["suppressions", "list"]).await.contains("you@example.org"));
    let refused = terminal.run(&send).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("you@example.org") && refused.err.contains("RECIPIENT_SUPPRESSED"));

    let kept = terminal.run(&["domains", "delete", "mail.acme.test"]).await;
    assert_eq!(kept.code, Some(2));
    assert!(kept.err.contains("--yes"), "{}", kept.err);
    terminal.good(&["domains", "delete", "mail.acme.test", "--yes"]).await;
    let audit = terminal.good(&["audit"]).await;
    for action in ["domain.created", "domain.deleted", "suppression.added"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_tenants_are_made_and_ended() {
    let platform = Platform::start().await;
    let mut terminal = Terminal::of(&platform);
    assert!(terminal.good(&["tenants", "add", "cust_1"]).await.contains("tnt_"));
    assert!(terminal.good(&["tenants", "list"]).await.contains("cust_1"));
    let made = terminal
        .json(&[
            "keys",
            "create",
            "reader",
            "--scope",
            "read:domains",
            "--scope",
            "write:keys",
            "--tenant",
            "cust_1",
        ])
        .await;
    assert!(made["tenant_id"].is_string());
    let list = terminal.good(&["keys", "list"]).await;
    assert!(list.contains("reader") && list.contains("tenant cust_1") && list.contains("this one"), "{list}");
    let owner = terminal.key.replace(text(&made, "secret").to_owned());
    terminal.good(&["domains", "list"]).await;
    let refused = terminal.run(&["domains", "add", "mail.acme.test"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("write:domains (SCOPE_MISSING)"), "{}", refused.err);
    terminal.key = owner;
    let rotated = terminal.good(&["keys", "rotate", text(&made, "id"), "--overlap-seconds", "0"]).await;
    assert!(rotated.contains("not shown again"), "{rotated}");
    let id = rotated.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    terminal.good(&["keys", "revoke", &id]).await;
    terminal.key = Some(text(&made, "secret").to_owned());
    let over = terminal.run(&["domains", "list"]).await;
    assert_eq!(over.code, Some(2));
    assert!(over.err.contains("countersign login"), "{}", over.err);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_needs_no_environment() {
    let platform = Platform::start().await;
    let mut terminal = Terminal::of(&platform);
    terminal.key = None;
    let without = terminal.run(&["domains", "list"]).await;
    assert_eq!(without.code, Some(2));
    assert!(without.err.contains("countersign login") && without.err.contains("COUNTERSIGN_API_KEY"));
    let log_in = async |key: &str| {
        let mut command = terminal.command(&["login", &terminal.url]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let line = format!("{key}\n");
        tokio::task::spawn_blocking(move || -> Said {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
            child.wait_with_output().unwrap().into()
        })
        .await
        .unwrap()
    };
    let refused = log_in("cs_wrong").await;
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    let file = terminal.folder.0.join(".config/countersign/credentials.toml");
    assert!(!file.exists(), "a key that is refused is not kept");
    let key = platform.instance.api_key.clone();
    let good = log_in(&key).await;
    assert_eq!(good.code, Some(0), "{}", good.err);
    assert!(!good.out.contains(&key), "{}", good.out);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    terminal.good(&["domains", "list"]).await;
    // The key is for that platform alone.
    let elsewhere = terminal.run(&["domains", "list", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(elsewhere.code, Some(2));
    assert!(elsewhere.err.contains("no API key for http://127.0.0.1:1"), "{}", elsewhere.err);
    terminal.good(&["logout"]).await;
    assert!(!file.exists());
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_with_what_to_do() {
    let platform = Platform::start().await;
    let terminal = Terminal::of(&platform);
    for (arguments, code, words) in [
        (&["domains", "show", "nowhere.acme.test"][..], 1, "countersign domains add nowhere.acme.test"),
        (&["domains", "show", "dom_x"], 1, "DOMAIN_NOT_FOUND"),
        (&["domains", "list", "--status", "nonsense"], 1, "status"),
        (&["domains", "add", "gmail.com"], 1, "DOMAIN_FREE_MAIL"),
        (&["domains", "verify", "x.test", "--watch", "--deadline", "soon"], 2, "20m"),
        (&["domains", "verify", "x.test", "--deadline", "5m"], 2, "--watch"),
        (&["emails", "show", "msg_../../keys"], 1, "MESSAGE_NOT_FOUND"),
        (&["keys", "create", "x", "--scope", "read:all"], 1, "known are"),
        (&["keys", "create", "x", "--scope", "admin", "--expires-at", "tomorrow"], 2, "30d"),
        (&["keys", "create", "x", "--scope", "admin", "--tenant", "typo"], 1, "--create-tenant"),
        (&["domains", "add", "x.test", "--tenant", "typo"], 1, "no tenant typo"),
        (&["domains", "show", "a b"], 2, "cannot have"),
        (&["audit", "--subject", "nowhere.acme.test"], 1, "no domain nowhere.acme.test"),
        (
            &["emails", "send", "--from", "a@x.test", "--to", "b@x.test", "--subject", "s", "--text", "t"],
            1,
            "countersign domains add",
        ),
        (&["webhooks", "replay", "whk_01JD0000000000000000000000"], 2, "--since 2h"),
        (&["webhooks", "update", "whk_01JD0000000000000000000000"], 2, "required"),
        (&["webhooks", "create", "ftp://x"], 1, "WEBHOOK_TARGET_REFUSED"),
        (&["contacts", "delete", "nobody@acme.test"], 1, "countersign contacts list"),
        (&["contacts", "add", "nobody"], 1, "address"),
        (&["domains", "list", "--url", "ftp://x"], 2, "no address of a platform"),
        (&["domains", "list", "--url", "http://127.0.0.1:1"], 3, "cannot be reached"),
        (&["domains"], 2, "Usage"),
        (&["completions", "nonsense"], 2, "bash"),
    ] {
        let said = terminal.run(arguments).await;
        assert_eq!(said.code, Some(code), "{arguments:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = terminal.good(&["completions", shell]).await;
        assert!(script.contains("suppressions"), "{shell}");
    }
    // Something else than a platform answers.
    let page = format!("http://{}/docs", platform.instance.http);
    let said = terminal.run(&["domains", "list", "--url", &page]).await;
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("is it the right address?") || said.err.contains("NOT_FOUND"), "{}", said.err);
    platform.stop().await;
}

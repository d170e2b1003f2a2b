//! Requests to the API, and what their refusals come to for who reads them.

use super::{Failure, PageArgs, ServerArgs, credentials};
use app::ports::Random;
use reqwest::{Method, StatusCode, Url, header::RETRY_AFTER};
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

/// Longer than the platform takes to give up.
const PATIENCE: Duration = Duration::from_secs(40);

/// The largest answer that is read, in bytes.
const MOST_ANSWER: usize = 64 * 1024 * 1024;

/// How many things are asked for at once.
const PAGE: u32 = 100;

/// How long to wait where the platform does not say it.
const TOO_MANY: Duration = Duration::from_mins(1);

/// What came back.
struct Answer {
    status: StatusCode,
    /// When to ask again.
    after: Option<Duration>,
    bytes: Vec<u8>,
}

/// A platform, and a key to it.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
    tenant: Option<String>,
    organisation: Option<String>,
}

impl Client {
    /// For the platform and the key that the command line, the environment or the file name.
    pub fn of(server: &ServerArgs) -> Result<Self, Failure> {
        let (url, key) = credentials::find(server.url.as_deref())?;
        let client = Self::new(&url, &key)?;
        Ok(Self { tenant: server.tenant.clone(), organisation: server.organisation.clone(), ..client })
    }

    /// For everything that the key sees.
    pub fn new(url: &str, key: &str) -> Result<Self, Failure> {
        let url = &address(url);
        let is_address =
            Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_address {
            return Err(Failure::Usage(format!(
                "\"{url}\" is no address of a platform; give one such as https://send.example.com or http://127.0.0.1:8080"
            )));
        }
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            // A key goes to whom it was given for.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Unknown(format!("no requests can be made: {error}")))?;
        Ok(Self { http, url: url.clone(), key: key.to_owned(), tenant: None, organisation: None })
    }

    /// Whether a key as the API shows it is the one that is used here.
    pub fn is_with(&self, key: &Value) -> bool {
        key["prefix"].as_str().is_some_and(|prefix| !prefix.is_empty() && self.key.starts_with(prefix))
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// At most so many things of a list, over as many pages as it takes.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], page: &PageArgs) -> Result<Value, Failure> {
        let mut found: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let left = page.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            let limit = left.min(PAGE).to_string();
            let mut parameters = vec![("limit", limit.as_str())];
            parameters.extend(query);
            parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut answer = self.get(&with_query(path, &parameters)).await?;
            let data = answer["data"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let is_empty = data.is_empty();
            found.extend(data);
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || is_empty || found.len() >= page.limit as usize {
                answer["data"] = Value::Array(found);
                return Ok(answer);
            }
        }
    }

    /// What is no JSON.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        let answer = self.answer(Method::GET, path, None).await?;
        if answer.status.is_success() {
            return Ok(String::from_utf8_lossy(&answer.bytes).trim_end().to_owned());
        }
        self.read(&answer).map(|value| value.to_string())
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.read(&self.answer(method, path, body).await?)
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let is_post = method == Method::POST;
        let mut request =
            self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.key);
        if let Some(tenant) = &self.tenant {
            request = request.header(app::tenants::HEADER, tenant);
        }
        if let Some(organisation) = &self.organisation {
            request = request.header(app::root_keys::HEADER, organisation);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        if is_post {
            // What was carried out and whose answer was lost is not carried out twice.
            request = request.header("Idempotency-Key", Random::system().token(26));
        }
        let again = request.try_clone();
        let answer = match (request.send().await, again) {
            (Err(error), Some(again)) if !error.is_connect() && !error.is_builder() => again.send().await,
            (answer, _) => answer,
        };
        let mut answer = answer.map_err(|error| self.unanswered(&error))?;
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unanswered(&error))? {
            if bytes.len() + chunk.len() > MOST_ANSWER {
                return Err(Failure::Unknown(format!("{} answers with too much", self.url)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer { status, after: after.map(Duration::from_secs), bytes })
    }

    fn read(&self, Answer { status, after, bytes }: &Answer) -> Result<Value, Failure> {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(value) if status.is_success() => Ok(value),
            Ok(problem) if problem["code"].is_string() => Err(self.refused(*status, &problem, *after)),
            _ => Err(Failure::Unknown(format!(
                "{} does not answer as a platform does (HTTP {status}); is it the right address?",
                self.url
            ))),
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let what = if error.is_timeout() {
            format!("{} did not answer in time", self.url)
        } else {
            format!("{} cannot be reached: {reason}", self.url)
        };
        Failure::Unknown(format!(
            "{what}\nStart the platform (`countersign dev`), or name another one with --url or COUNTERSIGN_URL."
        ))
    }

    fn refused(&self, status: StatusCode, problem: &Value, after: Option<Duration>) -> Failure {
        let text = |field: &str| problem[field].as_str().unwrap_or_default();
        let mut said = format!("{} ({})", commands(text("detail")), text("code"));
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        if errors.len() > 1 {
            for error in errors {
                let part = |field: &str| error[field].as_str().unwrap_or_default();
                let _ = write!(said, "\n  {}: {}", part("field"), part("message"));
            }
        }
        let is_about = |name: &str| errors.iter().any(|error| error["field"] == name);
        if is_about(app::root_keys::HEADER) {
            said.push_str(
                "\nThis is a root key: name the organisation with --organisation or COUNTERSIGN_ORGANISATION; \
                 `countersign organisations list` shows those that there are.",
            );
            return Failure::Usage(said);
        }
        if status == StatusCode::UNAUTHORIZED {
            let _ = write!(said, "\nLog in again with `countersign login {}`.", self.url);
            return Failure::Usage(said);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Failure::TooMany(said, after.unwrap_or(TOO_MANY));
        }
        if status.is_server_error() {
            let _ = write!(said, "\nThe platform's log names the reason under {}.", text("request_id"));
            return Failure::Unknown(said);
        }
        Failure::Refused(said)
    }
}

/// An address as it was typed, as requests need it: what `dev` prints as that of the API is taken too, and without a scheme
/// this machine is asked without TLS and every other one with it.
pub fn address(typed: &str) -> String {
    let url = typed.trim().trim_end_matches('/').trim_end_matches("/api/v1").trim_end_matches('/');
    if url.is_empty() || typed.contains("://") {
        return url.to_owned();
    }
    let host = Url::parse(&format!("http://{url}")).ok().and_then(|url| url.host_str().map(str::to_owned));
    let is_here = host.is_some_and(|host| {
        let number = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || number.is_ok_and(|address| address.is_loopback())
    });
    format!("{}://{url}", if is_here { "http" } else { "https" })
}

/// The command for each request that the platform's words name, the longer before those that they begin with.
const COMMANDS: [(&str, &str); 7] = [
    ("POST /api/v1/domains/{id}/claim", "`countersign domains claim`"),
    ("POST /api/v1/domains/{id}/enable", "`countersign domains enable`"),
    ("POST /api/v1/domains/{id}/resume", "`countersign domains resume`"),
    ("POST /api/v1/tenants/{id}/resume", "`countersign tenants resume`"),
    ("DELETE /api/v1/suppressions", "`countersign suppressions delete`"),
    ("POST /api/v1/domains", "`countersign domains add`"),
    ("(warmup_days 0)", "(`countersign domains warm-up --days 0`)"),
];

/// What the platform says, for who is at a command line: commands in place of requests.
pub fn commands(text: &str) -> String {
    COMMANDS.iter().fold(text.to_owned(), |text, (request, command)| text.replace(request, command))
}

/// A path with a query, its values escaped.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    let query = url.as_ref().and_then(Url::query).unwrap_or_default();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// One step of a path: no word leads out of its place.
pub fn step(word: &str) -> String {
    word.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::store::{Pause, PauseCause};

    #[test]
    fn addresses_are_taken_as_they_are_typed() {
        for (typed, asked) in [
            ("127.0.0.1:28080", "http://127.0.0.1:28080"),
            ("localhost:8080/", "http://localhost:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("send.example.com", "https://send.example.com"),
            ("http://10.0.0.1/api/v1/", "http://10.0.0.1"),
            ("ftp://x", "ftp://x"),
        ] {
            assert_eq!(address(typed), asked);
        }
        for typed in ["", "ftp://x", "https://", "a b", "://x"] {
            assert!(Client::new(typed, "cs_x").is_err(), "{typed}");
        }
    }

    /// The requests that texts of the use cases name each have their command.
    #[test]
    fn no_request_is_named_where_a_command_is_meant() {
        let texts = concat!(
            include_str!("../../../../app/src/error.rs"),
            include_str!("../../../../app/src/readiness.rs")
        );
        assert!(texts.contains("/api/v1"));
        // As they are once they are formatted.
        let told = commands(&texts.replace("{{", "{").replace("}}", "}"));
        // A longer request than the one that was replaced leaves its end behind the command.
        assert!(!told.contains("/api/v1") && !told.contains("`/"), "{told}");
    }

    #[test]
    fn commands_stand_in_place_of_whole_requests() {
        let name = model::DomainName::parse("mail.example.com").unwrap();
        let pause = |cause| Pause { at: model::Timestamp::default(), reason: "x".into(), cause };
        let (own, of_tenant) = (pause(PauseCause::Domain), pause(PauseCause::Tenant));
        let texts = [
            app::Error::DomainHeldElsewhere(name.clone()).to_string(),
            app::Error::SenderDomainUnknown(name.clone()).to_string(),
            app::Error::SendingPaused { domain: name, pause: of_tenant.clone() }.to_string(),
            app::readiness::Obstacle::Paused(own).fix(),
            app::readiness::Obstacle::Paused(of_tenant).fix(),
            app::readiness::Obstacle::HeldElsewhere.fix(),
            app::readiness::Obstacle::Disabled(None).fix(),
        ];
        let wanted = [
            "domains claim`, by",
            "domains add`",
            "tenants resume`",
            "domains resume`.",
            "tenants resume`.",
            "domains claim` and",
            "domains enable` when",
        ];
        for (text, wanted) in texts.iter().zip(wanted) {
            let told = commands(text);
            assert!(told.contains(&format!("`countersign {wanted}")), "{told}");
            assert!(!told.contains("`/") && !told.contains('{'), "{told}");
        }
    }

    #[test]
    fn words_stay_in_their_place() {
        assert_eq!(step("key_01/../x?y"), "key_01%2F%2E%2E%2Fx%3Fy");
        assert_eq!(with_query("/a", &[("q", "x&y=1")]), "/a?q=x%26y%3D1");
        assert_eq!(with_query("/a", &[]), "/a");
    }
}

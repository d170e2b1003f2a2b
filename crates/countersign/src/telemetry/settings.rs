//! What the configuration says of the collector.

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

/// Where the collector's traces are, below its address.
const PATH: &str = "/v1/traces";

/// A collector, and what it gets.
#[derive(Debug, Clone)]
pub struct Collector {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) ratio: f64,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SettingError {
    /// Which.
    pub key: &'static str,
    /// What is wrong with it. Not its value, which may be a secret.
    pub problem: String,
}

fn wrong(key: &'static str, problem: impl Into<String>) -> SettingError {
    SettingError { key, problem: problem.into() }
}

impl Collector {
    /// Reads the settings: the collector's address, which the path of traces is added to, or (it comes first) the whole
    /// address for traces; headers as `name=value,name=value`, values percent-encoded (as OpenTelemetry has them); which
    /// share of traces is recorded. `None` where there is no address.
    pub fn read(
        endpoint: &str,
        traces_endpoint: &str,
        headers: &str,
        ratio: f64,
    ) -> Result<Option<Self>, SettingError> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(wrong("trace_ratio", "give a share from 0 to 1, such as 0.1"));
        }
        let headers = read_headers(headers)?;
        let url = if !traces_endpoint.is_empty() {
            read_url("otlp_traces_endpoint", traces_endpoint)?
        } else if !endpoint.is_empty() {
            let mut url = read_url("otlp_endpoint", endpoint)?;
            let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url
        } else {
            return Ok(None);
        };
        Ok(Some(Self { url, headers, ratio }))
    }
}

fn read_url(key: &'static str, text: &str) -> Result<Url, SettingError> {
    let example = "give an address such as http://127.0.0.1:4318";
    let url = Url::parse(text).map_err(|error| wrong(key, format!("{error}; {example}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong(key, format!("only http:// and https:// are spoken; {example}")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(key, "has a user or password in it; give it in otlp_headers"));
    }
    Ok(url)
}

fn read_headers(text: &str) -> Result<HeaderMap, SettingError> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let problem = || wrong("otlp_headers", "give name=value, and a comma between two of them");
        let (name, value) = pair.split_once('=').ok_or_else(problem)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| problem())?;
        let value = percent_decoded(value.trim()).ok_or_else(problem)?;
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| problem())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, traces: &str) -> String {
        Collector::read(endpoint, traces, "", 1.0).unwrap().unwrap().url.to_string()
    }

    #[test]
    fn addresses_are_as_opentelemetry_has_them() {
        assert_eq!(url("http://127.0.0.1:4318", ""), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://otlp.example/otel/", ""), "https://otlp.example/otel/v1/traces");
        assert_eq!(url("http://a.example", "https://b.example/x"), "https://b.example/x");
        assert!(Collector::read("", "", "", 1.0).unwrap().is_none());
        for bad in ["127.0.0.1:4318", "grpc://a.example", "x", "http://user:hush@a.example", "unix:/x"] {
            let error = Collector::read(bad, "", "", 1.0).unwrap_err();
            assert!(error.key == "otlp_endpoint" && !error.problem.contains("hush"), "{bad}: {error}");
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Collector::read("", "", "", bad).unwrap_err().key, "trace_ratio");
        }
    }

    #[test]
    fn headers_are_as_opentelemetry_has_them() {
        let read = read_headers("authorization=Basic%20aGk%3D, x-team = a=b ,").unwrap();
        assert_eq!(
            (&read["authorization"], &read["x-team"]),
            (&"Basic aGk=".parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert!(read["authorization"].is_sensitive());
        for bad in ["hush", "a b=hush", "x=%zz", "x=%2", "x=a%0Ahush", "=hush"] {
            let error = read_headers(bad).unwrap_err();
            assert!(!error.problem.contains("hush"), "{bad}: {error}");
        }
    }
}

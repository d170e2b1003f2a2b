//! Domain Connect, the synchronous flow: what a DNS host says of itself, and the link by which its customer has a template
//! applied there (draft-ietf-dconn-domainconnect).
//!
//! Pure: nothing is asked here. What hosts say comes from strangers (whoever runs a domain's DNS chooses who is asked), so
//! each part is bounded and read strictly; where requests may go is decided by whoever sends them.

use model::DomainName;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// The longest value of a discovery record, in octets.
const MOST_VALUE: usize = 255;
/// The longest address that a host may give for one of its endpoints, in octets.
const MOST_URL: usize = 1_000;
/// How much of a name is shown, in characters.
const MOST_NAME: usize = 80;
/// The longest link: browsers, and what stands in front of servers, take no longer ones for sure.
pub const MOST_LINK: usize = 8_000;

/// The label in front of a zone's apex where its discovery record is.
pub const DISCOVERY: &str = "_domainconnect";

/// What a discovery record holds: a server, and what its paths begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// Name or address, with a port where it has one.
    pub authority: String,
    /// What paths begin with: empty, or with a slash before and none behind.
    pub prefix: String,
}

impl Discovered {
    /// Reads the value of a discovery record; `None` where it cannot be a server.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let (authority, prefix) = value.split_once('/').unwrap_or((value, ""));
        let of_authority = |octet: u8| octet.is_ascii_alphanumeric() || b".-:[]".contains(&octet);
        // No user, no query, no escapes: a prefix is a few steps.
        let of_prefix = |octet: u8| octet.is_ascii_alphanumeric() || b".-_/~".contains(&octet);
        let steps_back = prefix.split('/').any(|step| step == "." || step == "..");
        let is_good = value.len() <= MOST_VALUE
            && !authority.is_empty()
            && !authority.ends_with(':')
            && authority.bytes().all(of_authority)
            && prefix.bytes().all(of_prefix)
            && !steps_back;
        let prefix = prefix.trim_end_matches('/');
        is_good.then(|| Self {
            authority: authority.to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
        })
    }

    /// Where a zone's settings are.
    pub fn settings_path(&self, zone: &DomainName) -> String {
        format!("{}/v2/{zone}/settings", self.prefix)
    }
}

/// What a DNS host says of itself for one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// Its id.
    pub provider_id: String,
    /// What people call it.
    pub name: String,
    /// What the addresses of its API begin with.
    pub api: String,
    /// What the address begins with that its customer opens; nothing where it has no synchronous flow.
    pub sync_ux: Option<String>,
    /// The page of the zone in its panel.
    pub control_panel: Option<String>,
}

/// As it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    provider_id: String,
    #[serde(default)]
    provider_name: Option<String>,
    #[serde(default)]
    provider_display_name: Option<String>,
    #[serde(rename = "urlAPI")]
    url_api: String,
    #[serde(rename = "urlSyncUX", default)]
    url_sync_ux: Option<String>,
    #[serde(default)]
    url_control_panel: Option<String>,
}

impl HostSettings {
    /// Reads the settings of a zone. Addresses are taken as they are, but for their length: whoever opens one looks at it.
    pub fn parse(body: &[u8], zone: &DomainName) -> Option<Self> {
        let raw: Raw = serde_json::from_slice(body).ok()?;
        let address = |text: String| {
            let text = text.trim().trim_end_matches('/').to_owned();
            (!text.is_empty() && text.len() <= MOST_URL && !text.contains(char::is_control)).then_some(text)
        };
        let shown = |text: &str| {
            let text: String = text.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect();
            text.trim().to_owned()
        };
        let provider_id = shown(&raw.provider_id);
        let names = [raw.provider_display_name, raw.provider_name];
        let name = names.into_iter().flatten().map(|name| shown(&name)).find(|name| !name.is_empty());
        (!provider_id.is_empty()).then_some(())?;
        Some(Self {
            name: name.unwrap_or_else(|| provider_id.clone()),
            provider_id,
            api: address(raw.url_api)?,
            sync_ux: raw.url_sync_ux.and_then(address),
            control_panel: raw
                .url_control_panel
                .and_then(address)
                .map(|text| text.replace("%domain%", zone.as_str())),
        })
    }
}

/// Which template, of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateId {
    /// `providerId`.
    pub provider: String,
    /// `serviceId`.
    pub service: String,
}

impl TemplateId {
    /// Its path, behind what a host's addresses begin with.
    pub fn path(&self) -> String {
        let (provider, service) = (encoded(&self.provider), encoded(&self.service));
        format!("/v2/domainTemplates/providers/{provider}/services/{service}")
    }

    /// The name of its file in the public repository: all in lower case.
    pub fn file_name(&self) -> String {
        format!("{}.{}.json", self.provider, self.service).to_ascii_lowercase()
    }
}

/// What a link asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The apex of the zone.
    pub zone: DomainName,
    /// What stands before it in the domain's name; empty where the domain is the zone.
    pub host: String,
    /// The groups to apply; all where there are none.
    pub groups: Vec<String>,
    /// Values of the template's variables.
    pub variables: BTreeMap<String, String>,
    /// Where the browser goes afterwards.
    pub redirect_uri: String,
    /// What comes back with it.
    pub state: String,
}

impl Application {
    /// The query, which is what is signed.
    pub fn query(&self) -> String {
        let mut query = String::new();
        let mut push = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&encoded(name));
            query.push('=');
            query.push_str(&encoded(value));
        };
        push("domain", self.zone.as_str());
        push("host", &self.host);
        for (name, value) in &self.variables {
            push(name, value);
        }
        if !self.groups.is_empty() {
            push("groupId", &self.groups.join(","));
        }
        push("redirect_uri", &self.redirect_uri);
        push("state", &self.state);
        query
    }
}

/// The link: the query that was signed, the name of the key, and the signature (base64) as the last, where Cloudflare
/// wants it.
pub fn link(sync_ux: &str, template: &TemplateId, query: &str, key: &str, signature: &str) -> String {
    let signature = encoded(signature);
    format!("{sync_ux}{}/apply?{query}&key={}&sig={signature}", template.path(), encoded(key))
}

/// The TXT records of the key that signs, each a string of its own (255 octets at the most). `public_key` is base64 of
/// the SPKI.
pub fn key_records(public_key: &str) -> Vec<String> {
    const PIECE: usize = 200;
    let mut rest = public_key;
    let mut records = Vec::new();
    // Base64 is ASCII: any place is one to cut at.
    while let Some((piece, behind)) =
        rest.split_at_checked(PIECE.min(rest.len())).filter(|(one, _)| !one.is_empty())
    {
        records.push(format!("p={},a=RS256,d={piece}", records.len() + 1));
        rest = behind;
    }
    records
}

/// Percent-encoded, but for what never needs it (RFC 3986 section 2.3).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn a_discovery_record_is_a_server_and_perhaps_a_path() {
        for (value, settings) in [
            ("connect.host.example", Some("connect.host.example /v2/acme.test/settings")),
            (
                "api.host.example/client/v4/dns/domainconnect",
                Some("api.host.example /client/v4/dns/domainconnect/v2/acme.test/settings"),
            ),
            (" 127.0.0.1:8080/ ", Some("127.0.0.1:8080 /v2/acme.test/settings")),
            ("https://connect.host.example", None),
            ("user@connect.host.example", None),
            ("connect.host.example?x=", None),
            ("connect.host.example/a#b", None),
            ("connect.host.example/../admin", None),
            ("connect.host.example/%2e%2e/admin", None),
            ("connect.host.example\r\nX: y", None),
            ("a b", None),
            ("/v2", None),
            ("", None),
        ] {
            let found = Discovered::parse(value)
                .map(|found| format!("{} {}", found.authority, found.settings_path(&name("acme.test"))));
            assert_eq!(found.as_deref(), settings, "{value}");
        }
        assert_eq!(Discovered::parse(&"a".repeat(256)), None);
    }

    #[test]
    fn settings_are_read_and_bounded() {
        let zone = name("acme.test");
        let read = |json: &str| HostSettings::parse(json.as_bytes(), &zone);
        let good = read(
            r#"{"providerId":"host.example","providerName":"Host\u0007","providerDisplayName":"","urlSyncUX":"https://ux.example/",
                "urlAPI":"https://api.example/dc","width":750,"urlControlPanel":"https://panel.example/?d=%domain%",
                "nameServers":["a","b"],"more":{}}"#,
        )
        .unwrap();
        assert_eq!((good.name.as_str(), good.provider_id.as_str()), ("Host", "host.example"));
        assert_eq!(good.sync_ux.as_deref(), Some("https://ux.example"));
        assert_eq!(good.api, "https://api.example/dc");
        assert_eq!(good.control_panel.as_deref(), Some("https://panel.example/?d=acme.test"));
        let least = read(r#"{"providerId":"x","urlAPI":"https://a.example"}"#).unwrap();
        assert_eq!((least.name.as_str(), least.sync_ux), ("x", None));
        for wrong in [
            "",
            "<html>",
            "[]",
            r#"{"providerId":"x"}"#,
            r#"{"providerId":"","urlAPI":"https://a.example"}"#,
            r#"{"providerId":"x","urlAPI":["https://a.example"]}"#,
            r#"{"providerId":"x","urlAPI":" "}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let long = format!(r#"{{"providerId":"x","urlAPI":"https://{}"}}"#, "a".repeat(MOST_URL));
        assert_eq!(read(&long), None);
    }

    #[test]
    fn the_signature_is_the_last_and_everything_is_encoded() {
        let application = Application {
            zone: name("acme.test"),
            host: "mail".into(),
            groups: vec!["dkim".into(), "spf".into()],
            variables: [("key1".to_owned(), "A+/=".to_owned())].into(),
            redirect_uri: "https://mail.example.net/back".into(),
            state: "s t".into(),
        };
        let query = application.query();
        assert_eq!(
            query,
            "domain=acme.test&host=mail&key1=A%2B%2F%3D&groupId=dkim%2Cspf\
             &redirect_uri=https%3A%2F%2Fmail.example.net%2Fback&state=s%20t"
        );
        let template = TemplateId { provider: "Example.net".into(), service: "Three CNAMEs".into() };
        let link = link("https://ux.example/dc", &template, &query, "_dck1", "//4=");
        assert!(link.starts_with(
            "https://ux.example/dc/v2/domainTemplates/providers/Example.net/services/Three%20CNAMEs/apply?domain="
        ));
        assert!(link.ends_with("&key=_dck1&sig=%2F%2F4%3D"), "{link}");
        assert_eq!(template.file_name(), "example.net.three cnames.json");
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_key_are_short_and_come_to_the_key(key in "[A-Za-z0-9+/=]{0,900}") {
            let records = key_records(&key);
            let mut joined = String::new();
            for (number, record) in (1..).zip(&records) {
                prop_assert!(record.len() <= 255);
                let piece = record.strip_prefix(&format!("p={number},a=RS256,d=")).unwrap();
                joined.push_str(piece);
            }
            prop_assert_eq!(joined, key);
        }

        #[test]
        fn what_is_encoded_is_one_value(text in "\\PC{0,40}") {
            let encoded = encoded(&text);
            prop_assert!(encoded.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._~%".contains(&octet)));
        }

        #[test]
        fn nothing_that_a_host_says_is_too_much(body in proptest::collection::vec(any::<u8>(), 0..200), value in "\\PC{0,300}") {
            let _ = HostSettings::parse(&body, &name("acme.test"));
            if let Some(found) = Discovered::parse(&value) {
                prop_assert!(!found.settings_path(&name("acme.test")).contains(['?', '#', ' ', '@']));
            }
        }
    }
}

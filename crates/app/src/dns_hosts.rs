//! DNS hosts that records are written at: from a host's id and what its owner typed to an adapter.

use crate::{
    App,
    error::{Error, FieldError, Result},
    outbound::{Outbound, Reach, Session, Target},
};
use model::DomainName;
use providers::{
    Cloudflare, Desec, DigitalOcean, Gandi, Hetzner, Now, PowerDns, Rfc2136, Route53, Secret,
    rfc2136::KeyError,
};
use publish::ZoneProvider;
use std::{collections::BTreeMap, sync::Arc};

/// What a host asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostField {
    /// Its name in requests.
    pub name: &'static str,
    /// Whether it opens something: it is never shown.
    pub is_secret: bool,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// A host that records are written at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writable {
    /// Its id, as in `GET /dns-hosts`.
    pub host: &'static str,
    /// What it asks for.
    pub fields: &'static [HostField],
}

const fn secret(name: &'static str) -> HostField {
    HostField { name, is_secret: true, is_optional: false }
}

const fn plain(name: &'static str) -> HostField {
    HostField { name, is_secret: false, is_optional: false }
}

const fn optional(field: HostField) -> HostField {
    HostField { is_optional: true, ..field }
}

/// The hosts that records are written at.
pub const WRITABLE: &[Writable] = &[
    Writable { host: "cloudflare", fields: &[secret("token")] },
    Writable { host: "desec", fields: &[secret("token")] },
    Writable { host: "digitalocean", fields: &[secret("token")] },
    Writable { host: "gandi", fields: &[secret("token")] },
    Writable { host: "hetzner", fields: &[secret("token")] },
    Writable { host: "powerdns", fields: &[plain("url"), secret("key")] },
    Writable {
        host: "rfc2136",
        fields: &[plain("server"), plain("key_name"), optional(plain("algorithm")), secret("secret")],
    },
    Writable {
        host: "route53",
        fields: &[plain("access_key_id"), secret("secret_access_key"), optional(secret("session_token"))],
    },
];

/// The server that the fields name: of hosts of which everybody may have one. Two that write one server's address in two ways
/// have two; their changes are compared with the zone before each write all the same.
pub(crate) fn realm(host: &str, fields: &BTreeMap<String, Secret>) -> String {
    let address = match host {
        "powerdns" => fields.get("url"),
        "rfc2136" => fields.get("server"),
        _ => None,
    };
    let address = address.map(|address| address.expose().trim().to_ascii_lowercase()).unwrap_or_default();
    let address = address.trim_end_matches('/');
    address.strip_suffix("/api/v1").unwrap_or(address).trim_end_matches(['/', '.']).to_owned()
}

/// The hosts of which there is one, so that its API has an address of its own.
const WITH_API: &[&str] = &["cloudflare", "desec", "digitalocean", "gandi", "hetzner", "route53"];

/// Looks through the operator's addresses of APIs ([`crate::Settings::dns_host_apis`]). The error is the value that is
/// wrong, and what is wrong with it.
pub fn check_apis(apis: &BTreeMap<String, String>) -> std::result::Result<(), (String, String)> {
    for (host, address) in apis {
        if !WITH_API.contains(&host.as_str()) {
            return Err((host.clone(), format!("is no host with an API; known are {}", WITH_API.join(", "))));
        }
        let target = Target::parse(address, Reach::Anywhere)
            .map_err(|problem| (address.clone(), format!("of {host} {problem}")))?;
        if target.path() != "/" {
            return Err((
                address.clone(),
                format!("of {host} has a path, which is not kept; give the server alone"),
            ));
        }
    }
    Ok(())
}

/// The longest value of a field, in octets.
const MOST_VALUE: usize = 4_096;

impl App {
    /// The adapter of a host with what opens it. Nothing is asked of the host yet.
    ///
    /// # Errors
    /// `Invalid`: no such host, or fields that are missing, unknown or wrong. Values are never told.
    pub fn host_provider(
        &self,
        host: &str,
        fields: BTreeMap<String, Secret>,
    ) -> Result<Box<dyn ZoneProvider>> {
        let writable = WRITABLE.iter().find(|known| known.host == host).ok_or_else(|| unknown_host(host))?;
        check(writable, &fields)?;
        let fields = Fields(fields);
        match writable.host {
            "cloudflare" => self.cloudflare(&fields),
            "desec" | "digitalocean" | "gandi" | "hetzner" => self.by_token(writable.host, &fields),
            "powerdns" => self.powerdns(&fields),
            "route53" => self.route53(&fields),
            _ => self.rfc2136(&fields),
        }
    }

    fn cloudflare(&self, fields: &Fields) -> Result<Box<dyn ZoneProvider>> {
        let session = self.api_of("cloudflare", providers::cloudflare::ENDPOINT)?;
        Ok(Box::new(Cloudflare::new(Box::new(session), fields.get("token"), NOTE.to_owned())))
    }

    /// A connection to a host of which there is one: its address is ours or the operator's choice, and may be anywhere.
    fn api_of(&self, host: &str, usual: &str) -> Result<Session> {
        let address = self.settings.dns_host_apis.get(host).map_or(usual, String::as_str);
        let target = Target::parse(address, Reach::Anywhere)
            .map_err(|problem| Error::Internal(format!("dns_host_apis, {host} {problem}")))?;
        Ok(Outbound::new(Reach::Anywhere).session(target))
    }

    fn seconds(&self) -> Now {
        let clock = self.clock.clone();
        Arc::new(move || u64::try_from(clock.now().as_second()).unwrap_or_default())
    }

    fn route53(&self, fields: &Fields) -> Result<Box<dyn ZoneProvider>> {
        let session = self.api_of("route53", providers::route53::ENDPOINT)?;
        let token = Some(fields.get("session_token")).filter(|token| !token.is_empty());
        let id = fields.get("access_key_id").expose().to_owned();
        let secret = fields.get("secret_access_key");
        Ok(Box::new(Route53::new(Box::new(session), id, secret, token, self.seconds())))
    }

    /// Hosts of which there is one, and which ask for a token and nothing else.
    fn by_token(&self, host: &str, fields: &Fields) -> Result<Box<dyn ZoneProvider>> {
        let usual = match host {
            "desec" => providers::desec::ENDPOINT,
            "digitalocean" => providers::digitalocean::ENDPOINT,
            "gandi" => providers::gandi::ENDPOINT,
            _ => providers::hetzner::ENDPOINT,
        };
        let (session, token) = (Box::new(self.api_of(host, usual)?), fields.get("token"));
        Ok(match host {
            "desec" => Box::new(Desec::new(session, token)),
            "digitalocean" => Box::new(DigitalOcean::new(session, token)),
            "gandi" => Box::new(Gandi::new(session, token)),
            _ => Box::new(Hetzner::new(session, token, self.seconds())),
        })
    }

    fn powerdns(&self, fields: &Fields) -> Result<Box<dyn ZoneProvider>> {
        let outbound = &self.webhooks.outbound;
        let target = Target::parse(fields.get("url").expose(), outbound.reach())
            .map_err(|problem| Error::field("credential.url", problem))?;
        if target.has_query() {
            return Err(Error::field("credential.url", "has a ?; give the address of the server alone"));
        }
        let path = target.path().trim_end_matches('/').to_owned();
        let path = path.strip_suffix("/api/v1").unwrap_or(&path).to_owned();
        let session = outbound.session(target);
        Ok(Box::new(PowerDns::new(Box::new(session), fields.get("key"), &path)))
    }

    fn rfc2136(&self, fields: &Fields) -> Result<Box<dyn ZoneProvider>> {
        let way = self
            .webhooks
            .outbound
            .dns_way(fields.get("server").expose())
            .map_err(|problem| Error::field("credential.server", problem))?;
        let name = DomainName::parse(fields.get("key_name").expose())
            .map_err(|problem| Error::field("credential.key_name", problem.to_string()))?;
        let algorithm = fields.get("algorithm");
        let algorithm = if algorithm.is_empty() { "hmac-sha256" } else { algorithm.expose() };
        let algorithm = algorithm.parse().map_err(|problem: dns::tsig::UnknownAlgorithm| {
            Error::field("credential.algorithm", problem.to_string())
        })?;
        let provider = Rfc2136::new(Box::new(way), name, algorithm, &fields.get("secret"), self.seconds());
        let provider =
            provider.map_err(|problem: KeyError| Error::field("credential.secret", problem.to_string()))?;
        Ok(Box::new(provider))
    }
}

/// Written beside records, where hosts keep notes.
const NOTE: &str = "Countersign";

/// Fields that were looked through.
struct Fields(BTreeMap<String, Secret>);

impl Fields {
    /// One of them; empty where it was left out.
    fn get(&self, name: &str) -> Secret {
        self.0.get(name).cloned().unwrap_or_else(|| Secret::new(String::new()))
    }
}

fn unknown_host(host: &str) -> Error {
    let known: Vec<&str> = WRITABLE.iter().map(|known| known.host).collect();
    let host: String = host.chars().take(40).collect();
    Error::field("host", format!("nothing is written at \"{host}\" yet; possible are {}", known.join(", ")))
}

fn check(host: &Writable, fields: &BTreeMap<String, Secret>) -> Result<()> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| {
        errors.push(FieldError { field: format!("credential.{field}"), message });
    };
    for field in host.fields {
        match fields.get(field.name) {
            Some(value) if !value.is_empty() => {
                if value.expose().len() > MOST_VALUE || value.expose().contains(char::is_control) {
                    wrong(field.name, "is longer than any, or has a line break in it".to_owned());
                }
            }
            _ if field.is_optional => {}
            _ => wrong(field.name, "is missing".to_owned()),
        }
    }
    let names: Vec<&str> = host.fields.iter().map(|field| field.name).collect();
    for name in fields.keys().filter(|name| !names.contains(&name.as_str())) {
        let name: String = name.chars().take(40).collect();
        wrong(&name, format!("{} asks for {}", host.host, names.join(", ")));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(host: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let host = WRITABLE.iter().find(|known| known.host == host).unwrap();
        let secret = |value: &str| Secret::new(value.to_owned());
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect();
        match check(host, &fields) {
            Ok(()) => Vec::new(),
            Err(Error::Invalid(errors)) => {
                errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn servers_that_anybody_names_are_told_apart() {
        let of = |host: &str, name: &str, value: &str| {
            realm(host, &[(name.to_owned(), Secret::new(value.to_owned()))].into())
        };
        assert_eq!(of("powerdns", "url", "https://A.test:8081/api/v1/ "), "https://a.test:8081");
        assert_ne!(
            of("powerdns", "url", "https://b.test:8081"),
            of("powerdns", "url", "https://a.test:8081")
        );
        assert_eq!(of("rfc2136", "server", "Ns1.a.test."), "ns1.a.test");
        assert_eq!(of("cloudflare", "token", "s3cr3t"), "");
    }

    #[test]
    fn addresses_of_apis_are_looked_through() {
        let check = |host: &str, address: &str| check_apis(&[(host.to_owned(), address.to_owned())].into());
        assert_eq!(check("cloudflare", "https://cloudflare.egress.internal"), Ok(()));
        assert_eq!(check("route53", "http://127.0.0.1:5000/"), Ok(()));
        for (host, address, words) in [
            ("powerdns", "https://a.test", "known are cloudflare, desec, digitalocean"),
            ("cloudflare", "a.test", "no address"),
            ("cloudflare", "ftp://a.test", "https://"),
            ("cloudflare", "https://a.test/client/v4", "has a path"),
        ] {
            let (_, problem) = check(host, address).unwrap_err();
            assert!(problem.contains(words), "{host} {address}: {problem}");
        }
    }

    #[test]
    fn wrong_fields_are_named_and_their_values_are_not() {
        assert_eq!(checked("cloudflare", &[("token", "s3cr3t")]), [""; 0]);
        assert_eq!(
            checked("cloudflare", &[("tokne", "s3cr3t")]),
            ["credential.token: is missing", "credential.tokne: cloudflare asks for token"]
        );
        assert_eq!(checked("cloudflare", &[("token", " ")]), ["credential.token: is missing"]);
        assert!(checked("cloudflare", &[("token", "s3c\nr3t")])[0].contains("line break"));
        let key = [("server", "ns1.example.com"), ("key_name", "k"), ("secret", "s3cr3t")];
        assert_eq!(checked("rfc2136", &key), [""; 0], "the algorithm may be left out");
    }
}

//! What `serve` needs of the configuration beyond what `dev` does: nothing of it may be guessed, so each value that is
//! missing or does not fit is told with what to give.

use crate::{
    commands::check::resolvers,
    config::{Config, ConfigError, parse_resolvers},
};
use app::{RelayTls, Transport};
use diagnosis::inquiry::Policy;
use std::net::{IpAddr, SocketAddr};

/// The word for a platform that lets no mail out.
const SANDBOX: &str = "sandbox";

/// The settings of `serve`, read.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where accepted mail goes; `None` into the sandbox inbox.
    pub relay: Option<Transport>,
    /// Whom to ask when domains are verified, and how far to go.
    pub policy: Policy,
    /// Where our DNS server and SMTP listener are reached; empty for where they are bound.
    pub public_addresses: Vec<IpAddr>,
    /// Where browsers reach the dashboard; `None` where the listener itself is opened on this machine.
    pub public_url: Option<String>,
}

impl Serving {
    /// What `dev` has instead: our own DNS, which knows the playground, and the sandbox inbox.
    pub fn of_dev(dns: SocketAddr) -> Self {
        Self {
            relay: None,
            policy: Policy::for_resolvers(vec![dns]),
            public_addresses: Vec::new(),
            public_url: None,
        }
    }

    /// Reads and checks them.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        if config.platform_zone == Config::default().platform_zone {
            let problem = "this is the example zone; give the zone that you delegate to this server, such as \
                           send.example.com";
            return Err(wrong("platform_zone", &config.platform_zone, problem));
        }
        let relay = relay(config)?;
        if relay.is_some() && config.sender_addresses.iter().all(IpAddr::is_loopback) {
            let shown: Vec<_> = config.sender_addresses.iter().map(ToString::to_string).collect();
            let problem = "mail never leaves from such an address, and receivers would refuse what they cannot find \
                           here; give the addresses that the relay sends from";
            return Err(wrong("sender_addresses", &shown.join(", "), problem));
        }
        if config.public_addresses.is_empty() && config.dns.ip().is_unspecified() {
            let problem = "the DNS server listens at every address; say at which ones others reach it, such as \
                           [\"198.51.100.5\"]";
            return Err(wrong("public_addresses", "", problem));
        }
        Ok(Self {
            relay,
            policy: policy(config)?,
            public_addresses: config.public_addresses.clone(),
            public_url: public_url(config)?,
        })
    }
}

fn wrong(key: &'static str, value: &str, problem: &str) -> ConfigError {
    ConfigError::Value { key, value: value.to_owned(), problem: problem.to_owned() }
}

fn relay(config: &Config) -> Result<Option<Transport>, ConfigError> {
    let given = config.smtp_relay.as_str();
    let tls = match config.smtp_relay_tls.as_str() {
        "required" => RelayTls::Required,
        "opportunistic" => RelayTls::Opportunistic,
        "none" => RelayTls::None,
        other => {
            let problem = "give required, opportunistic or none";
            return Err(wrong("smtp_relay_tls", other, problem));
        }
    };
    match given {
        SANDBOX => return Ok(None),
        "" => {
            let problem = "say where mail goes: a relay such as \"relay.example.com:25\", or \"sandbox\" to let none out";
            return Err(wrong("smtp_relay", given, problem));
        }
        _ => {}
    }
    // The port is needed: without one an address of IPv6 cannot be told from a name with a port.
    let parts = given.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if port != 0 && is_host(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            Ok(Some(Transport::Relay { host, port, tls }))
        }
        _ => Err(wrong(
            "smtp_relay",
            given,
            "give a host and a port, such as relay.example.com:25 or [2001:db8::1]:25",
        )),
    }
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn policy(config: &Config) -> Result<Policy, ConfigError> {
    let mut resolvers = parse_resolvers("resolvers", &config.resolvers)?;
    if resolvers.is_empty() {
        resolvers = resolvers::of_this_machine().map_err(|problem| {
            let problem = problem.replace("--resolver ADDRESS", "resolvers = [\"9.9.9.9\"]");
            wrong("resolvers", "", &problem.replace("--resolver", "resolvers = [\"9.9.9.9\"]"))
        })?;
    }
    let own: Option<&SocketAddr> =
        resolvers.iter().find(|address| **address == config.dns && config.dns.port() != 0);
    if let Some(own) = own {
        let problem = "this is our own DNS server, which knows nothing but its own zone; name a resolver";
        return Err(wrong("resolvers", &own.to_string(), problem));
    }
    Ok(Policy { private_addresses: config.private_dns, ..Policy::for_resolvers(resolvers) })
}

/// The origin that browsers see. Passwords and sessions do not cross a network in plain text.
pub(crate) fn public_url(config: &Config) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "public_url";
    let given = config.public_url.trim_end_matches('/');
    if given.is_empty() {
        if config.http.ip().is_loopback() {
            return Ok(None);
        }
        let problem = "http is open to others; give the address by which browsers reach it through your proxy with \
                       TLS, such as https://mail.example.com";
        return Err(wrong(KEY, "", problem));
    }
    let (is_plain, authority) = match (given.strip_prefix("https://"), given.strip_prefix("http://")) {
        (Some(authority), _) => (false, authority),
        (_, Some(authority)) => (true, authority),
        _ => return Err(wrong(KEY, given, "it has to begin with https://")),
    };
    let is_authority = !authority.is_empty()
        && authority
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'));
    if !is_authority {
        return Err(wrong(
            KEY,
            given,
            "give a scheme and a host, nothing behind them: https://mail.example.com",
        ));
    }
    if is_plain && !web::is_this_machine(authority) {
        return Err(wrong(
            KEY,
            given,
            "passwords and sessions need TLS: give https://, and a proxy that has it",
        ));
    }
    Ok(Some(given.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            platform_zone: "send.example.net".into(),
            smtp_relay: "relay.example.net:25".into(),
            sender_addresses: vec!["198.51.100.7".parse().unwrap()],
            resolvers: vec!["9.9.9.9".into()],
            ..Config::default()
        }
    }

    #[test]
    fn what_fits_is_read() {
        let serving = Serving::read(&good()).unwrap();
        let relay = Transport::Relay { host: "relay.example.net".into(), port: 25, tls: RelayTls::Required };
        assert_eq!(serving.relay, Some(relay));
        assert!(!serving.policy.private_addresses);
        assert_eq!(serving.public_url, None);
        let six = Config { smtp_relay: "[2001:db8::1]:2525".into(), smtp_relay_tls: "none".into(), ..good() };
        let relay = Transport::Relay { host: "2001:db8::1".into(), port: 2525, tls: RelayTls::None };
        assert_eq!(Serving::read(&six).unwrap().relay, Some(relay));
        let sandbox = Config {
            smtp_relay: "sandbox".into(),
            sender_addresses: vec!["127.0.0.1".parse().unwrap()],
            public_url: "https://Mail.example.net/".into(),
            ..good()
        };
        let serving = Serving::read(&sandbox).unwrap();
        assert_eq!((serving.relay, serving.public_url.as_deref()), (None, Some("https://mail.example.net")));
    }

    #[test]
    fn each_wrong_setting_is_named_with_what_to_give() {
        let any: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let cases = vec![
            (
                Config { platform_zone: Config::default().platform_zone, ..good() },
                "platform_zone",
                "delegate",
            ),
            (Config { smtp_relay: String::new(), ..good() }, "smtp_relay", "relay.example.com:25"),
            (Config { smtp_relay: "relay.example.net".into(), ..good() }, "smtp_relay", "a host and a port"),
            (Config { smtp_relay: "relay example:25".into(), ..good() }, "smtp_relay", "a host and a port"),
            (Config { smtp_relay: "relay:0".into(), ..good() }, "smtp_relay", "a host and a port"),
            (Config { smtp_relay_tls: "maybe".into(), ..good() }, "smtp_relay_tls", "opportunistic"),
            (
                Config { sender_addresses: vec!["127.0.0.1".parse().unwrap()], ..good() },
                "sender_addresses",
                "relay",
            ),
            (Config { sender_addresses: Vec::new(), ..good() }, "sender_addresses", "relay"),
            (Config { dns: any, ..good() }, "public_addresses", "198.51.100.5"),
            (Config { resolvers: vec!["dns.example".into()], ..good() }, "resolvers", "IP address"),
            (Config { resolvers: vec!["127.0.0.1:5300".into()], ..good() }, "resolvers", "our own"),
            (Config { http: any, ..good() }, "public_url", "https://mail.example.com"),
            (Config { public_url: "http://mail.example.net".into(), ..good() }, "public_url", "TLS"),
            (Config { public_url: "mail.example.net".into(), ..good() }, "public_url", "https://"),
            (
                Config { public_url: "https://mail.example.net/x".into(), ..good() },
                "public_url",
                "nothing behind",
            ),
        ];
        for (config, key, words) in cases {
            let error = Serving::read(&config).unwrap_err().to_string();
            assert!(error.contains(&format!("{key} = ")) && error.contains(words), "{error}");
        }
    }
}

//! The name servers of the platform zone, and those of others that follow it, as the configuration writes them.

use crate::config::{Config, ConfigError};
use app::NameServer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dns::{
    authority::Secondary,
    tsig::{Algorithm, Key},
};
use model::DomainName;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The fewest octets of a secret that is worth the name: half of what HMAC-SHA256 makes.
const SHORTEST_SECRET: usize = 16;

/// The name servers, the first of them the one that the zone names as its origin; `ns1` at these addresses where the
/// configuration says nothing.
pub(crate) fn name_servers(
    config: &Config,
    zone: &DomainName,
    addresses: &[IpAddr],
) -> Result<Vec<NameServer>, ConfigError> {
    if config.name_servers.is_empty() {
        let name = zone.prepend("ns1").unwrap_or_else(|_| zone.clone());
        return Ok(vec![NameServer { name, addresses: addresses.to_vec(), follows: false }]);
    }
    let followers: Vec<IpAddr> = secondaries(config)?.iter().map(|other| other.address.ip()).collect();
    let mut servers: Vec<NameServer> = Vec::new();
    for text in &config.name_servers {
        let wrong =
            |problem: String| ConfigError::Value { key: "name_servers", value: text.clone(), problem };
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let name = DomainName::parse(name).map_err(|error| {
            wrong(format!("give a name and its addresses, such as \"ns1.{zone} 198.51.100.5\": {error}"))
        })?;
        let addresses = words
            .map(|word| word.parse().map_err(|_| wrong(format!("\"{word}\" is no address"))))
            .collect::<Result<Vec<IpAddr>, _>>()?;
        if addresses.is_empty() && name.is_at_or_below(zone) {
            return Err(wrong(format!(
                "it is in {zone} itself, so nobody can find it without its addresses; give them behind the name"
            )));
        }
        if servers.iter().any(|known| known.name == name) {
            return Err(wrong("it is there twice; give all its addresses behind one name".to_owned()));
        }
        let follows = addresses.iter().any(|address| followers.contains(address));
        servers.push(NameServer { name, addresses, follows });
    }
    Ok(servers)
}

/// The name servers that get the zone from here.
pub(crate) fn secondaries(config: &Config) -> Result<Vec<Secondary>, ConfigError> {
    config.secondaries.iter().map(|text| secondary(text)).collect()
}

fn secondary(text: &str) -> Result<Secondary, ConfigError> {
    // What stands behind the address is a secret.
    let shown = text.split_whitespace().next().unwrap_or_default().to_owned();
    let wrong = |problem: &str| ConfigError::Value {
        key: "secondaries",
        value: shown.clone(),
        problem: problem.to_owned(),
    };
    let mut words = text.split_whitespace();
    let address = words.next().unwrap_or_default();
    let address = match (address.parse::<IpAddr>(), address.parse::<SocketAddr>()) {
        (Ok(ip), _) => SocketAddr::new(ip, 53),
        (_, Ok(address)) => address,
        _ => {
            return Err(wrong(
                "give the address of a name server, such as 198.51.100.7 or 198.51.100.7:5353",
            ));
        }
    };
    let key = words.next().map(|key| {
        let form = "behind the address comes its key as name:algorithm:secret, such as transfer.example:hmac-sha256:BASE64";
        let mut parts = key.splitn(3, ':');
        let (Some(name), Some(algorithm), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong(form));
        };
        let name = DomainName::parse(name).map_err(|_| wrong(form))?;
        let algorithm: Algorithm = algorithm
            .parse()
            .map_err(|_| wrong("the key's algorithm is not known; take hmac-sha256, hmac-sha384 or hmac-sha512"))?;
        let secret = STANDARD.decode(secret).map_err(|_| wrong("the key's secret is not base64"))?;
        if secret.len() < SHORTEST_SECRET {
            return Err(wrong("the key's secret is too short; make one of 32 octets: openssl rand -base64 32"));
        }
        Ok(Arc::new(Key::new(name, algorithm, &secret)))
    });
    if words.next().is_some() {
        return Err(wrong("there is more than an address and a key"));
    }
    Ok(Secondary { address, key: key.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name_servers: &[&str], secondaries: &[&str]) -> Config {
        let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Config { name_servers: all(name_servers), secondaries: all(secondaries), ..Config::default() }
    }

    #[test]
    fn name_servers_are_read_and_what_is_missing_is_told() {
        let zone = DomainName::parse("send.example.com").unwrap();
        let own: Vec<IpAddr> = vec!["198.51.100.5".parse().unwrap()];
        let usual = name_servers(&with(&[], &[]), &zone, &own).unwrap();
        assert_eq!((usual[0].name.as_str(), &usual[0].addresses), ("ns1.send.example.com", &own));
        let given = ["ns1.send.example.com 198.51.100.5 2001:db8::5", "ns2.example.net"];
        let read = name_servers(&with(&given, &[]), &zone, &own).unwrap();
        assert_eq!(read.iter().map(|server| server.addresses.len()).collect::<Vec<_>>(), [2, 0]);
        for (wrong, told) in [
            ("ns1.send.example.com", "without its addresses"),
            ("ns1.send.example.com x", "\"x\" is no address"),
            ("a..b 192.0.2.1", "give a name and its addresses"),
            ("", "give a name and its addresses"),
        ] {
            let error = name_servers(&with(&[wrong], &[]), &zone, &own).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let twice = with(&["ns.example.net", "ns.example.net"], &[]);
        assert!(name_servers(&twice, &zone, &own).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn secondaries_are_read_and_no_secret_is_told() {
        let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
        let signed = format!("[2001:db8::7]:5353 transfer.example:hmac-sha256:{secret}");
        let read = secondaries(&with(&[], &["198.51.100.7", &signed])).unwrap();
        assert_eq!(read[0].address, "198.51.100.7:53".parse().unwrap());
        assert!(read[0].key.is_none() && read[1].key.is_some() && read[1].address.port() == 5353);
        for (wrong, told) in [
            (format!("ns2.example.net k:hmac-sha256:{secret}"), "give the address"),
            (format!("192.0.2.1 k:hmac-md5:{secret}"), "hmac-sha256"),
            (format!("192.0.2.1 k:{secret}"), "name:algorithm:secret"),
            (format!("192.0.2.1 k:hmac-sha256:{secret}%"), "not base64"),
            ("192.0.2.1 k:hmac-sha256:c2VjcmV0".to_owned(), "too short"),
            (format!("192.0.2.1 k:hmac-sha256:{secret} more"), "more than"),
        ] {
            let error = secondaries(&with(&[], &[&wrong])).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("c2Vj"), "{error}");
        }
    }
}

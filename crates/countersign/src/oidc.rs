//! What the configuration says of the provider that people log in at.

use crate::config::{Config, ConfigError};
use app::{
    oidc::{ProviderSettings, Secret, is_safe},
    store::Role,
};
use model::DomainName;
use std::fs;

fn wrong(key: &'static str, value: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { key, value: value.to_owned(), problem: problem.into() }
}

/// The provider, where one is named.
pub(crate) fn provider(config: &Config) -> Result<Option<ProviderSettings>, ConfigError> {
    let oidc = &config.oidc;
    if oidc.issuer.is_empty() {
        if !oidc.client_id.is_empty() {
            return Err(wrong(
                "oidc.issuer",
                "",
                "give the address of the provider, such as https://login.example.com",
            ));
        }
        return Ok(None);
    }
    if !is_safe(&oidc.issuer) || oidc.issuer.contains(['?', '#']) {
        let problem = "give the issuer as the provider says it, beginning with https://";
        return Err(wrong("oidc.issuer", &oidc.issuer, problem));
    }
    if oidc.client_id.is_empty() {
        return Err(wrong("oidc.client_id", "", "give what this platform is called at the provider"));
    }
    let mut allowed_domains = Vec::new();
    for domain in &oidc.allowed_domains {
        let parsed = DomainName::parse(domain);
        let parsed = parsed.map_err(|error| wrong("oidc.allowed_domains", domain, error.to_string()))?;
        allowed_domains.push(parsed.to_string());
    }
    let default_role = match oidc.default_role.as_str() {
        "" => Role::Viewer,
        word => Role::from_word(word)
            .ok_or_else(|| wrong("oidc.default_role", word, "give viewer, member, admin or owner"))?,
    };
    let organisation = match oidc.organisation.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| wrong("oidc.organisation", id, "give the id of one, org_…"))?),
    };
    let host = oidc.issuer.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    Ok(Some(ProviderSettings {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: secret(config)?,
        name: if oidc.name.is_empty() { host.to_owned() } else { oidc.name.clone() },
        allowed_domains,
        default_role,
        organisation,
        link_by_address: oidc.link_by_address,
    }))
}

fn secret(config: &Config) -> Result<Option<Secret>, ConfigError> {
    const KEY: &str = "oidc.client_secret_file";
    let (text, file) = (&config.oidc.client_secret, &config.oidc.client_secret_file);
    if file.as_os_str().is_empty() {
        return Ok((!text.is_empty()).then(|| Secret::new(text)));
    }
    let shown = file.to_string_lossy();
    if !text.is_empty() {
        return Err(wrong(KEY, &shown, "there is oidc.client_secret too; leave one of them out"));
    }
    let read = fs::read_to_string(file).map_err(|error| wrong(KEY, &shown, error.to_string()))?;
    match read.trim() {
        "" => Err(wrong(KEY, &shown, "the file is empty")),
        secret => Ok(Some(Secret::new(secret))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OidcConfig;

    fn of(change: impl FnOnce(&mut OidcConfig)) -> Result<Option<ProviderSettings>, String> {
        let mut oidc = OidcConfig {
            issuer: "https://login.example.com/acme".into(),
            client_id: "us".into(),
            ..OidcConfig::default()
        };
        change(&mut oidc);
        provider(&Config { oidc, ..Config::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let good = of(|_| {}).unwrap().unwrap();
        assert_eq!((&*good.name, good.default_role), ("login.example.com", Role::Viewer));
        assert!(of(|oidc| *oidc = OidcConfig::default()).unwrap().is_none());
        let refused = |change: fn(&mut OidcConfig)| of(change).unwrap_err();
        for (error, words) in [
            (refused(|oidc| oidc.issuer.clear()), "oidc.issuer"),
            (refused(|oidc| oidc.issuer = "http://login.example.com".into()), "https://"),
            (refused(|oidc| oidc.client_id.clear()), "oidc.client_id"),
            (refused(|oidc| oidc.allowed_domains = vec!["@acme".into()]), "oidc.allowed_domains"),
            (refused(|oidc| oidc.default_role = "boss".into()), "oidc.default_role"),
            (refused(|oidc| oidc.organisation = "acme".into()), "oidc.organisation"),
            (refused(|oidc| oidc.client_secret_file = "/nowhere/at/all".into()), "oidc.client_secret_file"),
        ] {
            assert!(error.contains(words), "{error}");
        }
        let both = of(|oidc| {
            oidc.client_secret = "hush".into();
            oidc.client_secret_file = "/nowhere/at/all".into();
        });
        assert!(!both.unwrap_err().contains("hush"));
        let shown = format!("{:?}", of(|oidc| oidc.client_secret = "hush".into()).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}

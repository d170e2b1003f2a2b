//! What may be added as a sender domain.

use crate::{DomainName, DomainNameError, EmailAddress};
use psl::Psl;
use serde::Serialize;

/// A domain name that a customer may send from: not a public suffix, not a free-mail domain, not an IP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SenderDomain(DomainName);

/// Why a domain cannot be a sender domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SenderDomainError {
    /// It is not a domain name.
    #[error(transparent)]
    Name(#[from] DomainNameError),
    /// A label that host names cannot have (underscore, wildcard).
    #[error(
        "\"{0}\" names a record, not a domain that mail can come from; give the domain behind the part with _ or *"
    )]
    NotAHost(DomainName),
    /// Only one label, such as `localhost`.
    #[error("\"{0}\" is a single label; give a full domain such as mail.example.com")]
    SingleLabel(DomainName),
    /// Nobody can own it (public suffix list).
    #[error(
        "\"{0}\" is a public suffix: domains are registered under it and nobody sends mail from it; give your own domain, such as example.{0}"
    )]
    PublicSuffix(DomainName),
    /// Only its owner can sign for it.
    #[error(
        "\"{0}\" belongs to a mailbox provider: only that provider can sign mail for it. Use a domain of your own; a company domain whose mail is hosted there is fine"
    )]
    FreeMail(DomainName),
}

/// Domains where everyone may have a mailbox, so that no customer can prove control. Registrable domains; names
/// below them are refused too.
const FREE_MAIL: &[&str] = &[
    "126.com",
    "163.com",
    "aim.com",
    "aol.com",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bol.com.br",
    "btinternet.com",
    "comcast.net",
    "cox.net",
    "duck.com",
    "fastmail.com",
    "fastmail.fm",
    "foxmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hey.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.es",
    "hotmail.fr",
    "hotmail.it",
    "hushmail.com",
    "icloud.com",
    "inbox.com",
    "inbox.ru",
    "laposte.net",
    "libero.it",
    "list.ru",
    "live.co.uk",
    "live.com",
    "live.de",
    "live.fr",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "ntlworld.com",
    "o2.pl",
    "onet.pl",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "outlook.es",
    "outlook.fr",
    "pm.me",
    "posteo.de",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "sina.com",
    "sky.com",
    "sohu.com",
    "t-online.de",
    "terra.com.br",
    "tuta.com",
    "tuta.io",
    "tutanota.com",
    "tutanota.de",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "virginmedia.com",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yahoo.ca",
    "yahoo.co.id",
    "yahoo.co.in",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.com.ar",
    "yahoo.com.au",
    "yahoo.com.br",
    "yahoo.com.mx",
    "yahoo.de",
    "yahoo.es",
    "yahoo.fr",
    "yahoo.in",
    "yahoo.it",
    "yandex.com",
    "yandex.ru",
    "ya.ru",
    "yeah.net",
    "ymail.com",
    "zoho.com",
    "zohomail.com",
    "ziggo.nl",
];

impl SenderDomain {
    /// Parses a domain, or a contact e-mail address, of which the domain part is taken exactly as it is.
    pub fn parse(input: &str) -> Result<Self, SenderDomainError> {
        let text = input.trim();
        let name = match EmailAddress::parse(text) {
            Ok(address) => address.domain().clone(),
            Err(_) => DomainName::parse(text)?,
        };
        if name.as_str().contains(['_', '*']) {
            return Err(SenderDomainError::NotAHost(name));
        }
        if name.label_count() < 2 {
            return Err(SenderDomainError::SingleLabel(name));
        }
        let Some(registrable) = registrable_domain(&name) else {
            return Err(SenderDomainError::PublicSuffix(name));
        };
        if FREE_MAIL.contains(&registrable.as_str()) {
            return Err(SenderDomainError::FreeMail(name));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn name(&self) -> &DomainName {
        &self.0
    }

    /// Whether this is a registrable domain itself, for which a subdomain would be the better choice.
    pub fn is_apex(&self) -> bool {
        registrable_domain(&self.0).as_ref() == Some(&self.0)
    }
}

/// The part of a name that its owner registered (public suffix and one label), or `None` for a suffix itself.
///
/// A guess for people's eyes and for refusing suffixes: where a zone is really cut only DNS can tell, and DMARC
/// finds the organizational domain by its tree walk (RFC 9989 §4.10).
pub fn registrable_domain(name: &DomainName) -> Option<DomainName> {
    let domain = psl::List.domain(name.as_str().as_bytes())?;
    let length = domain.as_bytes().len();
    name.ancestors().find(|ancestor| ancestor.as_str().len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> SenderDomainError {
        SenderDomain::parse(text).unwrap_err()
    }

    #[test]
    fn sender_domains_are_taken_from_names_and_addresses() {
        assert_eq!(SenderDomain::parse("Mail.Acme.TEST.").unwrap().name().as_str(), "mail.acme.test");
        assert_eq!(
            SenderDomain::parse("ops@Notices.example.co.uk").unwrap().name().as_str(),
            "notices.example.co.uk"
        );
        assert!(SenderDomain::parse("example.co.uk").unwrap().is_apex());
        assert!(!SenderDomain::parse("mail.example.co.uk").unwrap().is_apex());
    }

    #[test]
    fn what_nobody_can_prove_is_refused() {
        assert!(matches!(refused("co.uk"), SenderDomainError::PublicSuffix(_)));
        assert!(matches!(refused("github.io"), SenderDomainError::PublicSuffix(_)));
        assert!(matches!(refused("gmail.com"), SenderDomainError::FreeMail(_)));
        assert!(matches!(refused("someone@GoogleMail.com"), SenderDomainError::FreeMail(_)));
        assert!(matches!(refused("localhost"), SenderDomainError::SingleLabel(_)));
        assert!(matches!(refused("_dmarc.example.com"), SenderDomainError::NotAHost(_)));
        assert!(matches!(refused("192.0.2.7"), SenderDomainError::Name(DomainNameError::IpAddress(_))));
        assert!(matches!(
            refused("https://example.com/"),
            SenderDomainError::Name(DomainNameError::LooksLikeUrl { .. })
        ));
    }
}

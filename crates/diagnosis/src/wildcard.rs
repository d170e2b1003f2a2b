//! Wildcards: whether an answer is a record at its name, or was made up for it (RFC 4592).
//!
//! A wildcard answers for every name below it that does not exist, so what it says at a selector proves nothing of
//! the selector. Two names that nobody has made tell: one *beside* the name, which a wildcard that covers the name
//! covers too, and one *below* it. Where the record itself is there, it is the closest encloser of the one below,
//! and the wildcard further up does not cover that any more (RFC 4592 §2.2.1); where the record is not there, it
//! does.
//!
//! The label of those names is a hash of the sender domain and the name, since nothing here knows randomness: the
//! same plan asks the same questions, and the same observation makes the same report. No security rests on it: who
//! makes a record at that very name deceives nobody but himself.

use crate::{
    observation::Says,
    view::{Fact, View},
};
use model::{DomainName, RecordData, RecordType};

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The name itself has the record, or nothing shows that it has not.
    Own,
    /// A wildcard answers the same beside it; the question below it had no answer.
    Unsure,
    /// A wildcard: it answers the same beside the name and below it.
    Wildcard,
}

/// A name beside `name` that nobody has made. `None` for the root.
pub fn beside(domain: &DomainName, name: &DomainName) -> Option<DomainName> {
    below(domain, &name.parent()?)
}

/// The same name as [`beside`] makes.
pub fn beside_in(view: &View, domain: &DomainName, name: &DomainName) -> Option<DomainName> {
    view.unmade_below(domain, &name.parent()?)
}

/// A name below `name` that nobody has made. `None` where it would be too long.
pub fn below(domain: &DomainName, name: &DomainName) -> Option<DomainName> {
    name.prepend(&label(domain, name)).ok()
}

/// FNV-1a, 64 bits, as hexadecimal digits: the standard library's hashes are not the same in every version.
fn label(domain: &DomainName, parent: &DomainName) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let octets = domain.as_str().bytes().chain([0]).chain(parent.as_str().bytes());
    let hash = octets.fold(OFFSET, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(PRIME));
    let digits = hash.to_be_bytes().into_iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    let mut label = String::with_capacity(17);
    label.push('w');
    label.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    label
}

/// Whether a wildcard answers beside a name as it answers at the name: then the name below has to be asked too.
pub fn is_covered(view: &View, domain: &DomainName, name: &DomainName, record_type: RecordType) -> bool {
    // Most often nothing to compare with was asked at all.
    view.was_asked(name, record_type)
        && beside_in(view, domain, name).is_some_and(|beside| is_covered_by(view, name, &beside, record_type))
}

/// The same where the name beside it is known.
pub fn is_covered_by(view: &View, name: &DomainName, beside: &DomainName, record_type: RecordType) -> bool {
    if !view.has_any(beside, record_type) {
        return false;
    }
    match view.fact(name, record_type).says() {
        Some(here @ (Says::Records(_) | Says::Alias { .. })) => is_same(view, here, beside, record_type),
        _ => false,
    }
}

/// Where the answer at a name comes from, as far as was asked.
pub fn origin(view: &View, domain: &DomainName, name: &DomainName, record_type: RecordType) -> Origin {
    if !is_covered(view, domain, name, record_type) {
        return Origin::Own;
    }
    let Some(below) = below(domain, name) else { return Origin::Unsure };
    match (view.fact(&below, record_type), view.fact(name, record_type)) {
        (Fact::Unknown(_) | Fact::Stale(_), _) => Origin::Unsure,
        (_, Fact::Agreed(here) | Fact::Stale(here)) if is_same(view, here, &below, record_type) => {
            Origin::Wildcard
        }
        _ => Origin::Own,
    }
}

/// Whether the same is said of another name.
fn is_same(view: &View, here: &Says, other: &DomainName, record_type: RecordType) -> bool {
    match (here, view.fact(other, record_type).says()) {
        (Says::Records(here), Some(Says::Records(there))) => {
            here == there || (is_address(here) && here.iter().any(|data| there.contains(data)))
        }
        (Says::Alias { target: here, .. }, Some(Says::Alias { target: there, .. })) => here == there,
        _ => false,
    }
}

/// Name servers that balance load give some of their addresses at a time.
fn is_address(records: &[RecordData]) -> bool {
    records.iter().all(|data| matches!(data, RecordData::A(_) | RecordData::Aaaa(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_share_a_name_beside_them_and_every_domain_has_its_own() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let domain = name("mail.acme.test");
        let of = |owner: &str| beside(&domain, &name(owner)).unwrap();
        assert_eq!(of("a._domainkey.mail.acme.test"), of("b._domainkey.mail.acme.test"));
        assert_eq!(of("a._domainkey.mail.acme.test").as_str(), "wea1d049ac56d0313._domainkey.mail.acme.test");
        assert_ne!(
            beside(&name("acme.test"), &name("mail.acme.test")),
            beside(&domain, &name("mail.acme.test"))
        );
        assert_eq!(beside(&domain, &DomainName::root()), None);
        assert!(below(&domain, &domain).unwrap().is_below(&domain));
    }
}

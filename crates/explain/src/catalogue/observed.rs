//! Words for what only a look from several sides shows: wildcards, delegations, signatures, resolvers, slips of the
//! hand.

use super::guide::{point, say};
use crate::{
    paste::{Point, Step},
    shown::{self, list, value},
    verdict::capital,
};
use diagnosis::{Defect, finding::NotHost, slip::Slip};
use model::DomainName;

/// What was seen, in one line; `None` for defects that are told elsewhere.
pub(super) fn title(defect: &Defect) -> Option<String> {
    Some(match defect {
        Defect::WildcardAnswers { name, record_type, found } => format!(
            "A wildcard answers for {} with {record_type} {}; the record itself is not there",
            n(name),
            list(found)
        ),
        Defect::WildcardShadowed { name, record_types, .. } => format!(
            "A wildcard answers {} for {}, and will not any more once these records are there",
            list(record_types),
            n(name)
        ),
        Defect::AliasTargetMissing { name, missing, .. } => {
            format!("{} is an alias, and {} at its end does not exist", n(name), n(missing))
        }
        Defect::CnameAtApex { name, .. } => {
            format!("A CNAME is asked for at {}, the top of its zone, and none can be there", n(name))
        }
        Defect::MxExchangeMissing { name, exchange } => {
            format!("Mail for {} goes to {}, which has no address", n(name), n(exchange))
        }
        Defect::MxExchangeAlias { name, exchange, .. } => {
            format!("Mail for {} goes to {}, which is an alias", n(name), n(exchange))
        }
        Defect::MxNull { name, .. } => format!("{} says that it takes no mail (MX 0 .)", n(name)),
        Defect::DomainSendsNoMail { name, declared } => {
            format!("{} is declared as sending no mail ({})", n(name), list(declared))
        }
        Defect::CnameSeveral { name, targets } => {
            format!("{} has {} CNAME records where one may be: {}", n(name), targets.len(), list(targets))
        }
        Defect::MxExchangeZoneAppended { name, found, zone, .. } => {
            format!("Mail for {} goes to {}: {} was added behind the exchanger", n(name), n(found), n(zone))
        }
        Defect::MxExchangeNotHost { name, found, kind, .. } => {
            format!(
                "Mail for {} goes to {}, which is {} and no host name",
                n(name),
                n(found),
                not_host(*kind)
            )
        }
        Defect::DelegationMismatch { zone, parent, child } => {
            format!("{} is delegated to {}, and names {} itself", n(zone), list(parent), list(child))
        }
        Defect::ZoneNotDelegated { zone, delegated, edited, .. } => format!(
            "The records are at {}, but {} is delegated to {}",
            list(edited),
            n(zone),
            list(delegated)
        ),
        Defect::DnssecBogus { zone, reason, .. } => match reason {
            Some(reason) => format!("DNSSEC of {} is broken: {}", n(zone), value(reason)),
            None => format!("DNSSEC of {} looks broken: validating resolvers refuse it", n(zone)),
        },
        Defect::ResolversUnusable { .. } => "No resolver could be used: nothing was found out".to_owned(),
        Defect::ZoneUnserved { zone, .. } => format!("No server answers for {}", n(zone)),
        Defect::TxtCutOff { name, found_length, expected_length } => {
            format!("The TXT value at {} ends after {found_length} of {expected_length} characters", n(name))
        }
        Defect::TxtWhiteSpace { name, .. } => {
            format!("The TXT value at {} has white space around it", n(name))
        }
        Defect::CnameTargetUrl { name, found, .. } => {
            format!("{} points at a web address: {}", n(name), n(found))
        }
        Defect::GlueMismatch { zone, host, glue, addresses } => format!(
            "The zone above {} gives {} for {}, which has {}",
            n(zone),
            list(glue),
            n(host),
            list(addresses)
        ),
        other => return delegation_title(other),
    })
}

/// The same for zones that are delegated to us.
fn delegation_title(defect: &Defect) -> Option<String> {
    Some(match defect {
        Defect::DelegationMissing { zone, name_server } => {
            format!("{} is not delegated to {}", n(zone), n(name_server))
        }
        Defect::DelegationIncomplete { zone, missing, found } => {
            format!("{} is delegated to {}, and not to {}", n(zone), list(found), n(missing))
        }
        Defect::DelegationElsewhere { zone, others, ours } if ours.is_empty() => {
            format!("{} is delegated to {}, which this domain was not given", n(zone), list(others))
        }
        Defect::DelegationElsewhere { zone, others, .. } => {
            format!("{} is delegated to {} too, which this domain was not given", n(zone), list(others))
        }
        Defect::DelegationAlias { zone, target } => {
            format!("{} is an alias for {}, where the delegation should be", n(zone), n(target))
        }
        Defect::DelegationSigned { zone } => {
            format!("A DS record at {} promises signatures, and the zone has none", n(zone))
        }
        Defect::DelegationHidden { zone, servers } => {
            let servers: Vec<String> = servers.iter().map(shown::server).collect();
            format!("{} answers for {} itself, and nobody gets to our name servers", list(&servers), n(zone))
        }
        Defect::DelegationUneven { zone, without, .. } => {
            let without: Vec<String> = without.iter().map(shown::server).collect();
            format!("{} does not know of the delegation of {} yet", list(&without), n(zone))
        }
        Defect::SubZoneNotServed { zone, names } => {
            format!("Our name servers do not serve all of {}: {}", n(zone), list(names))
        }
        Defect::DelegationCovered { zone, above } => {
            format!("{} is in {}, which is delegated to this platform as a whole", n(zone), n(above))
        }
        Defect::DelegationHidesRecords { zone, records } => {
            let records: Vec<String> = records.iter().map(ToString::to_string).collect();
            format!("Once {} is delegated, nobody sees these records any more: {}", n(zone), list(&records))
        }
        _ => return None,
    })
}

/// What has to be said before the steps of the remedy.
pub(super) fn before(defect: &Defect) -> Vec<Step> {
    match defect {
        Defect::WildcardAnswers { .. } => vec![Step::Point(Point {
            say: "Add the record with its full host, as below. The wildcard may stay: it goes on answering for names without records of their own, and no longer for this one.".to_owned(),
            each: "Add each record with its full host, as below. The wildcard may stay: it goes on answering for names without records of their own, and no longer for these".to_owned(),
            what: None,
            column: None,
        })],
        Defect::AliasTargetMissing { .. } => {
            vec![say(
                "An alias stands for everything at its name, so it has to go before the record can be there.",
            )]
        }
        Defect::CnameAtApex { .. } => vec![
            say("Do not add it, and delete nothing for it: the records that are there keep the zone working."),
            say("The service has to name a subdomain for the alias, or a record of another type."),
        ],
        Defect::DelegationMissing { .. } => vec![say(
            "Add the NS records in the zone of the domain. Where the panel offers to make a zone for the subdomain, do not: nobody would get to our name servers.",
        )],
        Defect::DelegationAlias { .. } => vec![say(
            "An alias stands for everything at its name. If somebody needs it, add another subdomain here instead.",
        )],
        Defect::DelegationSigned { .. } => {
            vec![say("The domain itself may stay signed; only the DS record of the subdomain has to go.")]
        }
        Defect::MxNull { .. } => {
            vec![say("Delete the MX record with the dot: it may not stand beside another one.")]
        }
        Defect::MxExchangeNotHost { .. } => vec![say(
            "Enter the name of the host, as below: an MX record takes no address.",
        )],
        Defect::TxtCutOff { .. } => vec![say(
            "Paste the whole value. Where the panel takes no more than 255 characters in one field, split it into parts of 255, each in quotation marks.",
        )],
        Defect::TxtWhiteSpace { .. } => vec![say(
            "Delete what is in the field, and type the first and the last character of the value yourself: what stands around it is not always seen.",
        )],
        Defect::CnameTargetUrl { expected, .. } => vec![point(
            "Enter the name of the host only, without http:// or https:// and without a path",
            "Enter the names of the hosts only, without http:// or https:// and without a path",
            None,
            value(&expected.to_string()),
        )],
        Defect::RecordMisplaced { slip, .. } => slip_words(*slip).map(say).into_iter().collect(),
        Defect::MxExchangeMissing { exchange, .. } | Defect::MxExchangeAlias { exchange, .. } => {
            vec![point(
                "Compare the exchanger with the value that was given for this record, letter by letter",
                "Compare each exchanger with the value that was given for its record, letter by letter",
                Some("Exchanger now"),
                n(exchange),
            )]
        }
        _ => Vec::new(),
    }
}

fn not_host(kind: NotHost) -> &'static str {
    match kind {
        NotHost::IpAddress => "an IP address",
        NotHost::Url => "a web address",
        NotHost::MailAddress => "a mail address",
    }
}

fn slip_words(slip: Slip) -> Option<&'static str> {
    Some(match slip {
        Slip::ZoneDoubled => "The panel adds the zone by itself: enter only the part in front of it.",
        Slip::SubdomainDoubled => "The subdomain is in the name twice.",
        Slip::SubdomainDropped => "The subdomain is not in the name: it belongs into the host field too.",
        Slip::HostLeftOut => {
            "The host field was left empty or @: the record is at the domain itself. What else is there stays."
        }
        Slip::OtherSubdomain => "The record is below another subdomain.",
        Slip::UnderscoreLost => "The underscore is not in the name. It is part of it.",
        Slip::DomainkeyDoubled => {
            "_domainkey is in the name twice: where the form asks for the selector, enter only that."
        }
        Slip::DomainkeyLost => "_domainkey is not in the name. It is part of it.",
        Slip::SelectorOnly => "Only the first part of the name was entered.",
        Slip::DotsEscaped => {
            "The dots of the name have become part of one label: the panel took the name for one word."
        }
        Slip::FinalDotKept => "The final dot has become part of the name: leave it out.",
        Slip::SpaceKept => "A space has become part of the name.",
        Slip::Other => return None,
    })
}

/// The steps for a zone whose delegation or name servers are at fault; `None` for defects that are told elsewhere.
pub(super) fn name_servers(defect: &Defect) -> Option<Vec<Step>> {
    Some(match defect {
        Defect::DelegationMismatch { zone, parent, child } => vec![
            say(format!(
                "The zone above {} names: {}. The zone itself names: {}.",
                n(zone),
                list(parent),
                list(child)
            )),
            say(
                "At the registrar, enter the name servers that your DNS host gives for the zone, all of them and no others.",
            ),
            say("At the DNS host, look that the NS records of the zone itself are the same."),
        ],
        Defect::ZoneNotDelegated { zone, delegated, edited, names } => vec![
            say(format!("Only {} have {}; nobody asks them.", list(edited), list(names))),
            say(format!("Either enter the records at the DNS host that {} belongs to.", list(delegated))),
            say(format!(
                "Or, if the zone was meant to move: at the registrar of {}, set the name servers to {}, and look first that every other record of the zone is there too.",
                n(zone),
                list(edited)
            )),
        ],
        Defect::DelegationHidden { zone, .. } => vec![
            say(format!(
                "At the DNS host, delete the zone that was made for {}. Look first that nothing in it is in use.",
                n(zone)
            )),
            say("Add the NS records in the zone of the domain, as shown."),
        ],
        Defect::DelegationCovered { zone, above } => vec![
            say(format!("Find out who delegated {} to this platform, and whether that is needed.", n(above))),
            say(format!(
                "If it is not: delete the NS records of {} in the zone that delegates it. Those of {} count again then.",
                n(above),
                n(zone)
            )),
            say(format!("If it is: send from {}, and delete {} here.", n(above), n(zone))),
        ],
        Defect::GlueMismatch { host, glue, addresses, .. } => vec![
            say(format!("At the registrar, find the host record of {}. It says {}.", n(host), list(glue))),
            say(format!("Set it to {}, the addresses that the host has.", list(addresses))),
        ],
        _ => return None,
    })
}

/// The steps for broken signatures.
pub(super) fn dnssec(defect: &Defect, zone: &DomainName) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Defect::DnssecBogus { names, resolvers, .. } = defect
        && !names.is_empty()
    {
        let resolvers: Vec<String> = resolvers.iter().map(shown::server).collect();
        steps.push(say(format!("{} refused {}.", capital(&list(&resolvers)), list(names))));
    }
    steps.push(say(format!(
        "At the DNS host, look whether {} is signed, and have it signed anew where it is.",
        n(zone)
    )));
    steps.push(say(format!(
        "At the registrar, compare the DS record of {} with the one that the DNS host gives. After a move to another DNS host the old one is often still there: remove it, or replace it.",
        n(zone)
    )));
    steps
}

/// What to do where nothing is to be changed.
pub(super) fn nothing(defect: &Defect) -> Option<Vec<Step>> {
    if let Defect::DomainSendsNoMail { .. } = defect {
        return Some(vec![
            say(
                "Ask whoever published that whether it still holds: it was made to keep others from using the name.",
            ),
            say(
                "To send from it all the same: an SPF record with the senders takes the place of v=spf1 -all, and an MX record of a host that takes replies that of the dot.",
            ),
        ]);
    }
    if let Defect::DelegationHidesRecords { zone, .. } = defect {
        return Some(vec![
            say(format!(
                "Find out whether anybody uses them, and what else is below {}: only usual names were looked at.",
                n(zone)
            )),
            say("If somebody does: add another subdomain here, one without records, in place of this one."),
            say("If nobody does: nothing has to be done before the NS records are added."),
        ]);
    }
    let Defect::WildcardShadowed { name, found, .. } = defect else { return None };
    Some(vec![
        say(format!(
            "If nobody uses {} as a website or for mail of its own, nothing has to be done.",
            n(name)
        )),
        say(format!(
            "If somebody does: before you publish the records, add at {} what the wildcard answers now: {}.",
            n(name),
            list(found)
        )),
    ])
}

/// The reasons that a finding about silence holds.
pub(super) fn reasons(defect: &Defect) -> &[String] {
    match defect {
        Defect::ResolversUnusable { reasons } | Defect::ZoneUnserved { reasons, .. } => reasons,
        _ => &[],
    }
}

/// Names in answers are ASCII with escapes, but may be 1,000 characters of them.
fn n(name: &DomainName) -> String {
    value(&name.to_string())
}

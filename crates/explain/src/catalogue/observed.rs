//! Words for what only a look from several sides shows: wildcards, delegations, signatures, resolvers, slips of the
//! hand.

use super::{
    Page,
    guide::{point, say},
};
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

pub(super) const PAGES: &[Page] = &[
    Page {
        code: "wildcard_answers",
        title: "A wildcard answers in place of the record",
        what: "The name gets the same answer as names that nobody has made: a wildcard (*) record gives it, and the record itself is not there.",
        why: "What a wildcard says is the same for every name, so it proves nothing, and it goes as soon as another record is made beside it.",
        how: &[
            "Add the record itself. The wildcard may stay: it goes on answering for names without records of their own, and no longer for this one.",
        ],
        references: &["RFC 4592 §2.2.1", "RFC 4592 §3.3.1"],
    },
    Page {
        code: "wildcard_shadowed",
        title: "A wildcard will not cover the domain any more",
        what: "A wildcard (*) record answers for the sender domain now. With these records the name exists, and a wildcard answers only for names that do not.",
        why: "A website or mailboxes that are reached by way of the wildcard stop working, though nothing was deleted.",
        how: &[
            "Find out whether anybody uses the name for more than sending.",
            "If so, add the address or MX records that the wildcard gives now, at the name itself, before you publish.",
        ],
        references: &["RFC 4592 §2.2.2"],
    },
    Page {
        code: "alias_target_missing",
        title: "The name is an alias for nothing",
        what: "A CNAME is at the name where another record belongs, and the name that it leads to does not exist.",
        why: "An alias stands for everything at its name. Whoever asks for the record finds nothing (NXDOMAIN).",
        how: &["Delete the CNAME.", "Add the record shown."],
        references: &["RFC 1034 §3.6.2", "RFC 6604 §3"],
    },
    Page {
        code: "mx_exchange_missing",
        title: "The mail exchanger has no address",
        what: "The MX record is as it should be, and the host that it names has neither an A nor an AAAA record.",
        why: "Nobody can hand over bounces, so addresses that bounce keep getting mail.",
        how: &[
            "Compare the exchanger with the value that was given.",
            "If it is the same, the operator of the sending service has to give the host an address.",
        ],
        references: &["RFC 5321 §5.1"],
    },
    Page {
        code: "mx_exchange_alias",
        title: "The mail exchanger is an alias",
        what: "The MX record names a host that is a CNAME.",
        why: "An exchanger has to have addresses of its own. Most servers follow the alias, some refuse.",
        how: &["The operator of the exchanger has to put A and AAAA records in the place of the alias."],
        references: &["RFC 2181 §10.3", "RFC 5321 §5.1"],
    },
    Page {
        code: "mx_null",
        title: "The name says that it takes no mail",
        what: "The MX record is a dot with the preference 0: a null MX.",
        why: "Bounces and replies are not even tried, and some receivers refuse mail from such a name.",
        how: &["Replace the record by the one shown."],
        references: &["RFC 7505 §3", "RFC 7505 §4"],
    },
    Page {
        code: "delegation_mismatch",
        title: "The zone and the zone above it name different servers",
        what: "The NS records that the registrar has put into the zone above are not those in the zone itself.",
        why: "Resolvers begin with one list and some go on with the other. A server that is on one list only is easily forgotten, and then some look-ups fail or get old answers.",
        how: &[
            "At the registrar, enter the name servers that your DNS host gives.",
            "At the DNS host, make the NS records of the zone the same.",
        ],
        references: &["RFC 1034 §4.2.2", "RFC 1912 §2.8"],
    },
    Page {
        code: "zone_not_delegated",
        title: "The zone that was edited is not the one that counts",
        what: "The records are at name servers that the registrar does not name, and are missing at those that it names.",
        why: "Resolvers go where the registrar sends them. What is entered at another DNS host is never seen.",
        how: &[
            "Look at the registrar which name servers the domain has.",
            "Enter the records at the DNS host that those belong to.",
            "Or set the name servers at the registrar to those of the DNS host you have edited, once the whole zone is there.",
        ],
        references: &["RFC 1034 §4.2.1", "RFC 1912 §2.8"],
    },
    Page {
        code: "dnssec_bogus",
        title: "DNSSEC is broken",
        what: "A resolver that validates refuses the zone's answers, and hands them out when it is asked not to validate.",
        why: "Every receiver that validates finds no record at all and defers the mail. It counts as unknown, not as missing: a verified domain stays verified.",
        how: &[
            "Have the DNS host sign the zone anew.",
            "At the registrar, replace the DS record by the one the DNS host gives, or remove it where the zone is not signed any more.",
        ],
        references: &["RFC 4035 §5.5", "RFC 8914 §4", "RFC 6840 §5.9"],
    },
    Page {
        code: "resolvers_unusable",
        title: "Nothing could be found out",
        what: "Not one server gave an answer that says anything, to any question: the machine is offline, or its resolvers refuse it.",
        why: "That says nothing of the domain. Nothing is taken from it.",
        how: &[
            "Check that the machine is online and may send DNS queries (port 53, UDP and TCP).",
            "Check which resolvers are set, and that they answer this machine.",
        ],
        references: &["RFC 9520 §2"],
    },
    Page {
        code: "zone_unserved",
        title: "No server answers for the zone",
        what: "Other names are answered, and for this zone every server fails, refuses or stays silent, with DNSSEC validation and without.",
        why: "Receivers cannot look anything up and defer the mail. It counts as unknown: a verified domain stays verified.",
        how: &[
            "Nothing for now: it is checked again.",
            "If it stays, ask the DNS host whether its name servers are up, and whether the zone is still there.",
        ],
        references: &["RFC 9520 §2", "RFC 7208 §4.4", "RFC 6376 §6.1.2"],
    },
    Page {
        code: "txt_cut_off",
        title: "The value is cut off",
        what: "The TXT record holds only the beginning of the value.",
        why: "One string of a TXT record holds 255 characters, and some panels drop what is longer. A key that is cut off is no key.",
        how: &["Enter the whole value.", "Where the panel refuses, split it into strings of 255 characters."],
        references: &["RFC 1035 §3.3", "RFC 6376 §3.6.2.2"],
    },
    Page {
        code: "txt_white_space",
        title: "White space around the value",
        what: "The TXT value begins or ends with a space, a line break or a character that is not seen.",
        why: "An SPF or DMARC record has to begin with its version. With anything in front it is another text, and is not looked at.",
        how: &["Enter the value again, without anything in front of it or behind it."],
        references: &["RFC 7208 §4.5", "RFC 9989 §4.10"],
    },
    Page {
        code: "cname_target_url",
        title: "The alias points at a web address",
        what: "The target of the CNAME begins with http:// or https://.",
        why: "A target is the name of a host. With a scheme in front it is a name that does not exist.",
        how: &["Enter the target without http://, https:// and path."],
        references: &["RFC 1035 §3.3.1"],
    },
    Page {
        code: "glue_mismatch",
        title: "The delegation has an old address of a name server",
        what: "The zone above gives an address for one of the zone's name servers that the server does not have.",
        why: "Resolvers begin with the address of the delegation. Where nothing listens there they lose time; where somebody else does, they get other answers.",
        how: &["At the registrar, set the host record of the name server to its addresses."],
        references: &["RFC 1034 §4.2.1", "RFC 1912 §2.3"],
    },
    Page {
        code: "mx_exchange_zone_appended",
        title: "The zone's name was added behind the mail exchanger",
        what: "The exchanger of the MX record is the right name with the zone's name behind it: a final dot is missing.",
        why: "Mail goes to a host that does not exist, so bounces and replies are lost, and addresses that bounce keep getting mail.",
        how: &[
            "Enter the exchanger in full.",
            "If the panel adds the zone again, end the exchanger with a dot.",
        ],
        references: &["RFC 1035 §5.1"],
    },
    Page {
        code: "mx_exchange_not_host",
        title: "The mail exchanger is an address",
        what: "The MX record holds an IP address, a web address or a mail address where the name of a host belongs.",
        why: "Servers look for a host of that name, and there is none: bounces and replies are lost.",
        how: &["Replace the record by the one shown."],
        references: &["RFC 1035 §3.3.9", "RFC 5321 §5.1"],
    },
    Page {
        code: "domain_sends_no_mail",
        title: "The domain is declared as sending no mail",
        what: "Mail is to be sent from the name, and its SPF record allows nobody (v=spf1 -all), or its MX record is null (a dot).",
        why: "Somebody published that to keep others from using the name. Receivers may refuse mail from a domain that takes no answers.",
        how: &[
            "Ask whoever published it whether it still holds.",
            "If mail is to be sent: name the senders in the SPF record, and give the domain an MX record of a host that takes replies.",
        ],
        references: &["RFC 7208 §10.1.2", "RFC 7505 §4.2"],
    },
    Page {
        code: "cname_several",
        title: "Several aliases at one name",
        what: "The name has more than one CNAME record, and they point at different names.",
        why: "A name can be an alias for one other only. Which of them is followed is left to chance, and some servers refuse the whole zone.",
        how: &["Keep the one that belongs there, and delete the others."],
        references: &["RFC 2181 §10.1", "RFC 1034 §3.6.2"],
    },
];

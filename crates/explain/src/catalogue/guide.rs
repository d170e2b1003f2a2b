//! What to do about a finding, step by step, at one DNS host.

use super::{
    Place, in_use, observed,
    place::{is_unfinished, what_is_to_be_filled_in, whole_or_in_words},
    policy_steps, spf_terms,
};
use crate::{
    clock,
    paste::{Action, Point, Step, finish},
    shown::{self, list, value},
};
use diagnosis::{Defect, Expected, Finding, Remedy, finding::ZoneSerial, observation::Server};
use model::{DomainName, RecordType};

/// The steps as lines of text.
pub fn steps(finding: &Finding, place: &Place<'_>) -> Vec<String> {
    guide(finding, place).iter().map(ToString::to_string).collect()
}

/// Who is told: what is promised depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The owner of a domain that is registered here: it is checked again by itself.
    Registered,
    /// Whoever ran a single check for known records: nothing happens by itself.
    Once,
    /// Whoever ran a single check of any domain: nothing happens by itself, and no service of ours is concerned.
    Audit,
}

/// The steps for a registered domain, with the fields of records apart. Never empty.
pub fn guide(finding: &Finding, place: &Place<'_>) -> Vec<Step> {
    guide_in(finding, place, Setting::Registered)
}

/// The steps, with the fields of records apart. Never empty.
pub fn guide_in(finding: &Finding, place: &Place<'_>, setting: Setting) -> Vec<Step> {
    let mut steps = before(finding, place, setting);
    steps.extend(policy_steps::before(finding));
    if let Some(name) = taken_from(&finding.remedy) {
        steps.extend(in_use::caution(finding, &place.zone_of(name)));
    }
    match &finding.remedy {
        // What has been said is what to do.
        Remedy::Nothing if !steps.is_empty() => {}
        Remedy::Nothing => steps.extend(nothing(&finding.defect)),
        Remedy::Add { name, record_type, value, preference } => {
            steps.extend(place.add(name, *record_type, value, *preference));
        }
        Remedy::Replace { name, record_type, current, value, preference } => {
            steps.extend(replace(&finding.defect, place, name, *record_type, current, value, *preference));
        }
        Remedy::Move { from, to, record_type, value, preference } => {
            steps.extend(move_record(place, from, to, *record_type, value, *preference));
        }
        Remedy::MergeSpf { name, current, replace_with } => {
            steps.extend(merge_spf(place, name, current, replace_with));
        }
        Remedy::Remove { name, record_types, values } => {
            steps.extend(remove(&finding.defect, place, name, record_types, values));
        }
        Remedy::TurnOffProxy { name } => steps.extend(turn_off_proxy(place, name)),
        Remedy::FixNameServers { zone, servers } => {
            let steps_of = observed::name_servers(&finding.defect);
            steps.extend(steps_of.unwrap_or_else(|| fix_name_servers(&finding.defect, zone, servers)));
        }
        Remedy::FixDnssec { zone } => steps.extend(observed::dnssec(&finding.defect, zone)),
        Remedy::FixDelegation { name } => steps.extend(fix_delegation(name)),
        Remedy::WaitUntil { at } => steps.push(say(format!(
            "Nothing to change: older answers run out by {}. {} then.",
            clock::until(*at, place.now),
            if setting == Setting::Registered { "It is checked again" } else { "Run the check again" }
        ))),
        Remedy::CheckAgain => steps.extend(check_again(&finding.defect, setting)),
        Remedy::AskOperator => {
            steps.push(say(
                "Nothing to change in your zone: this is for whoever runs the sending service. Tell them what is said here.",
            ));
        }
        Remedy::UseSubdomain { suggestion } => {
            steps.push(say(format!(
                "Add {} as the sender domain, and publish its records.",
                value(&suggestion.to_string())
            )));
            steps.push(say("To stay with the registered domain is possible: then nothing has to change."));
        }
    }
    steps.extend(after(&finding.defect, place));
    steps.into_iter().map(whole_or_in_words).collect()
}

/// Where a remedy takes something away.
fn taken_from(remedy: &Remedy) -> Option<&DomainName> {
    match remedy {
        Remedy::Replace { name, .. } | Remedy::Remove { name, .. } | Remedy::TurnOffProxy { name } => {
            Some(name)
        }
        _ => None,
    }
}

pub(super) fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into())
}

/// A sentence that ends in a value, see [`Point`].
pub(super) fn point(
    say: impl Into<String>,
    each: impl Into<String>,
    column: Option<&'static str>,
    what: impl Into<String>,
) -> Step {
    Step::Point(Point { say: say.into(), each: each.into(), what: Some(what.into()), column })
}

/// What has to be said first, whatever the remedy.
fn before(finding: &Finding, place: &Place<'_>, setting: Setting) -> Vec<Step> {
    match &finding.defect {
        Defect::TxtQuotesPasted { .. } if place.host.quotes => {
            vec![say("Enter the value with exactly one pair of quotation marks around each part, as shown.")]
        }
        Defect::TxtQuotesPasted { .. } => {
            vec![say("Enter the value without quotation marks: the panel adds those that DNS needs.")]
        }
        Defect::SpfInvalid { record, lost, version, .. } => {
            let mut steps = spf_invalid(record, lost, &finding.remedy, version.is_some());
            if version.is_some() && matches!(finding.remedy, Remedy::Nothing) {
                steps.push(say("Let the record begin with v=spf1 and a space."));
            }
            steps
        }
        Defect::SpfMultipleRecords { records, lookups_after: 0, .. }
            if matches!(finding.remedy, Remedy::Nothing) =>
        {
            vec![
                say(format!(
                    "These {} records hold too much to be put together here. Keep the parts that name servers that still send for you.",
                    records.len()
                )),
                say(
                    "Put these parts into one record: v=spf1 first, then the parts, then -all or ~all. Delete the other SPF records.",
                ),
            ]
        }
        Defect::SpfMechanismAbsent { current, rules, .. } => {
            let behind = spf_terms::behind_all(current, rules);
            if behind.is_empty() {
                return Vec::new();
            }
            vec![say(format!(
                "Move {} in front of all, as in the record below: what stands behind all is never looked at.",
                value(&behind.join(" "))
            ))]
        }
        Defect::DmarcInvalid { kept: true, applies: Some((from, policy)), .. } => vec![
            say(format!(
                "Until now the policy of {} applies here (p={policy}). Where that is right, delete this record; nothing else is needed.",
                value(from.as_str())
            )),
            say(
                "Else publish the record below: it says the same as the one that is there, in the form that receivers read, and applies from then on.",
            ),
        ],
        Defect::DmarcInvalid { kept: true, .. } => {
            vec![say(
                "The record below says the same as the one that is there, in the form that receivers read.",
            )]
        }
        Defect::DmarcInvalid { .. } => vec![say(
            "The record below is a start: keep your own policy (p=…) and your own rua addresses when you replace the one that is there.",
        )],
        Defect::DkimMultipleRecords { count, .. } if setting == Setting::Audit => vec![say(format!(
            "Of the {count} records, keep the one with the key that your mail is signed with."
        ))],
        Defect::DkimPartial { missing, .. } if !missing.is_empty() => {
            vec![say(format!("Set these records right: {}.", list(missing)))]
        }
        // Whether anything comes in its place is not known.
        Defect::AliasTargetMissing { .. } if matches!(&finding.remedy, Remedy::Replace { value, .. } if is_unfinished(value)) => {
            Vec::new()
        }
        Defect::RecordWrongValue { .. } => {
            vec![say(
                "Leave the records that are there, unless they are old ones of this service: others may need them.",
            )]
        }
        Defect::SpfIncludeBroken { .. } if matches!(finding.remedy, Remedy::MergeSpf { .. }) => vec![say(
            "The new record does without that part, which lets nobody pass as it is. Where the service that it belongs to still sends for you, ask it for the right name.",
        )],
        Defect::SpfIncludeBroken { .. } => vec![say(
            "Take that part out of the record, or ask the service it belongs to for the right name.",
        )],
        Defect::SpfPassesAll { .. } => {
            vec![say(
                "End the record with ~all or -all, and take out what lets everyone pass, so that only listed servers pass.",
            )]
        }
        Defect::CnameTargetMissing { target, .. } => vec![point(
            "Compare the target with the value that was given for this record, letter by letter",
            "Compare each target with the value that was given for its record, letter by letter",
            Some("Target now"),
            value(&target.to_string()),
        )],
        other => observed::before(other),
    }
}

/// Which part is wrong, and what the new record makes of it.
fn spf_invalid(record: &str, lost: &[String], remedy: &Remedy, is_version: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Remedy::MergeSpf { replace_with, .. } = remedy {
        let gone = spf_terms::missing_from(replace_with, record);
        if !gone.is_empty() && !is_version {
            steps.push(say(format!("Changed in the new record: {}", list(&gone))));
        }
        steps.push(say("The new record keeps every part of the one that is there."));
    } else if lost.is_empty() {
        steps.push(say(format!(
            "Mend the record that is there, and keep its other parts: {}",
            shown::current(record)
        )));
    } else {
        steps.push(say(format!(
            "In the record that is there, write what was meant by {}. Keep its other parts, with all as the last: {}",
            list(lost),
            shown::current(record)
        )));
    }
    steps
}

/// What has to be said last, whatever the remedy.
fn after(defect: &Defect, place: &Place<'_>) -> Vec<Step> {
    let found = match defect {
        Defect::TxtQuotesPasted { found, .. } => found,
        Defect::CnameTargetZoneAppended { expected, zone, .. } if !place.host.final_dot => {
            let zone = value(zone.as_str());
            return vec![point(
                format!("Should {zone} be added again, end the target with a dot"),
                format!("Should {zone} be added again, end each target with a dot"),
                None,
                value(&expected.absolute()),
            )];
        }
        Defect::MxExchangeZoneAppended { expected, zone, .. } if !place.host.final_dot => {
            let host = expected.split_once(' ').map_or(expected.as_str(), |(_, host)| host);
            return vec![say(format!(
                "Should {} be added again, end the exchanger with a dot: {}",
                value(zone.as_str()),
                value(&format!("{host}."))
            ))];
        }
        _ => return Vec::new(),
    };
    let Some(record) = place.record else { return Vec::new() };
    let (kind, start) = match record.planned.expected {
        Expected::Spf { .. } => ("SPF", "v=spf1"),
        Expected::Dmarc { .. } => ("DMARC", "v=dmarc1"),
        _ => return Vec::new(),
    };
    let is_another = |text: &&String| {
        *text != found && text.trim_start_matches(['"', ' ']).to_ascii_lowercase().starts_with(start)
    };
    let others: Vec<&String> = record.current.iter().filter(is_another).collect();
    if others.is_empty() {
        return Vec::new();
    }
    vec![say(format!(
        "Beside it is {}. Then leave only one {kind} record: receivers accept no more than one.",
        list(&others)
    ))]
}

fn nothing(defect: &Defect) -> Vec<Step> {
    match defect {
        Defect::DmarcInherited { from, name, .. } => vec![say(format!(
            "Nothing has to be done: the policy at {} covers {}. A record of its own is needed only for another policy.",
            value(&from.to_string()),
            value(&name.to_string())
        ))],
        Defect::DkimPartial { .. } => {
            vec![say("Each of them has a finding of its own that says what to do.")]
        }
        other => observed::nothing(other)
            .or_else(|| policy_steps::nothing(other))
            .unwrap_or_else(|| vec![say("Nothing has to be done.")]),
    }
}

/// Another type at the name cannot be edited into ours: it goes first.
fn replace(
    defect: &Defect,
    place: &Place<'_>,
    name: &DomainName,
    record_type: RecordType,
    current: &[String],
    new: &str,
    preference: Option<u16>,
) -> Vec<Step> {
    let other_type = match defect {
        Defect::RecordWrongType { found, .. } => Some(found.to_string()),
        Defect::AliasTargetMissing { .. } => Some(RecordType::Cname.to_string()),
        Defect::CnameSeveral { .. } if record_type != RecordType::Cname => {
            Some(RecordType::Cname.to_string())
        }
        Defect::CnameProxied { .. } => Some("A and AAAA".to_owned()),
        Defect::CnameConflict { beside, .. } => Some(list(beside)),
        _ => None,
    };
    if let Some(other) = other_type {
        let open = place.open(name);
        if is_unfinished(new) {
            return make_room(place, name, record_type, &other, current, new);
        }
        let mut steps = vec![point(
            format!("{open}, and delete what is there of type {other}"),
            format!("{open}, and at each of the names below delete what is there of type {other}"),
            None,
            place.field(name),
        )];
        if let [one] = current {
            steps.push(point("It reads now", "", Some("Now"), shown::current(one)));
        }
        let paste = place.paste(name, record_type, new, preference, &[]);
        steps.push(Step::Point(Point {
            say: "Then add this record there:".to_owned(),
            each: "Then add these records there".to_owned(),
            what: None,
            column: None,
        }));
        steps.extend(finish(place.host, Action::Add, &place.zone_of(name), &paste));
        steps.extend(place.name_cautions(&paste));
        steps.extend(place.cautions(&paste, new));
        return steps;
    }
    if current.is_empty() {
        return place.add(name, record_type, new, preference);
    }
    let kept = preference.map_or_else(|| new.to_owned(), |preference| format!("{preference} {new}"));
    if current.len() > 1 && current.contains(&kept) {
        return keep_one(place, name, record_type, current, &kept);
    }
    let mut steps = Vec::new();
    if current.len() > 1 {
        steps.push(say(format!(
            "{} has {} {record_type} records where one belongs: delete all but one, and change that one.",
            place.field(name),
            current.len()
        )));
    }
    steps.extend(place.edit(&place.paste(name, record_type, new, preference, current), new));
    steps
}

/// What stands in the way of a record that only the customer can complete. At a selector it may be left over from a
/// service that signs no more; then nothing comes in its place.
fn make_room(
    place: &Place<'_>,
    name: &DomainName,
    record_type: RecordType,
    other: &str,
    current: &[String],
    form: &str,
) -> Vec<Step> {
    let open = place.open(name);
    let is_key = form.starts_with("v=DKIM1");
    let (now, nows) = if is_key {
        (
            "If no service signs with this selector any more",
            "If no service signs with these selectors any more",
        )
    } else {
        ("To make room for the record", "To make room for the records")
    };
    let after = |lead: &str| format!("{lead}: {}", uncapital(&open));
    let mut steps = vec![point(
        format!("{}, and delete what is there of type {other}", after(now)),
        format!("{}, and at each of the names below delete what is there of type {other}", after(nows)),
        None,
        place.field(name),
    )];
    if let [one] = current {
        steps.push(point("It reads now", "They read now as shown", Some("Now"), shown::current(one)));
    }
    steps.push(say(if is_key {
        "If one does, ask it for the record that belongs there now, and enter that in its place.".to_owned()
    } else {
        format!("Then add a {record_type} record there. {}", what_is_to_be_filled_in(form))
    }));
    steps
}

/// A sentence as the end of another one; names keep their capital.
fn uncapital(text: &str) -> String {
    ["At ", "In "]
        .iter()
        .find_map(|start| text.strip_prefix(start).map(|rest| start.to_lowercase() + rest))
        .unwrap_or_else(|| text.to_owned())
}

/// Of several records one is right: the others go, and nothing has to be entered.
fn keep_one(
    place: &Place<'_>,
    name: &DomainName,
    record_type: RecordType,
    current: &[String],
    kept: &str,
) -> Vec<Step> {
    const MOST: usize = 5;
    let others: Vec<&String> = current.iter().filter(|text| *text != kept).collect();
    let open = place.open(name);
    let mut steps = vec![point(
        format!("{open}, and find the {record_type} records at this name"),
        format!("{open}, and find the {record_type} records at each of these names"),
        None,
        place.field(name),
    )];
    for text in others.iter().take(MOST) {
        steps.push(point(
            "Delete the one that reads",
            "Delete those that read as shown",
            Some("Delete"),
            shown::current(text),
        ));
    }
    if others.len() > MOST {
        steps.push(say(format!("Delete the {} others too.", others.len() - MOST)));
    }
    steps.push(point(
        "Keep the one that reads",
        "Keep those that read as shown",
        Some("Keep"),
        shown::current(kept),
    ));
    steps
}

fn move_record(
    place: &Place<'_>,
    from: &DomainName,
    to: &DomainName,
    record_type: RecordType,
    new: &str,
    preference: Option<u16>,
) -> Vec<Step> {
    let paste = place.paste(to, record_type, new, preference, &[]);
    let open = place.open(to);
    let mut steps = vec![
        point(
            format!("{open}, and find this {record_type} record"),
            format!("{open}, and find each of these records by the name that it has now"),
            Some("Name now"),
            place.field(from),
        ),
        Step::Point(Point {
            say:
                "Change its name to the one below. Where names cannot be changed, delete it and add it anew."
                    .to_owned(),
            each: "Change each name to the one shown with it. Where names cannot be changed, delete the \
                   record and add it anew"
                .to_owned(),
            what: None,
            column: None,
        }),
    ];
    steps.extend(finish(place.host, Action::Add, &place.zone_of(to), &paste));
    steps.extend(place.name_cautions(&paste));
    steps.extend(place.cautions(&paste, new));
    steps
}

fn merge_spf(place: &Place<'_>, name: &DomainName, current: &[String], new: &str) -> Vec<Step> {
    if current.is_empty() {
        return place.add(name, RecordType::Txt, new, None);
    }
    let mut steps = Vec::new();
    if current.len() > 1 {
        steps.push(say(format!(
            "A name can have only one SPF record, and {} has {}: delete all but one, and change that one.",
            place.field(name),
            current.len()
        )));
    } else {
        steps.push(say(
            "A name can have only one SPF record: change the one that is there, and do not add a second.",
        ));
    }
    steps.extend(place.edit(&place.paste(name, RecordType::Txt, new, None, current), new));
    steps
}

fn remove(
    defect: &Defect,
    place: &Place<'_>,
    name: &DomainName,
    types: &[RecordType],
    values: &[String],
) -> Vec<Step> {
    const MOST: usize = 5;
    let types = if types.is_empty() { "other".to_owned() } else { list(types) };
    let open = place.open(name);
    let mut steps = vec![point(
        format!("{open}, and find the {types} records at this name"),
        format!("{open}, and find the {types} records at each of these names"),
        None,
        place.field(name),
    )];
    if values.is_empty() {
        steps.push(say("Delete them. Leave records at other names as they are."));
        // What stays is the planned record only where everything else goes by its type.
        if let Some(record) = place.record {
            steps.push(Step::Point(Point {
                say: "What has to be at this name afterwards:".to_owned(),
                each: "What has to be at these names afterwards".to_owned(),
                what: None,
                column: None,
            }));
            steps.push(place.planned(record));
        }
        return steps;
    }
    for text in values.iter().take(MOST) {
        steps.push(point(
            "Delete the one that reads",
            "Delete those that read as shown",
            Some("Delete"),
            shown::current(text),
        ));
    }
    if values.len() > MOST {
        steps.push(say(format!("Delete {} more records of these types there.", values.len() - MOST)));
    }
    if let Defect::DmarcMultipleRecords { records, .. } = defect
        && let Some(kept) = records.iter().find(|record| !values.contains(record))
    {
        steps.push(say(format!("Keep the one that reads: {}", shown::current(kept))));
        steps.push(say("If another of them is the policy that you mean, keep that one in its place."));
    }
    steps
}

fn turn_off_proxy(place: &Place<'_>, name: &DomainName) -> Vec<Step> {
    let mut steps = Vec::new();
    let open = place.open(name);
    if place.host.proxied {
        steps.push(point(
            format!("{open}, and edit this CNAME record"),
            format!("{open}, and edit each of these CNAME records"),
            None,
            place.field(name),
        ));
        steps.push(say("Set Proxy status to DNS only (grey cloud), and save."));
        return steps;
    }
    steps.push(point(
        format!("{open}, and look at this record"),
        format!("{open}, and look at each of the records below"),
        None,
        place.field(name),
    ));
    steps.push(say(
        "If it is a CNAME with a proxy, CDN or \"flattening\" option, switch that option off and save.",
    ));
    steps.push(Step::Point(Point {
        say: "If A or AAAA records are there in its place, delete them and add the alias:".to_owned(),
        each: "If A or AAAA records are there in its place, delete them and add the alias".to_owned(),
        what: None,
        column: None,
    }));
    match place.record {
        Some(record) => steps.push(place.planned(record)),
        None => steps.push(say(format!(
            "a CNAME record at {} with the target that was given for it.",
            place.field(name)
        ))),
    }
    steps
}

fn fix_name_servers(defect: &Defect, zone: &DomainName, servers: &[Server]) -> Vec<Step> {
    let zone = value(&zone.to_string());
    let servers = servers_of(servers);
    match defect {
        Defect::NameServersDisagree { right, wrong, serials, .. } => {
            let which = say(format!("Right: {}. Not right: {}.", servers_of(right), servers_of(wrong)));
            let then = say(format!(
                "After a change this passes by itself, mostly within minutes. If it stays, the zone {zone} is served from two places: enter the record at the DNS host of the other name servers too, or take those out of the delegation."
            ));
            [Some(which), copies(serials), Some(then)].into_iter().flatten().collect()
        }
        Defect::NameServerUnreachable { .. } => vec![
            say(format!("If {servers} should serve {zone}: tell the DNS host that it does not answer.")),
            say(format!("If not: take it out of the name server list of {zone}, at the registrar.")),
        ],
        _ => vec![
            say(format!(
                "At the registrar, compare the name servers of {zone} with those that your DNS host gives for it."
            )),
            say(format!(
                "Not serving it: {servers}. Take that out of the list, or have the DNS host serve the zone there."
            )),
        ],
    }
}

fn servers_of(servers: &[Server]) -> String {
    list(&servers.iter().map(shown::server).collect::<Vec<_>>())
}

/// The copies of a zone at its servers, where their serial numbers differ.
fn copies(serials: &[ZoneSerial]) -> Option<Step> {
    let copy = |copy: &ZoneSerial| format!("{} at {}", copy.serial, shown::server(&copy.server));
    let copies: Vec<String> = serials.iter().map(copy).collect();
    let what = "Their copies of the zone have different serial numbers";
    (!copies.is_empty()).then(|| say(format!("{what}: {}.", list(&copies))))
}

fn fix_delegation(name: &DomainName) -> Vec<Step> {
    let name = value(&name.to_string());
    vec![
        say(format!(
            "Look whether {name} is spelled as it was registered, and whether the registration is still valid."
        )),
        say("At the registrar, set the name servers that your DNS host gives for the zone."),
    ]
}

fn check_again(defect: &Defect, setting: Setting) -> Vec<Step> {
    let mut steps = Vec::new();
    let reasons = match defect {
        Defect::DnsUnanswered { reasons, .. } => reasons,
        other => observed::reasons(other),
    };
    if !reasons.is_empty() {
        let reasons: Vec<String> = reasons.iter().map(|reason| shown::reason(reason)).collect();
        steps.push(say(format!("What the servers said: {}.", list(&reasons))));
    }
    steps.push(say(match setting {
        Setting::Registered => "Nothing to do for now: it is checked again by itself.",
        Setting::Once | Setting::Audit => "Run the check again in a few minutes.",
    }));
    steps
}

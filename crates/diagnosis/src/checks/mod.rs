//! The checks: one file per defect, named after it, whose doc comment is the page of its finding.
//!
//! `explain` reads the page when it is built: the title without a full stop, what was seen, and then the headings
//! `Why it matters`, `What to do` (numbered steps) and `References` (a list of RFCs with their sections). It is shown as
//! plain text, without backticks. What only those who work on the check need to know is said at its function.
//!
//! A check looks at one planned record in its [`Context`] and returns a finding or nothing. [`explain_wrong`] is
//! called for a record that is certainly not right and stops at the first check that knows why, from the precise to
//! the general; [`inspect_right`] is called for a record that is there and looks for what is wrong all the same.

mod address_wrong;
mod alias_target_missing;
pub mod caa_forbids_issuance;
mod cname_at_apex;
pub mod cname_conflict;
mod cname_detour;
mod cname_proxied;
mod cname_several;
mod cname_target_missing;
mod cname_target_url;
mod cname_target_zone_appended;
mod cname_wrong_target;
pub mod delegation_alias;
pub mod delegation_covered;
pub mod delegation_elsewhere;
pub mod delegation_hidden;
pub mod delegation_hides_records;
pub mod delegation_incomplete;
pub mod delegation_mismatch;
pub mod delegation_missing;
pub mod delegation_signed;
pub mod delegation_uneven;
mod dkim_key_invalid;
mod dkim_key_mismatched;
mod dkim_key_revoked;
mod dkim_key_weak;
mod dkim_multiple_records;
pub mod dkim_partial;
mod dkim_strict;
mod dkim_testing;
pub mod dkim_unaligned;
mod dmarc_inherited;
pub mod dmarc_invalid;
mod dmarc_missing;
mod dmarc_multiple_records;
mod dmarc_no_reports;
mod dmarc_policy_none;
mod dmarc_policy_unusable;
mod dmarc_public_suffix;
mod dmarc_removed_tags;
mod dmarc_report_uri_invalid;
pub mod dmarc_reports_not_authorised;
mod dmarc_subdomains_weaker;
mod dmarc_tags_ignored;
mod dmarc_testing;
pub mod dns_unanswered;
pub mod dnssec_bogus;
pub mod domain_not_found;
pub mod domain_sends_no_mail;
pub mod glue_mismatch;
pub mod inquiry_cut_short;
mod mx_exchange_alias;
mod mx_exchange_missing;
mod mx_exchange_not_host;
mod mx_exchange_zone_appended;
mod mx_null;
mod mx_wrong;
pub mod name_server_lame;
mod name_server_unreachable;
pub mod name_servers_disagree;
mod record_in_doubled_zone;
mod record_misplaced;
mod record_missing;
mod record_wrong_type;
mod record_wrong_value;
pub mod resolver_cache_stale;
pub mod resolvers_unusable;
pub mod sender_ptr_missing;
pub mod sender_rules_not_met;
mod spf_include_broken;
mod spf_include_loop;
mod spf_invalid;
mod spf_mechanism_absent;
mod spf_missing;
mod spf_multiple_records;
mod spf_near_lookup_limit;
mod spf_no_all;
mod spf_passes_all;
mod spf_ptr_used;
mod spf_redirect_ignored;
mod spf_too_many_lookups;
mod spf_too_many_void_lookups;
pub mod spf_unaligned;
pub mod sub_zone_not_served;
pub mod subdomain_recommended;
mod txt_conflicting;
mod txt_cut_off;
mod txt_quotes_pasted;
mod txt_white_space;
mod txt_wrong_value;
pub mod wildcard_answers;
pub mod wildcard_shadowed;
pub mod zone_not_delegated;
pub mod zone_unserved;

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::{Expected, Plan, PlannedRecord},
    readings::Readings,
    repair,
    spf_tree::SpfTree,
    view::{Fact, RUN_OUT, View},
};
use mail::{
    dkim::{KeyOutline, KeyRecord, KeyState},
    dmarc::{DmarcReading, PolicyRecord},
    lookup::{Answer, Question},
    spf::SpfNode,
};
use model::{Confidence, DomainName, RecordData, RecordType, Severity};
use std::{borrow::Cow, cell::OnceCell, sync::Arc};

/// One planned record and all that was observed around it.
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The record.
    pub record: &'a PlannedRecord,
    /// The facts.
    pub view: &'a View,
    /// The zone that the record's name is in.
    pub zone: Option<DomainName>,
    /// What is at the name for the record's own type.
    pub here: &'a Says,
    /// The texts there, joined once for all checks.
    texts: OnceCell<Vec<Cow<'a, str>>>,
    /// The DMARC record there, read once for all checks.
    dmarc: OnceCell<Option<(String, DmarcReading)>>,
    /// The SPF record there with all that it includes, counted once for all checks.
    spf: OnceCell<Option<Arc<SpfTree>>>,
    /// The texts of the key record, and the key of the only one, read once for all checks.
    key_texts: OnceCell<Option<Vec<Cow<'a, str>>>>,
    /// What is known of the texts behind the alias there.
    behind: OnceCell<Option<Fact<'a>>>,
    key: OnceCell<Option<Result<KeyOutline, String>>>,
}

/// A check: a pure function of its context.
type Check = fn(&Context<'_>) -> Option<Finding>;

/// From the precise to the general. The last of each kind always knows something.
const WRONG: &[Check] = &[
    cname_at_apex::check,
    cname_several::check,
    cname_conflict::check,
    cname_target_zone_appended::check,
    cname_target_url::check,
    cname_wrong_target::check,
    alias_target_missing::check,
    txt_quotes_pasted::check,
    txt_white_space::check,
    txt_cut_off::check,
    dkim_multiple_records::check,
    dkim_key_revoked::check,
    dkim_key_invalid::check,
    dkim_key_mismatched::check,
    spf_multiple_records::check,
    spf_invalid::check,
    spf_mechanism_absent::check,
    dmarc_multiple_records::check,
    dmarc_invalid::check,
    mx_null::check,
    mx_exchange_zone_appended::check,
    mx_exchange_not_host::check,
    mx_wrong::check,
    address_wrong::check,
    record_wrong_value::check,
    record_wrong_type::check,
    record_in_doubled_zone::check,
    record_misplaced::check,
    cname_proxied::check,
    txt_wrong_value::check,
    spf_missing::check,
    dmarc_missing::check,
    record_missing::check,
];

/// All that can be wrong with a record that is at its place, by what is planned there.
fn at_its_place(expected: &Expected) -> &'static [Check] {
    match expected {
        Expected::Cname { .. } => &[
            dkim_multiple_records::check,
            cname_several::check,
            cname_conflict::check,
            cname_detour::check,
            cname_target_missing::check,
            dkim_key_revoked::check,
            dkim_key_invalid::check,
            dkim_key_mismatched::check,
            dkim_key_weak::check,
            dkim_testing::check,
            dkim_strict::check,
        ],
        Expected::Dkim { .. } => &[
            dkim_multiple_records::check,
            cname_several::check,
            cname_conflict::check,
            dkim_key_revoked::check,
            dkim_key_invalid::check,
            dkim_key_mismatched::check,
            dkim_key_weak::check,
            dkim_testing::check,
            dkim_strict::check,
        ],
        Expected::Dmarc { .. } => &[
            cname_several::check,
            cname_conflict::check,
            dmarc_inherited::check,
            dmarc_policy_none::check,
            dmarc_policy_unusable::check,
            dmarc_testing::check,
            dmarc_removed_tags::check,
            dmarc_tags_ignored::check,
            dmarc_report_uri_invalid::check,
            dmarc_no_reports::check,
            dmarc_subdomains_weaker::check,
            dmarc_public_suffix::check,
        ],
        Expected::Spf { .. } => &[
            cname_several::check,
            cname_conflict::check,
            spf_passes_all::check,
            spf_too_many_lookups::check,
            spf_too_many_void_lookups::check,
            spf_include_loop::check,
            spf_include_broken::check,
            spf_ptr_used::check,
            spf_no_all::check,
            spf_redirect_ignored::check,
            spf_near_lookup_limit::check,
        ],
        Expected::Txt { .. } => &[cname_several::check, cname_conflict::check, txt_conflicting::check],
        Expected::Mx { .. } => &[
            cname_several::check,
            cname_conflict::check,
            mx_exchange_missing::check,
            mx_exchange_alias::check,
        ],
        Expected::Delegation { .. } => &[],
        Expected::Address { .. } | Expected::Exact { .. } => &[cname_several::check, cname_conflict::check],
    }
}

/// What makes receivers count an SPF record as an error or let everyone pass, whether or not our mechanism is in it.
const SPF_ERRORS: &[Check] = &[
    spf_passes_all::check,
    spf_too_many_void_lookups::check,
    spf_include_loop::check,
    spf_include_broken::check,
];

/// Says why a record is not right.
pub fn explain_wrong(context: &Context<'_>) -> Option<Finding> {
    // What a wildcard answers says nothing of the record, only that it is not there.
    if let Some(finding) = wildcard_answers::check(context) {
        let misplaced = record_in_doubled_zone::check(context).or_else(|| record_misplaced::check(context));
        return Some(misplaced.unwrap_or(finding));
    }
    WRONG.iter().find_map(|check| check(context))
}

/// Says that an alias stands at the record's name and leads to nothing of its kind, where nothing has to be in its place.
pub fn alias_in_vain(context: &Context<'_>) -> Option<Finding> {
    let values = vec![context.alias()?.to_string()];
    let finding = alias_target_missing::check(context).or_else(|| record_wrong_type::check(context))?;
    let name = context.record.owner.clone();
    let remedy = Remedy::Remove { name, record_types: vec![RecordType::Cname], values };
    Some(Finding { remedy, ..finding })
}

/// Says what is wrong with a record that is there.
pub fn inspect_right(context: &Context<'_>) -> Vec<Finding> {
    at_its_place(&context.record.expected).iter().filter_map(|check| check(context)).collect()
}

impl<'a> Context<'a> {
    /// A record with what was observed of it.
    pub fn new(
        plan: &'a Plan,
        record: &'a PlannedRecord,
        view: &'a View,
        zone: Option<DomainName>,
        here: &'a Says,
    ) -> Self {
        Self {
            plan,
            record,
            view,
            zone,
            here,
            texts: OnceCell::new(),
            dmarc: OnceCell::new(),
            spf: OnceCell::new(),
            key_texts: OnceCell::new(),
            behind: OnceCell::new(),
            key: OnceCell::new(),
        }
    }

    /// The SPF record at the name and its tree, where an SPF record is planned and there is exactly one.
    pub fn spf(&self) -> Option<(&str, &SpfNode)> {
        self.spf_tree().map(|tree| (tree.record(), &tree.node))
    }

    /// The same with what was found out about it.
    pub fn spf_tree(&self) -> Option<&SpfTree> {
        let tree = self.spf.get_or_init(|| {
            let Expected::Spf { .. } = self.record.expected else { return None };
            Some(self.view.spf_tree(&self.record.owner, only_spf_record(self.texts())?))
        });
        tree.as_deref()
    }

    /// The domain's own DMARC record, where one is planned and there is exactly one that receivers act on.
    pub fn dmarc(&self) -> Option<(&str, &PolicyRecord)> {
        let dmarc = self.dmarc.get_or_init(|| {
            let Expected::Dmarc { .. } = self.record.expected else { return None };
            let record = only_dmarc_record(self.texts())?;
            Some((record.to_owned(), self.view.readings().dmarc(record)))
        });
        let (record, reading) = dmarc.as_ref()?;
        Some((record.as_str(), reading.as_ref().as_ref().ok()?))
    }

    /// The remedy of publishing this text in the place of the one there.
    pub fn replace_text(&self, current: &str, value: String) -> Remedy {
        Remedy::Replace {
            name: self.record.owner.clone(),
            record_type: RecordType::Txt,
            current: vec![current.to_owned()],
            value,
            preference: None,
        }
    }

    /// The remedy of publishing this SPF record in the place of the one there.
    pub fn replace_spf(&self, current: &str, replace_with: String) -> Remedy {
        Remedy::MergeSpf { name: self.record.owner.clone(), current: vec![current.to_owned()], replace_with }
    }

    /// The remedy of publishing the repaired SPF record; nothing where it cannot be repaired.
    pub fn repair_spf(&self) -> Remedy {
        match (self.spf(), repair::spf(self)) {
            (Some((record, _)), Some(repaired)) => self.replace_spf(record, repaired),
            _ => Remedy::Nothing,
        }
    }

    /// What is wrong with the SPF record there, whether or not our mechanism is in it.
    pub fn spf_errors(&self) -> Vec<Finding> {
        SPF_ERRORS.iter().filter_map(|check| check(self)).collect()
    }

    /// Our mechanisms that should be in an SPF record.
    pub fn spf_rules(&self) -> Option<&str> {
        match &self.record.expected {
            Expected::Spf { rules } => rules.as_deref(),
            _ => None,
        }
    }

    /// A finding about this record, seen for certain.
    pub fn finding(&self, defect: Defect, severity: Severity, remedy: Remedy) -> Finding {
        let record = Some(self.record.key.clone());
        Finding { defect, severity, confidence: Confidence::Confirmed, record, remedy }
    }

    /// How bad it is that this record is not right: what is recommended only warns.
    pub fn severity(&self) -> Severity {
        if self.record.required { Severity::Error } else { Severity::Warning }
    }

    /// The remedy of adding the planned record.
    pub fn add(&self) -> Remedy {
        let expected = &self.record.expected;
        Remedy::Add {
            name: self.record.owner.clone(),
            record_type: expected.record_type(),
            value: expected.value(),
            preference: expected.preference(),
        }
    }

    /// The remedy of publishing the planned record in the place of what is there.
    pub fn replace(&self, current: Vec<String>) -> Remedy {
        let expected = &self.record.expected;
        Remedy::Replace {
            name: self.record.owner.clone(),
            record_type: expected.record_type(),
            current,
            value: expected.value(),
            preference: expected.preference(),
        }
    }

    /// The TXT values at the name, each joined; those at the end of an alias where there is one.
    pub fn texts(&self) -> &[Cow<'a, str>] {
        self.texts.get_or_init(|| texts_of(self.here))
    }

    /// The same for findings to keep.
    pub fn texts_kept(&self) -> Vec<String> {
        kept(self.texts())
    }

    /// The texts behind the alias at the name.
    pub fn behind_alias(&self) -> Option<&Fact<'a>> {
        let look = |target| self.view.behind_alias(&self.record.owner, target, RecordType::Txt);
        self.behind.get_or_init(|| self.alias().map(look)).as_ref()
    }

    /// The target of the alias at the name.
    pub fn alias(&self) -> Option<&DomainName> {
        match self.here {
            Says::Alias { target, .. } => Some(target),
            _ => None,
        }
    }

    /// The texts of the DKIM record that a receiver would see: at the name, or behind our alias.
    pub fn key_texts(&self) -> Option<&[Cow<'a, str>]> {
        let texts = self.key_texts.get_or_init(|| match &self.record.expected {
            Expected::Dkim { .. } => Some(self.texts().to_vec()),
            Expected::Cname { target, dkim_key: Some(key) } => {
                let found = self.alias()?;
                let is_expected = |texts: &Vec<Cow<'_, str>>| is_key(texts, key);
                match self.behind_alias()? {
                    Fact::Agreed(says) if found == target => Some(texts_of(says)),
                    // That another key was there says nothing of the one that is there now, and what is behind an
                    // alias of the customer's own is of interest where it is ours.
                    Fact::Agreed(says) | Fact::Stale(says) => Some(texts_of(says)).filter(is_expected),
                    Fact::Disagreed(_) | Fact::Unknown(_) => None,
                }
            }
            _ => None,
        });
        texts.as_deref()
    }

    /// The one DKIM record that a receiver would see, or why verifiers discard it.
    pub fn key(&self) -> Option<Result<&KeyOutline, &str>> {
        let key = self.key.get_or_init(|| match self.key_texts()? {
            [text] => Some(KeyOutline::read(text).map_err(|error| error.to_string())),
            _ => None,
        });
        key.as_ref().map(|key| key.as_ref().map_err(String::as_str))
    }

    /// The public key that should be found, base64 of the SPKI.
    pub fn expected_key(&self) -> Option<&str> {
        match &self.record.expected {
            Expected::Dkim { public_key, .. } => public_key.as_deref(),
            Expected::Cname { dkim_key, .. } => dkim_key.as_deref(),
            _ => None,
        }
    }

    /// Whether what should be behind this record is ours to mend: the key is in the platform's own zone.
    pub fn key_is_ours(&self) -> bool {
        matches!(self.record.expected, Expected::Cname { dkim_key: Some(_), .. })
    }
}

/// The records of an answer, at the name or at the end of its alias.
pub fn records_of(says: &Says) -> &[RecordData] {
    match says {
        Says::Records(records) | Says::Alias { at_end: records, .. } => records,
        _ => &[],
    }
}

/// The TXT values of an answer, each joined.
pub fn texts_of(says: &Says) -> Vec<Cow<'_, str>> {
    records_of(says)
        .iter()
        .filter_map(|data| match data {
            RecordData::Txt(text) => Some(bounded(text.text())),
            _ => None,
        })
        .collect()
}

/// Texts for findings to keep.
pub fn kept(texts: &[Cow<'_, str>]) -> Vec<String> {
    texts.iter().map(|text| text.clone().into_owned()).collect()
}

/// The most of one value that is looked at, in octets: more than any of these records needs, and not all of the
/// 64 KiB that somebody may put there.
const LONGEST_TEXT: usize = 8 * 1024;

fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = (0..=LONGEST_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// The SPF records among texts.
pub fn spf_records(texts: &[Cow<'_, str>]) -> Vec<String> {
    texts.iter().filter(|text| mail::spf::is_spf_record(text)).map(|text| text.clone().into_owned()).collect()
}

/// The one SPF record among texts, where there is exactly one.
pub fn only_spf_record<'t>(texts: &'t [Cow<'_, str>]) -> Option<&'t str> {
    let mut records = texts.iter().map(AsRef::as_ref).filter(|text| mail::spf::is_spf_record(text));
    records.next().filter(|_| records.next().is_none())
}

/// The texts that a DMARC verifier takes for policy records: `v=DMARC1` first, exactly (RFC 9989 §4.10).
pub fn dmarc_records(texts: &[Cow<'_, str>]) -> Vec<String> {
    texts
        .iter()
        .filter(|text| mail::dmarc::is_dmarc_record(text))
        .map(|text| text.clone().into_owned())
        .collect()
}

/// The one of them, where there is exactly one.
pub fn only_dmarc_record<'t>(texts: &'t [Cow<'_, str>]) -> Option<&'t str> {
    let mut records = texts.iter().map(AsRef::as_ref).filter(|text| mail::dmarc::is_dmarc_record(text));
    records.next().filter(|_| records.next().is_none())
}

/// Whether one server's answer shows the planned record; `None` when the answer says nothing certain.
pub fn is_right(record: &PlannedRecord, says: &Says) -> Option<bool> {
    is_right_by(&Readings::default(), record, says)
}

fn is_right_by(readings: &Readings, record: &PlannedRecord, says: &Says) -> Option<bool> {
    if matches!(says, Says::Nothing(_) | Says::Lame(_)) {
        return None;
    }
    let chain_hidden = matches!(says, Says::Alias { end: ChainEnd::Unseen, .. });
    // Joined only where they are looked at: keys are long, and most records are aliases for them.
    let texts = || texts_of(says);
    Some(match &record.expected {
        Expected::Cname { target, .. } => {
            matches!(says, Says::Alias { target: found, .. } if found == target)
        }
        // The name server shows an alias and not what is behind it: only a resolver can tell.
        _ if chain_hidden => return None,
        Expected::Dkim { public_key, .. } => {
            let is_ours = |key: KeyRecord| {
                key.serves_mail()
                    && match public_key {
                        Some(expected) => key.is_public_key(expected),
                        None => key.key != KeyState::Revoked,
                    }
            };
            match texts().as_slice() {
                [one] => KeyRecord::parse(one).is_ok_and(is_ours),
                _ => false,
            }
        }
        Expected::Spf { rules } => match only_spf_record(&texts()) {
            Some(one) => (readings.spf(one).as_ref().as_ref())
                .is_ok_and(|record| rules.as_ref().is_none_or(|rules| record.passes(rules))),
            None => false,
        },
        Expected::Dmarc { .. } => only_dmarc_record(&texts()).is_some_and(|one| readings.dmarc(one).is_ok()),
        Expected::Txt { value, .. } => texts().iter().any(|text| text == value),
        // SMTP follows an alias to the exchangers at its end (RFC 5321 §5.1).
        Expected::Mx { exchange, beside, .. } => {
            let found: Vec<&DomainName> = records_of(says)
                .iter()
                .filter_map(
                    |data| if let RecordData::Mx { exchange, .. } = data { Some(exchange) } else { None },
                )
                .collect();
            found.contains(&exchange) && found.iter().all(|host| *host == exchange || beside.contains(host))
        }
        Expected::Address { data } => records_of(says).contains(data),
        Expected::Delegation { name_server, .. } => {
            records_of(says).contains(&RecordData::Ns(name_server.clone()))
        }
        Expected::Exact { data } => records_of(says).iter().any(|found| model::same_data(found, data)),
    })
}

/// The same with what else was observed: our part of an SPF record may be in one that it includes, and our key behind
/// an alias of the customer's own.
pub fn is_right_in(view: &View, record: &PlannedRecord, says: &Says) -> Option<bool> {
    let right = is_right_by(view.readings(), record, says)?;
    Some(match (&record.expected, says) {
        _ if right => true,
        (Expected::Spf { rules: Some(rules) }, _) => only_spf_record(&texts_of(says))
            .is_some_and(|one| view.spf_tree(&record.owner, one).node.lets_pass(rules)),
        (Expected::Cname { dkim_key: Some(key), .. }, Says::Alias { target: found, .. }) => {
            match view.behind_alias(&record.owner, found, RecordType::Txt) {
                Fact::Agreed(says) => is_key(&texts_of(says), key),
                _ => false,
            }
        }
        _ => false,
    })
}

/// Whether these are one DKIM record with the key, base64 of the SPKI.
fn is_key(texts: &[Cow<'_, str>], wanted: &str) -> bool {
    matches!(texts, [text] if KeyRecord::parse(text).is_ok_and(|key| key.is_public_key(wanted)))
}

/// The zones that the plan's records are in, each once, in the plan's order.
pub fn zones_of(plan: &Plan, view: &View) -> Vec<DomainName> {
    if !view.may_know_zones() {
        return Vec::new();
    }
    let mut zones: Vec<DomainName> = Vec::new();
    let names = plan.records.iter().map(|record| crate::inquiry::zone_question_name(record));
    for zone in names.chain([plan.domain.clone()]).filter_map(|name| view.zone_of(&name)) {
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    zones
}

/// The answer to a question of a DMARC discovery, out of the observation; nothing where it was not asked.
pub fn dmarc_answer(view: &View, domain: &DomainName, question: &Question) -> Option<Answer> {
    if question.record_type == RecordType::Txt {
        return heard_answer(view, question);
    }
    // Whether the domain exists (for `np`) shows in any answer about it; its SOA was asked for in any case.
    match view.fact(domain, RecordType::Soa) {
        Fact::Agreed(Says::NxDomain(_)) => Some(Answer::NxDomain),
        Fact::Agreed(_) => Some(Answer::NoData),
        _ => None,
    }
}

/// What was heard to a question, as an evaluation takes it; nothing where it was not asked.
pub fn heard_answer(view: &View, question: &Question) -> Option<Answer> {
    let is_asked = view.was_asked(&question.name, question.record_type);
    is_asked.then(|| answer_of_fact(view.fact(&question.name, question.record_type)))
}

/// A fact as an evaluation takes it.
pub fn answer_of_fact(fact: Fact<'_>) -> Answer {
    match fact {
        Fact::Agreed(says) => answer_of(says),
        // A cache that still says "nothing there" is no evidence against the one that has it.
        Fact::Disagreed(all) => {
            let positive = all.into_iter().map(|(_, says)| says).find(|says| !records_of(says).is_empty());
            positive.map_or_else(|| Answer::TempError("the servers disagree".to_owned()), answer_of)
        }
        Fact::Stale(_) => Answer::TempError(RUN_OUT.to_owned()),
        Fact::Unknown(reasons) => Answer::TempError(reasons.join("; ")),
    }
}

fn answer_of(says: &Says) -> Answer {
    match says {
        Says::Records(records) => Answer::Records(records.clone()),
        Says::Alias { at_end, end: ChainEnd::Records, .. } => Answer::Records(at_end.clone()),
        Says::NoData(_) | Says::Alias { end: ChainEnd::NoData, .. } => Answer::NoData,
        Says::NxDomain(_) | Says::Alias { end: ChainEnd::NxDomain(_), .. } => Answer::NxDomain,
        Says::Alias { target, .. } => {
            Answer::TempError(format!("what is behind the alias to {target} was not shown"))
        }
        // What a resolver makes of it is SERVFAIL.
        Says::AliasLoop(target) => Answer::TempError(format!("the aliases from {target} go in a circle")),
        Says::SeveralAliases(_) => Answer::TempError("there is more than one alias at the name".to_owned()),
        Says::Nothing(reason) | Says::Lame(reason) => Answer::TempError(reason.clone()),
    }
}

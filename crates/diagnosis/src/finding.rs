//! Findings: diagnosed facts as data. No sentence lives here; `explain` owns all words.

use crate::{
    mail_policy::{Provider, Rule},
    near_miss::VersionSlip,
    observation::{Question, Server},
    slip::Slip,
    spf_tree::SpfCost,
};
use mail::{
    dmarc::{AlignmentMode, Policy, PolicyTag},
    spf::SpfDrop,
};
use model::{Confidence, DomainName, RecordType, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

pub use crate::remedy::Remedy;

/// One diagnosed fact about a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was found, with its evidence.
    #[serde(flatten)]
    pub defect: Defect,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The planned record it is about ([`crate::PlannedRecord::key`]); `None` for the domain as a whole.
    pub record: Option<String>,
    /// What mends it.
    pub remedy: Remedy,
}

impl Finding {
    /// The stable code: the same in API, CLI, documentation and metrics.
    pub fn code(&self) -> &'static str {
        self.defect.code()
    }
}

macro_rules! defects {
    ($($variant:ident = $code:literal { $($(#[$fdoc:meta])* $field:ident : $type:ty),* $(,)? })*) => {
        /// What can be found, each with its evidence. Codes are only ever added.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "code", content = "evidence")]
        pub enum Defect {
            $(
                #[doc = concat!("What it is, why it matters and what mends it: `checks/", $code, ".rs`.")]
                #[serde(rename = $code)] $variant { $($(#[$fdoc])* $field: $type),* }
            ),*
        }

        impl Defect {
            /// Every code there is, in the order in which findings are documented.
            pub const CODES: &'static [&'static str] = &[$($code),*];

            /// The stable code.
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code),* }
            }
        }
    };
}

defects! {
    DomainNotFound = "domain_not_found" {
        /// The name that does not exist.
        name: DomainName,
    }
    RecordMissing = "record_missing" {
        /// Where it should be.
        name: DomainName,
        /// The type that should be there.
        record_type: RecordType,
    }
    RecordInDoubledZone = "record_in_doubled_zone" {
        /// Where it should be.
        name: DomainName,
        /// Where it is.
        found_at: DomainName,
        /// The zone whose name was appended a second time.
        zone: DomainName,
    }
    RecordMisplaced = "record_misplaced" {
        /// Where it should be.
        name: DomainName,
        /// Where it is.
        found_at: DomainName,
        /// What went wrong on the way there.
        #[serde(default)]
        slip: Slip,
    }
    RecordWrongType = "record_wrong_type" {
        /// The name.
        name: DomainName,
        /// The type that should be there.
        expected: RecordType,
        /// The type that is there.
        found: RecordType,
        /// Its value.
        value: String,
    }
    CnameWrongTarget = "cname_wrong_target" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
    }
    CnameTargetZoneAppended = "cname_target_zone_appended" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
        /// The name that was appended.
        zone: DomainName,
    }
    CnameProxied = "cname_proxied" {
        /// The name.
        name: DomainName,
        /// What is answered in place of the alias.
        addresses: Vec<IpAddr>,
    }
    CnameConflict = "cname_conflict" {
        /// The name.
        name: DomainName,
        /// The types that stand beside the alias.
        beside: Vec<RecordType>,
    }
    CnameTargetMissing = "cname_target_missing" {
        /// The name.
        name: DomainName,
        /// The target that does not exist.
        target: DomainName,
    }
    TxtQuotesPasted = "txt_quotes_pasted" {
        /// The name.
        name: DomainName,
        /// The value as it is.
        found: String,
        /// The value as it should be.
        expected: String,
    }
    TxtWrongValue = "txt_wrong_value" {
        /// The name.
        name: DomainName,
        /// The value as it should be.
        expected: String,
        /// The values as they are.
        found: Vec<String>,
    }
    DkimKeyRevoked = "dkim_key_revoked" {
        /// The name.
        name: DomainName,
    }
    DkimKeyMismatched = "dkim_key_mismatched" {
        /// The name.
        name: DomainName,
        /// How our key starts.
        expected_start: String,
        /// How the key there starts.
        found_start: String,
    }
    DkimKeyWeak = "dkim_key_weak" {
        /// The name.
        name: DomainName,
        /// Its size.
        bits: u32,
    }
    DkimKeyInvalid = "dkim_key_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        found: String,
        /// Why it is discarded.
        reason: String,
    }
    DkimMultipleRecords = "dkim_multiple_records" {
        /// The name.
        name: DomainName,
        /// How many.
        count: usize,
    }
    DkimPartial = "dkim_partial" {
        /// How many are right.
        present: usize,
        /// How many there should be.
        total: usize,
        /// The names that are not right.
        missing: Vec<DomainName>,
    }
    DkimTesting = "dkim_testing" {
        /// The name.
        name: DomainName,
    }
    DkimStrict = "dkim_strict" {
        /// The name.
        name: DomainName,
    }
    DkimUnaligned = "dkim_unaligned" {
        /// The domain in From.
        author_domain: DomainName,
        /// The signing domain.
        signing_domain: DomainName,
        /// How exact the policy wants it.
        mode: AlignmentMode,
    }
    SpfMissing = "spf_missing" {
        /// The name.
        name: DomainName,
    }
    SpfMultipleRecords = "spf_multiple_records" {
        /// The name.
        name: DomainName,
        /// The records.
        records: Vec<String>,
        /// How many look-ups the one record needs, at the least.
        #[serde(default)]
        lookups_after: usize,
        /// What has to go besides, so that it keeps the limit.
        #[serde(default)]
        to_drop: Vec<SpfDrop>,
    }
    SpfMechanismAbsent = "spf_mechanism_absent" {
        /// The name.
        name: DomainName,
        /// The record as it is.
        current: String,
        /// What should be in it.
        rules: String,
        /// How many look-ups the record needs once it is in, at the least.
        #[serde(default)]
        lookups_after: usize,
        /// What has to go besides, so that the merged record keeps the limit.
        #[serde(default)]
        to_drop: Vec<SpfDrop>,
    }
    SpfInvalid = "spf_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// Why.
        reason: String,
        /// The terms that nobody can tell the meaning of; the owner has to.
        #[serde(default)]
        lost: Vec<String>,
        /// What is wrong with its beginning, where receivers do not even take it for an SPF record.
        #[serde(default)]
        version: Option<VersionSlip>,
    }
    SpfTooManyLookups = "spf_too_many_lookups" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The first term past the limit, and whose record it is in.
        term: String,
        /// How many look-ups it needs, at the least.
        #[serde(default)]
        lookups: usize,
        /// What each term of the record costs.
        #[serde(default)]
        costs: Vec<SpfCost>,
        /// The fewest terms whose removal is enough, those that do nothing first.
        #[serde(default)]
        to_drop: Vec<SpfDrop>,
    }
    SpfTooManyVoidLookups = "spf_too_many_void_lookups" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// How many come back empty, at the least.
        void_lookups: usize,
        /// The terms whose names have no address or exchanger, and whose record each is in.
        terms: Vec<String>,
    }
    SpfNearLookupLimit = "spf_near_lookup_limit" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// How many look-ups it needs.
        lookups: usize,
        /// What each term of the record costs.
        costs: Vec<SpfCost>,
    }
    SpfIncludeLoop = "spf_include_loop" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The domain that is included a second time.
        again: DomainName,
        /// The domain whose record includes it.
        at: DomainName,
    }
    SpfPtrUsed = "spf_ptr_used" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The terms, and whose record each is in.
        terms: Vec<String>,
    }
    SpfNoAll = "spf_no_all" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// What it ends in: `?all`, or nothing.
        ending: Option<String>,
    }
    SpfRedirectIgnored = "spf_redirect_ignored" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The term.
        term: String,
    }
    SpfIncludeBroken = "spf_include_broken" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// What is wrong.
        problem: String,
    }
    SpfPassesAll = "spf_passes_all" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The term that does.
        #[serde(default)]
        term: String,
    }
    SpfUnaligned = "spf_unaligned" {
        /// The domain in From.
        author_domain: DomainName,
        /// The domain of the envelope sender.
        mail_from: DomainName,
        /// How exact the policy wants it.
        mode: AlignmentMode,
    }
    DmarcMissing = "dmarc_missing" {
        /// The name.
        name: DomainName,
    }
    DmarcMultipleRecords = "dmarc_multiple_records" {
        /// The name.
        name: DomainName,
        /// The records.
        records: Vec<String>,
    }
    DmarcInherited = "dmarc_inherited" {
        /// The name without a record of its own.
        name: DomainName,
        /// Where the policy was found.
        from: DomainName,
        /// The policy that applies to this domain.
        policy: String,
    }
    DmarcInvalid = "dmarc_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// Why.
        reason: String,
        /// What is wrong with its beginning, where receivers do not even take it for a DMARC record.
        #[serde(default)]
        version: Option<VersionSlip>,
        /// Whether the record to publish has all parts of the one that is there.
        #[serde(default)]
        kept: bool,
        /// The policy from further up that applies as long as this record is not seen, and where it is.
        #[serde(default)]
        applies: Option<(DomainName, String)>,
    }
    DmarcPolicyNone = "dmarc_policy_none" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The record of the next step: only `p=` is another.
        next: String,
    }
    DmarcPolicyUnusable = "dmarc_policy_unusable" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags whose value is no policy, as they are written; none where `p` is missing.
        #[serde(default)]
        tags: Vec<String>,
    }
    DmarcTesting = "dmarc_testing" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// What the record asks for.
        requested: Policy,
        /// What receivers do.
        applied: Policy,
    }
    DmarcRemovedTags = "dmarc_removed_tags" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags.
        tags: Vec<String>,
    }
    DmarcTagsIgnored = "dmarc_tags_ignored" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags, as `name=value`.
        tags: Vec<String>,
    }
    DmarcReportUriInvalid = "dmarc_report_uri_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The entries of `rua=` and `ruf=` that are not valid.
        uris: Vec<String>,
    }
    DmarcNoReports = "dmarc_no_reports" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
    }
    DmarcSubdomainsWeaker = "dmarc_subdomains_weaker" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tag that says so.
        tag: PolicyTag,
        /// The domain's own policy.
        policy: Policy,
        /// That of the subdomains.
        weaker: Policy,
    }
    DmarcPublicSuffix = "dmarc_public_suffix" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
    }
    DmarcReportsNotAuthorised = "dmarc_reports_not_authorised" {
        /// The domain whose policy asks for them.
        policy_domain: DomainName,
        /// The domain that they are to go to.
        destination: DomainName,
        /// Where that domain has to agree.
        agreement_at: DomainName,
    }
    SenderRulesNotMet = "sender_rules_not_met" {
        /// The domain.
        domain: DomainName,
        /// The rules, each with whose it is.
        unmet: Vec<UnmetRule>,
    }
    CaaForbidsIssuance = "caa_forbids_issuance" {
        /// The host that a certificate is needed for.
        host: DomainName,
        /// The name whose records forbid it.
        at: DomainName,
        /// The records.
        records: Vec<String>,
        /// The certificate authority.
        authority: String,
    }
    SenderPtrMissing = "sender_ptr_missing" {
        /// Its address.
        address: IpAddr,
        /// The names that it has, which lead elsewhere.
        names: Vec<DomainName>,
    }
    MxWrong = "mx_wrong" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Vec<String>,
    }
    AddressWrong = "address_wrong" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Vec<String>,
    }
    RecordWrongValue = "record_wrong_value" {
        /// The name.
        name: DomainName,
        /// The type.
        record_type: RecordType,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Vec<String>,
    }
    TxtConflicting = "txt_conflicting" {
        /// The name.
        name: DomainName,
        /// Our value.
        expected: String,
        /// The values that should have gone.
        found: Vec<String>,
    }
    NameServerLame = "name_server_lame" {
        /// The zone.
        zone: DomainName,
        /// The server.
        server: Server,
        /// What it does in place of answering.
        reason: String,
    }
    NameServerUnreachable = "name_server_unreachable" {
        /// The zone.
        zone: DomainName,
        /// The server.
        server: Server,
        /// What happened.
        reason: String,
    }
    NameServersDisagree = "name_servers_disagree" {
        /// The name.
        name: DomainName,
        /// The type.
        record_type: RecordType,
        /// The servers that have the right answer.
        right: Vec<Server>,
        /// The servers that have another one.
        wrong: Vec<Server>,
        /// The version of the zone that each of them has, where those differ.
        #[serde(default)]
        serials: Vec<ZoneSerial>,
    }
    ResolverCacheStale = "resolver_cache_stale" {
        /// The name.
        name: DomainName,
        /// The resolver.
        server: Server,
        /// When its copy runs out.
        until: Timestamp,
    }
    DnsUnanswered = "dns_unanswered" {
        /// The name.
        name: DomainName,
        /// The type.
        record_type: RecordType,
        /// Every server that was asked, and what it did.
        reasons: Vec<String>,
    }
    InquiryCutShort = "inquiry_cut_short" {
        /// How many questions were put.
        asked: usize,
        /// Whether it was the time that ran out, and not the number of questions or the room for answers.
        #[serde(default)]
        out_of_time: bool,
    }
    SubdomainRecommended = "subdomain_recommended" {
        /// A better choice.
        suggestion: DomainName,
    }
    WildcardAnswers = "wildcard_answers" {
        /// The name.
        name: DomainName,
        /// The type of what the wildcard answers.
        record_type: RecordType,
        /// What it answers.
        found: Vec<String>,
    }
    WildcardShadowed = "wildcard_shadowed" {
        /// The name that the wildcard answers for now.
        name: DomainName,
        /// The types that it answers.
        record_types: Vec<RecordType>,
        /// What it answers.
        found: Vec<String>,
    }
    AliasTargetMissing = "alias_target_missing" {
        /// The name.
        name: DomainName,
        /// Where the alias points.
        target: DomainName,
        /// The name at the end of the chain, which does not exist.
        missing: DomainName,
    }
    CnameAtApex = "cname_at_apex" {
        /// The name, a zone's apex.
        name: DomainName,
        /// Where the alias should point.
        expected: String,
    }
    MxExchangeMissing = "mx_exchange_missing" {
        /// The name.
        name: DomainName,
        /// The exchanger.
        exchange: DomainName,
    }
    MxExchangeAlias = "mx_exchange_alias" {
        /// The name.
        name: DomainName,
        /// The exchanger.
        exchange: DomainName,
        /// What it is an alias for.
        target: DomainName,
    }
    MxNull = "mx_null" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
    }
    DelegationMismatch = "delegation_mismatch" {
        /// The zone.
        zone: DomainName,
        /// The servers that the zone above delegates to.
        parent: Vec<DomainName>,
        /// The servers that the zone itself names.
        child: Vec<DomainName>,
    }
    ZoneNotDelegated = "zone_not_delegated" {
        /// The zone.
        zone: DomainName,
        /// The servers that the zone is delegated to: without the records.
        delegated: Vec<DomainName>,
        /// The servers that have the records.
        edited: Vec<DomainName>,
        /// The records that are there only.
        names: Vec<DomainName>,
    }
    DnssecBogus = "dnssec_bogus" {
        /// The zone.
        zone: DomainName,
        /// The names that validating resolvers refuse.
        names: Vec<DomainName>,
        /// The resolvers that refuse them.
        resolvers: Vec<Server>,
        /// The resolvers' own words (RFC 8914), where they gave any.
        reason: Option<String>,
    }
    ResolversUnusable = "resolvers_unusable" {
        /// Each resolver, and what it did.
        reasons: Vec<String>,
    }
    ZoneUnserved = "zone_unserved" {
        /// The zone, or the domain where no zone was found.
        zone: DomainName,
        /// What the servers did.
        reasons: Vec<String>,
    }
    TxtCutOff = "txt_cut_off" {
        /// The name.
        name: DomainName,
        /// How many characters are there.
        found_length: usize,
        /// How many there should be.
        expected_length: usize,
    }
    TxtWhiteSpace = "txt_white_space" {
        /// The name.
        name: DomainName,
        /// The value as it is.
        found: String,
        /// The value as it should be.
        expected: String,
    }
    CnameTargetUrl = "cname_target_url" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
    }
    GlueMismatch = "glue_mismatch" {
        /// The zone.
        zone: DomainName,
        /// The name server.
        host: DomainName,
        /// The addresses that the zone above gives.
        glue: Vec<IpAddr>,
        /// The addresses that the host has.
        addresses: Vec<IpAddr>,
    }
    MxExchangeZoneAppended = "mx_exchange_zone_appended" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// The exchanger that is there.
        found: DomainName,
        /// The name that was appended.
        zone: DomainName,
    }
    MxExchangeNotHost = "mx_exchange_not_host" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// The exchanger that is there.
        found: DomainName,
        /// What it is.
        kind: NotHost,
    }
    DomainSendsNoMail = "domain_sends_no_mail" {
        /// The name.
        name: DomainName,
        /// The records that say so: an SPF record that allows nobody, a null MX.
        declared: Vec<String>,
    }
    CnameSeveral = "cname_several" {
        /// The name.
        name: DomainName,
        /// Where they point.
        targets: Vec<DomainName>,
    }
    CnameDetour = "cname_detour" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
    }
    DelegationMissing = "delegation_missing" {
        /// The zone that is to be delegated to us.
        zone: DomainName,
        /// One of the servers that it is to be delegated to.
        name_server: DomainName,
    }
    DelegationIncomplete = "delegation_incomplete" {
        /// The zone.
        zone: DomainName,
        /// The server that is not in the delegation.
        missing: DomainName,
        /// Those that are.
        found: Vec<DomainName>,
    }
    DelegationElsewhere = "delegation_elsewhere" {
        /// The zone.
        zone: DomainName,
        /// The servers in the delegation that are not ours.
        others: Vec<DomainName>,
        /// Those that are.
        ours: Vec<DomainName>,
    }
    DelegationAlias = "delegation_alias" {
        /// The zone.
        zone: DomainName,
        /// Where the alias in its place points.
        target: DomainName,
    }
    DelegationSigned = "delegation_signed" {
        /// The zone.
        zone: DomainName,
    }
    DelegationHidden = "delegation_hidden" {
        /// The zone.
        zone: DomainName,
        /// The servers of the zone above that answer for it themselves.
        servers: Vec<Server>,
    }
    DelegationUneven = "delegation_uneven" {
        /// The zone.
        zone: DomainName,
        /// The servers of the zone above that have the delegation.
        with: Vec<Server>,
        /// Those that do not.
        without: Vec<Server>,
    }
    SubZoneNotServed = "sub_zone_not_served" {
        /// The zone, which is delegated to us.
        zone: DomainName,
        /// The names in it that are not as they should be.
        names: Vec<DomainName>,
    }
    DelegationCovered = "delegation_covered" {
        /// The zone.
        zone: DomainName,
        /// The zone above, which is delegated to us as well.
        above: DomainName,
    }
    DelegationHidesRecords = "delegation_hides_records" {
        /// The zone that is to be delegated to us.
        zone: DomainName,
        /// The records that are at it or below it now, by name and type.
        records: Vec<Question>,
    }
}

/// What stands where the name of a host belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotHost {
    /// An IP address.
    IpAddress,
    /// A web address.
    Url,
    /// A mail address.
    MailAddress,
}

/// The version of a zone that a name server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSerial {
    /// The server.
    pub server: Server,
    /// The serial number of its SOA record (RFC 1035 §3.3.13).
    pub serial: u32,
}

/// A rule of a mailbox provider that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmetRule {
    /// Whose.
    pub provider: Provider,
    /// Which.
    pub rule: Rule,
    /// Whether it is asked only of those who send much.
    pub bulk: bool,
}

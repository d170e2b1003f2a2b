//! Findings: diagnosed facts as data. No sentence lives here; `explain` owns all words.

use crate::{
    mail_policy::{Provider, Rule},
    near_miss::VersionSlip,
    observation::Server,
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
    ($($(#[$doc:meta])* $variant:ident = $code:literal { $($(#[$fdoc:meta])* $field:ident : $type:ty),* $(,)? })*) => {
        /// What can be found, each with its evidence. Codes are only ever added.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "code", content = "evidence")]
        pub enum Defect {
            $($(#[$doc])* #[serde(rename = $code)] $variant { $($(#[$fdoc])* $field: $type),* }),*
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
    /// The domain's zone is not in DNS at all.
    DomainNotFound = "domain_not_found" {
        /// The name that does not exist.
        name: DomainName,
    }
    /// Nothing is at the name, and nothing was found where it could have gone.
    RecordMissing = "record_missing" {
        /// Where it should be.
        name: DomainName,
        /// The type that should be there.
        record_type: RecordType,
    }
    /// The record stands at its full name with the zone's name once more behind it.
    RecordInDoubledZone = "record_in_doubled_zone" {
        /// Where it should be.
        name: DomainName,
        /// Where it is.
        found_at: DomainName,
        /// The zone whose name was appended a second time.
        zone: DomainName,
    }
    /// The record stands at another name.
    RecordMisplaced = "record_misplaced" {
        /// Where it should be.
        name: DomainName,
        /// Where it is.
        found_at: DomainName,
        /// What went wrong on the way there.
        #[serde(default)]
        slip: Slip,
    }
    /// A record of another type stands where ours should be.
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
    /// The alias points somewhere else.
    CnameWrongTarget = "cname_wrong_target" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
    }
    /// The alias points at the right target with the zone's name behind it: its final dot is missing.
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
    /// Addresses in place of the alias: a proxy answers for the name.
    CnameProxied = "cname_proxied" {
        /// The name.
        name: DomainName,
        /// What is answered in place of the alias.
        addresses: Vec<IpAddr>,
    }
    /// An alias and other data at one name (RFC 1034 §3.6.2).
    CnameConflict = "cname_conflict" {
        /// The name.
        name: DomainName,
        /// The types that stand beside the alias.
        beside: Vec<RecordType>,
    }
    /// The alias is right and its target does not exist.
    CnameTargetMissing = "cname_target_missing" {
        /// The name.
        name: DomainName,
        /// The target that does not exist.
        target: DomainName,
    }
    /// The quotation marks of a zone file were pasted into the value.
    TxtQuotesPasted = "txt_quotes_pasted" {
        /// The name.
        name: DomainName,
        /// The value as it is.
        found: String,
        /// The value as it should be.
        expected: String,
    }
    /// A TXT record with another value.
    TxtWrongValue = "txt_wrong_value" {
        /// The name.
        name: DomainName,
        /// The value as it should be.
        expected: String,
        /// The values as they are.
        found: Vec<String>,
    }
    /// The DKIM record has an empty key (RFC 6376 §3.6.1).
    DkimKeyRevoked = "dkim_key_revoked" {
        /// The name.
        name: DomainName,
    }
    /// A DKIM key is there, and it is not ours.
    DkimKeyMismatched = "dkim_key_mismatched" {
        /// The name.
        name: DomainName,
        /// How our key starts.
        expected_start: String,
        /// How the key there starts.
        found_start: String,
    }
    /// An RSA key below 2048 bits (RFC 8301 §3.2).
    DkimKeyWeak = "dkim_key_weak" {
        /// The name.
        name: DomainName,
        /// Its size.
        bits: u32,
    }
    /// A DKIM record that verifiers discard (RFC 6376 §3.6.1).
    DkimKeyInvalid = "dkim_key_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        found: String,
        /// Why it is discarded.
        reason: String,
    }
    /// More than one DKIM record at one selector (RFC 6376 §3.6.2.2).
    DkimMultipleRecords = "dkim_multiple_records" {
        /// The name.
        name: DomainName,
        /// How many.
        count: usize,
    }
    /// Some of the DKIM records are there and some are not.
    DkimPartial = "dkim_partial" {
        /// How many are right.
        present: usize,
        /// How many there should be.
        total: usize,
        /// The names that are not right.
        missing: Vec<DomainName>,
    }
    /// The DKIM key says that it is being tested (`t=y`, RFC 6376 §3.6.1).
    DkimTesting = "dkim_testing" {
        /// The name.
        name: DomainName,
    }
    /// The DKIM key forbids subdomains in a signature's `i=` (`t=s`, RFC 6376 §3.6.1).
    DkimStrict = "dkim_strict" {
        /// The name.
        name: DomainName,
    }
    /// Signatures are made for a domain that does not align with the one in From (RFC 9989 §4.4.1).
    DkimUnaligned = "dkim_unaligned" {
        /// The domain in From.
        author_domain: DomainName,
        /// The signing domain.
        signing_domain: DomainName,
        /// How exact the policy wants it.
        mode: AlignmentMode,
    }
    /// No SPF record.
    SpfMissing = "spf_missing" {
        /// The name.
        name: DomainName,
    }
    /// More than one SPF record: a permanent error (RFC 7208 §4.5).
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
    /// The SPF record is there without our mechanism.
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
    /// The SPF record does not parse, which is a permanent error (RFC 7208 §4.6), or receivers do not take it for one
    /// (RFC 7208 §4.5).
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
    /// The SPF record needs more look-ups than receivers make: a permanent error (RFC 7208 §4.6.4).
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
    /// More of the SPF record's look-ups come back empty than receivers accept: a permanent error (RFC 7208 §4.6.4).
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
    /// The SPF record is near the limit of look-ups (RFC 7208 §4.6.4).
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
    /// The SPF record includes itself: a permanent error (RFC 7208 §4.6.4).
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
    /// The SPF record uses `ptr`, which is not to be used (RFC 7208 §5.5).
    SpfPtrUsed = "spf_ptr_used" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The terms, and whose record each is in.
        terms: Vec<String>,
    }
    /// The SPF record says nothing about senders that are not in it (RFC 7208 §4.7, §8.2).
    SpfNoAll = "spf_no_all" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// What it ends in: `?all`, or nothing.
        ending: Option<String>,
    }
    /// A `redirect` that is never followed, for `all` is in the record (RFC 7208 §6.1).
    SpfRedirectIgnored = "spf_redirect_ignored" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The term.
        term: String,
    }
    /// A term of the SPF record leads to a permanent error (RFC 7208 §5.2, §6.1).
    SpfIncludeBroken = "spf_include_broken" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// What is wrong.
        problem: String,
    }
    /// The SPF record lets everyone send.
    SpfPassesAll = "spf_passes_all" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The term that does.
        #[serde(default)]
        term: String,
    }
    /// The envelope sender's domain does not align with the one in From, so DKIM has to carry DMARC
    /// (RFC 9989 §4.4.2).
    SpfUnaligned = "spf_unaligned" {
        /// The domain in From.
        author_domain: DomainName,
        /// The domain of the envelope sender.
        mail_from: DomainName,
        /// How exact the policy wants it.
        mode: AlignmentMode,
    }
    /// No DMARC policy applies.
    DmarcMissing = "dmarc_missing" {
        /// The name.
        name: DomainName,
    }
    /// More than one DMARC record: all are discarded (RFC 9989 §4.10).
    DmarcMultipleRecords = "dmarc_multiple_records" {
        /// The name.
        name: DomainName,
        /// The records.
        records: Vec<String>,
    }
    /// The policy comes from a name further up (RFC 9989 §4.10).
    DmarcInherited = "dmarc_inherited" {
        /// The name without a record of its own.
        name: DomainName,
        /// Where the policy was found.
        from: DomainName,
        /// The policy that applies to this domain.
        policy: String,
    }
    /// The DMARC record is ignored because it does not parse, or is not taken for one.
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
    }
    /// The DMARC policy is `none`: receivers report and do nothing.
    DmarcPolicyNone = "dmarc_policy_none" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The record of the next step: only `p=` is another.
        next: String,
    }
    /// The DMARC record has no usable policy and counts as `p=none`, for it asks for reports (RFC 9989 §4.7).
    DmarcPolicyUnusable = "dmarc_policy_unusable" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags whose value is no policy, as they are written; none where `p` is missing.
        #[serde(default)]
        tags: Vec<String>,
    }
    /// The DMARC policy is being tested (`t=y`) and acted on a step lower (RFC 9989 §4.7).
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
    /// The DMARC record has tags that RFC 9989 removed: `pct`, `rf`, `ri`.
    DmarcRemovedTags = "dmarc_removed_tags" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags.
        tags: Vec<String>,
    }
    /// The DMARC record has tags that receivers ignore: unknown ones, and values that are not valid.
    DmarcTagsIgnored = "dmarc_tags_ignored" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The tags, as `name=value`.
        tags: Vec<String>,
    }
    /// An address for reports that nobody can send to.
    DmarcReportUriInvalid = "dmarc_report_uri_invalid" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
        /// The entries of `rua=` and `ruf=` that are not valid.
        uris: Vec<String>,
    }
    /// The DMARC record asks nobody for aggregate reports.
    DmarcNoReports = "dmarc_no_reports" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
    }
    /// Subdomains have a weaker policy than the domain itself (`sp=`, `np=`).
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
    /// An ordinary domain calls itself a public suffix (`psd=y`, RFC 9989 §4.7).
    DmarcPublicSuffix = "dmarc_public_suffix" {
        /// The name.
        name: DomainName,
        /// The record.
        record: String,
    }
    /// Reports are to go to another organization that has not agreed to take them (RFC 9990 §4).
    DmarcReportsNotAuthorised = "dmarc_reports_not_authorised" {
        /// The domain whose policy asks for them.
        policy_domain: DomainName,
        /// The domain that they are to go to.
        destination: DomainName,
        /// Where that domain has to agree.
        agreement_at: DomainName,
    }
    /// Rules of mailbox providers for senders are not kept.
    SenderRulesNotMet = "sender_rules_not_met" {
        /// The domain.
        domain: DomainName,
        /// The rules, each with whose it is.
        unmet: Vec<UnmetRule>,
    }
    /// CAA records keep our certificate authority from issuing for a host (RFC 8659).
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
    /// A sending server has no reverse DNS that leads back to it (RFC 1912 §2.1).
    SenderPtrMissing = "sender_ptr_missing" {
        /// Its address.
        address: IpAddr,
        /// The names that it has, which lead elsewhere.
        names: Vec<DomainName>,
    }
    /// The mail exchanger is not ours, or not ours alone.
    MxWrong = "mx_wrong" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Vec<String>,
    }
    /// An address record with other addresses.
    AddressWrong = "address_wrong" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
        /// What is there.
        found: Vec<String>,
    }
    /// A record of the right type with another value.
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
    /// Our text is there, and beside it are texts that it was to take the place of.
    TxtConflicting = "txt_conflicting" {
        /// The name.
        name: DomainName,
        /// Our value.
        expected: String,
        /// The values that should have gone.
        found: Vec<String>,
    }
    /// A name server that is listed for the zone does not serve it.
    NameServerLame = "name_server_lame" {
        /// The zone.
        zone: DomainName,
        /// The server.
        server: Server,
        /// What it does in place of answering.
        reason: String,
    }
    /// A name server does not answer.
    NameServerUnreachable = "name_server_unreachable" {
        /// The zone.
        zone: DomainName,
        /// The server.
        server: Server,
        /// What happened.
        reason: String,
    }
    /// The name servers of one zone give different answers.
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
    /// The name servers have it; a resolver still gives an older answer from its cache.
    ResolverCacheStale = "resolver_cache_stale" {
        /// The name.
        name: DomainName,
        /// The resolver.
        server: Server,
        /// When its copy runs out.
        until: Timestamp,
    }
    /// DNS gave no answer that says anything.
    DnsUnanswered = "dns_unanswered" {
        /// The name.
        name: DomainName,
        /// The type.
        record_type: RecordType,
        /// Every server that was asked, and what it did.
        reasons: Vec<String>,
    }
    /// The inquiry reached its bound before everything was asked.
    InquiryCutShort = "inquiry_cut_short" {
        /// How many questions were put.
        asked: usize,
    }
    /// Mail is to be sent from a registrable domain itself.
    SubdomainRecommended = "subdomain_recommended" {
        /// A better choice.
        suggestion: DomainName,
    }
    /// A wildcard answers for the name; the record itself is not there (RFC 4592).
    WildcardAnswers = "wildcard_answers" {
        /// The name.
        name: DomainName,
        /// The type of what the wildcard answers.
        record_type: RecordType,
        /// What it answers.
        found: Vec<String>,
    }
    /// A wildcard answers for the sender domain, and stops to once a record is at it or below it (RFC 4592 §2.2).
    WildcardShadowed = "wildcard_shadowed" {
        /// The name that the wildcard answers for now.
        name: DomainName,
        /// The types that it answers.
        record_types: Vec<RecordType>,
        /// What it answers.
        found: Vec<String>,
    }
    /// The name is an alias for a name that does not exist (RFC 6604).
    AliasTargetMissing = "alias_target_missing" {
        /// The name.
        name: DomainName,
        /// Where the alias points.
        target: DomainName,
        /// The name at the end of the chain, which does not exist.
        missing: DomainName,
    }
    /// The mail exchanger has no address.
    MxExchangeMissing = "mx_exchange_missing" {
        /// The name.
        name: DomainName,
        /// The exchanger.
        exchange: DomainName,
    }
    /// The mail exchanger is an alias (RFC 2181 §10.3).
    MxExchangeAlias = "mx_exchange_alias" {
        /// The name.
        name: DomainName,
        /// The exchanger.
        exchange: DomainName,
        /// What it is an alias for.
        target: DomainName,
    }
    /// The name says that it takes no mail (RFC 7505).
    MxNull = "mx_null" {
        /// The name.
        name: DomainName,
        /// What should be there.
        expected: String,
    }
    /// The zone names other servers than the zone above delegates it to (RFC 1912 §2.8).
    DelegationMismatch = "delegation_mismatch" {
        /// The zone.
        zone: DomainName,
        /// The servers that the zone above delegates to.
        parent: Vec<DomainName>,
        /// The servers that the zone itself names.
        child: Vec<DomainName>,
    }
    /// The records are at name servers that the zone is not delegated to.
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
    /// Validating resolvers refuse what is in the zone: its DNSSEC signatures are broken (RFC 4035 §5.5).
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
    /// No resolver that was asked gives any answer: nothing can be said of any domain from here.
    ResolversUnusable = "resolvers_unusable" {
        /// Each resolver, and what it did.
        reasons: Vec<String>,
    }
    /// No server answers for the zone, with DNSSEC validation or without.
    ZoneUnserved = "zone_unserved" {
        /// The zone, or the domain where no zone was found.
        zone: DomainName,
        /// What the servers did.
        reasons: Vec<String>,
    }
    /// The value is cut off.
    TxtCutOff = "txt_cut_off" {
        /// The name.
        name: DomainName,
        /// How many characters are there.
        found_length: usize,
        /// How many there should be.
        expected_length: usize,
    }
    /// White space, seen or not, stands before or behind the value.
    TxtWhiteSpace = "txt_white_space" {
        /// The name.
        name: DomainName,
        /// The value as it is.
        found: String,
        /// The value as it should be.
        expected: String,
    }
    /// A web address was entered as the target of the alias.
    CnameTargetUrl = "cname_target_url" {
        /// The name.
        name: DomainName,
        /// Where it should point.
        expected: DomainName,
        /// Where it points.
        found: DomainName,
    }
    /// The zone above gives addresses for a name server that the server does not have.
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
    /// The mail exchanger is the right one with the zone's name behind it: its final dot is missing.
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
    /// The mail exchanger is an address, not the name of a host (RFC 1035 §3.3.9).
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
    /// Mail is to be sent from a name that is declared as sending none (RFC 7208 §10.1.2, RFC 7505 §4.2).
    DomainSendsNoMail = "domain_sends_no_mail" {
        /// The name.
        name: DomainName,
        /// The records that say so: an SPF record that allows nobody, a null MX.
        declared: Vec<String>,
    }
    /// More than one alias at one name (RFC 2181 §10.1).
    CnameSeveral = "cname_several" {
        /// The name.
        name: DomainName,
        /// Where they point.
        targets: Vec<DomainName>,
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

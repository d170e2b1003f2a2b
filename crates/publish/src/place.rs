//! What is to be done at one name.

use crate::{
    Action, Blocked, Capabilities, Displaces, Kept, Owned, Reason, Required, Want, Why, ZoneRecord,
    order::{same_data, text_octets},
    plan::{LEFT_OVER, blocked_by},
};
use mail::spf::is_spf_record;
use model::{DomainName, Record, RecordData, RecordType, TxtData};

/// One name, what is asked of it, and what is known about it.
pub(crate) struct Place<'a> {
    pub owner: &'a DomainName,
    pub required: &'a [&'a Required],
    pub owned: &'a [&'a Owned],
    pub cuts: &'a [&'a ZoneRecord],
    /// A name above is to be handed to other name servers.
    pub below_ours: bool,
    pub capabilities: &'a Capabilities,
}

/// A step without a number: the planned record, what is done, and whether it is about another's record.
pub(crate) type Draft = (String, Action, bool);

/// What keeps a want from being met.
type InTheWay = (Vec<ZoneRecord>, Reason);

/// What came of it.
#[derive(Default)]
pub(crate) struct Found {
    /// What is done.
    pub steps: Vec<Draft>,
    pub blocked: Vec<Blocked>,
    pub settled: Vec<String>,
}

/// Whose a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Another's.
    Foreign,
    /// Ours, and as we wrote it.
    Ours,
    /// Ours by the host's name for it; what it holds was changed since.
    OursChanged,
}

/// A record that is there.
struct Held<'a> {
    record: &'a ZoneRecord,
    whose: Whose,
    /// One of the wants is met by it.
    meets: bool,
    /// A step has it.
    taken: bool,
}

/// The work at one name.
pub(crate) struct Work<'p, 'a> {
    place: &'p Place<'a>,
    held: Vec<Held<'a>>,
    /// Octets of all texts that stay or come.
    text_octets: usize,
    added: Vec<RecordData>,
    found: Found,
}

impl<'a> Place<'a> {
    /// What is to be done, with the records that are there.
    pub(crate) fn settle(&self, at: &[&'a ZoneRecord]) -> Found {
        let mut work = Work::new(self, at);
        let wants = work.possible();
        work.mark(&wants);
        let (merged, others): (Vec<&Required>, Vec<&Required>) =
            wants.into_iter().partition(|one| matches!(one.want, Want::Spf { .. }));
        for one in others {
            match &one.want {
                Want::Policy { begins, suggested } => work.policy(one, begins, suggested),
                Want::Exactly { .. } | Want::Text { .. } | Want::OnlyExchanger { .. } => work.record(one),
                Want::Spf { .. } => {}
            }
        }
        work.spf(&merged);
        work.left_over(!merged.is_empty());
        work.even_ttls();
        work.found
    }

    fn whose(&self, record: &ZoneRecord) -> Whose {
        let data = &record.record.data;
        let mut whose = Whose::Foreign;
        for owned in self.owned.iter().filter(|owned| owned.rules.is_none()) {
            if same_data(&owned.data, data) {
                return Whose::Ours;
            }
            let same_type = owned.data.record_type() == data.record_type();
            if owned.id.is_some() && owned.id == record.id && same_type {
                whose = Whose::OursChanged;
            }
        }
        whose
    }
}

impl<'p, 'a> Work<'p, 'a> {
    fn new(place: &'p Place<'a>, at: &[&'a ZoneRecord]) -> Self {
        let held =
            |record: &&'a ZoneRecord| Held { record, whose: place.whose(record), meets: false, taken: false };
        let held = at.iter().map(held).collect();
        Self { place, held, text_octets: 0, added: Vec::new(), found: Found::default() }
    }

    /// The wants that can stand beside each other and are this zone's to fulfil; the others are told.
    fn possible(&mut self) -> Vec<&'a Required> {
        let mut possible: Vec<&Required> = Vec::new();
        for one in self.place.required.iter().copied() {
            let foreign_cut =
                |cut: &&ZoneRecord| cut.record.owner != *self.place.owner || !is_name_server(&one.want);
            let cuts: Vec<ZoneRecord> =
                self.place.cuts.iter().copied().filter(foreign_cut).cloned().collect();
            let beside = possible.iter().find(|other| clash(&one.want, &other.want));
            if !cuts.is_empty() || self.place.below_ours {
                self.found.blocked.push(blocked_by(one, cuts, Reason::Delegated));
            } else if let Some(other) = beside {
                let reason = match (is_alias(&other.want), is_alias(&one.want)) {
                    (true, _) => Reason::AliasThere,
                    (false, true) => Reason::DataBesideAlias,
                    _ if is_name_server(&other.want) != is_name_server(&one.want) => Reason::Delegated,
                    _ => Reason::OtherText,
                };
                self.found.blocked.push(blocked_by(one, Vec::new(), reason));
            } else {
                possible.push(one);
            }
        }
        possible
    }

    /// Which records meet a want, and how long the texts are that stay.
    fn mark(&mut self, wants: &[&Required]) {
        for held in &mut self.held {
            held.meets =
                held.record.kept == Kept::Plain && wants.iter().any(|one| met_by(&one.want, held.record));
        }
        // Of several policies ours gives way: there can be but one.
        for want in wants.iter().map(|one| &one.want).filter(|want| matches!(want, Want::Policy { .. })) {
            let foreign = |held: &Held<'_>| held.whose == Whose::Foreign && is_policy(want, held.record);
            if self.held.iter().any(foreign) {
                for held in &mut self.held {
                    held.meets &= held.whose == Whose::Foreign || !is_policy(want, held.record);
                }
            }
        }
        let stays = |held: &&Held<'_>| !held.is_stale();
        self.text_octets =
            self.held.iter().filter(stays).map(|held| text_octets(&held.record.record.data)).sum();
    }

    /// A want that is one record of its own.
    fn record(&mut self, one: &'a Required) {
        let data = data_of(&one.want);
        if let Some((by, reason)) = self.in_the_way(one, &data) {
            self.found.blocked.push(blocked_by(one, by, reason));
            return;
        }
        let meeting = |held: &Held<'_>| held.meets && !held.taken && met_by(&one.want, held.record);
        let of_ours = |held: &Held<'_>| held.whose == Whose::Ours;
        let there: Vec<usize> = (0..self.held.len()).filter(|&at| meeting(&self.held[at])).collect();
        let plain = there.iter().any(|&at| !self.held[at].record.proxied);
        match there.iter().copied().find(|&at| of_ours(&self.held[at])).or(there.first().copied()) {
            Some(_) if plain => self.found.settled.push(one.key.clone()),
            Some(at) if of_ours(&self.held[at]) => self.replace(one, at, data, Why::Unproxy),
            Some(_) => {
                let by = there.iter().map(|&at| self.held[at].record.clone()).collect();
                self.found.blocked.push(blocked_by(one, by, Reason::ProxiedByOthers));
            }
            None => self.put(one, data),
        }
    }

    /// Foreign records that keep a wanted one from being right, and why.
    fn in_the_way(&self, one: &Required, data: &RecordData) -> Option<InTheWay> {
        let opaque = |held: &&Held<'_>| {
            let same_type = held.record.record.data.record_type() == data.record_type();
            held.record.kept == Kept::Opaque && (same_type || excludes(one, held.record).is_some())
        };
        let opaque: Vec<ZoneRecord> =
            self.held.iter().filter(opaque).map(|held| held.record.clone()).collect();
        if !opaque.is_empty() {
            return Some((opaque, Reason::Opaque));
        }
        let mut reason = None;
        let mut by = Vec::new();
        // What was changed since we wrote it is not removed: it can only give its place to another of its type.
        let gives_way = |held: &Held<'_>| {
            held.taken
                || held.is_stale()
                    && (held.whose == Whose::Ours
                        || held.record.record.data.record_type() == data.record_type())
        };
        for held in self.held.iter().filter(|held| !gives_way(held)) {
            let alias = is_alias(&one.want) || held.record.record.data.record_type() == RecordType::Cname;
            if held.meets && (!alias || met_by(&one.want, held.record)) {
                continue;
            }
            if let Some(why) = excludes(one, held.record) {
                reason.get_or_insert(why);
                by.push(held.record.clone());
            }
        }
        reason.map(|reason| (by, reason))
    }

    /// Puts a record in: in the place of one of ours that nothing wants, where there is one of its type.
    fn put(&mut self, one: &Required, data: RecordData) {
        if self.added.iter().any(|added| same_data(added, &data)) {
            self.found.settled.push(one.key.clone());
            return;
        }
        let same_type =
            |held: &Held<'_>| held.is_stale() && held.record.record.data.record_type() == data.record_type();
        let stale = self.held.iter().position(same_type);
        if !self.fits(&data, 0) {
            self.found.blocked.push(blocked_by(one, Vec::new(), Reason::HostCannot));
        } else if let Some(at) = stale {
            self.text_octets += text_octets(&data);
            self.replace(one, at, data, Why::Ours);
        } else {
            self.text_octets += text_octets(&data);
            let new = self.new_record(one.ttl, data);
            self.added.push(new.data.clone());
            self.found.steps.push((one.key.clone(), Action::Add { new }, false));
        }
    }

    fn replace(&mut self, one: &Required, at: usize, data: RecordData, why: Why) {
        let new = self.new_record(one.ttl, data);
        self.added.push(new.data.clone());
        self.held[at].taken = true;
        let old = self.held[at].record.clone();
        self.found.steps.push((one.key.clone(), Action::Replace { old, new, why }, false));
    }

    fn new_record(&self, ttl: u32, data: RecordData) -> Record {
        let (least, most) = self.place.capabilities.ttl;
        Record { owner: self.place.owner.clone(), ttl: ttl.min(most).max(least), data }
    }

    /// Whether the host takes it, when `gone` octets of text go for it.
    fn fits(&self, data: &RecordData, gone: usize) -> bool {
        let can = self.place.capabilities;
        let octets = text_octets(data);
        let together = self.text_octets.saturating_sub(gone) + octets;
        can.types.contains(&data.record_type())
            && (octets == 0 || octets <= can.text_max && together <= can.set_text_max)
    }

    /// A policy of which any valid one will do.
    fn policy(&mut self, one: &'a Required, begins: &str, suggested: &str) {
        let data = RecordData::Txt(TxtData::from_text(suggested));
        let is_one = |held: &&Held<'_>| !held.taken && begins_so(begins, held.record);
        let policies: Vec<&Held<'_>> = self.held.iter().filter(is_one).collect();
        let foreign: Vec<ZoneRecord> = policies
            .iter()
            .filter(|held| held.whose == Whose::Foreign)
            .map(|held| held.record.clone())
            .collect();
        let all = policies.len();
        let good = policies.iter().any(|held| held.meets);
        if let Some((by, reason)) = self.in_the_way(one, &data) {
            self.found.blocked.push(blocked_by(one, by, reason));
        } else if good && (foreign.len() == 1 || foreign.is_empty() && all == 1) {
            self.found.settled.push(one.key.clone());
        } else if foreign.is_empty() && !good {
            self.put(one, data);
        } else if foreign.is_empty() {
            // Several, and all of them ours: left as they are, the first of them counts for nobody.
            self.found.blocked.push(blocked_by(one, Vec::new(), Reason::PolicyBroken));
        } else {
            self.found.blocked.push(blocked_by(one, foreign, Reason::PolicyBroken));
        }
    }

    /// Our mechanisms in the one SPF record of the name.
    fn spf(&mut self, wants: &[&'a Required]) {
        let Some(first) = wants.first() else { return };
        let outcome = self.spf_step(wants, first);
        let keys = || wants.iter().map(|one| one.key.clone());
        match outcome {
            Ok(None) => self.found.settled.extend(keys()),
            Ok(Some(steps)) => {
                // One step does it for all.
                self.found.settled.extend(keys().skip(1));
                self.found.steps.extend(steps);
            }
            Err((by, reason)) => {
                let told = wants.iter().map(|one| blocked_by(one, by.clone(), reason.clone()));
                self.found.blocked.extend(told);
            }
        }
    }

    fn spf_step(&mut self, wants: &[&'a Required], first: &Required) -> Result<Option<Vec<Draft>>, InTheWay> {
        let (rules, lookups) = joined_rules(wants);
        let texts: Vec<usize> = (0..self.held.len()).filter(|&at| self.held[at].is_spf()).collect();
        let old: Vec<ZoneRecord> = texts.iter().map(|&at| self.held[at].record.clone()).collect();
        if let Some(way) = self.in_the_way(first, &RecordData::Txt(TxtData::from_text(""))) {
            return Err(way);
        }
        let (text, why) = match self.spf_text(&texts, &rules) {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(None),
            Err(reason) => return Err((old, reason)),
        };
        if lookups.is_some_and(|lookups| lookups > mail::spf::MAX_LOOKUPS) {
            return Err((old, Reason::SpfTooManyLookups));
        }
        let data = RecordData::Txt(TxtData::from_text(&text));
        let gone: usize = old.iter().map(|record| text_octets(&record.record.data)).sum();
        if !self.fits(&data, gone) {
            return Err((old, Reason::HostCannot));
        }
        let key = &first.key;
        for at in &texts {
            self.held[*at].taken = true;
        }
        let mut old = old.into_iter();
        if why == Why::Ours {
            self.added.push(data.clone());
        }
        let Some(replaced) = old.next() else {
            let new = self.new_record(first.ttl, data);
            return Ok(Some(vec![(key.clone(), Action::Add { new }, false)]));
        };
        let mut steps = Vec::new();
        if !same_data(&replaced.record.data, &data) {
            let new = Record { owner: self.place.owner.clone(), ttl: replaced.record.ttl, data };
            let step = Action::Replace { old: replaced, new, why };
            steps.push((key.clone(), step, why != Why::Ours));
        }
        steps.extend(old.map(|old| (key.clone(), Action::Remove { old }, true)));
        Ok(Some(steps))
    }

    /// The text of the SPF record as it should be, and why it changes; `None` where it is right.
    fn spf_text(&self, texts: &[usize], rules: &str) -> Result<Option<(String, Why)>, Reason> {
        let text_of = |at: usize| self.held[at].record.record.data.text().unwrap_or_default().into_owned();
        match texts {
            [] => Ok(merged("", rules).map(|text| (text, Why::Ours))),
            [one] => {
                let text = text_of(*one);
                if self.held[*one].whose == Whose::Ours {
                    let right = mail::spf::contains_effective(&text, rules);
                    return Ok(if right { None } else { merged("", rules).map(|text| (text, Why::Ours)) });
                }
                // What we put in under another plan goes out first.
                let parts = self.place.owned.iter().filter_map(|owned| owned.rules.as_deref());
                let without = parts.fold(text.clone(), |text, part| {
                    let outdated = without_rules(part, rules);
                    mail::spf::unmerge(&text, &outdated).unwrap_or(text)
                });
                let new = merged(&without, rules).unwrap_or(without);
                Ok((new != text).then_some((new, Why::SpfMerge)))
            }
            several => {
                let texts: Vec<String> = several.iter().map(|&at| text_of(at)).collect();
                mail::spf::join(&texts, rules)
                    .map(|text| Some((text, Why::SpfJoin)))
                    .ok_or(Reason::SpfSeveral)
            }
        }
    }

    /// Records of ours that nothing asks for go, where they are still as we wrote them.
    fn left_over(&mut self, has_spf: bool) {
        for at in 0..self.held.len() {
            let held = &self.held[at];
            if held.taken || held.meets || held.record.kept == Kept::Opaque || has_spf && held.is_spf() {
                continue;
            }
            let record_type = held.record.record.data.record_type();
            match held.whose {
                Whose::Foreign => {}
                Whose::Ours if self.waits_for_another(record_type) => {}
                Whose::Ours => {
                    let old = held.record.clone();
                    self.held[at].taken = true;
                    self.found.steps.push((LEFT_OVER.to_owned(), Action::Remove { old }, false));
                }
                Whose::OursChanged if held.is_spf() => {}
                Whose::OursChanged => self.found.blocked.push(Blocked {
                    key: LEFT_OVER.to_owned(),
                    owner: self.place.owner.clone(),
                    essential: false,
                    by: vec![held.record.clone()],
                    reason: Reason::ChangedSince,
                }),
            }
        }
        if !has_spf {
            self.take_out();
        }
    }

    /// Whether one of ours stays because what would take its place is blocked, and nothing new needs its place.
    fn waits_for_another(&self, record_type: RecordType) -> bool {
        let mut blocked = self.found.blocked.iter().filter_map(|blocked| {
            self.place.required.iter().find(|one| one.key == blocked.key && blocked.key != LEFT_OVER)
        });
        let none_excludes = !self
            .added
            .iter()
            .any(|added| (added.record_type() == RecordType::Cname) != (record_type == RecordType::Cname));
        none_excludes && blocked.any(|one| data_of(&one.want).record_type() == record_type)
    }

    /// Takes our mechanisms out of the SPF record, where nothing asks for them any more.
    fn take_out(&mut self) {
        let texts: Vec<usize> = (0..self.held.len())
            .filter(|&at| self.held[at].is_spf() && !self.held[at].taken && !self.held[at].meets)
            .collect();
        let [at] = texts[..] else { return };
        let text = self.held[at].record.record.data.text().unwrap_or_default().into_owned();
        let was_ours = self.held[at].whose == Whose::OursChanged;
        let parts = self.place.owned.iter().filter_map(|owned| match (&owned.rules, owned.data.text()) {
            (Some(rules), _) => Some(rules.clone()),
            // Ours as a whole once, as its name tells; others wrote into it since.
            (None, Some(text)) if is_spf_record(&text) && was_ours => Some(text.into_owned()),
            _ => None,
        });
        let new = parts.fold(text.clone(), |text, part| mail::spf::unmerge(&text, &part).unwrap_or(text));
        if new == text {
            return;
        }
        let old = self.held[at].record.clone();
        let new = Record {
            owner: self.place.owner.clone(),
            ttl: old.record.ttl,
            data: RecordData::Txt(TxtData::from_text(&new)),
        };
        self.held[at].taken = true;
        let step = Action::Replace { old, new, why: Why::SpfUnmerge };
        self.found.steps.push((LEFT_OVER.to_owned(), step, true));
    }

    /// All records of a set have one TTL (RFC 2181 §5.2): that of those that stay.
    fn even_ttls(&mut self) {
        let (least, most) = self.place.capabilities.ttl;
        let mut types: Vec<RecordType> = self.added.iter().map(RecordData::record_type).collect();
        types.dedup();
        for record_type in types {
            let of_type = |data: &RecordData| data.record_type() == record_type;
            let goes = |record: &ZoneRecord| {
                self.found.steps.iter().any(|(_, action, foreign)| {
                    !foreign && action.before().is_some_and(|old| std::ptr::eq(old, record) || old == record)
                })
            };
            let stay = self
                .held
                .iter()
                .filter(|held| of_type(&held.record.record.data) && !goes(held.record))
                .map(|held| held.record.record.ttl)
                .min();
            let new = self.found.steps.iter().filter_map(|(_, action, _)| action.after());
            let new = new.filter(|new| of_type(&new.data)).map(|new| new.ttl).min();
            let Some(ttl) = stay.or(new) else { continue };
            for (_, action, foreign) in &mut self.found.steps {
                if let Action::Add { new } | Action::Replace { new, .. } = action
                    && !*foreign
                    && of_type(&new.data)
                {
                    new.ttl = ttl.min(most).max(least);
                }
            }
        }
    }
}

impl Held<'_> {
    /// Ours, and nothing wants it: it may be replaced, and is removed where it is as we wrote it.
    fn is_stale(&self) -> bool {
        !self.meets && !self.taken && self.whose != Whose::Foreign && self.record.kept == Kept::Plain
    }

    fn is_spf(&self) -> bool {
        self.record.record.data.text().is_some_and(|text| is_spf_record(&text))
    }
}

const fn is_alias(want: &Want) -> bool {
    matches!(want, Want::Exactly { data: RecordData::Cname(_) })
}

const fn is_name_server(want: &Want) -> bool {
    matches!(want, Want::Exactly { data: RecordData::Ns(_) })
}

/// Whether two wants cannot both be met at one name.
fn clash(one: &Want, other: &Want) -> bool {
    let spf_text = |want: &Want| matches!(want, Want::Text { value, .. } if is_spf_record(value));
    let policy = |want: &Want| match want {
        Want::Policy { .. } => true,
        Want::Text { value, .. } => mail::dmarc::is_dmarc_record(value),
        _ => false,
    };
    if is_alias(one) || is_alias(other) {
        return one != other;
    }
    // What is at a name that is handed to others is theirs.
    if is_name_server(one) != is_name_server(other) {
        return true;
    }
    let spf = |want: &Want| spf_text(want) || matches!(want, Want::Spf { .. });
    spf(one) && spf(other) && (spf_text(one) || spf_text(other)) && one != other
        || policy(one) && policy(other) && one != other
}

/// The record that a want comes to where nothing is there.
fn data_of(want: &Want) -> RecordData {
    let text = |text: &str| RecordData::Txt(TxtData::from_text(text));
    match want {
        Want::Exactly { data } => data.clone(),
        Want::Text { value, .. } => text(value),
        Want::Spf { rules, .. } => text(&merged("", rules).unwrap_or_default()),
        Want::Policy { suggested, .. } => text(suggested),
        Want::OnlyExchanger { preference, exchange } => {
            RecordData::Mx { preference: *preference, exchange: exchange.clone() }
        }
    }
}

/// Whether a record is what is wanted.
fn met_by(want: &Want, record: &ZoneRecord) -> bool {
    let data = &record.record.data;
    match want {
        Want::Exactly { data: wanted } => same_data(wanted, data),
        Want::Text { .. } => same_data(&data_of(want), data),
        Want::Spf { .. } => data.text().is_some_and(|text| is_spf_record(&text)),
        Want::Policy { begins, .. } => begins_so(begins, record) && is_valid(begins, record),
        // Mail goes to the one exchanger, whatever its preference (RFC 5321 §5.1).
        Want::OnlyExchanger { exchange, .. } => {
            matches!(data, RecordData::Mx { exchange: found, .. } if found == exchange)
        }
    }
}

fn is_policy(want: &Want, record: &ZoneRecord) -> bool {
    matches!(want, Want::Policy { begins, .. } if begins_so(begins, record))
}

const DMARC: &str = "v=DMARC1";

fn begins_so(begins: &str, record: &ZoneRecord) -> bool {
    record.record.data.text().is_some_and(|text| match begins {
        DMARC => mail::dmarc::is_dmarc_record(&text),
        _ => text.starts_with(begins),
    })
}

fn is_valid(begins: &str, record: &ZoneRecord) -> bool {
    let text = record.record.data.text().unwrap_or_default();
    begins != DMARC || mail::dmarc::PolicyRecord::parse(&text).is_ok()
}

/// Types that stand beside an alias: those by which the zone is signed (RFC 4034 §3, §4; RFC 2535 §4).
const BESIDE_ALIAS: [u16; 3] = [25, 46, 47];

/// Why a record that meets no want keeps a wanted one from being right, if it does.
fn excludes(one: &Required, record: &ZoneRecord) -> Option<Reason> {
    let data = &record.record.data;
    let found = data.record_type();
    if is_alias(&one.want) {
        return match found {
            RecordType::Cname => Some(Reason::AliasThere),
            other if BESIDE_ALIAS.contains(&other.code()) => None,
            _ => Some(Reason::DataBesideAlias),
        };
    }
    if found == RecordType::Cname {
        return Some(Reason::AliasThere);
    }
    match &one.want {
        Want::Text { value, displaces } => {
            let other = data.text()?;
            let goes = match displaces {
                Displaces::Nothing => false,
                Displaces::All => true,
                Displaces::Prefix(prefix) => other.starts_with(prefix.as_str()),
            };
            let is_key = one.owner.labels().any(|label| label == "_domainkey");
            let reason = if is_key { Reason::OtherKey } else { Reason::OtherText };
            (goes || is_spf_record(value) && is_spf_record(&other)).then_some(reason)
        }
        Want::OnlyExchanger { .. } if found == RecordType::Mx => Some(Reason::OtherExchanger),
        Want::Exactly { .. } | Want::OnlyExchanger { .. } | Want::Spf { .. } | Want::Policy { .. } => None,
    }
}

/// The record with the mechanisms in it, where that is another one.
fn merged(existing: &str, rules: &str) -> Option<String> {
    match mail::spf::merge(existing, rules) {
        mail::spf::Merge::Merged { record } => Some(record),
        mail::spf::Merge::AlreadyThere => None,
    }
}

/// Of several wants at one name, all mechanisms and the greatest number of look-ups.
fn joined_rules(wants: &[&Required]) -> (String, Option<usize>) {
    let mut rules = Vec::new();
    let mut lookups = None;
    for one in wants {
        if let Want::Spf { rules: own, lookups_after } = &one.want {
            rules.extend(own.split(' ').filter(|rule| !rule.is_empty()));
            lookups = lookups.max(lookups_after.map(usize::from));
        }
    }
    (rules.join(" "), lookups)
}

/// The mechanisms of `part` that are not among `rules`.
fn without_rules(part: &str, rules: &str) -> String {
    let kept: Vec<&str> = rules.split(' ').collect();
    let outdated: Vec<&str> = part.split(' ').filter(|rule| !kept.contains(rule)).collect();
    outdated.join(" ")
}

//! What one server answers out of one zone (RFC 1034 §4.3.2, RFC 4592, RFC 2308).
//!
//! Written apart from the platform's own name server, so that the two do not share their mistakes.

use crate::zone_text::{DNAME, DS};
use diagnosis::observation::{Question, Rcode, Reply};
use model::{DomainName, Record, RecordData, RecordType};

/// All records of a zone, also those below its delegations that are glue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its apex.
    pub apex: DomainName,
    /// Its records. Nothing is refused: an alias may stand beside others.
    pub records: Vec<Record>,
}

/// An answer with the section that [`Reply`] leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Code, flags, answer and authority section.
    pub reply: Reply,
    /// The additional section: addresses of the servers of a referral.
    pub additional: Vec<Record>,
}

impl Answer {
    /// Nothing but a response code.
    pub fn rcode(rcode: Rcode) -> Self {
        Self { reply: Reply { rcode, ..Reply::default() }, additional: Vec::new() }
    }
}

impl Zone {
    /// The answer to a question that this zone is the closest one for.
    pub fn answer(&self, question: &Question) -> Answer {
        let mut answer = Answer::default();
        let reply = &mut answer.reply;
        reply.authoritative = true;
        let mut name = question.name.clone();
        let mut passed = Vec::new();
        loop {
            // The DS record of a delegation is in the zone that delegates (RFC 4035 §3.1.4.1).
            let is_of_parent = |cut: &DomainName| *cut == name && question.record_type.code() == DS;
            if let Some(cut) = self.cut(&name).filter(|cut| !is_of_parent(cut)) {
                reply.authoritative = !reply.answer.is_empty();
                reply.authority = self.at(&cut, RecordType::Ns);
                answer.additional = self.glue(&answer.reply.authority);
                return answer;
            }
            if let Some((dname, alias, target)) = self.substituted(&name) {
                reply.answer.extend([dname, alias]);
                passed.push(name);
                if passed.contains(&target) || passed.len() > 16 || !target.is_at_or_below(&self.apex) {
                    return answer;
                }
                name = target;
                continue;
            }
            let found = self.at_or_wildcard(&name);
            let of_type = |wanted: RecordType| {
                found.iter().filter(move |record| record.data.record_type() == wanted).cloned()
            };
            let here: Vec<Record> = of_type(question.record_type).collect();
            if !here.is_empty() {
                reply.answer.extend(here);
                return answer;
            }
            let alias = of_type(RecordType::Cname).next();
            let Some(RecordData::Cname(target)) = alias.as_ref().map(|record| record.data.clone()) else {
                let exists = !found.is_empty() || self.exists(&name);
                reply.rcode = if exists { Rcode::NoError } else { Rcode::NxDomain };
                reply.authority = self.at(&self.apex, RecordType::Soa);
                return answer;
            };
            reply.answer.extend(alias);
            passed.push(name);
            if passed.contains(&target) || passed.len() > 16 || !target.is_at_or_below(&self.apex) {
                return answer;
            }
            name = target;
        }
    }

    /// Whether something stands beside an alias at a name, be it another alias: real servers refuse that (RFC 2181
    /// §10.1).
    pub fn has_conflict(&self, name: &DomainName) -> bool {
        let here = || self.records.iter().filter(|record| record.owner == *name);
        here().count() > 1 && here().any(|record| record.data.record_type() == RecordType::Cname)
    }

    /// Whether there is such a name anywhere.
    pub fn has_conflicts(&self) -> bool {
        self.records.iter().any(|record| self.has_conflict(&record.owner))
    }

    /// Whether the name itself has records.
    pub fn has_records(&self, name: &DomainName) -> bool {
        self.records.iter().any(|record| record.owner == *name)
    }

    /// The records of a type at a name.
    fn at(&self, name: &DomainName, record_type: RecordType) -> Vec<Record> {
        let is_it = |record: &&Record| record.owner == *name && record.data.record_type() == record_type;
        self.records.iter().filter(is_it).cloned().collect()
    }

    /// The topmost delegation at or above a name.
    fn cut(&self, name: &DomainName) -> Option<DomainName> {
        let below = |ancestor: &DomainName| {
            ancestor.is_at_or_below(&self.apex) && ancestor.label_count() > self.apex.label_count()
        };
        let cuts = name.ancestors().filter(below);
        let is_delegated = |ancestor: &DomainName| {
            let mut records = self.records.iter();
            records.any(|record| matches!(record.data, RecordData::Ns(_)) && record.owner == *ancestor)
        };
        cuts.filter(is_delegated).last()
    }

    /// A name exists where it or one below it has records (RFC 8020).
    fn exists(&self, name: &DomainName) -> bool {
        self.records.iter().any(|record| record.owner.is_at_or_below(name))
    }

    fn at_or_wildcard(&self, name: &DomainName) -> Vec<Record> {
        let owned_by = |owner: &DomainName| -> Vec<Record> {
            self.records.iter().filter(|record| record.owner == *owner).cloned().collect()
        };
        if self.exists(name) {
            return owned_by(name);
        }
        // RFC 4592 §3.3.1: only the wildcard right below the closest name that exists.
        let Some(encloser) = name.ancestors().find(|ancestor| self.exists(ancestor)) else {
            return Vec::new();
        };
        let Ok(wildcard) = encloser.prepend("*") else { return Vec::new() };
        let synthesized = |record: Record| Record { owner: name.clone(), ..record };
        owned_by(&wildcard).into_iter().map(synthesized).collect()
    }

    /// The DNAME record above a name, the alias that comes of it, and where that leads (RFC 6672 §2.2).
    fn substituted(&self, name: &DomainName) -> Option<(Record, Record, DomainName)> {
        let of_type = |record: &&Record| record.data.record_type() == RecordType::from_code(DNAME);
        let dname = self.records.iter().filter(of_type).find(|record| name.is_below(&record.owner))?;
        let RecordData::Other { octets, .. } = &dname.data else { return None };
        let mut labels: Vec<Vec<u8>> = name.wire_labels();
        labels.truncate(name.label_count() - dname.owner.label_count());
        let mut rest = octets.as_slice();
        while let Some((&length @ 1.., behind)) = rest.split_first() {
            let (label, behind) = behind.split_at(usize::from(length));
            labels.push(label.to_vec());
            rest = behind;
        }
        let target = DomainName::from_labels(labels.iter().map(Vec::as_slice))?;
        let data = RecordData::Cname(target.clone());
        let alias = Record { owner: name.clone(), ttl: dname.ttl, data };
        Some((dname.clone(), alias, target))
    }

    fn glue(&self, servers: &[Record]) -> Vec<Record> {
        let hosts = servers.iter().filter_map(|record| match &record.data {
            RecordData::Ns(host) => Some(host),
            _ => None,
        });
        hosts
            .flat_map(|host| [self.at(host, RecordType::A), self.at(host, RecordType::Aaaa)].concat())
            .collect()
    }
}

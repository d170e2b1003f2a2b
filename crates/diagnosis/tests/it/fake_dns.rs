//! A DNS in memory: the scenario's zones, the platform's zone, faults, and one resolver above them.

use crate::scenario::{Scenario, keys, records};
use diagnosis::observation::{Ask, Failure, Outcome, Question, Rcode, Reply, Server};
use model::{DomainName, Record, RecordData, RecordType, Soa, TxtData};
use std::net::IpAddr;

pub const RESOLVER: &str = "127.0.0.53:5300";

struct Zone {
    apex: DomainName,
    servers: Vec<(DomainName, IpAddr)>,
    records: Vec<Record>,
}

pub struct FakeDns<'a> {
    zones: Vec<Zone>,
    scenario: &'a Scenario,
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

impl<'a> FakeDns<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let mut zones: Vec<Zone> = scenario
            .zones
            .iter()
            .map(|zone| {
                let servers = zone.servers.iter().map(|server| server.split_once(' ').unwrap());
                Zone {
                    apex: zone.apex.clone(),
                    servers: servers.map(|(host, address)| (name(host), address.parse().unwrap())).collect(),
                    records: records(&zone.records, &zone.apex),
                }
            })
            .collect();
        zones.push(platform_zone(&scenario.domain));
        Self { zones, scenario }
    }

    pub fn answer(&self, ask: &Ask) -> Outcome {
        let address = ask.server.address().ip();
        let fault = self.scenario.faults.iter().find(|fault| fault.address == address);
        match fault.map(|fault| fault.kind.as_str()) {
            Some("timeout") => return Outcome::Failure(Failure::Timeout),
            Some("servfail") => return rcode(Rcode::ServFail),
            Some("refused") => return rcode(Rcode::Refused),
            _ => {}
        }
        match &ask.server {
            Server::Authority { zone, .. } => {
                let Some(zone) = self.zones.iter().find(|candidate| candidate.apex == *zone) else {
                    return rcode(Rcode::Refused);
                };
                let own = fault.filter(|fault| fault.kind == "records");
                let records = match own {
                    Some(fault) => records(&fault.records, &zone.apex),
                    None => zone.records.clone(),
                };
                Outcome::Reply(zone.reply(&records, &ask.question))
            }
            Server::Resolver { .. } => self.resolve(&ask.question),
        }
    }

    fn resolve(&self, question: &Question) -> Outcome {
        let mut reply = Reply::default();
        let mut current = question.name.clone();
        for _ in 0..8 {
            let cached = self
                .scenario
                .cached
                .iter()
                .find(|c| c.name == current && c.record_type == question.record_type);
            if let Some(cached) = cached {
                if cached.servfail {
                    return rcode(Rcode::ServFail);
                }
                reply.authority = vec![soa(&current, cached.negative_ttl)];
                return Outcome::Reply(reply);
            }
            let zone = self
                .zones
                .iter()
                .filter(|zone| current.is_at_or_below(&zone.apex))
                .max_by_key(|zone| zone.apex.label_count());
            let Some(zone) = zone else {
                reply.rcode = Rcode::NxDomain;
                reply.authority = vec![soa(&DomainName::root(), 900)];
                return Outcome::Reply(reply);
            };
            if !zone.servers.iter().any(|(_, address)| self.is_sane(*address)) {
                return rcode(Rcode::ServFail);
            }
            let question = Question { name: current.clone(), record_type: question.record_type };
            let part = zone.reply(&zone.records, &question);
            reply.rcode = part.rcode;
            reply.authority = part.authority;
            reply.answer.extend(part.answer.iter().cloned());
            match part.answer.first().map(|record| &record.data) {
                Some(RecordData::Cname(target)) if question.record_type != RecordType::Cname => {
                    current = target.clone();
                }
                _ => return Outcome::Reply(reply),
            }
        }
        rcode(Rcode::ServFail)
    }

    fn is_sane(&self, address: IpAddr) -> bool {
        !self.scenario.faults.iter().any(|fault| fault.address == address && fault.kind != "records")
    }
}

impl Zone {
    fn reply(&self, records: &[Record], question: &Question) -> Reply {
        let mut all = vec![soa(&self.apex, 300)];
        all.extend(self.servers.iter().map(|(server, _)| Record {
            owner: self.apex.clone(),
            ttl: 300,
            data: RecordData::Ns(server.clone()),
        }));
        all.extend(records.iter().cloned());
        // The servers' own addresses, whatever zone they are in.
        all.extend(self.servers.iter().map(|(server, address)| Record {
            owner: server.clone(),
            ttl: 300,
            data: match address {
                IpAddr::V4(v4) => RecordData::A(*v4),
                IpAddr::V6(v6) => RecordData::Aaaa(*v6),
            },
        }));
        let at_name = |record: &&Record| record.owner == question.name;
        let mut answer: Vec<Record> = all
            .iter()
            .filter(at_name)
            .filter(|record| record.data.record_type() == question.record_type)
            .cloned()
            .collect();
        if answer.is_empty() {
            answer.extend(
                all.iter().filter(at_name).find(|r| r.data.record_type() == RecordType::Cname).cloned(),
            );
        }
        let exists = all.iter().any(|record| record.owner.is_at_or_below(&question.name));
        Reply {
            rcode: if exists { Rcode::NoError } else { Rcode::NxDomain },
            authoritative: true,
            authority: if answer.is_empty() { vec![soa(&self.apex, 300)] } else { Vec::new() },
            answer,
            ..Reply::default()
        }
    }
}

fn platform_zone(domain: &DomainName) -> Zone {
    let apex = name("send.example.net");
    let keys = keys();
    let mut records = Vec::new();
    let mut text = |label: &str, value: String| {
        let data = RecordData::Txt(TxtData::from_text(&value));
        records.push(Record { owner: apex.prepend(label).unwrap(), ttl: 300, data });
    };
    for number in 1..=3 {
        let value = format!("v=DKIM1; k=rsa; p={}", keys[&format!("key{number}")]);
        text(&format!("tok{number}.dkim"), value.clone());
        text(&format!("tok{number}.{domain}.dkim"), value);
    }
    for label in ["spf", "notices", "bounce"] {
        text(label, "v=spf1 ip4:192.0.2.25 ~all".to_owned());
    }
    Zone { servers: vec![(name("ns1.send.example.net"), "127.0.3.1".parse().unwrap())], records, apex }
}

fn soa(owner: &DomainName, minimum: u32) -> Record {
    let data = RecordData::Soa(Soa {
        mname: name("ns1.example.net"),
        rname: name("hostmaster.example.net"),
        serial: 1,
        refresh: 3600,
        retry: 600,
        expire: 604_800,
        minimum,
    });
    Record { owner: owner.clone(), ttl: minimum, data }
}

fn rcode(rcode: Rcode) -> Outcome {
    Outcome::Reply(Reply { rcode, ..Reply::default() })
}

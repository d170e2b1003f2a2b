//! What the zones say about a name and a type (RFC 1034 §4.3.2, clarified by RFC 4592).

use super::zone_set::{IndexedZone, Node, RecordSet, ZoneSet, alias_target, suffixes};
use bytes::Bytes;
use domain::{
    base::{Name, Rtype, Ttl, iana::Rcode, name::ToName},
    rdata::ZoneRecordData,
};

/// How many aliases in a row are followed inside our own zones.
const MAX_ALIASES: usize = 8;

/// One record set to be written.
pub(super) struct Shown<'a> {
    pub(super) owner: Name<Bytes>,
    pub(super) ttl: Ttl,
    pub(super) set: &'a RecordSet,
}

/// What a response says, before it is written.
pub(super) struct Found<'a> {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) answer: Vec<Shown<'a>>,
    pub(super) authority: Vec<Shown<'a>>,
    /// Addresses of name servers inside of the delegated zone.
    pub(super) glue: Vec<Shown<'a>>,
    /// ANY at a name that exists: the answer is the HINFO record of RFC 8482 §4.2.
    pub(super) minimal_any: bool,
}

/// Where a name leads to inside of a zone.
enum Place<'a> {
    /// The name exists, or a wildcard stands for it.
    Node(&'a Node),
    /// It is at or below a delegation, whose owner in wire format is this.
    Delegated(&'a Node, &'a [u8]),
    Missing,
}

/// A name in wire format and lower case, on the stack.
struct Key {
    octets: [u8; 255],
    length: usize,
}

impl Key {
    fn of(name: &Name<Bytes>) -> Option<Self> {
        let mut octets = [0; 255];
        let length = name.as_slice().len();
        let target = octets.get_mut(..length)?;
        target.copy_from_slice(name.as_slice());
        target.make_ascii_lowercase();
        Some(Self { octets, length })
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

pub(super) fn find<'a>(zones: &'a ZoneSet, qname: &Name<Bytes>, qtype: Rtype) -> Found<'a> {
    let mut found = Found {
        rcode: Rcode::NOERROR,
        authoritative: false,
        answer: Vec::new(),
        authority: Vec::new(),
        glue: Vec::new(),
        minimal_any: false,
    };
    let mut name = qname.clone();
    for hop in 0..=MAX_ALIASES {
        let Some(key) = Key::of(&name) else { break };
        let Some(zone) = zones.zone_of(key.as_slice(), qtype) else {
            // An alias out of our zones is where the resolver goes on; a question out of them is not for us.
            if hop == 0 {
                found.rcode = Rcode::REFUSED;
            }
            break;
        };
        match zone.place(key.as_slice(), qtype) {
            Place::Delegated(node, cut) => {
                if hop == 0 {
                    found.refer(zone, node, cut, &name);
                }
                break;
            }
            Place::Missing => {
                found.authoritative = true;
                found.rcode = Rcode::NXDOMAIN;
                found.negative(zone);
                break;
            }
            Place::Node(node) => {
                found.authoritative = true;
                match found.take(zone, node, &name, qtype) {
                    Some(target) if hop < MAX_ALIASES && !found.has(&target) => name = target,
                    _ => break,
                }
            }
        }
    }
    found
}

impl<'a> Found<'a> {
    /// Answers from a node. Returns where an alias leads, when that is all there is.
    fn take(
        &mut self,
        zone: &'a IndexedZone,
        node: &'a Node,
        owner: &Name<Bytes>,
        qtype: Rtype,
    ) -> Option<Name<Bytes>> {
        if qtype == Rtype::ANY && !node.sets.is_empty() {
            self.minimal_any = true;
        } else if let Some(set) = node.set(qtype) {
            self.answer.push(Shown { owner: owner.clone(), ttl: set.ttl, set });
        } else if let Some(set) = node.set(Rtype::CNAME) {
            self.answer.push(Shown { owner: owner.clone(), ttl: set.ttl, set });
            return alias_target(set);
        } else {
            self.negative(zone);
        }
        None
    }

    /// Aliases that lead back to themselves are shown once.
    fn has(&self, name: &Name<Bytes>) -> bool {
        self.answer.iter().any(|shown| shown.owner == *name)
    }

    fn negative(&mut self, zone: &'a IndexedZone) {
        self.authority.push(Shown { owner: zone.apex_name.clone(), ttl: zone.negative_ttl, set: &zone.soa });
    }

    fn refer(&mut self, zone: &'a IndexedZone, node: &'a Node, cut: &[u8], name: &Name<Bytes>) {
        let Some(servers) = node.set(Rtype::NS) else { return };
        let above = name.as_slice().len() - cut.len();
        let owner = Name::from_octets(Bytes::copy_from_slice(&name.as_slice()[above..]));
        let Ok(owner) = owner else { return };
        self.authority.push(Shown { owner, ttl: servers.ttl, set: servers });
        for data in &servers.data {
            let ZoneRecordData::Ns(ns) = data else { continue };
            let server = ns.nsdname();
            let Some(glue) = Key::of(server).and_then(|key| zone.nodes.get(key.as_slice())) else { continue };
            for rtype in [Rtype::A, Rtype::AAAA] {
                if let Some(set) = glue.set(rtype) {
                    self.glue.push(Shown { owner: server.to_bytes(), ttl: set.ttl, set });
                }
            }
        }
    }
}

impl ZoneSet {
    /// The zone with the longest apex at or above the name. The DS of a child's apex is in its parent (RFC 4035
    /// §3.1.4.1), where we serve that too.
    fn zone_of(&self, name: &[u8], qtype: Rtype) -> Option<&IndexedZone> {
        let zone = |name: &[u8]| suffixes(name).find_map(|suffix| self.zones.get(suffix));
        if qtype == Rtype::DS
            && let Some(parent) = suffixes(name).nth(1)
            && self.zones.contains_key(name)
            && let Some(zone) = zone(parent)
        {
            return Some(zone);
        }
        zone(name)
    }
}

impl IndexedZone {
    fn place<'a>(&'a self, name: &[u8], qtype: Rtype) -> Place<'a> {
        // 127 labels at most, root excluded.
        let mut starts = [0_u8; 128];
        let mut depth = 0;
        for suffix in suffixes(name).take_while(|suffix| suffix.len() > self.apex.len()) {
            let start = u8::try_from(name.len() - suffix.len()).unwrap_or(u8::MAX);
            let Some(place) = starts.get_mut(depth) else { return Place::Missing };
            *place = start;
            depth += 1;
        }
        let mut encloser: &[u8] = &self.apex;
        let mut here = self.nodes.get(&self.apex);
        for start in starts[..depth].iter().rev() {
            let suffix = &name[usize::from(*start)..];
            let Some((owner, node)) = self.nodes.get_key_value(suffix) else {
                return self.wildcard(encloser).map_or(Place::Missing, Place::Node);
            };
            let is_cut = node.set(Rtype::NS).is_some();
            if is_cut && !(*start == 0 && qtype == Rtype::DS) {
                return Place::Delegated(node, owner);
            }
            encloser = suffix;
            here = Some(node);
        }
        here.map_or(Place::Missing, Place::Node)
    }

    /// The source of synthesis: `*` right below the closest encloser (RFC 4592 §3.3.1).
    fn wildcard(&self, encloser: &[u8]) -> Option<&Node> {
        let mut octets = [0; 257];
        octets[..2].copy_from_slice(b"\x01*");
        octets.get_mut(2..2 + encloser.len())?.copy_from_slice(encloser);
        self.nodes.get(&octets[..2 + encloser.len()])
    }
}

//! Where a name leads to inside of the zones (RFC 1034 §4.3.2, clarified by RFC 4592).

use super::{
    keys::{KeyTable, Value},
    query::Name,
    record_set::{RecordSet, types},
    sub_zones::SubZone,
    zone_set::{IndexedZone, Node, ZoneSet},
};

/// Where a name leads to inside of a zone.
pub(super) enum Place<'a> {
    /// The name exists, or a wildcard stands for it: the one whose owner has so many labels, `*` aside.
    Found(Here<'a>, Option<usize>),
    /// It is at or below a delegation, whose owner has so many labels.
    Delegated(&'a Node, usize),
    Missing,
}

/// What is at a name.
#[derive(Clone, Copy)]
pub(super) enum Here<'a> {
    Node(&'a Node),
    /// The apex has the SOA record beside its node.
    Apex(&'a IndexedZone, &'a Node),
    /// The apex of a zone that is delegated to us.
    SubApex(&'a SubZone),
    /// One TXT record, with its TTL.
    Key(Value<'a>, u32),
    /// Only names below it.
    Nothing,
}

/// The records of one type at a name.
#[derive(Clone, Copy)]
pub(super) enum Records<'a> {
    Set(&'a RecordSet),
    Key(Value<'a>, u32),
}

impl<'a> Here<'a> {
    pub(super) fn records(self, rtype: u16) -> Option<Records<'a>> {
        match self {
            Self::Apex(zone, _) if rtype == types::SOA => Some(Records::Set(&zone.now.soa)),
            Self::Apex(_, node) | Self::Node(node) => node.set(rtype).map(Records::Set),
            Self::SubApex(zone) => zone.at_apex(rtype).map(Records::Set),
            Self::Key(value, ttl) if rtype == types::TXT => Some(Records::Key(value, ttl)),
            Self::Key(..) | Self::Nothing => None,
        }
    }

    pub(super) fn alias(self) -> Option<&'a RecordSet> {
        match self {
            Self::Apex(_, node) | Self::Node(node) => node.set(types::CNAME),
            Self::SubApex(_) | Self::Key(..) | Self::Nothing => None,
        }
    }

    /// Whether there are only names below it.
    pub(super) fn is_empty(self) -> bool {
        match self {
            Self::Node(node) => node.sets.is_empty(),
            Self::Apex(..) | Self::SubApex(_) | Self::Key(..) => false,
            Self::Nothing => true,
        }
    }
}

/// A zone that answers for a name.
#[derive(Clone, Copy)]
pub(super) enum Zone<'a> {
    Whole(&'a IndexedZone),
    /// One that is delegated to us, with the keys that it lends.
    Sub(&'a SubZone, Option<&'a KeyTable>),
}

impl<'a> Zone<'a> {
    /// Where a name at or below the apex leads to, which has so many labels.
    pub(super) fn place(self, name: &Name, apex_labels: usize, qtype: u16) -> Place<'a> {
        match self {
            Self::Whole(zone) => zone.place(name, apex_labels, qtype),
            Self::Sub(zone, keys) => zone.place(name, apex_labels, keys),
        }
    }

    /// The start of authority, and the TTL that it has in negative answers.
    pub(super) fn soa(self) -> (&'a RecordSet, u32) {
        match self {
            Self::Whole(zone) => (&zone.now.soa, zone.now.negative_ttl),
            Self::Sub(zone, _) => (zone.soa(), zone.negative_ttl()),
        }
    }

    /// What the zone itself has at the name of a server that it delegates to.
    pub(super) fn glue(self, server: &[u8]) -> Option<&'a Node> {
        match self {
            Self::Whole(zone) => zone.now.nodes.get(server),
            Self::Sub(..) => None,
        }
    }
}

impl ZoneSet {
    /// The zone with the longest apex at or above the name, and how many labels that apex has. The DS of a child's apex is
    /// in its parent (RFC 4035 §3.1.4.1), where we serve that too.
    pub(super) fn zone_of(&self, name: &Name, qtype: u16) -> Option<(Zone<'_>, usize)> {
        let whole = self.whole_zone_of(name, qtype);
        let sub = self.sub_zones.zone_of(name);
        match (whole, sub) {
            (Some((_, labels)), Some((zone, of_sub))) if of_sub > labels => {
                Some((Zone::Sub(zone, self.keys()), of_sub))
            }
            (None, Some((zone, labels))) => Some((Zone::Sub(zone, self.keys()), labels)),
            (whole, _) => whole.map(|(zone, labels)| (Zone::Whole(zone), labels)),
        }
    }

    fn whole_zone_of(&self, name: &Name, qtype: u16) -> Option<(&IndexedZone, usize)> {
        let zone = |most: usize| {
            (0..=most).rev().find_map(|labels| Some((self.zones.get(name.last(labels))?, labels)))
        };
        if qtype == types::DS
            && self.zones.contains_key(name.as_slice())
            && let Some(above) = name.labels().checked_sub(1)
            && let Some(parent) = zone(above)
        {
            return Some(parent);
        }
        zone(name.labels())
    }
}

impl IndexedZone {
    /// Where a name at or below the apex leads to, which has so many labels.
    pub(super) fn place<'a>(&'a self, name: &Name, apex_labels: usize, qtype: u16) -> Place<'a> {
        if let Some(keys) = &self.now.keys
            && name.labels() > keys.origin_labels()
            && name.last(keys.origin_labels()) == keys.origin()
        {
            let labels = &name.as_slice()[..name.start_of(keys.origin_labels())];
            return match keys.find(labels) {
                Some(entry) => {
                    let here = entry.value.map_or(Here::Nothing, |value| Here::Key(value, keys.ttl()));
                    Place::Found(here, None)
                }
                None => Place::Missing,
            };
        }
        let Some(apex) = self.now.nodes.get(&self.apex) else { return Place::Missing };
        let mut here = Here::Apex(self, apex);
        for labels in apex_labels + 1..=name.labels() {
            let Some(node) = self.now.nodes.get(name.last(labels)) else {
                return self
                    .wildcard(name.last(labels - 1))
                    .map_or(Place::Missing, |node| Place::Found(Here::Node(node), Some(labels - 1)));
            };
            let is_cut = node.set(types::NS).is_some();
            if is_cut && !(labels == name.labels() && qtype == types::DS) {
                return Place::Delegated(node, labels);
            }
            here = Here::Node(node);
        }
        Place::Found(here, None)
    }

    /// The source of synthesis: `*` right below the closest encloser (RFC 4592 §3.3.1).
    fn wildcard(&self, encloser: &[u8]) -> Option<&Node> {
        let mut octets = [0; 257];
        octets[..2].copy_from_slice(b"\x01*");
        octets.get_mut(2..2 + encloser.len())?.copy_from_slice(encloser);
        self.now.nodes.get(&octets[..2 + encloser.len()])
    }
}

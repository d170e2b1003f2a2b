//! A listed name server does not serve the zone
//!
//! A name server in the delegation refuses questions about the zone, or answers them without authority.
//!
//! # Why it matters
//!
//! Resolvers that pick this server lose time or get no answer, so the domain works for some and fails for others.
//!
//! # What to do
//!
//! 1. Compare the list at the registrar with the servers your DNS host gives.
//! 2. Take out those that do not serve the zone.
//!
//! # References
//!
//! - RFC 1912 §2.8
//! - RFC 9499 §7

use super::name_server_unreachable;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Says, Server},
    sub_zone::DS,
    view::{Heard, View},
};
use model::{Confidence, Severity};

/// Servers that are at fault as a whole: lame, or silent.
pub fn check(view: &View) -> Vec<Finding> {
    let mut servers: Vec<&Server> = Vec::new();
    for heard in view.all() {
        if matches!(heard.server(), Server::Authority { .. }) && !servers.contains(&heard.server()) {
            servers.push(heard.server());
        }
    }
    servers.sort();
    servers.into_iter().filter_map(|server| check_server(server, view)).collect()
}

fn check_server(server: &Server, view: &View) -> Option<Finding> {
    let Server::Authority { zone, .. } = server else { return None };
    let mut lame = None;
    let mut silent = None;
    // What the zone above says of another zone's signatures is no sign of what it serves.
    let of_server =
        |heard: &&Heard| heard.server() == server && heard.exchange.ask.question.record_type != DS;
    for heard in view.all().iter().filter(of_server) {
        match &heard.says {
            Says::Lame(reason) => lame = Some(reason.clone()),
            Says::Nothing(reason) => silent = Some(reason.clone()),
            // It serves the zone; what it did not answer is told with the record.
            _ => return None,
        }
    }
    let Some(reason) = lame else {
        return silent.map(|reason| name_server_unreachable::finding(zone, server, reason));
    };
    Some(Finding {
        defect: Defect::NameServerLame { zone: zone.clone(), server: server.clone(), reason },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::FixNameServers { zone: zone.clone(), servers: vec![server.clone()] },
    })
}

//! Name servers that are at fault as a whole: lame, or silent.

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Says, Server},
    view::View,
};
use model::{Confidence, Severity};

/// A name server that is listed for the zone refuses, refers elsewhere or does not answer.
///
/// Every resolver that picks it loses time, or gets no answer at all; some checks will then fail by chance. Take it
/// out of the NS records, or make it serve the zone.
///
/// Source: RFC 1912 §2.8.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut servers: Vec<&Server> = Vec::new();
    for heard in view.all() {
        if matches!(heard.server(), Server::Authority { .. }) && !servers.contains(&heard.server()) {
            servers.push(heard.server());
        }
    }
    servers.sort();
    servers.into_iter().filter_map(|server| check_server(server, view)).collect()
}

fn check_server(server: &Server, view: &View<'_>) -> Option<Finding> {
    let Server::Authority { zone, .. } = server else { return None };
    let mut lame = None;
    let mut silent = None;
    for heard in view.all().iter().filter(|heard| heard.server() == server) {
        match &heard.says {
            Says::Lame(reason) => lame = Some(reason.clone()),
            Says::Nothing(reason) => silent = Some(reason.clone()),
            // It serves the zone; what it did not answer is told with the record.
            _ => return None,
        }
    }
    let zone = zone.clone();
    let (server, remedy) =
        (server.clone(), Remedy::FixNameServers { zone: zone.clone(), servers: vec![server.clone()] });
    let (defect, confidence) = match (lame, silent) {
        (Some(reason), _) => (Defect::NameServerLame { zone, server, reason }, Confidence::Confirmed),
        // The way to it may be broken on our side only.
        (None, Some(reason)) => {
            (Defect::NameServerUnreachable { zone, server, reason }, Confidence::Suspected)
        }
        (None, None) => return None,
    };
    Some(Finding { defect, severity: Severity::Warning, confidence, record: None, remedy })
}

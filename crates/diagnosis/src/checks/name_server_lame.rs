//! Name servers that are at fault as a whole: lame, or silent.

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Observation, Says, Server},
};
use model::{Confidence, Severity};

/// A name server that is listed for the zone refuses, refers elsewhere or does not answer.
///
/// Every resolver that picks it loses time, or gets no answer at all; some checks will then fail by chance. Take it
/// out of the NS records, or make it serve the zone.
///
/// Source: RFC 1912 §2.8.
pub fn check(observation: &Observation) -> Vec<Finding> {
    let mut servers: Vec<&Server> = Vec::new();
    for exchange in &observation.exchanges {
        if matches!(exchange.ask.server, Server::Authority { .. }) && !servers.contains(&&exchange.ask.server)
        {
            servers.push(&exchange.ask.server);
        }
    }
    servers.into_iter().filter_map(|server| check_server(server, observation)).collect()
}

fn check_server(server: &Server, observation: &Observation) -> Option<Finding> {
    let Server::Authority { zone, .. } = server else { return None };
    let mut lame = None;
    let mut silent = None;
    for exchange in observation.exchanges.iter().filter(|exchange| exchange.ask.server == *server) {
        match exchange.says() {
            Says::Lame(reason) => lame = Some(reason),
            Says::Nothing(reason) => silent = Some(reason),
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

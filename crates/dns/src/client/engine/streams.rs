//! The TCP exchanges of the engine, for answers that are too long for UDP.
//!
//! A server that truncates everything and then leaves its connections unanswered holds no more of them than its
//! share, and a round does not wait for it more often than [`FAILURES_ALLOWED`] says.

use super::{Ended, Engine, SETTLED, Stage, query_of, unreachable};
use crate::client::tcp;
use diagnosis::observation::Failure;
use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use std::{net::SocketAddr, sync::Arc};

/// After so many failures over TCP at an address, the rest of a round's questions are not asked there over TCP.
const FAILURES_ALLOWED: u32 = 2;

impl Engine {
    pub(super) fn start_tcp(&mut self, query: usize) {
        let pending = &self.queries[query];
        if self.is_tcp_given_up(pending.round, self.links[pending.link].address) {
            return self.settle(query, Err(given_up()));
        }
        let id = match self.random.next() {
            Ok(id) => id,
            Err(error) => return self.settle(query, Err(unreachable(&error))),
        };
        let stamp = self.stamp();
        let pending = &mut self.queries[query];
        let ask = self.rounds[pending.round].round.asks[pending.index].clone();
        let edns = pending.edns;
        // The server's own share first: who waits for it keeps nothing from others.
        let permits = [Arc::clone(&self.links[pending.link].connections), Arc::clone(&self.connections)];
        let limit = self.options.tcp_timeout;
        let exchange = async move {
            let server = ask.server.address();
            (query, stamp, tcp::ask(permits, query_of(&ask, id, edns), server, limit).await)
        };
        let (abort, registration) = AbortHandle::new_pair();
        pending.stage = Stage::Tcp(abort);
        pending.stamp = stamp;
        self.tcp.push(Abortable::new(exchange.boxed(), registration));
    }

    pub(super) fn on_tcp(&mut self, ended: Option<Ended>) {
        let Some((query, stamp, result)) = ended else { return };
        let Some(pending) = self.queries.get(query).filter(|pending| pending.stamp == stamp) else { return };
        let (round, link) = (pending.round, pending.link);
        match result {
            Ok(response) => self.on_reply(query, response.reply),
            Err(failure) => {
                self.count_tcp_failure(round, link, query);
                self.settle(query, Err(failure));
            }
        }
    }

    fn is_tcp_given_up(&self, round: usize, address: SocketAddr) -> bool {
        let failures = &self.rounds[round].tcp_failures;
        failures.iter().any(|(failed, count)| *failed == address && *count >= FAILURES_ALLOWED)
    }

    /// Counts the failure of a question; with the last one allowed, the round's others at the server end too.
    fn count_tcp_failure(&mut self, round: usize, link: usize, failed: usize) {
        let address = self.links[link].address;
        let running = &mut self.rounds[round];
        match running.tcp_failures.iter_mut().find(|(known, _)| *known == address) {
            Some((_, count)) => *count += 1,
            None => running.tcp_failures.push((address, 1)),
        }
        if !self.is_tcp_given_up(round, address) {
            return;
        }
        let open: Vec<usize> = self.rounds[round]
            .queries
            .iter()
            .copied()
            .filter(|query| *query != SETTLED && *query != failed && self.queries[*query].link == link)
            .collect();
        for query in open {
            if let Stage::Tcp(exchange) = &self.queries[query].stage {
                exchange.abort();
                // The failed question is open still, so this does not end the round.
                self.settle(query, Err(given_up()));
            }
        }
    }
}

fn given_up() -> Failure {
    Failure::TruncatedWithoutTcp("given up, as other questions to this server failed over TCP".to_owned())
}

//! The TCP exchanges of the engine, for answers that are too long for UDP.

use super::{Ended, Engine, Stage, query_of, unreachable};
use crate::client::tcp;
use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};
use std::sync::Arc;

impl Engine {
    pub(super) fn start_tcp(&mut self, query: usize) {
        let id = match self.random.next() {
            Ok(id) => id,
            Err(error) => return self.settle(query, Err(unreachable(&error))),
        };
        let stamp = self.stamp();
        let pending = &mut self.queries[query];
        let ask = self.rounds[pending.round].round.asks[pending.index].clone();
        let (edns, connections) = (pending.edns, Arc::clone(&self.connections));
        let limit = self.options.tcp_timeout;
        let exchange = async move {
            let server = ask.server.address();
            (query, stamp, tcp::ask(connections, query_of(&ask, id, edns), server, limit).await)
        };
        let (abort, registration) = AbortHandle::new_pair();
        pending.stage = Stage::Tcp(abort);
        pending.stamp = stamp;
        self.tcp.push(Abortable::new(exchange.boxed(), registration));
    }

    pub(super) fn on_tcp(&mut self, ended: Option<Ended>) {
        let Some((query, stamp, result)) = ended else { return };
        if self.queries.get(query).is_none_or(|pending| pending.stamp != stamp) {
            return;
        }
        match result {
            Ok(response) => self.on_reply(query, response.reply),
            Err(failure) => self.settle(query, Err(failure)),
        }
    }
}

//! The answers that SPF, DKIM and DMARC evaluations need, from recursive resolvers.
//!
//! An evaluation asks for one definitive answer, not for everyone's: the first resolver that gives one wins. The
//! next one is asked as soon as the one before failed or has kept us waiting for a while.

use crate::Client;
use diagnosis::{
    inquiry::Policy,
    observation::{Ask, Exchange, Outcome, Question, Rcode, Says, Server},
};
use futures_util::{StreamExt, stream, stream::FuturesUnordered};
use mail::lookup::Answer;
use model::{RecordData, RecordType, Timestamp};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// How long a resolver may take before the next one is asked too.
const PATIENCE: Duration = Duration::from_millis(600);

/// How many questions of one evaluation are open at once.
const CONCURRENT: usize = 16;

impl Client {
    /// Looks one question up. Aliases are followed as far as the resolver's answer shows them.
    pub async fn resolve(&self, resolvers: &[SocketAddr], question: &Question) -> Answer {
        let mut remaining = resolvers.iter();
        let mut running = FuturesUnordered::new();
        let mut problems = Vec::new();
        loop {
            if let Some(&address) = remaining.next() {
                running.push(self.resolve_at(address, question));
            }
            // Once all have been asked, their own timeouts bound the wait.
            let patience = if remaining.len() == 0 { Duration::MAX } else { PATIENCE };
            match timeout(patience, running.next()).await {
                Ok(Some((address, Answer::TempError(problem)))) => {
                    problems.push(format!("{address}: {problem}"));
                }
                Ok(Some((_, definitive))) => return definitive,
                Ok(None) if problems.is_empty() => {
                    return Answer::TempError("no resolver is configured".to_owned());
                }
                Ok(None) => return Answer::TempError(problems.join("; ")),
                Err(_) => {}
            }
        }
    }

    /// Looks all questions up at once and returns them in the same order, each once.
    pub async fn resolve_needed(
        &self,
        resolvers: &[SocketAddr],
        needed: &[Question],
    ) -> Vec<(Question, Answer)> {
        let mut questions: Vec<Question> = Vec::with_capacity(needed.len());
        for question in needed {
            if !questions.contains(question) {
                questions.push(question.clone());
            }
        }
        stream::iter(questions)
            .map(|question| async {
                let answer = self.resolve(resolvers, &question).await;
                (question, answer)
            })
            .buffered(CONCURRENT)
            .collect()
            .await
    }

    async fn resolve_at(&self, address: SocketAddr, question: &Question) -> (SocketAddr, Answer) {
        let ask = Ask::new(question.clone(), Server::Resolver { address });
        let outcome = self.ask(&ask, &Policy::for_resolvers(Vec::new())).await;
        (address, read(ask, outcome))
    }
}

/// Reads a resolver's answer the way diagnosis does, so that both always agree on what an answer says.
fn read(ask: Ask, outcome: Outcome) -> Answer {
    let missing = match &outcome {
        Outcome::Reply(reply) if reply.rcode == Rcode::NxDomain => Answer::NxDomain,
        _ => Answer::NoData,
    };
    let asked_alias = ask.question.record_type == RecordType::Cname;
    // The time takes no part in reading the answer.
    match (Exchange { ask, at: Timestamp::UNIX_EPOCH, outcome }).says() {
        Says::Records(records) => Answer::Records(records),
        Says::Alias { target, .. } if asked_alias => Answer::Records(vec![RecordData::Cname(target)]),
        Says::Alias { at_end, .. } if !at_end.is_empty() => Answer::Records(at_end),
        // RFC 6604 §2: the response code is about the end of the chain.
        Says::Alias { .. } => missing,
        Says::NoData(_) => Answer::NoData,
        Says::NxDomain(_) => Answer::NxDomain,
        Says::AliasLoop(target) => Answer::TempError(format!("the aliases from {target} go in a circle")),
        Says::SeveralAliases(_) => Answer::TempError("there is more than one alias at the name".to_owned()),
        Says::Nothing(problem) | Says::Lame(problem) => Answer::TempError(problem),
    }
}

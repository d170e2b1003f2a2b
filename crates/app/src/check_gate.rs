//! Who may have a check of any domain run: counts, places and turns.
//!
//! The order is that of what it costs us: a request is counted ([`CountedCheck`]) before anything of it is looked at,
//! so that refused ones count too; then it takes a place; only then a plan is made of it. The check runs from then on,
//! whether or not anybody waits for it ([`RunningCheck`]), and has its place for a bounded time: who does not read
//! what comes holds nothing that others need. Visitors and keys have counts and places of their own, so that no
//! crowd on the page keeps the API's callers out.

use crate::{
    App,
    access::{Actor, Caller, Scope},
    error::{Error, Result},
    rate::RateLimiter,
};
use model::{DomainName, OrgId};
use std::{
    future::Future,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

/// How many run at the same time, for visitors and as many for keys.
const RUNNING: usize = 8;

/// How many more may wait for their turn.
const WAITING: usize = 24;

/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long one may have its place after it got its turn, whatever goes on.
const LONGEST: Duration = Duration::from_secs(12);

/// When to come back where all places are taken, in seconds.
const RETRY_AFTER: u32 = 5;

/// How many times as often as one client all clients of one site (an IPv6 /48) may come.
const SITE: u32 = 8;

/// A request that was counted for its client, and may be looked at.
#[derive(Debug)]
pub struct CountedCheck {
    of_visitor: bool,
}

/// The places and counts of all checks.
pub(crate) struct Gate {
    addresses: RateLimiter<(IpAddr, u8)>,
    /// Apart from IPv4, where nobody has more addresses than we can count.
    addresses_v6: RateLimiter<(IpAddr, u8)>,
    keys: RateLimiter<(OrgId, Actor)>,
    visitors: Places,
    callers: Places,
}

struct Places {
    all: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Places {
    fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(RUNNING + WAITING)), running: Arc::new(Semaphore::new(RUNNING)) }
    }
}

/// A place that was taken; dropping it gives it free.
pub(crate) struct Place {
    running: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            addresses: RateLimiter::new(per_minute),
            addresses_v6: RateLimiter::new(per_minute),
            keys: RateLimiter::new(per_minute),
            visitors: Places::new(),
            callers: Places::new(),
        }
    }

    /// A place for this request, or why there is none.
    pub(crate) fn enter(&self, counted: &CountedCheck) -> Result<Place> {
        let places = if counted.of_visitor { &self.visitors } else { &self.callers };
        let place = Arc::clone(&places.all).try_acquire_owned().map_err(|_| busy())?;
        Ok(Place { running: Arc::clone(&places.running), _place: place })
    }
}

impl App {
    /// Counts a check that a caller asks for, or says why there can be none. To be called before the request is read.
    ///
    /// # Errors
    /// `ScopeMissing`, `RateLimited`.
    pub fn count_check(&self, caller: &Caller) -> Result<CountedCheck> {
        caller.require(Scope::ReadDomains)?;
        let counted = self.free_checks.keys.admit(&[((caller.org_id, caller.actor), 1)], self.clock.now());
        counted.map_err(|retry_after| self.too_many_checks(retry_after))?;
        Ok(CountedCheck { of_visitor: false })
    }

    /// The same for a visitor, who is known by the address only.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn count_visitor_check(&self, address: IpAddr) -> Result<CountedCheck> {
        let gate = &self.free_checks;
        let address = address.to_canonical();
        let counts = if address.is_ipv4() { &gate.addresses } else { &gate.addresses_v6 };
        counts
            .admit(&networks(address), self.clock.now())
            .map_err(|retry_after| self.too_many_checks(retry_after))?;
        Ok(CountedCheck { of_visitor: true })
    }

    fn too_many_checks(&self, retry_after: u32) -> Error {
        Error::RateLimited { what: "checks", allowed: self.settings.checks_per_minute, retry_after }
    }
}

/// What an address is counted under, each with how many times what one client may is allowed. Who has one address of
/// an IPv6 network has all of its /64, and many have a /48 with 65,536 of those.
pub fn networks(address: IpAddr) -> Vec<((IpAddr, u8), u32)> {
    let network = |v6: Ipv6Addr, length: u8| {
        let network = v6.to_bits() & !(u128::MAX >> length);
        (IpAddr::V6(Ipv6Addr::from_bits(network)), length)
    };
    match address {
        IpAddr::V4(_) => vec![((address, 32), 1)],
        IpAddr::V6(v6) => vec![(network(v6, 64), 1), (network(v6, 48), SITE)],
    }
}

/// A check that runs. Dropping this ends it.
#[derive(Debug)]
pub struct RunningCheck<T> {
    domain: DomainName,
    task: AbortOnDropHandle<Result<T>>,
}

impl<T: Send + 'static> RunningCheck<T> {
    /// Starts `work` as soon as it is this place's turn.
    pub(crate) fn start(
        domain: DomainName,
        place: Place,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let task = async move {
            // All of it, until the end.
            let Place { running, _place } = place;
            let turn = tokio::time::timeout(PATIENCE, running.acquire()).await;
            let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
            tokio::time::timeout(LONGEST, work).await.map_err(|_| busy())
        };
        Self { domain, task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }
}

impl<T> RunningCheck<T> {
    /// The domain that is checked.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// Waits for what was made of it. Bounded in time.
    ///
    /// # Errors
    /// `Busy` when its turn did not come in time.
    pub async fn finished(self) -> Result<T> {
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(domain = %self.domain, %error, "a check of any domain panicked");
            Err(Error::Internal("the check panicked".to_owned()))
        })
    }
}

fn busy() -> Error {
    metrics::counter!("countersign_free_checks_refused_total").increment(1);
    Error::Busy { what: "checks", retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_counted_with_its_networks() {
        let of = |text: &str| {
            let networks = networks(text.parse::<IpAddr>().unwrap().to_canonical()).into_iter();
            networks.map(|((network, length), _)| format!("{network}/{length}")).collect::<Vec<_>>()
        };
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), ["2001:db8:1:2::/64", "2001:db8:1::/48"]);
        assert_eq!(of("192.0.2.7"), ["192.0.2.7/32"]);
        assert_eq!(of("::ffff:192.0.2.7"), ["192.0.2.7/32"]);
    }
}

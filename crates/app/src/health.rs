//! Whether this node can do its work.

use crate::{App, error::Result};
use jiff::Timestamp;
use model::DomainStatus;

/// Numbers about the work in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Domains by status.
    pub domains: Vec<(DomainStatus, u64)>,
    /// Deliveries that are not done.
    pub queued: u64,
    /// When the oldest of them was accepted.
    pub oldest_queued: Option<Timestamp>,
    /// Keys in the pool.
    pub key_pool: u64,
}

impl App {
    /// Whether something can be stored durably now.
    pub async fn ready(&self) -> Result<()> {
        Ok(self.store.ping_write(self.clock.now()).await?)
    }

    /// Numbers about the work in hand.
    pub async fn gauges(&self) -> Result<Gauges> {
        let (queued, oldest_queued) = self.store.queue_depth().await?;
        Ok(Gauges {
            domains: self.count_all_domains().await?,
            queued,
            oldest_queued,
            key_pool: self.store.count_pool_keys().await?,
        })
    }

    /// One organisation is all there is until organisations can be made.
    async fn count_all_domains(&self) -> Result<Vec<(DomainStatus, u64)>> {
        match self.store.first_organisation().await? {
            Some(org) => Ok(self.store.count_domains_by_status(org.id).await?),
            None => Ok(Vec::new()),
        }
    }
}

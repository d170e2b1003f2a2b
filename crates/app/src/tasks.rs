//! The background tasks: each reconciles by itself, runs on a poke and on a period, and stops when told.

use crate::{App, error::Result};
use std::{sync::Arc, time::Duration};
use store::Topic;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The longest a task sleeps: a poke that got lost, or another node's work, is found by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Pokes for the tasks.
#[derive(Default)]
pub struct Wake {
    /// Domains may be due.
    pub verify: Notify,
    /// Messages may be due.
    pub deliver: Notify,
    /// What DNS serves may have changed.
    pub dns: Notify,
    /// Received messages may wait for their verdict.
    pub authenticate: Notify,
    /// The key pool may have room.
    pub key_pool: Notify,
    /// What was kept for a time may be over.
    pub sweep: Notify,
    /// Secrets may be sealed with an earlier master key.
    pub reseal: Notify,
}

impl App {
    /// Has every task look for work now: something may have happened that nobody told of.
    pub fn look_again(&self) {
        for task in TASKS {
            task.poke(self).notify_one();
        }
    }
}

/// Starts every task. They end soon after `cancel`; what they were in the middle of is finished or left to its lease.
pub fn spawn(app: &Arc<App>, cancel: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let start = |tasks: &mut JoinSet<()>, task: Task| {
        let (app, cancel) = (Arc::clone(app), cancel.clone());
        tasks.spawn(async move { run(app, cancel, task).await });
    };
    for task in TASKS {
        start(&mut tasks, task);
    }
    tasks
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    ServeZones,
    FillKeyPool,
    Verify,
    Deliver,
    Authenticate,
    Number,
    Sweep,
    Reseal,
    DeliverToWebhooks,
}

const TASKS: [Task; 9] = [
    Task::ServeZones,
    Task::FillKeyPool,
    Task::Verify,
    Task::Deliver,
    Task::Authenticate,
    Task::Number,
    Task::Sweep,
    Task::Reseal,
    Task::DeliverToWebhooks,
];

async fn run(app: Arc<App>, cancel: CancellationToken, task: Task) {
    while !cancel.is_cancelled() {
        // In a task of its own: a panic (in a parser of what strangers send, say) ends this pass, not the task.
        let pass = tokio::spawn({
            let app = Arc::clone(&app);
            async move { task.once(&app).await }
        });
        let pause = match pass.await {
            // There may be more of it at once.
            Ok(Ok(0)) => task.sleep(&app).await,
            Ok(Ok(_)) => Duration::ZERO,
            Ok(Err(error)) => {
                tracing::warn!(?task, %error, "a background task failed; it goes on in a moment");
                Duration::from_secs(2)
            }
            Err(error) => {
                tracing::error!(?task, %error, "a background task panicked; it goes on in a moment");
                metrics::counter!("countersign_task_panics_total").increment(1);
                Duration::from_secs(2)
            }
        };
        if pause.is_zero() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            () = task.poke(&app).notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Task {
    /// One pass; how much it did.
    async fn once(self, app: &Arc<App>) -> Result<usize> {
        match self {
            Self::ServeZones => app.serve_zones().await.map(|()| 0),
            Self::FillKeyPool => app.fill_key_pool().await,
            Self::Verify => app.check_due_domains().await,
            Self::Deliver => app.deliver_due().await,
            Self::Authenticate => app.authenticate_received().await.map(|_| 0),
            Self::Number => app.number_events().await,
            Self::Sweep => app.sweep_requests().await,
            Self::Reseal => app.reseal().await,
            Self::DeliverToWebhooks => app.deliver_to_webhooks().await,
        }
    }

    fn poke(self, app: &App) -> &Notify {
        match self {
            Self::ServeZones => &app.wake.dns,
            Self::FillKeyPool => &app.wake.key_pool,
            Self::Verify => &app.wake.verify,
            Self::Deliver => &app.wake.deliver,
            Self::Authenticate => &app.wake.authenticate,
            Self::Number => app.store.changed(Topic::Events),
            Self::Sweep => &app.wake.sweep,
            Self::Reseal => &app.wake.reseal,
            Self::DeliverToWebhooks => app.store.changed(Topic::Webhooks),
        }
    }

    /// Until the next thing is due, but no longer than [`LONGEST_SLEEP`].
    async fn sleep(self, app: &App) -> Duration {
        let due = match self {
            Self::Verify => app.store.next_domain_due_at().await,
            Self::Deliver => app.store.next_delivery_due_at().await,
            Self::Authenticate => app.store.next_authentication_due_at().await,
            Self::DeliverToWebhooks => app.store.next_webhook_delivery_due_at().await,
            Self::ServeZones | Self::FillKeyPool | Self::Number | Self::Sweep | Self::Reseal => Ok(None),
        };
        match due {
            Ok(Some(at)) => soon(at.duration_since(app.clock.now())),
            _ => LONGEST_SLEEP,
        }
    }
}

fn soon(wait: impl TryInto<Duration>) -> Duration {
    // What is due already is tried again in a moment, never in a tight loop: its lease may still be held.
    wait.try_into().unwrap_or(Duration::ZERO).clamp(Duration::from_millis(50), LONGEST_SLEEP)
}

//! The background tasks: each reconciles by itself, runs on a poke and on a period, and stops when told.

use crate::{App, error::Result, nodes::BEAT};
use std::{sync::Arc, time::Duration};
use store::Topic;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The longest a task sleeps: a poke that got lost, or another node's work, is found by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// How often a node asks whether another one has changed a key, should nobody have told it: what is verified here is served
/// within a second on every node.
const ASKS_FOR_KEYS: Duration = Duration::from_millis(500);

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
    /// Contacts may be to be told something.
    pub alerts: Notify,
    /// Claims of domains may be to be looked at.
    pub claims: Notify,
    /// Keys may be to be rotated.
    pub rotate: Notify,
    /// The key pool may have room.
    pub key_pool: Notify,
    /// What was kept for a time may be over.
    pub sweep: Notify,
    /// Secrets may be sealed with an earlier master key.
    pub reseal: Notify,
    /// This node is to be heard of.
    pub beat: Notify,
}

impl App {
    /// Has whoever waits for this look: another node has changed it.
    fn wake_for(&self, topic: Topic) {
        match topic {
            Topic::Events | Topic::Webhooks => self.store.changed(topic),
            Topic::Verify => &self.wake.verify,
            Topic::Deliver => &self.wake.deliver,
            Topic::Dns => &self.wake.dns,
        }
        .notify_one();
    }

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
    if app.store.is_shared() {
        let (telling, hearing) = (Arc::clone(app), Arc::clone(app));
        let cancelled = cancel.clone();
        tasks.spawn(async move {
            cancelled.run_until_cancelled(telling.store.tell_other_nodes(&telling.node)).await;
        });
        let cancelled = cancel.clone();
        tasks.spawn(async move {
            let hear = hearing.store.hear_other_nodes(&hearing.node, |topic| hearing.wake_for(topic));
            cancelled.run_until_cancelled(hear).await;
        });
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
    Alert,
    Sweep,
    Reseal,
    DeliverToWebhooks,
    LookAtClaims,
    RotateKeys,
    Beat,
}

const TASKS: [Task; 13] = [
    Task::ServeZones,
    Task::FillKeyPool,
    Task::Verify,
    Task::Deliver,
    Task::Authenticate,
    Task::Number,
    Task::Alert,
    Task::Sweep,
    Task::Reseal,
    Task::DeliverToWebhooks,
    Task::LookAtClaims,
    Task::RotateKeys,
    Task::Beat,
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
        let claims = matches!(
            self,
            Self::Verify | Self::Deliver | Self::DeliverToWebhooks | Self::LookAtClaims | Self::RotateKeys
        );
        if claims && !app.may_claim() {
            return Ok(0);
        }
        match self {
            Self::ServeZones => app.serve_zones().await.map(|()| 0),
            Self::FillKeyPool => {
                // A key that somebody else may have goes, whatever keeps new ones from being made in advance.
                let (filled, replaced) = (app.fill_key_pool().await, app.replace_drained_keys().await);
                Ok(filled? + replaced?)
            }
            Self::Verify => app.check_due_domains().await,
            Self::Deliver => app.deliver_due().await,
            Self::Authenticate => app.authenticate_received().await.map(|_| 0),
            Self::Number => app.number_events().await,
            Self::Alert => app.send_alerts().await,
            Self::Sweep => app.sweep().await,
            Self::Reseal => app.reseal().await,
            Self::DeliverToWebhooks => app.deliver_to_webhooks().await,
            Self::LookAtClaims => app.look_at_claims().await,
            Self::RotateKeys => Ok(app.rotate_due_keys().await? + app.tell_retired_keys().await?),
            Self::Beat if app.store.is_shared() => app.beat().await.map(|()| 0),
            Self::Beat => Ok(0),
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
            Self::Alert => &app.wake.alerts,
            Self::Sweep => &app.wake.sweep,
            Self::Reseal => &app.wake.reseal,
            Self::DeliverToWebhooks => app.store.changed(Topic::Webhooks),
            Self::LookAtClaims => &app.wake.claims,
            Self::RotateKeys => &app.wake.rotate,
            Self::Beat => &app.wake.beat,
        }
    }

    /// Until the next thing is due, but no longer than [`LONGEST_SLEEP`].
    async fn sleep(self, app: &App) -> Duration {
        if self == Self::Beat {
            return BEAT;
        }
        if self == Self::ServeZones && app.store.is_shared() {
            return ASKS_FOR_KEYS;
        }
        if !app.may_claim() {
            // A moment: the first beat may be under way.
            return Duration::from_millis(250);
        }
        let due = match self {
            Self::Verify => app.store.next_domain_due_at().await,
            Self::Deliver => app.store.next_delivery_due_at().await,
            Self::Authenticate => app.store.next_authentication_due_at().await,
            Self::DeliverToWebhooks => app.store.next_webhook_delivery_due_at().await,
            Self::LookAtClaims => app.store.next_claim_due_at().await,
            Self::ServeZones
            | Self::FillKeyPool
            | Self::Number
            | Self::Alert
            | Self::Sweep
            | Self::Reseal
            | Self::RotateKeys
            | Self::Beat => Ok(None),
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

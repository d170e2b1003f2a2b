//! The operator's own health: is the platform itself in order? For those who run it, at a listener that only they reach.

use crate::{
    Pages,
    page::{Answer, Section, Shell, html},
    pill::{Pill, Tone},
};
use app::operator_health::{HealthItem, HealthState};
use askama::Template;
use axum::{Extension, Json};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Looks at everything, worst first.
pub type HealthSource = Arc<dyn Fn() -> BoxFuture<'static, Vec<HealthItem>> + Send + Sync>;

#[derive(Template)]
#[template(path = "operator.html")]
struct HealthPage {
    shell: Shell,
    /// What is to be looked at, worst first.
    open: Vec<(Pill, HealthItem)>,
    fine: Vec<HealthItem>,
}

/// How an item is shown.
fn pill(state: HealthState) -> Pill {
    match state {
        HealthState::Ok => Pill::new(Tone::Good, "fine"),
        HealthState::Unknown => Pill::new(Tone::Muted, "not seen"),
        HealthState::Warn => Pill::new(Tone::Warn, "look"),
        HealthState::Fail => Pill::new(Tone::Bad, "fix"),
    }
}

pub(crate) async fn show(pages: Pages, Extension(source): Extension<HealthSource>) -> Answer {
    let items = source().await.into_iter();
    let (fine, open): (Vec<HealthItem>, Vec<HealthItem>) =
        items.partition(|item| item.state == HealthState::Ok);
    let open = open.into_iter().map(|item| (pill(item.state), item)).collect();
    html(&HealthPage { shell: Shell::of(&pages, Section::None, "Health"), open, fine })
}

pub(crate) async fn json(Extension(source): Extension<HealthSource>) -> Json<Vec<HealthItem>> {
    Json(source().await)
}

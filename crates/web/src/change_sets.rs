//! What would change at the DNS host, as a page: shown, written, taken back, where nothing has to be typed for it: in the
//! playground, and with a kept credential. Everything else begins at [`crate::write`].

use crate::{
    Web,
    domain::domain_id,
    page::{Answer, Failure, Section, Shell, go, html},
    pill::{Pill, Tone},
};
use app::{
    change_sets::{ChangeSetView, Credential, PLAYGROUND, PlanChanges, Stop},
    store::{ChangePurpose, ChangeState},
};
use askama::Template;
use axum::extract::Path;
use explain::render::change_html;
use model::{ChangeSetId, Timestamp};

#[derive(Template)]
#[template(path = "change_set.html")]
struct ChangeSetPage {
    shell: Shell,
    id: String,
    domain_id: String,
    heading: String,
    pill: Pill,
    diff: String,
    problem: Option<String>,
    can_apply: bool,
    /// Whether something is left that this change set cannot do any more.
    is_over: bool,
    can_undo: bool,
}

/// Whether a change set has something left to write, and whether it can be written by it still: not where it was planned
/// too long ago, or somebody else wrote in the zone since.
pub(crate) fn left(view: &ChangeSetView, now: Timestamp) -> Left {
    let is_old = || view.stored.expires_at <= now;
    match view.stored.state {
        _ if view.plan.steps.is_empty() => Left::Nothing,
        ChangeState::Applied | ChangeState::Undone => Left::Nothing,
        ChangeState::Planned | ChangeState::Refused if is_old() => Left::Over,
        _ if matches!(view.stop, Some(Stop::ZoneChanged { .. })) => Left::Over,
        _ => Left::Writable,
    }
}

/// What is left of a change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    Writable,
    /// Something, which has to be planned anew.
    Over,
}

/// How far a change set is.
pub(crate) fn state_pill(state: ChangeState) -> Pill {
    match state {
        ChangeState::Planned => Pill::new(Tone::Wait, "Not written yet"),
        ChangeState::Applying => Pill::new(Tone::Wait, "Being written"),
        ChangeState::Applied => Pill::new(Tone::Good, "Written"),
        ChangeState::Partial => Pill::new(Tone::Bad, "Partly written"),
        ChangeState::Refused => Pill::new(Tone::Bad, "Refused"),
        ChangeState::Unknown => Pill::new(Tone::Bad, "Not known how far"),
        ChangeState::Undone => Pill::new(Tone::Muted, "Taken back"),
    }
}

/// The page where something stands of the change set.
fn page(web: &Web, view: &ChangeSetView) -> ChangeSetPage {
    let stored = &view.stored;
    let pill = state_pill(stored.state);
    let heading = if stored.purpose == ChangePurpose::Undo {
        format!("Taking back changes in {}", stored.zone)
    } else {
        format!("Changes in {}", stored.zone)
    };
    let is_open = stored.host == PLAYGROUND || stored.connection_id.is_some();
    let left = left(view, web.app.now());
    ChangeSetPage {
        shell: Shell::new(web, Section::Domains, heading.clone()),
        id: stored.id.to_string(),
        domain_id: stored.domain_id.to_string(),
        heading,
        pill,
        diff: change_html(&view.plan),
        problem: view.stop.clone().map(|stop| app::Error::from(stop).to_string()),
        can_apply: is_open && left == Left::Writable,
        is_over: left == Left::Over || !is_open && left == Left::Writable,
        can_undo: is_open
            && stored.purpose != ChangePurpose::Undo
            && !view.done.is_empty()
            && matches!(stored.state, ChangeState::Applied | ChangeState::Partial),
    }
}

fn playground() -> Credential {
    Credential::playground()
}

/// What a change set is written with where nothing is typed.
async fn credential_of(web: &Web, id: ChangeSetId) -> Result<Credential, Failure> {
    let view = web.app.change_set(&web.viewer, id).await?;
    Ok(if view.stored.host == PLAYGROUND { playground() } else { Credential::AsPlanned })
}

fn change_set_id(text: &str) -> Result<ChangeSetId, Failure> {
    text.parse().map_err(|_| Failure::no_such("change set", text))
}

/// Plans the domain's records, and shows what would change.
pub(crate) async fn plan(web: Web, Path(id): Path<String>) -> Answer {
    let id = domain_id(&id)?;
    let request =
        PlanChanges { credential: playground(), purpose: ChangePurpose::Setup, apply: false, keep: None };
    let sets = web.app.plan_changes(&web.viewer, id, &request).await?;
    let first = sets.first().map(|set| set.stored.id);
    Ok(go(&first.map_or_else(|| format!("/domains/{id}"), |first| format!("/change-sets/{first}"))))
}

/// The page.
pub(crate) async fn show(web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.change_set(&web.viewer, change_set_id(&id)?).await?;
    html(&page(&web, &view))
}

/// Writes it.
pub(crate) async fn apply(web: Web, Path(id): Path<String>) -> Answer {
    let id = change_set_id(&id)?;
    let credential = credential_of(&web, id).await?;
    match web.app.apply_change_set(&web.viewer, id, &credential).await {
        // The page says why.
        Ok(_) | Err(app::Error::ZoneChanged(_) | app::Error::Host(_)) => {
            Ok(go(&format!("/change-sets/{id}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Plans to take it back, and shows that.
pub(crate) async fn undo(web: Web, Path(id): Path<String>) -> Answer {
    let id = change_set_id(&id)?;
    let credential = credential_of(&web, id).await?;
    let back = web.app.undo_change_set(&web.viewer, id, &credential, false).await?;
    Ok(go(&format!("/change-sets/{}", back.stored.id)))
}

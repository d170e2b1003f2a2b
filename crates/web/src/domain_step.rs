//! What is done to a domain after asking once more.

use crate::{
    Web,
    confirm::Confirm,
    domain::domain_id,
    forms::FormErrors,
    page::{Answer, Section, Shell, go},
};
use app::{Error, domains::DomainView, store::PauseCause};
use axum::extract::{Form, Path, rejection::FormRejection};
use model::{DomainId, TenantId};
use serde::Deserialize;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begins a claim of a name that another organisation holds.
    Claim,
    /// Has another key sign.
    Rotate,
    /// Takes away the key that waits to be published.
    DiscardKey,
    /// Switches the domain off.
    Disable,
    /// Switches it on.
    Enable,
    /// Lets it send again.
    Resume,
    /// Takes it out.
    Delete,
}

/// Why, where that is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Why {
    reason: String,
}

impl Step {
    /// Where it is done.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Claim => "/domains/{id}/claim",
            Self::Rotate => "/domains/{id}/rotate",
            Self::DiscardKey => "/domains/{id}/discard-key",
            Self::Disable => "/domains/{id}/disable",
            Self::Enable => "/domains/{id}/enable",
            Self::Resume => "/domains/{id}/resume",
            Self::Delete => "/domains/{id}/delete",
        }
    }

    /// What is asked before: the heading, what will come of it, the button.
    fn words(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Claim => (
                "Claim",
                &[
                    "You get a TXT record to publish, good for 7 days. Only who controls the DNS of the domain can do that.",
                    "Who holds the domain now is told at once that somebody claims it, and not who.",
                    "When every name server has shown the record for ten minutes, the domain is yours. Mail from it by the \
                     other organisation is refused then.",
                ],
                "Claim the domain",
            ),
            Self::Rotate => (
                "Rotate the DKIM keys of",
                &[
                    "Where your DNS has aliases to our keys, the next one signs from now on, and your DNS stays as it is.",
                    "Where your DNS has the key itself, you get one record to add. The new key signs as soon as it is seen.",
                    "The key before stays published for 7 days, for mail that it has signed.",
                ],
                "Rotate the keys",
            ),
            Self::DiscardKey => (
                "Discard the new DKIM key of",
                &[
                    "The key that waits to be published is not used. The one before signs on.",
                    "If you have added its record already, remove it.",
                ],
                "Discard the key",
            ),
            Self::Disable => (
                "Disable",
                &[
                    "Mail from this domain is refused from then on, and what is in the queue waits.",
                    "Its DNS is not looked at until it is enabled again. Nobody else can have the domain meanwhile.",
                ],
                "Disable the domain",
            ),
            Self::Enable => (
                "Enable",
                &[
                    "Its DNS is checked at once. Where its records are right it can send when the page comes back.",
                    "What waited in the queue is sent then.",
                ],
                "Enable the domain",
            ),
            Self::Resume => (
                "Let send again:",
                &[
                    "What waits in the queue is sent, and new mail is taken.",
                    "It is judged by what comes from now on. Where the same addresses are written to again, it is paused again.",
                ],
                "Resume sending",
            ),
            Self::Delete => (
                "Delete",
                &[
                    "Mail from this domain is refused from then on, and what is in the queue is given up. Messages that were \
                     sent stay readable.",
                    "Another organisation that can change its DNS can have the domain from then on.",
                    "Your DNS is not touched: the records stay until you remove them at your DNS host.",
                    "When the domain is added again it gets new DKIM records, so what is in DNS now will not fit then.",
                ],
                "Delete the domain",
            ),
        }
    }

    fn ask(self, web: &Web, view: &DomainView, reason: &str) -> Confirm {
        let domain = &view.domain;
        let (doing, lines, button) = self.words();
        let heading = format!("{doing} {}", domain.name);
        let shell = Shell::new(web, Section::Domains, heading.clone());
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        if self == Self::Resume && paused_with_tenant(view).is_some() {
            lines.push(
                "It was paused for the mail of all domains of its tenant: all of these are resumed with it."
                    .to_owned(),
            );
        }
        let action = self.path().replace("{id}", &domain.id.to_string());
        let back = format!("/domains/{}", domain.id);
        let page = Confirm::new(shell, heading + "?", lines, (action, button), back);
        match self {
            Self::Claim | Self::Rotate | Self::DiscardKey => page.harmless(),
            Self::Enable => page.harmless().keep("Keep it disabled"),
            Self::Resume => page.harmless().keep("Keep it paused"),
            Self::Disable => page.keep("Keep it enabled").asking_why(reason),
            Self::Delete => page,
        }
    }

    /// Does it; where to go then.
    async fn carry_out(self, web: &Web, id: DomainId, reason: &str) -> Result<String, Error> {
        let (app, viewer) = (&web.app, &web.viewer);
        match self {
            Self::Claim => drop(app.claim_domain(viewer, id).await?),
            Self::Rotate => drop(app.rotate_domain_keys(viewer, id, false).await?),
            Self::DiscardKey => drop(app.discard_key_beside(viewer, id).await?),
            Self::Disable => drop(app.disable_domain(viewer, id, Some(reason)).await?),
            Self::Enable => drop(app.enable_domain(viewer, id).await?),
            Self::Resume => match paused_with_tenant(&app.domain(viewer, id).await?) {
                Some(tenant) => drop(app.resume_tenant(viewer, tenant).await?),
                None => drop(app.resume_domain(viewer, id).await?),
            },
            Self::Delete => {
                app.delete_domain(viewer, id).await?;
                return Ok("/".to_owned());
            }
        }
        Ok(format!("/domains/{id}"))
    }
}

/// The tenant for whose mail the domain is paused, where it is for that.
fn paused_with_tenant(view: &DomainView) -> Option<TenantId> {
    let pause = view.domain.paused.as_ref()?;
    view.domain.tenant_id.filter(|_| pause.cause == PauseCause::Tenant)
}

/// Asks.
pub(crate) async fn confirm(step: Step, web: Web, Path(id): Path<String>) -> Answer {
    let view = web.app.domain(&web.viewer, domain_id(&id)?).await?;
    step.ask(&web, &view, "").answer()
}

/// Does it, or asks again with why it did not go through.
pub(crate) async fn act(
    step: Step,
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<Why>, FormRejection>,
) -> Answer {
    let reason = match form {
        Ok(Form(Why { reason })) => reason,
        Err(rejected) if step == Step::Disable => return Err(rejected.into()),
        // Nothing is asked.
        Err(_) => String::new(),
    };
    let id = domain_id(&id)?;
    match step.carry_out(&web, id, &reason).await {
        Ok(to) => Ok(go(&to)),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let view = web.app.domain(&web.viewer, id).await?;
            step.ask(&web, &view, &reason).refused(errors).answer()
        }
    }
}

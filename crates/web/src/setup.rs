//! The page for whoever runs a domain's DNS and has no account: opened by a link, which is all that it takes.
//!
//! It shows the domain's name, its records, the steps at its DNS host and what is wrong; nothing of whoever made the link.
//! Every step works without JavaScript.

use crate::{
    Pages,
    domain_live::{HostView, checks, host_view},
    domains::{encoded, unicode},
    finding::{Problems, StepView},
    live,
    page::{Answer, Failure, Section, Shell, go, html, html_with},
    pill::{Pill, Tone},
    record::{self, RecordRow},
    records::{self, Choice},
    when::When,
};
use app::{Error, domains::DomainView, store::SetupLink};
use askama::Template;
use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode},
};
use jiff::Timestamp;
use model::{DomainStatus, RecordStatus};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    shell: Shell,
    name: String,
    unicode: Option<String>,
    path: String,
    live: String,
    tag: String,
    text: String,
    mailto: String,
    files: Vec<Choice>,
    expires: When,
    /// Whether whoever has the link may have the records written.
    may_publish: bool,
    /// Whether the DNS host may be asked to add the records.
    connects: bool,
}

#[derive(Template)]
#[template(path = "setup_over.html")]
struct SetupOverPage {
    shell: Shell,
}

/// What changes while the page is looked at.
#[derive(Template)]
#[template(path = "setup_live.html")]
struct SetupLive {
    name: String,
    status: Pill,
    /// What that means for whoever looks.
    words: &'static str,
    announcement: String,
    /// Whether there is nothing to set up: it is switched off here, or somebody else's.
    over: bool,
    checked: Option<When>,
    next: Option<When>,
    right: usize,
    total: usize,
    problems: Problems,
    visible_by: Option<String>,
    records: Vec<RecordRow>,
    host: HostView,
    /// Of the playground, which visitors do not edit.
    zone_href: Option<String>,
    zone_apex: String,
}

impl SetupLive {
    fn of(view: &DomainView, now: Timestamp) -> Self {
        let (domain, report) = (&view.domain, &view.report);
        let host = explain::view::guide_host(report);
        let right = report.records.iter().filter(|record| record.status == RecordStatus::Verified).count();
        let total = report.records.len();
        let over = domain.status == DomainStatus::Disabled;
        let (status, words) = match domain.status {
            _ if over => (Pill::new(Tone::Muted, "Switched off"), "There is nothing to publish for it now."),
            DomainStatus::Verified if right == total => (
                domain.status.into(),
                "All records are right. You are done; leave the records where they are, mail needs them for as long as it is sent.",
            ),
            DomainStatus::Verified if checks(view).iter().all(|(_, pill)| pill.tone == Tone::Good) => (
                domain.status.into(),
                "Mail can be sent. What is recommended and not there yet makes it arrive better.",
            ),
            DomainStatus::Verified => (
                domain.status.into(),
                "Mail can be sent. The records that are not right make it arrive worse, and can end it.",
            ),
            _ => (
                domain.status.into(),
                "Enter the records below at the DNS host. They are found by themselves.",
            ),
        };
        Self {
            name: domain.name.to_string(),
            status,
            words,
            announcement: format!("{right} of {total} records are right."),
            over,
            checked: When::maybe(domain.last_checked_at, now),
            next: When::maybe(domain.next_check_at, now),
            right,
            total,
            problems: Problems::of(report, now),
            visible_by: report.visible_everywhere_by.map(|at| explain::clock::until(at, now)),
            records: record::rows(report, host, None, now),
            host: host_view(report, host),
            zone_href: None,
            zone_apex: String::new(),
        }
    }

    /// What the fragment is made of, for its tag.
    fn state(view: &DomainView) -> String {
        format!("setup/{}/{}", view.domain.id, view.domain.version)
    }
}

fn over(pages: &Pages) -> Answer {
    html_with(StatusCode::GONE, &SetupOverPage { shell: Shell::of(pages, Section::None, "") })
}

/// What a link leads to; nothing where it is over.
async fn opened(pages: &Pages, secret: &str) -> Result<Option<(SetupLink, DomainView)>, Failure> {
    match pages.app.open_setup_link(secret).await {
        Err(Error::LinkOver) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// The secret as a step of a path; who types anything else finds nothing.
fn path(secret: &str) -> String {
    format!("/setup/{secret}")
}

pub(crate) async fn show(pages: Pages, Path(secret): Path<String>) -> Answer {
    let Some((link, view)) = opened(&pages, &secret).await? else { return over(&pages) };
    let now = pages.app.now();
    let name = &view.domain.name;
    let text = explain::render::to_pass_on(name, &view.report);
    let address = format!("{}{}", pages.app.settings().public_url, path(&secret));
    let subject = format!("DNS records for {name}");
    let body = format!("{text}\nThis page has the same with the steps, and shows what is seen:\n{address}\n");
    html(&SetupPage {
        shell: Shell::of(&pages, Section::None, subject.clone()),
        name: name.to_string(),
        unicode: unicode(name),
        path: path(&secret),
        live: SetupLive::of(&view, now).render()?,
        tag: live::tag(&SetupLive::state(&view)),
        mailto: format!("mailto:?subject={}&body={}", encoded(&subject), encoded(&body)),
        text,
        files: records::choices(&path(&secret)),
        expires: When::new(link.expires_at, now),
        may_publish: link.may_publish,
        connects: pages.app.settings().domain_connect.is_on()
            && view.domain.status != DomainStatus::Disabled
            && view.report.hosted.is_empty(),
    })
}

pub(crate) async fn fragment(pages: Pages, Path(secret): Path<String>, headers: HeaderMap) -> Answer {
    let Some((_, view)) = opened(&pages, &secret).await? else { return over(&pages) };
    let tag = live::tag(&SetupLive::state(&view));
    if live::is_known(&headers, &tag) {
        return Ok(live::not_modified(&tag));
    }
    live::fragment(&tag, &SetupLive::of(&view, pages.app.now()))
}

/// Checks now, and comes back to the page.
pub(crate) async fn check(pages: Pages, Path(secret): Path<String>) -> Answer {
    match pages.app.check_by_setup_link(&secret).await {
        Err(Error::LinkOver) => over(&pages),
        other => other.map(|()| go(&path(&secret))).map_err(Failure::from),
    }
}

pub(crate) async fn download(pages: Pages, Path((secret, form)): Path<(String, String)>) -> Answer {
    let Some((_, view)) = opened(&pages, &secret).await? else { return over(&pages) };
    records::file(&view, &form)
}

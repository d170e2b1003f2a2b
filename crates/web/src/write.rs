//! Records written at the DNS host: the form for what opens it, what would change, and what came of it. The same for those
//! who are logged in and for those who have a setup link, with another frame.
//!
//! What was typed is in the request that asks the host. Between what would change and the writing the page carries it,
//! sealed ([`app::credential_forms`]), unless it is to be kept.

use crate::{
    Pages, Web,
    change_sets::{Left, left, state_pill},
    domain::domain_id,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, go, html_with, sentence},
    pill::Pill,
};
use app::{
    Error, Secret,
    change_sets::{ChangeSetView, Credential, PLAYGROUND, PlanChanges},
    credential_forms::AppliedShown,
    dns_connections::{Keep, refusal_of},
    domains::DomainView,
    store::{ChangePurpose, ChangeState, RepairMode},
};
use askama::Template;
use axum::{
    extract::{
        Form, Path, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
};
use explain::{
    hosts::{self, HostApi, Proven},
    render::change_html,
};
use model::{ChangeSetId, DomainId, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What stands before the names of a credential's fields in the form.
const FIELD: &str = "credential.";

/// Which host the form is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    host: String,
}

struct HostChoice {
    id: &'static str,
    name: String,
    selected: bool,
}

struct FieldView {
    name: String,
    label: String,
    /// What was typed before, unless it opens something.
    value: String,
    secret: bool,
    optional: bool,
    error: Option<String>,
}

/// What a kept credential may be used for by itself.
struct RepairChoice {
    word: &'static str,
    words: &'static str,
    selected: bool,
}

/// What may be chosen, first the usual.
const REPAIRS: [(RepairMode, &str); 3] = [
    (RepairMode::Off, "tell it"),
    (RepairMode::Offer, "tell it, and show what would bring it back"),
    (RepairMode::Auto, "bring it back at once"),
];

/// A kept credential, to be used again.
struct KeptChoice {
    id: String,
    words: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "write_form.html")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks about")]
struct FormPart {
    name: String,
    /// Where the forms go.
    path: String,
    back: String,
    /// Where the DNS host is asked to add the records itself; nothing where that is not set up.
    connect: Option<String>,
    token: String,
    hosts: Vec<HostChoice>,
    chosen: String,
    detected: bool,
    fields: Vec<FieldView>,
    rights: &'static [String],
    quirks: &'static [String],
    token_url: Option<&'static str>,
    only_fake: bool,
    unproven: &'static [String],
    kept: Vec<KeptChoice>,
    /// Whether what is given may be kept.
    keeps: bool,
    keep: bool,
    repairs: Vec<RepairChoice>,
    repair_error: Option<String>,
    error: Option<String>,
}

struct SetView {
    heading: String,
    pill: Pill,
    diff: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "write_diff.html")]
struct DiffPart {
    name: String,
    path: String,
    back: String,
    token: String,
    sets: Vec<SetView>,
    ids: String,
    sealed: String,
    /// The host that was chosen: asked for again where the page was open for too long.
    host: String,
    /// The button, where there is something left to write.
    button: Option<&'static str>,
    /// Whether something is left that has to be planned anew.
    again: bool,
    words: &'static str,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "write.html")]
struct InsidePage {
    shell: Shell,
    part: String,
}

#[derive(Template)]
#[template(path = "setup_write.html")]
struct SetupPage {
    shell: Shell,
    part: String,
}

/// Who has the page: which domain it is for, and where its forms go.
struct Place<'a> {
    pages: &'a Pages,
    /// Who is logged in; nobody behind a setup link.
    web: Option<&'a Web>,
    view: DomainView,
    path: String,
    back: String,
}

impl Place<'_> {
    fn shell(&self, title: &str) -> Shell {
        let section = if self.web.is_some() { Section::Domains } else { Section::None };
        Shell::of(self.pages, section, format!("{title} {}", self.view.domain.name))
    }

    fn framed(&self, status: StatusCode, title: &str, part: &impl Template) -> Answer {
        let (shell, part) = (self.shell(title), part.render()?);
        match self.web {
            Some(_) => html_with(status, &InsidePage { shell, part }),
            None => html_with(status, &SetupPage { shell, part }),
        }
    }

    /// What a sealed credential is bound to: who has the page, and by which way.
    fn visitor(&self) -> String {
        format!("{} {}", self.pages.visit.form_token, self.path)
    }

    fn domain(&self) -> DomainId {
        self.view.domain.id
    }

    fn has_playground(&self) -> bool {
        self.pages.app.settings().playground
    }

    fn is_written(&self, host: &str) -> bool {
        api_of(host).is_some() || (host == PLAYGROUND && self.has_playground())
    }

    /// The form, with what was typed but what opens something, and what was wrong with it.
    async fn form(&self, host: &str, typed: &Typed, error: Option<Error>) -> Answer {
        let report = &self.view.report;
        let detected = explain::view::guide_host(report);
        let chosen = match host {
            "" if api_of(&detected.id).is_some() => detected.id.clone(),
            other if self.is_written(other) => other.to_owned(),
            _ => String::new(),
        };
        let mut choices: Vec<HostChoice> = hosts::all()
            .iter()
            .filter(|host| api_of(&host.id).is_some())
            .map(|host| HostChoice { id: &host.id, name: host.name.clone(), selected: host.id == chosen })
            .collect();
        if self.has_playground() {
            let name = "The playground of this instance".to_owned();
            choices.push(HostChoice { id: PLAYGROUND, name, selected: chosen == PLAYGROUND });
        }
        let (status, errors, error) = match error {
            None => (StatusCode::OK, FormErrors::default(), None),
            // What the host said is said here: the form can mend it, or be sent again.
            Some(Error::Host(error)) => {
                let words = sentence(&Error::Host(error).to_string());
                (StatusCode::UNPROCESSABLE_ENTITY, FormErrors::default(), Some(words))
            }
            Some(error) => {
                let status = match error {
                    Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                (status, FormErrors::of(error)?, None)
            }
        };
        let api = api_of(&chosen);
        let fields: Vec<FieldView> = api
            .into_iter()
            .flat_map(|api| &api.fields)
            .map(|field| FieldView {
                error: errors.of_field(&format!("{FIELD}{}", field.name)),
                name: format!("{FIELD}{}", field.name),
                label: field.label.clone(),
                value: if field.secret {
                    String::new()
                } else {
                    text(typed, &format!("{FIELD}{}", field.name)).to_owned()
                },
                secret: field.secret,
                optional: field.optional,
            })
            .collect();
        let shown: Vec<&str> =
            fields.iter().map(|field| field.name.as_str()).chain(self.web.map(|_| "repair")).collect();
        let chosen_repair = RepairMode::from_word(text(typed, "repair")).unwrap_or_default();
        let part = FormPart {
            error: error.or_else(|| errors.others(&shown)),
            name: self.view.domain.name.to_string(),
            path: self.path.clone(),
            back: self.back.clone(),
            connect: self
                .pages
                .app
                .settings()
                .domain_connect
                .is_on()
                .then(|| format!("{}/connect", self.back)),
            token: self.shell("").token(),
            detected: !chosen.is_empty() && chosen == detected.id,
            hosts: choices,
            rights: api.map_or(&[], |api| &api.rights),
            quirks: api.map_or(&[], |api| &api.quirks),
            token_url: api.and_then(|api| api.token_url.as_deref()).filter(|url| url.starts_with("https://")),
            unproven: api.map_or(&[], |api| &api.unproven),
            only_fake: api.is_some_and(|api| api.proven != Proven::Server),
            fields,
            chosen,
            kept: self.kept().await?,
            keeps: self.web.is_some(),
            keep: !text(typed, "keep").is_empty(),
            repairs: REPAIRS
                .map(|(mode, words)| RepairChoice {
                    word: mode.as_str(),
                    words,
                    selected: mode == chosen_repair,
                })
                .into(),
            repair_error: errors.of_field("repair"),
        };
        self.framed(status, "Write the records of", &part)
    }

    async fn kept(&self) -> Result<Vec<KeptChoice>, Failure> {
        let Some(web) = self.web else { return Ok(Vec::new()) };
        let kept = web.app.connections_for(&web.viewer, self.domain()).await?;
        let choice = |one: app::store::DnsConnection| KeptChoice {
            words: match one.hint.as_str() {
                "" => format!("{} for {}", name_of(&one.host), one.zone),
                hint => format!("{} for {}, ends in {hint}", name_of(&one.host), one.zone),
            },
            problem: refusal_of(&one).map(|error| sentence(&Error::Host(error).to_string())),
            id: one.id.to_string(),
        };
        Ok(kept.into_iter().map(choice).collect())
    }

    fn diff(&self, applied: &AppliedShown, host: &str, sealed: String) -> Answer {
        let sets = &applied.sets;
        let now = self.pages.app.now();
        let is = |wanted: Left| sets.iter().any(|set| left(set, now) == wanted);
        let is_running = |set: &ChangeSetView| set.stored.state == ChangeState::Applying;
        let goes_on = is(Left::Writable) && !sets.iter().any(is_running);
        let was_tried = sets.iter().any(|set| set.stored.state != ChangeState::Planned);
        let part = DiffPart {
            name: self.view.domain.name.to_string(),
            path: self.path.clone(),
            back: self.back.clone(),
            token: self.shell("").token(),
            sets: sets.iter().map(set_view).collect(),
            ids: sets.iter().map(|set| set.stored.id.to_string()).collect::<Vec<_>>().join(","),
            sealed: if goes_on { sealed } else { String::new() },
            host: if self.is_written(host) { host.to_owned() } else { String::new() },
            button: goes_on.then_some(if was_tried { "Go on with it" } else { "Write this" }),
            again: is(Left::Over),
            words: words(sets, now),
            error: applied.problem.as_ref().map(|error| sentence(&error.to_string())),
        };
        self.framed(StatusCode::OK, "What changes for", &part)
    }
}

/// How far it is, in a sentence.
fn words(sets: &[ChangeSetView], now: Timestamp) -> &'static str {
    let is_left = sets.iter().any(|set| left(set, now) != Left::Nothing);
    let was_tried = sets.iter().any(|set| set.stored.state != ChangeState::Planned);
    let is_blocked = sets.iter().any(|set| !set.plan.blocked.is_empty());
    if sets.iter().any(|set| set.stored.state == ChangeState::Applying) {
        return "It is being written still, and goes on without this page. DNS is looked at when it is done.";
    }
    if sets.iter().any(|set| set.stored.state == ChangeState::Undone) {
        return "It was taken back.";
    }
    match (is_left, was_tried, is_blocked) {
        (true, false, _) => "Nothing is written yet. Records of others stay as they are.",
        (true, true, _) => "Not all of it is written.",
        (false, false, false) => "There is nothing to write.",
        (false, false, true) => "Nothing can be written: what is in the way is told below.",
        (false, true, false) => {
            "All of it is written. DNS is looked at now, and each record is ticked when it is seen."
        }
        (false, true, true) => {
            "What can be written is. What is in the way of the rest is told below; it is for you to decide."
        }
    }
}

fn set_view(set: &ChangeSetView) -> SetView {
    SetView {
        heading: format!("Zone {} at {}", set.stored.zone, name_of(&set.stored.host)),
        pill: state_pill(set.stored.state),
        diff: change_html(&set.plan),
        problem: set.stop.clone().map(|stop| sentence(&Error::from(stop).to_string())),
    }
}

fn api_of(host: &str) -> Option<&'static HostApi> {
    let known = hosts::all().iter().find(|known| known.id == host)?;
    known.api.as_ref().filter(|api| api.proven != Proven::None)
}

fn name_of(host: &str) -> String {
    let known = hosts::all().iter().find(|known| known.id == host);
    known.map_or_else(|| host.to_owned(), |known| known.name.clone())
}

/// What was typed: fields that open something go from here to the host alone.
type Typed = BTreeMap<String, Secret>;

fn text<'a>(typed: &'a Typed, name: &str) -> &'a str {
    typed.get(name).map_or("", Secret::expose)
}

fn credential(typed: &Typed) -> Result<Credential, Error> {
    let kept = text(typed, "connection_id");
    if !kept.is_empty() {
        let id = kept.parse().map_err(|_| Error::field("connection_id", "is none that is kept"))?;
        return Ok(Credential::Kept(id));
    }
    let given = typed.iter().filter(|(_, value)| !value.is_empty());
    let fields =
        given.filter_map(|(name, value)| Some((name.strip_prefix(FIELD)?.to_owned(), value.clone())));
    Ok(Credential::Given { host: text(typed, "host").to_owned(), fields: fields.collect() })
}

fn keep(typed: &Typed) -> Result<Option<Keep>, Error> {
    let repair = RepairMode::from_word(text(typed, "repair")).unwrap_or_default();
    match (text(typed, "keep").is_empty(), repair) {
        (false, repair) => Ok(Some(Keep { label: String::new(), repair })),
        (true, RepairMode::Off) => Ok(None),
        (true, _) => {
            Err(Error::field("repair", "needs a credential that is kept; tick that, or choose to be told"))
        }
    }
}

fn ids(typed: &Typed) -> Result<Vec<ChangeSetId>, Failure> {
    let texts = text(typed, "sets").split(',').take(20);
    texts.map(|id| id.parse().map_err(|_| Failure::no_such("change set", id))).collect()
}

async fn inside<'a>(web: &'a Web, id: &str) -> Result<Place<'a>, Failure> {
    let id = domain_id(id)?;
    let view = web.app.domain(&web.viewer, id).await?;
    let (path, back) = (format!("/domains/{id}/write"), format!("/domains/{id}"));
    Ok(Place { pages: &web.pages, web: Some(web), view, path, back })
}

/// The form, for the host that was recognised or chosen.
pub(crate) async fn show(
    web: Web,
    Path(id): Path<String>,
    chosen: Result<Query<Chosen>, QueryRejection>,
) -> Answer {
    inside(&web, &id).await?.form(&chosen?.0.host, &Typed::new(), None).await
}

/// Asks the host, and shows what would change.
pub(crate) async fn plan(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Answer {
    let Form(typed) = form?;
    let place = inside(&web, &id).await?;
    let planned = async {
        let credential = credential(&typed)?;
        let keep = keep(&typed)?;
        let request = PlanChanges { credential, purpose: ChangePurpose::Setup, apply: false, keep };
        let sets = web.app.plan_changes(&web.viewer, place.domain(), &request).await?;
        // What is kept needs not be carried.
        let sealed = match request.keep {
            Some(_) => String::new(),
            None => web.app.seal_credential(place.domain(), &place.visitor(), &request.credential)?,
        };
        Ok((sets, sealed))
    };
    shown(&place, &typed, planned.await).await
}

/// What would change, or the form again.
async fn shown(
    place: &Place<'_>,
    typed: &Typed,
    planned: Result<(Vec<ChangeSetView>, String), Error>,
) -> Answer {
    let host = text(typed, "host");
    match planned {
        Ok((sets, sealed)) => place.diff(&AppliedShown { sets, problem: None }, host, sealed),
        Err(error) => place.form(host, typed, Some(error)).await,
    }
}

/// What came of it, or the form again.
async fn written(place: &Place<'_>, typed: &Typed, applied: Result<AppliedShown, Error>) -> Answer {
    let host = text(typed, "host");
    match applied {
        Ok(applied) => place.diff(&applied, host, text(typed, "sealed").to_owned()),
        Err(error) => place.form(host, typed, Some(error)).await,
    }
}

/// Writes what was shown.
pub(crate) async fn apply(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Answer {
    let Form(typed) = form?;
    let place = inside(&web, &id).await?;
    let ids = ids(&typed)?;
    let applied = async {
        let sealed = text(&typed, "sealed");
        let credential = web.app.open_credential(place.domain(), &place.visitor(), sealed)?;
        web.app.apply_shown(&web.viewer, place.domain(), &ids, &credential).await
    };
    written(&place, &typed, applied.await).await
}

/// The place of a setup link; nothing where it is over or for looking only.
async fn by_link<'a>(pages: &'a Pages, secret: &str) -> Result<Option<Place<'a>>, Failure> {
    let (link, view) = match pages.app.open_setup_link(secret).await {
        Err(Error::LinkOver) => return Ok(None),
        other => other?,
    };
    let back = format!("/setup/{secret}");
    Ok(link.may_publish.then(|| Place { pages, web: None, view, path: format!("{back}/write"), back }))
}

/// The page of the link itself says what there is.
fn elsewhere(secret: &str) -> Response {
    go(&format!("/setup/{secret}"))
}

pub(crate) async fn show_by_link(
    pages: Pages,
    Path(secret): Path<String>,
    chosen: Result<Query<Chosen>, QueryRejection>,
) -> Answer {
    match by_link(&pages, &secret).await? {
        Some(place) => place.form(&chosen?.0.host, &Typed::new(), None).await,
        None => Ok(elsewhere(&secret)),
    }
}

pub(crate) async fn plan_by_link(
    pages: Pages,
    Path(secret): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Answer {
    let Form(typed) = form?;
    let Some(place) = by_link(&pages, &secret).await? else { return Ok(elsewhere(&secret)) };
    let planned = async {
        let credential = credential(&typed)?;
        let sealed = pages.app.seal_credential(place.domain(), &place.visitor(), &credential)?;
        // What its owner keeps is not for whoever has a link.
        let Credential::Given { .. } = credential else {
            return Err(Error::field("connection_id", "give a credential"));
        };
        Ok((pages.app.plan_by_setup_link(&secret, credential).await?, sealed))
    };
    shown(&place, &typed, planned.await).await
}

pub(crate) async fn apply_by_link(
    pages: Pages,
    Path(secret): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Answer {
    let Form(typed) = form?;
    let Some(place) = by_link(&pages, &secret).await? else { return Ok(elsewhere(&secret)) };
    let ids = ids(&typed)?;
    let applied = async {
        let sealed = text(&typed, "sealed");
        let credential = pages.app.open_credential(place.domain(), &place.visitor(), sealed)?;
        pages.app.apply_by_setup_link(&secret, &ids, &credential).await
    };
    written(&place, &typed, applied.await).await
}

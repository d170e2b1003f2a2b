//! Who belongs to the organisation, who is invited, and what they may do.

use crate::{
    Web,
    confirm::Confirm,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, go},
    when::When,
};
use app::{
    store::{Member, Role},
    users::is_at_least,
};
use askama::Template;
use axum::extract::{Form, Path, rejection::FormRejection};
use model::UserId;
use serde::Deserialize;

/// Members on the page.
const PAGE: u32 = 200;

struct Row {
    id: String,
    name: String,
    email: String,
    role: Role,
    since: When,
    has_second_factor: bool,
    is_self: bool,
    /// Whether who looks may change it.
    can_change: bool,
}

struct InvitationRow {
    email: String,
    role: &'static str,
    expires: When,
}

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage {
    shell: Shell,
    organisation: String,
    rows: Vec<Row>,
    /// Whether there are others.
    has_more: bool,
    invitations: Vec<InvitationRow>,
    /// The roles that who looks may give.
    roles: Vec<Role>,
    form: InviteForm,
    errors: FormErrors,
}

/// An invitation, or one to take back.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct InviteForm {
    email: String,
    role: String,
}

/// Another role.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoleForm {
    role: String,
}

/// Another name of the organisation.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NameForm {
    name: String,
}

fn role_of(text: &str) -> Result<Role, Failure> {
    Role::from_word(text).ok_or_else(|| Failure::no_such("role", text))
}

fn user_id(text: &str) -> Result<UserId, Failure> {
    text.parse().map_err(|_| Failure::no_such("member", text))
}

async fn page(web: &Web, form: InviteForm, errors: FormErrors) -> Answer {
    let now = web.app.now();
    let user = web.pages.visit.user.as_ref();
    let own = user.map_or(Role::Owner, |user| user.role);
    let row = |member: Member| Row {
        id: member.user.id.to_string(),
        is_self: user.is_some_and(|user| user.user.id == member.user.id),
        name: member.user.name,
        email: member.user.email.to_string(),
        role: member.role,
        since: When::new(member.since, now),
        has_second_factor: member.user.totp_secret.is_some(),
        can_change: is_at_least(own, member.role),
    };
    let invitations = web.app.invitations(&web.viewer).await?.into_iter().filter_map(|token| {
        Some(InvitationRow {
            email: token.email?.to_string(),
            role: token.role?.as_str(),
            expires: When::new(token.expires_at, now),
        })
    });
    let mut members = web.app.members(&web.viewer, None, PAGE + 1).await?;
    let has_more = members.len() > PAGE as usize;
    members.truncate(PAGE as usize);
    let page = MembersPage {
        shell: Shell::new(web, Section::Members, "Members"),
        organisation: web.app.organisation(&web.viewer).await?.name,
        rows: members.into_iter().map(row).collect(),
        has_more,
        invitations: invitations.collect(),
        roles: Role::ALL.iter().copied().filter(|role| is_at_least(own, *role)).collect(),
        form,
        errors,
    };
    page.errors.answer(&page)
}

pub(crate) async fn list(web: Web) -> Answer {
    let form = InviteForm { role: Role::Member.as_str().to_owned(), ..InviteForm::default() };
    page(&web, form, FormErrors::default()).await
}

pub(crate) async fn invite(web: Web, form: Result<Form<InviteForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match web.app.invite(&web.viewer, &form.email, role_of(&form.role)?).await {
        Ok(()) => Ok(go("/members")),
        Err(error) => page(&web, form, FormErrors::of(error)?).await,
    }
}

pub(crate) async fn withdraw(web: Web, form: Result<Form<InviteForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    web.app.withdraw_invitation(&web.viewer, &form.email).await?;
    Ok(go("/members"))
}

pub(crate) async fn set_role(
    web: Web,
    Path(id): Path<String>,
    form: Result<Form<RoleForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    match web.app.set_role(&web.viewer, user_id(&id)?, role_of(&form.role)?).await {
        Ok(()) => Ok(go("/members")),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            page(&web, InviteForm::default(), errors).await
        }
    }
}

pub(crate) async fn confirm_remove(web: Web, Path(id): Path<String>) -> Answer {
    let member = web.app.member(&web.viewer, user_id(&id)?).await?;
    let organisation = web.app.organisation(&web.viewer).await?.name;
    Confirm::new(
        Shell::new(&web, Section::Members, format!("Remove {}", member.user.name)),
        format!("Remove {} from {organisation}?", member.user.name),
        vec![
            format!("{} sees and does nothing here any more, at once.", member.user.email),
            "The API keys of the organisation stay; revoke those that only this person knows.".to_owned(),
        ],
        (format!("/members/{id}/remove"), "Remove"),
        "/members",
    )
    .answer()
}

pub(crate) async fn remove(web: Web, Path(id): Path<String>) -> Answer {
    match web.app.remove_member(&web.viewer, user_id(&id)?).await {
        Ok(()) => Ok(go("/members")),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            page(&web, InviteForm::default(), errors).await
        }
    }
}

pub(crate) async fn rename(web: Web, form: Result<Form<NameForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match web.app.rename_organisation(&web.viewer, &form.name).await {
        Ok(()) => Ok(go("/members")),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            page(&web, InviteForm::default(), errors).await
        }
    }
}

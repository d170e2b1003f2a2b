//! The page of one's own account: password, second factor, organisations.

use crate::{
    Web,
    forms::FormErrors,
    page::{Answer, Failure, Section, Shell, go, html},
};
use app::{
    Error,
    users::{account::NewFactor, sessions::LoggedIn},
};
use askama::Template;
use axum::extract::{Form, rejection::FormRejection};
use serde::Deserialize;

struct OrganisationRow {
    id: String,
    name: String,
    role: &'static str,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    name: String,
    email: String,
    has_password: bool,
    has_second_factor: bool,
    /// Where else people log in, and whether this user does.
    provider: Option<(String, bool)>,
    organisations: Vec<OrganisationRow>,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct FactorPage {
    shell: Shell,
    factor: NewFactor,
    email: String,
    has_password: bool,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct CodesPage {
    shell: Shell,
    codes: Vec<String>,
}

/// Another password.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct PasswordForm {
    current: String,
    password: String,
}

/// The first code of a second factor, with its sealed secret; or a code to take it away.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct FactorForm {
    sealed: String,
    shown: String,
    current: String,
    code: String,
}

/// Another organisation.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct OrganisationForm {
    organisation: String,
}

/// Who is logged in, and the secret of the session. The guard lets nobody else come here.
pub(crate) fn logged_in(web: &Web) -> Result<(&LoggedIn, &str), Failure> {
    let visit = &web.pages.visit;
    let found = visit.user.as_ref().zip(visit.secret.as_deref());
    found.ok_or_else(|| Error::Unauthenticated("nobody is logged in").into())
}

pub(crate) async fn page(web: &Web, errors: FormErrors) -> Answer {
    let (user, _) = logged_in(web)?;
    let organisations = web.app.organisations_of(user).await?;
    let row = |membership: app::store::Membership| OrganisationRow {
        id: membership.org_id.to_string(),
        is_current: membership.org_id == user.org_id,
        name: membership.name,
        role: membership.role.as_str(),
    };
    let page = AccountPage {
        shell: Shell::new(web, Section::Account, "Your account"),
        name: user.user.name.clone(),
        email: user.user.email.to_string(),
        has_password: user.user.password_hash.is_some(),
        has_second_factor: user.user.totp_secret.is_some(),
        provider: web.app.provider_of(user).await?,
        organisations: organisations.into_iter().map(row).collect(),
        errors,
    };
    page.errors.answer(&page)
}

pub(crate) async fn show(web: Web) -> Answer {
    page(&web, FormErrors::default()).await
}

pub(crate) async fn change_password(web: Web, form: Result<Form<PasswordForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let (user, _) = logged_in(&web)?;
    let changed = web.app.change_password(user, &form.current, &form.password, web.pages.visit.origin).await;
    match (changed, &web.pages.login) {
        (Ok(session), Some(login)) => Ok(login.begin(&session, go("/account"))),
        (Ok(_), None) => Ok(go("/account")),
        (Err(error), _) => page(&web, FormErrors::of(error)?).await,
    }
}

fn factor_page(web: &Web, user: &LoggedIn, factor: NewFactor, errors: FormErrors) -> FactorPage {
    FactorPage {
        shell: Shell::new(web, Section::Account, "Set up a second factor"),
        factor,
        email: user.user.email.to_string(),
        has_password: user.user.password_hash.is_some(),
        errors,
    }
}

pub(crate) async fn show_second_factor(web: Web) -> Answer {
    let (user, _) = logged_in(&web)?;
    if user.user.totp_secret.is_some() {
        return Ok(go("/account"));
    }
    let factor = web.app.new_second_factor(user)?;
    html(&factor_page(&web, user, factor, FormErrors::default()))
}

pub(crate) async fn set_second_factor(web: Web, form: Result<Form<FactorForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let (user, session) = logged_in(&web)?;
    let origin = web.pages.visit.origin;
    let FactorForm { sealed, shown, current, code } = &form;
    match web.app.set_second_factor(user, session, sealed, current, code, origin).await {
        Ok(codes) => {
            let shell = Shell::new(&web, Section::Account, "Codes to keep");
            html(&CodesPage { shell, codes })
        }
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let factor = web.app.same_second_factor(user, sealed, shown);
            let page = factor_page(&web, user, factor, errors);
            page.errors.answer(&page)
        }
    }
}

pub(crate) async fn remove_second_factor(web: Web, form: Result<Form<FactorForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let (user, session) = logged_in(&web)?;
    match web.app.remove_second_factor(user, session, &form.code, web.pages.visit.origin).await {
        Ok(()) => Ok(go("/account")),
        Err(error) => page(&web, FormErrors::of(error)?).await,
    }
}

pub(crate) async fn switch_organisation(
    web: Web,
    form: Result<Form<OrganisationForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    let (user, session) = logged_in(&web)?;
    let id = form.organisation.parse().map_err(|_| Failure::no_such("organisation", &form.organisation))?;
    let origin = web.pages.visit.origin;
    let switched = web.app.switch_organisation(user, session, id, origin).await?;
    Ok(match &web.pages.login {
        Some(login) => login.begin(&switched, go("/")),
        None => go("/"),
    })
}

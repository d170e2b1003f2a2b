//! The pages by which people get in: log in, a link by mail, the second factor, the first owner, an invitation.
//!
//! Links are opened by what reads mail before people do, so opening one changes nothing: the page has a button.

use crate::{
    Pages, Web,
    forms::FormErrors,
    guard::is_own_path,
    page::{Answer, Failure, Notice, Section, Shell, go, html},
};
use app::{
    Error,
    users::{Login, login::Newcomer, sessions::Begun},
};
use askama::Template;
use axum::{
    extract::{
        Form, Query,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NextQuery {
    next: String,
}

/// The form of the login, and of the link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoginForm {
    email: String,
    password: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    /// Where else people log in.
    provider: Option<String>,
    form: LoginForm,
    errors: FormErrors,
}

impl LoginPage {
    fn new(pages: &Pages, form: LoginForm, errors: FormErrors) -> Self {
        let provider = pages.app.provider_name().map(str::to_owned);
        Self { shell: Shell::of(pages, Section::None, "Log in"), provider, form, errors }
    }
}

#[derive(Template)]
#[template(path = "link_sent.html")]
struct SentPage {
    shell: Shell,
    email: String,
}

/// The secret of a link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenQuery {
    token: String,
}

#[derive(Template)]
#[template(path = "use_link.html")]
struct LinkPage {
    shell: Shell,
    token: String,
}

/// A code.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct CodeForm {
    code: String,
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    shell: Shell,
    errors: FormErrors,
}

/// Who comes for the first time.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewcomerForm {
    token: String,
    name: String,
    email: String,
    password: String,
}

#[derive(Template)]
#[template(path = "newcomer.html")]
struct NewcomerPage {
    shell: Shell,
    heading: String,
    lead: String,
    action: &'static str,
    button: &'static str,
    /// Whether a name is asked for.
    has_name: bool,
    /// Whether the address is chosen here; else it is that of the invitation.
    chooses_address: bool,
    /// Whether there is an account already, and nothing to fill in.
    is_known: bool,
    form: NewcomerForm,
    errors: FormErrors,
}

/// The browser gets its session and goes on: to what was asked for, when that needed a login.
pub(crate) fn begun(pages: &Pages, begun: &Begun) -> Response {
    let Some(login) = &pages.login else { return go("/") };
    if begun.waits_for_code {
        return login.begin(begun, go("/login/code"));
    }
    let next = pages.visit.next.as_deref().filter(|next| is_own_path(next));
    let response = login.begin(begun, go(next.unwrap_or("/")));
    if pages.visit.next.is_some() { login.remember("", response) } else { response }
}

pub(crate) async fn show(pages: Pages, query: Result<Query<NextQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    match &pages.visit.user {
        Some(user) if user.waits_for_code => return Ok(go("/login/code")),
        Some(_) => return Ok(go("/")),
        None => {}
    }
    let page = html(&LoginPage::new(&pages, LoginForm::default(), FormErrors::default()))?;
    let next = if is_own_path(&query.next) { &*query.next } else { "" };
    let is_known = next == pages.visit.next.as_deref().unwrap_or_default();
    Ok(match &pages.login {
        Some(login) if !is_known => login.remember(next, page),
        _ => page,
    })
}

pub(crate) async fn log_in(pages: Pages, form: Result<Form<LoginForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let replaced = pages.visit.secret.as_deref();
    let login = Login { email: &form.email, password: &form.password, origin: pages.visit.origin, replaced };
    match pages.app.log_in(login).await {
        Ok(session) => Ok(begun(&pages, &session)),
        Err(error) => again(&pages, form, error),
    }
}

fn again(pages: &Pages, form: LoginForm, error: Error) -> Answer {
    let errors = FormErrors::of(error)?;
    let form = LoginForm { password: String::new(), ..form };
    let page = LoginPage::new(pages, form, errors);
    page.errors.answer(&page)
}

/// Sends a link; says the same whether or not there is such a user.
pub(crate) async fn send_link(pages: Pages, form: Result<Form<LoginForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match pages.app.send_login_link(&form.email, pages.visit.origin) {
        Ok(()) => html(&SentPage {
            shell: Shell::of(&pages, Section::None, "Look into your mail"),
            email: form.email,
        }),
        Err(error) => again(&pages, form, error),
    }
}

pub(crate) async fn show_link(pages: Pages, query: Result<Query<TokenQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    html(&LinkPage { shell: Shell::of(&pages, Section::None, "Log in"), token: query.token })
}

pub(crate) async fn use_link(pages: Pages, form: Result<Form<TokenQuery>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let session =
        pages.app.log_in_by_link(&form.token, pages.visit.secret.as_deref(), pages.visit.origin).await?;
    Ok(begun(&pages, &session))
}

pub(crate) async fn show_code(web: Web) -> Answer {
    if web.pages.visit.user.as_ref().is_some_and(|user| !user.waits_for_code) {
        return Ok(go("/"));
    }
    let shell = Shell::new(&web, Section::None, "Your second factor");
    html(&CodePage { shell, errors: FormErrors::default() })
}

pub(crate) async fn enter_code(web: Web, form: Result<Form<CodeForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    let visit = &web.pages.visit;
    let (Some(user), Some(secret)) = (&visit.user, &visit.secret) else { return Ok(go("/login")) };
    match web.app.enter_code(user, secret, &form.code, visit.origin).await {
        Ok(session) => Ok(begun(&web.pages, &session)),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let shell = Shell::new(&web, Section::None, "Your second factor");
            let page = CodePage { shell, errors };
            page.errors.answer(&page)
        }
    }
}

pub(crate) async fn log_out(web: Web) -> Answer {
    if let Some(secret) = &web.pages.visit.secret {
        web.app.log_out(secret).await?;
    }
    let response = go("/login");
    Ok(match &web.pages.login {
        Some(login) => login.end(response),
        None => response,
    })
}

fn welcome_page(pages: &Pages, form: NewcomerForm, errors: FormErrors) -> NewcomerPage {
    NewcomerPage {
        shell: Shell::of(pages, Section::None, "Welcome"),
        heading: "Welcome to Countersign".to_owned(),
        lead: "You are the first one here, and become the owner. Others come by your invitation.".to_owned(),
        action: "/welcome",
        button: "Begin",
        has_name: true,
        chooses_address: true,
        is_known: false,
        form,
        errors,
    }
}

pub(crate) async fn show_welcome(pages: Pages, query: Result<Query<TokenQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    if !pages.app.is_first_owner_link(&query.token).await? {
        let notice = Notice {
            status: StatusCode::GONE,
            title: "This link works no more",
            message: "It was used, or is older than 7 days.".to_owned(),
            next: "Log in if you are in already. Else run countersign owner-link at the platform's machine: it prints a \
                   new one.",
            retry_after: None,
        };
        return Ok(notice.answer());
    }
    let form = NewcomerForm { token: query.token, ..NewcomerForm::default() };
    html(&welcome_page(&pages, form, FormErrors::default()))
}

pub(crate) async fn welcome(pages: Pages, form: Result<Form<NewcomerForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match pages.app.make_first_owner(&form.token, &newcomer(&form), pages.visit.origin).await {
        Ok(session) => Ok(begun(&pages, &session)),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let form = NewcomerForm { password: String::new(), ..form };
            let page = welcome_page(&pages, form, errors);
            page.errors.answer(&page)
        }
    }
}

fn newcomer(form: &NewcomerForm) -> Newcomer {
    Newcomer { name: form.name.clone(), email: form.email.clone(), password: form.password.clone() }
}

async fn invitation_page(
    pages: &Pages,
    form: NewcomerForm,
    errors: FormErrors,
) -> Result<NewcomerPage, Failure> {
    let invitation = pages.app.invitation(&form.token).await?;
    let lead = if invitation.is_known {
        format!("{} has an account here already; log in with it afterwards.", invitation.email)
    } else {
        "Choose a name and a password.".to_owned()
    };
    Ok(NewcomerPage {
        shell: Shell::of(pages, Section::None, "Invitation"),
        heading: format!("Join {} as {}", invitation.organisation, role_in_words(invitation.role)),
        lead,
        action: "/invitation",
        button: "Join",
        has_name: true,
        chooses_address: false,
        is_known: invitation.is_known,
        form: NewcomerForm { email: invitation.email.to_string(), ..form },
        errors,
    })
}

async fn reset_page(pages: &Pages, form: NewcomerForm, errors: FormErrors) -> Result<NewcomerPage, Failure> {
    let (user, is_all) = pages.app.reset_of(&form.token).await?;
    let also = if is_all { " The second factor is taken away with it." } else { "" };
    Ok(NewcomerPage {
        shell: Shell::of(pages, Section::None, "Another password"),
        heading: "Choose another password".to_owned(),
        lead: format!("Wherever you are logged in, you are logged out.{also}"),
        action: "/reset",
        button: "Set it",
        has_name: false,
        chooses_address: false,
        is_known: false,
        form: NewcomerForm { email: user.email.to_string(), ..form },
        errors,
    })
}

pub(crate) async fn show_reset(pages: Pages, query: Result<Query<TokenQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let form = NewcomerForm { token: query.token, ..NewcomerForm::default() };
    html(&reset_page(&pages, form, FormErrors::default()).await?)
}

pub(crate) async fn reset(pages: Pages, form: Result<Form<NewcomerForm>, FormRejection>) -> Answer {
    let Form(form) = form?;
    match pages.app.reset_password(&form.token, &form.password, pages.visit.origin).await {
        Ok(()) => Ok(go("/login")),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let form = NewcomerForm { password: String::new(), ..form };
            let page = reset_page(&pages, form, errors).await?;
            page.errors.answer(&page)
        }
    }
}

/// A role with its article.
fn role_in_words(role: app::store::Role) -> &'static str {
    use app::store::Role;
    match role {
        Role::Owner => "an owner",
        Role::Admin => "an admin",
        Role::Member => "a member",
        Role::Viewer => "a viewer",
    }
}

pub(crate) async fn show_invitation(
    pages: Pages,
    query: Result<Query<TokenQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let form = NewcomerForm { token: query.token, ..NewcomerForm::default() };
    html(&invitation_page(&pages, form, FormErrors::default()).await?)
}

pub(crate) async fn accept_invitation(
    pages: Pages,
    form: Result<Form<NewcomerForm>, FormRejection>,
) -> Answer {
    let Form(form) = form?;
    match pages.app.accept_invitation(&form.token, &newcomer(&form), pages.visit.origin).await {
        Ok(Some(session)) => Ok(begun(&pages, &session)),
        Ok(None) => Ok(go("/login")),
        Err(error) => {
            let errors = FormErrors::of(error)?;
            let form = NewcomerForm { password: String::new(), ..form };
            let page = invitation_page(&pages, form, errors).await?;
            page.errors.answer(&page)
        }
    }
}

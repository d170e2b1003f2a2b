//! `/organisation`, `/members`, `/invitations`: whose things these are, and who may have them.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    store::{Member, Organisation, Role, Token},
};
use axum::{extract::State, http::StatusCode};
use model::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(get_organisation, rename_organisation))
        .routes(routes!(list_members))
        .routes(routes!(get_member, change_member, remove_member))
        .routes(routes!(list_invitations, invite, withdraw_invitation))
}

/// The organisation of the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organisation)]
struct OrganisationObject {
    /// Always `organisation`.
    #[schema(example = "organisation")]
    object: &'static str,
    /// Its id.
    #[schema(example = "org_01JD0000000000000000000000")]
    id: String,
    /// Its name, for people.
    #[schema(example = "Acme")]
    name: String,
    /// When it was made.
    created_at: Timestamp,
}

fn organisation(organisation: Organisation) -> OrganisationObject {
    OrganisationObject {
        object: "organisation",
        id: organisation.id.to_string(),
        name: organisation.name,
        created_at: organisation.created_at,
    }
}

/// Somebody who belongs to the organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberObject {
    /// Always `member`.
    #[schema(example = "member")]
    object: &'static str,
    /// The user's id.
    #[schema(example = "usr_01JD0000000000000000000000")]
    id: String,
    /// The name.
    #[schema(example = "Ann Example")]
    name: String,
    /// The address.
    #[schema(example = "ann@example.com")]
    email: String,
    /// `owner`, `admin`, `member` or `viewer`; open.
    #[schema(example = "member")]
    role: &'static str,
    /// Whether a login asks for a second factor.
    second_factor: bool,
    /// Since when they belong to the organisation.
    created_at: Timestamp,
}

fn member(member: Member) -> MemberObject {
    MemberObject {
        object: "member",
        id: member.user.id.to_string(),
        name: member.user.name,
        email: member.user.email.to_string(),
        role: member.role.as_str(),
        second_factor: member.user.totp_secret.is_some(),
        created_at: member.since,
    }
}

/// Somebody who was invited and has not come yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
struct InvitationObject {
    /// Always `invitation`.
    #[schema(example = "invitation")]
    object: &'static str,
    /// To whom the link went.
    #[schema(example = "ann@example.com")]
    email: String,
    /// What they become; open.
    #[schema(example = "member")]
    role: &'static str,
    /// When it was sent.
    created_at: Timestamp,
    /// When the link ends.
    expires_at: Timestamp,
}

fn invitation(token: Token) -> Option<InvitationObject> {
    Some(InvitationObject {
        object: "invitation",
        email: token.email?.to_string(),
        role: token.role?.as_str(),
        created_at: token.created_at,
        expires_at: token.expires_at,
    })
}

fn role_of(word: &str) -> Result<Role, Problem> {
    Role::from_word(word).ok_or_else(|| Problem::field("role", "give owner, admin, member or viewer"))
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenameRequest {
    /// 1 to 100 characters.
    #[schema(example = "Acme", min_length = 1, max_length = 100)]
    name: String,
}

/// The organisation of the key.
#[utoipa::path(
    get, path = "/organisation", tag = "members", security(("api_key" = ["admin"])),
    responses((status = 200, description = "The organisation.", body = OrganisationObject))
)]
async fn get_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    Ok(axum::Json(organisation(app.organisation(&caller).await?)))
}

/// Gives the organisation another name.
#[utoipa::path(
    patch, path = "/organisation", tag = "members", security(("api_key" = ["admin"])),
    request_body = RenameRequest,
    responses((status = 200, description = "The organisation.", body = OrganisationObject))
)]
async fn rename_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<RenameRequest>,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    app.rename_organisation(&caller, &request.name).await?;
    Ok(axum::Json(organisation(app.organisation(&caller).await?)))
}

/// Which members are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListMembers {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the members of the organisation.
#[utoipa::path(
    get, path = "/members", tag = "members", security(("api_key" = ["admin"])), params(ListMembers),
    responses((status = 200, description = "A page of members.", body = List<MemberObject>))
)]
async fn list_members(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListMembers>,
) -> Result<axum::Json<List<MemberObject>>, Problem> {
    let page = Page::<UserId>::parse(query.limit, query.cursor.as_deref())?;
    let members = app.members(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(members, |member| member.user.id.to_string(), member)))
}

/// A member.
#[utoipa::path(
    get, path = "/members/{id}", tag = "members", security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The member.", body = MemberObject))
)]
async fn get_member(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<UserId>,
) -> Result<axum::Json<MemberObject>, Problem> {
    Ok(axum::Json(member(app.member(&caller, id).await?)))
}

/// Another role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeMemberRequest {
    /// `admin`, `member` or `viewer`. A key makes and changes no `owner`: owners do that in the dashboard.
    #[schema(example = "viewer")]
    role: String,
}

/// Gives a member another role.
///
/// It counts with the next thing they do.
#[utoipa::path(
    patch, path = "/members/{id}", tag = "members", security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The user's id")), request_body = ChangeMemberRequest,
    responses((status = 200, description = "The member.", body = MemberObject))
)]
async fn change_member(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<UserId>,
    Json(request): Json<ChangeMemberRequest>,
) -> Result<axum::Json<MemberObject>, Problem> {
    app.set_role(&caller, id, role_of(&request.role)?).await?;
    Ok(axum::Json(member(app.member(&caller, id).await?)))
}

/// Takes a member out of the organisation.
///
/// They are logged out of it at once. API keys stay: revoke those that only they know.
#[utoipa::path(
    delete, path = "/members/{id}", tag = "members", security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 204, description = "They are out."))
)]
async fn remove_member(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<UserId>,
) -> Result<StatusCode, Problem> {
    app.remove_member(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who is invited and has not come yet, newest first: a hundred at most.
#[utoipa::path(
    get, path = "/invitations", tag = "members", security(("api_key" = ["admin"])),
    responses((status = 200, description = "The invitations.", body = List<InvitationObject>))
)]
async fn list_invitations(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<List<InvitationObject>>, Problem> {
    let found = app.invitations(&caller).await?;
    Ok(axum::Json(List::whole(found.into_iter().filter_map(invitation).collect())))
}

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteRequest {
    /// Where the link goes.
    #[schema(example = "ann@example.com")]
    email: String,
    /// `admin`, `member` or `viewer`.
    #[schema(example = "member")]
    role: String,
}

/// Invites somebody: a link goes to the address, which works once, for 7 days.
#[utoipa::path(
    post, path = "/invitations", tag = "members", security(("api_key" = ["admin"])), request_body = InviteRequest,
    responses((status = 202, description = "The link is on its way."))
)]
async fn invite(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<InviteRequest>,
) -> Result<StatusCode, Problem> {
    app.invite(&caller, &request.email, role_of(&request.role)?).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whose invitations to take back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WithdrawQuery {
    /// The address.
    email: String,
}

/// Takes the invitations of an address back; their links work no more.
#[utoipa::path(
    delete, path = "/invitations", tag = "members", security(("api_key" = ["admin"])), params(WithdrawQuery),
    responses(
        (status = 204, description = "Taken back."),
        (status = 404, description = "Nobody with this address is invited. Code: `NOT_FOUND`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn withdraw_invitation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<WithdrawQuery>,
) -> Result<StatusCode, Problem> {
    app.withdraw_invitation(&caller, &query.email).await?;
    Ok(StatusCode::NO_CONTENT)
}

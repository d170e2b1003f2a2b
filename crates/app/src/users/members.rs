//! The members of an organisation: who is there, who is invited, and who may change that.
//!
//! Owners and admins invite people and change what they are. Nobody makes anybody more than they are themselves, so an
//! admin neither makes nor changes an owner; and there is an owner always.

use super::{
    address, hash, is_at_least,
    login::Newcomer,
    new_secret,
    sessions::{Beginning, Begun},
};
use crate::{
    App,
    access::{Actor, Caller, Origin, Scope},
    error::{Error, Result},
    notices::Notice,
};
use jiff::SignedDuration;
use model::{EmailAddress, OrgId, UserId};
use serde_json::json;
use store::{ChangedBy, Member, Organisation, Role, StoreError, Token, TokenKind};

/// How long an invitation works.
const INVITATION: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An invitation, as whoever has its link sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// To whom it went.
    pub email: EmailAddress,
    /// The name of the organisation.
    pub organisation: String,
    /// As what.
    pub role: Role,
    /// Whether this address has a user already.
    pub is_known: bool,
}

impl App {
    /// What the caller is in the organisation, as far as members are concerned. A key with `admin` is an admin.
    async fn role_of(&self, caller: &Caller) -> Result<Role> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        match caller.actor {
            _ if caller.is_root => Ok(Role::Owner),
            Actor::System => Ok(Role::Owner),
            Actor::Visitor => Err(Error::ScopeMissing(Scope::Admin.as_str())),
            Actor::Key(_) => Ok(Role::Admin),
            Actor::User(id) => match self.store.get_member(caller.org_id, id).await {
                Ok(member) if is_at_least(member.role, Role::Admin) => Ok(member.role),
                Ok(_) | Err(StoreError::NotFound(_)) => Err(Error::ScopeMissing(Scope::Admin.as_str())),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The organisation of the caller.
    pub async fn organisation(&self, caller: &Caller) -> Result<Organisation> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        Ok(self.store.get_organisation(caller.org_id).await?)
    }

    /// Its members.
    pub async fn members(&self, caller: &Caller, after: Option<UserId>, limit: u32) -> Result<Vec<Member>> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        Ok(self.store.list_members(caller.org_id, after, limit).await?)
    }

    /// One member.
    pub async fn member(&self, caller: &Caller, id: UserId) -> Result<Member> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        self.store.get_member(caller.org_id, id).await.map_err(|error| of_member(error, id))
    }

    /// Who is invited and has not come yet.
    pub async fn invitations(&self, caller: &Caller) -> Result<Vec<Token>> {
        self.role_of(caller).await?;
        Ok(self.store.list_invitations(caller.org_id, self.clock.now()).await?)
    }

    /// Invites somebody: a link goes to the address, and an earlier one works no more. It ends with the rights of whoever
    /// invites.
    pub async fn invite(&self, caller: &Caller, email: &str, role: Role) -> Result<()> {
        let own = self.role_of(caller).await?;
        if !is_at_least(own, role) {
            return Err(Error::RoleTooLow);
        }
        let email = address(email)?;
        let known = self.store.find_user(&email).await?;
        if let Some(known) = known
            && self.store.memberships(known.id).await?.iter().any(|own| own.org_id == caller.org_id)
        {
            return Err(Error::field("email", format!("{email} is a member already")));
        }
        let now = self.clock.now();
        if self.door.links.admit(&[(format!("invitation to {email} of {}", caller.org_id), 1)], now).is_err()
        {
            return Err(Error::field("email", format!("{email} was just invited; wait a minute")));
        }
        let secret = new_secret(&self.random);
        let invited_by = match caller.actor {
            Actor::User(id) => Some(id.to_string()),
            Actor::Key(id) => Some(id.to_string()),
            Actor::System | Actor::Visitor => None,
        };
        let token = Token {
            hash: hash(&secret),
            kind: TokenKind::Invitation,
            email: Some(email.clone()),
            org_id: Some(caller.org_id),
            role: Some(role),
            invited_by,
            created_at: now,
            expires_at: now.checked_add(INVITATION).unwrap_or(now),
        };
        let data = json!({"role": role.as_str()});
        let audit = self.audit_entry(caller, "member.invited", &email, &data, now);
        let by = changed_by(caller);
        let stored = self.store.insert_invitation(caller.org_id, &token, by, &audit).await;
        stored.map_err(|error| match error {
            StoreError::RoleTooLow => Error::RoleTooLow,
            other => other.into(),
        })?;
        let organisation = self.store.get_organisation(caller.org_id).await?.name;
        let text = format!(
            "You are invited to \"{organisation}\" at Countersign. This link works once, and for 7 days:\n\n\
             {}/invitation?token={secret}\n\n\
             If you do not know what this is about, there is nothing to do.\n",
            self.settings.public_url
        );
        let subject = format!("Invitation to {organisation}");
        self.send_notice(&Notice { to: email, subject, text }).await.map(drop)
    }

    /// Takes the invitations of an address back.
    pub async fn withdraw_invitation(&self, caller: &Caller, email: &str) -> Result<()> {
        self.role_of(caller).await?;
        let email = address(email)?;
        let audit =
            self.audit_entry(caller, "member.invitation_withdrawn", &email, &json!({}), self.clock.now());
        match self.store.withdraw_invitation(caller.org_id, &email, &audit).await {
            Err(StoreError::NotFound(_)) => {
                Err(Error::NotFound { noun: "invitation", id: email.to_string() })
            }
            other => Ok(other?),
        }
    }

    /// What a link invites to.
    pub async fn invitation(&self, secret: &str) -> Result<Invitation> {
        let found = self.store.find_token(&hash(secret), TokenKind::Invitation, self.clock.now()).await?;
        let Some(Token { email: Some(email), org_id: Some(org_id), role: Some(role), .. }) = found else {
            return Err(Error::LinkOver);
        };
        let organisation = self.store.get_organisation(org_id).await?.name;
        let is_known = self.store.find_user(&email).await?.is_some();
        Ok(Invitation { email, organisation, role, is_known })
    }

    /// Becomes a member. Who is new is logged in; who has an account logs in with it.
    pub async fn accept_invitation(
        &self,
        secret: &str,
        newcomer: &Newcomer,
        origin: Origin,
    ) -> Result<Option<Begun>> {
        let hash = hash(secret);
        let invitation = self.invitation(secret).await?;
        let token = self.store.find_token(&hash, TokenKind::Invitation, self.clock.now()).await?;
        let token = token.ok_or(Error::LinkOver)?;
        let org_id = token.org_id.ok_or(Error::LinkOver)?;
        let known = self.store.find_user(&invitation.email).await?;
        let is_new = known.is_none();
        let user = match known {
            Some(user) => user,
            None => {
                self.new_user(&Newcomer { email: invitation.email.to_string(), ..newcomer.clone() }).await?
            }
        };
        let now = self.clock.now();
        let caller = Caller { actor: Actor::User(user.id), origin, ..Caller::owner(org_id) };
        let data = json!({"role": invitation.role.as_str(), "invited_by": token.invited_by});
        let audit = self.audit_entry(&caller, "member.added", &user.id, &data, now);
        match self.store.accept_invitation(&hash, &user, is_new, &audit, now).await {
            Err(StoreError::NotFound(_) | StoreError::UserTaken) => return Err(Error::LinkOver),
            other => other?,
        }
        if !is_new {
            return Ok(None);
        }
        let (org_id, by) = (Some(org_id), Some("invitation"));
        let beginning = Beginning { org_id, waits_for_code: false, replaced: None, by, origin };
        self.begin_session(&user, beginning).await.map(Some)
    }

    /// Gives a member another role.
    pub async fn set_role(&self, caller: &Caller, id: UserId, role: Role) -> Result<()> {
        let found = self.changeable(caller, id, role).await?;
        let data = json!({"role": role.as_str(), "before": found.role.as_str()});
        let audit = self.audit_entry(caller, "member.role_changed", &id, &data, self.clock.now());
        let set = self.store.set_role(caller.org_id, id, role, changed_by(caller), &audit).await;
        set.map_err(|error| of_member(error, id))
    }

    /// Takes a member out of the organisation; the user logs out at once there.
    pub async fn remove_member(&self, caller: &Caller, id: UserId) -> Result<()> {
        let found = self.changeable(caller, id, Role::Viewer).await?;
        let data = json!({"role": found.role.as_str()});
        let audit = self.audit_entry(caller, "member.removed", &id, &data, self.clock.now());
        let removed = self.store.remove_member(caller.org_id, id, changed_by(caller), &audit).await;
        removed.map_err(|error| of_member(error, id))
    }

    /// A member whom the caller may make this.
    async fn changeable(&self, caller: &Caller, id: UserId, role: Role) -> Result<Member> {
        let own = self.role_of(caller).await?;
        let found = self.member(caller, id).await?;
        if is_at_least(own, role) && is_at_least(own, found.role) {
            Ok(found)
        } else {
            Err(Error::RoleTooLow)
        }
    }

    /// Gives the organisation another name.
    pub async fn rename_organisation(&self, caller: &Caller, text: &str) -> Result<()> {
        self.role_of(caller).await?;
        let name = super::name(text)?;
        let data = json!({"name": name});
        let audit = self.audit_entry(caller, "organisation.renamed", &caller.org_id, &data, self.clock.now());
        Ok(self.store.rename_organisation(caller.org_id, &name, &audit).await?)
    }

    /// Makes an organisation with this caller's user as its owner. Only those who run the platform do.
    pub async fn add_organisation(&self, caller: &Caller, text: &str) -> Result<OrgId> {
        Ok(self.create_organisation(caller, text, None).await?.organisation.id)
    }
}

/// Who changes members, for the store, which looks again at what a user is.
fn changed_by(caller: &Caller) -> ChangedBy {
    match caller.actor {
        _ if caller.is_root => ChangedBy::Rank(Role::Owner),
        Actor::User(id) => ChangedBy::User(id),
        Actor::Key(_) => ChangedBy::Rank(Role::Admin),
        Actor::System => ChangedBy::Rank(Role::Owner),
        Actor::Visitor => ChangedBy::Rank(Role::Viewer),
    }
}

fn of_member(error: StoreError, id: UserId) -> Error {
    match error {
        StoreError::NotFound(_) => Error::NotFound { noun: "member", id: id.to_string() },
        StoreError::LastOwner => Error::LastOwner,
        StoreError::RoleTooLow => Error::RoleTooLow,
        other => other.into(),
    }
}

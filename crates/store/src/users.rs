//! People: users, and what they are in which organisation.

use crate::{
    Hidden, Store, StoreError, TokenKind, Told,
    audit::tell,
    database::{Row, Tx, sql},
    error::Unique,
    invitations::end_invitations_of,
    value::words,
};
use model::{EmailAddress, OrgId, Timestamp, UserId};

words! {
    /// What a user is in an organisation.
    Role {
        /// Sees.
        Viewer = "viewer",
        /// Adds and changes domains, and sends.
        Member = "member",
        /// Does everything in the organisation but to its owners.
        Admin = "admin",
        /// Does everything in the organisation.
        Owner = "owner",
    }
}

/// Who changes members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedBy {
    /// A user, as what they are in the organisation when it is done.
    User(UserId),
    /// Who is no member, and has the rights of this role.
    Rank(Role),
}

/// A person who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The address, in lower case: there is one user for it.
    pub email: EmailAddress,
    /// The name, for people.
    pub name: String,
    /// What a password is checked with; `None` where there is none.
    pub password_hash: Option<String>,
    /// The sealed secret of the second factor, where there is one.
    pub totp_secret: Option<Hidden>,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// What one user is in one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: User,
    /// The role.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// An organisation of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organisation.
    pub org_id: OrgId,
    /// Its name.
    pub name: String,
    /// What the user is there.
    pub role: Role,
}

const EMAIL: Unique = Unique { sqlite: "users.email", postgres: "users_email" };

pub(crate) fn user(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.get("id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        password_hash: row.opt("password_hash")?,
        totp_secret: row.opt("totp_secret")?,
        created_at: row.get("created_at")?,
    })
}

fn member(row: &Row) -> Result<Member, StoreError> {
    Ok(Member { user: user(row)?, role: row.get("role")?, since: row.get("since")? })
}

pub(crate) async fn insert_user(user: &User, tx: &mut Tx) -> Result<(), StoreError> {
    sql("INSERT INTO users (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&user.id)
        .bind(&user.email)
        .text(&user.name)
        .bind_opt(user.password_hash.as_ref())
        .bind(&user.created_at)
        .run(tx)
        .await
        .map_err(|error| error.or_conflict(EMAIL, StoreError::UserTaken))
        .map(drop)
}

/// Makes a user a member; who is one already stays what they are.
pub(crate) async fn insert_member(
    org_id: OrgId,
    user_id: UserId,
    role: Role,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    sql("INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (org_id, user_id) DO NOTHING")
    .bind(&org_id)
    .bind(&user_id)
    .bind(&role)
    .bind(&now)
    .run(tx)
    .await
    .map(drop)
}

/// Whoever changes the members of an organisation does it alone: of two who go at once, one would be the last owner.
pub(crate) async fn lock_members(org_id: OrgId, tx: &mut Tx) -> Result<(), StoreError> {
    let locked = sql("SELECT id FROM organisations WHERE id = $1")
        .on_postgres("SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE")
        .bind(&org_id)
        .first(tx)
        .await?;
    locked.map(drop).ok_or(StoreError::NotFound("organisation"))
}

/// What a member is.
pub(crate) async fn role_of(org_id: OrgId, user_id: UserId, tx: &mut Tx) -> Result<Role, StoreError> {
    let row = sql("SELECT role FROM memberships WHERE org_id = $1 AND user_id = $2");
    let row = row.bind(&org_id).bind(&user_id).first(tx).await?;
    row.ok_or(StoreError::NotFound("member"))?.get("role")
}

/// Refuses who is not, or not any more, at least an admin and what the member is and becomes.
pub(crate) async fn require_rank(
    org_id: OrgId,
    by: ChangedBy,
    roles: [Role; 2],
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let own = match by {
        ChangedBy::Rank(role) => role,
        ChangedBy::User(id) => match role_of(org_id, id, tx).await {
            Err(StoreError::NotFound(_)) => return Err(StoreError::RoleTooLow),
            other => other?,
        },
    };
    let suffices = own as u8 >= Role::Admin as u8 && roles.iter().all(|role| own as u8 >= *role as u8);
    if suffices { Ok(()) } else { Err(StoreError::RoleTooLow) }
}

/// Refuses to leave an organisation without an owner, after one who was `before` is that no more.
async fn keep_an_owner(org_id: OrgId, before: Role, tx: &mut Tx) -> Result<(), StoreError> {
    if before != Role::Owner {
        return Ok(());
    }
    let owners = sql("SELECT COUNT(*) AS n FROM memberships WHERE org_id = $1 AND role = 'owner'");
    match owners.bind(&org_id).number::<u64>(tx).await? {
        0 => Err(StoreError::LastOwner),
        _ => Ok(()),
    }
}

impl Store {
    /// How many users there are.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        sql("SELECT COUNT(*) AS n FROM users").number(&mut self.pools.read().await?).await
    }

    /// Makes the first user, the owner of this organisation, and ends all tokens for that.
    ///
    /// # Errors
    /// `UserTaken` where there is a user already, `NotFound` where there is no such token that is not over.
    pub async fn create_first_owner(
        &self,
        token_hash: &[u8],
        user: &User,
        org_id: OrgId,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        lock_members(org_id, &mut tx).await?;
        sql("DELETE FROM login_tokens WHERE token_hash = $1 AND kind = 'first_owner' AND expires_at > $2")
            .blob(token_hash)
            .bind(&user.created_at)
            .run_on("token", &mut tx)
            .await?;
        if sql("SELECT COUNT(*) AS n FROM users").number::<u64>(&mut tx).await? > 0 {
            return Err(StoreError::UserTaken);
        }
        insert_user(user, &mut tx).await?;
        insert_member(org_id, user.id, Role::Owner, user.created_at, &mut tx).await?;
        sql("DELETE FROM login_tokens WHERE kind = 'first_owner'").run(&mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The user with this address.
    pub async fn find_user(&self, email: &EmailAddress) -> Result<Option<User>, StoreError> {
        let query =
            sql("SELECT id, email, name, password_hash, totp_secret, created_at FROM users WHERE email = $1");
        self.read_first(query.bind(email)).await?.as_ref().map(user).transpose()
    }

    /// One user.
    pub async fn get_user(&self, id: UserId) -> Result<User, StoreError> {
        let query =
            sql("SELECT id, email, name, password_hash, totp_secret, created_at FROM users WHERE id = $1");
        user(&self.read_first(query.bind(&id)).await?.ok_or(StoreError::NotFound("user"))?)
    }

    /// The organisations of a user that are not switched off, oldest first.
    pub async fn memberships(&self, user_id: UserId) -> Result<Vec<Membership>, StoreError> {
        let query =
            sql("SELECT m.org_id, o.name, m.role FROM memberships m JOIN organisations o ON o.id = m.org_id
             WHERE m.user_id = $1 AND o.disabled_at IS NULL ORDER BY m.created_at, m.org_id LIMIT 100");
        let rows = self.read_all(query.bind(&user_id)).await?;
        let membership = |row: &Row| {
            Ok(Membership { org_id: row.get("org_id")?, name: row.get("name")?, role: row.get("role")? })
        };
        rows.iter().map(membership).collect()
    }

    /// The members of an organisation in the order of their ids, from behind `after`.
    pub async fn list_members(
        &self,
        org_id: OrgId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let query = sql("SELECT u.id, u.email, u.name, u.password_hash, u.totp_secret, u.created_at, m.role,
                 m.created_at AS since FROM memberships m JOIN users u ON u.id = m.user_id
             WHERE m.org_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3");
        let after = after.map_or_else(String::new, |id| id.to_string());
        let rows = self.read_all(query.bind(&org_id).text(&after).bind(&limit)).await?;
        rows.iter().map(member).collect()
    }

    /// One member of an organisation.
    pub async fn get_member(&self, org_id: OrgId, user_id: UserId) -> Result<Member, StoreError> {
        let query = sql("SELECT u.id, u.email, u.name, u.password_hash, u.totp_secret, u.created_at, m.role,
                 m.created_at AS since FROM memberships m JOIN users u ON u.id = m.user_id
             WHERE m.org_id = $1 AND m.user_id = $2");
        let row = self.read_first(query.bind(&org_id).bind(&user_id)).await?;
        member(&row.ok_or(StoreError::NotFound("member"))?)
    }

    /// Gives a member another role. Open invitations that this member sent, to more than that, end.
    ///
    /// # Errors
    /// `LastOwner` where nobody would own the organisation any more, `RoleTooLow` where the role of who does it does not
    /// suffice when it is done.
    pub async fn set_role(
        &self,
        org_id: OrgId,
        user_id: UserId,
        role: Role,
        by: ChangedBy,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        lock_members(org_id, &mut tx).await?;
        let before = role_of(org_id, user_id, &mut tx).await?;
        require_rank(org_id, by, [before, role], &mut tx).await?;
        sql("UPDATE memberships SET role = $3 WHERE org_id = $1 AND user_id = $2")
            .bind(&org_id)
            .bind(&user_id)
            .bind(&role)
            .run_on("member", &mut tx)
            .await?;
        keep_an_owner(org_id, before, &mut tx).await?;
        end_invitations_of(org_id, &user_id.to_string(), Some(role), &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Takes a member out; the sessions in this organisation end with it, and the invitations that this member sent.
    ///
    /// # Errors
    /// `LastOwner` where nobody would own the organisation any more, `RoleTooLow` where the role of who does it does not
    /// suffice when it is done.
    pub async fn remove_member(
        &self,
        org_id: OrgId,
        user_id: UserId,
        by: ChangedBy,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        lock_members(org_id, &mut tx).await?;
        let before = role_of(org_id, user_id, &mut tx).await?;
        require_rank(org_id, by, [before, before], &mut tx).await?;
        sql("DELETE FROM memberships WHERE org_id = $1 AND user_id = $2")
            .bind(&org_id)
            .bind(&user_id)
            .run_on("member", &mut tx)
            .await?;
        keep_an_owner(org_id, before, &mut tx).await?;
        end_invitations_of(org_id, &user_id.to_string(), None, &mut tx).await?;
        sql("DELETE FROM sessions WHERE org_id = $1 AND user_id = $2")
            .bind(&org_id)
            .bind(&user_id)
            .run(&mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Sets what the password of a user is checked with, and ends all sessions of the user.
    pub async fn set_password(
        &self,
        user_id: UserId,
        hash: &str,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(&user_id)
            .text(hash)
            .run_on("user", &mut tx)
            .await?;
        sql("DELETE FROM sessions WHERE user_id = $1").bind(&user_id).run(&mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Uses up the token of somebody who is locked out: sets what the password is checked with, takes the second factor
    /// away where the token is for that too, and ends all sessions and what links the user to a provider: whoever had the
    /// account does not come back that way.
    ///
    /// # Errors
    /// `NotFound` where there is no such token of this user that is not over.
    pub async fn reset_password(
        &self,
        token_hash: &[u8],
        user: &User,
        hash: &str,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql("DELETE FROM login_tokens WHERE token_hash = $1 AND email = $2 AND expires_at > $3
             AND kind IN ('reset', 'reset_all') RETURNING kind")
        .blob(token_hash)
        .bind(&user.email)
        .bind(&now)
        .first(&mut tx)
        .await?
        .ok_or(StoreError::NotFound("token"))?;
        sql("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(&user.id)
            .text(hash)
            .run_on("user", &mut tx)
            .await?;
        if row.get::<TokenKind>("kind")? == TokenKind::ResetAll {
            sql("UPDATE users SET totp_secret = NULL, totp_last_step = NULL WHERE id = $1")
                .bind(&user.id)
                .run_on("user", &mut tx)
                .await?;
            sql("DELETE FROM recovery_codes WHERE user_id = $1").bind(&user.id).run(&mut tx).await?;
        }
        sql("DELETE FROM login_tokens WHERE email = $1 AND kind IN ('reset', 'reset_all', 'login')")
            .bind(&user.email)
            .run(&mut tx)
            .await?;
        for text in
            ["DELETE FROM sessions WHERE user_id = $1", "DELETE FROM user_identities WHERE user_id = $1"]
        {
            sql(text).bind(&user.id).run(&mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Replaces the hash of a password that is the same one, made with newer parameters: whether it was the
    /// `old` one until now.
    pub async fn rehash_password(&self, user_id: UserId, old: &str, hash: &str) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let replaced = sql("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
            .bind(&user_id)
            .text(old)
            .text(hash)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(replaced > 0)
    }

    /// Sets or takes away the second factor, with the codes that stand in for it, and ends all other sessions.
    pub async fn set_second_factor(
        &self,
        user_id: UserId,
        factor: Option<(&Hidden, &[Vec<u8>])>,
        kept_session: &[u8],
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE users SET totp_secret = $2, totp_last_step = NULL WHERE id = $1")
            .bind(&user_id)
            .bind_opt(factor.map(|(secret, _)| secret))
            .run_on("user", &mut tx)
            .await?;
        sql("DELETE FROM recovery_codes WHERE user_id = $1").bind(&user_id).run(&mut tx).await?;
        for code in factor.map_or(&[][..], |(_, codes)| codes) {
            sql("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)")
                .bind(&user_id)
                .blob(code)
                .run(&mut tx)
                .await?;
        }
        sql("DELETE FROM sessions WHERE user_id = $1 AND secret_hash <> $2")
            .bind(&user_id)
            .blob(kept_session)
            .run(&mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Uses up a step of the second factor's clock, once: whether it was not used before.
    pub async fn use_step(&self, user_id: UserId, step: u64) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let used = sql("UPDATE users SET totp_last_step = $2
             WHERE id = $1 AND (totp_last_step IS NULL OR totp_last_step < $2)")
        .bind(&user_id)
        .bind(&step)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(used > 0)
    }

    /// Uses up a code that stands in for the second factor: whether there was one.
    pub async fn use_recovery_code(&self, user_id: UserId, code_hash: &[u8]) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let used = sql("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2")
            .bind(&user_id)
            .blob(code_hash)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(used > 0)
    }
}

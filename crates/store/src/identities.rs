//! Who users are at the provider that they log in at: by its issuer and what it calls them, never by an address.

use crate::{
    Role, Store, StoreError, Token, Told, User,
    audit::tell,
    database::{Tx, sql},
    error::Unique,
    invitations::require_inviter,
    sessions::token,
    users::{insert_member, insert_user, user},
};
use model::{EmailAddress, OrgId, Timestamp, UserId};

const IDENTITY: Unique = Unique { sqlite: "user_identities.issuer", postgres: "user_identities_pkey" };

/// How somebody whom the provider knows becomes a member.
#[derive(Debug, Clone, Copy)]
pub struct Joining<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// What it calls them.
    pub subject: &'a str,
    /// The organisation that is joined.
    pub org_id: OrgId,
    /// As what.
    pub role: Role,
    /// The hash of the invitation that is used up, where there is one.
    pub invitation: Option<&'a [u8]>,
}

async fn insert_identity(
    issuer: &str,
    subject: &str,
    user_id: UserId,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    sql("INSERT INTO user_identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)")
        .text(issuer)
        .text(subject)
        .bind(&user_id)
        .bind(&now)
        .run(tx)
        .await
        .map_err(|error| error.or_conflict(IDENTITY, StoreError::UserTaken))
        .map(drop)
}

impl Store {
    /// The user whom a provider calls so.
    pub async fn find_identity(&self, issuer: &str, subject: &str) -> Result<Option<User>, StoreError> {
        let query = sql("SELECT u.id, u.email, u.name, u.password_hash, u.totp_secret, u.created_at
             FROM user_identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2");
        self.read_first(query.text(issuer).text(subject)).await?.as_ref().map(user).transpose()
    }

    /// Whether a user is known to a provider.
    pub async fn has_identity(&self, user_id: UserId, issuer: &str) -> Result<bool, StoreError> {
        let query = sql("SELECT user_id FROM user_identities WHERE user_id = $1 AND issuer = $2 LIMIT 1");
        Ok(self.read_first(query.bind(&user_id).text(issuer)).await?.is_some())
    }

    /// Links a user, as they were when it was decided.
    ///
    /// # Errors
    /// `UserTaken` where somebody is linked to this identity, `StaleVersion` where the user has another password since.
    pub async fn link_identity(
        &self,
        issuer: &str,
        subject: &str,
        checked: &User,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // Locked, so that who sets another password waits, and then takes this away.
        let row = sql("SELECT password_hash FROM users WHERE id = $1")
            .on_postgres("SELECT password_hash FROM users WHERE id = $1 FOR SHARE")
            .bind(&checked.id)
            .first(&mut tx)
            .await?
            .ok_or(StoreError::NotFound("user"))?;
        if row.opt::<String>("password_hash")? != checked.password_hash {
            return Err(StoreError::StaleVersion);
        }
        insert_identity(issuer, subject, checked.id, now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Ends what links a user to a provider.
    ///
    /// # Errors
    /// `NotFound` where nothing does.
    pub async fn unlink_identity(
        &self,
        user_id: UserId,
        issuer: &str,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM user_identities WHERE user_id = $1 AND issuer = $2")
            .bind(&user_id)
            .text(issuer)
            .run_on("identity", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The newest invitation of an address that is not over.
    pub async fn find_invitation_of(
        &self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Option<Token>, StoreError> {
        let query = sql("SELECT token_hash, kind, email, org_id, role, invited_by, created_at, expires_at
             FROM login_tokens WHERE email = $1 AND kind = 'invitation' AND expires_at > $2
             ORDER BY created_at DESC, token_hash LIMIT 1");
        self.read_first(query.bind(email).bind(&now)).await?.as_ref().map(token).transpose()
    }

    /// Makes a user whom a provider knows, and a member of them.
    ///
    /// # Errors
    /// `NotFound` where the invitation is over or who sent it could not send it now, `UserTaken` where the address or the
    /// identity got a user meanwhile.
    pub async fn join_by_identity(
        &self,
        user: &User,
        joining: Joining<'_>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let (Joining { org_id, role, .. }, now) = (joining, user.created_at);
        let mut tx = self.pools.write().await?;
        if let Some(invitation) = joining.invitation {
            let row =
                sql("DELETE FROM login_tokens WHERE token_hash = $1 AND kind = 'invitation' AND email = $2
                     AND org_id = $3 AND role = $4 AND expires_at > $5 RETURNING invited_by")
                .blob(invitation)
                .bind(&user.email)
                .bind(&org_id)
                .bind(&role)
                .bind(&now)
                .first(&mut tx)
                .await?
                .ok_or(StoreError::NotFound("invitation"))?;
            if let Some(by) = row.opt::<String>("invited_by")? {
                require_inviter(org_id, role, &by, now, &mut tx).await?;
            }
        }
        insert_user(user, &mut tx).await?;
        insert_member(org_id, user.id, role, now, &mut tx).await?;
        insert_identity(joining.issuer, joining.subject, user.id, now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}

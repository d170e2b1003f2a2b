//! Invitations: who is to become a member of an organisation. One is good for as long as whoever sent it could send it.

use crate::{
    ChangedBy, Role, Store, StoreError, Token, Told, User,
    audit::tell,
    database::{Row, Tx, sql},
    sessions::{insert_token, token},
    users::{insert_member, insert_user, lock_members, require_rank, role_of},
};
use model::{ApiKeyId, EmailAddress, OrgId, Timestamp, UserId};

/// How many invitations of an organisation are open at the same time.
const MOST: u64 = 100;

/// How often a key is followed to the one that took its place. An invitation is good for a week.
const MOST_ROTATIONS: usize = 100;

/// Ends what a user or a key invited to, as far as it is more than the `role` that they still are.
pub(crate) async fn end_invitations_of(
    org_id: OrgId,
    by: &str,
    role: Option<Role>,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let text = match role {
        Some(Role::Owner) => return Ok(()),
        Some(Role::Admin) => {
            "DELETE FROM login_tokens
             WHERE org_id = $1 AND kind = 'invitation' AND invited_by = $2 AND role = 'owner'"
        }
        Some(Role::Member | Role::Viewer) | None => {
            "DELETE FROM login_tokens WHERE org_id = $1 AND kind = 'invitation' AND invited_by = $2"
        }
    };
    sql(text).bind(&org_id).text(by).run(tx).await.map(drop)
}

/// Refuses the invitation of who could not send it now.
pub(crate) async fn require_inviter(
    org_id: OrgId,
    role: Role,
    by: &str,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    const GONE: StoreError = StoreError::NotFound("invitation");
    if let Ok(id) = by.parse::<UserId>() {
        let own = match role_of(org_id, id, tx).await {
            Err(StoreError::NotFound(_)) => return Err(GONE),
            other => other?,
        };
        let suffices = own as u8 >= Role::Admin as u8 && own as u8 >= role as u8;
        return if suffices { Ok(()) } else { Err(GONE) };
    }
    let Ok(mut id) = by.parse::<ApiKeyId>() else { return Err(GONE) };
    for _ in 0..MOST_ROTATIONS {
        let key = sql("SELECT expires_at, replaced_by FROM api_keys WHERE id = $1 AND revoked_at IS NULL");
        let key = key.bind(&id).first(tx).await?.ok_or(GONE)?;
        if key.opt::<Timestamp>("expires_at")?.is_none_or(|end| end > now) {
            return Ok(());
        }
        // One that was rotated ended because another took its place.
        id = key.opt("replaced_by")?.ok_or(GONE)?;
    }
    Err(GONE)
}

impl Store {
    /// Stores an invitation, in the place of earlier ones of the same address.
    ///
    /// # Errors
    /// `RoleTooLow` where the role of who does it does not suffice when it is done, `LimitReached`.
    pub async fn insert_invitation(
        &self,
        org_id: OrgId,
        invitation: &Token,
        by: ChangedBy,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        lock_members(org_id, &mut tx).await?;
        let role = invitation.role.unwrap_or(Role::Viewer);
        require_rank(org_id, by, [role, role], &mut tx).await?;
        sql("DELETE FROM login_tokens WHERE org_id = $1 AND email = $2 AND kind = 'invitation'")
            .bind(&org_id)
            .bind_opt(invitation.email.as_ref())
            .run(&mut tx)
            .await?;
        insert_token(invitation, &mut tx).await?;
        let open = sql("SELECT COUNT(*) AS n FROM login_tokens WHERE org_id = $1 AND kind = 'invitation'");
        if open.bind(&org_id).number::<u64>(&mut tx).await? > MOST {
            return Err(StoreError::LimitReached { what: "open invitations", limit: MOST });
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Uses an invitation up: makes the user where `new` is one, and the user a member.
    ///
    /// # Errors
    /// `NotFound` where there is no such invitation that is not over, or who sent it could not send it now; `UserTaken`
    /// where the address got a user meanwhile.
    pub async fn accept_invitation(
        &self,
        token_hash: &[u8],
        user: &User,
        is_new: bool,
        told: impl Into<Told<'_>>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql("DELETE FROM login_tokens WHERE token_hash = $1 AND kind = 'invitation' AND email = $2
                 AND expires_at > $3 RETURNING org_id, role, invited_by")
        .blob(token_hash)
        .bind(&user.email)
        .bind(&now)
        .first(&mut tx)
        .await?
        .ok_or(StoreError::NotFound("invitation"))?;
        let (org_id, role) = (row.get("org_id")?, row.get("role")?);
        if let Some(by) = row.opt::<String>("invited_by")? {
            require_inviter(org_id, role, &by, now, &mut tx).await?;
        }
        if is_new {
            insert_user(user, &mut tx).await?;
        }
        insert_member(org_id, user.id, role, now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The invitations of an organisation that are not over, newest first.
    pub async fn list_invitations(&self, org_id: OrgId, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        let query = sql("SELECT token_hash, kind, email, org_id, role, invited_by, created_at, expires_at
             FROM login_tokens WHERE org_id = $1 AND kind = 'invitation' AND expires_at > $2
             ORDER BY created_at DESC, token_hash LIMIT 100");
        let rows: Vec<Row> = self.read_all(query.bind(&org_id).bind(&now)).await?;
        rows.iter().map(token).collect()
    }

    /// Takes back the invitations of an address to an organisation.
    pub async fn withdraw_invitation(
        &self,
        org_id: OrgId,
        email: &EmailAddress,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM login_tokens WHERE org_id = $1 AND email = $2 AND kind = 'invitation'")
            .bind(&org_id)
            .bind(email)
            .run_on("invitation", &mut tx)
            .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}

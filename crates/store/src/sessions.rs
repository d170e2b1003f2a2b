//! Sessions of those who are logged in, and the tokens of links that let somebody in once. Of both only hashes are stored.

use crate::{
    Hidden, Role, Store, StoreError, Told, User,
    audit::tell,
    database::{Row, Tx, sql},
    users::user,
    value::words,
};
use model::{EmailAddress, OrgId, Timestamp, UserId};

/// A session to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The SHA-256 of the secret in the browser.
    pub secret_hash: Vec<u8>,
    /// Who is logged in.
    pub user_id: UserId,
    /// In which organisation.
    pub org_id: OrgId,
    /// Whether the second factor is still asked for: then nothing else is allowed.
    pub waits_for_code: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends, however it is used.
    pub expires_at: Timestamp,
}

/// A session with what the request has to know of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who is logged in.
    pub user: User,
    /// In which organisation.
    pub org_id: OrgId,
    /// The name of the organisation.
    pub organisation: String,
    /// What the user is there.
    pub role: Role,
    /// Whether the second factor is still asked for.
    pub waits_for_code: bool,
    /// When it was last used, to about a minute.
    pub seen_at: Timestamp,
}

words! {
    /// What a link is for.
    TokenKind {
        /// To make the first owner.
        FirstOwner = "first_owner",
        /// To become a member of an organisation.
        Invitation = "invitation",
        /// To log in.
        Login = "login",
        /// To come back from the provider of the login.
        Provider = "provider",
        /// To set another password, for who is locked out.
        Reset = "reset",
        /// The same, and to go on without the second factor.
        ResetAll = "reset_all",
    }
}

/// The token of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The SHA-256 of the secret in the link.
    pub hash: Vec<u8>,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose address the link goes to; none where it is shown on the machine.
    pub email: Option<EmailAddress>,
    /// The organisation that is joined.
    pub org_id: Option<OrgId>,
    /// As what.
    pub role: Option<Role>,
    /// The user or key that invited; on the way to a provider, the user who is to be linked.
    pub invited_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

pub(crate) fn token(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        hash: row.get::<Hidden>("token_hash")?.to_vec(),
        kind: row.get("kind")?,
        email: row.opt("email")?,
        org_id: row.opt("org_id")?,
        role: row.opt("role")?,
        invited_by: row.opt("invited_by")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Stores a token; those that are over go.
pub(crate) async fn insert_token(token: &Token, tx: &mut Tx) -> Result<(), StoreError> {
    sql("DELETE FROM login_tokens WHERE expires_at <= $1").bind(&token.created_at).run(tx).await?;
    sql("INSERT INTO login_tokens (token_hash, kind, email, org_id, role, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
    .blob(&token.hash)
    .bind(&token.kind)
    .bind_opt(token.email.as_ref())
    .bind_opt(token.org_id.as_ref())
    .bind_opt(token.role.as_ref())
    .bind_opt(token.invited_by.as_ref())
    .bind(&token.created_at)
    .bind(&token.expires_at)
    .run(tx)
    .await
    .map(drop)
}

impl Store {
    /// Stores a session in the place of another one, which ends: nobody goes on with a secret from before. `checked` is
    /// the user as it was when the password, the link or the code was looked at.
    ///
    /// # Errors
    /// `StaleVersion` where the user has another password since, or for a whole session another second factor.
    pub async fn begin_session(
        &self,
        session: &NewSession,
        checked: &User,
        replaced: Option<&[u8]>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // Locked, so that who changes the password waits, and then ends this session with the others.
        let row = sql("SELECT password_hash, totp_secret FROM users WHERE id = $1")
            .on_postgres("SELECT password_hash, totp_secret FROM users WHERE id = $1 FOR SHARE")
            .bind(&session.user_id)
            .first(&mut tx)
            .await?
            .ok_or(StoreError::NotFound("user"))?;
        let is_same_factor = row.opt::<Hidden>("totp_secret")? == checked.totp_secret;
        if row.opt::<String>("password_hash")? != checked.password_hash
            || !(session.waits_for_code || is_same_factor)
        {
            return Err(StoreError::StaleVersion);
        }
        sql("DELETE FROM sessions WHERE secret_hash = $1 OR expires_at <= $2")
            .blob(replaced.unwrap_or_default())
            .bind(&session.created_at)
            .run(&mut tx)
            .await?;
        sql("INSERT INTO sessions (secret_hash, user_id, org_id, waits_for_code, created_at, seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6)")
        .blob(&session.secret_hash)
        .bind(&session.user_id)
        .bind(&session.org_id)
        .bind(&session.waits_for_code)
        .bind(&session.created_at)
        .bind(&session.expires_at)
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The session with this secret, unless it is over, was not used since `idle_since`, or its user is no member of its
    /// organisation any more.
    pub async fn find_session(
        &self,
        secret_hash: &[u8],
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let query =
            sql("SELECT u.id, u.email, u.name, u.password_hash, u.totp_secret, u.created_at, s.org_id,
                 s.waits_for_code, s.seen_at, m.role, o.name AS organisation
             FROM sessions s JOIN users u ON u.id = s.user_id
             JOIN memberships m ON m.org_id = s.org_id AND m.user_id = s.user_id
             JOIN organisations o ON o.id = s.org_id
             WHERE s.secret_hash = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND o.disabled_at IS NULL");
        let row = self.read_first(query.blob(secret_hash).bind(&now).bind(&idle_since)).await?;
        let session = |row: &Row| {
            Ok(Session {
                user: user(row)?,
                org_id: row.get("org_id")?,
                organisation: row.get("organisation")?,
                role: row.get("role")?,
                waits_for_code: row.get("waits_for_code")?,
                seen_at: row.get("seen_at")?,
            })
        };
        row.as_ref().map(session).transpose()
    }

    /// Notes that a session was used.
    pub async fn touch_session(&self, secret_hash: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE sessions SET seen_at = $2 WHERE secret_hash = $1 AND seen_at < $2")
            .blob(secret_hash)
            .bind(&now)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Ends a session.
    pub async fn end_session(&self, secret_hash: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM sessions WHERE secret_hash = $1").blob(secret_hash).run(&mut tx).await?;
        tx.commit().await
    }

    /// Stores the token of a link; those that are over go. Of one address, kind and organisation there are no more
    /// than `limit`: the oldest goes first.
    pub async fn insert_token(
        &self,
        token: &Token,
        limit: u32,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        insert_token(token, &mut tx).await?;
        sql("DELETE FROM login_tokens WHERE kind = $1 AND email = $2 AND COALESCE(org_id, '') = $4
             AND token_hash NOT IN (
                 SELECT token_hash FROM login_tokens
                 WHERE kind = $1 AND email = $2 AND COALESCE(org_id, '') = $4
                 ORDER BY created_at DESC, token_hash LIMIT $3)")
        .bind(&token.kind)
        .bind_opt(token.email.as_ref())
        .bind(&limit)
        .text(&token.org_id.map_or_else(String::new, |id| id.to_string()))
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Whether a token for this address that is not used yet was made after a moment.
    pub async fn has_token_since(
        &self,
        email: &EmailAddress,
        kind: TokenKind,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = sql("SELECT kind FROM login_tokens
             WHERE email = $1 AND kind = $2 AND created_at > $3 LIMIT 1");
        Ok(self.read_first(query.bind(email).bind(&kind).bind(&since)).await?.is_some())
    }

    /// A token that is not over. It stays.
    pub async fn find_token(
        &self,
        hash: &[u8],
        kind: TokenKind,
        now: Timestamp,
    ) -> Result<Option<Token>, StoreError> {
        let query = sql("SELECT token_hash, kind, email, org_id, role, invited_by, created_at, expires_at
             FROM login_tokens
             WHERE token_hash = $1 AND kind = $2 AND expires_at > $3");
        self.read_first(query.blob(hash).bind(&kind).bind(&now)).await?.as_ref().map(token).transpose()
    }

    /// A token that is not over; it can be used once.
    pub async fn use_token(
        &self,
        hash: &[u8],
        kind: TokenKind,
        now: Timestamp,
    ) -> Result<Option<Token>, StoreError> {
        let mut tx = self.pools.write().await?;
        let row = sql("DELETE FROM login_tokens WHERE token_hash = $1 AND kind = $2 AND expires_at > $3
             RETURNING token_hash, kind, email, org_id, role, invited_by, created_at, expires_at")
        .blob(hash)
        .bind(&kind)
        .bind(&now)
        .first(&mut tx)
        .await?;
        tx.commit().await?;
        row.as_ref().map(token).transpose()
    }
}

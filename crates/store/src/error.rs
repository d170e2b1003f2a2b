//! What can go wrong in the store, sorted by what the caller can do about it.

use crate::postgres;
use model::Timestamp;
use sqlx::error::DatabaseError as _;
use std::io::ErrorKind;

/// Why a method of the store did not do its work. Nothing of the transaction is kept then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it belongs to another organisation, or it was deleted.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The organisation has this domain already.
    #[error("the organisation has this domain already")]
    DomainAlreadyAdded,
    /// Another organisation holds the name of this domain.
    #[error("another organisation holds the name of this domain")]
    HeldElsewhere,
    /// A DKIM key with this selector is there already.
    #[error("a DKIM key with this selector is there already; take another selector")]
    SelectorTaken,
    /// A domain has this very DKIM key already.
    #[error("the domain has this DKIM key already")]
    KeyTaken,
    /// A message with this id is there already.
    #[error("a message with this id is there already")]
    MessageTaken,
    /// There is a user with this address already, or, where the first one was to be made, any.
    #[error("there is a user already")]
    UserTaken,
    /// An organisation would be left without an owner.
    #[error("an organisation has an owner always")]
    LastOwner,
    /// Who changes a member is less than that member is or becomes.
    #[error("the role does not suffice")]
    RoleTooLow,
    /// The playground has a zone with this apex already.
    #[error("the playground has a zone with this name already")]
    ZoneAlreadyExists,
    /// The thing changed, or the lease was lost, since it was read.
    #[error("it was changed by someone else since it was read; read it again")]
    StaleVersion,
    /// The pool has fewer DKIM keys than wanted.
    #[error("no DKIM key is ready in the pool; try again in a moment")]
    PoolEmpty,
    /// A limit that keeps the database small.
    #[error("there are no more than {limit} {what}; delete some first")]
    LimitReached {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// As many mails that ask somebody to confirm an address were sent in a day as may be.
    #[error(
        "no more than {limit} mails that ask for a confirmation are sent in a day; the next may be at {again_at}"
    )]
    AskedTooOften {
        /// Whether it is the bound of the organisation, not that of the address.
        by_organisation: bool,
        /// How many there may be.
        limit: u64,
        /// When there may be one again.
        again_at: Timestamp,
    },
    /// A domain that is warming up has sent what it may today.
    #[error("the domain has sent what it may today: {accepted} messages")]
    DailyCapReached {
        /// How many were accepted today.
        accepted: u64,
    },
    /// Recipients that get no mail.
    #[error("{} of the recipients are suppressed", .0.len())]
    Suppressed(Vec<model::EmailAddress>),
    /// Another connection holds the database for too long, or it does not answer. Try again later.
    #[error("the database is locked by another process or busy; try again in a moment")]
    Busy,
    /// There is no connection to the PostgreSQL server. Try again later.
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[source] std::io::Error),
    /// No space for the write. What was stored before is intact.
    #[error("the disk of the database is full; free some space")]
    Full,
    /// The database holds something that no version of this program wrote.
    #[error("the database holds something unreadable: {0}; restore a backup")]
    Corrupt(String),
    /// The PostgreSQL database was made with an encoding that cannot hold every text.
    #[error(
        "the database has the encoding {0}; make one with UTF8 (createdb --encoding=UTF8 --template=template0)"
    )]
    Encoding(String),
    /// The database that everything was to be copied to is in use already.
    #[error(
        "the database to copy to is not empty; make a new one (createdb --encoding=UTF8 --template=template0)"
    )]
    NotEmpty,
    /// A newer version of the program has used this database.
    #[error(
        "the database has schema version {found} and this program knows up to {known}; start the newer program again"
    )]
    SchemaTooNew {
        /// The version in the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the same call may work later without any change by the caller.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy | Self::Full | Self::Unreachable(_))
    }

    /// Turns the violation of a unique index into `conflict`.
    pub(crate) fn or_conflict(self, index: Unique, conflict: Self) -> Self {
        match &self {
            Self::Database(sqlx::Error::Database(source)) if index.is_violated(source.as_ref()) => conflict,
            _ => self,
        }
    }
}

/// A unique index, as each database names it in its error.
#[derive(Clone, Copy)]
pub(crate) struct Unique {
    /// The columns.
    pub(crate) sqlite: &'static str,
    /// The constraint or index.
    pub(crate) postgres: &'static str,
}

impl Unique {
    fn is_violated(self, error: &dyn sqlx::error::DatabaseError) -> bool {
        error.is_unique_violation()
            && match error.constraint() {
                Some(name) => name == self.postgres,
                None => error.message().contains(self.sqlite),
            }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(io) if io.kind() == ErrorKind::StorageFull => Self::Full,
            sqlx::Error::Database(source) => {
                let kind = match sqlite_code(source.as_ref()) {
                    Some(code) => classify(code, source.message()),
                    None => source.code().and_then(|code| postgres::classify(&code, source.message())),
                };
                kind.unwrap_or(Self::Database(sqlx::Error::Database(source)))
            }
            error => Self::Database(error),
        }
    }
}

/// The extended result code (<https://www.sqlite.org/rescode.html>).
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?.code()?.parse().ok()
}

fn classify(extended_code: i32, message: &str) -> Option<StoreError> {
    /// `SQLITE_IOERR_SHMSIZE`: the shared-memory file beside the database could not grow.
    const NO_SPACE_FOR_SHARED_MEMORY: i32 = 4874;
    match (extended_code, extended_code & 0xff) {
        (_, 5 | 6) => Some(StoreError::Busy),
        (NO_SPACE_FOR_SHARED_MEMORY, _) | (_, 13) => Some(StoreError::Full),
        (_, 11 | 26) => Some(StoreError::Corrupt(message.to_owned())),
        _ => None,
    }
}

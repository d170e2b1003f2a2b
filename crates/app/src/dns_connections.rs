//! Kept credentials of DNS hosts.
//!
//! A credential is used once and forgotten, unless its owner says that it is to be kept: for the next change, for bringing
//! back what somebody removed. Then it is sealed and never shown again. One that the host refuses is told
//! once, and not used by itself until somebody looks at it: a host that counts wrong tries must not lock its owner out.

use crate::{
    App, Secret,
    access::{Actor, Caller, Scope},
    change_sets::PLAYGROUND,
    dns_hosts::{WRITABLE, realm},
    error::{Error, Result},
};
use jiff::{SignedDuration, Timestamp};
use model::{ConnectionId, DomainId, DomainName, TenantId};
use publish::{HostError, Refusal, ZoneProvider};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::{DnsConnection, NewEvent, RepairMode, StoreError};
use zeroize::Zeroizing;

/// How long a label may be, in characters.
const MOST_LABEL: usize = 100;

/// How exactly is remembered when one was used last.
const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// What opens a DNS host.
#[derive(Clone)]
pub enum Credential {
    /// Given with the request, used for it and forgotten.
    Given {
        /// The host's id, as in `GET /dns-hosts`.
        host: String,
        /// The fields that the host asks for.
        fields: BTreeMap<String, Secret>,
    },
    /// A kept one.
    Kept(ConnectionId),
    /// The kept one that the change set was planned with.
    AsPlanned,
}

impl Credential {
    /// The playground, which needs none.
    pub fn playground() -> Self {
        Self::Given { host: PLAYGROUND.to_owned(), fields: BTreeMap::new() }
    }
}

/// How a credential is to be kept that a request gave.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// What people call it.
    pub label: String,
    /// What it may be used for by itself.
    pub repair: RepairMode,
}

/// A DNS host, opened.
pub struct Opened {
    /// The host's id.
    pub host: String,
    /// The host.
    pub provider: Arc<dyn ZoneProvider>,
    /// Which server it is, where its owner names one; empty where there is one of the host for all.
    pub(crate) realm: String,
    /// What it was opened with, where that is kept.
    pub connection: Option<DnsConnection>,
}

impl Opened {
    /// A host that is at hand.
    pub fn at_hand(host: &str, provider: Arc<dyn ZoneProvider>) -> Self {
        Self { host: host.to_owned(), provider, realm: String::new(), connection: None }
    }

    /// The id of the kept credential.
    pub(crate) fn connection_id(&self) -> Option<ConnectionId> {
        self.connection.as_ref().map(|connection| connection.id)
    }
}

/// A credential to keep.
pub struct NewConnection {
    /// The host's id, as in `GET /dns-hosts`.
    pub host: String,
    /// What the host asks for.
    pub fields: BTreeMap<String, Secret>,
    /// The domain that it is for; with it the zone is found.
    pub domain_id: Option<DomainId>,
    /// The zone that it is for, without a domain.
    pub zone: Option<DomainName>,
    /// The tenant whose domains it is for.
    pub tenant_id: Option<TenantId>,
    /// How it is kept.
    pub keep: Keep,
}

/// What the vault binds it to; `store::sealed` has the same.
fn bound_to(id: ConnectionId) -> String {
    format!("dns_connections/secret/{id}")
}

impl App {
    /// Opens a host for a domain.
    ///
    /// # Errors
    /// `Invalid` for fields that are wrong, and for a kept credential that is for something else; `NotFound`.
    pub(crate) async fn open_host(
        &self,
        caller: &Caller,
        credential: &Credential,
        domain: &store::Domain,
    ) -> Result<Opened> {
        match credential {
            Credential::Given { host, fields } => {
                let provider = self.zone_provider(caller, host, fields.clone()).await?;
                Ok(Opened { host: host.clone(), provider, realm: realm(host, fields), connection: None })
            }
            Credential::Kept(id) => {
                let connection = self.connection(caller, *id).await?;
                let is_for_it =
                    match connection.domain_id {
                        Some(id) => id == domain.id,
                        // Of all that it opens, its owner named this zone.
                        None => domain.name.is_at_or_below(&connection.zone),
                    } && connection.tenant_id.is_none_or(|tenant| Some(tenant) == domain.tenant_id);
                if !is_for_it {
                    let message = format!("{id} is kept for other domains than {}", domain.name);
                    return Err(Error::field("connection_id", message));
                }
                self.open_kept(caller, connection).await
            }
            Credential::AsPlanned => {
                let message = "give host and credential, or connection_id";
                Err(Error::field("host", message))
            }
        }
    }

    /// Opens a host with a kept credential.
    pub(crate) async fn open_kept(&self, caller: &Caller, connection: DnsConnection) -> Result<Opened> {
        let fields = self.fields_of(&connection)?;
        let realm = realm(&connection.host, &fields);
        let provider = self.zone_provider(caller, &connection.host, fields).await?;
        Ok(Opened { host: connection.host.clone(), provider, realm, connection: Some(connection) })
    }

    /// A host with what opens it. The playground needs nothing but the right to it.
    async fn zone_provider(
        &self,
        caller: &Caller,
        host: &str,
        fields: BTreeMap<String, Secret>,
    ) -> Result<Arc<dyn ZoneProvider>> {
        if host == PLAYGROUND {
            self.has_playground(caller).await?;
            if let Some(field) = fields.keys().next() {
                let field: String = field.chars().take(40).collect();
                return Err(Error::field(
                    format!("credential.{field}"),
                    "the playground needs no credential",
                ));
            }
            return Ok(Arc::new(self.playground_host()));
        }
        Ok(Arc::from(self.host_provider(host, fields)?))
    }

    /// Keeps a credential, when the host takes it and shows the zone with it. For one domain, host and zone there is one: a
    /// newer one takes its place.
    ///
    /// # Errors
    /// `Host` with what the host said.
    pub async fn add_connection(&self, caller: &Caller, new: NewConnection) -> Result<DnsConnection> {
        caller.require(Scope::WriteDns)?;
        if let Some(id) = caller.made_before(ConnectionId::from_parts)
            && let Ok(made) = self.connection(caller, id).await
        {
            return Ok(made);
        }
        checked(&new.keep)?;
        let (name, of_domain) = match (new.domain_id, &new.zone) {
            (Some(id), None) => {
                let domain = self.stored_domain(caller, id).await?;
                (domain.name, Some(domain.tenant_id))
            }
            // Without a domain it is for all of the zone.
            (None, Some(_)) if caller.allowed_domain_ids.is_some() => return Err(Error::KeyIsLimited),
            (None, Some(zone)) => (zone.clone(), None),
            _ => return Err(Error::field("zone", "give either domain_id or zone")),
        };
        let provider = self.zone_provider(caller, &new.host, new.fields.clone()).await?;
        let zone = looked_through(provider.as_ref(), &name, new.zone.as_ref()).await.map_err(Error::Host)?;
        // A tenant that is new is made for what is kept, and for nothing else.
        let tenant_id = match of_domain {
            Some(tenant_id) => tenant_id,
            None => self.tenant_for_new(caller, new.tenant_id).await?,
        };
        let now = self.clock.now();
        let id = caller.id_or(ConnectionId::from_parts, self.random.connection_id(now));
        let made = DnsConnection {
            id,
            org_id: caller.org_id,
            tenant_id,
            domain_id: new.domain_id,
            hint: hint(&new.host, &new.fields),
            secret: self.sealed_fields(id, &new.fields)?,
            host: new.host,
            zone,
            label: new.keep.label.trim().to_owned(),
            repair: new.keep.repair,
            created_by: made_by(caller),
            created_at: now,
            last_used_at: Some(now),
            last_error: None,
        };
        self.store_connection(caller, &made).await?;
        Ok(made)
    }

    /// Keeps the credential of a request for its domain, since the host showed the zone with it.
    pub(crate) async fn keep_given(
        &self,
        caller: &Caller,
        credential: &Credential,
        keep: &Keep,
        domain: &store::Domain,
        zone: &DomainName,
    ) -> Result<DnsConnection> {
        let Credential::Given { host, fields } = credential else {
            return Err(Error::field("keep", "this credential is kept already"));
        };
        checked(keep)?;
        let now = self.clock.now();
        let id = self.random.connection_id(now);
        let made = DnsConnection {
            id,
            org_id: domain.org_id,
            tenant_id: domain.tenant_id,
            domain_id: Some(domain.id),
            host: host.clone(),
            zone: zone.clone(),
            label: keep.label.trim().to_owned(),
            hint: hint(host, fields),
            repair: keep.repair,
            created_by: made_by(caller),
            created_at: now,
            last_used_at: Some(now),
            last_error: None,
            secret: self.sealed_fields(id, fields)?,
        };
        self.store_connection(caller, &made).await?;
        Ok(made)
    }

    async fn store_connection(&self, caller: &Caller, made: &DnsConnection) -> Result<()> {
        let audit =
            self.audit_entry(caller, "dns_connection.created", &made.id, &described(made), made.created_at);
        match (self.store.add_connection(made, &audit).await, made.domain_id) {
            (Err(StoreError::NotFound(_)), Some(id)) => {
                Err(Error::NotFound { noun: "domain", id: id.to_string() })
            }
            (other, _) => Ok(other?),
        }
    }

    fn sealed_fields(&self, id: ConnectionId, fields: &BTreeMap<String, Secret>) -> Result<store::Hidden> {
        let text = as_json(fields)?;
        let sealed = self.vault.seal(&bound_to(id), &text, &self.random);
        sealed.map(Into::into).map_err(|error| Error::Internal(error.to_string()))
    }

    /// What a kept credential opens its host with.
    fn fields_of(&self, connection: &DnsConnection) -> Result<BTreeMap<String, Secret>> {
        let opened = self.vault.open(&bound_to(connection.id), &connection.secret);
        let opened = opened.map_err(|error| Error::Internal(format!("{}: {error}", connection.id)))?;
        serde_json::from_slice(&opened)
            .map_err(|_| Error::Internal(format!("{}: the kept credential is damaged", connection.id)))
    }

    /// A kept credential that the caller sees.
    pub async fn connection(&self, caller: &Caller, id: ConnectionId) -> Result<DnsConnection> {
        caller.require(Scope::WriteDns)?;
        self.store.get_connection(&caller.visible(), id).await.map_err(|error| no_such(error, id))
    }

    /// Those that the caller sees, newest first.
    pub async fn connections(
        &self,
        caller: &Caller,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<DnsConnection>> {
        caller.require(Scope::WriteDns)?;
        Ok(self.store.list_connections(&caller.visible(), after, limit).await?)
    }

    /// Says what a kept credential may be used for by itself.
    pub async fn change_connection(
        &self,
        caller: &Caller,
        id: ConnectionId,
        repair: RepairMode,
    ) -> Result<DnsConnection> {
        let connection = self.connection(caller, id).await?;
        let changed = DnsConnection { repair, ..connection };
        let now = self.clock.now();
        let audit = self.audit_entry(caller, "dns_connection.changed", &id, &described(&changed), now);
        let done = self.store.set_connection_repair(&caller.visible(), id, repair, &audit).await;
        done.map_err(|error| no_such(error, id))?;
        Ok(changed)
    }

    /// Asks the host whether it takes a kept credential still. What it says is in `last_error`; one that it takes again is
    /// used by itself again.
    ///
    /// # Errors
    /// `Host` where nobody knows, since the host does not answer.
    pub async fn check_connection(&self, caller: &Caller, id: ConnectionId) -> Result<DnsConnection> {
        let connection = self.connection(caller, id).await?;
        let (zone, opened) = (connection.zone.clone(), self.open_kept(caller, connection).await?);
        let asked = looked_through(opened.provider.as_ref(), &zone, Some(&zone)).await;
        let refused = match asked {
            Err(error) if !is_against(&error, &zone) => return Err(Error::Host(error)),
            other => other.err(),
        };
        let now = self.clock.now();
        let data = json!({"zone": zone, "good": refused.is_none()});
        let audit = self.audit_entry(caller, "dns_connection.checked", &id, &data, now);
        let words = refused.as_ref().map(written).transpose()?;
        self.store.note_connection_use(id, now, words.as_deref(), &audit).await?;
        self.connection(caller, id).await
    }

    /// Deletes a kept credential, its secret with it.
    pub async fn delete_connection(&self, caller: &Caller, id: ConnectionId) -> Result<()> {
        let connection = self.connection(caller, id).await?;
        let now = self.clock.now();
        let audit = self.audit_entry(caller, "dns_connection.deleted", &id, &described(&connection), now);
        let deleted = self.store.delete_connection(&caller.visible(), id, &audit).await;
        deleted.map_err(|error| no_such(error, id))
    }

    /// Notes that a kept credential was used, and what the host said against it. A host that does not answer says nothing
    /// about it. That it fails is told once.
    pub(crate) async fn note_use(&self, opened: &Opened, refused: Option<&HostError>) -> Result<()> {
        let Some(connection) = &opened.connection else { return Ok(()) };
        let now = self.clock.now();
        match refused {
            Some(error) if is_against(error, &connection.zone) => {
                let events = if connection.last_error.is_some() {
                    Vec::new()
                } else {
                    vec![self.failed_event(connection, error, now)]
                };
                let words = written(error)?;
                self.store.note_connection_use(connection.id, now, Some(&words), &events).await?;
            }
            Some(_) => {}
            None => {
                let is_news = connection.last_error.is_some()
                    || connection.last_used_at.is_none_or(|last| now.duration_since(last) > NOTED_EVERY);
                if is_news {
                    self.store.note_connection_use(connection.id, now, None, &[]).await?;
                }
            }
        }
        Ok(())
    }

    fn failed_event(&self, connection: &DnsConnection, error: &HostError, now: Timestamp) -> NewEvent {
        let data = json!({
            "connection_id": connection.id, "host": connection.host, "zone": connection.zone,
            "domain_id": connection.domain_id, "error": Error::Host(error.clone()).to_string(),
        });
        let subject = connection.domain_id.map_or_else(|| connection.id.to_string(), |id| id.to_string());
        self.event(connection.org_id, "dns_connection.failed", subject, &data, now)
    }
}

/// The fields as JSON, in memory that is overwritten.
pub(crate) fn as_json(fields: &BTreeMap<String, Secret>) -> Result<Zeroizing<Vec<u8>>> {
    let exposed: BTreeMap<&str, &str> =
        fields.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let text = serde_json::to_vec(&exposed).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Zeroizing::new(text))
}

fn made_by(caller: &Caller) -> Option<String> {
    match caller.actor {
        Actor::Key(id) => Some(id.to_string()),
        Actor::User(id) => Some(id.to_string()),
        Actor::System | Actor::Visitor => None,
    }
}

fn no_such(error: StoreError, id: ConnectionId) -> Error {
    match error {
        StoreError::NotFound(_) => Error::NotFound { noun: "DNS connection", id: id.to_string() },
        other => other.into(),
    }
}

fn checked(keep: &Keep) -> Result<()> {
    if keep.label.chars().count() > MOST_LABEL || keep.label.contains(char::is_control) {
        let message = format!("is one line of at most {MOST_LABEL} characters");
        return Err(Error::field("label", message));
    }
    Ok(())
}

/// What the host said, as it is stored.
fn written(error: &HostError) -> Result<String> {
    serde_json::to_string(error).map_err(|error| Error::Internal(error.to_string()))
}

/// What the host said against a kept credential the last time.
pub fn refusal_of(connection: &DnsConnection) -> Option<HostError> {
    let text = connection.last_error.as_deref()?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| HostError::bare(Refusal::Unexpected { status: None })))
}

/// The zone of a name, read once, so that a host that tells its zones to anybody is asked something that it does not.
async fn looked_through(
    host: &dyn ZoneProvider,
    name: &DomainName,
    told: Option<&DomainName>,
) -> std::result::Result<DomainName, HostError> {
    let handle = host.find_zone(name, told).await?;
    let names = BTreeSet::from([handle.apex.clone()]);
    host.list(&handle, &names).await?;
    Ok(handle.apex)
}

/// Whether it is the credential that does not do, and not the moment, or a zone that it is not for.
fn is_against(error: &HostError, zone: &DomainName) -> bool {
    match &error.refusal {
        Refusal::CredentialInvalid
        | Refusal::CredentialExpired
        | Refusal::CredentialNotFromHere
        | Refusal::AccessMissing { .. } => true,
        Refusal::ZoneNotFound { tried } => tried.is_empty() || tried.contains(zone),
        _ => false,
    }
}

/// What people know a credential by: the last characters of its first secret.
fn hint(host: &str, fields: &BTreeMap<String, Secret>) -> String {
    let known = WRITABLE.iter().find(|known| known.host == host);
    let secret = known.and_then(|known| known.fields.iter().find(|field| field.is_secret));
    secret.and_then(|field| fields.get(field.name)).map(Secret::hint).unwrap_or_default()
}

/// What the audit log has of it.
fn described(connection: &DnsConnection) -> serde_json::Value {
    json!({
        "host": connection.host, "zone": connection.zone, "label": connection.label,
        "domain_id": connection.domain_id, "tenant_id": connection.tenant_id,
        "repair": connection.repair.as_str(),
    })
}

//! `--tenant`: that a name with a slip makes no tenant.

use super::{Failure, ServerArgs, http::Client, items};

/// Whether the tenant may be a new one.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct NewTenantArgs {
    /// Make the tenant that --tenant names where it is not there yet
    #[arg(long)]
    create_tenant: bool,
}

/// Refuses a tenant that is not there, unless a new one is wanted.
pub async fn check(server: &ServerArgs, client: &Client, new: &NewTenantArgs) -> Result<(), Failure> {
    let Some(tenant) = server.tenant.as_deref().filter(|_| !new.create_tenant) else { return Ok(()) };
    // The request is narrowed to the tenant: the list has that one, or none.
    match client.get("/tenants").await {
        Ok(list) if items(&list).is_empty() => Err(Failure::Refused(format!(
            "there is no tenant {tenant} that this key may see; nothing was made\n\
             `countersign tenants list` shows those that there are. Where it is to be a new one, add --create-tenant."
        ))),
        Ok(_) => Ok(()),
        Err(Failure::Refused(text)) if text.contains("(SCOPE_MISSING)") => Err(Failure::Refused(format!(
            "this key may not look whether there is a tenant {tenant} (it lacks read:domains); nothing was made\n\
             Where you are sure of its name, add --create-tenant: it makes the tenant only where it is not there."
        ))),
        Err(failure) => Err(failure),
    }
}

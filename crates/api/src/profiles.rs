//! `/profiles`: which records can be asked of a domain.

use crate::{auth::Authenticated, list::List};
use app::{
    App,
    diagnosis::profile::{Profile, ProfileRecord},
};
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_profiles))
}

/// A set of records to ask of a domain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
struct ProfileObject {
    /// Always `profile`.
    #[schema(example = "profile")]
    object: &'static str,
    /// What to give as `profile` when a domain is added.
    #[schema(example = "three-cname")]
    name: String,
    /// For people.
    title: String,
    /// For people.
    description: String,
    /// Whether a domain gets it that is added without naming one.
    default: bool,
    /// How many DKIM keys a domain of it has.
    dkim_keys: usize,
    /// Its records, variables as `%name%`.
    records: Vec<ProfileRecordObject>,
}

/// A record of a profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfileRecord)]
struct ProfileRecordObject {
    /// What it is for. Open: there may be more.
    #[schema(example = "dkim")]
    purpose: &'static str,
    /// The record type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: &'static str,
    /// Where, relative to the domain; `@` is the domain itself.
    host: String,
    /// The value; of an SPF record the mechanisms to have in it.
    value: String,
    /// In seconds.
    ttl: u32,
    /// Whether a domain is verified only with it.
    required: bool,
    /// For people.
    explanation: String,
}

fn object(profile: &Profile, default: &str) -> ProfileObject {
    ProfileObject {
        object: "profile",
        name: profile.name.clone(),
        title: profile.title.clone(),
        description: profile.description.clone(),
        default: profile.name == default,
        dkim_keys: profile.dkim_keys,
        records: profile.records.iter().map(record).collect(),
    }
}

fn record(record: &ProfileRecord) -> ProfileRecordObject {
    let (record_type, value) = record.kind.type_and_value();
    ProfileRecordObject {
        purpose: record.purpose.as_str(),
        record_type,
        host: record.host.clone(),
        value,
        ttl: record.ttl.fixed().unwrap_or(3600),
        required: record.required,
        explanation: record.explanation.clone(),
    }
}

/// Lists the profiles.
#[utoipa::path(
    get, path = "/profiles", tag = "profiles",
    security(("api_key" = [])),
    responses((status = 200, description = "All profiles.", body = List<ProfileObject>))
)]
async fn list_profiles(State(app): State<Arc<App>>, _: Authenticated) -> axum::Json<List<ProfileObject>> {
    let settings = app.settings();
    let profiles = settings.profiles.iter().map(|profile| object(profile, &settings.default_profile));
    axum::Json(List::whole(profiles.collect()))
}

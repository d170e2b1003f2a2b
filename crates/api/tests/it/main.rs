//! The routes as a client meets them: a whole platform on a database of its own, without listeners and tasks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod checks;
mod domains;
mod edge;
mod emails;
mod events;
mod fresh;
mod guards;
mod hostile_json;
mod keys;
mod limits;
mod platform;
mod playground;
mod repeats;
mod tenants;
mod webhooks;

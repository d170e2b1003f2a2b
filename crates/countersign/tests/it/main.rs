//! The platform as its users see it: by API, SMTP, DNS, pages and the command line, over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says so"
)]

mod audit;
mod backup;
mod bad_input;
mod change_sets;
mod check;
mod check_bulk;
mod check_over_the_wire;
mod check_senders;
mod check_strangers;
mod check_watch;
mod checks;
mod claims;
mod client;
mod client_keys;
mod client_nouns;
mod command_line;
mod contacts;
mod delegated;
mod dns_connections;
mod dns_hosts;
mod dns_server;
mod doctor;
mod domain_connect;
mod domains;
mod drift;
mod durability;
mod emails;
mod exports;
mod headers;
mod holders;
mod hostile_http;
mod independent_verifier;
mod key_imports;
mod killed;
mod lifecycle;
mod login;
mod logs;
mod main_job;
mod master_key;
mod nodes;
mod notices;
mod oidc;
mod operations;
mod packaging;
mod pages;
mod pages_keys;
mod people;
mod postgres;
#[path = "../../../store/tests/it/postgres_server.rs"]
mod postgres_server;
mod readiness;
mod reputation;
mod root_keys;
mod rotation;
mod sandbox_domain;
mod secrets;
mod serve;
mod setup_links;
mod smtp_in;
mod support;
mod suppressions;
mod tenants;
mod token_hosts;
mod traces;
mod unruly_hosts;
mod warmup;
mod watching;
mod webhooks;
mod write_pages;

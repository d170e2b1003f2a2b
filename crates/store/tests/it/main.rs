//! The conformance suite of the store: functions that take a `&Store` and know nothing of the database behind it,
//! run on SQLite and on PostgreSQL, and a few tests of what only a file on a disk (`sqlite.rs`) and what only a
//! server with many clients (`postgres.rs`) can do.
//!
//! On SQLite each function is a test. On PostgreSQL they are one test, since a server takes longer to start than all
//! of them take to run; each has a database of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic; the lint knows only functions that are marked as tests"
)]

mod audit;
mod checks;
mod claims;
mod contacts;
mod domains;
mod feed;
mod holders;
mod idempotency;
mod key_feed;
mod key_rotation;
mod keys;
mod messages;
mod playground;
mod postgres;
mod postgres_server;
mod publishing;
mod races;
mod reputation;
mod sandbox;
mod seed;
mod sqlite;
mod suppressions;
mod sweeps;
mod users;
mod visible;
mod warmup;
mod webhooks;

macro_rules! conformance {
    ($($module:ident: $($name:ident),*;)*) => {
        $(
            mod $module {
                mod on_sqlite {
                    $(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                        async fn $name() {
                            let database = crate::seed::Database::new().await;
                            crate::$module::$name(&database.store).await;
                        }
                    )*
                }
            }
        )*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_postgres() {
            let Some(server) = crate::postgres_server::Server::start_or_skip("store::conformance::on_postgres")
            else {
                return;
            };
            let mut failed = Vec::new();
            $($(
                let name = concat!(stringify!($module), "_", stringify!($name));
                // PostgreSQL cuts names at 63 bytes.
                let url = server.database(&name[..name.len().min(63)]);
                let case = tokio::spawn(async move {
                    let store = store::Store::connect(&url, store::StoreOptions::default()).await.unwrap();
                    crate::$module::$name(&store).await;
                    store.close().await;
                });
                if case.await.is_err() {
                    failed.push(name);
                }
            )*)*
            assert!(failed.is_empty(), "on PostgreSQL: {failed:?}");
        }
    };
}

mod conformance {
    conformance! {
        domains: a_domain_reads_back_as_it_was_added, a_failed_creation_leaves_nothing,
            a_name_is_taken_once_per_organisation, deleting_frees_name_and_selectors,
            lists_page_filter_and_keep_to_the_organisation, pokes_reach_names_at_and_below_an_apex,
            a_disabled_domain_is_not_due;
        checks: a_check_is_stored_whole, a_stale_check_changes_nothing, a_poke_during_a_check_is_not_lost,
            what_changed_is_kept_and_what_did_not_takes_the_place_of_the_last, a_deleted_domain_takes_no_check,
            what_is_remembered_of_breaks_reads_back,
            late_domains_go_to_their_next_place_once_and_hurried_ones_come_first,
            outcomes_are_summed_over_nodes_and_the_brake_is_one;
        holders: a_name_has_one_holder_whoever_is_quicker, a_claim_moves_the_hold_whole_or_not_at_all,
            of_two_claimers_one_gets_the_name, a_name_that_was_claimed_away_is_not_switched_on, a_claim_begins_once_and_ends;
        audit: a_line_is_there_with_its_change_or_not_at_all, the_log_is_filtered_and_paged;
        idempotency: the_first_answer_is_kept, of_several_at_once_one_gets_it,
            old_requests_are_swept_and_no_younger_or_running_one,
            each_organisation_has_its_own_bound_and_pushes_out_nobody;
        reputation: what_became_of_mail_is_counted_by_domain_tenant_and_day, who_is_resumed_is_judged_anew,
        a_tenant_is_resumed_with_all_its_domains, what_is_held_waits_until_its_domain_goes_on, a_complaint_is_counted_once_and_suppresses;
    suppressions: what_is_suppressed_is_not_accepted, each_tenant_has_its_own;
        contacts: a_contact_and_the_mail_that_asks_it_are_stored_together,
            an_address_is_asked_once_a_day_however_it_is_written, who_is_asked_again_has_another_link, who_sees_a_part_learns_nothing_of_the_rest;
        claims: no_domain_is_claimed_twice, a_lease_ends, no_delivery_is_claimed_twice,
            a_lost_lease_finishes_nothing;
        feed: a_poller_misses_nothing_under_parallel_writers, the_feed_is_narrowed_and_filtered,
            a_commit_wakes_whoever_numbers;
        messages: a_message_goes_through_the_queue, nothing_is_accepted_for_a_deleted_domain,
            messages_page_newest_first;
        visible: lists_are_narrowed_before_they_are_paged, tenants_are_found_or_made_once,
            keys_see_those_that_are_no_wider, a_key_is_replaced_once_and_counted,
            keys_of_many_domains_come_at_once;
        sweeps: who_fell_behind_the_events_that_are_kept_is_told,
            deliveries_go_when_they_are_over_with_their_attempts, the_audit_log_goes_by_its_age,
            uses_of_keys_are_noted_together;
        warmup: a_message_past_the_cap_is_refused_whole, parallel_messages_never_pass_the_cap,
            days_and_domains_are_counted_apart, the_warm_up_begins_once;
        sandbox: the_inbox_is_bounded, authentication_is_put_off_and_stored, the_inbox_lists_by_recipient;
        publishing: a_zone_has_one_writer, the_ledger_moves_with_its_change_set, change_sets_are_narrowed,
            connections_are_narrowed_and_go_with_their_secret, playground_changes_are_all_or_none;
        playground: every_edit_moves_serial_and_generation, zones_and_records_are_limited,
            zones_come_with_their_records;
        key_feed: any_order_of_changes_and_readers_comes_to_the_same, a_change_is_read_alone,
            keys_of_the_platforms_own_domains_are_told_apart, another_configuration_of_the_zone_is_a_change,
            a_zone_is_held_until_its_holder_lapses;
        key_rotation: a_key_beside_comes_once, a_key_takes_a_place_in_whole_steps, a_key_beside_goes_whole,
            what_somebody_else_may_have_goes_in_the_turn, who_changes_the_same_keys_waits_and_none_for_each_other;
        keys: key_changes_are_numbered_apart, keys_rotate_in_whole_steps, text_with_nul_is_kept, the_first_organisation_is_one,
            api_keys_are_found_until_revoked, one_key_signs_links_to_dns_hosts, settings_keep_the_first_value, debug_output_has_no_secrets,
            the_pool_gives_its_oldest_keys, events_page_and_expire, organisations_are_found, writing_works;
        users: the_last_owner_stays, a_role_counts_when_it_is_used, an_invitation_ends_with_the_rights_of_who_sent_it,
            an_invitation_ends_with_the_last_key_of_who_sent_it,
            who_is_locked_out_gets_another_password, links_are_used_once_and_end,
            sessions_end_with_time_membership_and_password, a_login_under_way_ends_with_the_password,
            the_first_owner_is_made_once;
        webhooks: deliveries_are_made_for_those_who_want_them, a_claim_is_fenced, a_busy_webhook_is_passed_over,
            a_disabled_webhook_gets_nothing_more, a_webhook_that_was_reached_meanwhile_is_not_disabled, events_are_replayed,
            what_comes_of_a_span_goes_on_with_it;
        races: keys_of_the_pool_are_given_once, messages_and_deleting_wait_for_each_other, the_inbox_stays_bounded;
    }
}

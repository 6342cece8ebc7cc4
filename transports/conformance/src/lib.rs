//! One suite that every transport passes.
//!
//! A transport's tests name a factory, and every case becomes a test of its own:
//!
//! ```ignore
//! oa_transport_conformance::suite!(async { Fixture::new(Arc::new(MemoryTransport::new()), "") });
//! ```
//!
//! | module | what it is about |
//! |---|---|
//! | [`publishing`] | addresses, confirms, what arrives |
//! | [`settling`] | done, retry, park, release |
//! | [`consuming`] | windows, several consumers, ends of subscriptions |
//! | [`mail`] | tells, asks and retries through a post office, with actors |
//! | [`faulty`] | what must hold when messages are lost, doubled and delayed |
//!
//! Cases wait for events, never for time, except where a delay is what they are about. A case that waits longer than
//! [`SOON`](fixture::SOON) has failed.

pub mod consuming;
pub mod faulty;
pub mod fixture;
pub mod mail;
mod probe;
pub mod publishing;
pub mod settling;

pub use self::fixture::Fixture;

/// Makes a test of every case, each with a fixture of its own from the factory, an `async` block or call.
#[macro_export]
macro_rules! suite {
    ($factory:expr) => {
        $crate::suite!(@cases $factory;
            publishing: a_mailbox_that_nobody_declared_has_no_route,
                declaring_twice_changes_nothing,
                every_field_arrives,
                messages_wait_while_nobody_consumes,
                messages_of_one_publisher_keep_their_order,
                a_long_body_arrives_and_one_above_the_cap_is_refused,
                names_with_all_allowed_characters_work,
                a_transport_that_works_says_so;
            settling: what_is_done_is_not_delivered_again,
                a_retry_comes_again_as_the_next_attempt,
                a_retry_is_held_back,
                a_dropped_settlement_is_a_retry,
                a_release_comes_again_uncounted,
                what_is_parked_is_listed_with_its_reason,
                a_replay_begins_at_the_first_attempt,
                what_is_discarded_is_gone;
            consuming: no_more_than_a_window_is_unsettled,
                two_consumers_share_a_mailbox,
                a_close_waits_for_what_is_in_hand,
                a_close_gives_back_what_is_not_settled_in_time,
                a_dropped_subscription_gives_everything_back,
                a_private_mailbox_goes_with_its_consumer,
                a_private_mailbox_has_one_consumer,
                a_durable_mailbox_outlives_its_consumer;
            mail: a_tell_reaches_the_actor,
                an_ask_is_answered,
                an_ask_gets_the_failure_of_the_handler,
                an_ask_has_a_deadline,
                an_ask_to_nobody_has_no_route,
                a_crash_answers_the_asker,
                a_handler_knows_its_delivery,
                a_failed_delivery_is_retried_then_parked,
                a_failure_without_blame_is_retried_beyond_the_attempts,
                a_permanent_failure_is_parked_at_once,
                a_crash_is_retried,
                the_same_key_is_handled_once,
                an_envelope_that_is_not_trusted_is_parked,
                what_nobody_accepts_is_parked,
                a_newer_version_is_parked,
                a_slow_actor_loses_nothing_and_keeps_the_order,
                a_closed_mailbox_keeps_what_comes_for_the_next;
        );
    };
    (@cases $factory:expr; $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[::tokio::test]
            async fn $case() {
                let fixture: $crate::Fixture = $factory.await;
                $crate::$module::$case(&fixture).await;
            }
        )+)+
    };
}

/// Makes a test of every case that a transport passes which loses, doubles and delays messages.
#[macro_export]
macro_rules! faulty_suite {
    ($factory:expr) => {
        $crate::suite!(@cases $factory;
            faulty: what_was_confirmed_is_handled_once,
                a_publish_that_failed_can_be_repeated,
                an_ask_ends_with_an_answer_or_an_error;
        );
    };
}

//! The conformance kit: what every driver has to fulfil, run against a device of its family.
//!
//! A driver supplies a [`Rig`] and one line:
//!
//! ```text
//! headframe_core::conformance!(whatsminer, whatsminer_rig);
//! ```
//!
//! which becomes a module with one named test per case. The device is a simulated one in memory. Time is tokio's paused
//! clock, so that deadlines cost nothing; every address and random byte comes from the seed.
//!
//! [`run_case`] runs one case by its name, on any runtime: over real sockets and in real time if the rig's context has
//! those. [`AheadClock`] is for such rigs.

mod ahead;
#[cfg(all(feature = "testkit", feature = "store"))]
mod archive;
mod cases;
#[cfg(all(feature = "testkit", feature = "store"))]
mod ext;
mod faults;
#[cfg(all(feature = "testkit", feature = "store"))]
mod fleet;
#[cfg(feature = "testkit")]
mod permits;
mod rig;
mod samples;
mod trace;
mod writes;

pub use ahead::AheadClock;
#[cfg(all(feature = "testkit", feature = "store"))]
pub use archive::MemArchive;
pub use cases::*;
#[cfg(all(feature = "testkit", feature = "store"))]
pub use ext::{MemExtData, MemExtFault, MemPool, MemPoolStyle};
pub use faults::*;
#[cfg(all(feature = "testkit", feature = "store"))]
pub use fleet::{MemFault, MemFleet, MemRack};
#[cfg(feature = "testkit")]
pub use permits::permit_of;
#[cfg(feature = "testkit")]
pub use rig::run;
pub use rig::{Rig, RigFault, RigTruth, WriteFault};
pub use samples::sample;
pub use trace::TraceNet;
pub use writes::*;

/// The names of all cases.
pub const CASES: &[&str] = crate::conformance! { @all names };

/// Runs the case of this name, which panics when it fails. Gives whether there is such a case.
pub async fn run_case(name: &str, rig: impl Rig) -> bool {
    crate::conformance! { @all run name rig }
    true
}

/// Expands to a module `$name` with one test per case of the conformance kit. `$start` is an
/// `async fn(Ctx, MemNet) -> impl Rig`: it starts the simulated device on that network.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $start:ident) => {
        $crate::conformance! { @all tests $name $start }
    };
    (@all $for:ident $($with:ident)*) => {
        $crate::conformance! { @$for $($with)*;
            info_is_well_formed,
            recognises_its_own_device_and_no_other,
            wrong_password_is_told,
            snapshot_is_the_devices_truth,
            absent_members_have_a_reason,
            slow_values_are_at_most_ten_minutes_old,
            every_command_is_executed_once_and_shows,
            other_commands_send_nothing,
            arguments_out_of_range_send_nothing,
            a_lost_reply_is_never_a_second_write,
            a_device_that_only_says_yes_is_not_believed,
            a_write_for_another_device_sends_nothing,
            settings_changed_meanwhile_are_not_overwritten,
            refused_connection_is_unreachable,
            hanging_device_is_a_timeout,
            slow_replies_end_at_the_deadline,
            cut_replies_are_typed_errors,
            garbage_is_a_bad_reply,
            half_json_is_a_bad_reply,
            endless_replies_are_bounded,
            a_device_recovers_after_a_fault,
            secrets_do_not_show,
            a_hundred_snapshots_at_once,
            same_seed_same_bytes,
            connections_are_closed_unless_kept,
            the_direct_handle_reads_too,
        }
    };
    (@tests $name:ident $start:ident; $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[test]
                fn $case() {
                    $crate::testkit::run(|cx, net| async move {
                        $crate::testkit::$case(super::$start(cx, net).await).await;
                    });
                }
            )+
        }
    };
    (@names; $($case:ident),+ $(,)?) => {
        &[$(stringify!($case)),+]
    };
    (@run $wanted:ident $rig:ident; $($case:ident),+ $(,)?) => {
        match $wanted {
            $(stringify!($case) => $crate::testkit::$case($rig).await,)+
            _ => return false,
        }
    };
}

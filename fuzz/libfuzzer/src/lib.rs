//! Each program in `src/bin` is one target of `headframe-fuzz` under libFuzzer.

pub use headframe_fuzz::run;
pub use libfuzzer_sys;

/// Ends the program at any panic, also one that a task of its own would swallow, but for those of the store's engine,
/// which the store turns into errors.
pub fn end_at_panics() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
        if headframe_fuzz::counts(info) {
            std::process::abort();
        }
    }));
}

/// The program of a target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::end_at_panics(),
            |data: &[u8]| $crate::run($name, data)
        );
    };
}

//! Why a case failed. A failed case panics: that is told to who asked, and not on the error output.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    path::Path,
    sync::Once,
};

use crate::guard::why;

thread_local! {
    static IN_CASE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a case says when it fails, and where in the kit.
pub(super) fn of(case: impl FnOnce()) -> Option<String> {
    listen();
    IN_CASE.set(true);
    let ended = catch_unwind(AssertUnwindSafe(case));
    IN_CASE.set(false);
    let payload = ended.err()?;
    Some(format!("{} ({})", why(&*payload), PLACE.take()))
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IN_CASE.get() {
                return usual(panic);
            }
            let place = panic.location().map(|at| {
                let file = Path::new(at.file()).file_name().unwrap_or_default();
                format!("{}:{}", file.display(), at.line())
            });
            PLACE.set(place.unwrap_or_default());
        }));
    });
}

use headframe::action::Watch;
use headframe_binding::{actions, held::Held};
use pyo3::prelude::*;
use tokio::sync::Mutex;

use crate::{call::Call, process::Owned, told::Plain};

/// A reader of what becomes of actions.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeWatch(Owned<Held<Mutex<Watch>>>);

impl NativeWatch {
    pub fn new(watch: Watch) -> Self {
        Self(Owned::new(Held::new(Mutex::new(watch))))
    }
}

#[pymethods]
impl NativeWatch {
    /// The next change; None at the end.
    fn next(&self, py: Python<'_>) -> Call {
        let next = self.0.with(|watch| async move { Ok(actions::next(&mut *watch.lock().await).await) });
        // An error says that it was closed.
        Call::new(py, async move { Ok(next.await.ok().transpose()?.flatten().map(Plain)) })
    }

    /// Ends it; whoever waits for the next gets None.
    fn close(&self, py: Python<'_>) -> Call {
        let taken = self.0.take();
        Call::new(py, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

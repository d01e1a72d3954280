use headframe::action::Watch;
use headframe_binding::{actions, held::Held};
use pyo3::prelude::*;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    ahead::Ahead,
    call::Call,
    process::Owned,
    told::{plain, raise, tell},
};

/// A reader of what becomes of actions.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeWatch(Owned<Held<Mutex<Changes>>>);

type Changes = Ahead<Watch, headframe::Result<Value>>;

impl NativeWatch {
    pub fn new(watch: Watch) -> Self {
        Self(Owned::new(Held::new(Mutex::new(Ahead::new(watch)))))
    }
}

#[pymethods]
impl NativeWatch {
    /// Waits for a change; False at the end. Nothing is taken: a wait that is given up loses nothing.
    fn ready(&self, py: Python<'_>) -> Call {
        let ready = self.0.with(|watch| async move {
            let next = async |watch: &mut Watch| actions::next(watch).await.transpose();
            Ok(watch.lock().await.ready(next).await)
        });
        // An error says that it was closed.
        Call::new(py, async move { Ok(ready.await.unwrap_or(false)) })
    }

    /// The change that is there; None when there is none, or somebody else waits.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let take = |watch: &Mutex<Changes>| watch.try_lock().ok()?.take();
        let taken = tell(py, || Ok(self.0.now(take).ok().flatten()))?;
        taken.transpose().map_err(|e| raise(py, &e))?.map(|change| plain(py, &change)).transpose()
    }

    /// Ends it; whoever waits for the next is told of the end.
    fn close(&self, py: Python<'_>) -> Call {
        let taken = self.0.take();
        Call::new(py, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

//! A whole site.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use headframe::{Error, ErrorKind, action::Engine, io::Ctx, query::Query, site::Site};
use headframe_binding::{
    actions::{self, person},
    asked::{Who, read},
    held::Held,
    site as asks,
};
use pyo3::prelude::*;

use crate::{
    actions::NativeWatch,
    call::Call,
    process::Owned,
    readings::NativeReadings,
    table,
    told::{Class, Long, Plain, plain, tell},
};

/// Sites that are open, to be ended with the interpreter.
static OPEN: Mutex<Vec<Weak<Held<Site>>>> = Mutex::new(Vec::new());

/// A site.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct NativeSite(Owned<Arc<Held<Site>>>);

impl NativeSite {
    pub fn new(site: Site) -> Self {
        let held = Arc::new(Held::new(site));
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|site| site.strong_count() > 0);
        open.push(Arc::downgrade(&held));
        Self(Owned::new(held))
    }

    fn engine<T, F, W>(&self, py: Python<'_>, work: W) -> Call
    where
        T: crate::told::Give,
        F: Future<Output = headframe::Result<T>> + Send + 'static,
        W: FnOnce(Engine) -> F + Send + 'static,
    {
        Call::new(py, self.0.with(|site| work(site.actions().clone())))
    }
}

/// Ends all sites that are open, within so long.
pub async fn end_all(within: Duration) {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let ends = open.iter().filter_map(Weak::upgrade).map(|site| {
        tokio::spawn(async move {
            if let Some(site) = site.take().await
                && let Err(e) = site.shutdown(within).await
            {
                eprintln!("headframe: a site did not end in order: {e}");
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    // What a site needs to write its history comes on top of the time for its work.
    let all = async {
        for end in ends {
            let _ended = end.await;
        }
        Ok(())
    };
    let _in_time = Ctx::system().deadline_in(within * 2).within("site.close", all).await;
}

#[pymethods]
impl NativeSite {
    /// Calls one of MiningOS's methods; who and parameters are JSON.
    fn call(&self, py: Python<'_>, who: String, method: String, params: String) -> Call {
        Call::new(
            py,
            self.0.with(|site| async move {
                let who = read::<Who>("who", &who)?.principal()?;
                Long::of(site.orchestrator().call(&who, &method, &params).await?)
            }),
        )
    }

    /// Registers things in a rack, JSON; gives for each its record or the error.
    fn register(&self, py: Python<'_>, rack: String, things: String, by: String) -> Call {
        Call::new(
            py,
            self.0.with(|site| async move {
                Long::of(asks::register(&site, &rack, read("things", &things)?, &by).await?)
            }),
        )
    }

    /// Looks at a range of addresses and registers what is there; gives a report.
    fn find(&self, py: Python<'_>, range: String, options: String, by: String) -> Call {
        Call::new(
            py,
            self.0.with(|site| async move {
                asks::find(&site, &range, &read("options", &options)?, &by).await.map(Plain)
            }),
        )
    }

    /// Lists things by a query, JSON.
    fn list(&self, py: Python<'_>, query: String) -> Call {
        Call::new(
            py,
            self.0.with(|site| async move { Long::of(site.list(&Query::parse_str(&query)?).await?) }),
        )
    }

    /// All readings from now on; a reader that is slower is told how many it missed.
    fn subscribe(&self, py: Python<'_>, capacity: usize) -> PyResult<NativeReadings> {
        tell(py, || self.0.now(|site| NativeReadings::new(site.subscribe(capacity))))
    }

    /// One number of things over time, by a question in JSON.
    fn series(&self, py: Python<'_>, query: String) -> Call {
        Call::new(py, self.0.with(|site| async move { Long::of(asks::series(&site, &query).await?) }))
    }

    /// The same as a table.
    fn series_table(&self, py: Python<'_>, query: String) -> Call {
        Call::new(py, self.0.with(|site| async move { table::series(&site, &query).await.map(Class) }))
    }

    /// Readings of things as a table, by a question in JSON.
    fn readings(&self, py: Python<'_>, query: String) -> Call {
        Call::new(py, self.0.with(|site| async move { table::readings(&site, &query).await.map(Class) }))
    }

    /// Copies the site into an empty folder while it runs; gives what was copied.
    fn backup(&self, py: Python<'_>, folder: String) -> Call {
        Call::new(py, self.0.with(|site| async move { site.backup(Path::new(&folder)).await.map(Plain) }))
    }

    /// How the collectors do.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &tell(py, || self.0.now(Site::counts))?)
    }

    /// Its id.
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        tell(py, || self.0.now(|site| site.id().to_owned()))
    }

    /// Ends it in order; gives what became of its work, or None when that was done before.
    fn close(&self, py: Python<'_>, within_ms: u32) -> Call {
        let taken = self.0.take();
        let within = Duration::from_millis(within_ms.into());
        let ended = async move {
            let Some(site) = taken.await else { return Ok(None) };
            site.shutdown(within).await.map(Plain).map(Some)
        };
        // Whoever gives up waiting leaves no site that is half ended.
        Call::new(py, async move {
            tokio::spawn(ended).await.map_err(|e| {
                Error::new(ErrorKind::Internal, "site.close", "it came to a bad end").caused_by(e)
            })?
        })
    }

    /// Proposes a write, JSON; gives its id and the errors.
    fn push(&self, py: Python<'_>, draft: String, by: String) -> Call {
        self.engine(py, |engine| async move { actions::push(&engine, &draft, &by).await.map(Plain) })
    }

    /// What a push would do; nothing is stored.
    fn preview(&self, py: Python<'_>, draft: String, by: String) -> Call {
        self.engine(py, |engine| async move { actions::preview(&engine, &draft, &by).await.map(Plain) })
    }

    /// Votes on an action; gives it.
    fn vote(&self, py: Python<'_>, id: String, ballot: String, by: String) -> Call {
        self.engine(py, |engine| async move { actions::vote(&engine, &id, &ballot, &by).await.map(Plain) })
    }

    /// Cancels an action, takes a vote back, or pauses, resumes or stops what runs. Gives the action.
    fn change(&self, py: Python<'_>, id: String, how: String, why: Option<String>, by: String) -> Call {
        self.engine(py, |engine| async move {
            actions::change(&engine, &id, &how, why.as_deref(), &by).await.map(Plain)
        })
    }

    /// Stops all writes, at once and without a vote.
    fn halt(&self, py: Python<'_>, why: Option<String>, by: String) -> Call {
        self.engine(py, |engine| async move { engine.halt(why.as_deref(), &person(&by)?).await })
    }

    /// One action with its targets, and what became of each; None when there is none.
    fn action(&self, py: Python<'_>, id: String) -> Call {
        self.engine(py, |engine| async move { Ok(actions::get(&engine, &id)?.map(Plain)) })
    }

    /// What becomes of all actions from now on.
    fn watch(&self, py: Python<'_>) -> PyResult<NativeWatch> {
        tell(py, || self.0.now(|site| NativeWatch::new(site.actions().watch())))
    }
}

/// Writes a backup into an empty folder, after all of it was verified; gives what was written.
#[pyfunction]
pub fn restore_site(py: Python<'_>, from_folder: String, to_folder: String) -> Call {
    Call::new(
        py,
        async move { Site::restore(Path::new(&from_folder), Path::new(&to_folder)).await.map(Plain) },
    )
}

//! Calls: one native method serves `await` and whoever waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use headframe::{Result, io::Ctx};
use headframe_binding::guard::settled;
use pyo3::{
    exceptions::{PyRuntimeError, PyStopIteration},
    prelude::*,
};
use tokio::task::AbortHandle;

use crate::{
    inside::Inside,
    process::{is_forked, not_ended, not_forked, runtime, tell_python},
    told::{Give, raise},
};

/// How often whoever waits looks whether a signal came.
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Given = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;
type Work = Pin<Box<dyn Future<Output = Result<Given>> + Send>>;

/// A call, which is done already where it could be answered from memory. It is awaited, or waited for, once.
#[pyclass(frozen, module = "headframe._headframe")]
pub struct Call(Mutex<State>);

enum State {
    Done(PyResult<Py<PyAny>>),
    Waits(Work),
    Taken,
}

impl Call {
    /// Begins a call: it runs until it has to wait for something.
    pub fn new<T: Give>(py: Python<'_>, work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let mut work: Work = Box::pin(async move {
            let given = settled(work).await?;
            Ok(Box::new(move |py: Python<'_>| given.give(py)) as Given)
        });
        let first = not_forked().and_then(|()| {
            py.detach(|| {
                let _entered = runtime()?.enter();
                Ok(work.as_mut().poll(&mut Context::from_waker(Waker::noop())))
            })
        });
        Self(Mutex::new(match first {
            Ok(Poll::Ready(done)) => State::Done(given(py, done)),
            Ok(Poll::Pending) => State::Waits(work),
            Err(e) => State::Done(Err(raise(py, &e))),
        }))
    }

    fn take(&self, py: Python<'_>) -> PyResult<State> {
        let state =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Taken);
        match state {
            State::Done(_) => Ok(state),
            State::Waits(work) => match not_forked() {
                Ok(()) => Ok(State::Waits(work)),
                Err(e) => {
                    left(work);
                    Err(raise(py, &e))
                }
            },
            State::Taken => Err(PyRuntimeError::new_err("the call was awaited already")),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Waits(work) = std::mem::replace(state, State::Taken)
            && is_forked()
        {
            left(work);
        }
    }
}

/// Leaves work as it is in a child that was forked: it would let go of locks, and wake threads, that are the parent's.
fn left(work: Work) {
    std::mem::forget(work);
}

fn given(py: Python<'_>, done: Result<Given>) -> PyResult<Py<PyAny>> {
    let _inside = Inside::enter(py);
    done.map_err(|e| raise(py, &e)).and_then(|given| given(py))
}

#[pymethods]
impl Call {
    fn __await__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = slf.py();
        let work = match slf.get().take(py)? {
            // It answers as its own iterator.
            done @ State::Done(_) => {
                *slf.get().0.lock().unwrap_or_else(PoisonError::into_inner) = done;
                return Ok(slf.into_any());
            }
            State::Waits(work) => work,
            State::Taken => return Err(PyRuntimeError::new_err("the call was awaited already")),
        };
        let future = promised(py, work)?;
        let _inside = Inside::enter(py);
        future.call_method0("__await__")
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.take(py)? {
            State::Done(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            State::Done(Err(e)) => Err(e),
            State::Waits(_) | State::Taken => Err(PyRuntimeError::new_err("the call has to be awaited")),
        }
    }

    /// Waits for it in this thread. A signal, such as Ctrl-C, ends the wait and the call.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut work = match self.take(py)? {
            State::Done(done) => return done,
            State::Waits(work) => work,
            State::Taken => return Err(PyRuntimeError::new_err("the call was awaited already")),
        };
        let threads = runtime().map_err(|e| raise(py, &e))?;
        loop {
            let waited = py.detach(|| threads.block_on(within(&mut work)));
            match waited {
                Some(done) => return given(py, done),
                None => py.check_signals()?,
            }
        }
    }
}

/// What it gives, if that is soon.
async fn within(work: &mut Work) -> Option<Result<Given>> {
    let clock = Ctx::system().clock;
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep_until(clock.mono() + LOOK_EVERY) => None,
    }
}

/// A future of the event loop that runs here; the work goes on beside it, and is given up with it.
fn promised<'py>(py: Python<'py>, work: Work) -> PyResult<Bound<'py, PyAny>> {
    let threads = not_ended().and_then(|()| runtime()).map_err(|e| raise(py, &e))?;
    let _inside = Inside::enter(py);
    let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
    let future = event_loop.call_method0("create_future")?;
    let told = (event_loop.unbind(), future.clone().unbind());
    let task = threads.spawn(async move {
        let done = work.await;
        tell_python(move |py| {
            let (event_loop, future) = told;
            // A loop that was closed meanwhile has nobody who waits.
            let _closed =
                event_loop.call_method1(py, "call_soon_threadsafe", (Answer(Mutex::new(Some(done))), future));
        });
    });
    future.call_method1("add_done_callback", (GivenUp(task.abort_handle()),))?;
    Ok(future)
}

/// Tells a future of Python what became of its call, in the thread of its event loop.
#[pyclass(frozen)]
struct Answer(Mutex<Option<Result<Given>>>);

#[pymethods]
impl Answer {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        let _inside = Inside::enter(py);
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(done) = done else { return Ok(()) };
        if future.call_method0("done")?.is_truthy()? {
            return Ok(());
        }
        match given(py, done) {
            Ok(value) => future.call_method1("set_result", (value,)),
            Err(e) => future.call_method1("set_exception", (e.into_value(py),)),
        }
        .map(drop)
    }
}

/// Ends the work of a future that nobody waits for any more.
#[pyclass(frozen)]
struct GivenUp(AbortHandle);

#[pymethods]
impl GivenUp {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        if !is_forked() {
            self.0.abort();
        }
    }
}

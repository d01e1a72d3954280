use headframe::action::{Engine, Watch};
use headframe_binding::{
    actions::{self, person},
    held::Held,
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use tokio::sync::Mutex;

use super::NativeSite;
use crate::told::{Ours, promise, tell, write};

/// A reader of what becomes of actions.
#[napi]
pub struct NativeWatch(Held<Mutex<Watch>>);

#[napi]
impl NativeWatch {
    /// The next change, JSON; `null` at the end.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn next(&self, env: &Env) -> Result<AsyncBlock<Option<String>>> {
        let next = self.0.with(|watch| async move { Ok(actions::next(&mut *watch.lock().await).await) });
        // An error says that it was closed.
        let done = async move { next.await.ok().transpose()?.flatten().map(|told| write(&told)).transpose() };
        promise(env, done)
    }

    /// Ends it; whoever waits for the next gets `null`.
    #[napi]
    pub fn close(&self, env: &Env) -> Result<AsyncBlock<()>> {
        let taken = self.0.take();
        promise(env, async move {
            drop(taken.await);
            Ok(())
        })
    }
}

#[napi]
impl NativeSite {
    /// Proposes a write, JSON; gives `{id, errors}`.
    #[napi]
    pub fn push(&self, env: &Env, draft: String, by: String) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move { write(&actions::push(&engine, &draft, &by).await?) });
        promise(env, done)
    }

    /// What a push would do, JSON; nothing is stored.
    #[napi]
    pub fn preview(&self, env: &Env, draft: String, by: String) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move { write(&actions::preview(&engine, &draft, &by).await?) });
        promise(env, done)
    }

    /// Votes on an action; gives it.
    #[napi]
    pub fn vote(&self, env: &Env, id: String, ballot: String, by: String) -> Result<AsyncBlock<String>> {
        let done =
            self.engine(|engine| async move { write(&actions::vote(&engine, &id, &ballot, &by).await?) });
        promise(env, done)
    }

    /// Cancels an action, takes a vote back, or pauses, resumes or stops what runs: `how` is `cancel`, `withdraw`, `pause`,
    /// `resume` or `stop`. Gives the action.
    #[napi]
    pub fn change(
        &self,
        env: &Env,
        id: String,
        how: String,
        why: Option<String>,
        by: String,
    ) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move {
            write(&actions::change(&engine, &id, &how, why.as_deref(), &by).await?)
        });
        promise(env, done)
    }

    /// Stops all writes, at once and without a vote.
    #[napi]
    pub fn halt(&self, env: &Env, why: Option<String>, by: String) -> Result<AsyncBlock<()>> {
        let done = self.engine(|engine| async move { engine.halt(why.as_deref(), &person(&by)?).await });
        promise(env, done)
    }

    /// One action with its targets, and what became of each; `null` when there is none.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn action(&self, env: &Env, id: String) -> Result<AsyncBlock<Option<String>>> {
        let done = self
            .engine(|engine| async move { actions::get(&engine, &id)?.map(|view| write(&view)).transpose() });
        promise(env, done)
    }

    /// What becomes of all actions from now on.
    #[napi]
    pub fn watch(&self) -> Result<NativeWatch> {
        tell(|| self.0.now(|site| NativeWatch(Held::new(Mutex::new(site.actions().watch())))))
    }
}

impl NativeSite {
    fn engine<T, F, W>(&self, work: W) -> impl Future<Output = Ours<T>> + use<T, F, W>
    where
        F: Future<Output = Ours<T>>,
        W: FnOnce(Engine) -> F,
    {
        self.0.with(|site| work(site.actions().clone()))
    }
}

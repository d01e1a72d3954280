use headframe::{
    Error, ErrorKind,
    action::{ActionId, Ballot, By, Draft, Engine, Person, Watch, Watched},
};
use napi::{Env, Result, bindgen_prelude::AsyncBlock};
use napi_derive::napi;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::NativeSite;
use crate::held::Held;
use crate::told::{Ours, promise, read, tell, write};

/// A reader of what becomes of actions.
#[napi]
pub struct NativeWatch(Held<Mutex<Watch>>);

#[napi]
impl NativeWatch {
    /// The next change, JSON; `null` at the end.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn next(&self, env: &Env) -> Result<AsyncBlock<Option<String>>> {
        let next = self.0.with(|watch| async move { Ok(watch.lock().await.next().await) });
        let done = async move {
            let told = match next.await.ok().flatten() {
                Some(Watched::Changed(summary)) => write(&summary)?,
                Some(Watched::Missed(missed)) => write(&json!({"missed": missed}))?,
                Some(_) | None => return Ok(None),
            };
            Ok(Some(told))
        };
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
        let done = self.engine(|engine| async move {
            let draft = Draft::from_body(&read::<Value>("draft", &draft)?)?;
            write(&engine.push(draft, &person(&by)?).await?)
        });
        promise(env, done)
    }

    /// What a push would do, JSON; nothing is stored.
    #[napi]
    pub fn preview(&self, env: &Env, draft: String, by: String) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move {
            let draft = Draft::from_body(&read::<Value>("draft", &draft)?)?;
            write(&engine.preview(draft, &person(&by)?).await?)
        });
        promise(env, done)
    }

    /// Votes on an action; gives it.
    #[napi]
    pub fn vote(&self, env: &Env, id: String, ballot: String, by: String) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move {
            let id: ActionId = id.parse()?;
            let ballot = Ballot::from_body(&read::<Value>("ballot", &ballot)?)?;
            engine.vote(id, ballot, &person(&by)?).await?;
            view(&engine, id)
        });
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
            let (id, by, why): (ActionId, By, _) = (id.parse()?, person(&by)?, why.as_deref());
            match how.as_str() {
                "cancel" => engine.cancel(id, &by).await?,
                "withdraw" => engine.withdraw(id, &by).await?,
                "pause" => engine.pause(id, why, &by).await?,
                "resume" => engine.resume(id, &by).await?,
                "stop" => engine.stop(id, why, &by).await?,
                _ => return Err(Error::invalid("action.change", "how", "is no change of an action")),
            };
            view(&engine, id)
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
        let done = self.engine(|engine| async move {
            let view = engine.get(id.parse()?)?;
            view.map(|view| write(&view.0)).transpose()
        });
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

fn person(name: &str) -> Ours<By> {
    Ok(By::new(Person::from_text(name)?))
}

fn view(engine: &Engine, id: ActionId) -> Ours<String> {
    let view = engine.get(id)?;
    let gone = || Error::new(ErrorKind::Internal, "action", "an action is gone").with("action", id);
    write(&view.ok_or_else(gone)?.0)
}

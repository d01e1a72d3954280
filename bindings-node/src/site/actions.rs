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
            let pushed = engine.push(draft, &person(&by)?).await?;
            write(&json!({"id": pushed.id, "errors": pushed.errors}))
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
            let told: Value = read("ballot", &ballot)?;
            let approve = told["approve"].as_bool();
            let approve =
                approve.ok_or_else(|| Error::invalid("action.vote", "approve", "takes true or false"))?;
            let mut ballot = Ballot::new(approve);
            let text = |name: &str| told[name].as_str().map(Into::into);
            (ballot.digest, ballot.client_key, ballot.why) = (text("digest"), text("clientKey"), text("why"));
            engine.vote(id, ballot, &person(&by)?).await?;
            view(&engine, id)
        });
        promise(env, done)
    }

    /// Cancels an action that has not begun; gives it.
    #[napi]
    pub fn cancel(&self, env: &Env, id: String, by: String) -> Result<AsyncBlock<String>> {
        let done = self.engine(|engine| async move {
            let id: ActionId = id.parse()?;
            engine.cancel(id, &person(&by)?).await?;
            view(&engine, id)
        });
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

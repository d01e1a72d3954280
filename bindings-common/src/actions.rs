//! Questions to the action engine.

use headframe::{
    Error, ErrorKind, Result,
    action::{ActionId, Ballot, By, Draft, Engine, Person, Preview, Pushed, Watch, Watched},
};
use serde_json::{Value, json};

use crate::asked::read;

/// Somebody, by name.
///
/// # Errors
/// Those of [`Person::from_text`].
pub fn person(name: &str) -> Result<By> {
    Ok(By::new(Person::from_text(name)?))
}

/// Proposes a write, JSON.
///
/// # Errors
/// Those of the draft and of [`Engine::push`].
pub async fn push(engine: &Engine, draft: &str, by: &str) -> Result<Pushed> {
    let draft = Draft::from_body(&read::<Value>("draft", draft)?)?;
    engine.push(draft, &person(by)?).await
}

/// What a push would do; nothing is stored.
///
/// # Errors
/// As [`push`].
pub async fn preview(engine: &Engine, draft: &str, by: &str) -> Result<Preview> {
    let draft = Draft::from_body(&read::<Value>("draft", draft)?)?;
    engine.preview(draft, &person(by)?).await
}

/// Votes on an action by a ballot in JSON; gives it.
///
/// # Errors
/// Those of the ballot and of [`Engine::vote`].
pub async fn vote(engine: &Engine, id: &str, ballot: &str, by: &str) -> Result<Value> {
    let id: ActionId = id.parse()?;
    let ballot = Ballot::from_body(&read::<Value>("ballot", ballot)?)?;
    engine.vote(id, ballot, &person(by)?).await?;
    view(engine, id)
}

/// Cancels an action, takes a vote back, or pauses, resumes or stops what runs: `how` is `cancel`, `withdraw`, `pause`, `resume`
/// or `stop`. Gives the action.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for another `how`; those of the engine.
pub async fn change(engine: &Engine, id: &str, how: &str, why: Option<&str>, by: &str) -> Result<Value> {
    let (id, by): (ActionId, By) = (id.parse()?, person(by)?);
    match how {
        "cancel" => engine.cancel(id, &by).await?,
        "withdraw" => engine.withdraw(id, &by).await?,
        "pause" => engine.pause(id, why, &by).await?,
        "resume" => engine.resume(id, &by).await?,
        "stop" => engine.stop(id, why, &by).await?,
        _ => return Err(Error::invalid("action.change", "how", "is no change of an action")),
    };
    view(engine, id)
}

/// One action with its targets, and what became of each.
///
/// # Errors
/// Those of the id and of [`Engine::get`].
pub fn get(engine: &Engine, id: &str) -> Result<Option<Value>> {
    Ok(engine.get(id.parse()?)?.map(|view| view.0))
}

fn view(engine: &Engine, id: ActionId) -> Result<Value> {
    let gone = || Error::new(ErrorKind::Internal, "action", "an action is gone").with("action", id);
    Ok(engine.get(id)?.ok_or_else(gone)?.0)
}

/// What becomes of an action next, or how many changes a slow reader missed: `{missed}`. `None` at the end.
///
/// # Errors
/// [`Internal`](ErrorKind::Internal) for what cannot be written as JSON.
pub async fn next(watch: &mut Watch) -> Result<Option<Value>> {
    Ok(Some(match watch.next().await {
        Some(Watched::Changed(summary)) => serde_json::to_value(&summary).map_err(|e| {
            Error::new(ErrorKind::Internal, "action.watch", "a change cannot be written as JSON").caused_by(e)
        })?,
        Some(Watched::Missed(missed)) => json!({"missed": missed}),
        Some(_) | None => return Ok(None),
    }))
}

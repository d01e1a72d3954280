//! Writes that people propose and approve.

use headframe::action::{ActionId, Ballot, By, Draft, Engine, Person, Watched};
use serde_json::Value;

use super::{
    told,
    world::{Done, Failure, With, World, closed, nobody},
};

/// What an action is when nothing more becomes of it.
const ENDED: &[&str] = &["COMPLETED", "PARTIAL", "FAILED", "DENIED", "CANCELLED", "EXPIRED"];

pub async fn answer(world: &World, verb: &str, with: &With) -> Done {
    let engine = world.site.get()?.actions();
    let by = || -> Result<By, Failure> { Ok(By::new(Person::from_text(&with.get::<String>("by")?)?)) };
    match verb {
        "preview" => Ok(told::plain(&engine.preview(draft(with)?, &by()?).await?)),
        "push" => Ok(told::plain(&engine.push(draft(with)?, &by()?).await?)),
        "vote" => {
            let ballot = Ballot::from_body(&with.get::<Value>("ballot")?)?;
            engine.vote(id(with)?, ballot, &by()?).await?;
            get(engine, id(with)?)
        }
        "cancel" => {
            engine.cancel(id(with)?, &by()?).await?;
            get(engine, id(with)?)
        }
        "get" => get(engine, id(with)?),
        "settled" => settled(engine, id(with)?).await,
        _ => nobody(),
    }
}

fn draft(with: &With) -> Result<Draft, Failure> {
    Ok(Draft::from_body(&with.get::<Value>("draft")?)?)
}

/// A number or its text.
fn id(with: &With) -> Result<ActionId, Failure> {
    let told: Value = with.get("id")?;
    Ok(told.as_str().map_or_else(|| told.to_string(), str::to_owned).parse()?)
}

fn get(engine: &Engine, id: ActionId) -> Done {
    Ok(engine.get(id)?.map_or(Value::Null, |view| view.0))
}

async fn settled(engine: &Engine, id: ActionId) -> Done {
    let mut watch = engine.watch();
    loop {
        let view = get(engine, id)?;
        if view["status"].as_str().is_some_and(|status| ENDED.contains(&status)) {
            return Ok(view);
        }
        loop {
            match watch.next().await.ok_or_else(closed)? {
                Watched::Changed(summary) if summary.id != id => {}
                _ => break,
            }
        }
    }
}

//! Steps that checks have in common.

use headframe_core::Error;

use crate::{
    oracle::{Oracle, is_refusal},
    run::Case,
    workload::{Op, Registry},
};

/// Draws a change, makes it, and compares what the caller is told with what is possible.
pub async fn change(
    case: &mut Case,
    registry: &dyn Registry,
    oracle: &mut Oracle,
    n: u64,
) -> Result<Result<(), Error>, String> {
    let op = registry.rules().draw(&mut case.rng, &oracle.model(), n, oracle.unsure());
    make(case, registry, oracle, &op).await
}

/// As [`change`], while nothing is wrong: nothing but a guard may refuse.
pub async fn sound(
    case: &mut Case,
    registry: &dyn Registry,
    oracle: &mut Oracle,
    n: u64,
) -> Result<(), String> {
    match change(case, registry, oracle, n).await? {
        Err(e) if !is_refusal(&e) => Err(format!("refused although nothing is wrong: {e}")),
        _ => Ok(()),
    }
}

/// Makes a change, and compares what the caller is told with what is possible.
pub async fn make(
    case: &mut Case,
    registry: &dyn Registry,
    oracle: &mut Oracle,
    op: &Op,
) -> Result<Result<(), Error>, String> {
    let revision = registry.store().revision();
    let rules = registry.rules();
    let told = registry.apply(op).await;
    if let Ok(answer) = &told
        && registry.store().revision() == revision
    {
        // Nothing had to be written, as far as the registry knows: it may know less than the file.
        oracle.idle(rules, op, answer)?;
        return Ok(told.map(drop));
    }
    oracle.told(rules, op, &told)?;
    match &told {
        Ok(_) => {
            case.hit(op.name());
            // Not every change makes the registry look at what became of those before.
            if oracle.unsure() && registry.look().await {
                oracle.found(&registry.content())?;
            }
        }
        Err(e) if is_refusal(e) => case.hit("a guard refused"),
        Err(_) => {}
    }
    Ok(told.map(drop))
}

/// Whether an error only says that a guard did not hold.
pub fn refused(told: &Result<(), Error>) -> bool {
    told.as_ref().is_err_and(is_refusal)
}

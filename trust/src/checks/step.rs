//! Steps that checks have in common.

use headframe_core::{Error, ErrorKind};

use crate::{
    oracle::Oracle,
    run::Case,
    workload::{Op, Registry, draw},
};

/// Draws a change, makes it, and compares what the caller is told with what is possible.
pub async fn change(
    case: &mut Case,
    registry: &dyn Registry,
    oracle: &mut Oracle,
    n: u64,
) -> Result<Result<(), Error>, String> {
    let mut op = draw(&mut case.rng, &oracle.model(), n);
    if oracle.unsure() && matches!(op, Op::Forget(..) | Op::Settle) {
        // These begin with a look around, and what can be read may be older than the file until the store was opened
        // again.
        op = Op::Set("look-first".into(), n.into());
    }
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
        Err(e) if e.kind() != ErrorKind::Conflict => Err(format!("refused although nothing is wrong: {e}")),
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
    let told = registry.apply(op).await;
    if told.is_ok() && registry.store().revision() == revision {
        // Nothing had to be written, as far as the registry knows: it may know less than the file.
        oracle.idle(op)?;
        return Ok(told);
    }
    oracle.told(op, &told)?;
    match &told {
        Ok(()) => {
            case.hit(op.name());
            if oracle.unsure() {
                oracle.found(&registry.content())?;
            }
        }
        Err(e) if e.kind() == ErrorKind::Conflict => case.hit("a guard refused"),
        Err(_) => {}
    }
    Ok(told)
}

/// Whether an error only says that a guard did not hold.
pub fn refused(told: &Result<(), Error>) -> bool {
    told.as_ref().is_err_and(|e| e.kind() == ErrorKind::Conflict)
}

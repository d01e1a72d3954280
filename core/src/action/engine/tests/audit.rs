use std::sync::{Mutex, PoisonError};

use super::*;
use crate::{
    Result,
    action::AuditOptions,
    audit::{AuditKey, Checkpoint, Hash, VerifierKey, Witness, lines, verify, verify_consistency},
};

/// Keeps the last checkpoint, and can be out of reach.
#[derive(Debug)]
struct Kept {
    key: VerifierKey,
    last: Mutex<Option<Checkpoint>>,
    away: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Witness for Kept {
    async fn receive(&self, _: &Ctx, note: &str, proof: &[Hash]) -> Result<()> {
        if self.away.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Error::new(crate::ErrorKind::Unreachable, "test", "away"));
        }
        let new = self.key.open(note.as_bytes())?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = &*last {
            assert!(verify_consistency((old.size(), &old.root()), (new.size(), &new.root()), proof));
        }
        *last = Some(new);
        Ok(())
    }

    async fn size(&self, _: &Ctx) -> Result<u64> {
        Ok(self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Checkpoint::size))
    }
}

fn exported(engine: &Engine) -> Vec<u8> {
    let mut text = Vec::new();
    crate::audit::export(engine.store(), &mut text).unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn witnesses_hear_of_each_executed_action_and_each_hour() {
    let mut lab = Lab::mos(2).await;
    let key = AuditKey::random("site.example/audit", &*lab.cx.rng).unwrap();
    let witness = Arc::new(Kept {
        key: key.verifier(),
        last: Mutex::default(),
        away: std::sync::atomic::AtomicBool::new(true),
    });
    lab.options.audit = Some(AuditOptions::new(key, vec![Arc::clone(&witness) as _]));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Completed).await;
    lab.pass(3_000).await;
    let one = |engine: &Engine| engine.witnessed().pop().unwrap();
    assert!(one(&engine).error.is_some() && one(&engine).size == 0, "{:?}", one(&engine));
    // It is told again when it is back.
    witness.away.store(false, std::sync::atomic::Ordering::SeqCst);
    lab.pass(3_600_000).await;
    assert_eq!((one(&engine).error, one(&engine).size), (None, engine.audit().size()));
    let waits = push(&engine, "three", json!({}), "ann").await;
    lab.pass(3_000).await;
    assert!(one(&engine).size < engine.audit().size());
    vote(&engine, waits, false, "bob").await.unwrap();
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Completed).await;
    lab.pass(3_000).await;
    assert_eq!(one(&engine).size, engine.audit().size());
    let kept = witness.last.lock().unwrap().clone().unwrap();
    let now = witness.key.open(engine.checkpoint().unwrap().as_bytes()).unwrap();
    assert_eq!((kept.size(), kept.root()), (now.size(), now.root()));
    let text = exported(&engine);
    let marks = [kept];
    assert_eq!(verify(lines(&text), &marks).unwrap().size, now.size());
    // Without its last entry the log is short of what the witness has.
    let cut = lines(&text).count() - 1;
    assert!(verify(lines(&text).take(cut), &marks).is_err());
}

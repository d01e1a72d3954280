//! One record of an engine is damaged: in the file, or beneath an engine that runs.

use headframe_core::{
    action::{ActionId, Ballot, Engine, Status},
    store::{Batch, ControlStore, Key, Record, Space},
};
use serde_json::json;

use super::{
    RACKS, THINGS, World, by,
    look::ids,
    patient,
    rot::{Sample, is_damage, refused},
};
use crate::{
    rig::needed,
    run::Case,
    site::{Mood, thing},
};

/// Records that an engine lives by: their space, its number in the file, and the probe.
const KINDS: [(Space, u8, &str); 5] = [
    (Space::Actions, 5, "a damaged header"),
    (Space::Targets, 6, "a damaged target row"),
    (Space::Journal, 7, "a damaged journal row"),
    (Space::Meta, 10, "a damaged stop"),
    (Space::Audit, 8, "a damaged audit entry"),
];
/// What a record begins with in the file, and how long its head is: magic, checksum, revision, space, two lengths.
const MAGIC: [u8; 4] = *b"HFR\x01";
const HEAD: usize = 23;

/// A bit of one record flips in the file: the site is refused as it is, and sends nothing.
pub async fn of_a_record(case: &mut Case, sample: &Sample, turn: u64) -> Result<(), String> {
    let (space, number, probe) = KINDS[usize::try_from(turn).unwrap_or(0) % KINDS.len()];
    let world = World::of(case, sample).await?;
    let store = needed("a good file is refused", world.site.store().await)?;
    let mut records = store.scan(space, .., usize::MAX);
    if space == Space::Meta {
        records.retain(|record| record.key.as_str() == "action.stops");
    }
    let record = case.rng.choice(&records).cloned().ok_or_else(|| format!("nothing of {space} is there"))?;
    close(store).await?;
    let bytes = world.site.disk.bytes();
    let places = places(&bytes, number, &record);
    if places.is_empty() {
        return Err(format!("{space}/{} is not in the file", record.key));
    }
    let length = HEAD + record.key.as_str().len() + record.json.len();
    // Of a page that was copied both are left.
    for at in places {
        world.site.disk.flip(at * 8 + case.rng.usize(0..length * 8));
    }
    let (bytes, sent) = (world.site.disk.bytes(), world.site.plant.count());
    match world.start().await {
        Ok(_) => Err(format!("{probe} is not noticed: {space}/{}", record.key)),
        Err(e) => {
            refused(&world, (&bytes, sent), &e)?;
            case.hit(probe);
            Ok(())
        }
    }
}

async fn close(store: ControlStore) -> Result<(), String> {
    needed("the store is not closed", store.close().await)
}

/// Where a record begins in the file.
fn places(bytes: &[u8], space: u8, record: &Record) -> Vec<usize> {
    let key = record.key.as_str().as_bytes();
    let is_it = |at: usize| {
        let frame = bytes.get(at..)?;
        let same = frame.get(8..16)? == record.revision.0.to_le_bytes()
            && *frame.get(16)? == space
            && frame.get(HEAD..HEAD + key.len())? == key;
        (frame.starts_with(&MAGIC) && same).then_some(at)
    };
    (0..bytes.len()).filter_map(is_it).collect()
}

/// A record of one action changes beneath an engine that runs, in a form that the store's own checksums do not show:
/// nothing of that action is sent any more, and others go on.
pub async fn beneath_an_engine(case: &mut Case, sample: &Sample, turn: u64) -> Result<(), String> {
    let mut world = World::of(case, sample).await?;
    for rack in RACKS {
        (0..THINGS).for_each(|n| world.site.plant.set(&thing(rack, n), Mood::Well, false));
    }
    let engine = world.recover(case).await?;
    world.lift_all(&engine).await?;
    let (hurt, well) = (waiting(&mut world, case, &engine).await?, waiting(&mut world, case, &engine).await?);
    if turn.is_multiple_of(2) {
        alter(case, &engine, Space::Targets, hurt).await?;
        case.hit("targets altered beneath an engine");
        approve(&engine, hurt).await?;
    } else {
        // It runs, and its first calls are journalled.
        approve(&engine, hurt).await?;
        world.site.pass(case.rng.u64(100..1_000)).await;
        if alter(case, &engine, Space::Journal, hurt).await? {
            case.hit("a journal altered beneath an engine");
        }
    }
    approve(&engine, well).await?;
    world.site.pass(60_000).await;
    judge(&world, &engine, (hurt, well), turn.is_multiple_of(2))?;
    case.hit("others went on");
    let sent = world.site.plant.count();
    world.kill(engine).await?;
    match world.start().await {
        Err(e) if is_damage(&e) => {}
        Err(e) => return Err(format!("no error of damage: {e:?}")),
        Ok(engine) => {
            engine.reconciled().await;
            world.site.pass(60_000).await;
            judge(&world, &engine, (hurt, well), turn.is_multiple_of(2))?;
        }
    }
    let more = world.site.plant.log().split_off(sent);
    match more.iter().find(|sent| [hurt, well].contains(&sent.id)) {
        Some(sent) => Err(format!("sent after a restart: {sent:?}")),
        None => Ok(()),
    }
}

/// A new action that waits for one more vote.
async fn waiting(world: &mut World, case: &mut Case, engine: &Engine) -> Result<ActionId, String> {
    world.push(case, engine, "needs-2", "".into(), json!({})).await?;
    ids(engine).last().copied().ok_or_else(|| "nothing was pushed".into())
}

async fn approve(engine: &Engine, id: ActionId) -> Result<(), String> {
    for who in super::PEOPLE {
        if engine.header(id).is_some_and(|header| header.status == Status::Voting) {
            drop(patient(engine.vote(id, Ballot::new(true), &by(who)?)).await?);
        }
    }
    Ok(())
}

/// Alters a row of an action: one character of its text, or all of it.
async fn alter(case: &mut Case, engine: &Engine, space: Space, id: ActionId) -> Result<bool, String> {
    let store = engine.store();
    let rows = store.scan_prefix(space, &format!("{}/", Key::number(id.get())));
    let Some(row) = case.rng.choice(&rows) else { return Ok(false) };
    let mut text = row.json.to_vec();
    let altered = (0..64).find_map(|_| {
        let at = case.rng.usize(..text.len());
        let old = std::mem::replace(&mut text[at], case.rng.u8(b'0'..=b'z'));
        let value = serde_json::from_slice::<serde_json::Value>(&text).ok();
        let same = serde_json::from_slice(&row.json).ok() == value;
        text[at] = old;
        value.filter(|_| !same)
    });
    let altered = altered.filter(|_| space == Space::Targets).unwrap_or_else(|| json!("damaged"));
    needed("not altered", store.commit(Batch::new().put(space, &row.key, &altered)).await)?;
    Ok(true)
}

fn judge(
    world: &World,
    engine: &Engine,
    (hurt, well): (ActionId, ActionId),
    targets: bool,
) -> Result<(), String> {
    let received = world.site.plant.received(hurt);
    if targets && !received.is_empty() {
        return Err(format!("{hurt} was sent though its targets were altered: {received:?}"));
    }
    if let Some(twice) = received.iter().find(|(_, times)| **times > 1) {
        return Err(format!("{twice:?} was sent again"));
    }
    if let Err(e) = engine.get(hurt)
        && !is_damage(&e)
    {
        return Err(format!("no error of damage: {e:?}"));
    }
    let header = engine.header(hurt).ok_or("an altered action is gone")?;
    if targets && (header.counts.ok > 0 || header.status == Status::Completed) {
        return Err(format!("{hurt} counts as done though its targets were altered: {header:?}"));
    }
    let other = engine.header(well).ok_or("another action is gone")?;
    let all = u32::try_from(RACKS.len()).unwrap_or(0) * THINGS;
    if other.status != Status::Completed || world.site.plant.received(well).len() != all as usize {
        return Err(format!("an action beside a damaged one does not go on: {other:?}"));
    }
    Ok(())
}

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// What a [`MemDisk`] does wrong. Calls are counted from the moment the plan is set.
#[derive(Debug, Clone, Default)]
pub struct DiskPlan {
    /// The first call that fails with an input/output error.
    pub fail_at: Option<u64>,
    /// How many calls fail from there on; 0 counts as 1.
    pub fail_for: u64,
    /// The first call at which the power is off: it and all later ones fail and change nothing.
    pub cut_at: Option<u64>,
    /// The call that gives one wrong bit if it is a read; the same read is right ever after.
    pub wrong_at: Option<u64>,
    /// How many bytes fit on the disk.
    pub capacity: Option<u64>,
}

/// A disk in memory that loses power, fails and fills up, all from a seed. Clones are the same disk.
#[derive(Clone)]
pub struct MemDisk(Arc<Mutex<State>>);

struct State {
    rng: fastrand::Rng,
    plan: DiskPlan,
    calls: u64,
    /// All files there ever were, by number.
    files: BTreeMap<u64, Image>,
    /// Names as they are seen.
    names: BTreeMap<String, u64>,
    /// Names that survive a power cut for certain.
    durable: BTreeMap<String, u64>,
    unsynced: Vec<Named>,
    peak: u64,
}

#[derive(Debug, Clone)]
enum Named {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Op>,
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl MemDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: fastrand::Rng::with_seed(seed),
            plan: DiskPlan::default(),
            calls: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            unsynced: Vec::new(),
            peak: 0,
        })))
    }

    /// Replaces the plan and counts calls from 0 again.
    pub fn plan(&self, plan: DiskPlan) {
        let mut state = self.lock();
        state.plan = plan;
        state.calls = 0;
    }

    /// Calls since the plan was set.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// The most bytes that there were at any time.
    pub fn peak(&self) -> u64 {
        self.lock().peak
    }

    /// What a file holds at the moment.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        state.names.get(name).and_then(|id| state.files.get(id)).map(|image| image.current.clone())
    }

    /// Flips one bit of a file, counted from its beginning, for good.
    pub fn flip(&self, name: &str, bit: usize) {
        let mut state = self.lock();
        let Some(id) = state.names.get(name).copied() else { return };
        let Some(image) = state.files.get_mut(&id) else { return };
        for bytes in [&mut image.current, &mut image.durable] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The disk as it is after a power cut now: of what was not synced, any part of 512 bytes may be there or not,
    /// in any order, and so may names. It has no faults planned.
    #[must_use]
    pub fn cut(&self) -> Self {
        let mut state = self.lock();
        let State { rng, files, durable, unsynced, .. } = &mut *state;
        let next = Self::new(rng.u64(..));
        let keep = f64::from(rng.u32(0..=4)) / 4.0;
        let mut names = durable.clone();
        for change in unsynced.iter() {
            if rng.f64() < keep {
                apply_name(&mut names, change);
            }
        }
        let images: BTreeMap<u64, Image> = names
            .values()
            .filter_map(|id| Some((*id, files.get(id)?.cut(rng))))
            .map(|(id, bytes)| (id, Image { durable: bytes.clone(), current: bytes, unsynced: Vec::new() }))
            .collect();
        {
            let mut new = next.lock();
            (new.files, new.names, new.durable) = (images, names.clone(), names);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemDisk")
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, change: &Named) {
    match change {
        Named::Create(name, id) => {
            names.insert(name.clone(), *id);
        }
        Named::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
        Named::Remove(name) => {
            names.remove(name);
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|i| i.current.len() as u64).sum()
    }

    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if self.plan.cut_at.is_some_and(|at| call >= at) {
            return Err(io::Error::other("the power is off"));
        }
        let failing = |at: u64| (at..at.saturating_add(self.plan.fail_for.max(1))).contains(&call);
        if self.plan.fail_at.is_some_and(failing) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn change(&mut self, change: Named) {
        apply_name(&mut self.names, &change);
        self.unsynced.push(change);
    }

    fn find(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn grow(&mut self, id: u64, op: Op) -> io::Result<()> {
        let end = match &op {
            Op::Write(at, bytes) => at + bytes.len(),
            Op::SetLen(len) => *len,
        };
        let used = self.used();
        let image = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let more = end.saturating_sub(image.current.len()) as u64;
        if more > 0 && self.plan.capacity.is_some_and(|capacity| used + more > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        apply(&mut image.current, &op);
        image.unsynced.push(op);
        self.peak = self.peak.max(used + more);
        Ok(())
    }
}

impl Disk for MemDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut state = self.lock();
        state.call()?;
        let len = |id| state.files.get(id).map_or(0, |image| image.current.len() as u64);
        Ok(state.names.iter().map(|(name, id)| (name.clone(), len(id))).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.keys().next_back().map_or(0, |last| last + 1);
        state.files.insert(id, Image::default());
        state.change(Named::Create(name.into(), id));
        Ok(Box::new(MemFile { disk: self.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        let id = state.find(name)?;
        Ok(Box::new(MemFile { disk: self.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.find(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(Named::Rename(from.into(), to.into()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.find(name)?;
        state.change(Named::Remove(name.into()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let State { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| apply_name(durable, &change));
        Ok(())
    }
}

struct MemFile {
    disk: MemDisk,
    id: u64,
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemFile").field(&self.id).finish()
    }
}

impl MemFile {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        state.call()?;
        work(&mut state)
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.with(|state| {
            let image = state.files.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let end = at.saturating_add(out.len());
            out.copy_from_slice(image.current.get(at..end).ok_or(io::ErrorKind::UnexpectedEof)?);
            if state.plan.wrong_at == Some(state.calls - 1)
                && let Some(byte) = out.last_mut()
            {
                *byte ^= 1;
            }
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        self.with(|state| state.grow(self.id, Op::Write(at, bytes.to_vec())))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.files.get(&self.id).map_or(0, |image| image.current.len() as u64)))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.with(|state| state.grow(self.id, Op::SetLen(len)))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            let image = state.files.get_mut(&self.id).ok_or(io::ErrorKind::NotFound)?;
            image.unsynced.drain(..).for_each(|op| apply(&mut image.durable, &op));
            Ok(())
        })
    }
}

impl Image {
    fn cut(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut image = self.durable.clone();
        let mut ops = self.unsynced.clone();
        let keep = f64::from(rng.u32(0..=4)) / 4.0;
        if rng.bool() {
            rng.shuffle(&mut ops);
        }
        for op in ops {
            match &op {
                Op::SetLen(_) if rng.f64() < keep => apply(&mut image, &op),
                Op::SetLen(_) => {}
                Op::Write(at, bytes) => {
                    for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                        if rng.f64() < keep {
                            apply(&mut image, &Op::Write(at + i * SECTOR, sector.to_vec()));
                        }
                    }
                }
            }
        }
        image
    }
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::SetLen(len) => image.resize(*len, 0),
        Op::Write(at, bytes) => {
            if image.len() < at + bytes.len() {
                image.resize(at + bytes.len(), 0);
            }
            image[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

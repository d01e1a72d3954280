use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::backend::Backend;

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

/// What a [`CrashBackend`] does wrong. Calls are counted from the moment the plan is set.
#[derive(Debug, Clone, Default)]
pub struct CrashPlan {
    /// The first call that fails with an input/output error.
    pub fail_at: Option<u64>,
    /// How many calls fail from there on; 0 counts as 1.
    pub fail_for: u64,
    /// The first call at which the power is off: it and all later ones fail and change nothing.
    pub cut_at: Option<u64>,
    /// How many bytes fit on the disk: written blocks, what is occupied, and what others took.
    pub capacity: Option<u64>,
    /// Syncs report success and do nothing.
    pub lying: bool,
    /// After a failed sync its writes can still be read, but no later sync makes them durable; as operating systems
    /// do it.
    pub forget_failed_sync: bool,
}

/// A disk in memory that loses power, fails, fills up, lies and rots, all from a seed. Clones are the same disk.
#[derive(Clone)]
pub struct CrashBackend(Arc<Mutex<Disk>>);

struct Disk {
    rng: fastrand::Rng,
    /// What survives a power cut for certain.
    durable: Vec<u8>,
    /// What reads give.
    current: Vec<u8>,
    unsynced: Vec<Op>,
    allocated: BTreeSet<u64>,
    occupied: u64,
    taken: u64,
    plan: CrashPlan,
    calls: u64,
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    SetSize(usize),
}

impl CrashBackend {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self::with_bytes(seed, Vec::new())
    }

    /// A disk that holds `bytes`.
    pub fn with_bytes(seed: u64, bytes: Vec<u8>) -> Self {
        let blocks = (bytes.len() as u64).div_ceil(BLOCK);
        Self(Arc::new(Mutex::new(Disk {
            rng: fastrand::Rng::with_seed(seed),
            durable: bytes.clone(),
            current: bytes,
            unsynced: Vec::new(),
            allocated: (0..blocks).collect(),
            occupied: 0,
            taken: 0,
            plan: CrashPlan::default(),
            calls: 0,
        })))
    }

    /// Replaces the plan and counts calls from 0 again.
    pub fn plan(&self, plan: CrashPlan) {
        let mut disk = self.lock();
        disk.plan = plan;
        disk.calls = 0;
    }

    /// Calls since the plan was set.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// What can be read at the moment.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    /// Bytes in use: written blocks, what is occupied, and what others took.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Flips one bit, counted from the beginning of the file, for good.
    pub fn flip(&self, bit: usize) {
        let mut disk = self.lock();
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        if let Some(byte) = disk.current.get_mut(at) {
            *byte ^= mask;
        }
        if let Some(byte) = disk.durable.get_mut(at) {
            *byte ^= mask;
        }
    }

    /// Another program takes `bytes` of the disk, instead of what it took before.
    pub fn take_space(&self, bytes: u64) {
        self.lock().taken = bytes;
    }

    /// The disk as it is after a power cut now: of what was not synced, any part of 512 bytes may be there or not, in
    /// any order. It has no faults planned.
    #[must_use]
    pub fn cut(&self) -> Self {
        let mut disk = self.lock();
        let mut image = disk.durable.clone();
        let mut ops = disk.unsynced.clone();
        let seed = disk.rng.u64(..);
        let keep = f64::from(disk.rng.u32(0..=4)) / 4.0;
        if disk.rng.bool() {
            disk.rng.shuffle(&mut ops);
        }
        for op in ops {
            apply_partly(&mut disk.rng, &mut image, &op, keep);
        }
        let after = Self::with_bytes(seed, image);
        after.lock().occupied = disk.occupied;
        after
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CrashBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CrashBackend")
    }
}

impl Disk {
    fn used(&self) -> u64 {
        self.allocated.len() as u64 * BLOCK + self.occupied + self.taken
    }

    fn fits(&self, more: u64) -> io::Result<()> {
        if self.plan.capacity.is_some_and(|capacity| self.used().saturating_add(more) > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Counts a call; fails when the plan says so.
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

    fn off(&self) -> bool {
        self.plan.cut_at.is_some_and(|at| self.calls > at)
    }
}

impl Backend for CrashBackend {
    fn size(&self) -> io::Result<u64> {
        let mut disk = self.lock();
        disk.call()?;
        Ok(disk.current.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let bytes = disk.current.get(at..at.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        let blocks = at / BLOCK..(at + bytes.len() as u64).div_ceil(BLOCK);
        let fresh = blocks.clone().filter(|block| !disk.allocated.contains(block)).count() as u64;
        if fresh > 0 {
            disk.fits(fresh * BLOCK)?;
        }
        disk.allocated.extend(blocks);
        let op = Op::Write(usize::try_from(at).map_err(io::Error::other)?, bytes.to_vec());
        apply(&mut disk.current, &op);
        disk.unsynced.push(op);
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        let op = Op::SetSize(usize::try_from(size).map_err(io::Error::other)?);
        apply(&mut disk.current, &op);
        disk.allocated.retain(|block| *block < size.div_ceil(BLOCK));
        disk.unsynced.push(op);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.lock();
        let called = disk.call();
        if called.is_err() && disk.plan.forget_failed_sync && !disk.off() {
            let Disk { rng, durable, unsynced, .. } = &mut *disk;
            for op in unsynced.drain(..) {
                apply_partly(rng, durable, &op, 0.5);
            }
        }
        called?;
        if !disk.plan.lying {
            let ops = std::mem::take(&mut disk.unsynced);
            ops.iter().for_each(|op| apply(&mut disk.durable, op));
        }
        Ok(())
    }

    fn occupy(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.fits(bytes.saturating_sub(disk.occupied))?;
        disk.occupied = bytes;
        Ok(())
    }

    fn release(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.occupied = 0;
        Ok(())
    }

    fn occupied(&self) -> u64 {
        self.lock().occupied
    }
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::SetSize(size) => image.resize(*size, 0),
        Op::Write(at, bytes) => {
            if image.len() < at + bytes.len() {
                image.resize(at + bytes.len(), 0);
            }
            image[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

fn apply_partly(rng: &mut fastrand::Rng, image: &mut Vec<u8>, op: &Op, keep: f64) {
    match op {
        Op::SetSize(_) if rng.f64() < keep => apply(image, op),
        Op::SetSize(_) => {}
        Op::Write(at, bytes) => {
            for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                if rng.f64() < keep {
                    apply(image, &Op::Write(at + i * SECTOR, sector.to_vec()));
                }
            }
        }
    }
}

use std::{
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
    /// How many bytes fit on the disk: the file, what is kept beside it, and what others took.
    pub capacity: Option<u64>,
    /// Another program waits for space: before any call, as the seed has it, it takes all that is free.
    pub greedy: bool,
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
    file: Image,
    kept: Image,
    taken: u64,
    plan: CrashPlan,
    calls: u64,
}

/// The bytes of one file.
struct Image {
    /// What survives a power cut for certain.
    durable: Vec<u8>,
    /// What reads give.
    current: Vec<u8>,
    unsynced: Vec<Op>,
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
        Self::of(seed, bytes, Vec::new())
    }

    fn of(seed: u64, file: Vec<u8>, kept: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            rng: fastrand::Rng::with_seed(seed),
            file: Image::new(file),
            kept: Image::new(kept),
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
        self.lock().file.current.clone()
    }

    /// Bytes in use: the file, what is kept beside it, and what others took.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Flips one bit, counted from the beginning of the file, for good.
    pub fn flip(&self, bit: usize) {
        let mut disk = self.lock();
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        if let Some(byte) = disk.file.current.get_mut(at) {
            *byte ^= mask;
        }
        if let Some(byte) = disk.file.durable.get_mut(at) {
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
        let Disk { rng, file, kept, .. } = &mut *disk;
        let seed = rng.u64(..);
        let (file, kept) = (file.cut(rng), kept.cut(rng));
        Self::of(seed, file, kept)
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
        self.file.space() + self.kept.space() + self.taken
    }

    fn fits(&self, more: u64) -> io::Result<()> {
        if more > 0 && self.plan.capacity.is_some_and(|capacity| self.used().saturating_add(more) > capacity)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Counts a call; fails when the plan says so.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if let Some(capacity) = self.plan.capacity.filter(|_| self.plan.greedy)
            && self.rng.u32(0..4) == 0
        {
            self.taken += capacity.saturating_sub(self.used());
        }
        if self.plan.cut_at.is_some_and(|at| call >= at) {
            return Err(io::Error::other("the power is off"));
        }
        let failing = |at: u64| (at..at.saturating_add(self.plan.fail_for.max(1))).contains(&call);
        if self.plan.fail_at.is_some_and(failing) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    /// The space that the file takes when it has `size` bytes.
    fn extend(&self, size: u64) -> io::Result<()> {
        self.fits(space(size).saturating_sub(self.file.space()))
    }

    fn sync(&mut self, image: impl Fn(&mut Self) -> &mut Image) -> io::Result<()> {
        let called = self.call();
        if called.is_err() && self.plan.forget_failed_sync && !self.off() {
            let mut rng = self.rng.fork();
            image(self).forget(&mut rng);
        }
        called?;
        if !self.plan.lying {
            image(self).settle();
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
        Ok(disk.file.current.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.file.read(at, out)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.extend(at + bytes.len() as u64)?;
        disk.file.write(at, bytes)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.extend(size)?;
        disk.file.change(Op::SetSize(usize::try_from(size).map_err(io::Error::other)?));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.lock().sync(|disk| &mut disk.file)
    }

    fn probe(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.fits(space(bytes))
    }

    fn occupy(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.fits(space(bytes).saturating_sub(disk.kept.space()))?;
        disk.kept.change(Op::SetSize(usize::try_from(bytes).map_err(io::Error::other)?));
        disk.kept.settle();
        Ok(())
    }

    fn occupied(&self) -> u64 {
        self.lock().kept.current.len() as u64
    }

    fn read_kept(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        disk.kept.read(at, out)
    }

    fn write_kept(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.call()?;
        if at + bytes.len() as u64 > disk.kept.current.len() as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        disk.kept.write(at, bytes)?;
        disk.sync(|disk| &mut disk.kept)
    }
}

impl Image {
    fn new(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), current: bytes, unsynced: Vec::new() }
    }

    fn space(&self) -> u64 {
        space(self.current.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let bytes = self.current.get(at..at.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Op::Write(usize::try_from(at).map_err(io::Error::other)?, bytes.to_vec()));
        Ok(())
    }

    fn change(&mut self, op: Op) {
        apply(&mut self.current, &op);
        self.unsynced.push(op);
    }

    fn settle(&mut self) {
        let ops = std::mem::take(&mut self.unsynced);
        ops.iter().for_each(|op| apply(&mut self.durable, op));
    }

    /// A sync failed: what was not on the disk will never be.
    fn forget(&mut self, rng: &mut fastrand::Rng) {
        for op in self.unsynced.drain(..) {
            apply_partly(rng, &mut self.durable, &op, 0.5);
        }
    }

    fn cut(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut image = self.durable.clone();
        let mut ops = self.unsynced.clone();
        let keep = f64::from(rng.u32(0..=4)) / 4.0;
        if rng.bool() {
            rng.shuffle(&mut ops);
        }
        for op in ops {
            apply_partly(rng, &mut image, &op, keep);
        }
        image
    }
}

/// The space that `bytes` take on a disk.
const fn space(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
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

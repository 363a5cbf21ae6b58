//! What the disk holds, what the page cache holds, and what becomes of the difference.
//!
//! A write goes to the cache. A sync moves it to the disk. A power cut leaves of the unsynced writes any
//! subset of their sectors. A sync that fails leaves any subset too, and, as Linux does, marks the pages
//! clean: the cache goes on to show what the disk does not hold, and no later sync writes it.

use std::collections::BTreeMap;

pub const SECTOR: usize = 512;

/// A small seeded generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// What goes wrong, by the count of operations (writes, truncations, syncs) from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The power goes at this operation.
    pub cut_at: Option<u64>,
    /// Syncs fail from this operation on, so many of them.
    pub sync_fails: Option<(u64, u64)>,
    /// Writes fail with ENOSPC from this operation on, so many of them.
    pub full: Option<(u64, u64)>,
    /// Writes fail with EIO from this operation on, so many of them.
    pub write_fails: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Default, Clone)]
struct File {
    cache: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Its name is on the disk.
    named: bool,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The power is off, or the handle is of an earlier life.
    Dead,
    Full,
    Write,
    Sync,
}

#[derive(Debug)]
pub struct Disk {
    files: BTreeMap<String, File>,
    rng: Rng,
    faults: Faults,
    operations: u64,
    pub power: bool,
    pub failed_syncs: u64,
    pub failed_writes: u64,
    /// Handles of an earlier life are dead.
    pub life: u64,
    /// Shared memory by file; pointers into it stay valid until the disk goes.
    pub shared: BTreeMap<String, Vec<Box<[u64]>>>,
    graveyard: Vec<BTreeMap<String, Vec<Box<[u64]>>>>,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            rng: Rng(seed),
            faults: Faults::default(),
            operations: 0,
            power: true,
            failed_syncs: 0,
            failed_writes: 0,
            life: 0,
            shared: BTreeMap::new(),
            graveyard: Vec::new(),
        }
    }

    pub fn set(&mut self, faults: Faults) {
        (self.faults, self.operations) = (faults, 0);
    }

    /// The process ends; the page cache stays.
    pub fn kill(&mut self) {
        self.life += 1;
        self.faults = Faults::default();
        self.graveyard.push(std::mem::take(&mut self.shared));
    }

    /// The power goes: of what was not synced, some sectors are on the disk and others are not.
    pub fn cut(&mut self) {
        self.kill();
        self.power = true;
        let Self { files, rng, .. } = self;
        files.retain(|_, file| file.named || !rng.chance(2));
        for file in files.values_mut() {
            file.settle(rng);
            file.named = true;
            file.cache.clone_from(&file.durable);
        }
    }

    pub fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    pub fn open(&mut self, name: &str) {
        self.files.entry(name.to_owned()).or_default();
    }

    pub fn delete(&mut self, name: &str) -> Result<(), Failure> {
        self.tick()?;
        self.files.remove(name);
        Ok(())
    }

    pub fn bytes(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], |file| &file.cache)
    }

    pub fn write(&mut self, name: &str, at: usize, bytes: &[u8]) -> Result<(), Failure> {
        self.tick()?;
        let faults = &mut self.faults;
        let (mut bytes, mut result) = (bytes, Ok(()));
        for (fault, failure) in [(&mut faults.full, Failure::Full), (&mut faults.write_fails, Failure::Write)]
        {
            if strikes(fault, self.operations) {
                self.failed_writes += 1;
                // A write that fails may have got some way, by whole sectors.
                let parts = sectors(at, bytes);
                let done = self.rng.below(parts.len() as u64) as usize;
                bytes = &bytes[..parts[..done].iter().map(|(_, part)| part.len()).sum()];
                result = Err(failure);
                break;
            }
        }
        let file = self.files.get_mut(name).ok_or(Failure::Dead)?;
        write(&mut file.cache, at, bytes);
        file.pending.push(Pending::Write(at, bytes.to_vec()));
        result
    }

    pub fn truncate(&mut self, name: &str, length: usize) -> Result<(), Failure> {
        self.tick()?;
        let file = self.files.get_mut(name).ok_or(Failure::Dead)?;
        file.cache.truncate(length);
        file.pending.push(Pending::Truncate(length));
        Ok(())
    }

    pub fn sync(&mut self, name: &str) -> Result<(), Failure> {
        self.tick()?;
        let file = self.files.get_mut(name).ok_or(Failure::Dead)?;
        if strikes(&mut self.faults.sync_fails, self.operations) {
            self.failed_syncs += 1;
            file.settle(&mut self.rng);
            return Err(Failure::Sync);
        }
        let pending = std::mem::take(&mut file.pending);
        pending.iter().for_each(|one| one.apply(&mut file.durable));
        file.named = true;
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failure> {
        self.operations += 1;
        if self.faults.cut_at.is_some_and(|at| self.operations >= at) {
            self.power = false;
        }
        if self.power { Ok(()) } else { Err(Failure::Dead) }
    }
}

fn strikes(fault: &mut Option<(u64, u64)>, operation: u64) -> bool {
    match fault {
        Some((at, times)) if operation >= *at && *times > 0 => {
            *times -= 1;
            true
        }
        _ => false,
    }
}

impl File {
    /// Some of the unsynced sectors reach the disk; the others are forgotten.
    fn settle(&mut self, rng: &mut Rng) {
        // Sometimes all, sometimes none: the ends are likelier than the middle.
        let mood = rng.below(4);
        let lucky = |rng: &mut Rng| match mood {
            0 => true,
            1 => false,
            _ => rng.chance(2),
        };
        for one in std::mem::take(&mut self.pending) {
            match one {
                Pending::Write(at, bytes) => {
                    for (at, sector) in sectors(at, &bytes) {
                        if lucky(rng) {
                            write(&mut self.durable, at, sector);
                        }
                    }
                }
                truncate @ Pending::Truncate(_) => {
                    if lucky(rng) {
                        truncate.apply(&mut self.durable);
                    }
                }
            }
        }
    }
}

impl Pending {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => write(to, *at, bytes),
            Self::Truncate(length) => to.truncate(*length),
        }
    }
}

/// The parts of a write that lie in one sector each.
fn sectors(start: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut parts, mut at, mut rest) = (Vec::new(), start, bytes);
    while !rest.is_empty() {
        let length = (SECTOR - at % SECTOR).min(rest.len());
        let (part, later) = rest.split_at(length);
        parts.push((at, part));
        (at, rest) = (at + length, later);
    }
    parts
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

//! The disk as a SQLite VFS. The only place with unsafe code: C calls in here with pointers.
//!
//! File names are `/<disk number>/<name>`. One thread drives one disk at a time, so locks always succeed.
#![allow(unsafe_code, reason = "the C interface of a SQLite VFS; test only")]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi;

use super::model::{Disk, Failure, SECTOR};

/// What SQLite calls this VFS.
pub const NAME: &str = "sidestream-disk";
const C_NAME: &CStr = c"sidestream-disk";

static DISKS: Mutex<Option<HashMap<u64, Disk>>> = Mutex::new(None);
static REGISTER: Once = Once::new();

/// What SQLite keeps of an open file: its own part first, as the interface demands.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

struct Handle {
    disk: u64,
    life: u64,
    name: String,
}

fn disks() -> MutexGuard<'static, Option<HashMap<u64, Disk>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a disk in under a number of its own.
pub fn create(number: u64, seed: u64) {
    REGISTER.call_once(register);
    disks().get_or_insert_default().insert(number, Disk::new(seed));
}

/// Works on a disk.
pub fn with<T>(number: u64, work: impl FnOnce(&mut Disk) -> T) -> T {
    work(disks().get_or_insert_default().entry(number).or_insert_with(|| Disk::new(number)))
}

/// Works on an open file's disk, unless its power is off or the handle is of an earlier life.
fn on<T>(handle: &Handle, work: impl FnOnce(&mut Disk, &str) -> Result<T, Failure>) -> Result<T, Failure> {
    with(handle.disk, |disk| {
        if !disk.power || disk.life != handle.life { Err(Failure::Dead) } else { work(disk, &handle.name) }
    })
}

fn code(result: Result<(), Failure>) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failure::Full) => ffi::SQLITE_FULL,
        Err(Failure::Write) => ffi::SQLITE_IOERR_WRITE,
        Err(Failure::Sync) => ffi::SQLITE_IOERR_FSYNC,
        Err(Failure::Dead) => ffi::SQLITE_IOERR,
    }
}

fn number_of(name: &str) -> u64 {
    name.trim_start_matches('/').split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// # Safety
/// `file` is one that `open` set up and that was not closed since.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: every file that SQLite passes was set up by `open`, which stored a leaked box in it.
    unsafe { &*(*file.cast::<OpenFile>()).handle }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let name = if name.is_null() {
        "/0/temporary".to_owned()
    } else {
        // SAFETY: a name that is not null is a C string that lives as long as the call.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    };
    let disk = number_of(&name);
    let opened = with(disk, |found| {
        let may = found.power && (found.exists(&name) || flags & ffi::SQLITE_OPEN_CREATE != 0);
        may.then(|| found.open(&name)).map(|()| found.life)
    });
    let file = file.cast::<OpenFile>();
    // SAFETY: `file` points to `szOsFile` bytes, which is the size of an `OpenFile`.
    unsafe { (*file).base.pMethods = std::ptr::null() };
    let Some(life) = opened else { return ffi::SQLITE_CANTOPEN };
    let handle = Box::into_raw(Box::new(Handle { disk, life, name }));
    // SAFETY: as above; the methods are static; `out` may be null.
    unsafe {
        (*file).handle = handle;
        (*file).base.pMethods = &raw const METHODS;
        if !out.is_null() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` leaked this box, and SQLite closes a file once.
    drop(unsafe { Box::from_raw((*file.cast::<OpenFile>()).handle) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: `to` has room for `amount` bytes, and nothing else looks at them during the call.
    let to = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), amount as usize) };
    // SAFETY: `file` is an open file of ours.
    let handle = unsafe { handle(file) };
    let result = on(handle, |disk, name| {
        let bytes = disk.bytes(name);
        let rest = bytes.get(at as usize..).unwrap_or(&[]);
        let length = rest.len().min(to.len());
        to[..length].copy_from_slice(&rest[..length]);
        to[length..].fill(0);
        Ok(length == to.len())
    });
    match result {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    // SAFETY: `from` has `amount` bytes that nobody changes during the call.
    let from = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), amount as usize) };
    // SAFETY: `file` is an open file of ours.
    code(on(unsafe { handle(file) }, |disk, name| disk.write(name, at as usize, from)))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: `file` is an open file of ours.
    code(on(unsafe { handle(file) }, |disk, name| disk.truncate(name, length as usize)))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: `file` is an open file of ours.
    code(on(unsafe { handle(file) }, Disk::sync))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: `file` is an open file of ours.
    let found = on(unsafe { handle(file) }, |disk, name| Ok(disk.bytes(name).len() as i64));
    found.map_or(ffi::SQLITE_IOERR_FSTAT, |found| {
        // SAFETY: `size` points to a number that SQLite wants.
        unsafe { *size = found };
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_lock(_: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `out` points to a number that SQLite wants.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR as c_int
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // As SQLite assumes of every Unix disk: bytes beside a write survive it.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    _extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `file` is an open file of ours.
    let handle = unsafe { handle(file) };
    let pointer = with(handle.disk, |disk| {
        let regions = disk.shared.entry(handle.name.clone()).or_default();
        while regions.len() <= region as usize {
            regions.push(vec![0_u64; bytes as usize / 8].into_boxed_slice());
        }
        regions[region as usize].as_mut_ptr()
    });
    // SAFETY: `out` points to the pointer that SQLite wants. The region is boxed and kept by the disk.
    unsafe { *out = pointer.cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(_: *mut ffi::sqlite3_file, _: c_int, _: c_int, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, _: c_int) -> c_int {
    // SAFETY: a C string that lives as long as the call.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    code(with(number_of(&name), |disk| disk.delete(&name)))
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: a C string that lives as long as the call.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let found = with(number_of(&name), |disk| disk.exists(&name) && !disk.bytes(&name).is_empty());
    // SAFETY: `out` points to a number that SQLite wants.
    unsafe { *out = c_int::from(found) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: a C string that lives as long as the call.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has `room` bytes, and the two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, amount: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `out` has room for `amount` bytes.
    unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), amount as usize) }.fill(0x5a);
    amount
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: `out` points to a number that SQLite wants.
    unsafe { *out = 2_460_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn register() {
    let vfs = ffi::sqlite3_vfs {
        iVersion: 1,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: 256,
        pNext: std::ptr::null_mut(),
        zName: C_NAME.as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    let vfs = Box::leak(Box::new(vfs));
    // SAFETY: the VFS lives for ever, and all its functions are set for version 1.
    let result = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(result, ffi::SQLITE_OK);
}

//! No input may take memory out of proportion to its size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What any input may take, in bytes, and what it may take for each of its own bytes.
const ANY: usize = 4 << 20;
const EACH: usize = 512;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count.
pub struct Counting;

// SAFETY: each call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs a body and makes sure that it took no more memory than an input of this size may.
pub fn within_bounds(data: &[u8], body: impl Fn(&[u8])) {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    body(data);
    let taken = MOST.load(Relaxed).saturating_sub(before);
    assert!(taken <= ANY + EACH * data.len(), "{taken} bytes of memory for {} of input", data.len());
}

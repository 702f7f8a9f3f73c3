//! An allocator that ends the process where a few bytes of input ask for a lot of memory.
//!
//! libFuzzer's own limit counts pages that were touched, and a list that is only reserved touches none.

use std::alloc::{GlobalAlloc, Layout, System};

/// Inputs have a few kilobytes, so nothing they say explains more than this at once.
const LARGEST: usize = 32 << 20;

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: every call goes to the system's allocator as it came, or ends the process.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn check(size: usize) {
    if size > LARGEST {
        // A panic here would allocate; libFuzzer takes an abort for a crash just as well.
        std::process::abort();
    }
}

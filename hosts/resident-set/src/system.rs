//! The calls, none of which the standard library has.

#![expect(unsafe_code, reason = "they are calls of the C library about memory")]

use std::ops::Range;

/// The allocator keeps memory for this many threads apart, instead of eight for each processor: a process with a dozen
/// threads that hardly ever allocate at once need not keep a dozen pools. Belongs to the very beginning.
pub fn limit_arenas(count: u16) {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, and nobody else allocates yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count.into());
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Gives memory that is free back to the system.
pub(crate) fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator gives back only what nobody has, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The pages of a mapping of the program's own files are no longer resident; whoever reads one has it from the file again.
///
/// The range is one of [`crate::mappings::unwritten_files`], and has been mapped since the program's start.
pub(crate) fn forget_pages(range: &Range<usize>) {
    // SAFETY: the pages are those of a private mapping of a file, which may not be written and of which none was, so they
    // hold what the file does, and their being dropped changes nothing that a reader could see. The mapping is part of the
    // program or of a library that it is linked to, and those are never unmapped.
    unsafe {
        libc::madvise(range.start as *mut libc::c_void, range.len(), libc::MADV_DONTNEED);
    }
}

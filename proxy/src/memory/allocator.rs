//! mimalloc, asked for an alignment only where it would not give that anyway.
//!
//! Asked for one (as the crate `mimalloc` does always) it looks for a block that happens to lie right, and if there is none
//! at hand it takes a larger one and puts what was asked for inside: a slower way, to and back, and more memory.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

/// Blocks are aligned to so much, as C asks of `malloc` (`max_align_t`; mimalloc's `MI_MAX_ALIGN_SIZE`); smaller ones as it
/// suits their size.
const NATURAL: usize = 16;

pub(super) struct Allocator;

/// The same rule as that of the standard library for the C library's `malloc`.
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

#[expect(unsafe_code, reason = "an allocator can be written in no other way")]
// SAFETY: each block is mimalloc's, is as large as asked for, and lies as asked for: by what `is_natural` says of `mi_malloc`
// and by what it is told else. mimalloc's are one family: a block of any of them may be given to any other.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size may be asked for, and an alignment is a power of two.
        let block = unsafe {
            if is_natural(size, align) {
                mi_malloc(size)
            } else {
                mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_natural(size, align) {
                mi_zalloc(size)
            } else {
                mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block is one of ours.
        unsafe { mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller's block is one of ours; else as above.
        let block = unsafe {
            if is_natural(size, align) {
                mi_realloc(block.cast(), size)
            } else {
                mi_realloc_aligned(block.cast(), size, align)
            }
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an allocator can be asked in no other way")]
    fn a_block_lies_as_asked_for_and_keeps_what_is_in_it() {
        let mut blocks = Vec::new();
        for align in (0..=9).map(|power| 1 << power) {
            for size in [1, 7, 8, 9, 15, 16, 17, 48, 200, 1_000, 1_100, 5_000, 70_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: no size is zero; each block is given back once, as what it became.
                unsafe {
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert!((0..size).all(|at| *zeroed.add(at) == 0), "{layout:?}");
                    blocks.push((zeroed, layout));
                    let block = Allocator.alloc(layout);
                    block.write_bytes(7, size);
                    let grown = Layout::from_size_align(size * 3, align).unwrap();
                    let block = Allocator.realloc(block, layout, grown.size());
                    assert!((0..size).all(|at| *block.add(at) == 7), "{layout:?}");
                    blocks.push((block, grown));
                }
            }
        }
        for (block, layout) in blocks {
            assert_eq!(block.addr() % layout.align(), 0, "{layout:?}");
            // SAFETY: as above.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
}

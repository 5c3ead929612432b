//! What the fuzz targets share: the bound of their memory, and the mutation of JSON.

mod json;
mod memory;

pub use json::mutated;
pub use libfuzzer_sys;
pub use memory::{Counting, within_bounds};

/// A fuzz target whose body is this function.
#[macro_export]
macro_rules! target {
    ($body:path) => {
        #[global_allocator]
        static ALLOCATOR: $crate::Counting = $crate::Counting;

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::within_bounds(data, $body));

        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutated(data, size, max_size, seed)
        });
    };
}

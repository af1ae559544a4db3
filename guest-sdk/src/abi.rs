//! The one import that a module of this kit needs, and the only unsafe code in it.
#![allow(unsafe_code)]

/// Writes one line to the job's log. The log helps the author; it is no part of the outcome, and a
/// host may cut it short. In a native test it goes to standard error.
#[cfg(target_arch = "wasm32")]
pub fn log(text: &str) {
    #[link(wasm_import_module = "haar")]
    unsafe extern "C" {
        #[link_name = "log"]
        fn haar_log(ptr: *const u8, len: usize);
    }
    // SAFETY: the pointer and the length are those of a live `str`, and the host only reads.
    unsafe { haar_log(text.as_ptr(), text.len()) }
}

/// Writes one line to the job's log. The log helps the author; it is no part of the outcome, and a
/// host may cut it short. In a native test it goes to standard error.
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::print_stderr)] // `cargo test` shows it with the test it belongs to.
pub fn log(text: &str) {
    eprintln!("{text}");
}

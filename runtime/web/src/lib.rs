//! The pass and the host interface as one WebAssembly module, for browsers and every other engine.

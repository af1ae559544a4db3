//! The ceilings of the pass: everything that a stranger can make large.
//!
//! They are part of `haar-wasm/1`: two miners must agree on what is refused.

/// Bytes of a module.
pub const MODULE_BYTES_MAX: usize = 32 << 20;
/// Bytes of the metered module. Metering adds half as a rule; tiny blocks can add much more.
pub const METERED_BYTES_MAX: usize = 64 << 20;
/// Function types, each of which is doubled by the pass.
pub const TYPES_MAX: u64 = 10_000;
/// Imported functions.
pub const IMPORTS_MAX: u64 = 1_000;
/// Functions, imported and defined.
pub const FUNCTIONS_MAX: u64 = 100_000;
/// Globals.
pub const GLOBALS_MAX: u64 = 10_000;
/// Exports.
pub const EXPORTS_MAX: u64 = 10_000;
/// Data segments.
pub const DATA_SEGMENTS_MAX: u64 = 50_000;
/// Element segments.
pub const ELEMENT_SEGMENTS_MAX: u64 = 50_000;
/// Entries of the table, and of all element segments together.
pub const TABLE_ENTRIES_MAX: u64 = 1_000_000;
/// Parameters of a function or block.
pub const PARAMS_MAX: u64 = 500;
/// Results of a function or block.
pub const RESULTS_MAX: u64 = 500;
/// Bytes of a function body before metering.
pub const BODY_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a function body after metering: where the engines of browsers stop.
pub const METERED_BODY_BYTES_MAX: usize = 7_654_321;
/// Locals that a function declares.
pub const LOCALS_MAX: u64 = 10_000;
/// Targets of one `br_table`.
pub const BR_TABLE_MAX: u64 = 10_000;
/// Blocks inside each other.
pub const NESTING_MAX: u64 = 500;
/// Operands that blocks, calls and branches move, counted over the module's text. Without it a
/// 2-byte instruction with 500 operands makes validation 500 times slower than its bytes.
pub const OPERANDS_MOVED_MAX: u64 = 64 << 20;
/// Bytes of one function's stack frame by the formula of the profile.
pub const FRAME_BYTES_MAX: u64 = 64 << 10;
/// Bytes of the custom section `haar.manifest`.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// The largest stack limit of any profile.
pub const STACK_LIMIT_MAX: u32 = 64 << 20;
/// The largest page limit of any profile: all that 32 bits can address.
pub const PAGES_MAX: u32 = 65_536;

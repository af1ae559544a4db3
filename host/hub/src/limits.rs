//! Every maximum of the hub, in one place.

use std::time::Duration;

/// Bytes of one blob over HTTP; larger ones come through the swarm.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;
/// Bytes that strangers may leave with `PUT /v1/blobs` during one life of the hub.
pub const BLOBS_PUT_BYTES_MAX: u64 = 4 << 30;
/// Bytes of one module that can be published.
pub const MODULE_BYTES_MAX: u64 = 10 << 20;
/// Bytes of one call's input.
pub const INPUT_BYTES_MAX: u64 = 10 << 20;
/// Functions at one hub, all versions counted.
pub const FUNCTIONS_MAX: usize = 10_000;
/// Inputs that one fsync makes durable together.
pub const GROUP_MAX: usize = 256;
/// Inputs that wait for the journal; senders wait beyond it.
pub const INPUTS_WAITING_MAX: usize = 4_096;
/// Calls that wait for their answer.
pub const CALLS_MAX: usize = 4_096;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_BYTES_MAX: usize = 128;
/// Other miners that an offer names as sources of the module.
pub const HOLDERS_NAMED: usize = 3;
/// Miners remembered as holders of one blob.
pub const HOLDERS_KEPT: usize = 16;
/// Blobs whose holders are remembered.
pub const HOLDINGS_MAX: usize = 10_000;
/// How long a miner may take to say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a miner's hello may be valid, so that a stolen one is soon worthless.
pub const BINDING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a call may run unless it says otherwise.
pub const CALL_DEADLINE: Duration = Duration::from_secs(120);
/// Fuel of a call that names no limit.
pub const FUEL_DEFAULT: u64 = 20_000_000_000;
/// The most fuel that a call may name.
pub const FUEL_MAX: u64 = 400_000_000_000;

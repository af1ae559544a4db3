// Enters a metered guest and says how it ended, in any JavaScript engine.
//
// One ES module without dependencies: it runs in a page's worker, in Node, and in the bare shells of
// JavaScriptCore and SpiderMonkey, which have neither TextEncoder nor fetch. The rules are those of
// `runtime/sandbox/README.md`; both must give the same outcome for the same bytes, so what is decided
// here is decided there too: the status first, then the class of the error, never its text.

/** What a guest's memory is hashed in: large enough to be fast, small enough for a phone. */
const HASH_BYTES = 1 << 20;

/** `__haar_status`: who ended the run. */
const STATUS = { none: 0, outOfFuel: 1, stack: 2, abort: 3, hostMemory: 4, endedByHost: 5 };

/** How `wasi_call` says that the run is over. */
const ENDED = { exit: -1, outOfFuel: -2, fault: -3, hostMemory: -4 };

/** What the guest's status says after such an end. */
const STATUS_OF_END = {
  [ENDED.exit]: STATUS.endedByHost,
  [ENDED.outOfFuel]: STATUS.outOfFuel,
  [ENDED.fault]: STATUS.endedByHost,
  [ENDED.hostMemory]: STATUS.hostMemory,
};

/** The first byte of a reactor's answer. */
const FRAME = { value: 0, applicationError: 1, http: 2 };

/** The largest limit that a counter can hold. */
const FUEL_MAX = 1n << 48n;

/**
 * `(param i32 i32) (result i32)` and the like: mul32, min32, max32, min64, max64 of two splats, the first lane.
 * Arguments, so that no compiler can work them out beforehand.
 */
const VECTOR_PROBE =
  '0061736d01000000010d0260027f7f017f60027e7e017e0306050000000101072905056d756c33320000056d696e33320001' +
  '056d617833320002056d696e36340003056d6178363400040a560510002000fd112001fd11fde601fd1b000b10002000fd11' +
  '2001fd11fde801fd1b000b10002000fd112001fd11fde901fd1b000b10002000fd122001fd12fdf401fd1d000b10002000fd' +
  '122001fd12fdf501fd1d000b';

/** A module that no miner can run. */
export class Rejected extends Error {
  constructor(code, offset, message) {
    super(message);
    this.code = code;
    /** The byte of the module, or null. */
    this.offset = offset;
  }
}

/** What this host could not do. It says nothing about the guest, and nobody signs anything. */
export class Abstained extends Error {}

/** Unwinds the guest after a host function has ended the run. */
class Unwound {
  constructor(ended) {
    this.ended = ended;
  }
}

/** The guest broke the rules of reactors. */
class BrokenAbi {}

/** The pass, the host interface and BLAKE3: `haar_web.wasm`. */
export class Core {
  /** @param {WebAssembly.Module} module */
  constructor(module) {
    /** The memory of the guest that is calling, while it is calling. */
    this.guest = null;
    const instance = new WebAssembly.Instance(module, {
      guest: {
        read: (at, to, length) => {
          const from = new Uint8Array(this.guest.buffer, at >>> 0, length >>> 0);
          this.bytes(to, length).set(from);
        },
        write: (at, from, length) => {
          const to = new Uint8Array(this.guest.buffer, at >>> 0, length >>> 0);
          to.set(this.bytes(from, length));
        },
      },
    });
    this.exports = instance.exports;
    this.functions = this.readFunctions();
  }

  /** A view of our memory. It dies when the memory grows, so nobody keeps one. */
  bytes(at, length) {
    return new Uint8Array(this.exports.memory.buffer, at >>> 0, length >>> 0);
  }

  /** Copies bytes to a new buffer. */
  give(bytes) {
    const buffer = this.exports.buffer_new(bytes.length);
    if (buffer === 0) throw new Abstained('the core has no room for a buffer');
    this.bytes(this.exports.buffer_at(buffer), bytes.length).set(bytes);
    return buffer;
  }

  /** Copies a buffer's bytes out and frees it. */
  take(buffer) {
    if (buffer === 0) throw new Abstained('the core gave no buffer');
    const at = this.exports.buffer_at(buffer);
    const bytes = this.bytes(at, this.exports.buffer_length(buffer)).slice();
    this.exports.free(buffer);
    return bytes;
  }

  /**
   * Meters a module.
   * @param {{stackLimit: number, pagesMax: number, simd: boolean}} profile
   */
  meter(module, profile) {
    const given = this.give(module);
    const answer = this.exports.meter(given, profile.stackLimit, profile.pagesMax, profile.simd ? 1 : 0);
    this.exports.free(given);
    const form = new Form(this.take(answer));
    if (form.u8() === 1) {
      const offset = form.u64();
      const code = ascii(form.bytes());
      throw new Rejected(code, offset === 2n ** 64n - 1n ? null : Number(offset), text(form.bytes()));
    }
    return {
      initCost: form.u64(),
      pagesMin: form.u32(),
      pagesMax: form.u32(),
      kind: form.u8() === 0 ? 'command' : 'reactor',
      hasInitialize: form.u8() === 1,
      manifest: form.bytes(),
      bytes: form.bytes(),
    };
  }

  /** BLAKE3 of several byte arrays, one after the other. */
  hash(...parts) {
    const hasher = this.exports.hash_new();
    const buffer = this.exports.buffer_new(HASH_BYTES);
    if (hasher === 0 || buffer === 0) throw new Abstained('the core has no room for a hash');
    for (const part of parts) {
      for (let at = 0; at < part.length; at += HASH_BYTES) {
        const piece = part.subarray(at, at + HASH_BYTES);
        this.bytes(this.exports.buffer_at(buffer), piece.length).set(piece);
        this.exports.hash_add(hasher, buffer, piece.length);
      }
    }
    this.exports.free(buffer);
    return this.take(this.exports.hash_end(hasher));
  }

  readFunctions() {
    const form = new Form(this.take(this.exports.functions()));
    const functions = [];
    while (!form.isAtEnd()) {
      const [module, name] = [ascii(form.bytes()), ascii(form.bytes())];
      functions.push({ module, name, returnsErrno: form.u8() === 1, is64: [...form.bytes()] });
    }
    return functions;
  }
}

/** The world of one guest during one run. */
export class Wasi {
  /** @param {Core} core @param {object} environment see {@link encodeEnvironment} */
  constructor(core, environment) {
    this.core = core;
    const given = core.give(encodeEnvironment(environment));
    this.run = core.exports.wasi_new(given);
    core.exports.free(given);
    if (this.run < 0) throw new Abstained(text(core.take(-this.run)));
    if (this.run === 0) throw new Abstained('the core has no room for a run');
  }

  /**
   * Makes one call: the fuel that is left, and an errno or an `ended`.
   * @param {WebAssembly.Memory} memory
   */
  call(number, args, memory, fuel) {
    const { exports } = this.core;
    const words = exports.wasi_words(this.run);
    const view = new DataView(exports.memory.buffer, words, 80);
    view.setBigInt64(0, fuel, true);
    this.core.functions[number].is64.forEach((is64, index) => {
      view.setBigUint64(8 + 8 * index, is64 ? BigInt.asUintN(64, args[index]) : BigInt(args[index] >>> 0), true);
    });
    this.core.guest = memory;
    const end = exports.wasi_call(this.run, number, memory.buffer.byteLength / 65536);
    this.core.guest = null;
    // The core's own memory may have grown, so the view may be dead.
    const left = new DataView(exports.memory.buffer, words, 8).getBigInt64(0, true);
    return { end, left };
  }

  /** Ends the run and hands over what it left. */
  finish() {
    const form = new Form(this.core.take(this.core.exports.wasi_end(this.run)));
    const exited = form.u8() === 1;
    const code = form.u32();
    return { exit: exited ? code : null, transcript: form.raw(32), stdout: form.bytes(), log: form.bytes() };
  }

  /** What stands behind the guest's imports. `reach` is filled once the instance is there. */
  imports(reach) {
    const imports = {};
    this.core.functions.forEach((declared, number) => {
      imports[declared.module] ??= {};
      imports[declared.module][declared.name] = (...args) => {
        const { end, left } = this.call(number, args, reach.memory, reach.fuel.value);
        reach.fuel.value = left;
        if (end >= 0) return declared.returnsErrno ? end : undefined;
        if (end < ENDED.hostMemory) throw new Abstained('the core knows no such run');
        reach.status.value = STATUS_OF_END[end];
        throw new Unwound(end);
      };
    });
    return imports;
  }
}

/**
 * Runs a metered module once, from its start to its end.
 *
 * @param {Core} core
 * @param {WebAssembly.Module} module the metered module, compiled
 * @param {{kind: string, initCost: bigint, hasInitialize: boolean}} metered what {@link Core.meter} said of it
 * @param {{environment: object, input: Uint8Array, fuelMax: bigint, outputBytesMax: number}} spec
 * @param {(instance: WebAssembly.Instance) => void} [inspect] sees the instance after the run, whatever came of it
 * @returns `{kind: 'returned' | 'out-of-fuel' | 'trapped', exitCode, fuelUsed, output, log, transcript}`
 * @throws {Abstained} what this host could not do
 */
export function run(core, module, metered, spec, inspect = () => {}) {
  const isCommand = metered.kind === 'command';
  const stdin = isCommand ? spec.input : new Uint8Array(0);
  const wasi = new Wasi(core, { ...spec.environment, stdin, outputBytesMax: spec.outputBytesMax });

  const limit = spec.fuelMax < FUEL_MAX ? spec.fuelMax : FUEL_MAX;
  if (limit < metered.initCost) {
    return { kind: 'out-of-fuel', exitCode: 0, fuelUsed: spec.fuelMax, ...leave(wasi.finish(), false) };
  }
  const reach = {};
  const guest = enter(module, wasi.imports(reach), reach);
  reach.fuel.value = limit - metered.initCost;

  const result = play(guest, reach, metered, spec);
  const [status, left] = [reach.status.value, reach.fuel.value];
  inspect(guest, { status, left });
  const left_behind = wasi.finish();
  const ending = judge(status, left, result);
  if (ending === 'abstained') throw new Abstained(`status ${status}, ${result.error}`);
  return outcome(ending, spec.fuelMax, left, result, left_behind, isCommand);
}

/** A fresh instance. Nothing of the guest runs yet: the pass has removed its start section. */
function enter(module, imports, reach) {
  let guest;
  try {
    guest = new WebAssembly.Instance(module, imports);
  } catch (error) {
    throw new Abstained(`the engine cannot make the instance: ${error}`);
  }
  reach.memory = guest.exports.memory;
  reach.fuel = guest.exports.__haar_fuel;
  reach.status = guest.exports.__haar_status;
  return guest;
}

/** Calls the guest, and catches whatever comes of it. */
function play(guest, reach, metered, spec) {
  try {
    return playOn(guest, reach, metered, spec);
  } catch (error) {
    if (error instanceof BrokenAbi) return { way: 'abi' };
    if (error instanceof Unwound) return { way: 'trapped', ended: error.ended };
    // Stack overflow is a RangeError or an InternalError, and no answer.
    return { way: error instanceof WebAssembly.RuntimeError ? 'trapped' : 'failed', error };
  }
}

/** Every return is followed by a look at the fuel, so that a guest in debt never gets further. */
function playOn(guest, reach, metered, spec) {
  const { exports } = guest;
  const isInDebt = () => reach.fuel.value < 0n;
  const nothing = { way: 'returned' };

  if (exports.__haar_start) exports.__haar_start();
  if (isInDebt()) return nothing;
  if (metered.kind === 'command') {
    exports._start();
    return nothing;
  }

  if (metered.hasInitialize) exports._initialize();
  if (isInDebt()) return nothing;
  const { input } = spec;
  let at = 0;
  if (input.length > 0) {
    at = exports.haar_alloc(input.length);
    if (isInDebt()) return nothing;
    // An address is positive: memory is capped far below the sign bit.
    if (at <= 0 || reach.memory.buffer.byteLength < at + input.length) throw new BrokenAbi();
    new Uint8Array(reach.memory.buffer, at, input.length).set(input);
  }
  const packed = exports.haar_run(at, input.length);
  if (isInDebt()) return nothing;
  return takeFrame(reach.memory, packed, spec.outputBytesMax);
}

/** Reads the frame that `address << 32 | length` names. */
function takeFrame(memory, packed, outputBytesMax) {
  const start = Number(packed >> 32n);
  const length = Number(packed & 0xffffffffn);
  if (start <= 0 || memory.buffer.byteLength < start + length || length === 0) throw new BrokenAbi();
  const frame = new Uint8Array(memory.buffer, start, length);
  if (outputBytesMax < length - 1 || FRAME.http < frame[0]) throw new BrokenAbi();
  return {
    way: 'returned',
    exitCode: frame[0] === FRAME.applicationError ? 1 : 0,
    payload: frame.slice(1),
  };
}

/** The table of `metering.md` section 2.8. */
function judge(status, left, { way }) {
  const isTrap = way === 'trapped';
  const hasReturned = way === 'returned' || way === 'abi';
  switch (status) {
    case STATUS.none:
      if (hasReturned) return left < 0n ? 'out-of-fuel' : 'returned';
      return isTrap ? 'trap' : 'abstained';
    case STATUS.outOfFuel:
      return isTrap ? 'out-of-fuel' : 'abstained';
    case STATUS.stack:
      return isTrap ? 'stack-limit' : 'abstained';
    case STATUS.abort:
      return isTrap ? 'abort' : 'abstained';
    case STATUS.endedByHost:
      return isTrap ? 'ended-by-host' : 'abstained';
    default:
      return 'abstained';
  }
}

/** What the ending bills, and what of the run is kept. */
function outcome(ending, fuelMax, left, result, rest, isCommand) {
  const used = fuelMax - (left < 0n ? 0n : left);
  const failed = (kind, fuelUsed) => ({ kind, exitCode: 0, fuelUsed, ...leave(rest, false) });
  switch (ending) {
    case 'returned': {
      if (result.way === 'abi') return failed('trapped', used);
      const kept = leave(rest, isCommand);
      if (result.payload) kept.output = result.payload;
      return { kind: 'returned', exitCode: result.exitCode ?? 0, fuelUsed: used, ...kept };
    }
    case 'ended-by-host':
      if (result.ended !== ENDED.exit) return failed('trapped', fuelMax);
      return { kind: 'returned', exitCode: rest.exit, fuelUsed: used, ...leave(rest, isCommand) };
    case 'out-of-fuel':
      return failed('out-of-fuel', fuelMax);
    case 'trap':
      return failed('trapped', fuelMax);
    default:
      return failed('trapped', used);
  }
}

function leave(rest, hasOutput) {
  const output = hasOutput ? rest.stdout : new Uint8Array(0);
  return { output, log: rest.log, transcript: rest.transcript };
}

/**
 * Writes a job's environment in the form that the core reads.
 * @param {{args?: string[], env?: [string, string][], files?: [string, Uint8Array][], stdin?: Uint8Array,
 *   seed?: Uint8Array, timeNs?: bigint, inputBytesMax?: number, outputBytesMax?: number,
 *   logBytesMax?: number, treeBytesMax?: number}} given
 */
export function encodeEnvironment(given) {
  const parts = [];
  const number = (bytes, value) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(value), true);
    parts.push(new Uint8Array(view.buffer, 0, bytes));
  };
  const blob = (bytes) => {
    number(4, bytes.length);
    parts.push(bytes);
  };
  const [args, env, files] = [given.args ?? [], given.env ?? [], given.files ?? []];
  number(4, args.length);
  args.forEach((arg) => blob(utf8(arg)));
  number(4, env.length);
  env.forEach(([name, value]) => (blob(utf8(name)), blob(utf8(value))));
  number(4, files.length);
  files.forEach(([path, bytes]) => (blob(utf8(path)), blob(bytes)));
  blob(given.stdin ?? new Uint8Array(0));
  parts.push(given.seed ?? new Uint8Array(32));
  number(8, given.timeNs ?? 0n);
  number(8, given.inputBytesMax ?? 10 << 20);
  number(8, given.outputBytesMax ?? 10 << 20);
  number(8, given.logBytesMax ?? 64 << 10);
  number(8, given.treeBytesMax ?? 64 << 20);
  return concat(parts);
}

/** Reads what the core wrote, from front to back. */
class Form {
  constructor(bytes) {
    this.all = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = 0;
  }
  isAtEnd() {
    return this.at === this.all.length;
  }
  raw(length) {
    this.at += length;
    return this.all.slice(this.at - length, this.at);
  }
  u8() {
    return this.view.getUint8((this.at += 1) - 1);
  }
  u32() {
    return this.view.getUint32((this.at += 4) - 4, true);
  }
  u64() {
    return this.view.getBigUint64((this.at += 8) - 8, true);
  }
  bytes() {
    return this.raw(this.u32());
  }
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function ascii(bytes) {
  return String.fromCharCode(...bytes);
}

/** UTF-8 to text, without the TextDecoder that shells lack. */
export function text(bytes) {
  let escaped = '';
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, '0')}`;
  return decodeURIComponent(escaped);
}

/** Text to UTF-8, without the TextEncoder that shells lack. */
export function utf8(words) {
  const bytes = [];
  const escaped = encodeURIComponent(words);
  for (let at = 0; at < escaped.length; at += 1) {
    if (escaped[at] === '%') {
      bytes.push(parseInt(escaped.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(escaped.charCodeAt(at));
    }
  }
  return Uint8Array.from(bytes);
}

/**
 * What this engine computes wrongly with vectors, by name. A host offers `simd` only if this is empty.
 *
 * 32-bit ARM flushes subnormals in vectors; SpiderMonkey 102 takes −0 for the larger of 0 and −0.
 */
export function vectorFaults() {
  let lanes;
  try {
    lanes = new WebAssembly.Instance(new WebAssembly.Module(unhex(VECTOR_PROBE))).exports;
  } catch {
    return ['vectors'];
  }
  const [minus32, minus64] = [0x80000000 | 0, -(2n ** 63n)];
  const right = {
    subnormals: lanes.mul32(0x006ce3ee, 0x3f000000) === 0x003671f7,
    min: lanes.min32(0, minus32) === minus32 && lanes.min64(0n, minus64) === minus64,
    max: lanes.max32(0, minus32) === 0 && lanes.max64(0n, minus64) === 0n,
  };
  return Object.keys(right).filter((name) => !right[name]);
}

function unhex(digits) {
  return Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
}

/** Bytes as hexadecimal digits. */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

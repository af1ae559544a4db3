// Times modules in V8, plain and metered in turn, with a small deterministic WASI behind both.
// usage: node v8.mjs <list.json>; the list is {runs, subjects: [{name, forms: [path..]}]}.
// Prints one JSON line per subject: {name, compile: [us..], run: [us..], fuel: [text..]}.
import { readFileSync } from 'node:fs';

const list = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Microseconds that this thread spent on a core; older versions only know the clock on the wall. The
 * kernel brings the figure up to date when a thread sleeps, so this one does, for an instant.
 */
function now() {
  if (!process.threadCpuUsage) return performance.now() * 1000;
  Atomics.wait(pause, 0, 0, 0.01);
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** More than any count; the host calls of this script charge nothing. */
const FUEL = 1n << 62n;

class Exit extends Error {}

/** What the programs import, answered alike for every form. */
function wasi(name, state) {
  const view = () => new DataView(state.memory.buffer);
  const known = {
    args_sizes_get: (count, bytes) => {
      view().setUint32(count, 1, true);
      view().setUint32(bytes, name.length + 1, true);
      return 0;
    },
    args_get: (pointers, text) => {
      view().setUint32(pointers, text, true);
      new Uint8Array(state.memory.buffer).set(new TextEncoder().encode(`${name}\0`), text);
      return 0;
    },
    environ_sizes_get: (count, bytes) => {
      view().setUint32(count, 0, true);
      view().setUint32(bytes, 0, true);
      return 0;
    },
    environ_get: () => 0,
    clock_time_get: (id, precision, at) => { view().setBigUint64(at, 0n, true); return 0; },
    random_get: (at, length) => {
      const bytes = new Uint8Array(state.memory.buffer, at, length);
      bytes.forEach((_, index) => { bytes[index] = index * 37 + 11; });
      return 0;
    },
    fd_write: (descriptor, vectors, count, written) => {
      let total = 0;
      for (let index = 0; index < count; index += 1) {
        const at = view().getUint32(vectors + 8 * index, true);
        const length = view().getUint32(vectors + 8 * index + 4, true);
        if (descriptor === 1) state.output += Buffer.from(state.memory.buffer, at, length).toString('latin1');
        total += length;
      }
      view().setUint32(written, total, true);
      return 0;
    },
    fd_fdstat_get: (descriptor, at) => {
      new Uint8Array(state.memory.buffer, at, 24).fill(0);
      return 0;
    },
    proc_exit: (code) => { throw new Exit(`exit with code ${code}`); },
  };
  // 8 is `badf`, 52 `nosys`.
  const answer = (key) => (key.startsWith('fd_') ? () => 8 : () => 52);
  return (key) => known[key] ?? answer(key);
}

function run(module, name) {
  const state = { memory: undefined, output: '' };
  const imports = {};
  const function_of = wasi(name, state);
  for (const { module: from, name: key } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[key] = function_of(key);
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  state.memory = exports.memory;
  if (exports.__haar_fuel) exports.__haar_fuel.value = FUEL;
  const start = now();
  try {
    exports.__haar_start?.();
    exports._start();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
  }
  const fuel = exports.__haar_fuel ? (FUEL - exports.__haar_fuel.value).toString() : '0';
  return { took: now() - start, output: state.output, fuel };
}

for (const { name, forms } of list.subjects) {
  const compile = [];
  const modules = forms.map((path, form) => {
    const bytes = readFileSync(path);
    const start = now();
    const module = new WebAssembly.Module(bytes);
    compile[form] = now() - start;
    return module;
  });
  const least = forms.map(() => Infinity);
  const fuel = [];
  let expected;
  for (let round = 0; round < list.runs; round += 1) {
    for (let turn = 0; turn < modules.length; turn += 1) {
      const form = (round + turn) % modules.length;
      const { took, output, fuel: used } = run(modules[form], name);
      fuel[form] = used;
      least[form] = Math.min(least[form], took);
      expected ??= output;
      if (output !== expected) throw new Error(`${name}: the forms print different things`);
    }
  }
  console.log(JSON.stringify({ name, compile, run: least, fuel }));
}

// Runs a corpus in one engine and prints one line a run; the lines must be those of wasmtime.
//
//   <engine> driver.mjs <folder> <section> <first> <last>
//
// The folder holds `manifest.json`, `corpus.bin`, `haar_web.wasm` and `host.mjs`. One driver fits all
// shells: who has `process` is Node, who has `os` is SpiderMonkey, the rest is JavaScriptCore.

import { Abstained, Core, Rejected, Wasi, hex, run, vectorFaults } from './host.mjs';

const shell = findShell();
const [folder, section, first, last] = shell.args;
const manifest = JSON.parse(shell.text(`${folder}/manifest.json`));
const corpus = shell.bytes(`${folder}/corpus.bin`);
const core = new Core(new WebAssembly.Module(shell.bytes(`${folder}/haar_web.wasm`)));
const faults = vectorFaults();
const sections = { runs: playCase, meterings: meterOne, scripts: playScript };

const items = manifest[section];
for (let index = Number(first); index < Math.min(Number(last), items.length); index += 1) {
  for (const [part, line] of sections[section](items[index]).entries()) {
    // A message may have lines of its own.
    shell.print(`${index} ${part} ${line.replaceAll('\n', '\\n')}`);
  }
}

function findShell() {
  if (typeof process === 'object') {
    const fs = process.getBuiltinModule('fs');
    return {
      args: process.argv.slice(2),
      text: (path) => fs.readFileSync(path, 'utf8'),
      bytes: (path) => new Uint8Array(fs.readFileSync(path)),
      print: (line) => fs.writeSync(1, `${line}\n`),
    };
  }
  if (typeof os === 'object') {
    return {
      args: scriptArgs,
      text: (path) => os.file.readFile(path),
      bytes: (path) => os.file.readFile(path, 'binary'),
      print,
    };
  }
  return {
    args: globalThis.arguments,
    text: (path) => readFile(path),
    bytes: (path) => readFile(path, 'binary'),
    print,
  };
}

function slice([at, length]) {
  return corpus.slice(at, at + length);
}

/** One metered module at each of its limits. */
function playCase(item) {
  const fault = faults.find((name) => item.uses.includes(name));
  if (fault) return item.fuels.map(() => `abstained: this engine has a faulty ${fault} of vectors`);
  let module;
  try {
    module = new WebAssembly.Module(slice(item.module));
  } catch (error) {
    return item.fuels.map(() => `abstained: ${error}`);
  }
  const metered = { kind: item.kind, initCost: BigInt(item.initCost), hasInitialize: item.hasInitialize };
  const spec = { environment: { args: item.args }, input: slice(item.input), outputBytesMax: manifest.outputBytesMax };
  return item.fuels.map((fuel) => {
    let print = '';
    try {
      const outcome = run(core, module, metered, { ...spec, fuelMax: BigInt(fuel) }, (instance, ended) => {
        print = fingerprint(module, instance, ended);
      });
      const hash = (bytes) => hex(core.hash(bytes));
      return (
        `${outcome.kind} exit=${outcome.exitCode} used=${outcome.fuelUsed} output=${hash(outcome.output)}` +
        ` log=${hash(outcome.log)} transcript=${hex(outcome.transcript)}${print}`
      );
    } catch (error) {
      if (error instanceof Abstained) return `abstained: ${error.message}`;
      throw error;
    }
  });
}

function fingerprint(module, instance, { status, left }) {
  const { exports } = instance;
  const globals = [];
  for (const { name, kind } of WebAssembly.Module.exports(module)) {
    if (kind === 'global' && !name.startsWith('__haar_')) globals.push(exports[name].value);
  }
  const memory = new Uint8Array(exports.memory.buffer);
  return (
    ` status=${status} left=${left} pages=${memory.length / 65536}` +
    ` memory=${hex(core.hash(memory))} globals=${globals.join(',')}`
  );
}

/** What the pass says of one module. */
function meterOne(item) {
  try {
    const metered = core.meter(slice(item.module), manifest.profile);
    const { initCost, pagesMin, pagesMax, kind, bytes } = metered;
    return [`metered ${initCost} ${pagesMin} ${pagesMax} ${kind} ${hex(core.hash(bytes))}`];
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return [`refused ${error.code} ${error.offset ?? 'nowhere'} ${error.message}`];
  }
}

/** A list of host calls over plain bytes. */
function playScript(item) {
  const bytes = new Uint8Array(item.pages * 65536);
  for (const [at, place] of item.writes) bytes.set(slice(place), at);
  const environment = {
    args: item.args,
    env: item.env,
    files: item.files.map(([path, place]) => [path, slice(place)]),
    stdin: slice(item.stdin),
    seed: slice(item.seed),
    timeNs: BigInt(item.timeNs),
  };
  const wasi = new Wasi(core, environment);
  let fuel = BigInt(item.fuel);
  const ends = item.calls.map(([number, ...args]) => {
    const { is64 } = core.functions[number];
    const words = args.map((arg, index) => (is64[index] ? BigInt(arg) : Number(BigInt.asIntN(32, BigInt(arg)))));
    const { end, left } = wasi.call(number, words, { buffer: bytes.buffer }, fuel);
    fuel = left;
    return `${end}:${left}`;
  });
  const { exit, transcript, stdout, log } = wasi.finish();
  const hash = (what) => hex(core.hash(what));
  return [
    `${ends.join(' ')} exit=${exit ?? 'none'} transcript=${hex(transcript)}` +
      ` memory=${hash(bytes)} output=${hash(stdout)} log=${hash(log)}`,
  ];
}

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ROOT } from '../support/command.js';

/** What each crate of the project may depend on, besides crates of others; testkit, interop and fuzz are for tests alone. */
const CRATE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  'x11-wire': [],
  'cross-domain': [],
  session: ['x11-wire'],
  sys: [],
  display: [],
  shmfence: ['sys'],
  events: [],
  device: ['cross-domain', 'session', 'shmfence', 'sys', 'x11-wire'],
  host: ['device', 'display', 'events', 'session', 'sys'],
  bridge: ['cross-domain', 'device', 'display', 'events', 'session', 'shmfence', 'sys', 'x11-wire'],
  node: ['bridge', 'display', 'host', 'sys'],
  testkit: ['sys'],
  interop: ['bridge', 'sys'],
  fuzz: ['cross-domain', 'device', 'session', 'sys', 'x11-wire'],
};

/** Crates without I/O, threads or clock: they must not name these parts of the standard library. */
const PURE_CRATES = ['x11-wire', 'cross-domain', 'session'];
const IMPURE = /\bstd::(fs|net|thread|time|process|env|io)\b/;

/** What each folder of ts/ may import from the others; '.' are the files at the top. */
const TS_LAYERS: Readonly<Record<string, readonly string[]>> = {
  cli: ['cli', 'config', 'control', 'doctor', 'host', 'session', 'trace', 'vm', 'errors.ts', 'runtime-dir.ts'],
  control: ['control', 'config', 'native', 'session', 'errors.ts', 'exit.ts'],
  trace: ['trace', 'policy'],
  vm: ['vm', 'errors.ts'],
  doctor: ['doctor', 'config', 'session', 'native', 'vm', 'errors.ts', 'runtime-dir.ts'],
  session: ['session', 'policy', 'native', 'config', 'emitter.ts', 'handle.ts', 'errors.ts', 'exit.ts', 'runtime-dir.ts'],
  host: ['host', 'native', 'config', 'session', 'emitter.ts', 'handle.ts', 'errors.ts', 'exit.ts'],
  native: ['native', 'policy', 'config', 'errors.ts'],
  policy: ['policy', 'config', 'errors.ts'],
  config: ['config', 'errors.ts'],
  'index.ts': ['config', 'errors.ts', 'host', 'session'],
  'index.mts': ['index.ts'],
  'emitter.ts': [],
  'errors.ts': [],
  'exit.ts': [],
  'handle.ts': ['emitter.ts', 'exit.ts'],
  'runtime-dir.ts': ['errors.ts'],
};

describe('the layers of the Rust crates', () => {
  it('cover every crate', () => {
    assert.deepEqual(readdirSync(join(ROOT, 'crates')).toSorted(), Object.keys(CRATE_LAYERS).toSorted());
  });

  for (const [crate, allowed] of Object.entries(CRATE_LAYERS)) {
    it(`let ${crate} depend on ${allowed.join(', ') || 'no other crate of the project'}`, () => {
      const own = dependencies(crate).filter((name) => name in CRATE_LAYERS);
      assert.deepEqual(own.filter((name) => !allowed.includes(name)), []);
    });
  }

  it('keep napi at the border', () => {
    const users = Object.keys(CRATE_LAYERS).filter((crate) => dependencies(crate).some((name) => name.startsWith('napi')));
    assert.deepEqual(users, ['node']);
  });

  for (const crate of PURE_CRATES) {
    it(`keep ${crate} free of files, sockets, threads and clocks`, () => {
      for (const file of rustFiles(crate)) assert.doesNotMatch(withoutTests(read(file)), IMPURE, file);
    });
  }

  it('catch panics in every function that JavaScript can call', () => {
    const exports = rustFiles('node').flatMap((file) => [...read(file).matchAll(/#\[napi(?<options>\([^)]*\))?\]\s*(?:#\[[^\]]*\]\s*)*pub (?:async )?fn (?<name>\w+)/g)]);
    assert.ok(exports.length >= 10, `${exports.length} exports`);
    assert.deepEqual(exports.filter(({ groups }) => !groups?.['options']?.includes('catch_unwind')).map(({ groups }) => groups?.['name']), []);
  });

  it('leave unsafe code to sys, by the compiler', () => {
    for (const crate of Object.keys(CRATE_LAYERS).filter((name) => name !== 'sys' && name !== 'node')) {
      assert.match(read(`crates/${crate}/src/lib.rs`), /^#!\[forbid\(unsafe_code\b/m, crate);
    }
    // napi's macros generate unsafe code, which `forbid` would refuse.
    assert.match(read('crates/node/src/lib.rs'), /^#!\[deny\(unsafe_code\b/m);
  });

  it('leave unsafe code to sys, by the text', () => {
    for (const crate of Object.keys(CRATE_LAYERS).filter((name) => name !== 'sys')) {
      for (const file of rustFiles(crate)) {
        assert.doesNotMatch(withoutComments(read(file)), /\bunsafe\s*(\{|fn|impl|trait|extern)|allow\(unsafe_code/, file);
      }
    }
  });
});

describe('the layers of TypeScript', () => {
  for (const file of typescriptFiles()) {
    it(`hold in ${file}`, () => {
      const layer = layerOf(file);
      const allowed = TS_LAYERS[layer];
      assert.ok(allowed, `${layer} has no rule`);
      assert.deepEqual(imports(file).map(layerOf).filter((name) => !allowed.includes(name)), []);
    });
  }

  it('let only native load the addon', () => {
    const users = typescriptFiles().filter((file) => /binding\.js|\.node['"`]/.test(read(join('ts', file))));
    assert.deepEqual(users, ['native/addon.ts', 'native/index.ts']);
  });

  it('let only cli write to the terminal, and end the process', () => {
    for (const file of typescriptFiles().filter((name) => layerOf(name) !== 'cli')) {
      // Cleaning up when the process ends is every layer's right; what ends it is not.
      assert.doesNotMatch(withoutComments(read(join('ts', file))), /\bconsole\.|process\.(exit|stdout|stderr|once)\b|process\.on\((?!'exit')/, file);
    }
  });

  it('have no timers: a bridge at rest must not wake up', () => {
    // What only looks at a bridge, and ends, may have some; a watchdog is asked for.
    const files = typescriptFiles().filter((file) => !/^(doctor\/|control\/client\.ts|cli\/commands\/top\.ts|session\/service\.ts)/.test(file));
    for (const file of files) assert.doesNotMatch(read(join('ts', file)), /\bset(Timeout|Interval|Immediate)\b/, file);
  });
});

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function dependencies(crate: string): string[] {
  const manifest = read(`crates/${crate}/Cargo.toml`);
  const table = /^\[dependencies\]\n(?<lines>[^[]*)/m.exec(manifest)?.groups?.['lines'] ?? '';
  return [...table.matchAll(/^([\w-]+)/gm)].map(([, name]) => name ?? '');
}

function rustFiles(crate: string): string[] {
  const folder = `crates/${crate}/src`;
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.rs')).map((file) => join(folder, file));
}

/** Unit tests stand last in their file. */
function withoutTests(text: string): string {
  return withoutComments(text.split('#[cfg(test)]', 1)[0] ?? '');
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

function typescriptFiles(): string[] {
  return readdirSync(join(ROOT, 'ts'), { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?ts$/.test(file)).toSorted();
}

function layerOf(file: string): string {
  return file.split('/', 1)[0] ?? file;
}

/** The files of the project that a file imports, from ts/. */
function imports(file: string): string[] {
  const text = read(join('ts', file));
  const paths = [...text.matchAll(/(?:from|import\(|require\()\s*'(\.[^']*)'/g)].map(([, path]) => path ?? '');
  return paths.map((path) => relative('.', join(dirname(file), path)).replace(/\.js$/, '.ts'));
}

// A project that has installed the package as npm would: packed, with the addon in the package of this platform.

import { copyFileSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.js';
import { finish, type Finished } from './processes.js';
import { TemporaryFolder } from './temporary.js';

/** A folder with the packed package in its node_modules. */
export class Consumer implements Disposable {
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  /** @param type that of the project's package.json */
  static async create(type: 'module' | 'commonjs'): Promise<Consumer> {
    const folder = new TemporaryFolder();
    const modules = folder.file('node_modules');
    mkdirSync(modules);
    writeFileSync(folder.file('package.json'), JSON.stringify({ name: 'consumer', type, private: true }));
    await unpackInto(modules, folder);
    installAddon(modules);
    for (const dependency of ['neverthrow', 'commander', 'smol-toml']) {
      symlinkSync(join(ROOT, 'node_modules', dependency), join(modules, dependency));
    }
    return new Consumer(folder);
  }

  file(name: string): string {
    return this.#folder.file(name);
  }

  write(name: string, text: string): void {
    writeFileSync(this.file(name), text);
  }

  /** Runs a program in the project's folder. */
  run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Finished> {
    return finish(program, args, { cwd: this.#folder.path, env });
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

async function unpackInto(modules: string, folder: TemporaryFolder): Promise<void> {
  const packed = await finish('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder.path], { cwd: ROOT });
  if (packed.code !== 0) throw new Error(`npm pack failed: ${packed.stderr}`);
  const unpacked = await finish('tar', ['--extract', '--file', folder.file(packed.stdout.trim()), '--directory', modules]);
  if (unpacked.code !== 0) throw new Error(`tar failed: ${unpacked.stderr}`);
  renameSync(join(modules, 'package'), join(modules, 'x11bridge'));
}

function installAddon(modules: string): void {
  const file = readdirSync(join(ROOT, 'dist/native')).find((name) => name.endsWith('.node'));
  if (file === undefined) throw new Error('the addon is not built');
  const platform = file.split('.')[1] ?? '';
  const target = join(modules, `x11bridge-${platform}`);
  mkdirSync(target);
  copyFileSync(join(ROOT, 'dist/native', file), join(target, file));
  copyFileSync(join(ROOT, 'npm', platform, 'package.json'), join(target, 'package.json'));
}

// The packages of artifacts/, installed as users install them.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StepError } from '../setup.mjs';

/**
 * Installs the root package and that of one processor, by npm, into an empty folder for the time of a test.
 * @template T
 * @param {string} artifacts the folder with the tarballs
 * @param {string} cpu as Node names it
 * @param {(folder: string) => Promise<T>} test gets the folder that has node_modules then
 * @param {'gnu' | 'musl'} [libc]
 */
export async function withInstalled(artifacts, cpu, test, libc = 'gnu') {
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-installed-'));
  try {
    install(artifacts, `${cpu}-${libc}`, folder);
    return await test(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} artifacts @param {string} platform processor and C library @param {string} folder */
function install(artifacts, platform, folder) {
  if (!existsSync(artifacts)) throw new StepError('There are no packages yet: run "npm run build:all" first.');
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const wanted = readdirSync(artifacts).filter((file) => file.endsWith('.tgz') && (file.includes(`linux-${platform}`) || !file.includes('linux')));
  // npm installs a package of another platform only as an optional dependency, unless it is forced to.
  const options = ['--no-audit', '--no-fund', '--silent', ...(platform === `${process.arch}-gnu` ? [] : ['--force'])];
  execFileSync('npm', ['install', ...options, ...wanted.map((file) => join(artifacts, file))], { cwd: folder, stdio: 'inherit' });
}

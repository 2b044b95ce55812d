// What `npm run build:all` left in artifacts/.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/command.js';
import { finish } from '../../support/processes.js';
import { TemporaryFolder } from '../../support/temporary.js';

export const ARTIFACTS = join(ROOT, 'artifacts');

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

/** The paths of all tarballs. */
export function tarballs(): string[] {
  return readdirSync(ARTIFACTS).filter((file) => file.endsWith('.tgz')).map((file) => join(ARTIFACTS, file));
}

/** The package.json in a tarball. */
export async function manifestIn(tarball: string): Promise<Manifest> {
  const { stdout } = await finish('tar', ['--extract', '--to-stdout', '--file', tarball, 'package/package.json']);
  return JSON.parse(stdout) as Manifest;
}

/** Unpacks a tarball; its content lies in `package/` of the folder. */
export async function unpack(tarball: string): Promise<TemporaryFolder> {
  const folder = new TemporaryFolder();
  const { code, stderr } = await finish('tar', ['--extract', '--file', tarball, '--directory', folder.path]);
  if (code !== 0) throw new Error(`tar failed: ${stderr}`);
  return folder;
}

/** The names of the platforms that there are packages for, such as linux-x64-gnu; or of those that were built. */
export function platforms(): string[] {
  return process.env['TESTED_PLATFORMS']?.split(' ') ?? readdirSync(join(ROOT, 'npm'));
}

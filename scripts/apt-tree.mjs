// A private apt: its own lists, its own packages, an empty system. It knows the suites it is asked for, takes them from the mirror
// that the machine uses itself, checks their signatures, and changes nothing outside its folder.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError } from './setup.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** @typedef {'amd64' | 'arm64'} DebianArch */

/** Debian's packages can't be had: no network, no mirror, or no apt. */
export class AptFailure extends StepError {}

export class AptTree {
  #folder;
  #options;

  /**
   * @param {string} folder made when missing; what apt has fetched once stays there until it is removed
   * @param {DebianArch} arch
   * @param {readonly string[]} suites such as trixie, trixie-backports and trixie-security
   */
  constructor(folder, arch, suites) {
    this.#folder = folder;
    for (const part of ['state/lists/partial', 'cache/archives/partial', 'none/partial']) mkdirSync(join(folder, part), { recursive: true });
    writeFileSync(join(folder, 'status'), '');
    const mirror = machinesMirror();
    const lines = suites.map((suite) => `deb [arch=${arch} signed-by=${KEYRING}] ${archiveOf(suite, mirror)} ${suite} main\n`);
    writeFileSync(join(folder, 'sources.list'), lines.join(''));
    this.#options = optionsOf(folder, arch);
  }

  /** Fetches the suites' lists of packages. */
  update() {
    this.#apt('apt-get', ['update']);
  }

  /**
   * The versions of a package that the suites have, newest first.
   * @param {string} name
   * @returns {string[]}
   */
  versions(name) {
    const table = this.#apt('apt-cache', ['madison', name]);
    return [...new Set(table.split('\n').map((line) => line.split('|')[1]?.trim() ?? ''))].filter((version) => version !== '');
  }

  /**
   * What a package depends on.
   * @param {string} name
   * @param {string} [version] the one that apt would take unless given
   * @returns {string[]} names of packages
   */
  dependencies(name, version) {
    const table = this.#apt('apt-cache', ['depends', version === undefined ? name : `${name}=${version}`]);
    return [...table.matchAll(/^ +Depends: ([^\s<>]+)/gm)].map(([, dependency]) => dependency ?? '');
  }

  /**
   * The names of a package and of all that it depends on.
   * @param {string} name may be NAME=VERSION
   * @returns {string[]}
   */
  closure(name) {
    const uris = this.#apt('apt-get', ['--print-uris', 'install', '--yes', name]);
    return [...uris.matchAll(/^'[^']+' ([^_\s]+)_/gm)].map(([, found]) => found ?? '');
  }

  /**
   * Fetches packages, without what they depend on.
   * @param {readonly string[]} names each may be NAME=VERSION
   * @returns {string[]} the paths of the files
   */
  download(names) {
    return this.#fetch(['download', ...names], this.#folder);
  }

  /**
   * Fetches a package with everything that it depends on.
   * @param {string} name
   * @param {string} suite from which it and what it needs newer is taken
   * @returns {string[]} the paths of the files
   */
  downloadClosure(name, suite) {
    return this.#fetch(['install', '--yes', '--download-only', '--target-release', suite, name], join(this.#folder, 'cache/archives'));
  }

  /** @param {readonly string[]} args @param {string} folder where apt puts the files */
  #fetch(args, folder) {
    // Asked where there is nothing: apt doesn't name what it has fetched before.
    const uris = this.#apt('apt-get', ['--print-uris', ...args, '-o', `Dir::Cache::archives=${join(this.#folder, 'none/')}`], 'none');
    const files = [...uris.matchAll(/^'[^']+' (\S+) \d+/gm)].map(([, file]) => join(folder, file ?? ''));
    this.#apt('apt-get', args);
    const missing = files.find((file) => !existsSync(file));
    if (files.length === 0 || missing !== undefined) throw new StepError(`apt-get ${args.join(' ')} left ${missing ?? 'nothing'} behind`);
    return files;
  }

  /** @param {string} program @param {readonly string[]} args @param {string} [subfolder] where it runs */
  #apt(program, args, subfolder = '.') {
    const done = spawnSync(program, [...this.#options, '--quiet=2', ...args], { cwd: join(this.#folder, subfolder), encoding: 'utf8', maxBuffer: 1 << 26 });
    if (done.status === 0) return done.stdout;
    const why = (done.error?.message ?? done.stderr).trim().replaceAll(/\s*\n\s*/g, '; ');
    throw new AptFailure(`${program} ${args.join(' ')} failed (${why}): check the network and the machine's apt sources`);
  }
}

/**
 * Unpacks packages into a folder.
 * @param {readonly string[]} files
 * @param {string} folder
 */
export function unpack(files, folder) {
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    const done = spawnSync('dpkg-deb', ['--extract', file, folder], { encoding: 'utf8' });
    if (done.status !== 0) throw new StepError(`${file} could not be unpacked into ${folder}: ${(done.error?.message ?? done.stderr).trim()}`);
  }
}

/** @param {string} folder @param {DebianArch} arch */
function optionsOf(folder, arch) {
  const settings = {
    'APT::Architecture': arch,
    'APT::Architectures': arch,
    'APT::Install-Recommends': 'false',
    // The folder may lie where apt's own user may not go.
    'APT::Sandbox::User': 'root',
    // Old suites are still signed, and the hashes of what they list hold.
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Dir::Cache': join(folder, 'cache'),
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/**
 * Debian keeps security updates in an archive of their own, beside the other one.
 * @param {string} suite
 * @param {string} mirror
 */
function archiveOf(suite, mirror) {
  return suite.endsWith('-security') ? `${mirror}-security` : mirror;
}

/** The Debian mirror among the machine's apt sources: the first that isn't the one of the security updates. */
function machinesMirror() {
  const { stdout, error } = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages'], { encoding: 'utf8' });
  if (error) throw new AptFailure(`apt-get can't be run (${error.message}): this set-up needs a Debian system`);
  const mirror = stdout.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new AptFailure("none of this machine's apt sources is a Debian mirror, whose address ends in /debian: add one to /etc/apt/sources.list.d");
  return mirror.replace(/\/$/, '');
}

// Writes ts/trace/names.ts: the names of X11's requests, events, errors and atoms, from the descriptions in the Debian package xcb-proto
// (MIT). To be run by hand when that has learnt new ones: `node scripts/protocol-names.mjs`.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runScript } from './setup.mjs';

const DESCRIPTIONS = '/usr/share/xcb';
const WIDTH = 140;

const HEAD = `// Made by scripts/protocol-names.mjs from xcb-proto's descriptions: the names of requests, events, generic events, errors and atoms with their
// numbers, the core protocol's first, then those of each extension behind a line with its name.

`;

await runScript(async () => {
  const files = readdirSync(DESCRIPTIONS).filter((file) => file.endsWith('.xml'));
  const parts = files.map((file) => part(readFileSync(join(DESCRIPTIONS, file), 'utf8')));
  // The core protocol first.
  const text = parts.toSorted((one, other) => Number(other.startsWith('== core\n')) - Number(one.startsWith('== core\n')) || one.localeCompare(other, 'en')).join('\n');
  writeFileSync(join(ROOT, 'ts/trace/names.ts'), `${HEAD}export const PROTOCOL_NAMES = \`\n${text}\n\`;\n`);
});

/** @param {string} xml the description of an extension, or of the core protocol */
function part(xml) {
  const name = /extension-xname="([^"]+)"/.exec(xml)?.[1] ?? 'core';
  const atoms = name === 'core' ? pairs(/<enum name="Atom">([^]*?)<\/enum>/.exec(xml)?.[1] ?? '', /<item name="(?<name>[A-Z_\d]+)">\s*<value>(?<number>\d+)<\/value>/g) : [];
  const lists = {
    requests: pairs(xml, /<request name="(?<name>\w+)"\s+opcode="(?<number>\d+)"/g),
    events: pairs(xml, /<event(?:copy)? name="(?<name>\w+)"\s+number="(?<number>\d+)"(?![^>]*xge="true")/g),
    generic: pairs(xml, /<event name="(?<name>\w+)"\s+number="(?<number>\d+)"[^>]*xge="true"/g).concat(copies(xml)),
    errors: pairs(xml, /<error(?:copy)? name="(?<name>\w+)"\s+number="(?<number>\d+)"/g),
    atoms,
  };
  if (name === 'XInputExtension') lists.events = lists.events.filter((entry) => !lists.generic.includes(entry));
  return [`== ${name}`, ...Object.entries(lists).filter(([, list]) => list.length > 0).flatMap(([kind, list]) => wrapped(`${kind}: ${list.join(' ')}`))].join('\n');
}

/**
 * Copies of generic events, which don't say that they are some.
 * @param {string} xml
 */
function copies(xml) {
  const generic = new Set([...xml.matchAll(/<event name="(\w+)"\s+number="\d+"[^>]*xge="true"/g)].map(([, name]) => name));
  return [...xml.matchAll(/<eventcopy name="(\w+)"\s+number="(\d+)"\s+ref="(\w+)"/g)].filter(([, , , ref]) => generic.has(ref)).map(([, name, number]) => `${number} ${name}`);
}

/**
 * @param {string} xml
 * @param {RegExp} pattern with groups `name` and `number`
 */
function pairs(xml, pattern) {
  return [...xml.matchAll(pattern)].map(({ groups }) => `${groups?.number} ${groups?.name}`);
}

/** @param {string} text to be cut into lines */
function wrapped(text) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length + 1 > WIDTH) lines.push(`  ${word}`);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}

// `npm run docs`: writes the parts of the documentation that are made from the schema. `--check` only says whether they are current.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { argv } from 'node:process';
import { build } from './build.mjs';
import { ROOT, runScript, StepError } from './setup.mjs';

const require = createRequire(import.meta.url);

/** The sentence behind a setting that says when a reload applies it. */
const APPLIES = { now: 'at once', request: 'for all clients, from their next request on', later: 'for clients that connect from then on', start: 'at the next start' };

await runScript(async () => {
  const checking = argv.includes('--check');
  if (!checking) build();
  const stale = documents().filter(({ path, text }) => readFileSync(join(ROOT, path), 'utf8') !== text);
  if (!checking) for (const { path, text } of stale) writeFileSync(join(ROOT, path), text);
  if (checking && stale.length > 0) throw new StepError(`Not current: ${stale.map(({ path }) => path).join(', ')}; run "npm run docs".`);
});

/** @returns {{ path: string, text: string }[]} every document with its current parts */
function documents() {
  return [
    { path: 'README.md', text: withPart('README.md', 'options', optionTable()) },
    { path: 'docs/configuration.md', text: withPart('docs/configuration.md', 'settings', settings()) },
  ];
}

/**
 * @param {string} path
 * @param {string} part the name in the comments around it
 * @param {string} text
 */
function withPart(path, part, text) {
  const [begin, end] = [`<!-- ${part}: made by "npm run docs" -->`, `<!-- end of ${part} -->`];
  const [before, rest] = readFileSync(join(ROOT, path), 'utf8').split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new StepError(`${path} has no place for ${part}.`);
  return `${before}${begin}\n${text}\n${end}${after}`;
}

/** @returns {(import('../ts/config/schema.ts').Setting<unknown> & { variable: string })[]} */
function schema() {
  const { SCHEMA, SETTING_NAMES, variableOf } = require('../dist/config/schema.js');
  return SETTING_NAMES.map((/** @type {keyof typeof SCHEMA} */ name) => ({ ...SCHEMA[name], variable: variableOf(name) }));
}

function optionTable() {
  const rows = schema().map(({ key, argument, help, fallback }) => row(`\`--${key} ${argument.replaceAll('|', '\\|')}\``, help, fallback));
  return ['| option | meaning | default |', '|---|---|---|', ...rows].join('\n');
}

function settings() {
  return schema()
    .map(({ key, argument, help, fallback, type, applies, variable }) => {
      const forms = `\`${key}\` in a file, \`--${key} ${argument}\`, \`$${variable}\``;
      return [`### ${key}`, '', `${capital(help)}.`, '', `- written: ${forms}`, `- value: ${type.expected}`, `- default: ${fallback}`, `- a reload applies it: ${APPLIES[applies]}`, ''].join('\n');
    })
    .join('\n');
}

/** @param {readonly string[]} cells */
function row(...cells) {
  return `| ${cells.join(' | ')} |`;
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

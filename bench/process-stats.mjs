// What a process and its children cost, from /proc.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/**
 * Seconds of processor time that the process has used, with its children (socat has one for each client), the ended ones too.
 * @param {number} pid
 */
export function cpuSeconds(pid) {
  // The process itself comes last: it has taken over the time of a child that has ended meanwhile.
  return family(pid).reverse().reduce((sum, member) => sum + ticks(member), 0) / TICKS_PER_SECOND;
}

/** @param {number} pid */
function ticks(pid) {
  // Fields are counted behind the program's name, which may hold anything, also spaces.
  const fields = read(`/proc/${pid}/stat`).replace(/^.*\) /s, '').split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/**
 * Memory of the process and its children, in KiB.
 * @param {number} pid
 * @returns {{ rss: number, pss: number }} PSS counts a page that n processes share as 1/n
 */
export function memory(pid) {
  const texts = family(pid).map((member) => read(`/proc/${member}/smaps_rollup`));
  const sum = (/** @type {RegExp} */ field) => texts.reduce((total, text) => total + Number(field.exec(text)?.[1] ?? 0), 0);
  return { rss: sum(/^Rss:\s+(\d+)/m), pss: sum(/^Pss:\s+(\d+)/m) };
}

/**
 * How often any thread of the process or of its children has been scheduled away, which is how often one was woken.
 * @param {number} pid
 */
export function contextSwitches(pid) {
  const threads = family(pid).flatMap((member) => readdirSync(`/proc/${member}/task`).map((thread) => `/proc/${member}/task/${thread}`));
  return threads.reduce((total, thread) => total + switchesOf(read(`${thread}/status`)), 0);
}

/** @param {string} status */
function switchesOf(status) {
  return [...status.matchAll(/ctxt_switches:\s+(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
}

/** @param {number} pid @returns {number[]} the process and its children */
function family(pid) {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter((text) => text !== '');
  return [pid, ...children.map(Number)];
}

/**
 * The share of all processors that is in use, from 0 to 1, over half a second.
 */
export async function busyShare() {
  const before = processorTicks();
  await sleep(500);
  const after = processorTicks();
  return 1 - (after.idle - before.idle) / (after.total - before.total);
}

function processorTicks() {
  const fields = (read('/proc/stat').split('\n')[0] ?? '').split(/\s+/).slice(1, 9).map(Number);
  // The fourth and fifth are idle time, without and with outstanding I/O.
  return { idle: (fields[3] ?? 0) + (fields[4] ?? 0), total: fields.reduce((sum, field) => sum + field, 0) };
}

/** @param {string} path @returns {string} '' when the process has ended */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

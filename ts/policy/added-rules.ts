// The rules behind the words `processes` and `clipboard` of a policy.

import type { ClipboardMode, ProcessMode, Rule } from './rule.js';

/** What guests' windows are marked with. No host name has parentheses, so that not even the beginning of it is one. */
export const MACHINE = '(guest)';

const PROCESS_PROPERTIES = ['_NET_WM_PID', 'WM_CLIENT_MACHINE'];
/** What people copy, and drag. */
export const SELECTIONS: readonly string[] = ['PRIMARY', 'SECONDARY', 'CLIPBOARD', 'XdndSelection'];

/** The name of what stands for a diverted selection; the bridge puts what is its alone in place of the %. */
export function standInOf(selection: string): string {
  return `_X11BRIDGE_%_${selection}`;
}

/** What keeps a window manager from taking a number that a client gives for that of a process of its own machine. */
export function processRules(mode: ProcessMode): readonly Rule[] {
  if (mode === 'keep') return [];
  const machine: Rule = { request: 'ChangeProperty', when: { property: { atom: ['WM_CLIENT_MACHINE'] } }, action: 'mark' };
  if (mode === 'mark') return [machine];
  return [
    machine,
    { request: 'ChangeProperty', when: { property: { atom: ['_NET_WM_PID'] } }, action: 'ignore' },
    // Other ways to a property's value.
    { request: 'RotateProperties', when: { window: ['own', 'other'] }, action: 'deny' },
    { request: 'ConvertSelection', when: { property: { atom: PROCESS_PROPERTIES } }, action: 'deny' },
  ];
}

/**
 * Which way the clipboard goes: into this side, out of it, both, or neither. A selection that doesn't is another one on this side.
 * @param max bytes that one transfer may carry out
 */
export function clipboardRules(mode: ClipboardMode, max: number | undefined): readonly Rule[] {
  const rules: Rule[] = [];
  const divert = (request: string): void => void rules.push({ request, when: { selection: { atom: SELECTIONS } }, action: 'divert' });
  if (mode === 'off' || mode === 'in') divert('SetSelectionOwner');
  if (mode === 'off' || mode === 'out') divert('ConvertSelection');
  if (mode === 'off') for (const request of ['GetSelectionOwner', 'XFIXES.SelectSelectionInput']) divert(request);
  if (max === undefined) return rules;
  // In pieces there is no end to see.
  const outgoing = (when: Rule['when']): Rule => ({ request: 'ChangeProperty', when: { requested: true, ...when }, action: 'deny', error: 'Alloc' });
  // The length counts elements of 8, 16 or 32 bits; servers refuse other formats.
  const wider = [16, 32].map((format) => outgoing({ format, data_len: { above: Math.floor((max * 8) / format) } }));
  return [...rules, outgoing({ type: { atom: ['INCR'] } }), outgoing({ mode: [1, 2] }), ...wider, outgoing({ data_len: { above: max } })];
}

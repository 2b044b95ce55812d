// Rules as a person writes them, and the check of what comes from a file or a caller.

import { err, ok, Result } from 'neverthrow';
import { PRESET_NAMES, type PresetName } from '../config/options.js';
import { enumeration } from '../config/value.js';
import { allRequests, extensionNames, NEEDED_EXTENSIONS, type Field, type Request } from './catalogue.js';

/** What a resource is to a client: none or a special window, its own side's, the server's own, another client's. */
export const RESOURCE_CLASSES = ['none', 'own', 'root', 'other'] as const;
export type ResourceClass = (typeof RESOURCE_CLASSES)[number];

/**
 * What happens to a request. `allow`, `deny` (the server answers with an error), `ignore` (it does nothing) and `blank` (its reply is
 * empty) decide; `strip` takes what the last condition asked for out of it, `observe` counts it, and later rules go on. `hide` is for
 * whole extensions. The presets have some for single requests: `mark` puts the machine's name into a property, `divert` makes another
 * selection of one, `absent` says that there is no such property.
 */
export const ACTIONS = ['allow', 'deny', 'ignore', 'blank', 'strip', 'observe', 'mark', 'divert', 'absent', 'hide'] as const;
export type Action = (typeof ACTIONS)[number];

/** The errors that a denied request can be answered with, by their codes. */
export const ERRORS = { Request: 1, Value: 2, Window: 3, Match: 8, Drawable: 9, Access: 10, Alloc: 11, Implementation: 17 } as const;
export type ErrorName = keyof typeof ERRORS;

/** What a rule asks of a field: classes of a resource, numbers, bits of a mask, names of atoms, or whether it was requested. */
export type Condition = ResourceClass | readonly ResourceClass[] | number | readonly number[] | { readonly bits: number } | { readonly above: number } | { readonly atom: readonly string[] } | boolean;

/** Which way the clipboard goes, seen from this side. */
export const CLIPBOARD_MODES = ['off', 'in', 'out', 'both'] as const;
export type ClipboardMode = (typeof CLIPBOARD_MODES)[number];

/**
 * What becomes of the process ids that windows name: they stay, the windows' machine gets another name, or they are taken away as well.
 */
export const PROCESS_MODES = ['keep', 'mark', 'remove'] as const;
export type ProcessMode = (typeof PROCESS_MODES)[number];

/** One rule. The first that decides on a request, decides. */
export interface Rule {
  /** `GetImage`, `RENDER.Composite`, `RENDER.*`, `*`, or the name of an extension for `hide` and for `allow`, which shows it again. */
  readonly request: string | readonly string[];
  /** All of these have to hold. `any` stands for each resource of the request in turn. */
  readonly when?: Readonly<Record<string, Condition>>;
  readonly action: Action;
  /** For `deny`; default `Access`. */
  readonly error?: ErrorName;
}

/** A policy as a person writes it. */
export interface PolicySource {
  /** The preset whose rules follow this policy's own. Default `open`. */
  readonly base?: PresetName;
  /** Whether extensions without any rule are shown or hidden, and requests that this version doesn't know refused. Default as the base has it. */
  readonly unlisted?: 'allow' | 'hide';
  /** Default as the base has it. */
  readonly clipboard?: ClipboardMode;
  /** Bytes that one transfer of the clipboard may carry to the other side. Default: any number. */
  readonly 'clipboard-max'?: number;
  /** Default as the base has it. */
  readonly processes?: ProcessMode;
  /** What windows say their machine is, 1 to 64 bytes. Default `(guest)`. */
  readonly machine?: string;
  readonly rules?: readonly Rule[];
}

const POLICY_KEYS = ['base', 'unlisted', 'clipboard', 'clipboard-max', 'processes', 'machine', 'rules'];
/** The only requests that some actions make sense for. */
const ONLY_REQUEST = { blank: 'QueryKeymap', mark: 'ChangeProperty', absent: 'GetProperty' } as const;

const RULE_KEYS = ['request', 'when', 'action', 'error'];
const RULES_MAX = 1000;

/** What the values of a policy may be. */
const VALUES: Readonly<Record<string, { readonly fits: (value: unknown) => boolean; readonly expected: string }>> = {
  base: { fits: (value) => isOneOf(value, PRESET_NAMES), expected: enumeration(PRESET_NAMES) },
  unlisted: { fits: (value) => isOneOf(value, ['allow', 'hide']), expected: 'allow or hide' },
  clipboard: { fits: (value) => isOneOf(value, CLIPBOARD_MODES), expected: enumeration(CLIPBOARD_MODES) },
  'clipboard-max': { fits: isLimit, expected: 'a number of bytes from 0 to 4294967295' },
  processes: { fits: (value) => isOneOf(value, PROCESS_MODES), expected: enumeration(PROCESS_MODES) },
  machine: { fits: isMachine, expected: 'a text of 1 to 64 bytes, without a NUL' },
};

/** Checks a policy of unknown origin. An error is what is wrong, behind its place within the policy. */
export function checkPolicy(source: unknown): Result<PolicySource, string> {
  if (!isTable(source)) return err('a policy must be a table');
  const unknown = Object.keys(source).find((key) => !POLICY_KEYS.includes(key));
  if (unknown !== undefined) return err(`there is no key ${JSON.stringify(unknown)}; a policy has ${enumeration(POLICY_KEYS)}`);
  for (const [key, { fits, expected }] of Object.entries(VALUES)) {
    if (source[key] !== undefined && !fits(source[key])) return err(`${key} must be ${expected}`);
  }
  const { rules = [] } = source;
  if (!Array.isArray(rules)) return err('rules must be a list');
  if (rules.length > RULES_MAX) return err(`rules must be at most ${RULES_MAX}`);
  return Result.combine(rules.map((rule, at) => checkRule(rule).mapErr((problem) => `rules[${at}]: ${problem}`))).map(() => source as PolicySource);
}

function checkRule(rule: unknown): Result<void, string> {
  if (!isTable(rule)) return err('a rule must be a table');
  const unknown = Object.keys(rule).find((key) => !RULE_KEYS.includes(key));
  if (unknown !== undefined) return err(`there is no key ${JSON.stringify(unknown)}; a rule has ${enumeration(RULE_KEYS)}`);
  const { request, when = {}, action, error } = rule;
  if (!isOneOf(action, ACTIONS)) return err(`action must be ${enumeration(ACTIONS)}`);
  if (error !== undefined && (action !== 'deny' || typeof error !== 'string' || !Object.hasOwn(ERRORS, error))) {
    return err(`error must be ${enumeration(Object.keys(ERRORS))}, and goes with the action deny`);
  }
  const names = Array.isArray(request) ? (request as unknown[]) : [request];
  if (names.length === 0 || !names.every((name) => typeof name === 'string')) return err('request must be a name or a list of names');
  if (!isTable(when)) return err('when must be a table');
  return Result.combine(names.map((name) => checkTarget(name, action, when))).map(() => undefined);
}

function checkTarget(name: string, action: Action, when: Readonly<Record<string, unknown>>): Result<void, string> {
  if (extensionNames().includes(name)) return checkExtension(name, action, when);
  if (action === 'hide') return err(`${JSON.stringify(name)} is no extension: only extensions can be hidden`);
  const requests = requestsNamed(name);
  if (requests.length === 0) return err(`there is no request or extension named ${JSON.stringify(name)}`);
  const exact = !name.endsWith('*');
  return Result.combine(requests.map((request) => checkRequest(request, action, when, exact))).map(() => undefined);
}

function checkExtension(name: string, action: Action, when: Readonly<Record<string, unknown>>): Result<void, string> {
  if (action !== 'hide' && action !== 'allow') return err(`${name} is an extension: it can be hidden or allowed; for its requests write ${name}.*`);
  if (Object.keys(when).length > 0) return err(`${name} is an extension: its rule can't have conditions`);
  if (action === 'hide' && NEEDED_EXTENSIONS.has(name)) return err(`${name} can't be hidden: the channel and most programs need it`);
  return ok();
}

function checkRequest(request: Request, action: Action, when: Readonly<Record<string, unknown>>, exact: boolean): Result<void, string> {
  if (action === 'strip' && Object.keys(when).at(-1) === 'value_mask') return err('value_mask says which values follow, so nothing can be stripped of it: deny the request, or strip one of the values');
  const problem = actionProblem(request, action, Object.values(when).at(-1), exact);
  if (problem !== undefined) return err(problem);
  return Result.combine(Object.entries(when).map(([name, condition]) => checkCondition(request, name, condition, exact))).map(() => undefined);
}

/** Why an action can't be done to a request. Where a rule is for many, `ignore` leaves those with a reply alone. */
function actionProblem({ extension, name, replies }: Request, action: Action, last: unknown, exact: boolean): string | undefined {
  const fullName = extension === undefined ? name : `${extension}.${name}`;
  switch (action) {
    case 'ignore':
      return replies && exact ? `${fullName} has a reply: it can be denied but not ignored` : undefined;
    case 'blank':
    case 'mark':
    case 'absent':
      return fullName === ONLY_REQUEST[action] ? undefined : `the action ${action} is for ${ONLY_REQUEST[action]} alone`;
    case 'strip':
      return isBits(last) ? undefined : 'the last condition of a rule that strips must be { bits = … }';
    case 'divert':
      return isAtoms(last) ? undefined : 'the last condition of a rule that diverts must be { atom = [names] }';
    default:
      return undefined;
  }
}

/** Where a rule is for many requests, those without the field are left alone. */
function checkCondition(request: Request, name: string, condition: unknown, exact: boolean): Result<void, string> {
  if (name === 'any') return isClasses(condition) ? ok() : err(`when.any must be ${enumeration(RESOURCE_CLASSES)}, or a list of them`);
  const field = request.fields.get(name);
  if (field === undefined) {
    return exact ? err(`${request.name} has no field ${JSON.stringify(name)}; it has ${enumeration([...request.fields.keys(), 'any'])}`) : ok();
  }
  const wanted = conditionProblem(field, condition);
  return wanted === undefined ? ok() : err(`when.${name} must be ${wanted}`);
}

function conditionProblem(field: Field, condition: unknown): string | undefined {
  switch (field.kind) {
    case 'id':
    case 'new':
      return isClasses(condition) ? undefined : `${enumeration(RESOURCE_CLASSES)}, or a list of them`;
    case 'atom':
      return isAtoms(condition) ? undefined : '{ atom = [names] }';
    case 'xi2':
      return isBits(condition) ? undefined : '{ bits = number }';
    case 'requested':
      return typeof condition === 'boolean' ? undefined : 'true or false';
    case 'number':
      return isBits(condition) || isAbove(condition) || isNumbers(condition) ? undefined : 'a number from 0 to 63, a list of them, { bits = number } or { above = number }';
  }
}

/** The requests that a name stands for. */
export function requestsNamed(name: string): readonly Request[] {
  if (name === '*') return allRequests();
  const [first = '', second] = name.split('.');
  const extension = second === undefined ? undefined : first;
  const wanted = second ?? first;
  return allRequests().filter((request) => request.extension === extension && (wanted === '*' || request.name === wanted));
}

function isLimit(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function isMachine(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 64 && !value.includes('\0');
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOneOf<Word extends string>(value: unknown, words: readonly Word[]): value is Word {
  return words.some((word) => word === value);
}

function isClasses(value: unknown): boolean {
  const classes: unknown[] = Array.isArray(value) ? value : [value];
  return classes.length > 0 && classes.every((one) => isOneOf(one, RESOURCE_CLASSES));
}

function isNumbers(value: unknown): boolean {
  const numbers: unknown[] = Array.isArray(value) ? value : [value];
  return numbers.length > 0 && numbers.every((one) => typeof one === 'number' && Number.isInteger(one) && one >= 0 && one < 64);
}

/** Whether a condition asks for bits of a mask. */
export function isBits(value: unknown): value is { readonly bits: number } {
  if (!isTable(value) || Object.keys(value).length !== 1) return false;
  const { bits } = value;
  return typeof bits === 'number' && Number.isInteger(bits) && bits > 0 && bits <= 0xffff_ffff;
}

/** Whether a condition asks for more than a number. */
export function isAbove(value: unknown): value is { readonly above: number } {
  return isTable(value) && Object.keys(value).length === 1 && isLimit(value['above']);
}

/** Whether a condition asks for atoms. */
export function isAtoms(value: unknown): value is { readonly atom: readonly string[] } {
  if (!isTable(value) || Object.keys(value).length !== 1) return false;
  const { atom } = value;
  return Array.isArray(atom) && atom.length > 0 && atom.every((name) => typeof name === 'string' && name !== '' && name.length <= 200);
}

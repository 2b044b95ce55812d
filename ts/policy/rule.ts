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
 * whole extensions.
 */
export const ACTIONS = ['allow', 'deny', 'ignore', 'blank', 'strip', 'observe', 'hide'] as const;
export type Action = (typeof ACTIONS)[number];

/** The errors that a denied request can be answered with, by their codes. */
export const ERRORS = { Request: 1, Value: 2, Window: 3, Match: 8, Drawable: 9, Access: 10, Alloc: 11, Implementation: 17 } as const;
export type ErrorName = keyof typeof ERRORS;

/** What a rule asks of a field: classes of a resource, numbers, bits of a mask, names of atoms, or whether it was requested. */
export type Condition = ResourceClass | readonly ResourceClass[] | number | readonly number[] | { readonly bits: number } | { readonly atom: readonly string[] } | boolean;

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
  readonly rules?: readonly Rule[];
}

const POLICY_KEYS = ['base', 'unlisted', 'rules'];
const RULE_KEYS = ['request', 'when', 'action', 'error'];
const RULES_MAX = 1000;

/** Checks a policy of unknown origin. An error is what is wrong, behind its place within the policy. */
export function checkPolicy(source: unknown): Result<PolicySource, string> {
  if (!isTable(source)) return err('a policy must be a table');
  const unknown = Object.keys(source).find((key) => !POLICY_KEYS.includes(key));
  if (unknown !== undefined) return err(`there is no key ${JSON.stringify(unknown)}; a policy has ${enumeration(POLICY_KEYS)}`);
  const { base, unlisted, rules = [] } = source;
  if (base !== undefined && !isOneOf(base, PRESET_NAMES)) return err(`base must be ${enumeration(PRESET_NAMES)}`);
  if (unlisted !== undefined && !isOneOf(unlisted, ['allow', 'hide'])) return err('unlisted must be allow or hide');
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
  if (action === 'ignore' && request.replies && exact) return err(`${request.name} has a reply: it can be denied but not ignored`);
  if (action === 'blank' && !(request.extension === undefined && request.name === 'QueryKeymap')) return err('only QueryKeymap can be blanked');
  if (action === 'strip' && !isBits(Object.values(when).at(-1))) return err('the last condition of a rule that strips must be { bits = … }');
  return Result.combine(Object.entries(when).map(([name, condition]) => checkCondition(request, name, condition, exact))).map(() => undefined);
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
      return isBits(condition) || isNumbers(condition) ? undefined : 'a number from 0 to 63, a list of them, or { bits = number }';
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

/** Whether a condition asks for atoms. */
export function isAtoms(value: unknown): value is { readonly atom: readonly string[] } {
  if (!isTable(value) || Object.keys(value).length !== 1) return false;
  const { atom } = value;
  return Array.isArray(atom) && atom.length > 0 && atom.every((name) => typeof name === 'string' && name !== '' && name.length <= 200);
}

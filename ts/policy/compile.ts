// Rules → the flat table that Rust consults. Its layout is described in crates/session/src/policy/table.rs.

import { err, ok, type Result } from 'neverthrow';
import { allRequests, extensionNames, type Field, type Request } from './catalogue.js';
import { clipboardRules, MACHINE, processRules, standInOf } from './added-rules.js';
import { PRESETS } from './presets.js';
import { ERRORS, isAbove, isAtoms, isBits, requestsNamed, RESOURCE_CLASSES, type Action, type Condition, type PolicySource, type Rule } from './rule.js';

/** A compiled policy: plain data for the addon. */
export interface PolicyTable {
  readonly words: readonly number[];
  readonly extensions: readonly string[];
  readonly labels: readonly string[];
  readonly atoms: readonly string[];
  /** What the windows of its clients are marked with. */
  readonly machine: string;
}

const ACTION_CODES: Readonly<Record<Exclude<Action, 'hide'>, number>> = { allow: 0, deny: 1, ignore: 2, blank: 3, strip: 4, observe: 5, mark: 6, divert: 7, absent: 8 };
const DETAIL = 0xffff;
/** Flags of the whole table, and of an extension: the last request that is known stands above them. */
const HIDE_UNLISTED = 1;
const ONLY_ELSEWHERE = 2;
const HIDDEN = 1;
const LAST_SHIFT = 8;

/** One test of a rule, as its seven or so words. */
type Words = readonly number[];

interface Row {
  readonly rule: Rule;
  readonly label: number;
  readonly tests: readonly Words[];
}

/**
 * Compiles a checked policy.
 * @returns the table, or what is wrong, behind its place
 */
export function compilePolicy(source: PolicySource): Result<PolicyTable, string> {
  const base = PRESETS[source.base ?? 'open'];
  const own = source.rules ?? [];
  const problem = contradiction(own);
  if (problem !== undefined) return err(problem);
  const { unlisted, clipboard = 'both', processes = 'keep' } = { ...base, ...source };
  const added = [...processRules(elsewhereOnly(source) ? 'mark' : processes), ...clipboardRules(clipboard, source['clipboard-max'])];
  const rules = [...own, ...added, ...(base.rules ?? [])];
  const flags = (unlisted === 'hide' ? HIDE_UNLISTED : 0) | (elsewhereOnly(source) ? ONLY_ELSEWHERE : 0);
  return ok({ ...new Compiler().compile(rules, flags), machine: source.machine ?? MACHINE });
}

/** The preset open does nothing but mark windows, and that only where they are another machine's. Whoever writes a policy means it. */
function elsewhereOnly(source: PolicySource): boolean {
  return (source.base ?? 'open') === 'open' && Object.keys(source).every((key) => key === 'base');
}

class Compiler {
  readonly #extensions = extensionNames();
  readonly #labels: string[] = [];
  readonly #atoms: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #rows = new Map<Request, Row[]>();

  compile(rules: readonly Rule[], flags: number): Omit<PolicyTable, 'machine'> {
    const hideUnlisted = (flags & HIDE_UNLISTED) !== 0;
    const shown = new Map<string, boolean>();
    for (const rule of rules) this.#add(rule, shown);
    const last = new Map<string, number>();
    for (const { extension, opcode } of allRequests()) if (extension !== undefined) last.set(extension, Math.max(opcode, last.get(extension) ?? 0));
    const extensions = this.#extensions.map((name) => {
      const known = last.get(name);
      const hidden = !(shown.get(name) ?? (known !== undefined || !hideUnlisted));
      return (hidden ? HIDDEN : 0) | (hideUnlisted && known !== undefined ? (known + 1) << LAST_SHIFT : 0);
    });
    const rows = [...this.#rows].flatMap(([request, list]) => list.flatMap((row) => this.#rowWords(request, row)));
    return { words: [flags, ...extensions, ...rows], extensions: this.#extensions, labels: this.#labels, atoms: this.#atoms };
  }

  #add(rule: Rule, shown: Map<string, boolean>): void {
    for (const name of namesOf(rule)) {
      if (this.#extensions.includes(name)) {
        if (!shown.has(name)) shown.set(name, rule.action !== 'hide');
        continue;
      }
      for (const request of requestsNamed(name)) this.#addRequest(rule, request, name);
    }
  }

  #addRequest(rule: Rule, request: Request, name: string): void {
    if (rule.action === 'ignore' && request.replies) return;
    const entries = Object.entries(rule.when ?? {});
    if (entries.some(([field]) => field !== 'any' && !request.fields.has(field))) return;
    const ids = [...request.fields].filter(([, field]) => field.kind === 'id').map(([id]) => id);
    const any = rule.when?.['any'];
    const choices = any === undefined ? [entries] : ids.map((id) => [[id, any] as const, ...entries.filter(([field]) => field !== 'any')]);
    for (const chosen of choices) {
      const tests = chosen.flatMap(([field, condition]) => this.#testsOf(request.fields.get(field), condition, rule.action));
      const label = this.#label(`${rule.action} ${name.endsWith('*') ? fullName(request) : name}${conditionText(chosen)}`);
      const rows = this.#rows.get(request) ?? [];
      rows.push({ rule, label, tests });
      this.#rows.set(request, rows);
    }
  }

  #label(text: string): number {
    const known = this.#labels.indexOf(text);
    return known === -1 ? this.#labels.push(text) - 1 : known;
  }

  #rowWords(request: Request, { rule, label, tests }: Row): number[] {
    const group = request.extension === undefined ? 0 : this.#extensions.indexOf(request.extension) + 1;
    const error = rule.action === 'deny' ? ERRORS[rule.error ?? 'Access'] : 0;
    const action = ACTION_CODES[rule.action as Exclude<Action, 'hide'>];
    return [group, request.opcode, action, error, label, tests.length, ...tests.flat()];
  }

  #testsOf(field: Field | undefined, condition: Condition, action: Action): Words[] {
    if (field === undefined) return [];
    const subject = subjectWords(field);
    const negate = condition === false ? 1 : 0;
    const [ask, low, high] = this.#askWords(field, condition, action);
    return [[...subject, ask, negate, low, high]];
  }

  #askWords(field: Field, condition: Condition, action: Action): [ask: number, low: number, high: number] {
    if (field.kind === 'requested') return [0, 0, 0];
    if (isBits(condition)) return [1, condition.bits, 0];
    if (isAbove(condition)) return [4, condition.above, 0];
    if (isAtoms(condition)) return [3, ...this.#atomRange(condition.atom, action === 'divert')];
    const list = (Array.isArray(condition) ? condition : [condition]) as readonly (string | number)[];
    if (field.kind === 'number') {
      const numbers = list.map(Number);
      return [2, bitset(numbers.filter((number) => number < 32)), bitset(numbers.filter((number) => number >= 32).map((number) => number - 32))];
    }
    return [0, bitset(list.map((name) => RESOURCE_CLASSES.findIndex((known) => known === name))), 0];
  }

  /** Atoms of one test stand next to each other in the list; of selections that are diverted, what stands for them follows. */
  #atomRange(names: readonly string[], diverted: boolean): [first: number, count: number] {
    const place = this.#places.get(names.join(' ')) ?? this.#atoms.length;
    if (place === this.#atoms.length) {
      this.#places.set(names.join(' '), place);
      this.#atoms.push(...names, ...(diverted ? names.map(standInOf) : []));
    }
    return [place, names.length];
  }
}

function subjectWords(field: Field): Words {
  switch (field.kind) {
    case 'xi2':
      return [2, field.at];
    case 'requested':
      return field.property === undefined ? [4, field.at] : [3, field.at, field.property];
    default:
      return 'value' in field
        ? [1, field.value.mask | (field.value.maskWidth << 16), field.at, field.value.bit]
        : [0, (field.at === 'detail' ? DETAIL : field.at) | (field.width << 16)];
  }
}

function bitset(places: readonly number[]): number {
  return places.reduce((set, place) => set | (1 << place), 0) >>> 0;
}

function namesOf({ request }: Rule): readonly string[] {
  return typeof request === 'string' ? [request] : request;
}

function fullName({ extension, name }: Request): string {
  return extension === undefined ? name : `${extension}.${name}`;
}

function conditionText(conditions: readonly (readonly [string, Condition])[]): string {
  if (conditions.length === 0) return '';
  return ` when ${conditions.map(([field, condition]) => `${field} ${JSON.stringify(condition)}`).join(' and ')}`;
}

/** A rule that an earlier one leaves nothing to, or whose action differs under the same conditions. */
function contradiction(rules: readonly Rule[]): string | undefined {
  const decided = new Map<string, { at: number; action: Action }>();
  for (const [at, rule] of rules.entries()) {
    for (const name of namesOf(rule)) {
      const always = decided.get(name);
      const same = decided.get(`${name} ${JSON.stringify(rule.when ?? {})}`);
      const earlier = always ?? same;
      if (earlier !== undefined) {
        const how = earlier.action === rule.action ? 'already does the same' : `already decides on it (${earlier.action})`;
        return `rules[${at}]: it can never apply to ${name}: rules[${earlier.at}] ${how}`;
      }
      if (rule.action === 'strip' || rule.action === 'observe') continue;
      decided.set(Object.keys(rule.when ?? {}).length === 0 ? name : `${name} ${JSON.stringify(rule.when)}`, { at, action: rule.action });
    }
  }
  return undefined;
}

// What a changed configuration changes in a bridge that runs.

import type { ResolvedSettings, SettingName } from './options.js';
import { SCHEMA, SETTING_NAMES } from './schema.js';

/** The keys of settings that differ. */
export interface Changes {
  /** Those that hold from now on. */
  readonly applied: readonly string[];
  /** Those that wait for the next start. */
  readonly waiting: readonly string[];
}

/**
 * Compares what holds with what is wanted.
 * @param changedFiles settings that name a file whose content has changed
 */
export function changesBetween(holding: ResolvedSettings, wanted: ResolvedSettings, changedFiles: readonly SettingName[] = []): Changes {
  const changed = SETTING_NAMES.filter((name) => holding[name] !== wanted[name] || changedFiles.includes(name));
  const keys = (names: readonly SettingName[]): string[] => names.map((name) => SCHEMA[name].key);
  return { applied: keys(changed.filter((name) => !isFixed(name))), waiting: keys(changed.filter(isFixed)) };
}

/** What holds after a reload: the wanted settings, but for those that wait for the next start. */
export function reloaded(holding: ResolvedSettings, wanted: ResolvedSettings): ResolvedSettings {
  const fixed = SETTING_NAMES.filter(isFixed).map((name) => [name, holding[name]]);
  return { ...wanted, ...(Object.fromEntries(fixed) as Partial<ResolvedSettings>) };
}

function isFixed(name: SettingName): boolean {
  return SCHEMA[name].applies === 'start';
}

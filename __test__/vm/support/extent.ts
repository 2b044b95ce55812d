// How much is tested: everything, or what the checks before a merge have time for.

export type Extent = 'quick' | 'all';

const EXTENT: Extent = process.env['X11BRIDGE_VM_TESTS'] === 'quick' ? 'quick' : 'all';

/** What holds for this run. */
export function extent<Value>(values: Readonly<Record<Extent, Value>>): Value {
  return values[EXTENT];
}

/** Declares tests that only the whole run has. */
export function inTheWholeRun(declare: () => void): void {
  if (EXTENT === 'all') declare();
}

/** How often something is done that fails rarely: by default so often, and many times more where X11BRIDGE_VM_TIMES says so. */
export function times(count: number): number {
  return count * Number(process.env['X11BRIDGE_VM_TIMES'] ?? 1);
}

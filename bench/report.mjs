// The table that people read, and the targets with what became of them.

/** Rows in order: how they are named and shown. `less`: the smaller number is the better one. */
const ROWS = /** @type {const} */ ({
  roundTripP50: { title: 'round trip p50 (µs)', digits: 1, less: true },
  roundTripP99: { title: 'round trip p99 (µs)', digits: 1, less: true },
  putImage: { title: 'PutImage 500×500 (1/s)', digits: 0, less: false },
  getImage: { title: 'GetImage 500×500 (1/s)', digits: 0, less: false },
  small: { title: 'small requests (1/s)', digits: 0, less: false },
  connect: { title: 'connection set-up (1/s)', digits: 0, less: false },
  cpuPerGb: { title: 'CPU seconds per GB', digits: 3, less: true },
  cpuPerTrip: { title: 'CPU µs per round trip', digits: 1, less: true },
  memoryRss: { title: 'memory per client, RSS (KiB)', digits: 0, less: true },
  memoryPss: { title: 'memory per client, PSS (KiB)', digits: 0, less: true },
  wakeUps: { title: 'wake-ups per second, 20 at rest', digits: 1, less: true },
});

/** @typedef {keyof typeof ROWS} Row */
/** @typedef {Map<string, import('./measure.mjs').Results>} Results */
/**
 * What both channels must reach. `against`: the target is a ratio to that contender; without, it is the number itself.
 * @typedef {{ row: Row, against?: 'direct' | 'socat', target: number, wanted?: number }} Target
 */

/** @type {readonly Target[]} */
const TARGETS = [
  { row: 'roundTripP50', against: 'direct', target: 0.8, wanted: 1.2 },
  { row: 'roundTripP50', against: 'socat', target: 1 },
  { row: 'putImage', against: 'direct', target: 0.6, wanted: 0.85 },
  { row: 'putImage', against: 'socat', target: 3 },
  { row: 'getImage', against: 'direct', target: 0.6, wanted: 0.85 },
  { row: 'getImage', against: 'socat', target: 3 },
  { row: 'small', against: 'direct', target: 0.95 },
  { row: 'memoryRss', target: 512 },
  { row: 'wakeUps', target: 0 },
];

/** The contenders that the targets are for. */
const JUDGED = ['loopback', 'socket'];

/**
 * @typedef {{ contender: string, row: Row, against?: string | undefined, value: number, target: number, wanted?: number | undefined, met: boolean }} Verdict
 */

/** @param {Results} results @returns {Verdict[]} */
export function judge(results) {
  return JUDGED.flatMap((contender) =>
    TARGETS.map(({ row, against, target, wanted }) => {
      const value = against === undefined ? number(results, contender, row) : ratio(results, contender, against, row);
      // NaN, a number that is missing, misses every target.
      const met = against === undefined ? value <= target : value >= target;
      return { contender, row, against, value, target, wanted, met };
    }),
  );
}

/** @param {Results} results @param {Verdict[]} verdicts */
export function report(results, verdicts) {
  return [table(results), '', 'Ratios, the better the higher:', ratios(results), '', 'Targets:', ...verdicts.map(sentence)].join('\n');
}

/**
 * How many times as good as another; above 1 is better, also where less is better.
 * @param {Results} results @param {string} contender @param {string} against @param {Row} row
 */
export function ratio(results, contender, against, row) {
  const [own, other] = [number(results, contender, row), number(results, against, row)];
  return ROWS[row].less ? other / own : own / other;
}

/** @param {Results} results @param {string} contender @param {string} row */
function number(results, contender, row) {
  return results.get(contender)?.[row] ?? Number.NaN;
}

/**
 * The rows that were measured.
 * @param {Results} results
 */
export function table(results) {
  const names = [...results.keys()];
  const measured = rows().filter((row) => names.some((name) => !Number.isNaN(number(results, name, row))));
  const body = measured.map((row) => [ROWS[row].title, ...names.map((name) => shown(number(results, name, row), ROWS[row].digits))]);
  return aligned([['', ...names], ...body]);
}

/** @param {Results} results */
function ratios(results) {
  const names = [...results.keys()].filter((name) => name !== 'direct');
  const head = ['', ...names.flatMap((name) => [`${name} ÷ direct`, ...(name.startsWith('socat') ? [] : [`÷ socat`])])];
  const body = rows().filter((row) => !Number.isNaN(number(results, 'direct', row))).map((row) => [
    ROWS[row].title.replace(/ \(.*/, ''),
    ...names.flatMap((name) => [
      shown(ratio(results, name, 'direct', row), 2),
      ...(name.startsWith('socat') ? [] : [shown(ratio(results, name, 'socat', row), 2)]),
    ]),
  ]);
  return aligned([head, ...body]);
}

/** @param {Verdict} verdict */
function sentence({ contender, row, against, value, target, wanted, met }) {
  const { title, digits } = ROWS[row];
  const [amount, bound] = against === undefined
    ? [shown(value, digits), `at most ${target}`]
    : [`${shown(value, 2)} × ${against}`, `at least ${target}`];
  const more = wanted === undefined ? '' : `, ${value >= wanted ? 'and' : 'not yet'} the wanted ${wanted}`;
  return `  ${met ? 'met   ' : 'MISSED'}  ${contender}: ${title.replace(/ \(.*/, '')} ${amount} (${bound}${more})`;
}

/** @returns {Row[]} */
function rows() {
  return /** @type {Row[]} */ (Object.keys(ROWS));
}

/** @param {number} value @param {number} digits */
function shown(value, digits) {
  return Number.isNaN(value) ? '–' : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {string[][]} lines */
function aligned(lines) {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const cell = (/** @type {string} */ text, /** @type {number} */ column) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

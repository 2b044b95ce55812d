// The screen of `top`, without a terminal: what is on it, and what keys do.

import type { BridgeStatus } from '../control/protocol.js';
import type { ClientStatus } from '../session/client-status.js';
import type { Totals } from '../session/events.js';
import type { Paint } from './paint.js';
import { COLUMNS, summary, table, type Column } from './status-text.js';
import { bytes, count, printable } from './units.js';

/** What a key asks for beyond the screen. */
export type TopAction = { readonly do: 'nothing' | 'quit' } | { readonly do: 'close'; readonly client: number };

const NOTHING: TopAction = { do: 'nothing' };
const HELP = 'left/right: sort by   r: reverse   up/down: select   k: close the client   q: quit';
/** Where the columns of `top` alone stand: behind the age. */
const RATES_AT = 4;

export class TopScreen {
  #status: BridgeStatus | undefined;
  #before = new Map<number, Totals>();
  #seconds = 0;
  #sort = RATES_AT;
  #reversed = false;
  #selected: number | undefined;
  #closing: number | undefined;

  readonly #columns: readonly Column[] = [
    ...COLUMNS.slice(0, RATES_AT),
    this.#rate('BYTES/S', bytes, ({ bytesToHost, bytesToClient }) => bytesToHost + bytesToClient),
    this.#rate('REQUESTS/S', count, ({ requests }) => requests),
    ...COLUMNS.slice(RATES_AT),
  ];

  constructor(private readonly paint: Paint) {}

  /** Takes a new status, so many seconds after the last. */
  update(status: BridgeStatus, seconds: number): void {
    this.#before = new Map(this.#status?.clients.map(({ client, totals }) => [client, totals]));
    this.#seconds = seconds;
    this.#status = status;
    if (!status.clients.some(({ client }) => client === this.#closing)) this.#closing = undefined;
  }

  /** @param name the key's name as Node's readline gives it */
  press(name: string): TopAction {
    if (this.#closing !== undefined) return this.#confirm(name);
    switch (name) {
      case 'q':
        return { do: 'quit' };
      case 'left':
      case 'right':
        this.#sort = (this.#sort + (name === 'left' ? -1 : 1) + this.#columns.length) % this.#columns.length;
        return NOTHING;
      case 'r':
        this.#reversed = !this.#reversed;
        return NOTHING;
      case 'up':
      case 'down':
        this.#select(name === 'up' ? -1 : 1);
        return NOTHING;
      case 'k':
        this.#closing = this.#selected;
        return NOTHING;
      default:
        return NOTHING;
    }
  }

  /** The lines of a screen, none longer than its width. */
  render(width: number, height: number): string[] {
    if (this.#status === undefined) return ['waiting for the bridge'];
    const clients = this.#sorted();
    const [head = '', ...rows] = table(clients, this.#columns);
    const above = [...summary(this.#status).map((line) => line.slice(0, width)), '', this.#head(head.slice(0, width))];
    const room = Math.max(height - above.length - 1, 1);
    const at = clients.findIndex(({ client }) => client === this.#selected);
    const first = Math.max(0, Math.min(at - room + 1, rows.length - room));
    const shown = rows.slice(first, first + room).map((row, index) => (first + index === at ? this.paint.inverse(row.slice(0, width).padEnd(width)) : row.slice(0, width)));
    const blank = Array.from({ length: room - shown.length }, () => '');
    return [...above, ...shown, ...blank, this.#foot().slice(0, width)];
  }

  /** The column that is sorted by stands out. */
  #head(titles: string): string {
    const title = this.#columns[this.#sort]?.title ?? '';
    return this.paint.bold(titles.replace(new RegExp(`(?<=  |^)${title}(?=  |$)`), this.paint.inverse(title)));
  }

  #foot(): string {
    const client = this.#status?.clients.find(({ client: number }) => number === this.#closing);
    return client === undefined ? HELP : `close client ${client.client} (${printable(client.program ?? 'unknown program')})? y: yes, any other key: no`;
  }

  #confirm(name: string): TopAction {
    const client = this.#closing;
    this.#closing = undefined;
    return name === 'y' && client !== undefined ? { do: 'close', client } : NOTHING;
  }

  #select(step: number): void {
    const clients = this.#sorted();
    const at = clients.findIndex(({ client }) => client === this.#selected);
    const next = at < 0 ? (step > 0 ? 0 : clients.length - 1) : at + step;
    this.#selected = clients[Math.max(0, Math.min(next, clients.length - 1))]?.client;
  }

  /** The largest first; among equals those that came first. */
  #sorted(): ClientStatus[] {
    const column = this.#columns[this.#sort];
    const order = (this.#status?.clients ?? []).toSorted((one, other) => compare(column?.rank(one) ?? 0, column?.rank(other) ?? 0) || one.client - other.client);
    return this.#reversed ? order.reverse() : order;
  }

  #rate(title: string, write: (value: number) => string, of: (totals: Totals) => number): Column {
    const rate = ({ client, totals }: ClientStatus): number => {
      const before = this.#before.get(client);
      return before === undefined || this.#seconds <= 0 ? 0 : (of(totals) - of(before)) / this.#seconds;
    };
    return { title, cell: (client) => write(Math.round(rate(client))), rank: rate };
  }
}

/** Numbers from the largest down, words from A to Z. */
function compare(one: number | string, other: number | string): number {
  if (typeof one === 'string' || typeof other === 'string') return String(one).localeCompare(String(other));
  return other - one;
}

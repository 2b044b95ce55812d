// `x11bridge top`: a running bridge, live.

import { emitKeypressEvents } from 'node:readline';
import { err, ok, type Result } from 'neverthrow';
import type { ControlClient } from '../../control/client.js';
import { failure, type BridgeError } from '../../errors.js';
import { findBridge } from '../find-bridge.js';
import type { Looking } from '../looking-commands.js';
import { painter } from '../paint.js';
import { complainAbout } from '../terminal.js';
import { TopScreen } from '../top-screen.js';

const EVERY_MS = 1000;

/** The other screen, without its cursor; and back. */
const ENTER = '\u001B[?1049h\u001B[?25l';
const LEAVE = '\u001B[?25h\u001B[?1049l';

/** @returns the exit code: 0 when the user quits, 1 when the bridge goes */
export async function top(looking: Looking): Promise<number> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return complainAbout(failure('invalid-option', '"x11bridge top" needs a terminal: "x11bridge status" writes the same once'));
  const found = await findBridge(looking, process.env);
  if (found.isErr()) return complainAbout(found.error);
  using bridge = found.value;
  const ended = await new Terminal(bridge).run();
  return ended.match(() => 0, (error) => complainAbout(error));
}

class Terminal {
  readonly #screen = new TopScreen(painter(process.stdout, process.env));
  #wake: () => void = () => undefined;
  #ended: Result<void, BridgeError> | undefined;
  #updatedAt = performance.now();

  constructor(private readonly bridge: ControlClient) {}

  async run(): Promise<Result<void, BridgeError>> {
    const leave = (): void => void process.stdout.write(LEAVE);
    process.on('exit', leave);
    process.stdout.write(ENTER);
    emitKeypressEvents(process.stdin);
    process.stdin.setRawMode(true).on('keypress', this.#onKey);
    process.stdout.on('resize', this.#draw);
    try {
      return await this.#follow();
    } finally {
      process.stdout.off('resize', this.#draw);
      process.stdin.off('keypress', this.#onKey).setRawMode(false).pause();
      process.off('exit', leave);
      leave();
    }
  }

  async #follow(): Promise<Result<void, BridgeError>> {
    const asked = await this.bridge.ask({ do: 'status' });
    if (asked.isErr()) return err(asked.error);
    const now = performance.now();
    this.#screen.update(asked.value, (now - this.#updatedAt) / 1000);
    this.#updatedAt = now;
    this.#draw();
    await this.#pause();
    return this.#ended ?? this.#follow();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, EVERY_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  readonly #draw = (): void => {
    const { columns, rows } = process.stdout;
    const lines = this.#screen.render(columns, rows).map((line) => `${line}\u001B[K`);
    process.stdout.write(`\u001B[H${lines.join('\r\n')}\u001B[J`);
  };

  readonly #onKey = (_text: string, key: { readonly name?: string; readonly sequence?: string; readonly ctrl?: boolean }): void => {
    const action = key.ctrl && key.name === 'c' ? ({ do: 'quit' } as const) : this.#screen.press(key.name ?? key.sequence ?? '');
    if (action.do === 'quit') this.#ended = ok();
    if (action.do === 'close') void this.bridge.ask({ do: 'close-client', client: action.client });
    if (action.do === 'nothing') this.#draw();
    else this.#wake();
  };
}

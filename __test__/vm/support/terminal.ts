// A command in a terminal of its own, as `script` makes one: what is written to it are key strokes.

import { finish, Running } from '../../support/processes.js';
import { ROOT } from '../../support/command.js';
import { join } from 'node:path';

export class Terminal implements AsyncDisposable {
  private constructor(
    readonly running: Running,
    /** The terminal's own name. */
    private readonly device: string,
  ) {}

  /** Starts `x11bridge ARGS` in a terminal of 33 rows and 101 columns. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv, limitMs: number): Promise<Terminal> {
    const command = [process.execPath, join(ROOT, 'dist/cli/main.js'), ...args].map(quoted).join(' ');
    const line = `stty rows 33 cols 101; echo "on $(tty) now"; exec ${command}`;
    const running = new Running('script', ['--quiet', '--return', '--command', line, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'], limitMs });
    const [, device = ''] = await running.untilOutput(/on (\/dev\/\S+) now/);
    return new Terminal(running, device);
  }

  type(keys: string): void {
    this.running.child.stdin?.write(keys);
  }

  async resize(rows: number, columns: number): Promise<void> {
    const { code, stderr } = await finish('stty', ['-F', this.device, 'rows', String(rows), 'cols', String(columns)]);
    if (code !== 0) throw new Error(stderr);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.running[Symbol.asyncDispose]();
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

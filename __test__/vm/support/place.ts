// Where the tests of a guest run: an X server of the host, the guest whose programs appear on it, and a second server for comparison.

import { after, before } from 'mocha';
import { startXvfb, type Xvfb } from '../../support/xvfb.js';
import { clientEnv } from '../../x11/support/stage.js';
import { TestGuest } from './guest.js';

/** Booting, also of another processor, on a machine without KVM that has other things to do. */
export const BOOT_LIMIT_MS = 240_000;

export class GuestPlace {
  #parts: { host: Xvfb; direct: Xvfb; guest: TestGuest } | undefined;

  /** @param args options of `x11bridge vm`; with `dri3` both servers have DRI3, and clients are offered it though no driver renders in the guest */
  constructor(
    private readonly args: readonly string[],
    private readonly servers: { readonly dri3?: boolean } = {},
  ) {}

  /** The server on which the guest's programs appear. */
  get host(): Xvfb {
    return this.#open().host;
  }

  /** A server like it, for the same programs run outside. */
  get direct(): Xvfb {
    return this.#open().direct;
  }

  get guest(): TestGuest {
    return this.#open().guest;
  }

  async open(): Promise<void> {
    const [host, direct] = await Promise.all([startXvfb({ auth: true, ...this.servers }), startXvfb({ auth: true, ...this.servers })]);
    try {
      const guest = await TestGuest.boot({ args: this.args, env: { ...clientEnv(host.display, host.xauthority, '/tmp'), ...(this.servers.dri3 && { X11BRIDGE_DRI3: 'on' }) } });
      this.#parts = { host, direct, guest };
    } catch (error) {
      await Promise.all([host.stop(), direct.stop()]);
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#parts === undefined) return;
    const { host, direct, guest } = this.#parts;
    await guest[Symbol.asyncDispose]();
    await Promise.all([host.stop(), direct.stop()]);
  }

  /** The environment of a program outside, on either server. */
  env(server: Xvfb): NodeJS.ProcessEnv {
    return clientEnv(server.display, server.xauthority, this.guest.file('.'));
  }

  #open() {
    if (this.#parts === undefined) throw new Error('the place is open only while its tests run');
    return this.#parts;
  }
}

/** Declares tests that share one guest. */
export function inOneGuest(title: string, args: readonly string[], tests: (place: GuestPlace) => void, servers: { readonly dri3?: boolean } = {}): void {
  describe(title, function () {
    this.timeout(BOOT_LIMIT_MS);
    const place = new GuestPlace(args, servers);
    before(() => place.open());
    after(() => place.close());
    tests(place);
  });
}

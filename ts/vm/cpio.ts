// Archives in the "newc" form of cpio, which the kernel unpacks into a guest's initial file system. Several may follow each other.

/** One entry of an archive. */
export interface CpioEntry {
  /** Without a slash in front; its folder has to be an entry before it. */
  readonly path: string;
  /** Type and permissions as in `st_mode`, such as 0o100644. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** The name that ends an archive. */
const TRAILER = 'TRAILER!!!';

/** Packs entries, all owned by root. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, { path: TRAILER, mode: 0 }].flatMap((entry, index) => pack(entry, index + 1)));
}

function pack({ path, mode, data = new Uint8Array(), device = { major: 0, minor: 0 } }: CpioEntry, inode: number): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const links = 1;
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, device.major, device.minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

/** Up to the next multiple of 4. */
function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}

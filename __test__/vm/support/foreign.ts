// Guests with another processor.

/** Kernels, by their names in the cache, and the size of their pages in KiB. */
export const PAGES = { '6.12-arm64': 4, '6.12-arm64-16k': 16 } as const;

/** The folder into which npm has installed the packed x11bridge for that processor; who starts the tests makes it. */
export function foreignPackage(): string {
  const folder = process.env['TESTED_FOREIGN_PACKAGE'];
  if (folder === undefined || folder === '') throw new Error('TESTED_FOREIGN_PACKAGE has to name the folder of an installed x11bridge for arm64');
  return folder;
}

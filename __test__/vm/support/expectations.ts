// What the tests of every guest know.

/** The extensions that the guest half hides. */
export const HIDDEN: readonly string[] = ['DRI2', 'DRI3', 'XFree86-DGA', 'XFree86-DRI'];

/** The extensions that it hides where only bytes pass, over TCP and vsock. */
export const HIDDEN_FROM_PIPES: readonly string[] = ['MIT-SHM', ...HIDDEN];

/** Two clocks in one picture can only be compared if they show the same second. */
export const STOPPED_CLOCK = { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: '2024-03-14 10:09:36' };

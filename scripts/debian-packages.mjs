// Every Debian 12 package that a script of this project may need, by group, each with its reason.
// `command`: when that program is on the PATH already, however it came there, the package isn't asked for.

/** @typedef {{ name: string, why: string, command?: string }} DebianPackage */

/** @type {Readonly<Record<string, readonly DebianPackage[]>>} */
export const DEBIAN_PACKAGES = {
  build: [
    { name: 'gcc', why: 'links the Rust code', command: 'cc' },
    { name: 'libc6-dev', why: 'start-up objects and libc for the linker' },
  ],
  xserver: [
    { name: 'xvfb', why: 'an X server without a screen, one per test', command: 'Xvfb' },
    { name: 'xauth', why: 'writes and reads Xauthority files independently of this project', command: 'xauth' },
  ],
  xclients: [
    { name: 'x11-apps', why: 'xclock, xeyes, x11perf, xwd', command: 'xclock' },
    { name: 'x11-utils', why: 'xdpyinfo, xwininfo, xprop, xlsatoms', command: 'xdpyinfo' },
    { name: 'xterm', why: 'a client with text and server-side fonts', command: 'xterm' },
    { name: 'faketime', why: 'stops the clock of xclock, so that two pictures of it can be compared', command: 'faketime' },
  ],
  desktop: [
    { name: 'xdotool', why: 'types into windows through XTEST', command: 'xdotool' },
    { name: 'openbox', why: 'a window manager that kills processes by the ids that windows name', command: 'openbox' },
    { name: 'xclip', why: 'clipboard transfers of many MiB (INCR)', command: 'xclip' },
    { name: 'zenity', why: 'a GTK 3 program', command: 'zenity' },
    { name: 'pinentry-qt', why: 'a small Qt program', command: 'pinentry-qt' },
    { name: 'trayer', why: 'a system tray', command: 'trayer' },
    { name: 'yad', why: 'shows an icon in it', command: 'yad' },
    { name: 'uim-xim', why: 'an input method by the protocol XIM', command: 'uim-xim' },
    { name: 'uim-byeoru', why: 'has it compose Hangul' },
    { name: 'locales', why: 'the Korean locale, for programs that use it' },
    { name: 'chromium', why: 'a browser', command: 'chromium' },
    { name: 'python3-xlib', why: 'a client of a third X11 client library' },
  ],
  shims: [
    { name: 'xserver-xorg-dev', why: 'what the X server offers to extensions of it' },
    { name: 'libxcb1-dev', why: 'the client library of a test client in C' },
    { name: 'libxcb-shm0-dev', why: 'the same for MIT-SHM' },
    { name: 'libdrm-dev', why: 'the numbers of the DRM interface that Mesa speaks' },
    { name: 'mesa-utils', why: 'glxgears', command: 'glxgears' },
    { name: 'mesa-utils-extra', why: 'es2gears_x11', command: 'es2gears_x11' },
    { name: 'libgl1-mesa-dri', why: "Mesa's kms_swrast, which uses DRI3 without a GPU" },
    { name: 'bubblewrap', why: 'a sandbox around a client', command: 'bwrap' },
  ],
  peers: [
    { name: 'socat', why: 'the plain relay that the benchmark compares with', command: 'socat' },
    { name: 'zsh', why: 'reads its completions', command: 'zsh' },
    { name: 'fish', why: 'reads its completions, and proposes by them', command: 'fish' },
    { name: 'groff-base', why: 'formats the manual page', command: 'groff' },
    { name: 'systemd', why: 'passes sockets to a service, and checks its units', command: 'systemd-socket-activate' },
    { name: 'tmux', why: 'a terminal whose screen can be read', command: 'tmux' },
    { name: 'tshark', why: 'reads traces', command: 'tshark' },
    { name: 'strace', why: 'counts the system calls of a bridge at rest', command: 'strace' },
  ],
  fences: [
    { name: 'libxshmfence-dev', why: 'the fences of X11 clients, which ours have to work with' },
  ],
  fetch: [
    { name: 'debian-archive-keyring', why: 'the keys that the suites of Debian are signed with' },
    { name: 'xz-utils', why: "unpacks a kernel's modules and the cross toolchains", command: 'xz' },
  ],
  cross: [
    { name: 'gcc-x86-64-linux-gnu', why: 'links for x64 on arm64', command: 'x86_64-linux-gnu-gcc' },
  ],
  musl: [
    { name: 'python3-pip', why: 'fetches a Node for musl, which only a package of Python has', command: 'pip3' },
  ],
  coverage: [
    { name: 'llvm-22', why: 'reads the coverage data of a Rust that is built on LLVM 22', command: 'llvm-profdata-22' },
  ],
};

// What xdpyinfo prints, made comparable.

/** Without the lines that rightly differ: the display's name, the focus window (an id), and how many extensions there are. */
export function comparableQueries(text: string): string[] {
  return text.split('\n').filter((line) => !/^(name of display|number of extensions|focus):/.test(line));
}

/** Without the lines of extensions that a channel hides. */
export function withoutHidden(lines: readonly string[], hidden: readonly string[]): string[] {
  return lines.filter((line) => !hidden.some((name) => line.trim().split(/\s+/)[0] === name));
}

/** Names in commands that people copy from messages. */

/** A name as a shell takes it. */
export const shellQuoted = (name: string): string =>
  /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`

/** A command by its name (or the name of one of our scripts) with its arguments. */
export type CacheCommand = readonly [name: string, ...args: (string | Buffer | number)[]];

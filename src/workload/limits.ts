/** Names and sequence numbers of keys are in memory. */
export const MAX_KEYS = 20_000_000;
export const MAX_SEED = 0xffff_ffff;

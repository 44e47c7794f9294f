import { draw, drawUnit, Stream } from './draw.ts';
import type { Workload } from './spec.ts';

/** Misbehaviour on purpose. An event has at most one kind, so that what `verify` finds can be told apart. */
export const FaultKind = {
  none: 0,
  duplicate: 1,
  late: 2,
  outOfOrder: 3,
  malformed: 4,
  oversized: 5,
} as const;

export type FaultKind = (typeof FaultKind)[keyof typeof FaultKind];

/** Names of the kinds as the ledger and the results write them. */
export const FAULT_NAMES = ['none', 'duplicate', 'late', 'outOfOrder', 'malformed', 'oversized'] as const;

/** Larger than any message that Event Hubs takes (1 MiB), so that the service must refuse it. */
export const OVERSIZED_BYTES = 1_200_000;

type Faults = Workload['faults'];

/** Chooses the fault of event `index`. */
export function faultPicker(faults: Faults, seed: number): (index: number) => FaultKind {
  const bounds = [faults.duplicates, faults.late, faults.outOfOrder, faults.malformed, faults.oversized].map(
    (_, kind, shares) => shares.slice(0, kind + 1).reduce((sum, share) => sum + share, 0),
  );
  const total = bounds.at(-1) ?? 0;
  if (total === 0) return () => FaultKind.none;
  return (index) => {
    const u = drawUnit(seed, index, Stream.fault);
    return u >= total ? FaultKind.none : ((bounds.findIndex((bound) => u < bound) + 1) as FaultKind);
  };
}

/** Milliseconds by which the clock of a key is wrong. */
export function skewOf({ skewedKeys, clockSkew }: Faults, seed: number, keyIndex: number): number {
  if (skewedKeys === 0 || drawUnit(seed, keyIndex, Stream.skew) >= skewedKeys) return 0;
  return Math.round((draw(seed, keyIndex, Stream.skew + 0x100) / 2 ** 31 - 1) * clockSkew);
}

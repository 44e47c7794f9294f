import type { KeyDistribution } from '../workload/keys.ts';
import { createCharge, readCharge } from './charges.ts';
import { figure, type Sheet } from './sheet.ts';
import type { BaseLatency, StageName } from './simulation-model.ts';
import { amount, charge } from './text.ts';

/** What a pipeline has to carry. Rates are events per second, sizes are of an event's body. */
export interface PipelineTarget {
  readonly ratePerSecond: number;
  /** A daily peak on top of the base rate. */
  readonly peak?: { readonly ratePerSecond: number; readonly durationMs: number };
  readonly bodyBytes: number;
  readonly keys: number;
  readonly distribution: KeyDistribution;
  /** Values of an item that are indexed. */
  readonly indexedTerms: number;
  /** How long an item is kept. */
  readonly retentionMs: number;
  /** Point reads of items from outside the pipeline. */
  readonly readsPerSecond: number;
  /** Readers of the change feed, each of which reads every change. */
  readonly feedReaders: number;
  /** Consumer groups of the hub, each of which reads every event. */
  readonly consumerGroups: number;
  /** What one consumer can read, parse and send on. */
  readonly consumerPerSecond: number;
  /** Longest time that an event may wait in queues. */
  readonly maxLagMs: number;
  /** Regions that the account replicates to; one when absent. */
  readonly regions?: number;
  /** Whether Event Hubs writes what arrives to a storage account too. */
  readonly capture?: boolean;
  readonly measured?: Measured;
}

/** What a report of a measured run says instead of the tables. */
export interface Measured {
  /** For explanations: the file. */
  readonly origin: string;
  readonly ruPerWrite?: number;
  readonly ruPerChange?: number;
  readonly itemBytes?: number;
  readonly latency?: Readonly<Partial<Record<StageName, BaseLatency>>>;
}

/** A figure of {@link PipelineTarget}, derived, with its reason. */
export interface Derived {
  readonly value: number;
  readonly why: string;
}

/** Bytes of an event on the wire. */
export function wireBytes({ bodyBytes }: PipelineTarget, sheet: Sheet): number {
  return bodyBytes + figure(sheet, 'hubOverheadBytes');
}

/** Bytes of a stored item, without its index. */
export function itemBytes({ bodyBytes, measured }: PipelineTarget, sheet: Sheet): Derived {
  if (measured?.itemBytes !== undefined)
    return { value: measured.itemBytes, why: `measured in ${measured.origin}` };
  return {
    value: bodyBytes + figure(sheet, 'envelopeBytes'),
    why: `${amount(bodyBytes)} B of body and ${figure(sheet, 'envelopeBytes')} B that ingest adds`,
  };
}

export function ruPerWrite(target: PipelineTarget, sheet: Sheet): Derived {
  const { measured, indexedTerms } = target;
  if (measured?.ruPerWrite !== undefined)
    return { value: measured.ruPerWrite, why: `measured in ${measured.origin}` };
  const perTerm = figure(sheet, 'ruPerIndexedTerm');
  const size = itemBytes(target, sheet).value;
  const base = createCharge(size, 0, perTerm);
  return {
    value: createCharge(size, indexedTerms, perTerm),
    why: `${charge(base)} RU for ${amount(size)} B and ${perTerm} for each of ${indexedTerms} indexed values`,
  };
}

export function ruPerChange(target: PipelineTarget, sheet: Sheet): Derived {
  const { measured } = target;
  if (measured?.ruPerChange !== undefined)
    return { value: measured.ruPerChange, why: `measured in ${measured.origin}` };
  return { value: readCharge(itemBytes(target, sheet).value), why: 'as a point read of the item' };
}

/** Request units that an event costs: its write, and every reader of the feed. */
export function ruPerEvent(target: PipelineTarget, sheet: Sheet): number {
  return ruPerWrite(target, sheet).value + target.feedReaders * ruPerChange(target, sheet).value;
}

/** RU/s of the reads from outside the pipeline. */
export function readRuPerSecond(target: PipelineTarget, sheet: Sheet): number {
  return target.readsPerSecond * readCharge(itemBytes(target, sheet).value);
}

/** The highest rate of a day. */
export function peakRate({ ratePerSecond, peak }: PipelineTarget): number {
  return Math.max(ratePerSecond, peak?.ratePerSecond ?? 0);
}

export const DAY_MS = 86_400_000;

/** The mean rate over a day. */
export function meanRate({ ratePerSecond, peak }: PipelineTarget): number {
  if (peak === undefined) return ratePerSecond;
  const part = Math.min(1, peak.durationMs / DAY_MS);
  return ratePerSecond * (1 - part) + peak.ratePerSecond * part;
}

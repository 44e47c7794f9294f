import type { CosmosTarget, EventHubsTarget } from '../../config/targets.ts';
import { type ErrorCode, PipeError } from '../../util/errors.ts';
import type { IngestOptions, IngestProgress, IngestResult } from './types.ts';

/** What a worker thread is started with: only what can be cloned, secrets as text because a Secret keeps its value private. */
export interface WorkerSetup
  extends Pick<IngestOptions, 'create' | 'mapping' | 'from' | 'restart' | 'until' | 'limits' | 'ownerId'> {
  readonly eventHubs: Omit<EventHubsTarget, 'connectionString'> & { readonly connectionString?: string };
  readonly cosmos: Omit<CosmosTarget, 'key'> & { readonly key?: string };
  readonly hasDeadLetter: boolean;
  readonly drainsLater: boolean;
}

/** Calls of the recorders since the last message, in the order of the members of StageRecorder and RuRecorder. */
export interface MetricsMessage {
  readonly offered: number;
  readonly done: number;
  readonly sizeBytes: number;
  readonly throttled: number;
  readonly inFlight: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly serviceTimes: Float64Array;
  readonly latencies: Float64Array;
  readonly charges: readonly (readonly [operation: string, rangeId: string, charge: number, count: number])[];
  readonly rangeThrottles: readonly (readonly [rangeId: string, count: number])[];
}

export interface WorkerError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly hint: string | undefined;
}

/** A call that the main thread answers: checkpoints and dead letters have one owner whatever the number of workers. */
export interface RemoteCall {
  readonly type: 'call';
  readonly id: number;
  readonly service: 'checkpoints' | 'deadLetter';
  readonly method: string;
  readonly arguments: readonly unknown[];
}

export type FromWorker =
  | RemoteCall
  | { readonly type: 'progress'; readonly progress: IngestProgress }
  | { readonly type: 'problem'; readonly message: string }
  | { readonly type: 'metrics'; readonly metrics: MetricsMessage }
  | { readonly type: 'result'; readonly result: IngestResult }
  | { readonly type: 'failed'; readonly error: WorkerError };

export type ToWorker =
  | { readonly type: 'stop' }
  | { readonly type: 'drain' }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: WorkerError };

/** An error in a form that can be cloned: the structured clone of an Error loses code and hint. */
export function toWorkerError(error: unknown): WorkerError {
  const { code, hint } = error instanceof PipeError ? error : { code: undefined, hint: undefined };
  return { code, hint, message: error instanceof Error ? error.message : String(error) };
}

export function fromWorkerError({ code, hint, message }: WorkerError): Error {
  return code === undefined
    ? new Error(message)
    : new PipeError(code, message, hint === undefined ? {} : { hint });
}

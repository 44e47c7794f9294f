import type { CosmosTarget } from '../../config/targets.ts';
import { createBulkWriter } from '../../cosmos/bulk-writer.ts';
import { openCosmos } from '../../cosmos/client.ts';
import { type ContainerSpec, provision, readContainer } from '../../cosmos/containers.ts';
import type { WriteOperation, WriteOutcome } from '../../cosmos/write-operation.ts';
import type { RuBudget } from '../../cosmos/writer/ru-budget.ts';
import type { GridEvent } from '../../eventgrid/event.ts';
import type { RuRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { PoisonEvent } from './receive-dead-letter.ts';
import { type Arrival, type DocumentOptions, documentMapper } from './receive-document.ts';

/**
 * What became of an event: `stored` now, `duplicate` of one that is stored already, `poison` that can never be stored, or
 * `retry` because the container could not be used.
 */
export type StoreResult =
  | { readonly kind: 'stored' | 'duplicate' }
  | { readonly kind: 'poison' | 'retry'; readonly reason: string };

export interface EventSink {
  /** Resolves when every event is durable or will not be, in the order given. Never rejects. */
  store(events: readonly GridEvent[], arrival: Arrival): Promise<readonly StoreResult[]>;
  close(): Promise<void>;
}

export interface SinkOptions extends Omit<DocumentOptions, 'partitionKeyPaths'> {
  readonly cosmos: CosmosTarget;
  /** Creates database and container when they are missing. */
  readonly create?: ContainerSpec;
  readonly ru: RuRecorder;
  readonly ruBudget?: RuBudget;
  readonly maxWaitMs?: number;
  /** Shorter than the time in which the sender wants an answer. */
  readonly giveUpMs: number;
  readonly clock: Clock;
  /** Told the partition key of every event that gets one. */
  onKey?(key: string): void;
}

/** Opens the container that events go to. Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND. */
export async function openEventSink(options: SinkOptions): Promise<EventSink> {
  const { clock, cosmos, create, ru } = options;
  const connection = await openCosmos(cosmos, { ru });
  try {
    const info = create === undefined ? await readContainer(connection) : await provision(connection, create);
    const writer = await createBulkWriter({
      connection,
      ru,
      clock,
      giveUpMs: options.giveUpMs,
      ...(options.maxWaitMs !== undefined && { maxWaitMs: options.maxWaitMs }),
      ...(options.ruBudget !== undefined && { ruBudget: options.ruBudget }),
    });
    const map = documentMapper({ ...options, partitionKeyPaths: info.partitionKey.paths });
    const write = async (operation: WriteOperation): Promise<WriteOutcome> =>
      new Promise((resolve, reject) => {
        writer.write(operation, resolve)?.catch(reject);
      });
    return {
      store: (events, arrival) =>
        Promise.all(
          events.map(async (event): Promise<StoreResult> => {
            const mapped = map(event, arrival);
            if (mapped.operation === undefined) return { kind: 'poison', reason: mapped.reason };
            options.onKey?.(String(mapped.operation.partitionKey));
            return write(mapped.operation).then(resultOf, (error: unknown) => ({
              kind: 'retry',
              reason: (error as Error).message,
            }));
          }),
        ),
      async close() {
        await writer.close();
        connection.dispose();
      },
    };
  } catch (error) {
    connection.dispose();
    throw error;
  }
}

const CONFLICT = 409;

function resultOf(outcome: WriteOutcome): StoreResult {
  if (outcome.ok) return { kind: 'stored' };
  if (outcome.statusCode === CONFLICT) return { kind: 'duplicate' };
  return { kind: outcome.poison ? 'poison' : 'retry', reason: outcome.reason };
}

/** The events among `results` that can never be stored, as the dead letter keeps them. */
export function poisonOf(
  events: readonly GridEvent[],
  results: readonly StoreResult[],
  subscription: string | undefined,
): PoisonEvent[] {
  return results.flatMap((result, index) =>
    result.kind === 'poison'
      ? [{ reason: result.reason, event: events[index], ...(subscription !== undefined && { subscription }) }]
      : [],
  );
}

import type { CommandContext } from '../src/cli/command.ts';
import { localEventGrid } from '../src/local/event-grid-client.ts';
import type { RoundTripResult } from '../src/pipeline/event-grid/events-round-trip.ts';
import { formatCount } from '../src/report/format.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import type { BenchValues } from './bench-options.ts';

const DEFAULT_EVENTS = 20_000;
const CONTAINER_RU = 100_000;
const BATCH_EVENTS = 50;

/** `--scenario events`: Event Grid -> webhook -> Cosmos DB -> change feed -> Event Grid, each event back once. */
export async function benchEvents(values: BenchValues, context: CommandContext): Promise<ExitCode> {
  const { clock, signal, terminal } = context;
  const { cosmos, eventGrid, local } = await context.targets(['cosmos', 'eventGrid'], {
    localByDefault: true,
  });
  const grid = eventGrid && localEventGrid(eventGrid.endpoint);
  if (cosmos === undefined || eventGrid === undefined || grid === undefined || !local)
    throw usageError('the scenario "events" runs on the local stack only', 'pass --local');
  const run = `bench-${clock.epochMicros().toString(36)}`;
  const events = values.events ?? DEFAULT_EVENTS;
  terminal.note(
    `Sending ${formatCount(events)} events Event Grid -> webhook -> Cosmos DB -> change feed -> Event Grid, run ${run}.`,
  );
  const { eventsRoundTrip } = await import('../src/pipeline/event-grid/events-round-trip.ts');
  const result = await eventsRoundTrip({
    eventGrid,
    cosmos: { ...cosmos, container: `${cosmos.container}-round-trip` },
    create: { partitionKeyPath: '/pk', throughput: CONTAINER_RU },
    events,
    seed: values.seed ?? 1,
    run,
    ...(values.rate !== undefined && { eventsPerSecond: values.rate }),
    clock,
    signal,
    async subscribe(name, url, type) {
      await grid.ask('PUT', `/topics/${grid.topic}/eventSubscriptions/${name}`, {
        properties: {
          destination: {
            endpointType: 'WebHook',
            properties: { endpointUrl: url, maxEventsPerBatch: BATCH_EVENTS },
          },
          filter: { includedEventTypes: [type] },
        },
      });
    },
  });
  terminal.result({ kind: 'events', run, ...result }, textOf(result));
  if (signal.aborted) return ExitCode.Interrupted;
  return result.lost === 0 ? ExitCode.Ok : ExitCode.Verification;
}

function textOf(result: RoundTripResult): string {
  const { durationMs, lost, published, requestCharge, returned, returnedDuplicates, roundTrip, stored } =
    result;
  const mark = lost === 0 ? '✓' : '✗';
  return [
    `published    ${formatCount(published)} events in ${formatDurationMs(durationMs)}, ${formatCount(Math.round((published * 1000) / durationMs))}/s the whole way round`,
    `stored       ${formatCount(stored)}, ${formatCount(result.storedDuplicates)} delivered again and recognised`,
    `returned     ${formatCount(returned)}, ${formatCount(returnedDuplicates)} delivered again and recognised`,
    `round trip   p50 ${formatDurationMs(roundTrip.p50Ms)}  p99 ${formatDurationMs(roundTrip.p99Ms)}  max ${formatDurationMs(roundTrip.maxMs)}`,
    `cosmos       ${formatCount(Math.round(requestCharge))} RU`,
    `${mark} lost ${formatCount(lost)} after removing duplicates`,
  ].join('\n');
}

import { resolve } from 'node:path';
import { defineCommand } from '../src/cli/command.ts';
import { cosmosOptions, eventHubsOptions, opt } from '../src/cli/options.ts';
import type { CosmosTarget, EventHubsTarget } from '../src/config/targets.ts';
import { type CosmosConnection, openCosmos } from '../src/cosmos/client.ts';
import { readContainer } from '../src/cosmos/containers.ts';
import { type PartitionBacklog, readBacklog } from '../src/eventhubs/backlog.ts';
import { scopedTo } from '../src/eventhubs/checkpoint-store.ts';
import { eventHubsConnection } from '../src/eventhubs/connection.ts';
import { openCheckpointStore, parseCheckpointSpec } from '../src/pipeline/ingest/checkpoint-open.ts';
import { formatCount } from '../src/report/format.ts';
import { formatTable } from '../src/report/table.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { PipeError } from '../src/util/errors.ts';

const options = {
  ...eventHubsOptions,
  ...cosmosOptions,
  checkpoints: opt.text({
    flags: '--checkpoints <store>',
    description: 'file:<folder>, cosmos[:<container>], or blob:<container or URL>',
    fallback: 'file:.cosmos-pipe/checkpoints',
    group: 'Reading:',
  }),
  blobConnectionString: opt.secret({
    flags: '--blob-connection-string-file <path>',
    description: 'file with the storage connection string of blob: checkpoints, - for stdin',
    env: ['AZURE_STORAGE_CONNECTION_STRING'],
    group: 'Reading:',
  }),
};

export const command = defineCommand({
  description: 'Show how far a consumer group is behind, per partition, without consuming anything.',
  examples: [
    'cosmos-pipe backlog',
    "cosmos-pipe backlog --consumer-group '$Default' --json",
    'cosmos-pipe backlog --checkpoints cosmos',
  ],
  options,
  async run(values, context) {
    const { clock, cwd, terminal } = context;
    const eventHubs = (await context.targets(['eventHubs'])).eventHubs as EventHubsTarget;
    const spec = parseCheckpointSpec(values.checkpoints, values.blobConnectionString);
    const connection = await eventHubsConnection(eventHubs);
    const nowMs = clock.epochMicros() / 1000;
    let cosmos: CosmosConnection | undefined;
    const openAccount = async (): Promise<CosmosConnection> => {
      cosmos = await openCosmos((await context.targets(['cosmos'])).cosmos as CosmosTarget);
      if (spec.kind === 'cosmos') await checkCheckpoints(cosmos, spec.container);
      return cosmos;
    };
    let backlog: readonly PartitionBacklog[];
    try {
      const store = await openCheckpointStore(
        spec.kind === 'file' ? { ...spec, folder: resolve(cwd, spec.folder) } : spec,
        openAccount,
        clock,
      );
      backlog = await readBacklog({
        connection,
        consumerGroup: eventHubs.consumerGroup,
        checkpoints: scopedTo(store, connection.host),
        nowMs,
      });
    } finally {
      cosmos?.dispose();
    }
    const rows = backlog.map(
      ({ checkpoint, lagEvents, lastEnqueuedMs, lastSequenceNumber, owner, partitionId }) => [
        partitionId,
        owner ?? '-',
        checkpoint === undefined ? '-' : formatCount(checkpoint),
        lastSequenceNumber < 0 ? '-' : formatCount(lastSequenceNumber),
        formatCount(lagEvents),
        lastEnqueuedMs === undefined ? '-' : `${formatDurationMs(Math.max(0, nowMs - lastEnqueuedMs))} ago`,
      ],
    );
    const lagEvents = backlog.reduce((sum, partition) => sum + partition.lagEvents, 0);
    terminal.result(
      {
        eventHub: connection.eventHub,
        consumerGroup: eventHubs.consumerGroup,
        lagEvents,
        partitions: backlog,
      },
      [
        `${connection.eventHub}/${eventHubs.consumerGroup} at ${connection.host}: ${formatCount(lagEvents)} events behind`,
        '',
        ...formatTable([['PARTITION', 'OWNER', 'CHECKPOINT', 'LAST', 'LAG', 'NEWEST EVENT'], ...rows], {
          left: [0, 1],
        }),
      ].join('\n'),
    );
  },
});

/** Opening the store would make its container, and whoever only looks makes nothing. */
async function checkCheckpoints(cosmos: CosmosConnection, id: string): Promise<void> {
  const { database, target } = cosmos;
  const checkpoints = { ...cosmos, container: database.container(id), target: { ...target, container: id } };
  await readContainer(checkpoints).catch((error: unknown) => {
    if (!(error instanceof PipeError) || error.code !== 'E_NOT_FOUND') throw error;
    throw new PipeError('E_NOT_FOUND', `there are no checkpoints in ${target.database}/${id}`, {
      hint: `\`cosmos-pipe ingest --checkpoints cosmos:${id}\` makes that container`,
      cause: error,
    });
  });
}

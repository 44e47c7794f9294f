import type { CommandContext } from '../src/cli/command.ts';
import { eventGridOptions, opt } from '../src/cli/options.ts';
import type { CosmosTarget } from '../src/config/targets.ts';
import type { RecordingRu } from '../src/metrics/ru-recorder.ts';
import type { RecordingStage } from '../src/metrics/stage-recorder.ts';
import type { Milestones } from '../src/pipeline/ingest/milestones.ts';
import { seededRandom } from '../src/util/random.ts';

const group = { group: 'Event Grid:' } as const;

/** Flags of `ingest` for telling an Event Grid topic how it goes. */
export const notifyOptions = {
  notify: opt.flag({
    flags: '--notify',
    description: 'tell an Event Grid topic (CloudEvents) of start, milestones, throttling and end',
    ...group,
  }),
  notifyEvery: opt.count({
    flags: '--notify-every <n>',
    description: 'stored events between two milestones',
    fallback: '100000',
    ...group,
  }),
  ...eventGridOptions,
};

interface NotifyValues {
  readonly notify: boolean | undefined;
  readonly notifyEvery: number;
}

/** Opens the topic of `--notify`; `undefined` without the flag. */
export async function openMilestones(
  { notify, notifyEvery }: NotifyValues,
  { clock, targets, terminal }: CommandContext,
  run: {
    readonly ownerId: string;
    readonly cosmos: CosmosTarget;
    readonly recorder: RecordingStage;
    readonly ru: RecordingRu;
  },
): Promise<Milestones | undefined> {
  if (!notify) return undefined;
  const { eventGrid } = await targets(['eventGrid']);
  if (eventGrid === undefined) return undefined;
  const [{ openPublisher }, { ingestMilestones }] = await Promise.all([
    import('../src/eventgrid/publisher.ts'),
    import('../src/pipeline/ingest/milestones.ts'),
  ]);
  const { cosmos, ownerId, recorder, ru } = run;
  return ingestMilestones({
    publisher: await openPublisher(eventGrid, {
      schema: 'cloudEvents',
      clock,
      random: seededRandom(clock.epochMicros()),
      // A topic that is away must not hold the end of the run back for long.
      giveUpMs: 10_000,
    }),
    ownerId,
    container: `${cosmos.database}/${cosmos.container}`,
    every: Math.max(1, notifyEvery),
    clock,
    usage: () => ({
      throttled: recorder.snapshot().throttled,
      requestCharge: ru.snapshot().requestCharge,
    }),
    onProblem: (message) => terminal.warn(message),
  });
}

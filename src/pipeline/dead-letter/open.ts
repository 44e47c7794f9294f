import type { CosmosTarget, EventHubsTarget } from '../../config/targets.ts';
import { usageError } from '../../util/errors.ts';
import { parseContainerOf } from '../../util/resource-id.ts';
import { openDeadLetterContainer } from './cosmos.ts';
import type { DeadLetter, DeadLetterArchive } from './dead-letter.ts';
import { deadLetterFileArchive, openDeadLetterFile } from './file.ts';
import { openDeadLetterHub } from './hub.ts';

/** Where rejected events go. */
export type DeadLetterSpec =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'cosmos'; readonly container: string }
  | { readonly kind: 'hub'; readonly eventHub: string };

/** Parses `cosmos:<container>`, `hub:<name>`, `file:<path>` or a bare path. */
export function parseDeadLetterSpec(text: string): DeadLetterSpec {
  const [, kind, rest] = /^(file|cosmos|hub):(.+)$/s.exec(text) ?? [];
  if (rest === undefined) {
    if (text === '' || /^(file|cosmos|hub):$/.test(text))
      throw usageError(`invalid dead letter "${text}"`, 'expected a file, cosmos:<container> or hub:<name>');
    return { kind: 'file', path: text };
  }
  if (kind === 'cosmos') return { kind, container: parseContainerOf(`dead letter "${text}"`, rest) };
  if (kind === 'hub') return { kind, eventHub: rest };
  return { kind: 'file', path: rest };
}

export async function openDeadLetter(
  spec: DeadLetterSpec,
  targets: { readonly cosmos: CosmosTarget; readonly eventHubs: EventHubsTarget },
): Promise<DeadLetter> {
  switch (spec.kind) {
    case 'file':
      return openDeadLetterFile(spec.path);
    case 'cosmos':
      return openDeadLetterContainer(targets.cosmos, spec.container, true);
    case 'hub':
      return openDeadLetterHub({ ...targets.eventHubs, eventHub: spec.eventHub });
  }
}

/** Opens a dead letter for looking and replaying. A hub is replayed by ingesting it, and says so. */
export async function openDeadLetterArchive(
  spec: DeadLetterSpec,
  cosmos: () => Promise<CosmosTarget>,
): Promise<DeadLetterArchive & { close(): Promise<void> }> {
  switch (spec.kind) {
    case 'file':
      return { ...deadLetterFileArchive(spec.path), close: async () => {} };
    case 'cosmos':
      return openDeadLetterContainer(await cosmos(), spec.container, false);
    case 'hub':
      throw usageError(
        `the dead letter is the event hub ${spec.eventHub}`,
        `replay it with \`cosmos-pipe ingest --event-hub ${spec.eventHub} --until-drained\``,
      );
  }
}

import type { Command } from '../command.ts';
import { connectionCommands } from './connection.ts';
import { hashCommands } from './hashes.ts';
import { keyCommands } from './keys.ts';
import { listCommands } from './lists.ts';
import { pubsubCommands } from './pubsub.ts';
import { scriptingCommands } from './scripting.ts';
import { serverCommands } from './server.ts';
import { setCommands } from './sets.ts';
import { sortedSetCommands } from './sorted-sets.ts';
import { stringCommands } from './strings.ts';
import { transactionCommands } from './transactions.ts';

/** Every command by its name in lower case. */
export const commandTable: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    ...connectionCommands,
    ...hashCommands,
    ...keyCommands,
    ...listCommands,
    ...pubsubCommands,
    ...scriptingCommands,
    ...serverCommands,
    ...setCommands,
    ...sortedSetCommands,
    ...stringCommands,
    ...transactionCommands,
  }),
);

import type { CommandContext, CommandTable } from '../command.ts';
import { errorReply, errors, RedisError } from '../errors.ts';
import { NULL_ARRAY, OK, type Reply } from '../reply.ts';

function exec(context: CommandContext): Reply {
  const { state, session } = context;
  const { transaction } = session;
  if (transaction === undefined) throw errors.execWithoutMulti();
  session.transaction = undefined;
  const { watchBroken } = session;
  session.unwatch();
  if (transaction.broken) throw errors.execAborted();
  if (watchBroken) return NULL_ARRAY;
  const runAll = (): Reply =>
    transaction.requests.map((request): Reply => {
      try {
        return context.run(context.resolve(request), request);
      } catch (error) {
        if (error instanceof RedisError) return errorReply(error);
        throw error;
      }
    });
  return state.appendOnlyFile?.atomically(runAll) ?? runAll();
}

export const transactionCommands: CommandTable = {
  multi: {
    arity: 1,
    immediate: true,
    noScript: true,
    run({ session }) {
      if (session.transaction !== undefined) throw errors.nestedMulti();
      session.transaction = { requests: [], broken: false };
      return OK;
    },
  },
  exec: { arity: 1, immediate: true, noScript: true, run: exec },
  discard: {
    arity: 1,
    immediate: true,
    noScript: true,
    run({ session }) {
      if (session.transaction === undefined) throw errors.discardWithoutMulti();
      session.transaction = undefined;
      session.unwatch();
      return OK;
    },
  },
  watch: {
    arity: -2,
    immediate: true,
    noScript: true,
    keys: [1, -1, 1],
    run({ state, session }, request) {
      if (session.transaction !== undefined) throw errors.watchInsideMulti();
      for (const key of request.texts(1)) {
        const name = `${session.database.index}:${key}`;
        session.watched.add(name);
        state.watchers.set(name, (state.watchers.get(name) ?? new Set()).add(session));
      }
      return OK;
    },
  },
  unwatch: {
    arity: 1,
    noScript: true,
    run({ session }) {
      session.unwatch();
      return OK;
    },
  },
};

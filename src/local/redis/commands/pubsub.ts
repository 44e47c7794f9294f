import type { CommandContext, CommandTable } from '../command.ts';
import { errors } from '../errors.ts';
import { globMatcher } from '../glob.ts';
import type { Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';

const total = (session: Session): number => session.channels.size + session.patterns.size;

function each(names: readonly string[], kind: string, session: Session, act: (name: string) => void): Reply {
  const replies = names.map((name): Reply => {
    act(name);
    return { kind: 'push', items: [kind, name, total(session)] };
  });
  if (names.length > 0) return { kind: 'several', replies };
  return { kind: 'push', items: [kind, null, total(session)] };
}

function pubsub(context: CommandContext, request: Request): Reply {
  const { publisher } = context.state;
  const subcommand = request.text(1).toLowerCase();
  if (subcommand === 'channels') return publisher.activeChannels(globMatcher(request.text(2) || '*'));
  if (subcommand === 'numsub')
    return request.texts(2).flatMap((channel) => [channel, publisher.subscribers(channel)]);
  if (subcommand === 'numpat') return publisher.patternCount;
  throw errors.unknownSubcommand('pubsub', request.text(1));
}

export const pubsubCommands: CommandTable = {
  publish: {
    arity: 3,
    run: ({ state }, request) => state.publisher.publish(request.text(1), request.bytes(2)),
  },
  subscribe: {
    arity: -2,
    noScript: true,
    whileSubscribed: true,
    run: ({ state, session }, request) =>
      each(request.texts(1), 'subscribe', session, (name) => state.publisher.subscribe(session, name)),
  },
  psubscribe: {
    arity: -2,
    noScript: true,
    whileSubscribed: true,
    run: ({ state, session }, request) =>
      each(request.texts(1), 'psubscribe', session, (name) =>
        state.publisher.subscribePattern(session, name),
      ),
  },
  unsubscribe: {
    arity: -1,
    noScript: true,
    whileSubscribed: true,
    run({ state, session }, request) {
      const names = request.length > 1 ? request.texts(1) : [...session.channels];
      return each(names, 'unsubscribe', session, (name) => state.publisher.unsubscribe(session, name));
    },
  },
  punsubscribe: {
    arity: -1,
    noScript: true,
    whileSubscribed: true,
    run({ state, session }, request) {
      const names = request.length > 1 ? request.texts(1) : [...session.patterns];
      return each(names, 'punsubscribe', session, (name) =>
        state.publisher.unsubscribePattern(session, name),
      );
    },
  },
  pubsub: { arity: -2, run: pubsub },
};

import type { CommandContext, CommandTable } from '../command.ts';
import { errors } from '../errors.ts';
import { parseInteger } from '../numbers.ts';
import { OK, type Reply, status } from '../reply.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';
import { REDIS_VERSION } from './server.ts';

function authenticate(context: CommandContext, user: string, password: string): void {
  if (user !== 'default' || password !== context.state.password) throw errors.wrongPassword();
  context.session.authenticated = true;
}

function auth(context: CommandContext, request: Request): Reply {
  if (request.length > 3) throw errors.syntax();
  if (request.length === 2 && context.state.password === undefined) throw errors.noPassword();
  const [user, password] = request.length === 2 ? ['default', request.text(1)] : request.texts(1);
  // Without a password the default user accepts any, as `nopass` does.
  if (context.state.password !== undefined || user !== 'default')
    authenticate(context, user as string, password as string);
  return OK;
}

function hello(context: CommandContext, request: Request): Reply {
  const { session, state } = context;
  let protocol = session.protocol;
  if (request.length > 1) {
    const version = parseInteger(request.text(1), errors.protocolNotInteger);
    if (version !== 2 && version !== 3) throw errors.noProtocol();
    protocol = version;
  }
  let name: string | undefined;
  for (let at = 2; at < request.length; at++) {
    const option = request.option(at);
    if (option === 'AUTH' && at + 2 < request.length) {
      if (state.password !== undefined) authenticate(context, request.text(at + 1), request.text(at + 2));
      at += 2;
    } else if (option === 'SETNAME' && at + 1 < request.length) name = request.text(++at);
    else throw errors.syntax();
  }
  if (!session.authenticated) throw errors.helloUnauthenticated();
  if (name !== undefined) session.name = name;
  session.protocol = protocol;
  return {
    kind: 'map',
    entries: [
      ...['server', 'redis', 'version', REDIS_VERSION, 'proto', protocol, 'id', session.id],
      ...['mode', 'standalone', 'role', 'master', 'modules', []],
    ],
  };
}

function client(context: CommandContext, request: Request): Reply {
  const { session, state } = context;
  const subcommand = request.text(1).toLowerCase();
  const expect = (words: number): void => {
    if (request.length !== words) throw errors.arity(`client|${subcommand}`);
  };
  switch (subcommand) {
    case 'setname':
      expect(3);
      session.name = request.text(2);
      return OK;
    case 'getname':
      expect(2);
      return session.name === '' ? null : session.name;
    case 'setinfo':
      expect(4);
      if (request.option(2) === 'LIB-NAME') session.library = request.text(3);
      else if (request.option(2) === 'LIB-VER') session.libraryVersion = request.text(3);
      else throw errors.syntax();
      return OK;
    case 'id':
      expect(2);
      return session.id;
    case 'info':
      expect(2);
      return { kind: 'verbatim', text: describe(session, context) };
    case 'list':
      return {
        kind: 'verbatim',
        text: [...state.sessions].map((each) => describe(each, context)).join(''),
      };
    case 'kill': {
      const target = request.option(2) === 'ID' ? request.text(3) : request.text(2);
      const victims = [...state.sessions].filter(
        (each) => each !== session && (String(each.id) === target || each.address === target),
      );
      for (const victim of victims) victim.disconnect();
      return request.length > 3 ? victims.length : OK;
    }
    case 'no-evict':
    case 'no-touch':
      expect(3);
      return OK;
    default:
      throw errors.unknownSubcommand('client', request.text(1));
  }
}

function describe(session: Session, { state }: CommandContext): string {
  const ageSeconds = Math.floor((state.clock.now() - session.connectedAt) / 1000);
  return (
    `id=${session.id} addr=${session.address} name=${session.name} age=${ageSeconds} ` +
    `db=${session.database.index} sub=${session.channels.size} psub=${session.patterns.size} ` +
    `multi=${session.transaction?.requests.length ?? -1} user=default resp=${session.protocol} ` +
    `lib-name=${session.library} lib-ver=${session.libraryVersion}\n`
  );
}

export const connectionCommands: CommandTable = {
  ping: {
    arity: -1,
    whileSubscribed: true,
    run(context, request) {
      if (request.length > 2) throw errors.arity('ping');
      if (context.session.subscribedOnly) return ['pong', request.text(1)];
      return request.length === 2 ? request.bytes(1) : status('PONG');
    },
  },
  echo: { arity: 2, run: (_context, request) => request.bytes(1) },
  quit: {
    arity: -1,
    open: true,
    immediate: true,
    whileSubscribed: true,
    run(context) {
      context.session.closing = true;
      return OK;
    },
  },
  reset: {
    arity: 1,
    open: true,
    immediate: true,
    noScript: true,
    whileSubscribed: true,
    run({ session, state }) {
      state.publisher.forget(session);
      session.unwatch();
      session.transaction = undefined;
      session.protocol = 2;
      session.name = '';
      session.database = state.databases[0] as typeof session.database;
      session.authenticated = state.password === undefined;
      return status('RESET');
    },
  },
  auth: { arity: -2, open: true, noScript: true, run: auth },
  hello: { arity: -1, open: true, noScript: true, run: hello },
  select: {
    arity: 2,
    run(context, request) {
      const database = context.state.databases[parseInteger(request.text(1))];
      if (database === undefined) throw errors.dbIndex();
      context.session.database = database;
      return OK;
    },
  },
  client: { arity: -2, noScript: true, run: client },
  readonly: {
    arity: 1,
    run: () => {
      throw errors.clusterDisabled();
    },
  },
};

import type { Command, CommandContext } from './command.ts';
import { commandTable } from './commands/index.ts';
import type { Database } from './database.ts';
import { errorReply, errors, RedisError } from './errors.ts';
import { makeRoom } from './eviction.ts';
import { QUEUED, type Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { Session } from './session.ts';
import { type ServerState, wallMs } from './state.ts';

/** Answers one request of a connection: authentication, subscribed mode, MULTI queueing, then the command itself. */
export function execute(state: ServerState, session: Session, request: Request): Reply {
  state.statistics.commands++;
  try {
    const command = resolve(request);
    if (!session.authenticated && command.open !== true) throw errors.noAuth();
    if (session.subscribedOnly && command.whileSubscribed !== true)
      throw errors.subscribed(request.text(0).toLowerCase());
    if (session.transaction !== undefined && command.immediate !== true) {
      session.transaction.requests.push(request.detached());
      return QUEUED;
    }
    return run(state, session, command, request);
  } catch (error) {
    if (!(error instanceof RedisError)) throw error;
    // A request that could not be queued spoils the whole transaction.
    if (session.transaction !== undefined && !inTransactionControl(request))
      session.transaction.broken = true;
    return errorReply(error);
  }
}

/** Runs a command without the checks of a connection: replay, EXEC and Lua come in here. Throws a RedisError. */
export function run(state: ServerState, session: Session, command: Command, request: Request): Reply {
  if (command.grows === true) makeRoom(state);
  const before = state.changes;
  const context = new Execution(state, session);
  const reply = command.run(context, request);
  const file = state.appendOnlyFile;
  if (file !== undefined && command.write === true && state.changes !== before) {
    const { propagated } = context;
    if (propagated === undefined) file.appendEncoded(session.database.index, request.encode());
    else for (const words of propagated) file.append(session.database.index, words);
  }
  return reply;
}

/** Finds the command and checks its arity. Throws a RedisError. */
export function resolve(request: Request): Command {
  const name = request.text(0).toLowerCase();
  const command = commandTable.get(name);
  if (command === undefined) throw errors.unknownCommand(request.text(0), request.texts(1));
  const { arity } = command;
  if (arity > 0 ? request.length !== arity : request.length < -arity) throw errors.arity(name);
  return command;
}

/** The context of one command. */
class Execution implements CommandContext {
  readonly state: ServerState;
  readonly session: Session;
  readonly database: Database;
  readonly now: number;
  propagated: readonly (readonly (string | Buffer)[])[] | undefined;

  constructor(state: ServerState, session: Session) {
    this.state = state;
    this.session = session;
    this.database = session.database;
    this.now = wallMs(state);
  }

  get commands(): ReadonlyMap<string, Command> {
    return commandTable;
  }

  resolve(request: Request): Command {
    return resolve(request);
  }

  run(command: Command, request: Request): Reply {
    return run(this.state, this.session, command, request);
  }

  propagate(...commands: readonly (readonly (string | Buffer)[])[]): void {
    this.propagated = commands;
  }
}

function inTransactionControl(request: Request): boolean {
  return /^(?:exec|discard|multi|watch)$/i.test(request.text(0));
}

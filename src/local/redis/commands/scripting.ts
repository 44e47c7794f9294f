import { createHash } from 'node:crypto';
import type { Command, CommandContext, CommandTable } from '../command.ts';
import { errorReply, errors, RedisError } from '../errors.ts';
import { LuaError, LuaMachine } from '../lua.ts';
import { parseInteger } from '../numbers.ts';
import { OK, type Reply } from '../reply.ts';
import { Request } from '../request.ts';
import type { ServerState } from '../state.ts';

const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
const machines = new WeakMap<ServerState, LuaMachine>();

function machineOf(state: ServerState): LuaMachine {
  let machine = machines.get(state);
  if (machine === undefined) {
    machine = new LuaMachine({ now: () => state.clock.now(), sha1 });
    machines.set(state, machine);
  }
  return machine;
}

function load(state: ServerState, source: Buffer): string {
  const sha = sha1(source);
  try {
    machineOf(state).load(sha, source);
  } catch (error) {
    if (error instanceof LuaError) throw errors.scriptNotCompiled(error.message);
    throw error;
  }
  state.scripts.set(sha, source);
  return sha;
}

function runScript(context: CommandContext, request: Request, sha: string): Reply {
  const { state, session } = context;
  const keyCount = parseInteger(request.text(2));
  if (keyCount < 0) throw errors.negativeKeyCount();
  if (keyCount > request.length - 3) throw errors.tooManyKeys();
  const words: Buffer[] = [];
  for (let at = 3; at < request.length; at++) words.push(request.bytes(at));
  const call = (parts: readonly Buffer[]): Reply => {
    const inner = Request.of(parts);
    try {
      return context.run(resolveInScript(context, inner), inner);
    } catch (error) {
      if (error instanceof RedisError) return errorReply(error);
      throw error;
    }
  };
  // The commands of the script are what goes to the append-only file, together.
  context.propagate();
  const { database } = session;
  const runAll = (): Reply =>
    machineOf(state).run(sha, words.slice(0, keyCount), words.slice(keyCount), call);
  try {
    return state.appendOnlyFile?.atomically(runAll) ?? runAll();
  } catch (error) {
    if (error instanceof LuaError) throw errors.scriptFailed(error.message, sha);
    throw error;
  } finally {
    session.database = database;
  }
}

function resolveInScript(context: CommandContext, request: Request): Command {
  try {
    const command = context.resolve(request);
    if (command.noScript !== true) return command;
  } catch (error) {
    if (!(error instanceof RedisError)) throw error;
    throw error.message.startsWith('ERR unknown command') ? errors.unknownInScript() : errors.arityInScript();
  }
  throw errors.notFromScript();
}

function script(context: CommandContext, request: Request): Reply {
  const { state } = context;
  const subcommand = request.text(1).toLowerCase();
  switch (subcommand) {
    case 'load':
      if (request.length !== 3) throw errors.arity('script|load');
      return load(state, request.bytes(2));
    case 'exists':
      if (request.length < 3) throw errors.arity('script|exists');
      return request.texts(2).map((sha) => (state.scripts.has(sha.toLowerCase()) ? 1 : 0));
    case 'flush':
      state.scripts.clear();
      machines.get(state)?.forgetAll();
      return OK;
    default:
      throw errors.unknownSubcommand('script', request.text(1));
  }
}

export const scriptingCommands: CommandTable = {
  eval: {
    arity: -3,
    write: true,
    noScript: true,
    run: (context, request) => runScript(context, request, load(context.state, request.bytes(1))),
  },
  evalsha: {
    arity: -3,
    write: true,
    noScript: true,
    run(context, request) {
      const sha = request.text(1).toLowerCase();
      if (!context.state.scripts.has(sha)) throw errors.noScript();
      return runScript(context, request, sha);
    },
  },
  script: { arity: -2, noScript: true, run: script },
};

import { createRequire } from 'node:module';
import type { Fengari, LuaState } from './lua-types.ts';
import { bytesOf, luaValues } from './lua-values.ts';
import type { Reply } from './reply.ts';

/** Fengari is CommonJS, and wanted only when a script runs, which cannot wait for an import. */
const require = createRequire(import.meta.url);
const MAX_SCRIPT_MS = 5_000;
const INSTRUCTIONS_PER_CHECK = 100_000;

/**
 * Redis runs Lua 5.1, where every number is a double. Fengari is Lua 5.3 with 32-bit integers, so numbers are made
 * doubles where they enter (arguments, replies, tonumber, math) and print without `.0` (LUA_COMPAT_FLOATSTRING).
 */
const PRELUDE = `
local tonumber51, floor51, ceil51 = tonumber, math.floor, math.ceil
tonumber = function(value, base)
  local number
  if base == nil then number = tonumber51(value) else number = tonumber51(value, base) end
  return number and number + 0.0
end
math.floor = function(value) return floor51(value) + 0.0 end
math.ceil = function(value) return ceil51(value) + 0.0 end
unpack = table.unpack
redis.error_reply = function(text)
  text = text:gsub('^-', '')
  if not text:find(' ', 1, true) then text = 'ERR ' .. text end
  return { err = text }
end
redis.status_reply = function(text) return { ok = text } end
KEYS, ARGV = {}, {}
dofile, loadfile, print = nil, nil, nil
setmetatable(_G, {
  __index = function(_, name)
    error('Script attempted to access nonexistent global variable \\'' .. tostring(name) .. '\\'', 2)
  end,
  __newindex = function(_, name)
    error('Attempt to modify a readonly table: global variable \\'' .. tostring(name) .. '\\'', 2)
  end,
})
`;

/** Runs one command for `redis.call` and `redis.pcall`; errors come back as error replies. */
export type ScriptCall = (words: readonly Buffer[]) => Reply;

export class LuaError extends Error {
  override readonly name = 'LuaError';
}

export interface LuaHost {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Hexadecimal digest that `redis.sha1hex` returns. */
  readonly sha1: (bytes: Buffer) => string;
}

/** A Lua virtual machine for EVAL. Loaded at the first script: most caches never run one. */
export class LuaMachine {
  readonly #fengari: Fengari;
  readonly #values: ReturnType<typeof luaValues>;
  readonly #L: LuaState;
  readonly #now: () => number;
  readonly #compiled = new Map<string, number>();
  #call: ScriptCall = () => null;

  constructor({ now, sha1 }: LuaHost) {
    this.#now = now;
    this.#fengari = loadFengari();
    this.#values = luaValues(this.#fengari);
    const { lua, lauxlib, lualib } = this.#fengari;
    const L = lauxlib.luaL_newstate();
    this.#L = L;
    for (const [name, open] of [
      ['_G', lualib.luaopen_base],
      ['table', lualib.luaopen_table],
      ['string', lualib.luaopen_string],
      ['math', lualib.luaopen_math],
    ] as const) {
      lauxlib.luaL_requiref(L, bytesOf(name), open, true);
      lua.lua_pop(L, 1);
    }
    this.#defineRedis(sha1);
    this.#compile(PRELUDE);
    this.#checked(lua.lua_pcall(L, 0, 0, 0));
  }

  /** Throws a LuaError when the source is not Lua. */
  load(sha: string, source: Buffer): void {
    if (this.#compiled.has(sha)) return;
    const { lua, lauxlib } = this.#fengari;
    this.#compile(source);
    this.#compiled.set(sha, lauxlib.luaL_ref(this.#L, lua.LUA_REGISTRYINDEX));
  }

  forgetAll(): void {
    this.#compiled.clear();
  }

  /** Runs a loaded script. Throws a LuaError for what the script did not catch. */
  run(sha: string, keys: readonly Buffer[], args: readonly Buffer[], call: ScriptCall): Reply {
    const { lua } = this.#fengari;
    const L = this.#L;
    this.#call = call;
    this.#setGlobal('KEYS', keys);
    this.#setGlobal('ARGV', args);
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, this.#compiled.get(sha) as number);
    const deadline = this.#now() + MAX_SCRIPT_MS;
    lua.lua_sethook(
      L,
      () => {
        if (this.#now() <= deadline) return;
        this.#values.text(L, `Script ran for more than ${MAX_SCRIPT_MS} ms`);
        lua.lua_error(L);
      },
      lua.LUA_MASKCOUNT,
      INSTRUCTIONS_PER_CHECK,
    );
    try {
      this.#checked(lua.lua_pcall(L, 0, 1, 0));
      return this.#values.toReply(L, -1);
    } finally {
      lua.lua_sethook(L, null, 0, 0);
      lua.lua_settop(L, 0);
    }
  }

  #compile(source: string | Buffer): void {
    const { lauxlib } = this.#fengari;
    const bytes = typeof source === 'string' ? bytesOf(source) : Uint8Array.from(source);
    this.#checked(lauxlib.luaL_loadbuffer(this.#L, bytes, bytes.length, bytesOf('@user_script')));
  }

  /** Turns a failed status into a LuaError with the message on the stack. */
  #checked(statusCode: number): void {
    const { lua } = this.#fengari;
    if (statusCode === lua.LUA_OK) return;
    const L = this.#L;
    const isTable = lua.lua_type(L, -1) === lua.LUA_TTABLE;
    const message = isTable ? this.#values.fieldText(L, -1, 'err') : this.#values.readText(L, -1);
    lua.lua_settop(L, 0);
    throw new LuaError(message ?? 'unknown error');
  }

  #setGlobal(name: string, words: readonly Buffer[]): void {
    this.#values.push(this.#L, words);
    this.#fengari.lua.lua_setglobal(this.#L, bytesOf(name));
  }

  #defineRedis(sha1: (bytes: Buffer) => string): void {
    const { lua } = this.#fengari;
    const define = (name: string, run: (L: LuaState) => number): void => {
      lua.lua_pushcfunction(this.#L, run);
      lua.lua_setfield(this.#L, -2, bytesOf(name));
    };
    lua.lua_newtable(this.#L);
    define('call', (L) => this.#runCommand(L, true));
    define('pcall', (L) => this.#runCommand(L, false));
    define('sha1hex', (L) => {
      this.#values.text(L, sha1(Buffer.from(lua.lua_tolstring(L, 1))));
      return 1;
    });
    define('log', () => 0);
    define('replicate_commands', (L) => {
      lua.lua_pushboolean(L, true);
      return 1;
    });
    for (const [name, level] of [
      ['LOG_DEBUG', 0],
      ['LOG_VERBOSE', 1],
      ['LOG_NOTICE', 2],
      ['LOG_WARNING', 3],
    ] as const) {
      lua.lua_pushnumber(this.#L, level);
      lua.lua_setfield(this.#L, -2, bytesOf(name));
    }
    lua.lua_setglobal(this.#L, bytesOf('redis'));
  }

  #runCommand(L: LuaState, raise: boolean): number {
    const { lua } = this.#fengari;
    const words: Buffer[] = [];
    for (let index = 1; index <= lua.lua_gettop(L); index++) {
      const type = lua.lua_type(L, index);
      if (type === lua.LUA_TNUMBER) words.push(Buffer.from(numberText(lua.lua_tonumber(L, index))));
      else if (type === lua.LUA_TSTRING) words.push(Buffer.from(lua.lua_tolstring(L, index)));
      else words.length = 0;
      if (words.length !== index) break;
    }
    const reply: Reply =
      words.length > 0 && words.length === lua.lua_gettop(L)
        ? this.#call(words)
        : { kind: 'error', text: 'ERR Lua redis lib command arguments must be strings or integers' };
    this.#values.push(L, reply);
    const failed = reply !== null && typeof reply === 'object' && 'kind' in reply && reply.kind === 'error';
    return failed && raise ? lua.lua_error(L) : 1;
  }
}

/** As Redis turns a Lua number into an argument: whole ones without a fraction, others with up to 17 digits. */
function numberText(value: number): string {
  return Number.isInteger(value) ? String(BigInt(value)) : String(value);
}

/** Fengari reads its configuration from the environment while it is loaded, and only then. */
function loadFengari(): Fengari {
  const before = process.env['FENGARICONF'];
  process.env['FENGARICONF'] = JSON.stringify({ LUA_COMPAT_FLOATSTRING: true });
  try {
    return require('fengari') as Fengari;
  } finally {
    if (before === undefined) delete process.env['FENGARICONF'];
    else process.env['FENGARICONF'] = before;
  }
}

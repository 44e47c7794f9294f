import type { Fengari, LuaState } from './lua-types.ts';
import { formatDouble, type Reply, type TaggedReply } from './reply.ts';

export const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/**
 * Replies as Lua values and back, by the table of https://redis.io/docs/latest/develop/programmability/lua-api/
 * (RESP2 rules): null is false, a status `{ok=...}`, an error `{err=...}`, true is 1, false and nil are null.
 */
export function luaValues({ lua }: Fengari) {
  const string = (L: LuaState, bytes: Uint8Array): void => {
    lua.lua_pushlstring(L, bytes, bytes.length);
  };
  const text = (L: LuaState, value: string): void => string(L, bytesOf(value));

  function list(L: LuaState, items: readonly Reply[]): void {
    lua.lua_newtable(L);
    items.forEach((item, index) => {
      push(L, item);
      lua.lua_rawseti(L, -2, index + 1);
    });
  }

  function field(L: LuaState, name: string, value: string): void {
    lua.lua_newtable(L);
    text(L, value);
    lua.lua_setfield(L, -2, bytesOf(name));
  }

  function push(L: LuaState, reply: Reply): void {
    if (reply === null) lua.lua_pushboolean(L, false);
    else if (typeof reply === 'number' || typeof reply === 'bigint') lua.lua_pushnumber(L, Number(reply));
    else if (typeof reply === 'string') text(L, reply);
    // A plain Uint8Array: fengari hashes strings by methods that Buffer overrides.
    else if (Buffer.isBuffer(reply)) string(L, Uint8Array.from(reply));
    else if ('kind' in reply) pushTagged(L, reply);
    else list(L, reply);
  }

  function pushTagged(L: LuaState, reply: TaggedReply): void {
    switch (reply.kind) {
      case 'status':
        field(L, 'ok', reply.text);
        break;
      case 'error':
        field(L, 'err', reply.text);
        break;
      case 'double':
        text(L, formatDouble(reply.value));
        break;
      case 'map':
        list(L, reply.entries);
        break;
      case 'set':
      case 'push':
        list(L, reply.items);
        break;
      case 'scored':
        list(
          L,
          reply.items.flatMap(([member, score]) => [member, formatDouble(score)]),
        );
        break;
      case 'verbatim':
        text(L, reply.text);
        break;
      case 'several':
        list(L, reply.replies);
        break;
      case 'nullArray':
        lua.lua_pushboolean(L, false);
        break;
    }
  }

  /** The text of string field `name` of the table at `index`. */
  function fieldText(L: LuaState, index: number, name: string): string | undefined {
    lua.lua_getfield(L, index, bytesOf(name));
    const value = lua.lua_type(L, -1) === lua.LUA_TSTRING ? readText(L, -1) : undefined;
    lua.lua_pop(L, 1);
    return value;
  }

  function readText(L: LuaState, index: number): string {
    return Buffer.from(lua.lua_tolstring(L, index)).toString('latin1');
  }

  /** The reply that the value at `index` stands for; numbers lose their fraction. */
  function toReply(L: LuaState, index: number): Reply {
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TSTRING:
        return Buffer.from(lua.lua_tolstring(L, index));
      case lua.LUA_TNUMBER:
        return Math.trunc(lua.lua_tonumber(L, index)) || 0;
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(L, index) ? 1 : null;
      case lua.LUA_TTABLE:
        return tableToReply(L, lua.lua_absindex(L, index));
      default:
        return null;
    }
  }

  function tableToReply(L: LuaState, index: number): Reply {
    const error = fieldText(L, index, 'err');
    if (error !== undefined) return { kind: 'error', text: error };
    const ok = fieldText(L, index, 'ok');
    if (ok !== undefined) return { kind: 'status', text: ok };
    const items: Reply[] = [];
    for (let at = 1; ; at++) {
      const type = lua.lua_rawgeti(L, index, at);
      if (type !== lua.LUA_TNIL) items.push(toReply(L, -1));
      lua.lua_pop(L, 1);
      if (type === lua.LUA_TNIL) return items;
    }
  }

  return { push, text, toReply, readText, fieldText };
}

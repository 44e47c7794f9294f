/** The part of fengari (Lua 5.3 in JavaScript, https://github.com/fengari-lua/fengari) that scripts here need. */
export interface Fengari {
  readonly lua: {
    readonly LUA_OK: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_MASKCOUNT: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    lua_type(L: LuaState, index: number): number;
    lua_gettop(L: LuaState): number;
    lua_settop(L: LuaState, index: number): void;
    lua_pop(L: LuaState, count: number): void;
    lua_pushnil(L: LuaState): void;
    lua_pushboolean(L: LuaState, value: boolean): void;
    lua_pushnumber(L: LuaState, value: number): void;
    lua_pushlstring(L: LuaState, bytes: Uint8Array, length: number): void;
    lua_pushcfunction(L: LuaState, run: (L: LuaState) => number): void;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_tonumber(L: LuaState, index: number): number;
    lua_toboolean(L: LuaState, index: number): boolean;
    lua_tolstring(L: LuaState, index: number): Uint8Array;
    lua_newtable(L: LuaState): void;
    lua_next(L: LuaState, index: number): number;
    lua_absindex(L: LuaState, index: number): number;
    lua_rawgeti(L: LuaState, index: number, key: number): number;
    lua_rawseti(L: LuaState, index: number, key: number): void;
    lua_getfield(L: LuaState, index: number, name: Uint8Array): number;
    lua_setfield(L: LuaState, index: number, name: Uint8Array): void;
    lua_setglobal(L: LuaState, name: Uint8Array): void;
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
    lua_error(L: LuaState): never;
    lua_sethook(L: LuaState, hook: ((L: LuaState) => void) | null, mask: number, count: number): void;
  };
  readonly lauxlib: {
    luaL_newstate(): LuaState;
    luaL_loadbuffer(L: LuaState, source: Uint8Array, size: number, name: Uint8Array): number;
    luaL_ref(L: LuaState, table: number): number;
    luaL_requiref(L: LuaState, name: Uint8Array, open: (L: LuaState) => number, global: boolean): void;
  };
  readonly lualib: {
    luaopen_base(L: LuaState): number;
    luaopen_table(L: LuaState): number;
    luaopen_string(L: LuaState): number;
    luaopen_math(L: LuaState): number;
  };
}

declare const luaState: unique symbol;
export interface LuaState {
  readonly [luaState]: never;
}

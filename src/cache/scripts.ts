/**
 * What must be atomic, in Lua that runs alike on Redis, Valkey, Azure's servers and the embedded one. A guarded entry is a
 * hash: `v` the version (src/cache/version.ts), `d` the document, `e` its encoding when not plain. An entry without `d`
 * is a tombstone. A plain string under the key has no version and gives way to anything.
 */

/**
 * KEYS[1] key; ARGV: version, document, encoding ('' plain), ttl in ms (0 none), and what is accepted: 'newer' than what is
 * held, 'equal' too, or 'missing' only.
 */
const SET_IF_NEWER = `
local kind = redis.call('TYPE', KEYS[1]).ok
if ARGV[5] == 'missing' and kind ~= 'none' then return 0 end
local held = kind == 'hash' and redis.call('HGET', KEYS[1], 'v')
if held and (held > ARGV[1] or (held == ARGV[1] and ARGV[5] ~= 'equal')) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'e', ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`;

/** ARGV as {@link SET_IF_NEWER}, equal versions accepted, but only where a document is held; a tombstone is moved on. */
const REFRESH_IF_PRESENT = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return 0 end
if kind == 'hash' then
  local held = redis.call('HMGET', KEYS[1], 'v', 'd')
  if held[1] and held[1] > ARGV[1] then return 0 end
  if not held[2] then
    redis.call('HSET', KEYS[1], 'v', ARGV[1])
    return 0
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'e', ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`;

/**
 * KEYS[1] key; ARGV: version, tombstone life in ms. Removes what is not newer and leaves the version behind for a while, so
 * that a reader that fetched the old item before the change cannot put it back.
 */
const INVALIDATE = `
local kind = redis.call('TYPE', KEYS[1]).ok
local had = kind ~= 'none'
if kind == 'hash' then
  local held = redis.call('HMGET', KEYS[1], 'v', 'd')
  if held[1] and held[1] > ARGV[1] then return 0 end
  had = held[2] and true or false
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return had and 1 or 0`;

export const SCRIPTS = {
  cpSetIfNewer: { lua: SET_IF_NEWER, numberOfKeys: 1 },
  cpRefreshIfPresent: { lua: REFRESH_IF_PRESENT, numberOfKeys: 1 },
  cpInvalidate: { lua: INVALIDATE, numberOfKeys: 1 },
} as const;

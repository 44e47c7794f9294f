/** One command per line, words separated by blanks; `{n}` in front: it gives n replies. Order matters: state builds up. */
const TEXT = `
PING
PING hello
PING a b
ECHO x
ECHO
SELECT 1
SELECT 99
SELECT abc
SELECT 0
SET a 1
GET a
SET a 2 NX
SET a 3 XX GET
SET a 4 GET
SET nokey v XX
SET nokey v XX GET
SET b v EX 1000
TTL b
SET b v KEEPTTL
TTL b
SET b v2 EX 0
SET b v2 EX -1
SET b v EX abc
SET b v EX 1000 PX 1000
SET b v NX XX
SET b v KEEPTTL EX 500
SET b v BOGUS
SET b
SET b v EX 9223372036854775807
GETEX b PERSIST
TTL b
GETEX b EX 1000
TTL b
GETEX b BOGUS
GETEX nokey
EXPIRETIME nokey
PEXPIRETIME nokey
TTL nokey
PTTL nokey
MSET k1 v1 k2 v2
MSET k1
MSETNX k1 x k9 y
MSETNX k8 x k9 y
MGET k1 nokey k2 k9
DEL k8 k9
INCR a
INCR k1
INCRBY a 10
INCRBY a abc
DECR a
DECRBY a 3
SET big 9223372036854775807
INCR big
DECR big
DECRBY big -1
SET float 10.5
INCRBYFLOAT float 0.1
INCRBYFLOAT float -5
INCRBYFLOAT float abc
INCRBYFLOAT k1 1
SETNX nx 1
SETNX nx 1
SETEX e 1000 v
SETEX e 0 v
SETEX e abc v
PSETEX e 1000000 v
PSETEX e -1 v
GETSET a z
GETDEL a
GETDEL a
APPEND str hello
APPEND str -world
STRLEN str
STRLEN nokey
GETRANGE str 0 4
GETRANGE str -5 -1
GETRANGE str 5 1
GETRANGE str 0 100
SUBSTR str 0 1
SETRANGE str 6 WORLD
GET str
SETRANGE pad 3 x
GET pad
SETRANGE nokey 0 
HSET h f1 v1 f2 v2
HSET h f1 v9 f3 v3
HSET h f1
HGET h f1
HGET h zz
HGET nokey f
HGETALL h
HGETALL nokey
HMGET h f1 zz
HMGET nokey f1
HMSET h f4 v4
HSETNX h f4 x
HSETNX h f5 x
HEXISTS h f1
HEXISTS h zz
HSTRLEN h f1
HKEYS h
HVALS h
HLEN h
HDEL h f1 f2 zz
HINCRBY h n 5
HINCRBY h n -7
HINCRBY h f3 1
HINCRBYFLOAT h fl 1.5
HINCRBYFLOAT h f3 1
HRANDFIELD nokey
HSCAN h 0 MATCH f*
HSCAN nokey 0
GET h
INCR h
HGET str f
LPUSH h x
SADD h x
ZADD h 1 x
MGET h str
TYPE h
TYPE str
TYPE nokey
EXISTS str b nokey str
TOUCH str nokey
DEL k1 nokey
UNLINK k2 nokey
EXPIRE str 1000
EXPIRE str 500 GT
EXPIRE str 2000 GT
EXPIRE str 3000 LT
EXPIRE str 3000 NX
EXPIRE str 3000 XX
EXPIRE str 3000 NX GT
EXPIRE str 3000 GT LT
EXPIRE str 3000 BOGUS
EXPIRE str abc
EXPIRE nokey 1
PEXPIRE str 1000000
TTL str
EXPIREAT str 32503680000
EXPIRETIME str
PEXPIREAT str 32503680000000
PEXPIRETIME str
PERSIST str
PERSIST str
PERSIST nokey
EXPIRE pad -1
EXISTS pad
SADD s m1
SADD s m1
SADD s2 1 2 3
SADD s3 2 3 4
SCARD s
SISMEMBER s m1
SISMEMBER s zz
SMISMEMBER s m1 zz
SMEMBERS s
SMEMBERS nokey
SINTER s2 s3
SINTER s2 nokey
SDIFF s2 s3
SUNION s2 s3
SINTERSTORE s4 s2 s3
SDIFFSTORE s4 s2 s3
SMEMBERS s4
SMOVE s2 s4 2
SMOVE s2 s4 zz
SRANDMEMBER nokey
SRANDMEMBER nokey 3
SPOP nokey
SPOP s
EXISTS s
SSCAN s4 0
SREM s4 1 2 zz
ZADD z 1 a 2 b 3 c
ZADD z XX 5 a 6 zz
ZADD z NX 9 a 4 d
ZADD z GT CH 1 a 7 b
ZADD z LT CH 1 a
ZADD z INCR 2.5 a
ZADD z NX INCR 1 a
ZADD z NX XX 1 a
ZADD z GT LT 1 a
ZADD z INCR 1 a 2 b
ZADD z abc a
ZADD z 1
ZINCRBY z 1.5 a
ZINCRBY z abc a
ZSCORE z a
ZSCORE z zz
ZMSCORE z a zz
ZCARD z
ZCOUNT z -inf +inf
ZCOUNT z (3 4
ZCOUNT z abc 4
ZRANK z a
ZREVRANK z a
ZRANK z zz
ZRANGE z 0 -1
ZRANGE z 0 -1 WITHSCORES
ZRANGE z 0 1 REV
ZRANGE z 2 5 BYSCORE
ZRANGE z 5 2 BYSCORE REV LIMIT 0 1
ZRANGE z - + BYLEX
ZRANGE z [b (d BYLEX
ZRANGE z b d BYLEX
ZRANGE z 0 1 LIMIT 0 1
ZRANGE z - + BYLEX WITHSCORES
ZREVRANGE z 0 0 WITHSCORES
ZRANGEBYSCORE z (2 +inf WITHSCORES LIMIT 1 1
ZREVRANGEBYSCORE z +inf -inf LIMIT 0 2
ZREMRANGEBYSCORE z 6 7
ZREMRANGEBYRANK z 0 0
ZPOPMIN z
ZPOPMIN z 5
ZPOPMAX nokey
ZPOPMAX nokey 2
ZADD z 1 a
ZPOPMAX z 1
ZADD z inf top -inf low
ZRANGE z 0 -1 WITHSCORES
ZSCAN z 0
ZREM z top low
EXISTS z
RPUSH l a b c
LPUSH l z y
LPUSHX nokey 1
RPUSHX l d
LLEN l
LRANGE l 0 -1
LRANGE l -2 -1
LRANGE l 5 1
LRANGE nokey 0 -1
LINDEX l 0
LINDEX l -1
LINDEX l 99
LSET l 0 yy
LSET l 99 x
LSET nokey 0 x
LINSERT l BEFORE a aa
LINSERT l AFTER nope aa
LINSERT l MIDDLE a aa
LREM l 0 aa
LREM nokey 0 aa
LTRIM l 1 -2
LPOP l
RPOP l
LPOP l 2
LPOP nokey
LPOP nokey 1
RPOP l -1
RPUSH src 1 2 3
RPOPLPUSH src dst
LMOVE src dst LEFT RIGHT
LMOVE src dst UP RIGHT
RPOPLPUSH nokey dst
LRANGE dst 0 -1
COPY dst dst2
COPY dst dst2
COPY dst dst2 REPLACE
COPY dst dst
COPY nokey x
LRANGE dst2 0 -1
RENAME dst2 dst3
RENAME nokey x
RENAMENX dst3 dst
RENAMENX dst3 dst4
OBJECT ENCODING nokey
OBJECT ENCODING nx
OBJECT ENCODING e
OBJECT REFCOUNT dst
OBJECT BOGUS dst
MEMORY USAGE nokey
SCAN 0 MATCH e* COUNT 1000
SCAN abc
SCAN 0 COUNT 0
SCAN 0 COUNT abc
SCAN 0 MATCH
SCAN 0 MATCH dst* COUNT 1000 TYPE string
KEYS nx*
KEYS [e]
KEYS n?
KEYS zz*
MULTI
MULTI
SET t 1
INCR t
GET h
EXEC
EXEC
DISCARD
MULTI
NOSUCH
EXEC
MULTI
SET t 5
DISCARD
GET t
WATCH t
MULTI
SET t 2
EXEC
WATCH t
SET t 3
MULTI
SET t 4
EXEC
GET t
UNWATCH
EVAL return(1) 0
EVAL return{1,2,{3,'x'},'y',false} 0
EVAL return{KEYS[1],ARGV[1],#KEYS,#ARGV} 1 k a
EVAL return(redis.call('GET','t')) 0
EVAL return(redis.call('SET','t','9')) 0
EVAL return(redis.status_reply('FINE')) 0
EVAL return(redis.error_reply('MY_ERR_oops')) 0
EVAL return(redis.pcall('INCR','h')) 0
EVAL return(redis.call('HGETALL','h')) 0
EVAL return(redis.call('GET','nokey')) 0
EVAL return(tonumber('1700000000000')+1) 0
EVAL return(tonumber('1700000000')*1000) 0
EVAL return(tostring(3)..'|'..tonumber('4')) 0
EVAL return(3.99) 0
EVAL return(redis.sha1hex('')) 0
EVAL return(nil) 0
EVAL return(true) 0
EVAL return(1) 2 a
EVAL return(1) -1
EVAL return(1) abc
EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
SCRIPT LOAD return(42)
EVALSHA 2067d915024a3e1657c4169c84f809f8ebeee1d0 0
SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff
SCRIPT FLUSH
PUBLISH ch m
PUBSUB CHANNELS
PUBSUB NUMSUB ch
PUBSUB NUMPAT
{2} SUBSCRIBE ch ch2
PING
PING x
{2} UNSUBSCRIBE ch ch2
UNSUBSCRIBE
PSUBSCRIBE ch*
PUNSUBSCRIBE
CLIENT GETNAME
CLIENT SETNAME foo
CLIENT GETNAME
CLIENT SETNAME
CLIENT BOGUS
CONFIG GET maxmemory
CONFIG GET nosuch
CONFIG SET maxmemory 200mb
CONFIG GET maxmemory
CONFIG SET maxmemory 0
CONFIG SET maxmemory bogus
CONFIG SET maxmemory-policy allkeys-lru
CONFIG SET nosuch 1
AUTH x
AUTH a b c d
HELLO 4
HELLO abc
WAIT 0 0
CLUSTER INFO
READONLY
NOSUCH a b
NOSUCH
GET
GET a b
DBSIZE
RANDOMKEY
FLUSHDB
DBSIZE
RANDOMKEY
FLUSHALL ASYNC
RESET
`;

export interface CorpusCommand {
  readonly words: readonly string[];
  readonly replies: number;
}

export const corpus: readonly CorpusCommand[] = TEXT.trim()
  .split('\n')
  .map((line) => {
    const [, count, command = ''] = /^(?:\{(\d+)\} )?(.*)$/.exec(line) ?? [];
    return { words: command.split(' '), replies: Number(count ?? 1) };
  });

/** What is compared of a reply that need not be the same on both servers, with why. */
const comparable: Readonly<Record<string, (reply: string) => string>> = {
  // Random while there are keys: only the type.
  RANDOMKEY: (reply) => reply.slice(0, 1),
  // Counts down while a server stands still: seconds to the next hundred. The corpus sets full hundreds.
  TTL: (reply) => reply.replace(/(?<=^:)\d+/, (seconds) => String(Math.ceil(Number(seconds) / 100) * 100)),
};

/** A reply as far as every server must give the same. */
export function shown({ words: [name = ''] }: CorpusCommand, reply: string): string {
  return comparable[name]?.(reply) ?? reply;
}

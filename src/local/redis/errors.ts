import type { TaggedReply } from './reply.ts';

/** A command's error reply. The text carries the code that clients match on, e.g. `WRONGTYPE`, `NOSCRIPT`. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
}

/** The wire errors of this server, as redis-server 7 words them. */
export const errors = {
  wrongType: () => new RedisError('WRONGTYPE Operation against a key holding the wrong kind of value'),
  notInteger: () => new RedisError('ERR value is not an integer or out of range'),
  notFloat: () => new RedisError('ERR value is not a valid float'),
  hashValueNotInteger: () => new RedisError('ERR hash value is not an integer'),
  hashValueNotFloat: () => new RedisError('ERR hash value is not a float'),
  notAValidScore: () => new RedisError('ERR min or max is not a float'),
  notALexRange: () => new RedisError('ERR min or max not valid string range item'),
  overflow: () => new RedisError('ERR increment or decrement would overflow'),
  nanOrInfinity: () => new RedisError('ERR increment would produce NaN or Infinity'),
  syntax: () => new RedisError('ERR syntax error'),
  gtAndLt: () => new RedisError('ERR GT and LT options at the same time are not compatible'),
  sameObject: () => new RedisError('ERR source and destination objects are the same'),
  noFrequency: () =>
    new RedisError(
      'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching ' +
        'between policies at runtime LRU and LFU data will take some time to adjust.',
    ),
  noSuchKey: () => new RedisError('ERR no such key'),
  outOfRange: () => new RedisError('ERR index out of range'),
  notPositive: () => new RedisError('ERR value is out of range, must be positive'),
  invalidExpire: (command: string) => new RedisError(`ERR invalid expire time in '${command}' command`),
  expireOptions: () => new RedisError('ERR NX and XX, GT or LT options at the same time are not compatible'),
  unsupportedOption: (option: string) => new RedisError(`ERR Unsupported option ${option}`),
  arity: (command: string) => new RedisError(`ERR wrong number of arguments for '${command}' command`),
  unknownSubcommand: (command: string, subcommand: string) =>
    new RedisError(`ERR unknown subcommand '${subcommand}'. Try ${command.toUpperCase()} HELP.`),
  unknownCommand: (name: string, args: readonly string[]) => {
    let shown = '';
    for (const arg of args) if (shown.length < 128) shown += `'${arg.slice(0, 128 - shown.length)}' `;
    return new RedisError(`ERR unknown command '${name.slice(0, 128)}', with args beginning with: ${shown}`);
  },
  invalidCursor: () => new RedisError('ERR invalid cursor'),
  dbIndex: () => new RedisError('ERR DB index is out of range'),
  noAuth: () => new RedisError('NOAUTH Authentication required.'),
  wrongPassword: () => new RedisError('WRONGPASS invalid username-password pair or user is disabled.'),
  noPassword: () =>
    new RedisError(
      'ERR AUTH <password> called without any password configured for the default user. ' +
        'Are you sure your configuration is correct?',
    ),
  helloUnauthenticated: () =>
    new RedisError(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH ' +
        '<user> <pass> option can be used to authenticate the client and select the RESP protocol version at ' +
        'the same time',
    ),
  noProtocol: () => new RedisError('NOPROTO unsupported protocol version'),
  protocolNotInteger: () => new RedisError('ERR Protocol version is not an integer or out of range'),
  zaddNxXx: () => new RedisError('ERR XX and NX options at the same time are not compatible'),
  zaddGtLtNx: () => new RedisError('ERR GT, LT, and/or NX options at the same time are not compatible'),
  zaddIncrOnePair: () => new RedisError('ERR INCR option supports a single increment-element pair'),
  scoreNotANumber: () => new RedisError('ERR resulting score is not a number (NaN)'),
  limitNeedsRange: () =>
    new RedisError('ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX'),
  withScoresNotLex: () =>
    new RedisError('ERR syntax error, WITHSCORES not supported in combination with BYLEX'),
  configUnknown: (name: string) =>
    new RedisError(`ERR Unknown option or number of arguments for CONFIG SET - '${name}'`),
  configInvalid: (name: string, expected: string) =>
    new RedisError(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${expected}`),
  outOfMemory: () => new RedisError("OOM command not allowed when used memory > 'maxmemory'."),
  execWithoutMulti: () => new RedisError('ERR EXEC without MULTI'),
  discardWithoutMulti: () => new RedisError('ERR DISCARD without MULTI'),
  nestedMulti: () => new RedisError('ERR MULTI calls can not be nested'),
  watchInsideMulti: () => new RedisError('ERR WATCH inside MULTI is not allowed'),
  execAborted: () => new RedisError('EXECABORT Transaction discarded because of previous errors.'),
  noScript: () => new RedisError('NOSCRIPT No matching script. Please use EVAL.'),
  scriptNotCompiled: (message: string) =>
    new RedisError(`ERR Error compiling script (new function): ${message}`),
  scriptFailed: (message: string, sha: string) =>
    new RedisError(`${/^[A-Z]+ /.test(message) ? '' : 'ERR '}${message} script: ${sha}, on @user_script:1.`),
  unknownInScript: () => new RedisError('ERR Unknown Redis command called from script'),
  arityInScript: () => new RedisError('ERR Wrong number of args calling Redis command from script'),
  notFromScript: () => new RedisError('ERR This Redis command is not allowed from script'),
  negativeKeyCount: () => new RedisError("ERR Number of keys can't be negative"),
  tooManyKeys: () => new RedisError("ERR Number of keys can't be greater than number of args"),
  numkeysNotPositive: () => new RedisError('ERR numkeys should be greater than 0'),
  subscribed: (command: string) =>
    new RedisError(
      `ERR Can't execute '${command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are ` +
        'allowed in this context',
    ),
  stringTooLong: () => new RedisError('ERR string exceeds maximum allowed size (proto-max-bulk-len)'),
  offsetOutOfRange: () => new RedisError('ERR offset is out of range'),
  clusterDisabled: () => new RedisError('ERR This instance has cluster support disabled'),
} as const;

/** What a client is told. */
export function errorReply(error: RedisError): TaggedReply {
  return { kind: 'error', text: error.message };
}

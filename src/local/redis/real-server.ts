import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Clock, systemClock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';

/** Servers that speak Redis' protocol and take its configuration, best first. */
const PROGRAMS = ['valkey-server', 'redis-server', 'keydb-server'] as const;
const POLL_MS = 5;
const START_TIMEOUT_MS = 30_000;

export interface RealRedis {
  /** Path of the program that runs. */
  readonly program: string;
  readonly pid: number;
  /** Unix socket, in a folder that only this user can enter; there is no TCP port unless one was asked for. */
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export interface RealRedisOptions {
  readonly program?: string;
  /** Also listens on this loopback port, for tools that cannot use a Unix socket. */
  readonly port?: number;
  readonly maxMemoryBytes?: number;
  /** Further lines of redis.conf. */
  readonly config?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
}

/** The first real server on the PATH; `undefined` when none is installed. */
export function findRealRedis(env: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const program of PROGRAMS) {
    for (const folder of (env['PATH'] ?? '').split(delimiter)) {
      const path = join(folder, program);
      if (folder !== '' && isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Starts a private redis-server or valkey-server without persistence: `--redis auto`. It is this process' child and
 * ends with `stop`, or with this process. Throws E_NOT_FOUND when none is installed and E_UNREACHABLE when it does not come up.
 */
export async function startRealRedis(options: RealRedisOptions = {}): Promise<RealRedis> {
  const program = options.program ?? findRealRedis(options.env);
  if (program === undefined) {
    throw new PipeError('E_NOT_FOUND', `no Redis server on PATH (looked for ${PROGRAMS.join(', ')})`, {
      hint: 'install one (apt-get install redis-server), or leave --redis out to use the embedded server',
    });
  }
  const clock = options.clock ?? systemClock;
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-redis-'));
  const path = join(folder, 'redis.sock');
  const child = spawn(program, ['-'], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-2_000);
    });
  const exited = once(child, 'exit').catch(() => undefined);
  const watcher = child.pid === undefined ? undefined : endWithUs(child.pid, folder);
  // A server that ends before it has read is noticed by its end.
  child.stdin.on('error', () => {});
  // The configuration comes by stdin: nothing of it shows in the process list.
  child.stdin.end(
    [
      `port ${options.port ?? 0}`,
      'bind 127.0.0.1',
      `unixsocket ${path}`,
      'unixsocketperm 700',
      'save ""',
      'appendonly no',
      `dir ${folder}`,
      'loglevel warning',
      `maxmemory ${options.maxMemoryBytes ?? 0}`,
      'maxmemory-policy allkeys-lru',
      ...(options.config ?? []),
      '',
    ].join('\n'),
  );
  const stop = async (): Promise<void> => {
    watcher?.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = clock.now() + START_TIMEOUT_MS;
  while (!(await accepts(path))) {
    if (child.pid !== undefined && child.exitCode === null && clock.now() < deadline) {
      await clock.sleep(POLL_MS);
      continue;
    }
    await stop();
    throw new PipeError(
      'E_UNREACHABLE',
      `${program} did not start (${output.trim().replaceAll('\n', ' ')})`,
      {
        hint: 'leave --redis out to use the embedded server',
      },
    );
  }
  const url = options.port ? `redis://127.0.0.1:${options.port}` : `unix://${path}`;
  return { program, pid: child.pid as number, path, environment: { REDIS_URL: url }, stop };
}

/**
 * Ends the server when this process is gone, also by SIGKILL: a shell waits for the end of a pipe that only we hold. In a
 * group of its own, so that Ctrl-C in the terminal leaves the order of things to `stop`.
 */
function endWithUs(pid: number, folder: string): ChildProcess {
  const script = 'read -r _; kill "$1"; rm -rf "$2"';
  const watcher = spawn('/bin/sh', ['-c', script, 'cosmos-pipe', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // Without a shell there is no such net.
  watcher.once('error', () => {});
  watcher.unref();
  (watcher.stdin as Socket | null)?.unref();
  return watcher;
}

async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

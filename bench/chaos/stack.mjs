// The embedded stack as a process that can be killed: it keeps its data in a folder and its ports for life.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { endOf, until } from './processes.mjs';

const START_TIMEOUT_MS = 90_000;
/** Below the range from which systems hand out ports: nobody is given one of the stack's while it is away. */
const PORTS = { first: 30_000, count: 2_700 };
const SERVERS = ['event-hubs', 'cosmos', 'redis', 'event-grid', 'admin'];

/**
 * @param processes see {@link processesIn}
 * @param folder folder of the round
 * @param seed seed of everything random in the stack
 */
export async function startStack(processes, folder, seed) {
  const struck = {};
  const ports = await freePorts(SERVERS.length);
  const args = [
    ...['local', '--data', 'data', '--seed', String(seed), '--quiet'],
    ...SERVERS.flatMap((server, index) => [`--${server}-port`, String(ports[index])]),
  ];
  let running = processes.start(args);
  const { environment, adminUrl } = await stateOf(running, folder);

  const ask = async (method, path, body) => {
    const response = await fetch(new URL(path, adminUrl), {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`the stack answered ${response.status} to ${method} ${path}`);
    return response.json();
  };
  /** Adds up how often each kind of fault struck; a killed stack forgets. */
  const countFaults = async () => {
    for (const { spec, struck: times } of await ask('GET', '/faults')) {
      const [kind] = spec.split(/[=@+]/);
      struck[kind] = (struck[kind] ?? 0) + times;
    }
    await ask('DELETE', '/faults');
  };
  return {
    environment,
    struck,
    addFault: (spec) => ask('POST', '/faults', { spec }),
    countFaults,
    /** Items in a container, as the server counts them; 0 as long as there is no such container. */
    async stored(container) {
      const { cosmos } = await ask('GET', '/stats');
      return cosmos.containers.find((entry) => entry.container === container)?.documents ?? 0;
    },
    /** SIGKILL, then the same data on the same ports. */
    async killAndRestart(afterMs) {
      await countFaults();
      running.kill('SIGKILL');
      await running.done;
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      running = processes.start(args);
      await stateOf(running, folder);
    },
    async stop() {
      running.kill('SIGTERM');
      const { code, stderr } = await endOf(running);
      if (code !== 0) throw new Error(`the stack exited with ${code}: ${stderr}`);
    },
  };
}

/** Waits for a stack that answers. The state file of a killed stack is still there, with the same address. */
async function stateOf(running, folder) {
  const file = join(folder, '.cosmos-pipe', 'local.json');
  let state;
  await until(
    async () => {
      if (!running.running) throw new Error(`the stack did not start: ${running.stderr()}`);
      try {
        state = JSON.parse(await readFile(file, 'utf8'));
        return (await fetch(new URL('/health', state.adminUrl))).ok;
      } catch {
        return false;
      }
    },
    START_TIMEOUT_MS,
    'the stack did not answer',
  );
  return state;
}

async function freePorts(count) {
  const found = new Set();
  while (found.size < count) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

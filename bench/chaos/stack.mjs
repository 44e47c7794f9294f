// The embedded stack as a process that can be killed: it keeps its data in a folder and its ports for life.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endOf, until } from './processes.mjs';

const START_TIMEOUT_MS = 30_000;

/**
 * @param processes see {@link processesIn}
 * @param folder folder of the round
 * @param seed seed of everything random in the stack
 */
export async function startStack(processes, folder, seed) {
  const struck = {};
  const common = ['local', '--data', 'data', '--seed', String(seed), '--quiet'];
  let running = processes.start([...common, '--free-ports']);
  const state = await stateOf(running, folder);
  const { environment, adminUrl } = state;
  const ports = portsOf(environment, adminUrl);

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
      running = processes.start([...common, ...ports]);
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

function portsOf(environment, adminUrl) {
  const port = (text) => /:(\d+)(?:[/;]|$)/.exec(text.replace(/^.*?\/\//, ''))?.[1];
  return [
    ...['--event-hubs-port', port(environment.EVENTHUB_CONNECTION_STRING)],
    ...['--cosmos-port', port(environment.COSMOS_ENDPOINT)],
    ...['--redis-port', port(environment.REDIS_URL)],
    ...['--event-grid-port', port(environment.EVENTGRID_NAMESPACE_ENDPOINT)],
    ...['--admin-port', port(adminUrl)],
  ];
}

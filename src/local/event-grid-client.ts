import { PipeError } from '../util/errors.ts';

/** A running local Event Grid, by the address of one of its topics. */
export interface LocalEventGrid {
  /** Name of the topic in the address. */
  readonly topic: string;
  readonly baseUrl: string;
  /**
   * Asks the management API (see the README of event-grid). Throws E_UNREACHABLE, E_NOT_FOUND, or E_CONFIG with what was
   * refused.
   */
  ask(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
}

/** Reads `http://127.0.0.1:6500/pipeline-events/api/events`; `undefined` for an address that is not of this machine. */
export function localEventGrid(endpoint: string): LocalEventGrid | undefined {
  if (!URL.canParse(endpoint)) return undefined;
  const { hostname, origin, pathname } = new URL(endpoint);
  if (hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.')) return undefined;
  return {
    topic: /^\/([^/]+)\/api\/events\/?$/.exec(pathname)?.[1] ?? '',
    baseUrl: origin,
    ask: (method, path, body) => ask(origin, method, path, body),
  };
}

async function ask(baseUrl: string, method: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(new URL(path, baseUrl), {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  }).catch((cause: Error) => {
    throw new PipeError(
      'E_UNREACHABLE',
      `cannot reach the local Event Grid at ${baseUrl} (${cause.message})`,
      {
        hint: 'start it with `cosmos-pipe local`',
        cause,
      },
    );
  });
  const text = await response.text();
  const answer = (text === '' ? {} : JSON.parse(text)) as { readonly error?: { readonly message?: string } };
  if (response.ok) return answer;
  throw new PipeError(
    response.status === 404 ? 'E_NOT_FOUND' : 'E_CONFIG',
    answer.error?.message ?? `the local Event Grid answered ${response.status}`,
    {
      hint: 'it keeps topics, traces and dead letters in memory, or below `cosmos-pipe local --data <folder>`',
    },
  );
}

import { PipeError } from '../util/errors.ts';

/** Asks a running stack, see {@link startAdmin}. Throws E_UNREACHABLE, or E_USAGE with what the stack refused. */
export async function askStack(
  adminUrl: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(new URL(path, adminUrl), {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  }).catch((error: Error) => {
    throw new PipeError('E_UNREACHABLE', `cannot reach the local stack at ${adminUrl} (${error.message})`, {
      hint: 'start it with `cosmos-pipe local`',
      cause: error,
    });
  });
  const answer = (await response.json()) as { error?: string };
  if (!response.ok)
    throw new PipeError('E_USAGE', answer.error ?? `the local stack answered ${response.status}`);
  return answer;
}

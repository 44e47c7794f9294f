import { errors } from '../errors.ts';
import { globMatcher } from '../glob.ts';
import { parseInteger } from '../numbers.ts';
import type { Reply } from '../reply.ts';
import type { Request } from '../request.ts';

/**
 * HSCAN, SSCAN and ZSCAN answer with the whole collection and cursor 0, as redis-server does for its compact encodings:
 * what is returned at once cannot be missed by a concurrent change.
 */
export function scanCollection<T>(
  request: Request,
  elements: readonly T[],
  show: (element: T) => readonly [name: string, ...Reply[]],
): Reply {
  if (!/^\d{1,20}$/.test(request.text(2))) throw errors.invalidCursor();
  let match: ((name: string) => boolean) | undefined;
  for (let at = 3; at < request.length; at += 2) {
    const option = request.option(at);
    if (at + 1 >= request.length) throw errors.syntax();
    if (option === 'MATCH') match = globMatcher(request.text(at + 1));
    else if (option !== 'COUNT' || parseInteger(request.text(at + 1)) < 1) throw errors.syntax();
  }
  const shown = elements.map(show).filter(([name]) => match?.(name) ?? true);
  return ['0', shown.flat()];
}

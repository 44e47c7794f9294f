import { redact } from '../util/secret.ts';
import type { ResolvedOption } from './resolve-options.ts';
import type { Terminal } from './terminal.ts';

/**
 * `--print-config`: every option with its effective value and origin. Secrets print as `[redacted]` by themselves, and so does
 * what an address carries (`?sig=...`).
 */
export function printConfig(
  terminal: Terminal,
  resolved: Readonly<Record<string, ResolvedOption>>,
  file: string | undefined,
  target: string | undefined,
): void {
  const options = Object.fromEntries(
    Object.entries(resolved).map(([key, { value, origin, source }]) => [
      key,
      { value: typeof value === 'string' ? redact(value) : (value ?? null), origin, source },
    ]),
  );
  const width = Math.max(0, ...Object.keys(resolved).map((key) => key.length));
  const lines = Object.entries(resolved).map(([key, { value, source }]) => {
    // A value that was compiled, such as a filter, has no text any more.
    const text =
      value === undefined
        ? '-'
        : typeof value === 'string'
          ? redact(value)
          : redact(JSON.stringify(value) ?? 'set');
    return `${key.padEnd(width)}  ${text}${source ? `  (${source})` : ''}`;
  });
  terminal.result(
    { file: file ?? null, target: target ?? null, options },
    [`file    ${file ?? 'none'}`, `target  ${target ?? 'none'}`, '', ...lines].join('\n'),
  );
}

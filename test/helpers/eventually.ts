import { setTimeout as delay } from 'node:timers/promises';

/** Repeats `check` until it no longer throws (or returns false); fails with its last error after `timeoutMs`. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 120_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      const value = await check();
      if (value !== false) return value;
      throw new Error('the condition stayed false');
    } catch (cause) {
      if (performance.now() > deadline) throw cause;
    }
    await delay(5);
  }
}

// What a suite is made of: named checks that run one after the other, each with a time limit, and a count of how they ended.
import { setTimeout as delay } from 'node:timers/promises';

const LIMIT_MS = 30_000;

/** A suite that cannot be had on this machine: not passed, not failed. */
export class Unavailable extends Error {}

export function createSuite(name, { log = () => {} } = {}) {
  const failures = [];
  const skips = [];
  let passed = 0;
  return {
    /** Runs one check; its failure is noted and the suite goes on. */
    async check(test, body) {
      const limit = new AbortController();
      try {
        await Promise.race([body(), expire(limit.signal)]);
        passed += 1;
        log(`ok    ${test}`);
      } catch (error) {
        failures.push({ test, reason: reasonOf(error) });
        log(`FAIL  ${test}: ${reasonOf(error)}`);
      } finally {
        limit.abort();
      }
    },
    /** Notes a check that does not apply, and why. */
    skip(test, reason) {
      skips.push({ test, reason });
      log(`skip  ${test}: ${reason}`);
    },
    result: () => ({ suite: name, passed, failed: failures.length, skipped: skips.length, failures, skips }),
  };
}

async function expire(signal) {
  await delay(LIMIT_MS, undefined, { signal }).catch(() => {});
  if (!signal.aborted) throw new Error(`no end within ${LIMIT_MS / 1000} s`);
}

function reasonOf(error) {
  const code = error?.code === undefined || error.code === 'ERR_ASSERTION' ? '' : `${error.code} `;
  return `${code}${String(error?.message ?? error)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 400)}`;
}

/** Asks until `look` answers with something truthy. */
export async function eventually(look, { limitMs = 10_000, everyMs = 20 } = {}) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error('did not happen in time');
    await delay(everyMs);
  }
}

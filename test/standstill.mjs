// Runs the suite on a machine that is busy and stands still now and then: what passes here does not depend on time.
//   npm run test:standstill -- [test files and vitest's options]
// STANDSTILL_BUSY processes (2) use the cores beside the run. Every STANDSTILL_EVERY_MS (400) one process of the run, picked
// at random, is stopped for up to STANDSTILL_MS (2500; 0 stops none), but no more than half of them at a time. Linux only: the
// processes are found in /proc.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

const { STANDSTILL_BUSY = 2, STANDSTILL_EVERY_MS = 400, STANDSTILL_MS = 2_500 } = process.env;
const pauseMs = Number(STANDSTILL_MS);

const busy = Array.from({ length: Number(STANDSTILL_BUSY) }, () =>
  spawn(process.execPath, ['-e', `while (process.ppid === ${process.pid});`], { stdio: 'ignore' }),
);
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];
const run = spawn(process.execPath, [...vitest, ...process.argv.slice(2)], { stdio: 'inherit' });
const stopped = new Set();
const timer = pauseMs > 0 ? setInterval(stopOne, Number(STANDSTILL_EVERY_MS)) : undefined;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal));

const [code] = await once(run, 'exit');
clearInterval(timer);
for (const pid of stopped) tell(pid, 'SIGCONT');
for (const child of busy) child.kill('SIGKILL');
process.exit(code ?? 1);

function stopOne() {
  const pids = descendantsOf(run.pid);
  const pid = pids[Math.floor(Math.random() * pids.length)];
  if (stopped.has(pid) || stopped.size >= pids.length / 2) return;
  stopped.add(pid);
  tell(pid, 'SIGSTOP');
  setTimeout(() => {
    stopped.delete(pid);
    tell(pid, 'SIGCONT');
  }, Math.random() * pauseMs);
}

/** The process may have ended since it was listed. */
function tell(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function descendantsOf(root) {
  const childrenOf = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = parentOf(pid);
    if (parent !== undefined) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(pid)]);
  }
  const found = [...(childrenOf.get(root) ?? [])];
  for (const pid of found) found.push(...(childrenOf.get(pid) ?? []));
  return found;
}

function parentOf(pid) {
  try {
    // The name before it is in parentheses and may hold anything.
    return Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

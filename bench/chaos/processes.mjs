// The processes of a round: every one is the built CLI, as a user runs it.
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const STDERR_KEPT = 20_000;
const END_TIMEOUT_MS = 120_000;

/**
 * Starts commands of the built CLI in a folder, and knows which of them are still alive.
 *
 * @param cli path of bin/cosmos-pipe.js
 * @param cwd folder of the round: state file, checkpoints, dead letters and data live there
 */
export function processesIn(cli, cwd) {
  const alive = new Set();
  const start = (args) => {
    const child = spawn(process.execPath, [cli, ...args], {
      cwd,
      env: { PATH: process.env.PATH, HOME: process.env.HOME },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr = (stderr + chunk).slice(-STDERR_KEPT);
    });
    const done = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        alive.delete(child);
        resolve({ code, signal, stdout, stderr });
      });
    });
    return {
      name: args[0],
      done,
      get running() {
        return alive.has(child);
      },
      kill: (signal) => child.kill(signal),
      stderr: () => stderr,
    };
  };
  return {
    start,
    /** Runs a command to its end and returns its JSON result. @throws Error with its messages for an unexpected exit code */
    async result(args, accepted = [0]) {
      const { code, stdout, stderr } = await endOf(start(args));
      if (!accepted.includes(code)) throw new Error(`${args[0]} exited with ${code}: ${stderr.trim()}`);
      return JSON.parse(stdout);
    },
    async killAll() {
      for (const child of alive) child.kill('SIGKILL');
      await until(() => alive.size === 0, END_TIMEOUT_MS, 'the processes of the round did not end');
    },
  };
}

/** Waits for a process to end. @throws Error with its messages when it does not */
export async function endOf(started) {
  await until(() => !started.running, END_TIMEOUT_MS, `${started.name} did not end`).catch((error) => {
    throw new Error(`${error.message}: ${started.stderr().trim()}`);
  });
  return started.done;
}

/** Repeats `check` until it is true. @throws Error `message` after `timeoutMs` */
export async function until(check, timeoutMs, message) {
  const deadline = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`${message} within ${timeoutMs / 1000}s`);
    await delay(20);
  }
}

import { spawn } from 'node:child_process';
import type { LocalState } from '../config/local-state.ts';
import { PipeError } from '../util/errors.ts';

/** A local stack in a process of its own, so that load and server never share an event loop. */
export interface LocalChild {
  readonly state: LocalState;
  stop(): Promise<void>;
}

/**
 * Starts `cosmos-pipe local` on free ports as a child. It leads its own process group, so that Ctrl-C reaches only this
 * process and the command can drain against a living stack; it ends when the channel to this process closes, whatever
 * the reason.
 */
export async function startLocalChild(
  self: readonly string[],
  extra: readonly string[],
  cwd: string,
): Promise<LocalChild> {
  const [program = process.execPath, ...entry] = self;
  const child = spawn(program, [...entry, 'local', '--free-ports', '--no-state', '--quiet', ...extra], {
    cwd,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4_000);
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const state = await new Promise<LocalState>((resolve, reject) => {
    child.once('message', (message) => resolve(message as LocalState));
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(
        new PipeError('E_UNREACHABLE', `the local stack ended with ${signal ?? code} while starting`, {
          hint: complaint.trim().split('\n')[0] || 'run `cosmos-pipe local --debug` to see why',
        }),
      ),
    );
  });
  return {
    state,
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

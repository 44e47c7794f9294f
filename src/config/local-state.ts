import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isProcessAlive } from '../util/process-alive.ts';

/** What a running `cosmos-pipe local` tells other commands about itself. Addresses and the emulators' published keys only. */
export interface LocalState {
  readonly version: 1;
  readonly pid: number;
  readonly startedAt: string;
  /** Environment variables with which any SDK program reaches the stack. */
  readonly environment: Readonly<Record<string, string>>;
  /** Base URL of the admin endpoint: /health, /stats, /faults. */
  readonly adminUrl: string;
  /** PEM of the certificate with which the stack answers TLS. */
  readonly certificate?: string;
  /** Folder of the logs; absent when everything is in memory. */
  readonly dataDir?: string;
}

function localStateFile(cwd: string): string {
  return join(cwd, '.cosmos-pipe', 'local.json');
}

/** The stack that runs in this folder; `undefined` without one, also when its process is gone. */
export function readLocalState(cwd: string): LocalState | undefined {
  const file = localStateFile(cwd);
  if (!existsSync(file)) return undefined;
  try {
    const state = JSON.parse(readFileSync(file, 'utf8')) as LocalState;
    return state.version === 1 && isProcessAlive(state.pid) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Written whole or not at all, readable by the owner only. */
export function writeLocalState(cwd: string, state: LocalState): void {
  const file = localStateFile(cwd);
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${state.pid}`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** Removes the state only if it is still ours: a later stack may have replaced it. */
export function removeLocalState(cwd: string, pid: number): void {
  const file = localStateFile(cwd);
  try {
    if ((JSON.parse(readFileSync(file, 'utf8')) as LocalState).pid === pid) rmSync(file);
  } catch {
    // Nothing readable is left to remove.
  }
}

/**
 * Writes the certificate of a stack to `folder` for programs that take it by NODE_EXTRA_CA_CERTS, behind those that the
 * variable names already.
 *
 * @returns the path of the file
 */
export function writeCertificate(folder: string, certificate: string, already: string | undefined): string {
  const file = join(folder, 'ca.pem');
  const others =
    already === undefined || already === file || !existsSync(already) ? '' : readFileSync(already, 'utf8');
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${others}${certificate}`);
  return file;
}

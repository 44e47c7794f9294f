import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../util/make-folder.ts';
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
  /** The Redis of the stack is the embedded one, so that all keys in it are the stack's. */
  readonly embeddedRedis?: boolean;
}

/**
 * Names the state file to a program that runs inside a stack of its own (`cosmos-pipe local -- <command>`). It wins over the
 * folder, in which another stack may run, and has no fallback: what outlives its stack must not get hold of another.
 */
export const STATE_VARIABLE = 'COSMOS_PIPE_LOCAL_STATE';

function localStateFile(cwd: string): string {
  return join(cwd, '.cosmos-pipe', 'local.json');
}

/** The stack around this process or in this folder; `undefined` without one, also when its process is gone. */
export function readLocalState(cwd: string, env: NodeJS.ProcessEnv): LocalState | undefined {
  return readState(env[STATE_VARIABLE] || localStateFile(cwd));
}

/** The stack that announced itself to this folder; `undefined` without one, also when its process is gone. */
export function readFolderState(cwd: string): LocalState | undefined {
  return readState(localStateFile(cwd));
}

function readState(file: string): LocalState | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const state = JSON.parse(readFileSync(file, 'utf8')) as LocalState;
    return state.version === 1 && isProcessAlive(state.pid) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Announces a stack to the other commands in a folder. */
export function writeLocalState(cwd: string, state: LocalState): void {
  writeStateFile(localStateFile(cwd), state);
}

/** Written whole or not at all, readable by the owner only. */
export function writeStateFile(file: string, state: LocalState): void {
  makeFolder(dirname(file));
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
  makeFolder(folder);
  writeFileSync(file, `${others}${certificate}`);
  return file;
}

import type { Check } from './doctor.ts';

/** First versions of Node with what the package needs (package.json "engines"). */
const NEEDED = [20, 19] as const;
/** A connection per partition and lane, files of the local stack, and room for both. */
const ENOUGH_FILES = 1_024;

export interface Machine {
  /** `20.20.2`. */
  readonly nodeVersion: string;
  /** Files and sockets that this process may have open; `undefined` where the system does not say. */
  readonly openFiles?: number;
}

/** This machine as the process sees it. */
export function readMachine(): Machine {
  const openFiles = openFileLimit();
  return { nodeVersion: process.versions.node, ...(openFiles !== undefined && { openFiles }) };
}

/** The version of Node and the limit of open files. */
export function examineMachine({ nodeVersion, openFiles }: Machine): Check[] {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const oldNode = major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]);
  const few = openFiles !== undefined && openFiles < ENOUGH_FILES;
  return [
    {
      name: 'node',
      status: oldNode ? 'problem' : 'ok',
      text: oldNode ? `${nodeVersion} is older than ${NEEDED.join('.')}` : nodeVersion,
      ...(oldNode && { hint: 'install a newer Node.js, https://nodejs.org' }),
    },
    {
      name: 'open files',
      status: openFiles === undefined ? 'skipped' : few ? 'warning' : 'ok',
      text: openFiles === undefined ? 'this system has no such limit' : limitText(openFiles),
      ...(few && { hint: `raise it before a load with many connections: ulimit -n ${ENOUGH_FILES * 4}` }),
    },
  ];
}

function limitText(openFiles: number): string {
  return Number.isFinite(openFiles) ? `up to ${openFiles.toLocaleString('en-US')}` : 'unlimited';
}

/** `ulimit -n` without a shell: Node raises the soft limit to the hard one at start, and its report tells. */
function openFileLimit(): number | undefined {
  // The report would look up the names of every open connection's peer.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const { userLimits } = process.report.getReport() as unknown as {
    readonly userLimits?: { readonly open_files?: { readonly soft: number | 'unlimited' } };
  };
  const soft = userLimits?.open_files?.soft;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft;
}

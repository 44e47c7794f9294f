#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { manifest } from '../commands/index.ts';
import { reportError } from '../src/cli/report-error.ts';
import { run, terminalOf } from '../src/cli/run.ts';
import { systemClock } from '../src/util/clock.ts';
import { PipeError } from '../src/util/errors.ts';

/** Time that a finished command has to close its sockets. */
const EXIT_GRACE_MS = 500;

const argv = process.argv.slice(2);
const controller = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(name);
  });
}
// A reader that closes the pipe early (`| head`) is a normal end, not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  const unwritten = new PipeError(
    'E_INTERNAL',
    `stdout: the result could not be written (${error.message})`,
    {
      hint: 'send it to a file or a program that can take it',
    },
  );
  process.exit(reportError(unwritten, terminalOf({ argv, env: process.env, streams: process }), false));
});
// Nobody reads the progress any more; the work goes on.
process.stderr.on('error', () => {});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

process.exitCode = await run(manifest, {
  argv,
  env: process.env,
  cwd: process.cwd(),
  streams: process,
  signal: controller.signal,
  clock: systemClock,
  version,
  self: [process.execPath, fileURLToPath(import.meta.url)],
  ...(process.send && {
    parent: {
      send: (message: unknown) => process.send?.(message),
      onDisconnect: (listener: () => void) => process.once('disconnect', listener),
    },
  }),
});
// A pipe holds little, and its reader may be slow: what is written is waited for, however long it takes.
for (const stream of [process.stdout, process.stderr])
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
// An SDK's left-over must not keep a finished command alive: @azure/event-hubs 6.0.4 does not clear the timer that renews the
// token of a link (45 minutes, `withAuth` in partitionReceiver.ts) when the service detaches it.
setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();

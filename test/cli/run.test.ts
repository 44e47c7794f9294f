import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defineCommand } from '../../src/cli/command.ts';
import { commandLine } from '../../src/cli/command-line.ts';
import { eventHubsOptions, opt, untilIdleOption, yesOption } from '../../src/cli/options.ts';
import type { Manifest } from '../../src/cli/run.ts';
import { ExitCode, PipeError } from '../../src/util/errors.ts';
import { cli } from '../helpers/cli.ts';

const probe = defineCommand({
  description: 'Show what the kernel hands to a command.',
  examples: ['cosmos-pipe probe --rate 500/s'],
  operands: '[action]',
  runsProgram: true,
  options: {
    ...eventHubsOptions,
    rate: opt.ratePerSecond({
      flags: '-r, --rate <n/unit>',
      description: 'arrival rate',
      fallback: '100/s',
      group: 'Load:',
    }),
    stages: opt.text({ flags: '--stages <list>', description: 'stages', repeatable: true }),
    ledger: opt.flag({ flags: '--no-ledger', description: 'keep no ledger' }),
    untilIdle: untilIdleOption('Ending:', '2s'),
    yes: yesOption,
  },
  async run(options, { argv, signal, terminal, operands, rest }) {
    if (operands[0] === 'fail')
      throw new Error('cannot open Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey=abc123=');
    if (operands[0] === 'write') writeFileSync(join('nowhere', 'file'), '');
    if (operands[0] === 'again') terminal.note(commandLine(argv));
    if (operands[0] === 'finish') signal.throwIfAborted();
    if (operands[0] === 'refuse') throw new PipeError('E_NOT_FOUND', 'no hub "x"', { hint: 'create it' });
    terminal.note('working');
    if (operands[0] === 'warn') terminal.warn('gave up partition 3, SharedAccessKey=abc123=');
    terminal.result({ ...options, operands, rest }, `rate ${options.rate}`);
    return operands[0] === 'lossy' ? ExitCode.Verification : undefined;
  },
});

const manifest: Manifest = {
  probe: {
    summary: 'show what the kernel hands over',
    group: 'Test:',
    load: async () => ({ command: probe }),
  },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const probing = (argv: string[], env: NodeJS.ProcessEnv = {}) =>
  cli(['probe', ...argv], { env, manifest, cwd: folder });

async function optionValue(key: string, argv: string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const { stdout, stderr } = await probing([...argv, '--json'], env);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout)[key];
}

it('takes a flag over the environment over the file over the fallback', async () => {
  expect(await optionValue('rate', [])).toBe(100);
  writeFileSync(join(folder, 'pipeline.yaml'), 'probe: { rate: 200/s }\n');
  expect(await optionValue('rate', [])).toBe(200);
  expect(await optionValue('rate', [], { COSMOS_PIPE_RATE: '300/s' })).toBe(300);
  expect(await optionValue('rate', ['--rate', '400/s'], { COSMOS_PIPE_RATE: '300/s' })).toBe(400);
});

it('takes the settings of the chosen target below those of the command', async () => {
  writeFileSync(
    join(folder, 'pipeline.yaml'),
    'target: staging\ntargets:\n  staging: { eventHub: hub-s, rate: 5/s }\n  live: { eventHub: hub-l }\nprobe: { rate: 7/s }\n',
  );
  expect(await optionValue('eventHub', [])).toBe('hub-s');
  expect(await optionValue('rate', [])).toBe(7);
  expect(await optionValue('eventHub', ['--target', 'live'])).toBe('hub-l');
});

it('refuses an entry of its section that it does not know', async () => {
  writeFileSync(join(folder, 'pipeline.yaml'), 'probe: { rate: 7/s, ratte: 5/s }\nother: { ratte: 5/s }\n');
  const { code, stderr } = await probing([]);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^error: .*pipeline\.yaml: probe: unknown entry ratte \[E_CONFIG\]\n hint: entries of probe: .*\brate\b/,
  );
  writeFileSync(join(folder, 'pipeline.yaml'), 'probe: fast\n');
  expect((await probing([])).stderr).toContain('pipeline.yaml: probe: expected a mapping, got "fast"');
});

it('collects a repeatable flag, and reads a negated one as false', async () => {
  expect(await optionValue('stages', ['--stages', 'a', '--stages', 'b'])).toEqual(['a', 'b']);
  expect(await optionValue('ledger', ['--no-ledger'])).toBe(false);
  expect(await optionValue('yes', ['--yes'])).toBe(true);
});

it('hands over operands and what follows --', async () => {
  const { stdout } = await probing(['act', '--json', '--', 'npm', 'test', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ operands: ['act'], rest: ['npm', 'test', '--json'] });
});

it('refuses what follows -- where no program is run', async () => {
  const { runsProgram: _, ...plain } = probe;
  const { code, stderr } = await cli(['probe', '--', 'npm', 'test'], {
    manifest: { probe: { summary: '', group: 'Test:', load: async () => ({ command: plain }) } },
    cwd: folder,
  });
  expect([code, stderr]).toEqual([2, expect.stringContaining('probe runs no program')]);
});

it('reads a secret from the file that the flag names and prints it nowhere', async () => {
  writeFileSync(join(folder, 'secret'), 'Endpoint=sb://h/;SharedAccessKey=topsecret\n');
  const read = await probing(['--event-hubs-connection-string-file', 'secret', '--json']);
  expect(JSON.parse(read.stdout)).toMatchObject({ eventHubsConnectionString: '[redacted]' });
  const shown = await probing(['--event-hubs-connection-string-file', 'secret', '--print-config']);
  expect(shown.stdout).toContain('[redacted]');
  expect(shown.stdout).not.toContain('topsecret');
  const address = ['--event-hubs-namespace', 'https://contoso/?sig=topsecret', '--print-config'];
  for (const more of [[], ['--json']]) {
    const { stdout } = await probing([...address, ...more]);
    expect(stdout).toContain('?sig=[redacted]');
    expect(stdout).not.toContain('topsecret');
  }
});

it('takes an empty file for a mistake, not for a secret', async () => {
  writeFileSync(join(folder, 'secret'), ' \n');
  const { code, stderr } = await probing(['--event-hubs-connection-string-file', 'secret']);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining('--event-hubs-connection-string-file: secret is empty'),
  ]);
});

it('refuses a secret that stands in the configuration file', async () => {
  writeFileSync(join(folder, 'pipeline.yaml'), 'probe: { eventHubsConnectionString: "Endpoint=sb://h/" }\n');
  const { code, stderr } = await probing([]);
  expect(code).toBe(2);
  expect(stderr).toContain('E_SECRET_IN_CONFIG');
});

it('prints one line and a hint for an expected failure', async () => {
  expect(await probing(['refuse'])).toMatchInlineSnapshot(`
    {
      "code": 3,
      "stderr": "error: no hub "x" [E_NOT_FOUND]
     hint: create it
    ",
      "stdout": "",
    }
  `);
});

it('prints one line of JSON on stderr for a failure with --json', async () => {
  const { code, stdout, stderr } = await probing(['refuse', '--json']);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(JSON.parse(stderr)).toEqual({
    error: { code: 'E_NOT_FOUND', message: 'no hub "x"', hint: 'create it', exitCode: 3 },
  });
});

it('redacts secrets in unexpected errors and shows a stack only with --debug', async () => {
  const plain = await probing(['fail']);
  expect(plain.code).toBe(1);
  expect(plain.stderr).not.toContain('abc123');
  expect(plain.stderr).not.toContain('run.test.ts');
  const debug = await probing(['fail', '--debug']);
  expect(debug.stderr).toContain('run.test.ts');
  expect(debug.stderr).not.toContain('abc123');
});

it('names the source of a bad value', async () => {
  writeFileSync(join(folder, 'pipeline.yaml'), 'probe: { rate: fast }\n');
  const fromFile = await probing([]);
  expect(fromFile.code).toBe(2);
  expect(fromFile.stderr).toContain(
    'pipeline.yaml: probe.rate: invalid rate "fast", expected for example 500/s',
  );
  const fromFlag = await probing(['--rate', 'slow']);
  expect(fromFlag.stderr).toContain('--rate: invalid rate "slow"');
});

it('warns with --json too, as a line of JSON beside the document, but not with --quiet', async () => {
  expect(await probing(['warn'])).toEqual({
    code: 0,
    stdout: 'rate 100\n',
    stderr: 'working\nwarning: gave up partition 3, SharedAccessKey=[redacted]\n',
  });
  const { stdout, stderr } = await probing(['warn', '--json']);
  expect(JSON.parse(stderr)).toEqual({
    warning: { message: 'gave up partition 3, SharedAccessKey=[redacted]' },
  });
  expect(JSON.parse(stdout)).toMatchObject({ rate: 100 });
  expect((await probing(['warn', '--quiet'])).stderr).toBe('');
});

it('keeps results on stdout and everything else on stderr; --quiet leaves results', async () => {
  expect(await probing([])).toEqual({ code: 0, stdout: 'rate 100\n', stderr: 'working\n' });
  expect(await probing(['--quiet'])).toEqual({ code: 0, stdout: 'rate 100\n', stderr: '' });
});

it('returns the exit code of a command that has a result and a verdict', async () => {
  expect((await probing(['lossy'])).code).toBe(4);
});

it('exits 130 when the command drained after an interruption', async () => {
  expect((await cli(['probe'], { manifest, cwd: folder, signal: AbortSignal.abort() })).code).toBe(130);
});

it.each([[['--help']], [['help']], [[]]])('lists the commands on stdout for %j', async (argv) => {
  const { code, stdout, stderr } = await cli(argv, { manifest });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('show what the kernel hands over');
});

it('groups options and shows variables, fallback and an example in the help of a command', async () => {
  const { stdout } = await cli(['help', 'probe'], { manifest });
  expect(stdout).toMatch(
    /Load:\n {2}-r, --rate <n\/unit> +arrival rate \[COSMOS_PIPE_RATE\] \(default: 100\/s\)/,
  );
  expect(stdout).toContain('$ cosmos-pipe probe --rate 500/s');
});

it('rejects unknown flags and targets', async () => {
  expect((await probing(['--nope'])).code).toBe(2);
  const { code, stderr } = await probing(['--target', 'nowhere']);
  expect(code).toBe(2);
  expect(stderr).toContain('unknown target "nowhere" (known: local, env)');
});

it('takes a flag with an optional value with and without one', async () => {
  expect(await optionValue('untilIdle', [])).toBeUndefined();
  expect(await optionValue('untilIdle', ['--until-idle'])).toBe(2_000);
  expect(await optionValue('untilIdle', ['--until-idle', '5s'])).toBe(5_000);
});

it('tells what the file system refused in one line, and calls it no bug', async () => {
  const { code, stderr } = await probing(['write']);
  expect(code).toBe(2);
  expect(stderr.replace(process.cwd(), '')).toBe(
    [
      'error: cannot open /nowhere/file (no such file or directory) [E_CONFIG]',
      ' hint: check that the folder exists and that this user may write to it',
      '',
    ].join('\n'),
  );
});

it('puts what was probably meant into the hint', async () => {
  const { code, stderr } = await cli(['prob'], { manifest, cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toBe("error: unknown command 'prob' [E_USAGE]\n hint: did you mean probe?\n");
});

it.each(['nonsense', 'contoso.documents.azure.com'])(
  'refuses the endpoint "%s" by name',
  async (endpoint) => {
    const { code, stderr } = await cli(['tail-feed'], { env: { COSMOS_ENDPOINT: endpoint }, cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(`the Cosmos DB endpoint "${endpoint}" is not an http(s) URL [E_CONFIG]`);
  },
);

it('refuses a port beyond 65535', async () => {
  const { code, stderr } = await cli(['local', '--cosmos-port', '65536'], { cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toContain('--cosmos-port: expected a port from 0 to 65535, got "65536"');
});

it('takes what an interruption made a command throw for an interruption', async () => {
  const signal = AbortSignal.abort('SIGTERM');
  const { code, stderr } = await cli(['probe', 'finish'], { env: {}, manifest, cwd: folder, signal });
  expect([code, stderr]).toEqual([130, 'error: interrupted before it could finish [E_INTERRUPTED]\n']);
});

it('shows a command line as it can be pasted', async () => {
  const { stderr } = await probing(['again', '--stages', "it's $1", '--rate', '5/s', '--', 'npm', 'test']);
  expect(stderr).toContain(`cosmos-pipe probe again --stages 'it'\\''s $1' --rate 5/s\n`);
});

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { checkOutputs, publishReport } from '../../commands/report-output.ts';
import type { CommandContext } from '../../src/cli/command.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { sampleReport } from '../report/sample-report.ts';

const report = sampleReport();
let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'cosmos-pipe-output-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
});

/** Publishes to a terminal that writes down what is said, and what was saved when the result was printed. */
async function publish(outputs: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const said: string[] = [];
  let savedBefore: readonly string[] = [];
  const terminal = new Terminal({
    streams: {
      stdin: {},
      stdout: {
        write: () => {
          savedBefore = outputs.filter((path) => existsSync(join(cwd, path)));
        },
      },
      stderr: { write: (text: string) => said.push(text) },
    } as never,
    env,
    json: false,
    quiet: false,
    color: false,
    progress: false,
  });
  const context = { cwd, env, terminal } as CommandContext;
  const code = await publishReport(report, outputs, context).catch((error: Error) => error.message);
  return { code, said: said.join(''), savedBefore };
}

it('has the files written when it prints: a reader that leaves early ends the process', async () => {
  const { said, savedBefore } = await publish(['a.json', 'b.md']);
  expect(savedBefore).toEqual(['a.json', 'b.md']);
  expect(said).toBe('  saved a.json\n  saved b.md\n');
});

it('prints the result and writes the other files where one cannot be written', async () => {
  const { code, said, savedBefore } = await publish(['absent/a.json', 'b.md']);
  expect(code).toContain('cannot write');
  expect(savedBefore).toEqual(['b.md']);
  expect(said).toBe('  saved b.md\n');
});

it('keeps its exit code where the step summary cannot be written', async () => {
  const { code } = await publish([]);
  const { code: same, said } = await publish([], { GITHUB_STEP_SUMMARY: join(cwd, 'absent/summary.md') });
  expect(same).toBe(code);
  expect(said).toMatch(/^warning: .*step summary.*ENOENT/);
});

it('refuses a file that could not be written, before there is a report', async () => {
  mkdirSync(join(cwd, 'folder.json'));
  await checkOutputs(['a.json'], cwd);
  expect(existsSync(join(cwd, 'a.json'))).toBe(false);
  await expect(checkOutputs(['a.json', 'folder.json'], cwd)).rejects.toThrow(
    'cannot write folder.json (EISDIR',
  );
  await expect(checkOutputs(['absent/a.json'], cwd)).rejects.toThrow('cannot write absent/a.json (ENOENT');
});

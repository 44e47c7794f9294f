import { expect, it } from 'vitest';
import { startLiveView } from '../../src/cli/live.ts';
import { Terminal, type TerminalOptions } from '../../src/cli/terminal.ts';
import { createVirtualClock } from '../helpers/virtual-clock.ts';

function terminal(
  stderr: { isTTY: boolean; columns?: number; rows?: number },
  more: Partial<TerminalOptions> = {},
) {
  const written: string[] = [];
  const stream = { ...stderr, write: (text: string) => written.push(text) };
  const options = {
    streams: { stdin: {}, stdout: stream, stderr: stream },
    env: {},
    json: false,
    quiet: false,
    color: false,
    progress: true,
    ...more,
  };
  return { terminal: new Terminal(options as never), written };
}

it('redraws its block in place, whatever its height was before, and gives the cursor back', async () => {
  const clock = createVirtualClock();
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 80, rows: 24 });
  let lines = ['one', 'two', 'three'];
  const view = startLiveView(tty, { frame: () => lines, heartbeat: () => '', clock });
  lines = ['four'];
  await clock.runUntil(() => written.length >= 3);
  view.stop();
  expect(written.map((text) => text.replaceAll('\u001b', '^'))).toEqual([
    '^[?25l^[?7l',
    '^[0Jone\ntwo\nthree\n',
    '^[3A\r^[0Jfour\n',
    '^[1A\r^[0Jfour\n',
    '^[?7h^[?25h',
  ]);
});

it('says what happens meanwhile above its block, in whole lines', () => {
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 80, rows: 24 });
  const view = startLiveView(tty, {
    frame: () => ['one', 'two'],
    heartbeat: () => '',
    clock: createVirtualClock(),
  });
  written.length = 0;
  tty.warn('a link was cut');
  view.stop();
  tty.note('after');
  expect(written.map((text) => text.replaceAll('\u001b', '^'))).toEqual([
    '^[2A\r^[0J^[?7h^[?25h',
    'warning: a link was cut\n',
    '^[?25l^[?7l',
    '^[0Jone\ntwo\n',
    '^[2A\r^[0Jone\ntwo\n',
    '^[?7h^[?25h',
    'after\n',
  ]);
});

it('takes its block away where the end says more than the last state', () => {
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 80, rows: 24 });
  const options = { frame: () => ['one', 'two'], heartbeat: () => '', clock: createVirtualClock() };
  const view = startLiveView(tty, options);
  written.length = 0;
  view.stop('clear');
  expect(written.join('').replaceAll('\u001b', '^')).toMatch(/^\^\[2A\r\^\[0J(?!.*one)/);
});

it('gives the cursor back to a shell when the process leaves at once', () => {
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 80, rows: 24 });
  const before = process.listeners('exit');
  const options = { frame: () => ['one'], heartbeat: () => '', clock: createVirtualClock() };
  const view = startLiveView(tty, options);
  const [onExit] = process.listeners('exit').filter((listener) => !before.includes(listener));
  written.length = 0;
  onExit?.(130);
  expect(written).toEqual(['\u001b[?7h\u001b[?25h']);
  view.stop();
  expect(process.listeners('exit')).toEqual(before);
});

it('draws no more lines than the terminal has, or the block would creep upwards', () => {
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 80, rows: 3 });
  const view = startLiveView(tty, {
    frame: () => ['1', '2', '3', '4'],
    heartbeat: () => '',
    clock: createVirtualClock(),
  });
  view.stop();
  expect(written[1]).toBe('\u001b[0J1\n2\n');
});

it('cuts a line that is wider than the terminal, whatever its colours', () => {
  const { terminal: tty, written } = terminal({ isTTY: true, columns: 6, rows: 24 });
  const view = startLiveView(tty, {
    frame: () => ['123456', '1234567', 'a\u001b[32mbcdefgh\u001b[39mi'],
    heartbeat: () => '',
    clock: createVirtualClock(),
  });
  view.stop();
  expect(written[1]?.split('\n')).toEqual([
    '\u001b[0J123456',
    '12345\u2026',
    'a\u001b[32mbcde\u2026\u001b[39m',
    '',
  ]);
});

it.each([
  ['a pipe', { isTTY: false }],
  ['a terminal of zero columns', { isTTY: true, columns: 0 }],
])('writes a heartbeat line every ten seconds to %s', async (_, stderr) => {
  const clock = createVirtualClock();
  const { terminal: log, written } = terminal(stderr);
  const view = startLiveView(log, {
    frame: () => [],
    heartbeat: () => `at ${clock.now() / 1000}s`,
    clock,
  });
  await clock.runUntil(() => written.length === 2);
  view.stop();
  expect(written).toEqual(['at 10s\n', 'at 20s\n']);
});

it.each([{ json: true }, { quiet: true }])('says nothing with %o', (more) => {
  const { terminal: silent, written } = terminal({ isTTY: true, columns: 80 }, more);
  startLiveView(silent, { frame: () => ['x'], heartbeat: () => 'x', clock: createVirtualClock() }).stop();
  expect(written).toEqual([]);
});

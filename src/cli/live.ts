import type { Clock } from '../util/clock.ts';
import type { Terminal } from './terminal.ts';

const REDRAW_MS = 200;
const HEARTBEAT_MS = 10_000;
/** Without cursor and line wrap: a line that wrapped after a resize would move the block. */
const BEGIN = '\u001b[?25l\u001b[?7l';
const END = '\u001b[?7h\u001b[?25h';
const ERASE_DOWN = '\u001b[0J';

const ESCAPE = '\u001b';
/** Colour and the like: takes no column. */
const CONTROL = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`);

export interface LiveView {
  /** Draws the last state once more and leaves it on the screen; `clear` takes it away instead. */
  stop(end?: 'leave' | 'clear'): void;
}

export interface LiveViewOptions {
  /** Lines of the current state; redrawn in place where the terminal can, five times a second. */
  frame(): readonly string[];
  /** One line for logs, where lines cannot be redrawn, every ten seconds. */
  heartbeat(): string;
  readonly clock: Clock;
}

/**
 * Shows progress on stderr: a block of lines redrawn in place on a live terminal, a heartbeat line elsewhere, nothing
 * with `--json` or `--quiet`. ora is for one line; this is for many.
 */
export function startLiveView(terminal: Terminal, options: LiveViewOptions): LiveView {
  const { clock } = options;
  if (terminal.json || terminal.quiet) return { stop: () => {} };
  const ended = new AbortController();
  const repeat = async (everyMs: number, action: () => void): Promise<void> => {
    try {
      for (;;) {
        await clock.sleep(everyMs, ended.signal);
        action();
      }
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    }
  };
  if (!terminal.live) {
    void repeat(HEARTBEAT_MS, () => terminal.note(options.heartbeat()));
    return { stop: () => ended.abort() };
  }
  const { stderr } = terminal.streams;
  let drawn = 0;
  const top = (): string => (drawn === 0 ? '' : `\u001b[${drawn}A\r`);
  const draw = (): void => {
    const rows = Math.max(1, (stderr.rows ?? 24) - 1);
    const columns = stderr.columns ?? 80;
    const lines = options
      .frame()
      .slice(0, rows)
      .map((line) => cutLine(line, columns));
    stderr.write(`${top()}${ERASE_DOWN}${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const restore = (): void => {
    stderr.write(END);
  };
  // A second Ctrl-C leaves at once: the shell behind it needs its cursor and its long lines.
  process.once('exit', restore);
  stderr.write(BEGIN);
  draw();
  void repeat(REDRAW_MS, draw);
  const clear = (): void => {
    stderr.write(`${top()}${ERASE_DOWN}${END}`);
    drawn = 0;
  };
  terminal.block = {
    clear,
    draw() {
      stderr.write(BEGIN);
      draw();
    },
  };
  return {
    stop(end = 'leave') {
      ended.abort();
      terminal.block = undefined;
      if (end === 'clear') clear();
      else draw();
      restore();
      process.off('exit', restore);
    },
  };
}

/** At most `columns` characters wide, with the colours that it has. */
function cutLine(line: string, columns: number): string {
  const parts = line.split(CONTROL);
  const width = parts.reduce((sum, part, index) => sum + (index % 2 === 0 ? [...part].length : 0), 0);
  if (width <= columns) return line;
  let left = columns - 1;
  return parts
    .map((part, index) => {
      if (index % 2 === 1) return part;
      const shown = [...part].slice(0, left);
      const ends = left > 0 && shown.length === left;
      left -= shown.length;
      return shown.join('') + (ends ? '\u2026' : '');
    })
    .join('');
}

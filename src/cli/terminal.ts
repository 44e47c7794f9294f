import { stripVTControlCharacters, styleText } from 'node:util';
import { redact } from '../util/secret.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export interface TerminalOptions {
  readonly streams: Streams;
  readonly env: NodeJS.ProcessEnv;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
  readonly progress: boolean;
}

/** Lines at the bottom of the screen that are redrawn in place. */
export interface LiveBlock {
  /** Takes the lines away and leaves the cursor where they began. */
  clear(): void;
  draw(): void;
}

/** Results go to stdout; everything said to a human while working goes to stderr. */
export class Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Set while there is one: what is said meanwhile stands above it. */
  block: LiveBlock | undefined;
  readonly #options: TerminalOptions;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.json = options.json;
    this.quiet = options.quiet;
  }

  get streams(): Streams {
    return this.#options.streams;
  }

  /** True when redrawing lines is safe. A TTY that reports zero columns is not (docker -t, script(1)). */
  get live(): boolean {
    const { env, json, progress, quiet, streams } = this.#options;
    const { stderr } = streams;
    return (
      progress &&
      !quiet &&
      !json &&
      stderr.isTTY === true &&
      (stderr.columns ?? 0) > 0 &&
      env['TERM'] !== 'dumb' &&
      !env['CI']
    );
  }

  /** Prompts need a person on both ends. */
  get interactive(): boolean {
    const { env, streams } = this.#options;
    return streams.stdin.isTTY === true && streams.stderr.isTTY === true && !env['CI'];
  }

  /** The one result of a command: the document with `--json`, its text rendering otherwise. */
  result(document: unknown, text: string): void {
    if (this.json) this.#options.streams.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else this.#write(this.#options.streams.stdout, text);
  }

  /** One item of a streamed result; resolves when the reader of a pipe keeps up. */
  async item(line: string): Promise<void> {
    const { stdout } = this.#options.streams;
    if (stdout.write(`${line}\n`)) return;
    await new Promise<void>((resolve) => stdout.once('drain', resolve));
  }

  /** Progress and plans, for people only. */
  note(text: string): void {
    if (!this.json && !this.quiet) this.#write(this.#options.streams.stderr, redact(text));
  }

  /** What may spoil the result although the command goes on; with `--json` one line of JSON, as of an error. */
  warn(text: string): void {
    if (this.quiet) return;
    const message = redact(text);
    if (this.json) this.#options.streams.stderr.write(`${JSON.stringify({ warning: { message } })}\n`);
    else this.#write(this.#options.streams.stderr, `${this.paint('yellow', 'warning:')} ${message}`);
  }

  /** One line for log collectors, also with `--json`. `fields` follow time, level and message. */
  log(level: 'info' | 'warn', message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const line = JSON.stringify({
      time: new Date().toISOString(),
      level,
      message: redact(message),
      ...fields,
    });
    this.#options.streams.stderr.write(`${line}\n`);
  }

  error(text: string): void {
    this.#write(this.#options.streams.stderr, redact(text));
  }

  /** Colours `text` for stderr unless the user or the stream says no. */
  paint(style: Style, text: string, stream: NodeJS.WriteStream = this.#options.streams.stderr): string {
    const { env } = this.#options;
    if (!this.#options.color || env['NO_COLOR'] || env['TERM'] === 'dumb') return text;
    if (!stream.isTTY && !env['FORCE_COLOR']) return text;
    return styleText(style, text, { validateStream: false });
  }

  #write(stream: NodeJS.WriteStream, text: string): void {
    const { env } = this.#options;
    const keepColor = stream.isTTY || env['FORCE_COLOR'];
    this.block?.clear();
    stream.write(`${keepColor ? text : stripVTControlCharacters(text)}\n`);
    this.block?.draw();
  }
}

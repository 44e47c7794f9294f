import { parseDurationMs, parseRatePerSecond } from '../util/duration.ts';

/** A stretch of time in which the arrival rate goes from one value to another along a straight line. */
export interface RateSegment {
  readonly durationMs: number;
  readonly fromPerSecond: number;
  readonly toPerSecond: number;
}

/**
 * How the arrival rate changes over time, as straight lines one after the other. Every shape comes down to this, so
 * one exact inversion (arrivals.ts) serves all, and shapes compose by concatenation. May go on for ever.
 */
export type Shape = () => Iterable<RateSegment>;

/** Straight lines that stand for one period of a curve: off by less than 0.06 % of the amplitude for a sine. */
const LINES_PER_PERIOD = 96;

function segment(durationMs: number, fromPerSecond: number, toPerSecond: number): RateSegment {
  if (!(durationMs > 0)) throw new RangeError(`a load stage needs a duration above 0, got ${durationMs}ms`);
  if (!(fromPerSecond >= 0 && toPerSecond >= 0)) throw new RangeError('a rate cannot be negative');
  return { durationMs, fromPerSecond, toPerSecond };
}

/** The same rate all the time; without a duration for ever. */
export function constant(ratePerSecond: number, durationMs?: number): Shape {
  if (durationMs !== undefined) return () => [segment(durationMs, ratePerSecond, ratePerSecond)];
  return repeat(() => [segment(3_600_000, ratePerSecond, ratePerSecond)]);
}

export interface Stage {
  readonly durationMs: number;
  readonly ratePerSecond: number;
}

/**
 * Ramps: each stage goes in a straight line from the rate before it to its own, one of no duration jumps there. The
 * first starts from `startPerSecond`.
 */
export function stages(list: readonly Stage[], startPerSecond = 0): Shape {
  return function* ramps() {
    let from = startPerSecond;
    for (const { durationMs, ratePerSecond } of list) {
      if (durationMs > 0) yield segment(durationMs, from, ratePerSecond);
      from = ratePerSecond;
    }
  };
}

/** Stairs: each step holds its rate for its duration. */
export function steps(list: readonly Stage[]): Shape {
  return () =>
    list
      .filter(({ durationMs }) => durationMs > 0)
      .map(({ durationMs, ratePerSecond }) => segment(durationMs, ratePerSecond, ratePerSecond));
}

/** A base rate with one burst of `peakPerSecond` for `widthMs`, `atMs` after the start. */
export function spike(basePerSecond: number, peakPerSecond: number, atMs: number, widthMs: number): Shape {
  return function* spiked() {
    if (atMs > 0) yield segment(atMs, basePerSecond, basePerSecond);
    yield segment(widthMs, peakPerSecond, peakPerSecond);
    // Silence for ever is the end.
    if (basePerSecond > 0) yield* constant(basePerSecond)();
  };
}

/** A wave between `lowPerSecond` and `highPerSecond` that starts low: a day in miniature. */
export function sine(lowPerSecond: number, highPerSecond: number, periodMs: number): Shape {
  const middle = (lowPerSecond + highPerSecond) / 2;
  const amplitude = (highPerSecond - lowPerSecond) / 2;
  const at = (line: number): number =>
    Math.max(0, middle - amplitude * Math.cos((2 * Math.PI * line) / LINES_PER_PERIOD));
  return repeat(() =>
    Array.from({ length: LINES_PER_PERIOD }, (_, line) =>
      segment(periodMs / LINES_PER_PERIOD, at(line), at(line + 1)),
    ),
  );
}

/** Climbs from low to high, falls back at once, and again. */
export function sawtooth(lowPerSecond: number, highPerSecond: number, periodMs: number): Shape {
  return repeat(() => [segment(periodMs, lowPerSecond, highPerSecond)]);
}

/** `onPerSecond` for `onMs`, then silence for `offMs`, and again. */
export function bursts(onPerSecond: number, onMs: number, offMs: number): Shape {
  return repeat(() => [segment(onMs, onPerSecond, onPerSecond), segment(offMs, 0, 0)]);
}

/** One shape after the other; all but the last must end. */
export function sequence(shapes: readonly Shape[]): Shape {
  return function* joined() {
    for (const shape of shapes) yield* shape();
  };
}

function repeat(shape: Shape): Shape {
  return function* repeated() {
    for (;;) yield* shape();
  };
}

/** The first `durationMs` of a shape. */
export function limitTo(shape: Shape, durationMs: number): Shape {
  return function* limited() {
    let leftMs = durationMs;
    for (const part of shape()) {
      if (part.durationMs >= leftMs) {
        const share = leftMs / part.durationMs;
        const toPerSecond = part.fromPerSecond + (part.toPerSecond - part.fromPerSecond) * share;
        if (leftMs > 0) yield { durationMs: leftMs, fromPerSecond: part.fromPerSecond, toPerSecond };
        return;
      }
      yield part;
      leftMs -= part.durationMs;
    }
  };
}

/** Parses `30s:1000/s,2m:5000/s` into ramps. */
export function parseStages(text: string): readonly Stage[] {
  return text.split(',').map((part) => {
    const match = /^\s*([^:]+):([^:]+)\s*$/.exec(part);
    if (!match) throw new RangeError(`invalid stage "${part}", expected for example 30s:1000/s,2m:5000/s`);
    return {
      durationMs: parseDurationMs(match[1] as string),
      ratePerSecond: parseRatePerSecond((match[2] as string).trim()),
    };
  });
}

const SHAPE_EXAMPLES =
  'expected constant(500/s), stages(30s:1000/s,1m:0/s), steps(30s:500/s,30s:1000/s), ' +
  'spike(100/s,5000/s,30s,5s), sine(100/s,1000/s,5m), sawtooth(0/s,1000/s,1m) or bursts(1000/s,5s,25s)';

/** Parses the call notation of --shape; several calls joined by `+` follow each other. Throws a RangeError with examples. */
export function parseShape(text: string): Shape {
  const calls = [...text.matchAll(/\s*([a-z]+)\(([^)]*)\)\s*(?:for\s+([\w.]+))?\s*(\+|$)/gy)];
  if (calls.length === 0 || calls.map((call) => call[0]).join('') !== text)
    throw new RangeError(`invalid shape "${text}", ${SHAPE_EXAMPLES}`);
  const shapes = calls.map(([, name, args, forMs]) => {
    const shape = parseCall(name as string, (args as string).trim());
    if (forMs !== undefined) return limitTo(shape, parseDurationMs(forMs));
    if (ENDLESS.includes(name as string) && isSilent(shape))
      throw new RangeError(`${name}(${args}) sends nothing for ever; for a pause: ${name}(${args}) for 30s`);
    return shape;
  });
  return shapes.length === 1 ? (shapes[0] as Shape) : sequence(shapes);
}

const ENDLESS = ['constant', 'sine', 'sawtooth', 'bursts'];

/** Whether a repeating shape has no arrival in its first period, and so never. */
function isSilent(shape: Shape): boolean {
  let lines = 0;
  for (const { fromPerSecond, toPerSecond } of shape()) {
    if (fromPerSecond > 0 || toPerSecond > 0) return false;
    if (++lines === LINES_PER_PERIOD) break;
  }
  return true;
}

function parseCall(name: string, args: string): Shape {
  if (name === 'stages') return stages(parseStages(args));
  if (name === 'steps') return steps(parseStages(args));
  const list = args.split(',').map((arg) => arg.trim());
  const rate = (at: number): number => parseRatePerSecond(list[at] ?? '');
  const time = (at: number): number => {
    const durationMs = parseDurationMs(list[at] ?? '');
    if (durationMs > 0) return durationMs;
    throw new RangeError(`the ${name} takes no time (${list[at]}), ${SHAPE_EXAMPLES}`);
  };
  const want = (count: number): boolean => list.length === count;
  if (name === 'constant' && want(1)) return constant(rate(0));
  if (name === 'spike' && want(4)) return spike(rate(0), rate(1), parseDurationMs(list[2] ?? ''), time(3));
  if (name === 'sine' && want(3)) return sine(rate(0), rate(1), time(2));
  if (name === 'sawtooth' && want(3)) return sawtooth(rate(0), rate(1), time(2));
  if (name === 'bursts' && want(3)) return bursts(rate(0), time(1), time(2));
  throw new RangeError(`invalid shape "${name}(${args})", ${SHAPE_EXAMPLES}`);
}

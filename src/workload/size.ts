import { parseBytes } from '../util/bytes.ts';
import { drawUnit, EventRandom, Stream } from './draw.ts';
import type { EventContext, Writer } from './writer.ts';

/** How large event bodies are, in bytes. */
export type SizeDistribution =
  | { readonly kind: 'fixed'; readonly bytes: number }
  | { readonly kind: 'uniform'; readonly min: number; readonly max: number }
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  | {
      readonly kind: 'weighted';
      readonly sizes: readonly { readonly weight: number; readonly bytes: number }[];
    };

/** Far above the 20 MB that Event Hubs takes at most: sizes that it refuses can be asked for, not ones that fill the memory. */
const MAX_BYTES = 100_000_000;

/** Parses `1KB`, `256B..4KB`, `normal(1KB,200B)` or `70%:1KB,30%:8KB`. Throws a RangeError that names the limit. */
export function parseSize(text: string): SizeDistribution {
  const size = parseDistribution(text);
  if (largestSize(size) > MAX_BYTES) throw new RangeError(`size "${text}" is over the limit of 100MB`);
  return size;
}

function parseDistribution(text: string): SizeDistribution {
  const range = /^(.+)\.\.(.+)$/.exec(text);
  if (range) {
    const min = parseBytes((range[1] as string).trim());
    const max = parseBytes((range[2] as string).trim());
    if (min > max) throw new RangeError(`invalid size "${text}", the smaller one comes first`);
    return { kind: 'uniform', min, max };
  }
  const normal = /^normal\(([^,]+),([^)]+)\)$/.exec(text);
  if (normal) {
    return {
      kind: 'normal',
      mean: parseBytes((normal[1] as string).trim()),
      deviation: parseBytes((normal[2] as string).trim()),
    };
  }
  if (text.includes('%')) {
    const sizes = text.split(',').map((part) => {
      const match = /^\s*(\d+(?:\.\d+)?)%:(.+)$/.exec(part);
      if (!match) throw new RangeError(`invalid size "${text}", expected for example 70%:1KB,30%:8KB`);
      return { weight: Number(match[1]), bytes: parseBytes((match[2] as string).trim()) };
    });
    if (!sizes.some(({ weight }) => weight > 0))
      throw new RangeError(`invalid size "${text}", one share must be above 0%`);
    return { kind: 'weighted', sizes };
  }
  return { kind: 'fixed', bytes: parseBytes(text) };
}

/** Smallest size that is drawn often enough to matter, for choosing what goes into the event. */
export function smallestSize(size: SizeDistribution): number {
  switch (size.kind) {
    case 'fixed':
      return size.bytes;
    case 'uniform':
      return size.min;
    case 'normal':
      return Math.max(0, size.mean - 3 * size.deviation);
    case 'weighted':
      return Math.min(...size.sizes.map(({ bytes }) => bytes));
  }
}

/** No event is larger: a normal distribution is cut at four deviations. */
function largestSize(size: SizeDistribution): number {
  switch (size.kind) {
    case 'fixed':
      return size.bytes;
    case 'uniform':
      return size.max;
    case 'normal':
      return Math.ceil(size.mean + 4 * size.deviation);
    case 'weighted':
      return Math.max(...size.sizes.map(({ bytes }) => bytes));
  }
}

export function meanSize(size: SizeDistribution): number {
  switch (size.kind) {
    case 'fixed':
      return size.bytes;
    case 'uniform':
      return (size.min + size.max) / 2;
    case 'normal':
      return size.mean;
    case 'weighted': {
      const total = size.sizes.reduce((sum, { weight }) => sum + weight, 0);
      return size.sizes.reduce((sum, { weight, bytes }) => sum + weight * bytes, 0) / total;
    }
  }
}

function sizeOf(size: SizeDistribution): (event: EventContext) => number {
  const random = new EventRandom();
  switch (size.kind) {
    case 'fixed':
      return () => size.bytes;
    case 'uniform':
      return ({ seed, index }) =>
        size.min + Math.floor(drawUnit(seed, index, Stream.size) * (size.max - size.min + 1));
    case 'normal': {
      const most = largestSize(size);
      return ({ seed, index }) => {
        random.restart(seed, index, Stream.size);
        return Math.min(most, Math.max(0, Math.round(size.mean + size.deviation * random.normal())));
      };
    }
    case 'weighted': {
      const total = size.sizes.reduce((sum, { weight }) => sum + weight, 0);
      return ({ seed, index }) => {
        let left = drawUnit(seed, index, Stream.size) * total;
        for (const { weight, bytes } of size.sizes) {
          left -= weight;
          if (left < 0) return bytes;
        }
        return size.sizes.at(-1)?.bytes ?? 0;
      };
    }
  }
}

const PADDING_START = Buffer.from(',"padding":"', 'latin1');
const PADDING_END = Buffer.from('"}', 'latin1');
const LEAST_PADDING = PADDING_START.length + PADDING_END.length - 1;

/**
 * Brings JSON objects to the drawn size with a last member `padding`. A body that is larger already, or too close to
 * the size for the member to fit, stays as it is.
 */
export function padTo(body: Writer, size: SizeDistribution): Writer {
  const wanted = sizeOf(size);
  return {
    maxBytes: Math.max(body.maxBytes, largestSize(size)),
    write(out, at, event) {
      const to = body.write(out, at, event);
      const missing = wanted(event) - (to - at);
      if (missing < LEAST_PADDING) return to;
      const start = to - 1;
      PADDING_START.copy(out, start);
      out.fill(0x78, start + PADDING_START.length, to + missing - PADDING_END.length);
      PADDING_END.copy(out, to + missing - PADDING_END.length);
      return to + missing;
    },
  };
}

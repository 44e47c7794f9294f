import { drawUnit, EventRandom, Stream } from './draw.ts';

/** https://learn.microsoft.com/azure/event-hubs/event-hubs-quotas, characters. */
const LONGEST_PARTITION_KEY = 128;

/** How often each of the keys is used. */
export type KeyDistribution =
  | { readonly kind: 'uniform' }
  | { readonly kind: 'sequential' }
  | { readonly kind: 'zipf'; readonly exponent: number }
  | { readonly kind: 'hotspot'; readonly keyShare: number; readonly loadShare: number };

/** Chooses the key of event `index`: a number in [0, count). */
export type KeyPicker = (index: number) => number;

/** Parses `uniform`, `sequential`, `zipf`, `zipf(1.1)`, `hotspot`, `hotspot(20/80)`. */
export function parseKeyDistribution(text: string): KeyDistribution {
  if (text === 'uniform' || text === 'sequential') return { kind: text };
  const zipf = /^zipf(?:\((\d+(?:\.\d+)?)\))?$/.exec(text);
  if (zipf) return { kind: 'zipf', exponent: Number(zipf[1] ?? 1) };
  const hotspot = /^hotspot(?:\((\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)\))?$/.exec(text);
  if (hotspot) {
    const keyShare = Number(hotspot[1] ?? 20) / 100;
    const loadShare = Number(hotspot[2] ?? 80) / 100;
    if (keyShare > 0 && keyShare < 1 && loadShare <= 1) return { kind: 'hotspot', keyShare, loadShare };
  }
  throw new RangeError(
    `invalid key distribution "${text}", expected uniform, sequential, zipf(1.1) or hotspot(20/80)`,
  );
}

export function formatKeyDistribution(distribution: KeyDistribution): string {
  if (distribution.kind === 'zipf') return `zipf ${distribution.exponent}`;
  if (distribution.kind !== 'hotspot') return distribution.kind;
  const percent = (share: number): number => Math.round(share * 1000) / 10;
  return `hotspot ${percent(distribution.keyShare)}/${percent(distribution.loadShare)}`;
}

export function keyPicker(distribution: KeyDistribution, count: number, seed: number): KeyPicker {
  if (count === 1) return () => 0;
  const unit = (index: number): number => drawUnit(seed, index, Stream.key);
  switch (distribution.kind) {
    case 'uniform':
      return (index) => Math.floor(unit(index) * count);
    case 'sequential':
      return (index) => index % count;
    case 'hotspot': {
      const hot = Math.max(1, Math.min(count - 1, Math.round(count * distribution.keyShare)));
      const { loadShare } = distribution;
      return (index) => {
        const u = unit(index);
        if (u < loadShare) return Math.floor((u / loadShare) * hot);
        return hot + Math.floor(((u - loadShare) / (1 - loadShare)) * (count - hot));
      };
    }
    case 'zipf':
      return zipfPicker(distribution.exponent, count, seed);
  }
}

/** Walker's alias method (Vose 1991): key k has weight 1/(k+1)^exponent, chosen in constant time. */
function zipfPicker(exponent: number, count: number, seed: number): KeyPicker {
  const weights = Float64Array.from({ length: count }, (_, key) => (key + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const keep = weights.map((weight) => (weight * count) / total);
  const alias = new Uint32Array(count);
  const small: number[] = [];
  const large: number[] = [];
  for (let key = 0; key < count; key += 1) ((keep[key] as number) < 1 ? small : large).push(key);
  while (small.length > 0 && large.length > 0) {
    const under = small.pop() as number;
    const over = large[large.length - 1] as number;
    alias[under] = over;
    keep[over] = (keep[over] as number) - (1 - (keep[under] as number));
    if ((keep[over] as number) < 1) small.push(large.pop() as number);
  }
  // Rounding leaves a few cells that should be exactly full.
  for (const key of [...small, ...large]) keep[key] = 1;
  const random = new EventRandom();
  return (index) => {
    random.restart(seed, index, Stream.key);
    const cell = Math.floor(random.unit() * count);
    return random.unit() < (keep[cell] as number) ? cell : (alias[cell] as number);
  };
}

/**
 * Names of keys as UTF-8, back to back in one buffer: a million keys cost tens of megabytes, not hundreds. Keys of
 * generated workloads are made on first use; keys that come with the data are added as they appear.
 */
export class KeyTable {
  #bytes = Buffer.allocUnsafe(4096);
  #used = 0;
  #starts = new Uint32Array(256);
  #lengths = new Uint16Array(256);
  #count = 0;
  readonly #indexOf = new Map<string, number>();

  get count(): number {
    return this.#count;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  startOf(index: number): number {
    return this.#starts[index] as number;
  }

  lengthOf(index: number): number {
    return this.#lengths[index] as number;
  }

  name(index: number): string {
    const start = this.startOf(index);
    return this.#bytes.toString('utf8', start, start + this.lengthOf(index));
  }

  /** Index of a key that came with the data, added when new. */
  intern(name: string): number {
    const known = this.#indexOf.get(name);
    if (known !== undefined) return known;
    const index = this.add(name);
    this.#indexOf.set(name, index);
    return index;
  }

  add(name: string): number {
    const length = Buffer.byteLength(name);
    while (this.#used + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(this.#bytes.length * 2);
      this.#bytes.copy(grown, 0, 0, this.#used);
      this.#bytes = grown;
    }
    if (this.#count === this.#starts.length) {
      const starts = new Uint32Array(this.#count * 2);
      starts.set(this.#starts);
      this.#starts = starts;
      const lengths = new Uint16Array(this.#count * 2);
      lengths.set(this.#lengths);
      this.#lengths = lengths;
    }
    const index = this.#count;
    this.#starts[index] = this.#used;
    this.#lengths[index] = length;
    this.#bytes.write(name, this.#used, 'utf8');
    this.#used += length;
    this.#count += 1;
    return index;
  }
}

/** Names made of those of `keys`, at the same indexes: `$.DeviceId` in `pattern` stands for the key. */
export function derivedKeys(keys: KeyTable, pattern: string): KeyTable {
  const parts = pattern.split(/\$\.(?:DeviceId|Key)(?![A-Za-z0-9_])/i);
  const variable = parts.find((part) => part.includes('$.'));
  if (variable !== undefined)
    throw new RangeError(
      `the partition key "${pattern}" holds a variable other than $.DeviceId: a key's events would lose their order`,
    );
  const table = new KeyTable();
  for (let key = 0; key < keys.count; key += 1) {
    const name = parts.join(keys.name(key));
    if (name.length > LONGEST_PARTITION_KEY)
      throw new RangeError(`the partition key "${name}" is longer than ${LONGEST_PARTITION_KEY} characters`);
    table.add(name);
  }
  return table;
}

/** `contoso-device-id-000154`: what the telemetry simulator of streaming-at-scale calls its devices. */
const DEFAULT_KEY_PREFIX = 'contoso-device-id-';

export function numberedKeys(count: number, prefix = DEFAULT_KEY_PREFIX, first = 0): KeyTable {
  const table = new KeyTable();
  for (let key = 0; key < count; key += 1) table.add(prefix + String(first + key).padStart(6, '0'));
  return table;
}

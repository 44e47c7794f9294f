/** Date functions. Times are ISO 8601 texts of UTC with seven fractional digits; a tick is 100 nanoseconds. */
type Builtin = (...args: readonly unknown[]) => unknown;

const TICKS_PER_MS = 10_000;
const EPOCH = '1970-01-01T00:00:00Z';

/** Seven fractional digits, as the service prints. */
function dateText(ms: number): string | undefined {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replace('Z', '0000Z');
}

const PARTS: Readonly<Record<string, string>> = {
  year: 'year',
  yyyy: 'year',
  yy: 'year',
  month: 'month',
  mm: 'month',
  m: 'month',
  day: 'day',
  dd: 'day',
  d: 'day',
  hour: 'hour',
  hh: 'hour',
  minute: 'minute',
  mi: 'minute',
  n: 'minute',
  second: 'second',
  ss: 'second',
  s: 'second',
  millisecond: 'millisecond',
  ms: 'millisecond',
  microsecond: 'microsecond',
  mcs: 'microsecond',
  nanosecond: 'nanosecond',
  ns: 'nanosecond',
};

/** Milliseconds of the parts that are of the same length always. */
const LENGTHS: Readonly<Record<string, number>> = {
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1_000,
  millisecond: 1,
  microsecond: 1e-3,
  nanosecond: 1e-6,
};

function partOf(name: unknown): string | undefined {
  const key = typeof name === 'string' ? name.toLowerCase() : '';
  return Object.hasOwn(PARTS, key) ? PARTS[key] : undefined;
}

function timeOf(value: unknown): number | undefined {
  // Times are UTC; JavaScript takes one without a zone for a local one.
  const utc = typeof value === 'string' && /T[\d:.]+$/.test(value) ? `${value}Z` : value;
  const ms = typeof utc === 'string' ? Date.parse(utc) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const monthsOf = (date: Date): number => date.getUTCFullYear() * 12 + date.getUTCMonth();

function add(name: unknown, count: unknown, value: unknown): string | undefined {
  const [part, ms] = [partOf(name), timeOf(value)];
  if (part === undefined || ms === undefined || !Number.isInteger(count)) return undefined;
  const length = LENGTHS[part];
  if (length !== undefined) return dateText(ms + (count as number) * length);
  const date = new Date(ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + (count as number) * (part === 'year' ? 12 : 1));
  // January 31 plus a month is the last day of February.
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
  return dateText(date.getTime());
}

/** Boundaries of the part that lie between two times: 23:59 to 0:01 is a day. */
function difference(name: unknown, start: unknown, end: unknown): number | undefined {
  const [part, from, to] = [partOf(name), timeOf(start), timeOf(end)];
  if (part === undefined || from === undefined || to === undefined) return undefined;
  const length = LENGTHS[part];
  if (length !== undefined && length < 1) return Math.round((to - from) / length);
  if (length !== undefined) return Math.floor(to / length) - Math.floor(from / length);
  const [before, after] = [new Date(from), new Date(to)];
  return part === 'year'
    ? after.getUTCFullYear() - before.getUTCFullYear()
    : monthsOf(after) - monthsOf(before);
}

function pick(name: unknown, value: unknown): number | undefined {
  const [part, ms] = [partOf(name), timeOf(value)];
  if (part === undefined || ms === undefined) return undefined;
  const date = new Date(ms);
  const fraction = (/\.(\d+)/.exec(value as string)?.[1] ?? '').padEnd(7, '0').slice(0, 7);
  const parts: Readonly<Record<string, number>> = {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    millisecond: Number(fraction.slice(0, 3)),
    microsecond: Number(fraction.slice(0, 6)),
    nanosecond: Number(fraction) * 100,
  };
  return parts[part];
}

/** The start of the bin of `size` parts, counted from `origin`, in which a time lies. */
function bin(value: unknown, name: unknown, size: unknown = 1, origin: unknown = EPOCH): string | undefined {
  const [ms, part, start] = [timeOf(value), partOf(name), timeOf(origin)];
  if (ms === undefined || part === undefined || start === undefined) return undefined;
  if (!Number.isInteger(size) || (size as number) < 1) return undefined;
  const count = size as number;
  const length = LENGTHS[part];
  if (length !== undefined) {
    const width = Math.max(1, length * count);
    return dateText(start + Math.floor((ms - start) / width) * width);
  }
  const months = count * (part === 'year' ? 12 : 1);
  const first = monthsOf(new Date(start));
  const at = first + Math.floor((monthsOf(new Date(ms)) - first) / months) * months;
  return dateText(Date.UTC(Math.floor(at / 12), at % 12, 1));
}

function fromParts(...args: readonly unknown[]): string | undefined {
  const [year, month, day, hour = 0, minute = 0, second = 0, fraction = 0] = args as readonly number[];
  const all = [year, month, day, hour, minute, second, fraction];
  if (!all.every(Number.isInteger)) return undefined;
  const ms = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second);
  const date = new Date(ms);
  // A month 13 or a day 31 of February would roll over.
  const valid = date.getUTCMonth() === (month as number) - 1 && date.getUTCDate() === day && hour < 24;
  if (!valid || minute > 59 || second > 59 || fraction < 0 || fraction > 9_999_999) return undefined;
  return date.toISOString().replace(/\.\d+Z$/, `.${String(fraction).padStart(7, '0')}Z`);
}

export const DATE_FUNCTIONS: Readonly<Record<string, Builtin>> = {
  DATETIMEADD: add,
  DATETIMEBIN: bin,
  DATETIMEDIFF: difference,
  DATETIMEPART: pick,
  DATETIMEFROMPARTS: fromParts,
  DATETIMETOTIMESTAMP: timeOf,
  DATETIMETOTICKS: (value) => {
    const ms = timeOf(value);
    return ms === undefined ? undefined : ms * TICKS_PER_MS;
  },
  TIMESTAMPTODATETIME: (ms) => (typeof ms === 'number' ? dateText(ms) : undefined),
  TICKSTODATETIME: (ticks) => (typeof ticks === 'number' ? dateText(ticks / TICKS_PER_MS) : undefined),
};

/** Functions of the present, given in milliseconds since the Unix epoch. */
export const CLOCK_FUNCTIONS: Readonly<Record<string, (nowMs: number) => unknown>> = {
  GETCURRENTDATETIME: dateText,
  GETCURRENTDATETIMESTATIC: dateText,
  GETCURRENTTIMESTAMP: Math.floor,
  GETCURRENTTIMESTAMPSTATIC: Math.floor,
  GETCURRENTTICKS: (nowMs) => Math.floor(nowMs) * TICKS_PER_MS,
  GETCURRENTTICKSSTATIC: (nowMs) => Math.floor(nowMs) * TICKS_PER_MS,
};

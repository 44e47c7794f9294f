import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULT_NAMES } from '../../src/workload/faults.ts';
import { previewEvents } from '../../src/workload/preview.ts';
import { readRecords } from '../../src/workload/records.ts';
import { importSimulatorConfig } from '../../src/workload/simulator-config.ts';
import { parseWorkload, type WorkloadInput } from '../../src/workload/spec.ts';
import { openStream, type StreamOptions } from '../../src/workload/stream.ts';

const START = Date.parse('2026-01-02T03:04:05.678Z');

async function eventsOf(workload: WorkloadInput, count: number, options: Partial<StreamOptions> = {}) {
  const stream = await openStream(parseWorkload(workload), { startEpochMs: START, ...options });
  return previewEvents(stream, count);
}

const bodiesOf = async (workload: WorkloadInput, count: number): Promise<Record<string, unknown>[]> =>
  (await eventsOf(workload, count)).map(({ body }) => JSON.parse(body) as Record<string, unknown>);

async function* lines(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

describe('default event', () => {
  it('is the telemetry event of streaming-at-scale, about 1 KB', async () => {
    const [event] = await eventsOf({ rate: 10 }, 1);
    const body = JSON.parse(event?.body ?? '') as Record<string, unknown>;
    expect(body).toEqual({
      eventId: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ) as string,
      complexData: expect.any(Object) as object,
      value: expect.any(Number) as number,
      deviceId: event?.partitionKey,
      deviceSequenceNumber: 0,
      type: expect.stringMatching(/^(TEMP|CO2)$/) as string,
      createdAt: '2026-01-02T03:04:05.678Z',
    });
    expect(Object.keys(body['complexData'] as object)).toEqual(
      Array.from({ length: 23 }, (_, index) => `moreData${index}`),
    );
    expect(event?.sizeBytes).toBeGreaterThan(850);
    expect(event?.sizeBytes).toBeLessThan(1024);
  });

  it('has measurements from 10 to 100 that differ', async () => {
    const values = (await bodiesOf({ rate: 10 }, 200)).flatMap(
      ({ complexData }) => Object.values(complexData as object) as number[],
    );
    expect(values.every((value) => value >= 10 && value < 100)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(values.length * 0.999);
    expect(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length - 55)).toBeLessThan(2);
  });

  it('has an id of its own and counts per device', async () => {
    const bodies = await bodiesOf({ rate: 1000, keys: { count: 10 } }, 2_000);
    expect(new Set(bodies.map(({ eventId }) => eventId)).size).toBe(2_000);
    const next = new Map<unknown, number>();
    for (const { deviceId, deviceSequenceNumber } of bodies) {
      expect(deviceSequenceNumber).toBe(next.get(deviceId) ?? 0);
      next.set(deviceId, Number(deviceSequenceNumber) + 1);
    }
  });

  it('says when it was due, to the millisecond', async () => {
    const bodies = await bodiesOf({ rate: 4 }, 5);
    expect(bodies.map(({ createdAt }) => Date.parse(String(createdAt)) - START)).toEqual([
      0, 250, 500, 750, 1000,
    ]);
  });
});

const anyWorkload: fc.Arbitrary<WorkloadInput> = fc.record({
  rate: fc.integer({ min: 1, max: 5_000 }),
  spacing: fc.constantFrom('even' as const, 'poisson' as const),
  keys: fc.record({
    count: fc.integer({ min: 1, max: 50 }),
    distribution: fc.constantFrom('uniform', 'sequential', 'zipf(1.1)', 'hotspot(20/80)'),
  }),
  size: fc.constantFrom('300B', '1KB', '200B..2KB', 'normal(1KB,100B)', '50%:400B,50%:3KB'),
  seed: fc.integer({ min: 0, max: 0xffff_ffff }),
  events: fc.integer({ min: 0, max: 150 }),
  faults: fc.record({
    duplicates: fc.constantFrom(0, 0.1),
    outOfOrder: fc.constantFrom(0, 0.1),
    malformed: fc.constantFrom(0, 0.1),
    late: fc.constantFrom(0, 0.1),
  }),
});

describe('determinism', () => {
  it('same seed, same bytes and schedule', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorkload, async (workload) => {
        expect(await eventsOf(workload, 500)).toEqual(await eventsOf(workload, 500));
      }),
      { numRuns: 15 },
    );
  });

  it('the shards together are the whole, whatever their number', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorkload, fc.integer({ min: 2, max: 5 }), async (workload, count) => {
        const whole = await eventsOf(workload, 500);
        const parts = await Promise.all(
          Array.from({ length: count }, (_, index) =>
            eventsOf(workload, 500, { owns: (keyIndex) => keyIndex % count === index }),
          ),
        );
        for (const part of parts) {
          const keys = new Set(part.map(({ partitionKey }) => partitionKey));
          // Events held back that nothing overtakes come last, so shards agree with the whole key by key.
          for (const key of keys) {
            const of = (events: typeof part) => events.filter(({ partitionKey }) => partitionKey === key);
            expect(of(part)).toEqual(of(whole));
          }
        }
        expect(parts.flat().length).toBe(whole.length);
      }),
      { numRuns: 15 },
    );
  });

  it('another seed makes other events', async () => {
    const [one] = await eventsOf({ rate: 1, seed: 1 }, 1);
    const [two] = await eventsOf({ rate: 1, seed: 2 }, 1);
    expect(one?.body).not.toBe(two?.body);
  });

  it('another run of the same seed differs in its ids only', async () => {
    const bodiesOfRun = async (run: string) =>
      (await eventsOf({ rate: 1, seed: 7 }, 200, { run })).map(
        ({ body }) => JSON.parse(body) as Record<string, unknown>,
      );
    const [first, again, second] = await Promise.all(['a', 'a', 'b'].map(bodiesOfRun));
    expect(again).toEqual(first);
    const ids = [...(first ?? []), ...(second ?? [])].map(({ eventId }) => eventId);
    expect(new Set(ids).size).toBe(400);
    const withoutId = (bodies: typeof first) => bodies?.map((body) => ({ ...body, eventId: '' }));
    expect(withoutId(second)).toEqual(withoutId(first));
  });

  it('pins the first event, so that a change of the generator is noticed', async () => {
    const [event] = await eventsOf({ rate: 1, size: '300B' }, 1);
    expect(event).toMatchInlineSnapshot(`
      {
        "body": "{"eventId":"29747de1-4fc7-4314-a9dd-2fae3b5ec394","complexData":{"moreData0":32.47223310167660,"moreData1":28.15742694791317},"value":76.074542324,"deviceId":"contoso-device-id-000639","deviceSequenceNumber":0,"type":"CO2","createdAt":"2026-01-02T03:04:05.678Z","padding":"xxxxxxxxxxxxxxxxxxxxxxxxx"}",
        "fault": "none",
        "offsetMs": 0,
        "partitionKey": "contoso-device-id-000639",
        "sequence": 0,
        "sizeBytes": 300,
      }
    `);
  });
});

describe('sizes', () => {
  it.each([
    ['256B', 256, 256],
    ['1KB', 1_000, 1_000],
    ['8KB', 8_000, 8_000],
    ['400B..600B', 400, 600],
  ])('%s gives bodies of that size that are still JSON', async (size, min, max) => {
    for (const { body, sizeBytes } of await eventsOf({ rate: 1, size }, 50)) {
      expect(() => JSON.parse(body) as unknown).not.toThrow();
      expect(sizeBytes).toBeGreaterThanOrEqual(min);
      expect(sizeBytes).toBeLessThanOrEqual(max);
    }
  });
});

describe('templates', () => {
  const template = {
    id: { $: 'uuid' },
    device: { $: 'key' },
    n: { $: 'counter', start: 5, step: 2 },
    room: 'room $.Room',
    temperature: { $: 'walk', start: 20, step: 0.5, min: 15, max: 25, decimals: 2 },
    kind: { $: 'choice', of: ['a', 7, null], weights: [1, 0, 0] },
    on: { $: 'boolean', probability: 1 },
    at: { $: 'timestamp', format: 'ms' },
    note: { $: 'text', length: [3, 5] },
    level: { $: 'integer', min: -3, max: 3 },
    noise: { $: 'normal', mean: 0, deviation: 1 },
    who: { $: 'faker', path: 'person.fullName', distinct: 20 },
    fixed: [1, 'two "quoted"', { deep: true }],
  };

  it('fills in typed variables', async () => {
    const bodies = await bodiesOf(
      { rate: 1, types: [{ template }], variables: { Room: { $: 'integer', min: 1, max: 9 } } },
      100,
    );
    for (const [index, body] of bodies.entries()) {
      expect(body).toMatchObject({
        n: 5 + 2 * index,
        room: expect.stringMatching(/^room [1-9]$/) as string,
        kind: 'a',
        on: true,
        at: START + index * 1000,
        note: expect.stringMatching(/^[\w-]{3,5}$/) as string,
        who: expect.stringMatching(/\w+ \w+/) as string,
        fixed: [1, 'two "quoted"', { deep: true }],
      });
      expect(Number(body['temperature'])).toBeGreaterThanOrEqual(15);
      expect(Number(body['temperature'])).toBeLessThanOrEqual(25);
    }
    expect(new Set(bodies.map(({ level }) => level)).size).toBe(7);
    const noise = bodies.map(({ noise: value }) => Number(value));
    expect(Math.abs(noise.reduce((sum, value) => sum + value, 0) / 100)).toBeLessThan(0.5);
  });

  it('mixes event types by weight', async () => {
    const bodies = await bodiesOf(
      {
        rate: 1,
        types: [
          { weight: 9, template: { t: 'often' } },
          { weight: 1, template: { t: 'rarely' } },
        ],
      },
      5_000,
    );
    const rare = bodies.filter(({ t }) => t === 'rarely').length;
    expect(Math.abs(rare - 500)).toBeLessThan(5 * Math.sqrt(5_000 * 0.1 * 0.9));
  });

  it.each([
    [{ x: { $: 'nonsense' } }, /invalid variable/],
    [{ x: '$.Missing' }, /uses \$\.Missing, which is no variable/],
    [{ x: { $: 'faker', path: 'no.such' } }, /faker has no "no\.such"/],
  ])('refuses %j', async (wrong, message) => {
    await expect(eventsOf({ rate: 1, types: [{ template: wrong }] }, 1)).rejects.toThrow(message);
  });
});

describe('injected faults', () => {
  const share = 0.1;

  it.each(['duplicates', 'late', 'outOfOrder', 'malformed'] as const)(
    '%s come at their share',
    async (kind) => {
      const events = await eventsOf(
        { rate: 1000, keys: { count: 5 }, events: 5_000, faults: { [kind]: share } },
        6_000,
      );
      const name = kind === 'duplicates' ? 'duplicate' : kind;
      const injected = events.filter(({ fault }) => fault === name).length;
      // An event to be overtaken waits for its successor, which cannot be held back itself.
      expect(Math.abs(injected - 500)).toBeLessThan(kind === 'outOfOrder' ? 90 : 110);
      expect(FAULT_NAMES).toContain(name);
    },
  );

  it('a duplicate is the same event again', async () => {
    const events = await eventsOf({ rate: 1000, events: 500, faults: { duplicates: 0.2 } }, 1_000);
    const copies = events.flatMap((event, index) => (event.fault === 'duplicate' ? [index] : []));
    expect(copies.length).toBeGreaterThan(50);
    for (const index of copies) expect(events[index]).toEqual({ ...events[index - 1], fault: 'duplicate' });
    expect(events.length).toBe(500 + copies.length);
  });

  it('an event out of order follows its successor, and none is lost', async () => {
    const events = await eventsOf(
      { rate: 1000, events: 1_000, keys: { count: 7 }, faults: { outOfOrder: 0.2 } },
      2_000,
    );
    expect(events.length).toBe(1_000);
    const last = new Map<string, number>();
    for (const { fault, partitionKey, sequence } of events) {
      if (fault === 'outOfOrder') expect(last.get(partitionKey)).toBe(sequence + 1);
      last.set(partitionKey, sequence);
    }
    for (const key of last.keys()) {
      const sequences = events
        .filter(({ partitionKey }) => partitionKey === key)
        .map(({ sequence }) => sequence);
      expect(sequences.sort((a, b) => a - b)).toEqual(sequences.map((_, index) => index));
    }
  });

  it('a malformed event is no JSON, an oversized one is larger than Event Hubs takes', async () => {
    const [malformed] = await eventsOf({ rate: 1, faults: { malformed: 1 } }, 1);
    expect(() => JSON.parse(malformed?.body ?? '') as unknown).toThrow();
    const [oversized] = await eventsOf({ rate: 1, faults: { oversized: 1 } }, 1);
    expect(oversized?.sizeBytes).toBeGreaterThan(1024 * 1024);
  });

  it('a late event is old, and a skewed clock is wrong by the same all the time', async () => {
    const [late] = await bodiesOf({ rate: 1, faults: { late: 1, lateBy: '1m' } }, 1);
    expect(Date.parse(String(late?.['createdAt']))).toBe(START - 60_000);
    const skewed = await bodiesOf(
      {
        rate: 1000,
        keys: { count: 2, distribution: 'sequential' },
        faults: { skewedKeys: 1, clockSkew: '1h' },
      },
      6,
    );
    const offsets = skewed.map(({ createdAt }, index) => Date.parse(String(createdAt)) - START - index);
    expect(offsets[0]).not.toBe(0);
    expect(Math.abs(offsets[0] as number)).toBeLessThanOrEqual(3_600_000);
    expect(offsets.slice(2, 4)).toEqual(offsets.slice(0, 2));
  });
});

describe('records', () => {
  const source = (format: 'ndjson' | 'csv', ...chunks: string[]): Partial<StreamOptions> => ({
    records: () => readRecords(lines(...chunks), { format, keyPath: 'd', timePath: 'at' }),
    recordsHaveKeys: true,
  });

  it('sends lines as they are, split anywhere, with their own keys', async () => {
    const events = await eventsOf(
      { rate: 1 },
      10,
      source(
        'ndjson',
        '{"d":"a","at":"2026-01-01T00:00:00Z"}\r\n{"d":"b',
        '","at":"2026-01-01T00:00:01Z"}\n\n{"d":"a","at":1767225602}',
      ),
    );
    expect(events.map(({ body, partitionKey, sequence }) => [body.length, partitionKey, sequence])).toEqual([
      [37, 'a', 0],
      [37, 'b', 0],
      [25, 'a', 1],
    ]);
  });

  it('makes objects of CSV rows', async () => {
    const events = await eventsOf(
      { rate: 1 },
      10,
      source('csv', 'd,at,v,ok,code\n"x, y",1767225600,1.5,true,007\n'),
    );
    expect(events.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { d: 'x, y', at: 1767225600, v: 1.5, ok: true, code: '007' },
    ]);
  });

  it.each([
    ['ndjson', '\uFEFF{"d":"a","at":1}\r\n'],
    ['csv', '\uFEFFd,at\r\na,1\r\n'],
  ] as const)('sends the events of an %s file without its byte order mark', async (format, text) => {
    const [event] = await eventsOf({ rate: 1 }, 1, source(format, text));
    expect([event?.partitionKey, JSON.parse(String(event?.body))]).toEqual(['a', { d: 'a', at: 1 }]);
  });

  it('replays recorded distances, faster when asked, over and over when looped', async () => {
    const data = source('ndjson', '{"d":"a","at":1000000000}\n{"d":"a","at":1000000010}\n');
    const events = await eventsOf({ events: 4 }, 10, { ...data, replaySpeed: 10, loop: true });
    expect(events.map(({ offsetMs }) => offsetMs)).toEqual([0, 1_000, 1_000, 2_000]);
  });

  it.each([
    ['{"at":1}', /line 1 has no partition key at d/],
    ['{"d":"a"}', /no time at line 1, at/],
    ['nonsense', /line 1 is not JSON/],
  ])('names the line that is wrong: %s', async (line, message) => {
    await expect(eventsOf({ rate: 1 }, 1, source('ndjson', line))).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(message),
    });
  });
});

describe('import of the IoT telemetry simulator', () => {
  it('takes its environment variables', async () => {
    const workload = importSimulatorConfig({
      DeviceCount: '3',
      MessageCount: '4',
      Interval: '500',
      Template:
        '{ "deviceId": "$.DeviceId", "temp": $.Temp, "n": $.Counter, "engine": "$.Engine", "t": "$.Time" }',
      Variables:
        '[{name: "Temp", "random": true, "max": 25, "min": 23}, {"name":"Counter", "min":100}, {name:"Engine", values: ["on", "off"]}]',
      DuplicateEvery: '0',
      PATH: 'ignored',
    });
    const events = await eventsOf(workload, 100);
    expect(events.length).toBe(12);
    expect(new Set(events.map(({ partitionKey }) => partitionKey))).toEqual(
      new Set(['sim000001', 'sim000002', 'sim000003']),
    );
    for (const { body, partitionKey, sequence } of events) {
      expect(JSON.parse(body)).toMatchObject({
        deviceId: partitionKey,
        n: 100 + sequence,
        engine: expect.stringMatching(/^(on|off)$/) as string,
      });
    }
    const own = events.filter(({ partitionKey }) => partitionKey === 'sim000001');
    expect((own[1]?.offsetMs ?? 0) - (own[0]?.offsetMs ?? 0)).toBeCloseTo(500);
  });

  it('takes payload distributions, device lists and duplicates', async () => {
    const workload = importSimulatorConfig({
      DeviceList: 'a,b',
      MessageCount: 500,
      PayloadDistribution: `fixSize(50,128) fix(50,${Buffer.from('{"fixed":1}').toString('base64')})`,
      DuplicateEvery: 10,
    });
    const events = await eventsOf(workload, 5_000);
    const sizes = new Set(events.map(({ sizeBytes }) => sizeBytes));
    expect(sizes).toEqual(new Set([128, 11]));
    expect(events.length).toBeGreaterThan(1_050);
  });

  it('takes variables in headers, and a partition key of its own for every device', async () => {
    const workload = importSimulatorConfig({
      DeviceCount: 2,
      Header: '{"sent": "$.Time", "constant": "x", "n": "$.Counter"}',
      PartitionKey: 'site-$.DeviceId',
      Variables: '[{"name":"Counter", "min":100}]',
    });
    const stream = await openStream(parseWorkload(workload), { startEpochMs: START });
    expect(stream.variableProperties.map(({ name }) => name)).toEqual(['sent', 'n']);
    const out = Buffer.alloc(1_000);
    for (let sequence = 0; sequence < 2; sequence += 1) {
      while (stream.advance() === 'event' && stream.keyIndex !== 1);
      const text = (position: number) => out.toString('utf8', 0, stream.renderProperty(position, out, 0));
      expect(Date.parse(text(0))).toBe(Math.floor(START + stream.offsetMs));
      expect(text(1)).toBe(String(100 + sequence));
    }
    expect(stream.keys.name(1)).toBe('sim000002');
    expect(stream.partitionKeys.name(1)).toBe('site-sim000002');
  });

  it.each([
    ['$.Region', /"\$\.Region" holds a variable other than \$\.DeviceId/],
    [`${'x'.repeat(120)}$.DeviceId`, /is longer than 128 characters/],
  ])('refuses the partition key %j', async (PartitionKey, message) => {
    await expect(eventsOf(importSimulatorConfig({ PartitionKey }), 1)).rejects.toThrow(message);
  });

  it.each([[{ PayloadDistribution: 'nonsense' }, /invalid PayloadDistribution/]])(
    'says what has no counterpart: %j',
    (config, message) => {
      expect(() => importSimulatorConfig(config)).toThrow(message);
    },
  );
});

describe('workload section', () => {
  it('names the entry that is wrong', () => {
    expect(() => parseWorkload({ keys: { distribution: 'pareto' } })).toThrow(
      /^workload\.keys\.distribution: invalid key distribution "pareto"/,
    );
    expect(() => parseWorkload({ colour: 'red' })).toThrow(/^workload/);
  });
});

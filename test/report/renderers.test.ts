import { expect, it } from 'vitest';
import { renderCsv } from '../../src/report/csv.ts';
import { renderActionBenchmark, renderOpenMetrics } from '../../src/report/exports.ts';
import { renderHtml } from '../../src/report/html.ts';
import { renderJUnit } from '../../src/report/junit.ts';
import { renderMarkdown } from '../../src/report/markdown.ts';
import { checkOutput } from '../../src/report/render.ts';
import { renderSaved } from '../../src/report/saved.ts';
import { formatTable } from '../../src/report/table.ts';
import { renderText } from '../../src/report/text.ts';
import { sampleReport } from './sample-report.ts';

it('renders a report for a terminal of 80 columns', () => {
  expect(renderText(sampleReport())).toMatchInlineSnapshot(`
    "  THRESHOLDS

        ✓  e2e_latency:p(99)<250ms  119ms
        ✗  lost_events:count==0         1

      RESULTS, 10.3s

        STAGE        COUNT  RATE/S    P50    P90    P99  P99.9    MAX  ERRORS
        produce     10,000   1,111  7.5ms  9.5ms  9.9ms   10ms   10ms       0
        ingest      10,000   1,111   60ms   76ms   79ms   80ms   80ms       0
        feed        10,000   1,111   89ms  113ms  119ms  119ms  119ms       0
        end to end  10,000   1,111   89ms  113ms  119ms  119ms  119ms
        latency: from the intended send time of an event to the end of the stage
        backlog: up to 0 events, gone 250ms after the load

      COSMOS DB

        consumed         70,000 RU         7,778 RU/s avg  7 RU/write
        provisioned      10,000 RU/s       77.8% avg       70.0% busiest second
        hottest range    57.1% of load     50.0% is fair
        hottest key      100.0% of events  device-7
        throttled (429)  0

      DELIVERY

        acknowledged 10,000   stored 10,000   in feed 9,999
      ✗ lost 1   duplicated 0   out of order 0   (per partition key)
        lost: device-7 #41, last seen in store: not in the feed

      BOTTLENECK

        every stage kept up; ingest adds most of the delay, 52ms of 89ms at the
        median (58%)

      ✓ the generator kept up: 0 dropped, 0 late arrivals, event-loop delay p99
        4.2ms"
  `);
});

it('breaks its sentences where a terminal of 80 columns ends', () => {
  const { endToEnd, load } = sampleReport();
  if (load === undefined || endToEnd === undefined) throw new Error('the sample has a load');
  const lines = renderText(sampleReport({ load: { ...load, scheduling: endToEnd } })).split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.slice(-2).join('').replaceAll(/\s+/g, ' ')).toMatch(
    /✓ the generator kept up: 0 dropped, 0 late arrivals, scheduling error p99 119ms, event-loop delay p99 4\.2ms$/,
  );
});

it('says first that a report is not to be trusted', () => {
  const text = renderText(sampleReport({ valid: false, doubts: ['12 arrivals were dropped'] }));
  expect(text.split('\n').slice(0, 2)).toEqual([
    '  ! these results are not trustworthy',
    '    12 arrivals were dropped',
  ]);
  expect(text).not.toContain('kept up:');
});

it('shows no share of nothing', () => {
  const { load } = sampleReport();
  if (load === undefined) throw new Error('the sample has a load');
  const text = renderText(sampleReport({ load: { ...load, sent: 0 } }));
  expect(text).toContain('throttled (429)  0');
  expect(text).not.toMatch(/Infinity|NaN|hottest key/);
});

it('renders Markdown', () => {
  expect(renderMarkdown(sampleReport())).toMatchInlineSnapshot(`
    "## cosmos-pipe bench: 10,000 events at 1,000 events/s

    ❌ **lost 1, duplicated 0, out of order 0** of 10,000 events

    |  | Threshold | Measured |
    | --- | --- | ---: |
    | ✅ | \`e2e_latency:p(99)<250ms\` | 119ms |
    | ❌ | \`lost_events:count==0\` | 1 |

    | Stage | Count | Rate | p50 | p99 | p99.9 | max | Errors |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | produce | 10,000 | 1,111/s | 7.5ms | 9.9ms | 10ms | 10ms | 0 |
    | ingest | 10,000 | 1,111/s | 60ms | 79ms | 80ms | 80ms | 0 |
    | feed | 10,000 | 1,111/s | 89ms | 119ms | 119ms | 119ms | 0 |
    | **end to end** | 10,000 | 1,111/s | 89ms | 119ms | 119ms | 119ms |  |

    **70,000 RU**, 7 RU/write, 7,778 RU/s of 10,000 (77.8%), 0 throttled

    Bottleneck: every stage kept up; ingest adds most of the delay, 52ms of 89ms at the median (58%).

    - lost: device-7 #41, last seen in store: not in the feed

    <sub>2 x Test CPU <&>, Node v20.20.2, cosmos-pipe 0.1.0, 2026-11-23T01:02:03.000Z</sub>
    "
  `);
});

it('renders JUnit with a failure for each broken promise', () => {
  const [before, output = '', after] = renderJUnit(sampleReport()).split(/(?<=<system-out>)([^<]*)(?=<)/);
  expect(output.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')).toBe(
    renderSaved(sampleReport()),
  );
  expect(`${before}${after}`).toMatchInlineSnapshot(`
    "<?xml version="1.0" encoding="UTF-8"?>
    <testsuites>
      <testsuite name="bench: 10,000 events at 1,000 events/s" tests="8" failures="2" errors="0" time="10.250" timestamp="2026-11-23T01:02:03" hostname="localhost" id="0" package="cosmos-pipe">
        <properties>
          <property name="run" value="run-1"/>
          <property name="toolVersion" value="0.1.0"/>
          <property name="node" value="v20.20.2"/>
          <property name="cpu" value="2 x Test CPU &lt;&amp;&gt;"/>
          <property name="commit" value="abc123"/>
        </properties>
        <testcase classname="cosmos-pipe.run" name="the figures can be trusted" time="0"/>
        <testcase classname="cosmos-pipe.thresholds" name="e2e_latency:p(99)&lt;250ms" time="0"/>
        <testcase classname="cosmos-pipe.thresholds" name="lost_events:count==0" time="0">
          <failure type="thresholds" message="was 1"></failure>
        </testcase>
        <testcase classname="cosmos-pipe.delivery" name="no event is lost" time="0">
          <failure type="delivery" message="1 of 10,000 events">lost: device-7 #41, last seen in store: not in the feed</failure>
        </testcase>
        <testcase classname="cosmos-pipe.delivery" name="no event is duplicated" time="0"/>
        <testcase classname="cosmos-pipe.delivery" name="no event is out of order" time="0"/>
        <testcase classname="cosmos-pipe.delivery" name="no event is late" time="0"/>
        <testcase classname="cosmos-pipe.delivery" name="no event is corrupted" time="0"/>
        <system-out></system-out>
        <system-err/>
      </testsuite>
    </testsuites>
    "
  `);
});

it('renders the series as CSV', () => {
  const [header, first, ...rest] = renderCsv(sampleReport()).trimEnd().split('\r\n');
  expect(header).toBe(
    'startedAt,elapsedMs,stage,offered,done,failed,throttled,inFlightMax,latencyP50Ms,latencyP99Ms',
  );
  expect(first).toMatch(/^2026-11-23T01:02:03\.000Z,0,produce,1000,1000,0,0,0,[\d.]+,[\d.]+$/);
  expect(rest).toHaveLength(29);
});

it('shows where the time of a verified run went, wherever it is shown, and leaves that of a bench to its stages', () => {
  const { verdict, stages } = sampleReport();
  const [produce] = stages;
  if (verdict === undefined || produce === undefined) throw new Error('the sample has both');
  const { endToEnd, feed, ingest } = verdict.latency;
  const latency = { enqueue: produce.latency, ingest, feed, endToEnd };
  const verified = sampleReport({ kind: 'verify', stages: [], verdict: { ...verdict, latency } });
  expect(renderText(verified)).toMatch(/HOP +COUNT +P50 .*\n +to Event Hubs +10,000 +7.5ms/);
  expect(renderMarkdown(verified)).toContain('| to Event Hubs | 10,000 | 7.5ms | 9.5ms |');
  expect(renderHtml(verified)).toContain('<th scope="row">to Event Hubs</th><td>10,000</td><td>7.5ms</td>');
  const bench = { ...verified, kind: 'bench' } as const;
  for (const rendered of [renderText(bench), renderMarkdown(bench), renderHtml(bench)])
    expect(rendered).not.toContain('to Event Hubs');
});

it('aligns figures right, words left, and pads nothing at the end of a line', () => {
  expect(
    formatTable(
      [
        ['STAGE', 'COUNT', 'NOTE'],
        ['a', '1,000', ''],
        ['longer', '7', 'x'],
      ],
      { indent: 1, left: [0, 2] },
    ),
  ).toEqual([' STAGE   COUNT  NOTE', ' a       1,000', ' longer      7  x']);
});

it('knows a format by its extension only', () => {
  expect(checkOutput('out/bench.md')).toBe('out/bench.md');
  expect(() => checkOutput('bench.pdf')).toThrow('cannot tell the format of bench.pdf');
});

it('exports what github-action-benchmark and OpenMetrics read', () => {
  const smaller = JSON.parse(renderActionBenchmark(sampleReport(), 'lower')) as unknown[];
  expect(smaller).toContainEqual({ name: 'lost_events:count', unit: 'events', value: 1 });
  expect(smaller).toContainEqual({ name: 'ru:avg', unit: 'RU', value: 7 });
  const bigger = JSON.parse(renderActionBenchmark(sampleReport(), 'higher')) as { name: string }[];
  expect(bigger.map(({ name }) => name)).toContain('ingest_rate:avg');
  const text = renderOpenMetrics(sampleReport());
  expect(text).toContain('cosmos_pipe_lost_events{aggregation="count",run="run-1"} 1\n');
  expect(text.endsWith('# EOF\n')).toBe(true);
});

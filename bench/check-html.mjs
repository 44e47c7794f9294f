// Opens HTML reports in headless Chromium as a phone and as a desktop would, light and dark: nothing may be written to the
// console, nothing requested, and every chart must be there and fit. `npm run check-html -- [--screenshots DIR] [report.html...]`.
// Without a Chromium (or $CHROMIUM) it says so and checks nothing.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';

const WIDTHS = [360, 1440];
const SCHEMES = ['light', 'dark'];
const NAMES = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: 'string' } },
});
const files = positionals.length > 0 ? positionals : ['test/report/fixtures/report.html'];

const chromium = NAMES.find((name) => name && spawnSync(name, ['--version']).status === 0);
if (chromium === undefined) {
  console.log('skipped: there is no Chromium here (set CHROMIUM to one)');
  process.exit(0);
}

const profile = mkdtempSync(join(tmpdir(), 'cosmos-pipe-chromium-'));
const browser = spawn(
  chromium,
  [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let problems = 0;
try {
  const devtools = await connect(await addressOf(browser));
  for (const file of files)
    for (const width of WIDTHS)
      for (const scheme of SCHEMES) {
        const found = await check(devtools, file, width, scheme);
        problems += found.problems.length;
        console.log(
          `${found.problems.length === 0 ? 'ok  ' : 'FAIL'} ${file} ${width}px ${scheme}, ${found.charts} charts`,
        );
        for (const problem of found.problems) console.log(`     ${problem}`);
      }
  devtools.close();
} finally {
  browser.kill();
  await once(browser, 'exit');
  rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
process.exitCode = problems === 0 ? 0 : 1;

/** What is wrong with a page in one window. */
async function check({ send, listen }, file, width, scheme) {
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
  const page = (method, params) => send(method, params, sessionId);
  const url = pathToFileURL(resolve(file)).href;
  const found = [];
  const stop = listen((method, params, session) => {
    if (session !== sessionId) return;
    if (method === 'Runtime.exceptionThrown') found.push(`threw ${params.exceptionDetails.text}`);
    if (method === 'Runtime.consoleAPICalled') found.push(`wrote to the console (${params.type})`);
    if (method === 'Log.entryAdded') found.push(`logged: ${params.entry.text}`);
    if (method === 'Network.requestWillBeSent' && ![url, 'data:,'].includes(params.request.url))
      found.push(`requested ${params.request.url}`);
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page(`${domain}.enable`);
  const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 };
  await page('Emulation.setDeviceMetricsOverride', metrics);
  await page('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  const loaded = new Promise((done) => {
    const unlisten = listen((method, _, session) => {
      if (method !== 'Page.loadEventFired' || session !== sessionId) return;
      unlisten();
      done();
    });
  });
  await page('Page.navigate', { url });
  await loaded;
  const { result } = await page('Runtime.evaluate', {
    expression: `(${inspect})()`,
    returnByValue: true,
  });
  if (values.screenshots !== undefined) {
    mkdirSync(values.screenshots, { recursive: true });
    const { data } = await page('Page.captureScreenshot', { captureBeyondViewport: true });
    const name = `${basename(file, '.html')}-${width}-${scheme}.png`;
    writeFileSync(join(values.screenshots, name), Buffer.from(data, 'base64'));
  }
  stop();
  await send('Target.closeTarget', { targetId });
  const { charts, complaints } = result.value;
  return { charts, problems: [...found, ...complaints] };
}

/** Runs in the page. */
function inspect() {
  const complaints = [];
  const drawings = [...document.querySelectorAll('figure svg[role=img]')];
  const seen = drawings.filter((svg) => svg.getBoundingClientRect().width > 0);
  if (seen.length === 0) complaints.push('no chart is shown');
  if (seen.length * 2 !== drawings.length)
    complaints.push('a chart is missing in this width, or there twice');
  for (const svg of seen) {
    const { height } = svg.getBoundingClientRect();
    const title = svg.querySelector('title')?.textContent;
    if (!title) complaints.push('a chart has no title');
    if (height < 40) complaints.push(`"${title}" is ${height} pixels high`);
    if (svg.querySelector('path[d=""]')) complaints.push(`"${title}" has a line without points`);
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1)
        complaints.push(`"${title}": the text "${text.textContent}" is cut`);
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth) complaints.push('the page scrolls sideways');
  return { charts: seen.length, complaints };
}

/** The address that the browser writes when it is ready. */
async function addressOf({ stderr }) {
  for await (const line of createInterface({ input: stderr })) {
    const address = /^DevTools listening on (ws:.*)$/.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error('Chromium ended before it was ready');
}

/** The DevTools protocol: requests by number, and events for whoever listens. */
async function connect(address) {
  const socket = new WebSocket(address, { perMessageDeflate: false });
  await once(socket, 'open');
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  socket.on('message', (data) => {
    const { id, method, params, result, error, sessionId } = JSON.parse(data.toString());
    if (id === undefined) {
      for (const listener of [...listeners]) listener(method, params, sessionId);
      return;
    }
    const { resolve: done, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error.message));
    else done(result);
  });
  return {
    send: (method, params = {}, sessionId = undefined) =>
      new Promise((done, reject) => {
        last += 1;
        waiting.set(last, { resolve: done, reject });
        socket.send(JSON.stringify({ id: last, method, params, sessionId }));
      }),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => socket.close(),
  };
}

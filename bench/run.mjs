// Runs one comparison: `npm run bench -- produce [--json]`. A comparison is bench/<name>.bench.mjs and exports `run()`,
// which returns the document of docs/performance.md without the environment.
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

const names = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.bench.mjs'))
  .map((file) => file.slice(0, -'.bench.mjs'.length));
const args = process.argv.slice(2);
const name = args.find((arg) => !arg.startsWith('-'));

if (!names.includes(name)) {
  console.error(`usage: npm run bench -- <name> [--json], with a name of ${names.join(', ')}`);
  process.exit(2);
}

const environment = {
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  loadAverage: Number(loadavg()[0].toFixed(2)),
  date: new Date().toISOString(),
};
const { run } = await import(`./${name}.bench.mjs`);
const document = { ...(await run()), environment };

if (args.includes('--json')) console.log(JSON.stringify(document, null, 2));
else {
  console.table(
    Object.fromEntries(document.contenders.map(({ name: contender, ...figures }) => [contender, figures])),
  );
  if (document.paced) console.table(document.paced);
  for (const [pair, ratio] of Object.entries(document.ratios)) console.log(`${pair}: ${ratio}`);
}

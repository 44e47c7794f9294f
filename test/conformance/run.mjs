// Runs one conformance suite: `npm run conformance -- <suite> [--json]`. Without a suite it lists them. A suite is
// suites/<name>.mjs and exports `run({ check, skip, server, folder })`: clients that are not ours against the embedded stack.
// What a suite needs and the repository does not have goes to .conformance, which git ignores.
import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createSuite, Unavailable } from './suite.mjs';

const DIST = process.env.COSMOS_PIPE_DIST ?? 'dist';
const names = readdirSync(new URL('suites', import.meta.url))
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length));
const args = process.argv.slice(2);
const json = args.includes('--json');
const [name] = args.filter((arg) => !arg.startsWith('-'));

if (!names.includes(name)) {
  console.error(`usage: npm run conformance -- <suite> [--json], with a suite of ${names.join(', ')}`);
  process.exit(2);
}

const folder = resolve('.conformance', name);
mkdirSync(folder, { recursive: true });
const suite = createSuite(name, json ? {} : { log: (line) => console.log(line) });
// Clients that retry in the background may fail after their check has ended.
process.on('unhandledRejection', (error) => console.error(`after its check: ${error?.message ?? error}`));

let unavailable;
try {
  const { run } = await import(`./suites/${name}.mjs`);
  await run({
    ...suite,
    folder,
    /** A module of the built package, e.g. `local/cosmos/index`. */
    server: (path) => import(pathToFileURL(join(resolve(DIST), 'src', `${path}.js`)).href),
  });
} catch (error) {
  if (error instanceof Unavailable) unavailable = error.message;
  else
    await suite.check('the suite itself', () => {
      throw error;
    });
}

const { skips, ...counts } = suite.result();
const result = {
  ...counts,
  ...(skips.length > 0 && { skips }),
  ...(unavailable !== undefined && { unavailable: true, reason: unavailable }),
};
if (json) console.log(JSON.stringify(result, null, 2));
else if (unavailable === undefined)
  console.log(`\n${name}: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
else console.log(`\n${name}: unavailable (${unavailable})`);
process.exit(result.failed > 0 ? 1 : 0);

// The command corpus of test/local/redis against the embedded server and a real one, byte for byte, on RESP2 and RESP3.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Unavailable } from '../suite.mjs';

export async function run({ check, folder, server }) {
  const { findRealRedis, startRealRedis } = await server('local/redis/real-server');
  if (findRealRedis() === undefined)
    throw new Unavailable('no redis-server or valkey-server on PATH (apt-get install redis-server)');
  const { corpus, shown, RawClient } = await compileCorpus(folder);
  const { startRedis } = await server('local/redis/index');
  const [embedded, real] = await Promise.all([startRedis(), startRealRedis()]);
  try {
    for (const protocol of [2, 3]) {
      const clients = await Promise.all([
        open(RawClient, { port: embedded.port }, protocol),
        open(RawClient, { path: real.path }, protocol),
      ]);
      for (const [index, command] of corpus.entries())
        await check(`RESP${protocol} ${index + 1}: ${command.words.join(' ')}`, async () => {
          const answers = await Promise.all(
            clients.map((client) => client.command(command.words, command.replies)),
          );
          const [ours, theirs] = answers.map((answer) => shown(command, answer));
          assert.equal(ours, theirs);
        });
      for (const client of clients) client.close();
    }
  } finally {
    await Promise.all([embedded.stop(), real.stop()]);
  }
}

async function open(RawClient, target, protocol) {
  const client = await RawClient.connect(target);
  await client.command(['FLUSHALL']);
  await client.command(['CONFIG', 'RESETSTAT']);
  if (protocol === 3) await client.command(['HELLO', '3']);
  return client;
}

/** The corpus is shared with the test of the same purpose, which is TypeScript. */
async function compileCorpus(folder) {
  const files = ['corpus', 'raw-client'];
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      'node_modules/typescript/bin/tsc',
      ...files.map((file) => `test/local/redis/${file}.ts`),
      '--ignoreConfig',
      ...['--outDir', folder, '--module', 'nodenext', '--target', 'es2023', '--types', 'node'],
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the corpus does not compile: ${stdout}`);
  const [corpus, client] = await Promise.all(
    files.map((file) => import(pathToFileURL(join(folder, `${file}.js`)).href)),
  );
  return { ...corpus, ...client };
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { loadOfficialConfig } from '../../../src/local/event-hubs/index.ts';
import { producer, start } from './clients.ts';

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'eh-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'Config.json');
  writeFileSync(path, text);
  return path;
}

const CONFIG = {
  UserConfig: {
    NamespaceConfig: [
      {
        Type: 'EventHub',
        Name: 'emulatorNs1',
        Entities: [
          { Name: 'eh1', PartitionCount: '2', ConsumerGroups: [{ Name: 'cg1' }] },
          { Name: 'eh2', PartitionCount: 32 },
        ],
      },
    ],
    LoggingConfig: { Type: 'File' },
  },
};

it('starts with the hubs and groups of the official emulator configuration', async () => {
  const service = await start({ hubs: loadOfficialConfig(file(JSON.stringify(CONFIG))), autoCreate: false });
  expect(service.environment['EVENTHUB_NAME']).toBe('eh1');
  expect(service.stats().hubs[0]?.consumerGroups).toEqual(['$Default', 'cg1']);
  expect(await producer(service, { hub: 'eh2' }).getPartitionIds()).toHaveLength(32);
});

it.each([
  ['no JSON', '{', /cannot read/],
  ['another document', '{"UserConfig":{}}', /no UserConfig.NamespaceConfig/],
  [
    'a nameless entity',
    JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities: [{}] }] } }),
    /without Name/,
  ],
])('refuses %s', (_, text, message) => {
  expect(() => loadOfficialConfig(file(text))).toThrow(message);
});

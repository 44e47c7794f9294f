import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { blobCheckpointStore } from '../../src/eventhubs/checkpoint-blob.ts';
import { Secret } from '../../src/util/secret.ts';

/** Main script of `azurite-blob` (npm package azurite 3.35.0, 186 MB, therefore no dependency of this project). */
const AZURITE = process.env['COSMOS_PIPE_AZURITE'];
/** The account key that every Azurite has, from its documentation. */
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

const scope = { fullyQualifiedNamespace: 'localhost', eventHubName: 'Hub', consumerGroup: '$Default' };

describe.skipIf(AZURITE === undefined)(
  'the blob checkpoint store (COSMOS_PIPE_AZURITE=<azurite-blob script>)',
  () => {
    it('claims once, keeps the highest checkpoint, and forgets', async () => {
      const child = spawn(process.execPath, [
        AZURITE ?? '',
        ...['--blobPort', '0', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry'],
      ]);
      try {
        let output = '';
        while (!/listens on (http:\/\/\S+)/.test(output))
          output += String((await once(child.stdout, 'data'))[0]);
        const address = /listens on (http:\/\/\S+)/.exec(output)?.[1];
        const account = new Secret(
          `DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=${KEY};BlobEndpoint=${address}/devstoreaccount1;`,
        );
        const [a, b] = [
          await blobCheckpointStore('checkpoints', account),
          await blobCheckpointStore('checkpoints', account),
        ];
        const claim = (ownerId: string, etag?: string) => ({
          ...scope,
          partitionId: '0',
          ownerId,
          ...(etag === undefined ? {} : { etag }),
        });
        const won = (
          await Promise.all(
            [1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? a : b).claimOwnership([claim(`owner-${n}`)])),
          )
        ).flat();
        expect(won).toHaveLength(1);
        const owners = await b.listOwnership('localhost', 'Hub', '$Default');
        expect(owners).toMatchObject([{ ownerId: won[0]?.ownerId, partitionId: '0' }]);
        expect(await a.claimOwnership([claim('late', 'old')])).toEqual([]);
        expect(await a.claimOwnership([claim('next', owners[0]?.etag)])).toHaveLength(1);

        const checkpoint = (sequenceNumber: number) => ({
          ...scope,
          partitionId: '0',
          sequenceNumber,
          offset: String(sequenceNumber),
        });
        for (const n of [5, 9, 7]) await a.updateCheckpoint(checkpoint(n));
        const list = () => b.listCheckpoints('localhost', 'Hub', '$Default');
        expect(await list()).toMatchObject([{ partitionId: '0', sequenceNumber: 9, offset: '9' }]);
        await b.resetCheckpoints(scope, ['0']);
        expect(await list()).toEqual([]);
      } finally {
        child.kill();
      }
    });
  },
);

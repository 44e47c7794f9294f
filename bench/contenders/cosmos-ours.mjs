// The bulk writer of cosmos-pipe. The event is parsed for id and key as `ingest` does, its text goes through as it came.
import { createBulkWriter } from '../../dist/src/cosmos/bulk-writer.js';
import { openCosmos } from '../../dist/src/cosmos/client.js';
import { Secret } from '../../dist/src/util/secret.js';
import { eventText, measure, nextEvent, target } from './cosmos-load.mjs';

const connection = await openCosmos({ ...target, key: new Secret(target.key) });
const writer = await createBulkWriter({ connection });

await measure(async () => {
  let acknowledged = 0;
  const settled = ({ ok }) => {
    if (ok) acknowledged++;
  };
  for (let n = nextEvent(); n !== undefined; n = nextEvent()) {
    const body = eventText(n);
    const { id, deviceId } = JSON.parse(body);
    const full = writer.write({ kind: 'upsert', id, partitionKey: deviceId, body }, settled);
    if (full !== undefined) await full;
  }
  await writer.close();
  return acknowledged;
});
connection.dispose();

import assert from 'node:assert/strict';

/** Provisioned throughput: offers, limits, throttling. */
export async function checkThroughput({ check, client, connect, container, database }) {
  const offered = await container('offered', { throughput: 20_000 });
  await check('tells what a container is provisioned with', async () => {
    const { resource } = await offered.readOffer();
    assert.equal(resource.content.offerThroughput, 20_000);
  });
  await check('makes as many ranges as the throughput takes', async () => {
    assert.equal((await offered.getFeedRanges()).length, 4);
  });
  await check('changes the throughput', async () => {
    const { resource } = await offered.readOffer();
    resource.content.offerThroughput = 10_000;
    const replaced = await client.offer(resource.id).replace(resource);
    assert.equal(replaced.resource.content.offerThroughput, 10_000);
  });
  await check('refuses a throughput below 400 or between the steps', async () => {
    for (const throughput of [300, 450])
      await assert.rejects(container(`odd-${throughput}`, { throughput }), { code: 400 });
  });
  await check('lists offers', async () => {
    const { resources } = await client.offers.readAll().fetchAll();
    assert.ok(resources.length > 0);
  });
  await check('provisions autoscale', async () => {
    const { container: scaled } = await database.containers.create({
      id: 'scaled',
      partitionKey: '/pk',
      maxThroughput: 4_000,
    });
    const { resource } = await scaled.readOffer();
    assert.equal(resource.content.offerAutopilotSettings.maxThroughput, 4_000);
  });
  await check('throttles with 429, substatus 3200 and a time to wait', async () => {
    await container('small', { throughput: 400 });
    const impatient = connect({ connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } });
    const { items } = impatient.database(database.id).container('small');
    const writes = await Promise.allSettled(
      Array.from({ length: 300 }, (_, i) => items.upsert({ id: `${i}`, pk: `${i}`, x: 'y'.repeat(20_000) })),
    );
    impatient.dispose();
    const throttled = writes.filter(({ reason }) => reason?.code === 429).map(({ reason }) => reason);
    assert.ok(throttled.length > 0);
    assert.ok(throttled.every(({ substatus, retryAfterInMs }) => substatus === 3_200 && retryAfterInMs >= 0));
  });
  await check('charges a read of 1 KB about 1 RU, and its creation about 5 to 10', async () => {
    const item = { id: 'priced', pk: 'p', x: 'y'.repeat(800) };
    const created = await offered.items.create(item);
    const read = await offered.item('priced', 'p').read();
    assert.ok(Math.abs(read.requestCharge - 1) < 0.2, `${read.requestCharge} RU for a read`);
    assert.ok(
      created.requestCharge > 5 && created.requestCharge < 10,
      `${created.requestCharge} RU for a create`,
    );
  });
}

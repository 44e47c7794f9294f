// The fallback of cosmos-pipe: the same loop through createBatch and tryAdd of the SDK.
process.env.BENCH_PUBLIC_API = '1';
await import('./produce-ours.mjs');

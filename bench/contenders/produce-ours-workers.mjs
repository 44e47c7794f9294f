// cosmos-pipe on two worker threads, which share the partitions.
process.env.BENCH_WORKERS = '2';
await import('./produce-ours.mjs');

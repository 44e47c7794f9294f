import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/build.ts'],
    pool: 'forks',
    // Most tests wait for sockets and child processes: more workers than cores keep the cores busy.
    maxWorkers: 3,
    sequence: { shuffle: true },
    // Far above what a test takes: the machine may be busy with something else.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    coverage: { provider: 'v8', include: ['src/**', 'commands/**'] },
  },
});

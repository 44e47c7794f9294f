import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';

interface Rule {
  readonly folders: readonly string[];
  readonly packages: readonly string[];
}

const CLIENT_BASE = ['src/metrics', 'src/config', 'src/hashing', 'src/util'];

/** A part of the pipeline stands on the clients of the services, and on the parts named. */
function part(others: readonly string[], packages: readonly string[] = []): Rule {
  const clients = ['src/eventhubs', 'src/cosmos', 'src/cache', 'src/eventgrid', 'src/workload'];
  return { folders: [...clients, ...CLIENT_BASE, ...others.map((name) => `src/pipeline/${name}`)], packages };
}

/** Who may import whom (docs/architecture.md). A file belongs to the longest matching folder, which may import itself. */
const MAY_IMPORT: Readonly<Record<string, Rule>> = {
  bin: { folders: ['commands', 'src/cli', 'src/util'], packages: [] },
  commands: { folders: ['src'], packages: [] },
  src: { folders: ['src'], packages: [] },
  'src/cli': { folders: ['src/config', 'src/util'], packages: ['commander', 'ora', 'cli-table3'] },
  'src/pipeline/bench': part(['produce', 'ingest', 'feed', 'cache', 'verify']),
  'src/pipeline/cache': part(['feed']),
  'src/pipeline/dead-letter': part(['mapping']),
  'src/pipeline/doctor': part([]),
  'src/pipeline/event-grid': part(['feed']),
  'src/pipeline/feed': part([]),
  'src/pipeline/ingest': part(['dead-letter', 'mapping'], ['@opentelemetry/sdk-node']),
  'src/pipeline/mapping': part([], ['ajv', 'ajv-formats']),
  'src/pipeline/produce': part([]),
  'src/pipeline/verify': part([]),
  'src/report': {
    folders: ['src/pipeline', 'src/capacity', ...CLIENT_BASE],
    packages: ['cli-table3', 'zod', 'd3-scale', 'd3-shape'],
  },
  'src/capacity': { folders: ['src/workload', ...CLIENT_BASE], packages: ['zod'] },
  'src/eventhubs': {
    folders: CLIENT_BASE,
    packages: [
      '@azure/event-hubs',
      'ws',
      '@azure/identity',
      '@azure/eventhubs-checkpointstore-blob',
      '@azure/storage-blob',
    ],
  },
  'src/cosmos': { folders: CLIENT_BASE, packages: ['@azure/cosmos', '@azure/identity'] },
  'src/cache': { folders: CLIENT_BASE, packages: ['ioredis', '@azure/identity', 'autocannon'] },
  'src/eventgrid': {
    folders: CLIENT_BASE,
    packages: ['@azure/eventgrid', '@azure/eventgrid-namespaces', '@azure/identity', '@azure/core-auth'],
  },
  'src/workload': { folders: CLIENT_BASE, packages: ['zod', '@faker-js/faker', 'csv-parse'] },
  'src/local': { folders: ['src/local', 'src/util'], packages: [] },
  'src/local/amqp': { folders: ['src/util'], packages: [] },
  'src/local/faults': { folders: ['src/util'], packages: [] },
  'src/local/tls': { folders: [], packages: [] },
  'src/local/event-hubs': {
    folders: [
      'src/local/amqp',
      'src/local/faults',
      'src/local/tls',
      'src/local/service.ts',
      'src/hashing',
      'src/util',
    ],
    packages: ['ws'],
  },
  'src/local/cosmos': {
    folders: ['src/local/faults', 'src/local/tls', 'src/local/service.ts', 'src/hashing', 'src/util'],
    packages: [],
  },
  'src/local/event-grid': {
    folders: ['src/local/faults', 'src/local/tls', 'src/local/service.ts', 'src/util'],
    packages: [],
  },
  'src/local/redis': {
    folders: ['src/local/faults', 'src/local/service.ts', 'src/util'],
    packages: ['fengari'],
  },
  'src/config': { folders: ['src/util'], packages: ['zod', 'yaml'] },
  'src/metrics': { folders: ['src/util'], packages: ['hdr-histogram-js'] },
  'src/hashing': { folders: ['src/util'], packages: [] },
  'src/util': { folders: [], packages: [] },
};

const files = walk(['bin', 'commands', 'src']);

it.each(files)('%s imports only what its folder may import', (file) => {
  const owner = Object.keys(MAY_IMPORT)
    .filter((folder) => file.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0] as string;
  const rule = MAY_IMPORT[owner] as Rule;
  const violations = importsOf(file).filter((target) => {
    if (target.startsWith('node:') || builtinModules.includes(target)) return false;
    if (!target.startsWith('.')) return !rule.packages.includes(packageOf(target));
    const path = normalize(join(dirname(file), target));
    return !(
      path.startsWith(`${owner}/`) || rule.folders.some((f) => path === f || path.startsWith(`${f}/`))
    );
  });
  expect(violations).toEqual([]);
});

it('keeps the terminal to src/cli and the exit code to bin', () => {
  const offenders = files.filter((file) => {
    if (file.startsWith('bin/') || file.startsWith('src/cli/')) return false;
    return /console\.(log|error|warn|info)|process\.(stdout|stderr)|process\.exit\b|process\.exitCode/.test(
      readFileSync(file, 'utf8'),
    );
  });
  expect(offenders).toEqual([]);
});

it('is described as it is: every folder by its name, and no other', () => {
  const page = readFileSync('docs/architecture.md', 'utf8');
  const folders = ['src', 'src/local'].flatMap((parent) =>
    readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${parent}/${name}/`),
  );
  const named = [...page.matchAll(/^\| `((?:bin|commands|src)[\w/-]*)` /gm)].map(([, folder]) => folder);
  expect(new Set(named)).toEqual(new Set(['bin/', 'commands/', ...folders]));
  const paths = [...page.matchAll(/`((?:bin|commands|src|test|bench|examples)\/[\w./-]*)`/g)];
  expect(paths.filter(([, path]) => !existsSync(path as string))).toEqual([]);
  expect(Object.keys(MAY_IMPORT).filter((folder) => !existsSync(folder))).toEqual([]);
});

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  return [...source.matchAll(/(?:from\s+|import\s*\(\s*|^import\s+)'([^'{}]+)'/gm)].map(
    (match) => match[1] ?? '',
  );
}

function walk(roots: readonly string[]): string[] {
  return roots.flatMap((root) =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, name)),
  );
}

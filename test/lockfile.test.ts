import { readFileSync } from 'node:fs';
import { satisfies } from 'semver';
import { expect, it } from 'vitest';

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly engines?: { readonly node?: string } | string[]; readonly optional?: boolean }>
  >;
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;

it('locks no package that excludes Node 20.19', () => {
  const excluding = Object.entries(packages).flatMap(([path, { engines }]) => {
    const node = Array.isArray(engines) ? undefined : engines?.node;
    return node === undefined || satisfies('20.19.0', node) ? [] : [`${path} wants ${node}`];
  });
  expect(excluding).toEqual([]);
});

it('names no registry host', () => {
  expect(readFileSync('package-lock.json', 'utf8')).not.toContain('"resolved"');
});

it('pins every direct dependency exactly', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
  const versions = { ...manifest['dependencies'], ...manifest['devDependencies'] };
  expect(Object.entries(versions).filter(([, version]) => !/^\d/.test(version))).toEqual([]);
});

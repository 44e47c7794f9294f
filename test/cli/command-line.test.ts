import { expect, it } from 'vitest';
import { commandLine } from '../../src/cli/command-line.ts';

it('is what a shell takes for the same words', () => {
  expect(commandLine(['ingest', '--filter', "a = 'b'"])).toBe(
    `cosmos-pipe ingest --filter 'a = '\\''b'\\'''`,
  );
});

it('shows no secret of an address', () => {
  const line = commandLine(['ingest', '--notify', 'https://contoso/api?sig=topsecret']);
  expect(line).toBe("cosmos-pipe ingest --notify 'https://contoso/api?sig=[redacted]'");
});

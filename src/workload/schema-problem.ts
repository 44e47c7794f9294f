import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** Says in one line what is wrong with an input and what is wanted: `workload.rate: expected more than 0, got 0`. */
export function schemaProblem(error: z.ZodError, input: unknown, ...names: readonly string[]): string {
  const [issue] = error.issues;
  if (issue === undefined) return `${names.join('.')}: is not valid`;
  return problemOf(issue, names, input);
}

function problemOf(issue: Issue, names: readonly PropertyKey[], input: unknown): string {
  const path = [...names, ...issue.path];
  const value = valueAt(input, issue.path);
  if (issue.code === 'invalid_union') {
    // A number out of range, or a text of the wrong form, says more than that it is not the other of the two.
    const fitting = issue.errors.flat().find(({ code }) => code !== 'invalid_type');
    if (fitting !== undefined) return problemOf(fitting, path, value);
  }
  const got = value === undefined ? 'nothing' : JSON.stringify(value);
  return `${path.join('.')}: ${wantedBy(issue, got)}`;
}

function wantedBy(issue: Issue, got: string): string {
  switch (issue.code) {
    case 'too_small':
      return `expected ${issue.inclusive ? 'at least' : 'more than'} ${amount(issue.minimum, issue.origin)}, got ${got}`;
    case 'too_big':
      return `expected ${issue.inclusive ? 'at most' : 'less than'} ${amount(issue.maximum, issue.origin)}, got ${got}`;
    case 'invalid_type':
      return `expected ${TYPES[issue.expected] ?? issue.expected}, got ${got}`;
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(' or ')}, got ${got}`;
    case 'invalid_union': {
      const wanted = issue.errors
        .flat()
        .map((one) => (one.code === 'invalid_type' ? TYPES[one.expected] : undefined));
      return wanted.includes(undefined)
        ? `not one of the forms that are known here: ${got}`
        : `expected ${[...new Set(wanted)].join(' or ')}, got ${got}`;
    }
    case 'unrecognized_keys':
      return `unknown ${issue.keys.length === 1 ? 'entry' : 'entries'} ${issue.keys.join(', ')}`;
    default:
      return issue.message;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};
const UNITS: Readonly<Record<string, readonly [one: string, more: string]>> = {
  string: [' character', ' characters'],
  array: [' entry', ' entries'],
};

function amount(limit: number | bigint, origin: string): string {
  return `${limit.toLocaleString('en-US')}${UNITS[origin]?.[Number(limit) === 1 ? 0 : 1] ?? ''}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const name of path)
    value = (value as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[name];
  return value;
}

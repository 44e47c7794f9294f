import { refuse } from './errors.ts';
import type { GridEvent } from './schema.ts';

export interface AdvancedFilter {
  readonly operatorType: string;
  readonly key: string;
  readonly value?: unknown;
  readonly values?: readonly unknown[];
}

/** `properties.filter` of an event subscription. */
export interface SubscriptionFilter {
  readonly includedEventTypes?: readonly string[];
  readonly subjectBeginsWith?: string;
  readonly subjectEndsWith?: string;
  readonly isSubjectCaseSensitive?: boolean;
  readonly enableAdvancedFilteringOnArrays?: boolean;
  readonly advancedFilters?: readonly AdvancedFilter[];
}

const MAX_FILTERS = 25;
const MAX_VALUES = 25;
const MAX_VALUE_CHARACTERS = 512;

type Test = (value: unknown, operands: readonly unknown[]) => boolean;

const number =
  (compare: (value: number, operands: readonly unknown[]) => boolean): Test =>
  (value, operands) =>
    typeof value === 'number' && compare(value, operands);
const text =
  (compare: (value: string, operand: string) => boolean): Test =>
  (value, operands) =>
    typeof value === 'string' &&
    operands.some((operand) => compare(value.toLowerCase(), String(operand).toLowerCase()));
const first = (operands: readonly unknown[]): number => operands[0] as number;
const inRange = (value: number, operands: readonly unknown[]): boolean =>
  (operands as readonly (readonly [number, number])[]).some(([low, high]) => value >= low && value <= high);

/** Tests of one value; an array matches when any of its elements does, a negation when none of the positive does. */
const POSITIVE: Readonly<Record<string, Test>> = {
  NumberIn: number((value, operands) => operands.includes(value)),
  NumberLessThan: number((value, operands) => value < first(operands)),
  NumberGreaterThan: number((value, operands) => value > first(operands)),
  NumberLessThanOrEquals: number((value, operands) => value <= first(operands)),
  NumberGreaterThanOrEquals: number((value, operands) => value >= first(operands)),
  NumberInRange: number(inRange),
  BoolEquals: (value, operands) => typeof value === 'boolean' && value === operands[0],
  StringIn: text((value, operand) => value === operand),
  StringContains: text((value, operand) => value.includes(operand)),
  StringBeginsWith: text((value, operand) => value.startsWith(operand)),
  StringEndsWith: text((value, operand) => value.endsWith(operand)),
};

interface Negation {
  readonly of: string;
  readonly type: 'number' | 'string';
  /** Documented: only NumberNotIn and StringNotIn are true of an event that lacks the key. */
  readonly matchesMissing: boolean;
}

const NEGATIVE: Readonly<Record<string, Negation>> = {
  NumberNotIn: { of: 'NumberIn', type: 'number', matchesMissing: true },
  NumberNotInRange: { of: 'NumberInRange', type: 'number', matchesMissing: false },
  StringNotIn: { of: 'StringIn', type: 'string', matchesMissing: true },
  StringNotContains: { of: 'StringContains', type: 'string', matchesMissing: false },
  StringNotBeginsWith: { of: 'StringBeginsWith', type: 'string', matchesMissing: false },
  StringNotEndsWith: { of: 'StringEndsWith', type: 'string', matchesMissing: false },
};

const KNOWN = new Set([...Object.keys(POSITIVE), ...Object.keys(NEGATIVE), 'IsNullOrUndefined', 'IsNotNull']);

/**
 * The service allows 25 advanced filters, and 25 values over all of them.
 *
 * @throws EventGridError 400 for an unknown operator, a value of the wrong type, or a limit that is exceeded.
 */
export function checkFilter(filter: SubscriptionFilter): void {
  const advanced = filter.advancedFilters ?? [];
  if (advanced.length > MAX_FILTERS)
    throw refuse.invalid(`${advanced.length} advanced filters exceed the limit of ${MAX_FILTERS}.`);
  let valueCount = 0;
  for (const { operatorType, key, value, values } of advanced) {
    if (!KNOWN.has(operatorType)) throw refuse.invalid(`The operator type '${operatorType}' is not known.`);
    if (!key) throw refuse.invalid(`An advanced filter ${operatorType} lacks its key.`);
    const operands = values ?? (value === undefined ? [] : [value]);
    if (operands.length === 0 && operatorType !== 'IsNullOrUndefined' && operatorType !== 'IsNotNull')
      throw refuse.invalid(`The advanced filter ${operatorType} on '${key}' has no value.`);
    valueCount += operands.length;
    if (valueCount > MAX_VALUES)
      throw refuse.invalid(`${valueCount} values of advanced filters exceed the limit of ${MAX_VALUES}.`);
    if (operands.some((operand) => String(operand).length > MAX_VALUE_CHARACTERS))
      throw refuse.invalid(`A filter value on '${key}' exceeds ${MAX_VALUE_CHARACTERS} characters.`);
    if (!operands.every((operand) => isOperandOf(operatorType, operand)))
      throw refuse.invalid(`The values of ${operatorType} on '${key}' are not of the type that it compares.`);
  }
}

function isOperandOf(operatorType: string, operand: unknown): boolean {
  if (operatorType.endsWith('InRange'))
    return (
      Array.isArray(operand) &&
      operand.length === 2 &&
      operand.every((bound: unknown) => typeof bound === 'number')
    );
  if (operatorType.startsWith('Number')) return typeof operand === 'number';
  if (operatorType.startsWith('Bool')) return typeof operand === 'boolean';
  return operatorType.startsWith('Is') || typeof operand === 'string';
}

/**
 * Why an event does not match, in words; `undefined` when it does. Filters are joined by AND, values by OR, strings
 * compare without case (Microsoft Learn: "Understand event filtering for Event Grid subscriptions").
 */
export function mismatch(filter: SubscriptionFilter | undefined, event: GridEvent): string | undefined {
  if (filter === undefined) return undefined;
  return (
    typeMismatch(filter, event) ??
    subjectMismatch(filter, event) ??
    filter.advancedFilters?.flatMap((one) => advancedMismatch(one, event, filter) ?? [])[0]
  );
}

function typeMismatch({ includedEventTypes }: SubscriptionFilter, event: GridEvent): string | undefined {
  if (!includedEventTypes?.length || includedEventTypes.includes('All')) return undefined;
  const type = String(event['eventType'] ?? event['type'] ?? '');
  if (includedEventTypes.some((wanted) => wanted.toLowerCase() === type.toLowerCase())) return undefined;
  return `event type '${type}' is not among ${includedEventTypes.join(', ')}`;
}

function subjectMismatch(filter: SubscriptionFilter, event: GridEvent): string | undefined {
  const fold = (value: string): string => (filter.isSubjectCaseSensitive ? value : value.toLowerCase());
  const subject = String(event['subject'] ?? '');
  const { subjectBeginsWith: begin, subjectEndsWith: end } = filter;
  if (begin && !fold(subject).startsWith(fold(begin)))
    return `subject '${subject}' does not begin with '${begin}'`;
  if (end && !fold(subject).endsWith(fold(end))) return `subject '${subject}' does not end with '${end}'`;
  return undefined;
}

function advancedMismatch(
  { operatorType, key, value, values }: AdvancedFilter,
  event: GridEvent,
  { enableAdvancedFilteringOnArrays }: SubscriptionFilter,
): string | undefined {
  const actual = valueAt(event, key);
  const operands = values ?? [value];
  const because = (found: string): string => `${operatorType} on '${key}': ${found}`;
  const shown = (): string => because(`the value is ${JSON.stringify(actual)}`);
  if (operatorType === 'IsNullOrUndefined')
    return actual === undefined || actual === null ? undefined : shown();
  if (operatorType === 'IsNotNull')
    return actual === undefined || actual === null ? because('the event has no such value') : undefined;
  const negation = NEGATIVE[operatorType];
  if (actual === undefined || actual === null)
    return negation?.matchesMissing ? undefined : because('the event has no such value');
  if (Array.isArray(actual) && !enableAdvancedFilteringOnArrays)
    return because('the value is an array, and enableAdvancedFilteringOnArrays is off');
  const elements: readonly unknown[] = Array.isArray(actual) ? actual : [actual];
  if (negation === undefined)
    return elements.some((element) => POSITIVE[operatorType]?.(element, operands)) ? undefined : shown();
  const comparable = elements.some((element) => typeof element === negation.type);
  const hit = elements.some((element) => POSITIVE[negation.of]?.(element, operands));
  return (comparable || negation.matchesMissing) && !hit ? undefined : shown();
}

/** Follows a dotted path; names compare without case where the exact one is missing. */
function valueAt(event: GridEvent, path: string): unknown {
  let value: unknown = event;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    const members = value as Record<string, unknown>;
    const actual = Object.hasOwn(members, name)
      ? name
      : Object.keys(members).find((member) => member.toLowerCase() === name.toLowerCase());
    value = actual === undefined ? undefined : members[actual];
  }
  return value;
}

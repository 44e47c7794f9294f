const MIN_RU = 400;
const MAX_RU = 1_000_000;
const RU_STEP = 100;

/** Throws a RangeError for RU/s that no container is made with. `form` says what else is taken. */
export function checkThroughput(ruPerSecond: number, form = ''): void {
  if (ruPerSecond >= MIN_RU && ruPerSecond <= MAX_RU && ruPerSecond % RU_STEP === 0) return;
  throw new RangeError(
    `expected ${MIN_RU} to ${MAX_RU.toLocaleString('en-US')} RU/s in steps of ${RU_STEP}${form}, got "${ruPerSecond}"`,
  );
}

/** Turns a stream of amounts into whole numbers with the same sum. */
export function wholes(): (amount: number) => number {
  let carry = 1e-3;
  return (amount) => {
    carry += amount;
    const count = Math.floor(carry);
    carry -= count;
    return count;
  };
}

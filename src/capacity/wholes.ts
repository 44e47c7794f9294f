/** Turns a stream of amounts into whole numbers with the same sum, to the nearest. */
export function wholes(): (amount: number) => number {
  let carry = 0.5;
  return (amount) => {
    carry += amount;
    const count = Math.floor(carry);
    carry -= count;
    return count;
  };
}

/** Something to wait for that somebody else decides. */
export interface Gate {
  readonly promise: Promise<void>;
  open(): void;
}

/** A closed gate; once open it stays open. */
export function gate(): Gate {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

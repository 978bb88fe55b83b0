/**
 * A batch: many messages, one rendering. The deadline is fixed by the first item; a debounce, which
 * starts anew with each, would never come to draw under a steady stream.
 */
export class Batch<T> {
  #items: T[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flush: (items: T[]) => void;
  #ms: number;

  constructor(ms: number, flush: (items: T[]) => void) {
    this.#ms = ms;
    this.#flush = flush;
  }

  // --8<-- [start:batch]
  add(item: T): void {
    this.#items.push(item);
    this.#timer ??= setTimeout(this.flush, this.#ms);
  }

  /** Now, and not a second time later. */
  flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const items = this.#items.splice(0);
    if (items.length > 0) this.#flush(items);
  };
  // --8<-- [end:batch]

  /** What waits is not needed any more. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#items = [];
  }
}

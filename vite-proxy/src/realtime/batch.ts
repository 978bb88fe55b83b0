/**
 * A batch: many messages, one rendering. The deadline is fixed by the first item; a debounce, which
 * starts anew with each, would never come to draw under a steady stream.
 */
export class Batch<T> {
  #items: T[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flush: (items: T[]) => void;
  #ms: number;
  #limit: number;

  /** At `limit` items it does not wait any longer: in a hidden tab timers come late. */
  constructor(ms: number, flush: (items: T[]) => void, limit = 1_000) {
    this.#ms = ms;
    this.#flush = flush;
    this.#limit = limit;
  }

  // --8<-- [start:batch]
  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length >= this.#limit) this.flush();
    else this.#timer ??= setTimeout(this.flush, this.#ms);
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

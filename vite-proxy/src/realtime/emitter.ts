/** Listeners of one kind of event. One that throws does not hurt the others, and is not silenced. */
export class Emitter<T extends unknown[]> {
  #listeners = new Set<(...said: T) => void>();

  /** Returns what ends it. The same function may listen twice. */
  on(listener: (...said: T) => void): () => void {
    const mine = (...said: T) => {
      listener(...said);
    };
    this.#listeners.add(mine);
    return () => {
      this.#listeners.delete(mine);
    };
  }

  emit(...said: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...said);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // to where errors of a page go: the console, window.onerror
        });
      }
    }
  }
}

/**
 * Focus, kept where lists move: a card that changes its column is another element to the browser,
 * and the focus that was in it would fall to the top of the page.
 *
 * A class, for the one moment that no hook has: after the decision to draw, before it is done.
 */
import { Component, createRef, type ReactNode } from "react";

interface Place {
  readonly key: string; // of the card
  readonly act: string; // of the button in it
  readonly column: HTMLElement | null;
  readonly index: number; // of the card in its column
}

export class FocusKeeper extends Component<{ readonly children: ReactNode }> {
  #root = createRef<HTMLDivElement>();

  override getSnapshotBeforeUpdate(): Place | null {
    const focused = document.activeElement;
    const card = focused?.closest<HTMLElement>("[data-key]");
    if (!(focused instanceof HTMLElement) || !card || !this.#root.current?.contains(card)) {
      return null;
    }
    const column = card.closest<HTMLElement>("[data-column]");
    const index = cardsIn(column).indexOf(card);
    return { key: card.dataset["key"] ?? "", act: focused.dataset["act"] ?? "", column, index };
  }

  override componentDidUpdate(_: unknown, __: unknown, place: Place | null): void {
    const lost = document.activeElement === null || document.activeElement === document.body;
    if (place === null || !lost) return;
    const same = this.#root.current?.querySelector<HTMLElement>(
      `[data-key="${CSS.escape(place.key)}"]`,
    );
    const left = cardsIn(place.column);
    const neighbour = left[Math.min(place.index, left.length - 1)];
    const heading = place.column?.querySelector<HTMLElement>("[tabindex='-1']");
    for (const target of [same, neighbour]) if (focusIn(target, place.act)) return;
    heading?.focus({ preventScroll: true });
  }

  override render(): ReactNode {
    return <div ref={this.#root}>{this.props.children}</div>;
  }
}

function cardsIn(column: HTMLElement | null): HTMLElement[] {
  return [...(column?.querySelectorAll<HTMLElement>("[data-key]") ?? [])];
}

/** Focus the button for the same act, or the first; whether there was one to be seen. */
function focusIn(card: HTMLElement | null | undefined, act: string): boolean {
  const buttons = [...(card?.querySelectorAll("button") ?? [])];
  const button = buttons.find((one) => one.dataset["act"] === act) ?? buttons[0];
  if (!button || button.getClientRects().length === 0) return false;
  button.focus({ preventScroll: true });
  return document.activeElement === button;
}

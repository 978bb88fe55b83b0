/** The menu: what may be ordered here. The server knows a dish by its English name. */
export interface MenuDish {
  readonly name: string;
  readonly zh: string;
  /** In hundredths. */
  readonly price: number;
}

export const MENU: readonly MenuDish[] = [
  { name: "ramen", zh: "拉面", price: 1250 },
  { name: "fried rice", zh: "炒饭", price: 980 },
  { name: "dumplings", zh: "饺子", price: 890 },
  { name: "salad", zh: "沙拉", price: 720 },
  { name: "soup", zh: "例汤", price: 640 },
  { name: "tea", zh: "茶", price: 350 },
];

/** A dish in the page's language; one that is not on the menu as it was said. */
export function dishName(name: string, language: "en" | "zh"): string {
  const known = language === "zh" ? MENU.find((dish) => dish.name === name)?.zh : undefined;
  return known ?? name;
}

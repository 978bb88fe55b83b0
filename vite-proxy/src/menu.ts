/** The menu: what may be ordered here. The server knows a dish by its English name. */
export interface MenuDish {
  readonly name: string;
  readonly zh: string;
  /** In hundredths. */
  readonly price: number;
}

export const MENU: readonly MenuDish[] = [
  { name: "Noodle soup", zh: "牛肉面", price: 3200 },
  { name: "Dumplings", zh: "饺子", price: 2800 },
  { name: "Mapo tofu", zh: "麻婆豆腐", price: 3600 },
  { name: "Fried rice", zh: "炒饭", price: 2600 },
  { name: "Steamed fish", zh: "清蒸鱼", price: 8800 },
  { name: "Greens", zh: "时蔬", price: 2200 },
  { name: "Tea", zh: "茶", price: 800 },
  { name: "Plum juice", zh: "酸梅汤", price: 1200 },
];

import { useEffect, useState } from "react";

import { useLanguage } from "../language";

const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const SIGNS = { auto: "◐", light: "☼", dark: "☾" } as const;
const KEY = "frame-by-frame:theme";

/** The course's mark and name, as on every page of it. */
export function Brand() {
  const { text } = useLanguage();
  return (
    <p className="brand">
      <img src="/mark.svg" alt="" width="24" height="24" />
      <span>{text.course}</span>
    </p>
  );
}

export function LanguageButton() {
  const { text, language, toggle } = useLanguage();
  return (
    <button type="button" className="quiet" lang={language === "zh" ? "en" : "zh"} onClick={toggle}>
      {text.otherLanguage}
    </button>
  );
}

document.documentElement.dataset["theme"] = stored(); // before anything is drawn

/** Light, dark, or as the system has it. */
export function ThemeButton() {
  const { text } = useLanguage();
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    localStorage.setItem(KEY, theme);
  }, [theme]);
  return (
    <button
      type="button"
      className="quiet sign"
      aria-label={text.themes[theme]}
      title={text.themes[theme]}
      onClick={() => {
        setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto");
      }}
    >
      <span aria-hidden="true">{SIGNS[theme]}</span>
    </button>
  );
}

function stored(): Theme {
  const known = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === known) ?? "auto";
}

/** Two languages, chosen by ?lang=, else by the browser. */
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from "react";

import { type Text, TEXTS } from "./texts";

export type Language = keyof typeof TEXTS;

interface Speaking {
  readonly language: Language;
  readonly text: Text;
  readonly toggle: () => void;
}

const Context = createContext<Speaking | null>(null);

function preferred(): Language {
  const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  return asked.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function Languages({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState(preferred);
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  const speaking = useMemo(() => {
    const toggle = () => {
      const other = language === "zh" ? "en" : "zh";
      keepInAddress("lang", other);
      setLanguage(other);
    };
    return { language, text: TEXTS[language], toggle };
  }, [language]);
  return <Context value={speaking}>{children}</Context>;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** What a reload or a link should keep. */
export function keepInAddress(name: string, value: string): void {
  const url = new URL(location.href);
  url.searchParams.set(name, value);
  history.replaceState(null, "", url);
}

export function useLanguage(): Speaking {
  const speaking = use(Context);
  if (!speaking) throw new Error("there is no <Languages> around this");
  return speaking;
}

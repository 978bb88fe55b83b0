import { useLanguage } from "../language";

/** The course's mark and name, as on every page of it. */
export function Brand() {
  const { text } = useLanguage();
  return (
    <p className="brand">
      <img src="/mark.svg" alt="" width="24" height="24" />
      {text.course}
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

import { useState, type SyntheticEvent } from "react";

import { useLanguage, useTitle } from "../../language";
import { Brand, LanguageButton, ThemeButton } from "../../parts/Brand";
import { Pass } from "../../realtime/pass";
import { API_BASE } from "../../server";

export function Login({ onPass }: { readonly onPass: (pass: Pass) => void }) {
  const { text } = useLanguage();
  useTitle(text.title);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");

  async function logIn(form: FormData): Promise<void> {
    const field = (name: string) => {
      const value = form.get(name);
      return typeof value === "string" ? value : "";
    };
    setBusy(true);
    setProblem("");
    try {
      onPass(await Pass.logIn(API_BASE, field("user"), field("password")));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  }

  function submit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    void logIn(new FormData(event.currentTarget));
  }

  return (
    <main className="login">
      <div>
        <header>
          <Brand />
          <ThemeButton />
          <LanguageButton />
        </header>
        <h1>{text.board}</h1>
        <p className="soft">{text.loginLead}</p>
        <form onSubmit={submit}>
          <label>
            {text.user}
            <input
              name="user"
              defaultValue="alice"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              autoFocus
            />
          </label>
          <label>
            {text.password}
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <button type="submit" className="main" disabled={busy}>
            {busy ? text.loginBusy : text.logIn}
          </button>
          <p role="alert" className="problem">
            {problem}
          </p>
        </form>
        <p className="soft small">{text.loginHint}</p>
        <p className="soft small">{text.loginPromise}</p>
      </div>
    </main>
  );
}

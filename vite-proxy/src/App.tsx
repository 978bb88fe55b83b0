/** Who is logged in decides what there is to see. No socket before the login. */
import { useState } from "react";

import { Dashboard } from "./pages/Dashboard/Dashboard";
import { Login } from "./pages/Login/Login";
import type { Pass } from "./realtime/pass";

export function App() {
  const [pass, setPass] = useState<Pass | null>(null);
  if (pass === null) return <Login onPass={setPass} />;
  return (
    <Dashboard
      pass={pass}
      onLeave={() => {
        setPass(null);
      }}
    />
  );
}

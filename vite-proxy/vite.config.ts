/**
 * Vite: the development server, its proxy, and the tests.
 *
 * The page asks its own origin for everything, and Vite passes /ws, /socket.io, /api and /metrics on
 * to BACKEND. So the browser sees one origin, as behind nginx, and no address is in the code.
 */
/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

const HOST = "127.0.0.1"; // not "localhost": which may be ::1, where nobody listens

export default defineConfig(({ mode }) => {
  const environment = { ...loadEnv(mode, import.meta.dirname, ""), ...process.env };
  const target = environment["BACKEND"] ?? `http://${HOST}:8080`;
  // The Host header becomes the backend's, the Origin stays the page's: the backend has to have it
  // in ALLOWED_ORIGINS. To rewrite that one too would be to switch its check off.
  const passed = { target, changeOrigin: true };
  return {
    plugins: [react()],
    cacheDir: environment["VITE_CACHE"] ?? "node_modules/.vite",
    // Named, so that none is discovered later: that would load a page a second time.
    optimizeDeps: {
      include: ["react", "react-dom/client", "react/jsx-dev-runtime", "socket.io-client"],
    },
    build: { sourcemap: true },
    server: {
      host: HOST,
      port: Number(environment["VITE_PORT"] ?? 5173),
      strictPort: true, // another port would be another origin, and refused
      proxy: {
        "^/ws(\\?|$)": { ...passed, ws: true }, // a plain "/ws" would take /wsfoo as well
        "^/socket\\.io/": { ...passed, ws: true },
        "^/api/": passed,
        "^/metrics(\\?|$)": passed,
      },
    },
    test: {
      environment: "node",
      include: ["test/**/*.test.{ts,tsx}"],
      setupFiles: ["test/setup.ts"],
      maxWorkers: 4, // they wait for servers and clocks, and compute little
      testTimeout: 30_000,
      hookTimeout: 30_000,
    },
  };
});

interface ImportMetaEnv {
  /** Where the WebSocket is: a path of the page's own server, or ws://… or wss://… */
  readonly VITE_WS_URL?: string;
}

/**
 * Node 20 has no WebSocket, and jsdom's never opens here: the tests use the one of `ws`, which is
 * a real one, over real TCP, to a real server.
 */
import { WebSocket } from "ws";

Object.assign(globalThis, { WebSocket });

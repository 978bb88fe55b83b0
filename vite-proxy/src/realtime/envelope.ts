/** The envelope: one shape for every message, whichever library carries it. */
export interface Message {
  readonly type: string;
  readonly data?: unknown;
  readonly ts?: number;
  readonly requestId?: string;
  readonly channel?: string;
  readonly epoch?: string;
  readonly seq?: number;
}

export interface Request {
  readonly type: string;
  readonly data?: unknown;
  readonly requestId: string;
}

type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Read one message; null for what is none. Fields of a wrong type are left out. */
export function decode(text: unknown): Message | null {
  if (typeof text !== "string") return null;
  try {
    return asMessage(JSON.parse(text));
  } catch {
    return null; // not JSON: not for us, and no reason to end anything
  }
}

/** The known fields of a value, if it is a message. */
export function asMessage(value: unknown): Message | null {
  if (!isObject(value) || typeof value["type"] !== "string") return null;
  const { type, ts, requestId, channel, epoch, seq } = value;
  return {
    type,
    ...("data" in value && { data: value["data"] }),
    ...(typeof ts === "number" && { ts }),
    ...(typeof requestId === "string" && { requestId }),
    ...(typeof channel === "string" && { channel }),
    ...(typeof epoch === "string" && { epoch }),
    ...(typeof seq === "number" && Number.isInteger(seq) && { seq }),
  };
}

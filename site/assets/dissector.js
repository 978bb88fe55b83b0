// The frame dissector: hexadecimal in, every byte named. It runs in the page and sends nothing.
// Rules and names are those of RFC 6455 §5.2, §5.5 and §7.4; close codes are close-codes.js.

(() => {
  const CHINESE = document.documentElement.lang.startsWith("zh");
  const MAX_FRAMES = 20;
  const SHOWN = 64; // bytes of one field that are written out

  const WORDS = CHINESE
    ? {
        label: "一个或几个帧的字节，十六进制",
        examples: "示例",
        bits: "头两个字节的每一位，按一下就翻转",
        byte: (n) => `第 ${n} 个字节`,
        empty: "输入字节，或点一个示例。",
        notHex: (text) => `“${text}”不是十六进制字节`,
        odd: "十六进制数字成对出现，这里少了一个",
        frame: (n) => `第 ${n} 个帧`,
        fin: (on) => (on ? "FIN = 1，消息到此结束" : "FIN = 0，消息还没完"),
        rsv: (bits) => (bits ? `RSV = ${bits}，保留位被置位` : "RSV1–3 = 0"),
        opcode: (code, name) => `操作码 ${code}，${name}`,
        mask: (on) => (on ? "MASK = 1，有掩码：来自客户端" : "MASK = 0，无掩码：来自服务器"),
        seven: (n) => (n < 126 ? `长度 ${n}` : `长度 ${n}：真正的长度在后面 ${n === 126 ? 2 : 8} 个字节里`),
        wide: (n) => `长度 ${n}`,
        key: "掩码密钥",
        masked: "载荷，掩码后的样子",
        payload: "载荷",
        unmasked: "去掉掩码",
        text: "文本",
        code: "关闭码",
        reason: "原因",
        noCode: "没有关闭码：对端会看到 1005",
        opcodes: { 0: "延续", 1: "文本", 2: "二进制", 8: "关闭", 9: "ping", 10: "pong" },
        unknown: "未定义",
        bytes: (n) => `${n} 字节`,
        toServer: "→ 客户端到服务器",
        toClient: "← 服务器到客户端",
        more: (n) => `… 另有 ${n} 字节`,
        rest: (n) => `后面还有 ${n} 字节没有显示`,
        privateCode: "私有码",
        registered: "注册码",
        invalid: "不是有效的关闭码",
        errors: {
          rsv: "没有协商扩展，保留位必须为 0：接收方以 1002 关闭",
          opcode: "这个操作码没有定义：接收方以 1002 关闭",
          split: "控制帧不许分片：接收方以 1002 关闭",
          long: "控制帧的载荷至多 125 字节：接收方以 1002 关闭",
          minimal: "长度没有用最短的写法：违反 §5.2",
          huge: "64 位长度的最高位必须为 0：接收方以 1002 关闭",
          utf8: "不是合法的 UTF-8：接收方以 1007 关闭",
          one: "关闭帧的载荷要么为空，要么至少两个字节：接收方以 1002 关闭",
          never: "这个关闭码不许出现在线上：接收方以 1002 关闭",
          short: (n) => `不完整，还差 ${n} 字节`,
          head: "帧头不完整",
        },
        names: {
          masked: "文本，来自客户端",
          plain: "文本，来自服务器",
          binary: "二进制",
          long: "300 字节",
          fragments: "分片，中间插一个 ping",
          close: "关闭 1000",
          reserved: "错误：保留位",
          utf8: "错误：不是 UTF-8",
        },
      }
    : {
        label: "The bytes of one or more frames, in hexadecimal",
        examples: "Examples",
        bits: "The bits of the first two bytes; press one to flip it",
        byte: (n) => `byte ${n}`,
        empty: "Type some bytes, or press an example.",
        notHex: (text) => `“${text}” is no hexadecimal byte`,
        odd: "hexadecimal digits come in pairs; one is missing",
        frame: (n) => `Frame ${n}`,
        fin: (on) => (on ? "FIN = 1, the message ends here" : "FIN = 0, more of the message follows"),
        rsv: (bits) => (bits ? `RSV = ${bits}, a reserved bit is set` : "RSV1–3 = 0"),
        opcode: (code, name) => `opcode ${code}, ${name}`,
        mask: (on) => (on ? "MASK = 1, masked: from a client" : "MASK = 0, not masked: from a server"),
        seven: (n) => (n < 126 ? `length ${n}` : `length ${n}: the real one is in the next ${n === 126 ? 2 : 8} bytes`),
        wide: (n) => `length ${n}`,
        key: "masking key",
        masked: "payload, as masked",
        payload: "payload",
        unmasked: "unmasked",
        text: "as text",
        code: "close code",
        reason: "reason",
        noCode: "no close code: the other side sees 1005",
        opcodes: { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" },
        unknown: "not defined",
        bytes: (n) => (n === 1 ? "1 byte" : `${n} bytes`),
        toServer: "→ client to server",
        toClient: "← server to client",
        more: (n) => `… and ${n} more`,
        rest: (n) => `${n} more bytes are not shown`,
        privateCode: "private code",
        registered: "registered code",
        invalid: "not a valid code",
        errors: {
          rsv: "without an extension the reserved bits must be 0: the receiver closes with 1002",
          opcode: "this opcode is not defined: the receiver closes with 1002",
          split: "a control frame must not be split: the receiver closes with 1002",
          long: "a control frame holds at most 125 bytes: the receiver closes with 1002",
          minimal: "the length is not written in its shortest form, against §5.2",
          huge: "the highest bit of a 64-bit length must be 0: the receiver closes with 1002",
          utf8: "this is not valid UTF-8: the receiver closes with 1007",
          one: "a close frame holds nothing, or at least two bytes: the receiver closes with 1002",
          never: "this code must not travel: the receiver closes with 1002",
          short: (n) => `incomplete: ${n === 1 ? "1 byte is" : `${n} bytes are`} missing`,
          head: "the head of the frame is incomplete",
        },
        names: {
          masked: "text, from a client",
          plain: "text, from a server",
          binary: "binary",
          long: "300 bytes",
          fragments: "fragments, a ping between",
          close: "close 1000",
          reserved: "wrong: a reserved bit",
          utf8: "wrong: not UTF-8",
        },
      };

  const EXAMPLES = {
    masked: "81 85 37 fa 21 3d 7f 9f 4d 51 58",
    plain: "81 05 48 65 6c 6c 6f",
    binary: "82 03 00 ff 10",
    long: `81 7e 01 2c ${"61 ".repeat(300).trim()}`,
    fragments: "01 82 00 00 00 00 68 65\n89 80 00 00 00 00\n80 83 00 00 00 00 6c 6c 6f",
    close: "88 06 03 e8 64 6f 6e 65",
    reserved: "c1 85 37 fa 21 3d 7f 9f 4d 51 58",
    utf8: "81 02 c3 28",
  };

  // Reading

  /** Bytes out of what was pasted: digits in pairs, with or without spaces, `0x`, commas or colons.
      A line as handshake.py prints it works too: an arrow, bytes, two spaces, an explanation. */
  function parseHex(text) {
    const bytes = [];
    for (const line of text.split("\n")) {
      const digits = line.trim().replace(/^[→←]\s*/, "").split(/ {2,}|\t|#/)[0];
      for (const word of digits.split(/[\s,:]+/).filter(Boolean)) {
        const pair = word.replace(/^0x/i, "");
        if (!/^[0-9a-f]+$/i.test(pair)) return { error: WORDS.notHex(word.slice(0, 20)) };
        if (pair.length % 2) return { error: WORDS.odd };
        for (let at = 0; at < pair.length; at += 2) bytes.push(parseInt(pair.slice(at, at + 2), 16));
      }
    }
    return { bytes: Uint8Array.from(bytes) };
  }

  /** The frame that begins at `from`: its fields, its problems, and where it ends. */
  function dissect(bytes, from, message) {
    const frame = { fields: [], problems: [], end: bytes.length };
    const take = (size) => bytes.subarray(from, (from += size));
    const field = (part, ...meanings) => frame.fields.push({ bytes: part, meanings });
    if (bytes.length - from < 2) {
      field(bytes.subarray(from), WORDS.errors.head);
      frame.problems.push(WORDS.errors.head);
      return frame;
    }

    const first = take(1);
    frame.fin = first[0] >> 7;
    frame.opcode = first[0] & 15;
    const reserved = (first[0] >> 4) & 7;
    const name = WORDS.opcodes[frame.opcode] ?? WORDS.unknown;
    const rsv = reserved.toString(2).padStart(3, "0");
    field(first, WORDS.fin(frame.fin), WORDS.rsv(reserved && rsv), WORDS.opcode(frame.opcode, name));
    const second = take(1);
    frame.masked = second[0] >> 7;
    let length = second[0] & 127;
    field(second, WORDS.mask(frame.masked), WORDS.seven(length));

    const control = frame.opcode >= 8;
    if (reserved) frame.problems.push(WORDS.errors.rsv);
    if (!(frame.opcode in WORDS.opcodes)) frame.problems.push(WORDS.errors.opcode);
    if (control && !frame.fin) frame.problems.push(WORDS.errors.split);
    if (control && length > 125) frame.problems.push(WORDS.errors.long);

    if (length > 125) {
      const size = length === 126 ? 2 : 8;
      if (bytes.length - from < size) {
        field(bytes.subarray(from), WORDS.errors.head);
        frame.problems.push(WORDS.errors.head);
        return frame;
      }
      const wide = take(size);
      const exact = wide.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
      field(wide, WORDS.wide(exact));
      if (exact < (size === 2 ? 126n : 65536n)) frame.problems.push(WORDS.errors.minimal);
      if (exact >> 63n) frame.problems.push(WORDS.errors.huge);
      length = Number(exact);
    }

    const key = frame.masked ? take(4) : new Uint8Array();
    if (frame.masked) field(key, WORDS.key);
    const raw = take(length);
    const missing = length - raw.length + (frame.masked ? 4 - key.length : 0);
    const payload = frame.masked ? raw.map((byte, index) => byte ^ key[index % 4]) : raw;
    if (missing) frame.problems.push(WORDS.errors.short(missing));
    if (raw.length) {
      field(raw, frame.masked ? WORDS.masked : WORDS.payload);
      if (frame.masked) frame.fields.push({ bytes: payload, meanings: [WORDS.unmasked], derived: true });
    }
    frame.length = length;
    frame.payload = payload;
    if (!missing) {
      frame.end = from;
      explain(frame, message);
    }
    return frame;
  }

  /** What a whole payload means: a close code and a reason, or text. */
  function explain(frame, message) {
    const { payload, opcode, fields, problems } = frame;
    if (opcode === 8) {
      if (payload.length === 1) problems.push(WORDS.errors.one);
      if (payload.length === 0) fields.push({ bytes: payload, meanings: [WORDS.noCode], derived: true });
      if (payload.length < 2) return;
      const code = payload[0] * 256 + payload[1];
      const meaning = closeMeaning(code);
      fields.push({
        bytes: payload.subarray(0, 2),
        meanings: [`${WORDS.code} ${code} · ${meaning}`],
        derived: true,
      });
      if ([1004, 1005, 1006, 1015].includes(code) || meaning === WORDS.invalid) {
        problems.push(WORDS.errors.never);
      }
      if (payload.length > 2) text(payload.subarray(2), WORDS.reason);
    } else if (opcode < 8) {
      // UTF-8 is a matter of the whole message: a character may be cut between two fragments.
      if (opcode !== 0) message.type = opcode;
      message.parts = opcode === 0 ? [...(message.parts ?? []), payload] : [payload];
      const whole = Uint8Array.from(message.parts.flatMap((part) => [...part]));
      if (frame.fin && message.type === 1) text(whole, WORDS.text);
    } else if (payload.length) {
      text(payload, WORDS.text, false);
    }

    function text(data, label, strict = true) {
      try {
        const decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
        const shown = [...decoded].slice(0, 200).join("");
        const quoted = `“${shown}${shown === decoded ? "" : "…"}”`;
        fields.push({ bytes: new Uint8Array(), meanings: [label, quoted], derived: true });
      } catch {
        if (strict) problems.push(WORDS.errors.utf8);
      }
    }
  }

  function closeMeaning(code) {
    if (window.CLOSE_CODES?.[code]) return window.CLOSE_CODES[code];
    if (code >= 4000 && code <= 4999) return WORDS.privateCode;
    if (code >= 3000 && code <= 3999) return WORDS.registered;
    return code === 1014 ? WORDS.registered : WORDS.invalid;
  }

  // Showing. Everything that was pasted is set as text, never as markup.

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  function hex(bytes) {
    const shown = [...bytes.subarray(0, SHOWN)].map((byte) => byte.toString(16).padStart(2, "0"));
    const more = bytes.length - SHOWN;
    return shown.join(" ") + (more > 0 ? ` ${WORDS.more(more)}` : "");
  }

  function showFrame(frame, number, alone) {
    const known = frame.masked !== undefined;
    const direction = frame.masked ? "to-server" : "to-client";
    const list = element("dl", { className: "fields" });
    for (const { bytes, meanings, derived } of frame.fields) {
      const code = element("code", { textContent: derived ? "" : hex(bytes) });
      if (derived && bytes.length && meanings[0] === WORDS.unmasked) code.textContent = hex(bytes);
      const count = derived || !bytes.length ? "" : WORDS.bytes(bytes.length);
      list.append(
        element(
          "div",
          {},
          element("dt", { className: derived ? "" : direction }, code),
          element("dd", { className: "control", textContent: count }),
          element("dd", { textContent: meanings.join(CHINESE ? "；" : "; ") }),
        ),
      );
    }
    const box = element("div", { className: "frame" });
    const way = known ? (frame.masked ? WORDS.toServer : WORDS.toClient) : "";
    const name = known ? (WORDS.opcodes[frame.opcode] ?? WORDS.unknown) : "";
    const size = frame.length === undefined ? "" : WORDS.bytes(frame.length);
    const parts = [alone ? "" : WORDS.frame(number), way, name, size].filter(Boolean);
    box.append(element("p", { className: `verdict ${direction}`, textContent: parts.join(" · ") }), list);
    for (const problem of frame.problems) {
      box.append(element("p", { className: "problem", textContent: problem }));
    }
    return box;
  }

  let count = 0;

  function build(root) {
    const id = `dissector-${(count += 1)}`;
    const input = element("textarea", { id, rows: 3, spellcheck: false, autocomplete: "off" });
    input.setAttribute("autocapitalize", "off");
    const examples = element("div", { className: "examples" });
    examples.setAttribute("role", "group");
    examples.setAttribute("aria-label", WORDS.examples);
    const bits = element("div", { className: "bits" });
    bits.setAttribute("role", "group");
    bits.setAttribute("aria-label", WORDS.bits);
    const result = element("div", { className: "result" });
    result.setAttribute("aria-live", "polite");

    for (const [key, name] of Object.entries(WORDS.names)) {
      const button = element("button", { type: "button", className: "chip", textContent: name });
      button.addEventListener("click", () => {
        input.value = EXAMPLES[key];
        update();
      });
      examples.append(button);
    }

    const LABELS = [
      ["FIN", "RSV1", "RSV2", "RSV3", "op", "op", "op", "op"],
      ["MASK", "len", "len", "len", "len", "len", "len", "len"],
    ];
    const switches = LABELS.map((labels, place) => {
      const row = element("fieldset");
      row.setAttribute("aria-label", WORDS.byte(place + 1));
      bits.append(row);
      return labels.map((label, bit) => {
        const value = element("span");
        const button = element("button", { type: "button", className: "bit" }, value);
        button.append(element("small", { textContent: label }));
        button.addEventListener("click", () => flip(place, bit));
        row.append(button);
        return button;
      });
    });

    function flip(place, bit) {
      const { bytes } = parseHex(input.value);
      if (!bytes || bytes.length < 2) return;
      bytes[place] ^= 0x80 >> bit;
      input.value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      update();
    }

    function update() {
      const { bytes, error } = parseHex(input.value);
      const head = bytes && bytes.length > 1 ? bytes : null;
      bits.hidden = !head;
      switches.forEach((row, place) =>
        row.forEach((button, bit) => {
          const on = head ? (head[place] >> (7 - bit)) & 1 : 0;
          button.firstChild.textContent = on;
          button.setAttribute("aria-pressed", String(Boolean(on)));
        }),
      );
      result.replaceChildren();
      if (error) {
        result.append(element("p", { className: "problem", textContent: error }));
        return;
      }
      if (!bytes.length) {
        result.append(element("p", { className: "control", textContent: WORDS.empty }));
        return;
      }
      const frames = [];
      const message = { toServer: {}, toClient: {} };
      let at = 0;
      while (at < bytes.length && frames.length < MAX_FRAMES) {
        const side = (bytes[at + 1] ?? 0) >> 7 ? message.toServer : message.toClient;
        const frame = dissect(bytes, at, side);
        frames.push(frame);
        at = frame.end;
      }
      frames.forEach((frame, index) => result.append(showFrame(frame, index + 1, frames.length === 1)));
      if (at < bytes.length) {
        const rest = WORDS.rest(bytes.length - at);
        result.append(element("p", { className: "control", textContent: rest }));
      }
    }

    input.addEventListener("input", update);
    root.append(element("label", { htmlFor: id, textContent: WORDS.label }));
    root.append(input, examples, bits, result);
    input.value = EXAMPLES.masked;
    update();
  }

  window.FrameDissector = { parseHex, dissect }; // for the tests
  const start = () => document.querySelectorAll(".dissector").forEach(build);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

// @ts-check
// What the JavaScript clients do when they are told to: one connection at a time, through the interface that browsers define. Runs in a page, too,
// so it uses nothing but that.

/** @typedef {{ code: number, reason: string }} Ending */

export class Session {
  #WebSocket;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {(string | ArrayBuffer)[]} */
  #messages = [];
  /** @type {Ending | undefined} */
  #ending;
  #wake = () => {};

  /** @param {typeof WebSocket} [Class] */
  constructor(Class = globalThis.WebSocket) {
    this.#WebSocket = Class;
  }

  /** The connection, for what only some clients can do. */
  get socket() {
    return /** @type {WebSocket} */ (this.#socket);
  }

  /**
   * Connects; returns the extensions that were agreed to.
   * @param {string} url
   */
  async open(url) {
    const socket = new this.#WebSocket(url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#messages = [];
    this.#ending = undefined;
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      this.#wake();
    };
    socket.onmessage = ({ data }) => {
      this.#messages.push(data);
      this.#wake();
    };
    socket.onclose = ({ code, reason }) => {
      this.#ending = { code, reason };
      this.#wake();
    };
    socket.onerror = () => {};
    await this.#until(() => isOpen || this.#ending !== undefined);
    return isOpen ? `open ${socket.extensions || '-'}` : this.#ended();
  }

  /**
   * Sends a message, and says whether the same comes back. `send` is how it goes out.
   * @param {string} kind "text" or "binary"
   * @param {string} size bytes, a multiple of 16
   * @param {string} parts for those that can send fragments
   */
  async echo(kind, size, parts, send = (/** @type {(string | Uint8Array<ArrayBuffer>)[]} */ [whole]) => this.socket.send(whole)) {
    const pieces = Array.from({ length: Number(parts) }, () => Session.payload(kind, Number(size) / Number(parts)));
    send(pieces);
    await this.#until(() => this.#messages.length > 0 || this.#ending !== undefined);
    const answer = this.#messages.shift();
    if (answer === undefined) return this.#ended();
    if (typeof answer === 'string') return kind === 'text' && answer === pieces.join('') ? 'same' : `a text of ${answer.length} characters`;
    const bytes = new Uint8Array(answer);
    const [piece] = /** @type {Uint8Array[]} */ (pieces);
    const isSame = kind === 'binary' && bytes.length === Number(size) && bytes.every((byte, n) => byte === piece[n % piece.length]);
    return isSame ? 'same' : `${bytes.length} bytes`;
  }

  /**
   * Closes, with a code or without, and waits for the end.
   * @param {string} [code]
   * @param {string[]} reason
   */
  close(code, ...reason) {
    if (code === undefined) this.socket.close();
    else this.socket.close(Number(code), reason.join(' '));
    return this.wait();
  }

  /** Waits for the end. */
  async wait() {
    await this.#until(() => this.#ending !== undefined);
    return this.#ended();
  }

  /** The same in every client. @param {string} kind @param {number} size */
  static payload(kind, size) {
    if (kind === 'text') return 'aé€😀 bcdé'.repeat(size / 16);
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = i % 251;
    return bytes;
  }

  #ended() {
    const { code, reason } = /** @type {Ending} */ (this.#ending);
    return `closed ${code} ${reason}`.trimEnd();
  }

  /** @param {() => boolean} isMet */
  async #until(isMet) {
    while (!isMet()) {
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }
}

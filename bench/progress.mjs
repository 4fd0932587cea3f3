// @ts-check
// How far the runs have come: on a terminal one line that is written over and over, elsewhere a line per run.

const out = process.stdout;

export class Progress {
  #total;
  #done = 0;
  #began = performance.now();
  #status = '';

  /** @param {number} total runs */
  constructor(total) {
    this.#total = total;
  }

  /** A run has begun. @param {string} what */
  begin(what) {
    this.#status = `${this.#position()} ${what} … ${this.#remaining()}`;
    this.#show();
  }

  /** It has ended. @param {string} what */
  end(what) {
    const position = this.#position();
    this.#done++;
    this.say(`${position} ${what}`);
  }

  /** Runs that will not take place. @param {number} count */
  skip(count) {
    this.#total -= count;
  }

  /** Something to be kept on the screen. @param {string} text */
  say(text) {
    this.#clear();
    console.log(text);
    this.#show();
  }

  /** Nothing more will happen. */
  finish() {
    this.#clear();
    this.#status = '';
  }

  #position() {
    const total = String(this.#total);
    return `[${String(Math.min(this.#done + 1, this.#total)).padStart(total.length)}/${total}]`;
  }

  #remaining() {
    if (this.#done === 0) return '';
    const seconds = ((performance.now() - this.#began) / 1000 / this.#done) * (this.#total - this.#done);
    return seconds < 90 ? `${Math.ceil(seconds)} s left` : `${Math.ceil(seconds / 60)} min left`;
  }

  #clear() {
    if (out.isTTY && this.#status !== '') out.write('\r\x1b[K');
  }

  #show() {
    if (out.isTTY && this.#status !== '') out.write(`\r\x1b[K${this.#status.slice(0, out.columns - 1)}`);
  }
}

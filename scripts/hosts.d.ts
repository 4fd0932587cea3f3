// What a host has beyond Node's types, as far as this package uses it.

declare module 'bun:jsc' {
  /** Runs the microtasks that are due. */
  export function drainMicrotasks(): void;
}

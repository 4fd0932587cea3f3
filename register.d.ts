// `import 'mantou/register'` for its effect: it makes mantou's classes the program's own, for programs that are written for Bun or want
// its speed without naming it. `import … from 'mantou'` alone changes no global.
//
// In Node it puts in place
//
// - `globalThis.Request` and `globalThis.Response`: mantou's. They pass for the host's, and the host's for them (`instanceof`).
// - `globalThis.fetch`: the host's, which also passes on what a handler was asked: the request itself, its body without `duplex: 'half'`, and its
//   headers, of which `expect`, `keep-alive`, `transfer-encoding` and `upgrade` are left out (RFC 9110 §7.6.1); Node's fails with them.
//   The headers of the response can be changed.
// - `globalThis.Bun`, unless there is one: `serve`, `Cookie`, `CookieMap`, `fetch`, `version` (of the Bun that mantou follows), `env`, `argv`,
//   `gc`, and what frameworks for Bun look for: `file`, `write` and `semver`. Whatever else Bun has is not there: `in` says so, and to read it
//   throws an Error that names it.
// - the module `bun`, where no package of that name can be loaded and Node has `module.registerHooks` (22.15, 23.5 and later):
//   `import { serve } from 'bun'` and `require('bun')` find what `Bun` has. Modules are found before any of them runs, so an `import` that
//   stands in the same program needs `node --import mantou/register`. In older Nodes there is none.
// - `globalThis.CloseEvent`, unless there is one: Node has it from version 23 on.
//
// `Bun.file(path)` is a Blob that is read when it is asked for, for responses and for programs: it has `name`, `lastModified`, `exists()`,
// `stat()`, `write(data)` and `delete()` beside a Blob's members; `writer()` and file descriptors are not there. What it is made a part of -
// another Blob, a File, a form, a structuredClone() - has the bytes that it had then: the whole file is read at once, synchronously, and what
// cannot be read throws the error of the system. In a form it is named 'blob' unless it is given a name.
// It is no route by itself, and a Response that is one is read once, at the start: a handler reads it each time.
// `Bun.write(path, data)` reads the data first, then replaces the file, and returns the number of bytes.
//
// In Bun it does nothing: what is there is Bun's.
//
// It belongs first: what was loaded before has kept the globals it found. From Node 24 on, requests cost less with it, because a class of
// the host's own must be made by the host, which takes longer than all the rest.

/** The names of the globals that were put in place. */
export declare const installed: readonly ('Request' | 'Response' | 'fetch' | 'CloseEvent' | 'Bun')[];

declare const register: { installed: typeof installed };
export default register;

//! Who waits for I/O. The runtime is driven by one thread at a time:
//!
//! - **Polled**: always by the JavaScript thread. Its own event loop watches the runtime's epoll descriptor.
//! - **Watched**: by the JavaScript thread while there is work, by a watcher thread while there is none. The watcher runs no
//!   task: it sits in the runtime until a task becomes ready, then hands the runtime over and asks for a turn.
//!
//! The hand-over is the enum [`Holder`] behind one lock; nothing blocks the JavaScript thread, and an engine whose runtime is
//! with the watcher can still poll tasks and send.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread::JoinHandle;

use futures_util::task::AtomicWaker;
use tokio::runtime::{Builder, Handle, Runtime};

/// See the module.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    watcher: Option<Mutex<Option<JoinHandle<()>>>>,
}

struct Shared {
    runtime: Runtime,
    signal: Arc<Signal>,
    holder: Mutex<Holder>,
    changed: Condvar,
}

/// Who drives the runtime now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    JavaScript,
    Watcher,
    /// Nobody any more.
    Gone,
}

impl Driver {
    /// A driver whose runtime stays with the JavaScript thread: the caller's event loop has to watch the runtime itself.
    pub(crate) fn polled(runtime: Runtime) -> Self {
        let rouse = runtime.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        Self { shared: Arc::new(Shared::new(runtime, Holder::JavaScript, Some(rouse))), watcher: None }
    }

    /// A driver with a watcher thread, which calls `request_turn` when a task is ready.
    pub(crate) fn watched(runtime: Runtime, request_turn: impl Fn() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(runtime, Holder::Watcher, None));
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("mantou-watcher".into())
            .stack_size(256 * 1024)
            .spawn(move || watched.watch(request_turn))?;
        Ok(Self { shared, watcher: Some(Mutex::new(Some(thread))) })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        self.shared.runtime.handle()
    }

    pub(crate) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.shared.signal)
    }

    /// Looks for I/O without waiting, if the runtime is here.
    pub(crate) fn poll_io(&self) {
        if self.watcher.is_none() || *self.shared.holder() == Holder::JavaScript {
            // One yield polls the I/O driver exactly once, with a timeout of zero.
            self.shared.runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Says how a turn went. Returns whether the engine may rest until it is woken: not so while the JavaScript thread itself
    /// has to look again.
    pub(crate) fn rest(&self, has_worked: bool) -> bool {
        if self.watcher.is_none() {
            return true;
        }
        let mut holder = self.shared.holder();
        if *holder != Holder::JavaScript {
            return true;
        }
        if has_worked {
            return false;
        }
        *holder = Holder::Watcher;
        self.shared.changed.notify_one();
        true
    }

    /// Ends the watcher thread and waits for it.
    pub(crate) fn shut_down(&self) {
        *self.shared.holder() = Holder::Gone;
        self.shared.changed.notify_one();
        self.shared.signal.idle.wake();
        if let Some(watcher) = &self.watcher {
            let thread = watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                // The watcher runs no code of ours that could panic; a panic of the runtime's was printed by it.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn new(runtime: Runtime, holder: Holder, rouse: Option<Waker>) -> Self {
        Self {
            runtime,
            signal: Arc::new(Signal {
                ready: AtomicBool::new(false),
                idle: AtomicWaker::new(),
                rouse,
                home: this_thread(),
            }),
            holder: Mutex::new(holder),
            changed: Condvar::new(),
        }
    }

    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watcher's life.
    fn watch(&self, request_turn: impl Fn()) {
        loop {
            let mut holder = self.holder();
            while *holder == Holder::JavaScript {
                holder = self.changed.wait(holder).unwrap_or_else(PoisonError::into_inner);
            }
            if *holder == Holder::Gone {
                return;
            }
            drop(holder);
            self.runtime.block_on(self.task_ready());
            let mut holder = self.holder();
            if *holder == Holder::Gone {
                return;
            }
            *holder = Holder::JavaScript;
            drop(holder);
            request_turn();
        }
    }

    /// Waits until a task is ready or the driver is shut down.
    async fn task_ready(&self) {
        poll_fn(|cx| {
            self.signal.idle.register(cx.waker());
            let is_over = self.signal.is_ready() || *self.holder() == Holder::Gone;
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The waker of an engine's task set: remembers that a task is ready, and rouses the watcher when it was its I/O that woke the
/// task. On the JavaScript thread nobody needs to be roused: the engine looks by itself.
pub(crate) struct Signal {
    ready: AtomicBool,
    idle: AtomicWaker,
    /// Where nobody sits in the runtime: makes its descriptor readable, which the event loop of the JavaScript thread sees.
    rouse: Option<Waker>,
    home: usize,
}

impl Signal {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn take_ready(&self) -> bool {
        self.ready.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_ready();
        if this_thread() != self.home {
            self.idle.wake();
            if let Some(rouse) = &self.rouse {
                rouse.wake_by_ref();
            }
        }
    }
}

/// Threads that wait for the disk, at most; there are none until a file is served.
const FILE_THREADS: usize = 4;

/// A runtime that only watches sockets, and the descriptor that tells when it has something to say, where there is one.
pub(crate) fn new_runtime() -> io::Result<(Runtime, Option<i32>)> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .max_blocking_threads(FILE_THREADS)
        .thread_name("mantou-files")
        .build()?;
    #[cfg(target_os = "linux")]
    let epoll = epoll_of(&runtime)?;
    #[cfg(not(target_os = "linux"))]
    let epoll = None;
    Ok((runtime, epoll))
}

/// tokio does not tell its epoll descriptor, but Linux does: it is the one that lists a socket registered with the runtime.
/// `None` where /proc is not mounted.
#[cfg(target_os = "linux")]
fn epoll_of(runtime: &Runtime) -> io::Result<Option<i32>> {
    use std::os::fd::AsRawFd;

    let (probe, _other) = std::os::unix::net::UnixStream::pair()?;
    probe.set_nonblocking(true)?;
    let _runtime = runtime.enter();
    let probe = tokio::net::UnixStream::from_std(probe)?;
    let wanted = probe.as_raw_fd().to_string();
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fdinfo") else { return Ok(None) };
    for descriptor in descriptors.flatten() {
        let Ok(info) = std::fs::read_to_string(descriptor.path()) else { continue };
        let mut targets =
            info.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
        if targets.any(|target| target == wanted) {
            return Ok(descriptor.file_name().to_str().and_then(|name| name.parse().ok()));
        }
    }
    Ok(None)
}

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

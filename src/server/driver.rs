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

#[cfg(all(test, unix))]
mod tests {
    use std::cell::Cell;
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream as Peer;
    use std::rc::Rc;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
    use std::task::Context;
    use std::thread;
    use std::time::Duration;

    use tokio::net::UnixStream;

    use super::*;
    use crate::server::engine::{Engine, Host};

    /// Far more than a turn takes on a busy machine: reaching it means that a wake was lost.
    const PATIENCE: Duration = Duration::from_secs(20);
    /// How long nothing must happen for "nothing happens": a spin would have come round thousands of times.
    const QUIET: Duration = Duration::from_millis(50);

    /// A driver with a watcher, and the turns that it asks for.
    fn watched() -> (Driver, Receiver<()>) {
        let (request, requests) = channel();
        let (runtime, _) = new_runtime().unwrap();
        let driver = Driver::watched(runtime, move || ask(&request, ())).unwrap();
        (driver, requests)
    }

    /// Asks for a turn; who no longer listens needs none.
    fn ask<T>(calls: &Sender<T>, turn: T) {
        let _ = calls.send(turn);
    }

    /// Wakes as another thread does.
    fn wake_elsewhere(driver: &Driver) {
        let waker = driver.signal().waker();
        thread::spawn(move || waker.wake()).join().unwrap();
    }

    /// Has the watcher hand over the runtime.
    fn fetch_runtime(driver: &Driver, requests: &Receiver<()>) {
        wake_elsewhere(driver);
        requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(*driver.shared.holder(), Holder::JavaScript);
        assert!(driver.signal().take_ready());
    }

    #[test]
    fn a_wake_is_answered_with_one_request_for_a_turn() {
        let (driver, requests) = watched();
        wake_elsewhere(&driver);
        assert_eq!(requests.recv_timeout(PATIENCE), Ok(()));
        assert_eq!(requests.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn a_wake_between_the_last_look_and_the_hand_over_is_not_lost() {
        let (driver, requests) = watched();
        for _ in 0..100 {
            fetch_runtime(&driver, &requests);
            wake_elsewhere(&driver);
            assert_eq!(requests.try_recv(), Err(TryRecvError::Empty), "the runtime is here already");
            assert!(driver.rest(false));
            assert_eq!(requests.recv_timeout(PATIENCE), Ok(()));
            assert!(driver.signal().take_ready());
            assert!(driver.rest(false));
        }
    }

    #[test]
    fn a_wake_at_any_moment_of_the_hand_over_is_not_lost() {
        let (driver, requests) = watched();
        let waker = driver.signal().waker();
        let (permit, permits) = channel();
        let other = thread::spawn(move || {
            let mut random = Random(1);
            for () in permits {
                // About as long as the watcher takes to get into the runtime, or less.
                (0..random.below(1_000)).for_each(|_| std::hint::spin_loop());
                waker.wake_by_ref();
            }
        });
        for wake in 0..30_000 {
            // The watcher and the other thread set off at the same time.
            permit.send(()).unwrap();
            assert!(driver.rest(false));
            assert_eq!(requests.recv_timeout(PATIENCE), Ok(()), "wake {wake}");
            assert!(driver.signal().take_ready());
        }
        drop(permit);
        other.join().unwrap();
    }

    #[test]
    fn io_that_comes_after_the_last_look_is_not_lost() {
        let (driver, requests) = watched();
        let (ours, mut peer) = pair(&driver);
        let waker = driver.signal().waker();
        let mut cx = Context::from_waker(&waker);
        for _ in 0..100 {
            fetch_runtime(&driver, &requests);
            driver.poll_io();
            assert!(ours.poll_read_ready(&mut cx).is_pending());
            peer.write_all(b"x").unwrap();
            assert!(!driver.signal().is_ready(), "nobody has looked");
            assert!(driver.rest(false));

            assert_eq!(requests.recv_timeout(PATIENCE), Ok(()));
            assert!(driver.signal().take_ready());
            assert!(ours.poll_read_ready(&mut cx).is_ready());
            assert_eq!(ours.try_read(&mut [0; 2]).unwrap(), 1);
            assert_eq!(ours.try_read(&mut [0; 2]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(driver.rest(false));
        }
    }

    #[test]
    fn the_runtime_stays_while_there_is_work_and_then_rests_with_the_watcher() {
        let (driver, requests) = watched();
        fetch_runtime(&driver, &requests);
        assert!(!driver.rest(true));
        assert_eq!(*driver.shared.holder(), Holder::JavaScript);
        assert!(driver.rest(false));
        assert_eq!(*driver.shared.holder(), Holder::Watcher);
        assert_eq!(requests.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout));
    }

    #[test]
    fn the_watcher_ends_wherever_it_is() {
        for round in 0..300 {
            let (driver, requests) = watched();
            match round % 3 {
                // Perhaps not even begun.
                0 => {}
                // On its way out of the runtime, or with it handed over.
                1 => wake_elsewhere(&driver),
                // On its way back in.
                _ => {
                    fetch_runtime(&driver, &requests);
                    driver.rest(false);
                }
            }
            driver.shut_down();
            assert_eq!(Arc::strong_count(&driver.shared), 1, "the thread has let go");
        }
    }

    /// A socket of the driver's runtime and its other end.
    fn pair(driver: &Driver) -> (UnixStream, Peer) {
        let (ours, peer) = Peer::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let _runtime = driver.runtime().enter();
        (UnixStream::from_std(ours).unwrap(), peer)
    }

    /// What the event loop of the JavaScript thread is told.
    enum Call {
        Turn,
        /// The peers have had all their answers, or not.
        Over(Result<Load, String>),
    }

    /// What the peers did.
    struct Load {
        messages: usize,
    }

    /// Asks through the channel, as libuv is asked; what JavaScript does about `settle_soon` is the test's.
    struct Loop {
        calls: Sender<Call>,
        settles_soon: Rc<Cell<bool>>,
    }

    impl Host for Loop {
        fn wake(&self) {
            self.calls.send(Call::Turn).unwrap();
        }

        fn settle_soon(&self) {
            self.settles_soon.set(true);
        }

        fn wake_after(&self, _: u64) {
            unreachable!("no task here asks for the time");
        }

        fn keep_alive(&self, _: bool) {}
    }

    /// Numbers of which the next cannot be guessed but comes again with the same seed (xorshift).
    struct Random(u32);

    impl Random {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            self.0 % limit
        }

        /// Mostly nothing, often about as long as a turn or a hand-over takes, now and then long enough for everyone to fall asleep.
        fn gap(&mut self) -> Duration {
            match self.below(40) {
                0 => Duration::from_micros(u64::from(self.below(50_000))),
                1..16 => Duration::from_micros(u64::from(self.below(200))),
                _ => Duration::ZERO,
            }
        }
    }

    /// Every message comes back, in order, whatever the moment at which it finds the runtime; and nobody works when there is none.
    #[test]
    fn under_random_load_nothing_is_lost_and_nothing_spins() {
        const SOCKETS: usize = 64;
        const BURSTS: usize = 1_000;

        for seed in [1, 0x9e37_79b9, 0xdead_beef] {
            let (calls, called) = channel();
            let request = calls.clone();
            let (runtime, _) = new_runtime().unwrap();
            let driver = Driver::watched(runtime, move || ask(&request, Call::Turn)).unwrap();
            let (sockets, peers): (Vec<_>, Vec<_>) = (0..SOCKETS).map(|_| pair(&driver)).unzip();
            let settles_soon = Rc::new(Cell::new(false));
            let host = Loop { calls: calls.clone(), settles_soon: Rc::clone(&settles_soon) };
            let engine = Engine::new(driver, Box::new(host));
            for socket in sockets {
                engine.spawn(echo(socket));
            }
            engine.after_call();
            let client = thread::spawn(move || {
                calls.send(Call::Over(play(peers, BURSTS, Random(seed)))).unwrap();
            });

            let mut random = Random(!seed);
            let (mut turns, mut own) = (0, 0);
            let load = loop {
                if settles_soon.take() {
                    engine.settle();
                }
                let call = called.recv_timeout(PATIENCE * 2).expect("the client ends before that");
                if let Call::Over(result) = call {
                    break result.unwrap();
                }
                turns += 1;
                engine.turn(&|| unreachable!("nobody makes events"));
                // JavaScript that runs outside a turn: it adds a task, or a timer of its own asks for a turn that nobody needs.
                match random.below(20) {
                    0 => {
                        own += 1;
                        engine.spawn(async {});
                        engine.after_call();
                    }
                    1 => {
                        own += 1;
                        turns += 1;
                        engine.turn(&|| unreachable!("nobody makes events"));
                    }
                    _ => {}
                }
            };
            client.join().unwrap();

            // A message makes at most one turn with work and the empty one behind it.
            let most = 2 * (load.messages + own) + 8;
            assert!(turns <= most, "{turns} turns for {} messages and {own} calls", load.messages);
            // The last answers may have left in a turn whose empty follower is still to come.
            while let Ok(Call::Turn) = called.recv_timeout(QUIET) {
                engine.turn(&|| unreachable!("nobody makes events"));
                turns += 1;
                assert!(turns <= most, "turns without an end");
            }
            engine.shut_down();
        }
    }

    /// Sends back what comes.
    async fn echo(socket: UnixStream) {
        let mut buffer = [0; 1024];
        loop {
            socket.readable().await.unwrap();
            match socket.try_read(&mut buffer) {
                // The few bytes that are under way always fit.
                Ok(count) if count > 0 => assert_eq!(socket.try_write(&buffer[..count]).unwrap(), count),
                Ok(_) => return,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    /// Sends numbered messages of four bytes from one, a few or all peers at once, and reads every answer.
    fn play(mut peers: Vec<Peer>, bursts: usize, mut random: Random) -> Result<Load, String> {
        let mut sent = vec![0_u32; peers.len()];
        let mut answered = sent.clone();
        for burst in 0..bursts {
            let size = match random.below(20) {
                0 => peers.len(),
                1..6 => 1 + random.below(8) as usize,
                _ => 1,
            };
            let first = random.below(peers.len() as u32) as usize;
            let busy: Vec<_> = (first..first + size).map(|at| at % peers.len()).collect();
            for &at in &busy {
                for _ in 0..=random.below(3) {
                    peers[at].write_all(&sent[at].to_le_bytes()).map_err(|error| error.to_string())?;
                    sent[at] += 1;
                }
            }
            thread::sleep(random.gap());
            // Some answers are read only after later messages.
            if random.below(4) == 0 && burst + 1 < bursts {
                continue;
            }
            for (at, peer) in peers.iter_mut().enumerate() {
                while answered[at] < sent[at] {
                    let mut number = [0; 4];
                    peer.read_exact(&mut number).map_err(|error| {
                        format!("burst {burst}: no answer to message {} of peer {at}: {error}", answered[at])
                    })?;
                    if u32::from_le_bytes(number) != answered[at] {
                        return Err(format!("peer {at} got {number:?} instead of {}", answered[at]));
                    }
                    answered[at] += 1;
                }
            }
            thread::sleep(random.gap());
        }
        Ok(Load { messages: sent.iter().sum::<u32>() as usize })
    }
}

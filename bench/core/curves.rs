//! How costs grow: the same work with more and more of what surrounds it. Nanoseconds of this thread's time, the least of several runs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mantou::internals::Audience;

/// A cost as a function of a size.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// Prepares for a size; what comes back does the work once and says how many operations it was.
    prepare: fn(size: usize) -> Box<dyn FnMut() -> usize>,
}

/// From so many to so many, by tens.
const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Each size is measured so often, for so long.
const RUNS: usize = 7;
const RUN: Duration = Duration::from_millis(60);
/// Receivers of a publication where the size is something else.
const FEW: usize = 10;

pub(crate) const CURVES: &[Curve] = &[
    Curve { name: "publish to n subscribers, each", prepare: |size| publish(size, size, 0) },
    Curve { name: "publish to 10 of n sockets, each", prepare: |size| publish(size, FEW, 0) },
    Curve { name: "publish to 10, among n topics, each", prepare: |size| publish(2 * FEW, FEW, size) },
    Curve { name: "subscribe to and leave a topic of n subscribers", prepare: come_and_go },
    Curve { name: "subscribe to and leave one topic more than n", prepare: one_more },
    Curve { name: "subscribe to n topics and leave them, each", prepare: storm },
];

impl Curve {
    /// Nanoseconds of an operation for each size.
    pub(crate) fn measure(&self) -> impl Iterator<Item = (usize, f64)> {
        SIZES.into_iter().map(|size| {
            let mut work = (self.prepare)(size);
            black_box(work());
            let least = (0..RUNS).map(|_| run(&mut work)).min_by(f64::total_cmp);
            (size, least.expect("it is run more than once"))
        })
    }
}

fn run(work: &mut impl FnMut() -> usize) -> f64 {
    let began = Instant::now();
    let mut operations = 0;
    while operations == 0 || began.elapsed() < RUN {
        operations += black_box(work());
    }
    began.elapsed().as_nanos() as f64 / operations as f64
}

fn publish(sockets: usize, receivers: usize, other_topics: usize) -> Box<dyn FnMut() -> usize> {
    let mut audience = Audience::new(sockets);
    assert!((0..receivers).all(|socket| audience.subscribe(socket, "news")));
    assert!((0..other_topics).all(|topic| audience.subscribe(sockets - 1 - topic % FEW, &name(topic))));
    let message = [b'.'; 64];
    Box::new(move || {
        assert_eq!(audience.publish("news", &message, None), receivers);
        assert!(audience.flush() > 64 * receivers);
        receivers
    })
}

fn come_and_go(subscribers: usize) -> Box<dyn FnMut() -> usize> {
    let audience = Audience::new(subscribers + 1);
    assert!((0..subscribers).all(|socket| audience.subscribe(socket, "news")));
    Box::new(move || {
        assert!(audience.subscribe(subscribers, "news") && audience.unsubscribe(subscribers, "news"));
        1
    })
}

fn one_more(topics: usize) -> Box<dyn FnMut() -> usize> {
    let audience = Audience::new(1);
    assert!((0..topics).all(|topic| audience.subscribe(0, &name(topic))));
    Box::new(move || {
        assert!(audience.subscribe(0, "one more") && audience.unsubscribe(0, "one more"));
        1
    })
}

fn storm(topics: usize) -> Box<dyn FnMut() -> usize> {
    let audience = Audience::new(1);
    let names: Vec<_> = (0..topics).map(name).collect();
    Box::new(move || {
        assert!(names.iter().all(|name| audience.subscribe(0, name)));
        assert!(names.iter().all(|name| audience.unsubscribe(0, name)));
        topics
    })
}

fn name(topic: usize) -> String {
    format!("topic {topic}")
}

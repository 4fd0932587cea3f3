//! Which route a request takes (§9 of the reference). Patterns go in, a path finds the target it is for: `/exact`, `/:parameter`,
//! `/prefix/*`. Sans-IO; what a target is, and what becomes of a parameter, is not known here.
//!
//! Segment by segment an exact name comes before a parameter, a parameter before a wildcard; where what follows does not match, or does
//! not take the method, the next of the three is tried. Paths are compared as they came, byte by byte: nothing is decoded or normalised.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use http::Method;

/// See the module.
#[derive(Debug)]
pub(crate) struct Router<T> {
    root: Node<T>,
}

/// Where a path has led.
#[derive(Debug)]
pub(crate) struct Found<'a, T> {
    pub(crate) target: &'a T,
    /// Where in the path the wildcard begins, or its end when the route has none.
    pub(crate) rest: usize,
}

/// What can follow a prefix of segments.
#[derive(Debug)]
struct Node<T> {
    exact: HashMap<Box<[u8]>, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    /// `*`, or anything that begins with it: the first one given comes first.
    wildcards: Vec<(Box<[u8]>, Targets<T>)>,
    targets: Targets<T>,
}

/// What a route does, by method.
#[derive(Debug)]
struct Targets<T> {
    by_method: Vec<(Method, T)>,
    other: Option<T>,
}

impl<T> Router<T> {
    pub(crate) fn new() -> Self {
        Self { root: Node::new() }
    }

    /// Adds a route for a method, or for every method that has none of its own. It replaces one with the same pattern, whatever the
    /// parameters are called.
    pub(crate) fn insert(&mut self, pattern: &[u8], method: Option<Method>, target: T) {
        if let Some(targets) = self.root.targets(pattern) {
            targets.set(method, target);
        }
    }

    /// The target for a path, of those that `accepts` takes. The path has no query; one that does not begin with `/` finds nothing.
    pub(crate) fn find(
        &self,
        path: &[u8],
        method: &Method,
        accepts: impl Fn(&T) -> bool,
    ) -> Option<Found<'_, T>> {
        if path.first() != Some(&b'/') {
            return None;
        }
        self.root.find(path, 1, &|targets| targets.get(method).filter(|target| accepts(target)))
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { exact: HashMap::new(), parameter: None, wildcards: Vec::new(), targets: Targets::new() }
    }

    /// The targets of a pattern, made where there are none. A wildcard in the middle matches nothing, as in Bun.
    fn targets(&mut self, pattern: &[u8]) -> Option<&mut Targets<T>> {
        let mut segments = pattern.strip_prefix(b"/")?.split(|&byte| byte == b'/').peekable();
        let mut node = self;
        while let Some(segment) = segments.next() {
            node = match segment.first() {
                Some(b'*') => {
                    let is_last = segments.peek().is_none();
                    return is_last.then(|| node.wildcard(segment));
                }
                Some(b':') => node.parameter.get_or_insert_with(|| Box::new(Self::new())),
                _ => node.exact.entry(segment.into()).or_insert_with(Self::new),
            };
        }
        Some(&mut node.targets)
    }

    fn wildcard(&mut self, segment: &[u8]) -> &mut Targets<T> {
        let known = self.wildcards.iter().position(|(name, _)| **name == *segment);
        let index = known.unwrap_or_else(|| {
            self.wildcards.push((segment.into(), Targets::new()));
            self.wildcards.len() - 1
        });
        &mut self.wildcards[index].1
    }

    /// Goes on with the segment at `start`; beyond the end of the path there is none. It is as deep as the deepest pattern at most.
    fn find<'a>(
        &'a self,
        path: &[u8],
        start: usize,
        choose: &impl Fn(&'a Targets<T>) -> Option<&'a T>,
    ) -> Option<Found<'a, T>> {
        if start > path.len() {
            return choose(&self.targets).map(|target| Found { target, rest: path.len() });
        }
        let length = path[start..].iter().position(|&byte| byte == b'/').unwrap_or(path.len() - start);
        let (segment, next) = (&path[start..start + length], start + length + 1);
        let exact = self.exact.get(segment).and_then(|node| node.find(path, next, choose));
        exact
            .or_else(|| {
                let parameter = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
                parameter.find(path, next, choose)
            })
            .or_else(|| {
                let target = self.wildcards.iter().find_map(|(_, targets)| choose(targets))?;
                Some(Found { target, rest: start })
            })
    }
}

impl<T> Targets<T> {
    const fn new() -> Self {
        Self { by_method: Vec::new(), other: None }
    }

    fn set(&mut self, method: Option<Method>, target: T) {
        let Some(method) = method else {
            self.other = Some(target);
            return;
        };
        self.by_method.retain(|(known, _)| *known != method);
        self.by_method.push((method, target));
    }

    fn get(&self, method: &Method) -> Option<&T> {
        let own = self.by_method.iter().find(|(known, _)| known == method);
        own.map(|(_, target)| target).or(self.other.as_ref())
    }
}

/// The path that routes are found by: a request target without its query, nor scheme and authority. `None` for `*`.
pub(crate) fn path_of(target: &[u8]) -> Option<&[u8]> {
    let target = if target.first() == Some(&b'/') { target } else { after_authority(target)? };
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let path = &target[..end];
    Some(if path.is_empty() { b"/" } else { path })
}

/// What follows the authority of an absolute-form target (RFC 9112 §3.2.2).
fn after_authority(target: &[u8]) -> Option<&[u8]> {
    let start = target.windows(3).position(|window| window == b"://")? + 3;
    let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    Some(&target[length.map_or(target.len(), |length| start + length)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[&'static str]) -> Router<&'static str> {
        let mut router = Router::new();
        for &pattern in patterns {
            router.insert(pattern.as_bytes(), None, pattern);
        }
        router
    }

    fn get<'a>(router: &Router<&'a str>, path: &str) -> Option<&'a str> {
        router.find(path.as_bytes(), &Method::GET, |_| true).map(|found| *found.target)
    }

    #[test]
    fn an_exact_segment_comes_before_a_parameter_and_a_parameter_before_a_wildcard() {
        let router = router(&["/*", "/a/*", "/:x", "/a/:y", "/a/b", "/a", "/a/"]);
        let expected = [
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a/b", "/a/b"),
            ("/a/c", "/a/:y"),
            ("/a/b/", "/a/*"),
            ("/a/b/c", "/a/*"),
            ("/z", "/:x"),
            ("/z/", "/*"),
            ("/", "/*"),
            ("//", "/*"),
        ];
        for (path, pattern) in expected {
            assert_eq!(get(&router, path), Some(pattern), "{path}");
        }
    }

    #[test]
    fn a_parameter_is_one_segment_that_is_not_empty() {
        let router = router(&["/:x", "/p/:a/:b"]);
        assert_eq!(get(&router, "/1"), Some("/:x"));
        assert_eq!(get(&router, "/p/1/2"), Some("/p/:a/:b"));
        for path in ["/", "/1/", "/p/1/", "/p//2", "/p/1/2/3"] {
            assert_eq!(get(&router, path), None, "{path}");
        }
    }

    #[test]
    fn a_wildcard_takes_what_follows_its_slash_even_nothing() {
        let router = router(&["/w/*"]);
        assert_eq!(get(&router, "/w/"), Some("/w/*"));
        assert_eq!(get(&router, "/w/x/y/"), Some("/w/*"));
        assert_eq!(get(&router, "/w"), None);
        let found = router.find(b"/w/x/y", &Method::GET, |_| true).expect("a wildcard");
        assert_eq!(found.rest, "/w/".len());
    }

    #[test]
    fn a_path_that_leads_nowhere_tries_the_next_kind_of_segment() {
        let router = router(&["/x/:a/q", "/x/b/*", "/x/*", "/x/b/c/d"]);
        assert_eq!(get(&router, "/x/b/q"), Some("/x/b/*"));
        assert_eq!(get(&router, "/x/c/q"), Some("/x/:a/q"));
        assert_eq!(get(&router, "/x/b/c"), Some("/x/b/*"));
        assert_eq!(get(&router, "/x/c/z"), Some("/x/*"));
        assert_eq!(get(&router, "/x/b"), Some("/x/*"));
    }

    #[test]
    fn parameters_of_different_names_are_the_same_segment_and_the_later_route_stands() {
        let router = router(&["/:a/x", "/:b/*", "/:a", "/:b"]);
        assert_eq!(get(&router, "/1/x"), Some("/:a/x"));
        assert_eq!(get(&router, "/1/y"), Some("/:b/*"));
        assert_eq!(get(&router, "/1"), Some("/:b"));
    }

    #[test]
    fn of_two_wildcards_the_first_given_stands() {
        assert_eq!(get(&router(&["/a/*x", "/a/*"]), "/a/1"), Some("/a/*x"));
        assert_eq!(get(&router(&["/a/*", "/a/*x"]), "/a/1"), Some("/a/*"));
    }

    #[test]
    fn a_wildcard_in_the_middle_matches_nothing() {
        let router = router(&["/*/b", "/a*"]);
        assert_eq!(get(&router, "/x/b"), None);
        assert_eq!(get(&router, "/*/b"), None);
        assert_eq!(get(&router, "/ab"), None);
        assert_eq!(get(&router, "/a*"), Some("/a*"));
    }

    #[test]
    fn a_method_of_its_own_comes_before_the_rest_and_one_that_is_missing_leads_on() {
        let mut router = Router::new();
        router.insert(b"/a", Some(Method::GET), "GET /a");
        router.insert(b"/:x", None, "any /:x");
        router.insert(b"/:x", Some(Method::PUT), "PUT /:x");
        router.insert(b"/*", Some(Method::GET), "GET /*");
        let find =
            |method, path: &str| router.find(path.as_bytes(), &method, |_| true).map(|found| *found.target);
        assert_eq!(find(Method::GET, "/a"), Some("GET /a"));
        assert_eq!(find(Method::POST, "/a"), Some("any /:x"));
        assert_eq!(find(Method::PUT, "/a"), Some("PUT /:x"));
        assert_eq!(find(Method::GET, "/a/b"), Some("GET /*"));
        assert_eq!(find(Method::POST, "/a/b"), None);
    }

    #[test]
    fn a_target_that_is_not_accepted_leads_on() {
        let router = router(&["/a", "/*"]);
        let found = router.find(b"/a", &Method::GET, |target| *target != "/a");
        assert_eq!(found.map(|found| *found.target), Some("/*"));
    }

    #[test]
    fn paths_are_compared_as_they_came() {
        let router = router(&["/a", "/%C3%A9", "/./x", "//"]);
        for path in ["/A", "/%61", "/a#x", "/%c3%a9", "/x", "a", "", "*"] {
            assert_eq!(get(&router, path), None, "{path}");
        }
        for path in ["/a", "/%C3%A9", "/./x", "//"] {
            assert_eq!(get(&router, path), Some(path));
        }
    }

    #[test]
    fn the_path_of_a_target_has_no_query_scheme_or_authority() {
        let expected: [(&str, Option<&str>); 9] = [
            ("/a", Some("/a")),
            ("/a?b=/c", Some("/a")),
            ("/a#b", Some("/a#b")),
            ("/?", Some("/")),
            ("http://host/a?b", Some("/a")),
            ("http://host", Some("/")),
            ("http://host?x", Some("/")),
            ("*", None),
            ("host:80", None),
        ];
        for (target, path) in expected {
            assert_eq!(path_of(target.as_bytes()), path.map(str::as_bytes), "{target}");
        }
    }
}

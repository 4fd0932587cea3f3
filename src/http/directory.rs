//! Directory routes (§9 of the reference): the files below a directory, and no way out of it.
//!
//! A path is taken apart before the file system sees it: dot segments, empty ones, encoded slashes, backslashes, colons and NUL name
//! nothing. Symbolic links are the kernel's affair where it has `openat2` (Linux): it follows those that stay below the directory and
//! refuses the others, absolute ones among them, with no gap between the check and the use. Elsewhere a path must lead, links
//! resolved, to a place below the directory.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::body::ResponseBody;
use super::conditions::{self, Extent, Validators, Verdict};
use super::exchange::Exchange;
use super::file_body::{Content, FileBody};
use super::media_type;
use super::router;

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    root: Arc<Root>,
}

impl Directory {
    /// Fails where there is no directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: Arc::new(Root::open(path)?) })
    }

    /// Answers a request with the file that its target names from `rest` on. The answer comes when the disk has answered.
    pub(crate) fn serve(&self, exchange: &Rc<Exchange>, target: &[u8], rest: usize) {
        let path = router::path_of(target).unwrap_or_default();
        let Some(name) = Name::parse(&path[rest..]) else {
            exchange.answer(Reply::empty(StatusCode::NOT_FOUND).into_response(exchange));
            return;
        };
        let root = Arc::clone(&self.root);
        let (method, fields) = (exchange.method.clone(), exchange.fields().into_owned());
        let job = move || reply(&root, &name, &method, &fields);
        let job = exchange.server().engine.runtime().spawn_blocking(job);
        let location = location(target, path);
        let exchange = Rc::clone(exchange);
        exchange.server().engine.clone().spawn(async move {
            let reply = match job.await {
                Ok(Ok(Outcome::Reply(reply))) => reply,
                Ok(Ok(Outcome::Directory)) => Reply::redirect(location),
                Ok(Err(error)) if names_nothing(&error) => Reply::empty(StatusCode::NOT_FOUND),
                Ok(Err(_)) | Err(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
            };
            if exchange.awaits_answer() {
                let response = reply.into_response(&exchange);
                exchange.answer(response);
            }
        });
    }
}

/// Where the directory is that a target without a slash at its end names.
fn location(target: &[u8], path: &[u8]) -> Option<HeaderValue> {
    let query = target.iter().position(|&byte| byte == b'?').map_or(&b""[..], |at| &target[at..]);
    HeaderValue::from_bytes(&[path, b"/", query].concat()).ok()
}

/// A path below the directory.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    path: PathBuf,
    /// It ends with a slash, or is the directory itself.
    is_directory: bool,
}

impl Name {
    /// `None` for what can name no file below the directory.
    fn parse(raw: &[u8]) -> Option<Self> {
        let mut path = PathBuf::new();
        let mut segments = raw.split(|&byte| byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_none() {
                return Some(Self { path, is_directory: true });
            }
            let segment = decode(segment)?;
            if matches!(&*segment, b"" | b"." | b"..") {
                return None;
            }
            path.push(into_os_string(segment)?);
        }
        Some(Self { path, is_directory: false })
    }
}

/// Decodes the escapes of a segment. `None` for escapes that are none or need not be, and for bytes that some system gives a meaning in a
/// path.
fn decode(segment: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'%' { unescape(*bytes.next()?, *bytes.next()?)? } else { byte };
        if matches!(byte, b'\0' | b'/' | b'\\' | b':') {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

/// The byte of an escape. `None` where that could stand for itself: routes go by the path as it is written, and what one of them guards must
/// not have another name here.
fn unescape(high: u8, low: u8) -> Option<u8> {
    Some(hex(high)? << 4 | hex(low)?).filter(|&byte| !is_pchar(byte))
}

/// RFC 3986 §3.3: what a segment is made of beside escapes.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(unix)]
fn into_os_string(bytes: Vec<u8>) -> Option<std::ffi::OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn into_os_string(bytes: Vec<u8>) -> Option<std::ffi::OsString> {
    String::from_utf8(bytes).ok().map(Into::into)
}

/// The directory. Where it is held open it stays the same one, whatever happens to its name.
#[derive(Debug)]
enum Root {
    #[cfg(target_os = "linux")]
    Held(std::os::fd::OwnedFd),
    /// The path, links resolved.
    Path(PathBuf),
}

/// What a name leads to.
#[derive(Debug)]
enum Entry {
    File(File, Metadata),
    Directory,
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        #[cfg(target_os = "linux")]
        if let Some(root) = Self::hold(path)? {
            return Ok(root);
        }
        Ok(Self::Path(fs::canonicalize(path)?))
    }

    /// `None` where the kernel has no `openat2`, or a sandbox forbids it.
    #[cfg(target_os = "linux")]
    fn hold(path: &Path) -> io::Result<Option<Self>> {
        use rustix::fs::{Mode, OFlags};

        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(beneath(&root, Path::new(".")).is_ok().then_some(Self::Held(root)))
    }

    /// Opens what `path` leads to: a regular file or a directory.
    fn find(&self, path: &Path) -> io::Result<Entry> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Held(root) => {
                let file = beneath(root, if path.as_os_str().is_empty() { Path::new(".") } else { path })?;
                let metadata = file.metadata()?;
                entry(file, metadata)
            }
            Self::Path(root) => {
                let path = fs::canonicalize(root.join(path))?;
                if !path.starts_with(root) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                // Windows opens no directory, and whatever else is opened had better be a file.
                let metadata = fs::metadata(&path)?;
                if metadata.is_dir() {
                    return Ok(Entry::Directory);
                }
                if !metadata.is_file() {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                entry(file, metadata)
            }
        }
    }
}

fn entry(file: File, metadata: Metadata) -> io::Result<Entry> {
    if metadata.is_dir() {
        Ok(Entry::Directory)
    } else if metadata.is_file() {
        Ok(Entry::File(file, metadata))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Opens a path that the kernel does not let out of `root`. A FIFO or a device is opened without waiting for its other side.
#[cfg(target_os = "linux")]
fn beneath(root: &std::os::fd::OwnedFd, path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RENAME_RETRIES {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            result => return Ok(File::from(result?)),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The kernel gives up, for now, when something is renamed while it follows a `..` of a link.
#[cfg(target_os = "linux")]
const RENAME_RETRIES: usize = 8;

/// Whether an error says that there is nothing, or nothing for the client, under a name; otherwise the server is in trouble.
fn names_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        CrossesDevices, InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied,
    };

    #[cfg(unix)]
    let is_loop = error.raw_os_error() == Some(libc::ELOOP);
    #[cfg(not(unix))]
    let is_loop = false;
    let kind = error.kind();
    is_loop
        // `CrossesDevices` is how `openat2` refuses a way out.
        || matches!(kind, NotFound | NotADirectory | PermissionDenied | CrossesDevices | InvalidFilename | InvalidInput)
}

/// What a name comes to.
enum Outcome {
    Reply(Reply),
    /// A directory that was named without the slash.
    Directory,
}

/// An answer in the making.
struct Reply {
    status: StatusCode,
    fields: HeaderMap,
    content: Option<(Content, u64)>,
}

/// Looks for a file and reads the first piece of what is wanted of it. Blocks.
fn reply(root: &Root, name: &Name, method: &Method, fields: &HeaderMap) -> io::Result<Outcome> {
    let mut path = name.path.clone();
    let mut entry = root.find(&path)?;
    if name.is_directory {
        let Entry::Directory = entry else { return Err(io::ErrorKind::NotFound.into()) };
        path.push("index.html");
        entry = root.find(&path)?;
        let Entry::File(..) = entry else { return Err(io::ErrorKind::NotFound.into()) };
    }
    match entry {
        Entry::Directory => Ok(Outcome::Directory),
        Entry::File(file, metadata) => reply_with(file, &metadata, &path, method, fields).map(Outcome::Reply),
    }
}

fn reply_with(
    mut file: File,
    metadata: &Metadata,
    path: &Path,
    method: &Method,
    fields: &HeaderMap,
) -> io::Result<Reply> {
    let length = metadata.len();
    // The field has whole seconds.
    let seconds = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let modified = UNIX_EPOCH + Duration::from_secs(seconds);
    let etag = format!("W/\"{length:x}-{seconds:x}\"");
    let mut reply = Reply::empty(StatusCode::OK);
    let extension = path.extension().unwrap_or_default().as_encoded_bytes();
    reply.set(header::CONTENT_TYPE, media_type::of_extension(extension));
    reply.set(header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    reply.set(header::ETAG, &etag);

    let validators = Validators { etag: Some(etag.as_bytes()), modified: Some(modified) };
    let is_conditional = conditions::apply_to(method);
    match if is_conditional { validators.judge(fields) } else { Verdict::Proceed } {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(reply.with(StatusCode::NOT_MODIFIED)),
        Verdict::Failed => return Ok(reply.with(StatusCode::PRECONDITION_FAILED)),
    }
    reply.set(header::ACCEPT_RANGES, "bytes");
    let part = match if is_conditional { validators.extent(fields, length) } else { Extent::Whole } {
        Extent::Whole => 0..length,
        Extent::Part(part) => {
            reply.status = StatusCode::PARTIAL_CONTENT;
            reply.set(header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", part.start, part.end - 1));
            part
        }
        Extent::Unsatisfiable => {
            reply.set(header::CONTENT_RANGE, &format!("bytes */{length}"));
            return Ok(reply.with(StatusCode::RANGE_NOT_SATISFIABLE));
        }
    };
    let wanted = part.end - part.start;
    reply.fields.insert(header::CONTENT_LENGTH, wanted.into());
    if *method != Method::HEAD && wanted > 0 {
        file.seek(SeekFrom::Start(part.start))?;
        reply.content = Some((Content::begin(file, wanted)?, wanted));
    }
    Ok(reply)
}

impl Reply {
    fn empty(status: StatusCode) -> Self {
        Self { status, fields: HeaderMap::new(), content: None }
    }

    fn redirect(location: Option<HeaderValue>) -> Self {
        let mut reply = Self::empty(StatusCode::MOVED_PERMANENTLY);
        if let Some(location) = location {
            reply.fields.insert(header::LOCATION, location);
        }
        reply
    }

    fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn set(&mut self, name: header::HeaderName, value: &str) {
        self.fields.insert(name, HeaderValue::from_str(value).expect("made of what a field can have"));
    }

    fn into_response(mut self, exchange: &Rc<Exchange>) -> Response<ResponseBody> {
        if self.status != StatusCode::NOT_MODIFIED {
            self.fields.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let body = match self.content {
            None => ResponseBody::whole(Bytes::new(), exchange),
            Some((content, length)) => {
                let runtime = exchange.server().engine.runtime().clone();
                ResponseBody::file(FileBody::new(content, length, runtime), exchange)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_once() {
        let name = |raw: &str| Name::parse(raw.as_bytes());
        let file = |path: &str| Some(Name { path: path.into(), is_directory: false });
        let directory = |path: &str| Some(Name { path: path.into(), is_directory: true });
        assert_eq!(name("a.txt"), file("a.txt"));
        assert_eq!(name("a/b%20c"), file("a/b c"));
        assert_eq!(name("%2541"), file("%41"));
        assert_eq!(name("%C3%A9#?"), file("é#?"));
        assert_eq!(name("..x/.../.hidden"), file("..x/.../.hidden"));
        assert_eq!(name(""), directory(""));
        assert_eq!(name("a/"), directory("a"));
    }

    #[test]
    fn nothing_names_a_way_out() {
        for raw in [
            "..",
            ".",
            "../a",
            "a/../b",
            "./a",
            "%2e%2e/a",
            "%2E%2e",
            ".%2e/a",
            "a/..",
            "a/.",
            "%2e",
            "..%2fa",
            "a%2fb",
            "a%2Fb",
            "%2fetc/passwd",
            "/etc/passwd",
            "//",
            "a//b",
            "a//",
            "..%5ca",
            "a\\b",
            "%5c",
            "a%00",
            "%00",
            "%61",
            "a%2Etxt",
            "a%2B",
            "%40",
            "a:b",
            "c%3A",
            "%",
            "%2",
            "%zz",
            "a%",
        ] {
            assert_eq!(Name::parse(raw.as_bytes()), None, "{raw}");
        }
    }

    /// A directory with a file, a link to that, and links out, in a place of its own.
    #[cfg(unix)]
    fn scene(name: &str) -> io::Result<PathBuf> {
        use std::os::unix::fs::symlink;

        let top = std::env::temp_dir().join(format!("mantou-{name}-{}", std::process::id()));
        let root = top.join("root");
        fs::create_dir_all(root.join("sub"))?;
        fs::write(root.join("file"), "file")?;
        fs::write(top.join("secret"), "secret")?;
        for (link, target) in
            [("in", "file"), ("sub/up", "../file"), ("out", "../secret"), ("all", ".."), ("loop", "loop")]
        {
            symlink(target, root.join(link))?;
        }
        symlink(top.join("secret"), root.join("absolute"))?;
        Ok(root)
    }

    #[cfg(unix)]
    fn check(root: &Root) {
        let find = |path: &str| root.find(Path::new(path));
        assert!(matches!(find(""), Ok(Entry::Directory)));
        assert!(matches!(find("sub"), Ok(Entry::Directory)));
        for path in ["file", "in", "sub/up"] {
            assert!(matches!(find(path), Ok(Entry::File(..))), "{path}");
        }
        for path in ["nothing", "file/x", "out", "all/secret", "all", "absolute", "loop"] {
            let error = find(path).expect_err(path);
            assert!(names_nothing(&error), "{path}: {error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_lead_to_what_is_below_the_directory_and_nowhere_else() -> io::Result<()> {
        let root = scene("held")?;
        check(&Root::open(&root)?);
        fs::remove_dir_all(root.parent().expect("made below another"))
    }

    #[test]
    #[cfg(unix)]
    fn the_same_holds_where_the_kernel_does_not_check() -> io::Result<()> {
        let root = scene("path")?;
        check(&Root::Path(fs::canonicalize(&root)?));
        fs::remove_dir_all(root.parent().expect("made below another"))
    }
}

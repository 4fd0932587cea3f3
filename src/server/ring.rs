//! Many sends in one system call, where Linux has io_uring and lets this process use it; containers often do not.
//!
//! No send outlasts the call: none waits for room in the kernel, so each is done, in part or not at all when the call returns.

use std::io;
use std::os::fd::RawFd;

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

/// See the module.
pub(crate) struct Ring(IoUring);

impl Ring {
    /// How many sends go into one call.
    pub(crate) const SIZE: usize = 256;

    /// `None` where there is none to be had.
    pub(crate) fn new() -> Option<Self> {
        IoUring::new(Self::SIZE as u32).ok().map(Self)
    }

    /// Prepares to send `bytes` to a socket. `name` is what `submit` calls it.
    ///
    /// # Safety
    ///
    /// The bytes stay where they are until `submit` has returned, and no more than `SIZE` sends are prepared until then.
    pub(crate) unsafe fn push(&mut self, socket: RawFd, bytes: &[u8], name: usize) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send: Entry = opcode::Send::new(types::Fd(socket), bytes.as_ptr(), length)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .build()
            .user_data(name as u64);
        // SAFETY: the caller keeps the bytes. There is room: `submit` leaves nothing behind.
        let pushed = unsafe { self.0.submission().push(&send) };
        debug_assert!(pushed.is_ok(), "more than SIZE");
    }

    /// Sends all that is prepared, and calls `sent` with the name of each that was, and how many bytes the kernel took.
    ///
    /// # Errors
    ///
    /// When the ring is of no use any more. What `sent` has not heard of has not been sent.
    pub(crate) fn submit(&mut self, mut sent: impl FnMut(usize, usize)) -> io::Result<()> {
        let mut waiting = self.0.submission().len();
        let mut is_of_use = true;
        while waiting > 0 {
            match self.0.submit_and_wait(waiting) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for done in self.0.completion() {
                waiting -= 1;
                // A kernel that has io_uring and not this.
                is_of_use &= done.result() != -libc::EINVAL;
                if let Ok(count) = usize::try_from(done.result()) {
                    sent(done.user_data() as usize, count);
                }
            }
        }
        if is_of_use { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    // Where the kernel refuses there is nothing to test.

    fn pair() -> (UnixStream, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (near, far)
    }

    fn sent_of(ring: &mut Ring, sends: &[(&UnixStream, &[u8])]) -> Vec<Option<usize>> {
        let mut counts = vec![None; sends.len()];
        for (name, (socket, bytes)) in sends.iter().enumerate() {
            // SAFETY: the bytes are the caller's.
            unsafe { ring.push(socket.as_raw_fd(), bytes, name) };
        }
        ring.submit(|name, count| assert_eq!(counts[name].replace(count), None, "told twice")).unwrap();
        counts
    }

    #[test]
    fn everybody_gets_what_is_theirs_time_after_time() {
        let Some(mut ring) = Ring::new() else { return };
        let pairs: Vec<_> = (0..Ring::SIZE).map(|_| pair()).collect();
        for round in 0..3 {
            let texts: Vec<String> = (0..Ring::SIZE).map(|index| format!("{round} for {index}")).collect();
            let sends: Vec<_> =
                pairs.iter().zip(&texts).map(|((near, _), text)| (near, text.as_bytes())).collect();
            assert!(
                sent_of(&mut ring, &sends).iter().zip(&texts).all(|(count, text)| *count == Some(text.len()))
            );
            for ((_, far), text) in pairs.iter().zip(&texts) {
                let mut got = vec![0; text.len()];
                (&*far).read_exact(&mut got).unwrap();
                assert_eq!(got, text.as_bytes());
            }
        }
    }

    #[test]
    fn one_that_is_full_or_gone_is_nobody_elses_problem() {
        let Some(mut ring) = Ring::new() else { return };
        let ((full, _other_end), (gone, far), (open, _kept)) = (pair(), pair(), pair());
        drop(far);
        while (&full).write(&[0; 4096]).is_ok() {}

        let counts = sent_of(&mut ring, &[(&full, b"a"), (&gone, b"b"), (&open, b"c")]);

        assert_eq!(counts, [None, None, Some(1)]);
    }

    #[test]
    fn what_is_too_much_is_taken_in_part() {
        let Some(mut ring) = Ring::new() else { return };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(true).unwrap();
        let _far = listener.accept().unwrap();
        let much = vec![0; 64 << 20];
        let mut taken = None;

        // SAFETY: the bytes live until the end.
        unsafe { ring.push(near.as_raw_fd(), &much, 0) };
        ring.submit(|_, count| taken = Some(count)).unwrap();

        assert!(taken.is_some_and(|count| 0 < count && count < much.len()), "{taken:?}");
    }

    #[test]
    fn nothing_prepared_is_nothing_sent() {
        let Some(mut ring) = Ring::new() else { return };
        ring.submit(|_, _| panic!("nobody has anything to say")).unwrap();
    }
}

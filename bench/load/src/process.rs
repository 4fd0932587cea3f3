//! What the kernel knows about a process: CPU time and resident memory; and this process's own limits.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// A process whose consumption is read: the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pid: u32,
    cpu_clock: libc::clockid_t,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Result<Self> {
        let mut cpu_clock = 0;
        // SAFETY: the call writes one clockid_t through the pointer, which is valid for it.
        let error = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut cpu_clock) };
        if error != 0 {
            return Err(format!(
                "no CPU clock of process {pid}: {}",
                std::io::Error::from_raw_os_error(error)
            ));
        }
        Ok(Self { pid, cpu_clock })
    }

    /// User and system time of all its threads, those that ended included, in nanoseconds' resolution.
    ///
    /// `/proc/<pid>/stat` says the same in 10 ms steps; `task/*/schedstat` is finer but forgets threads that end (JIT helpers do).
    pub(crate) fn cpu_time(self) -> Result<Duration> {
        // SAFETY: an all-zero timespec is a valid value.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: the call writes one timespec through the pointer, which is valid for it.
        if unsafe { libc::clock_gettime(self.cpu_clock, &mut time) } != 0 {
            return Err(format!("the server (process {}) is gone", self.pid));
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} names no VmRSS"))
    }
}

/// User and system time of this process.
pub(crate) fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Allows as many descriptors as the hard limit does.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it fails, opening too many sockets tells.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_clock_agrees_with_our_own() {
        let process = Process::new(std::process::id()).unwrap();
        let (before, seen, after) = (own_cpu_time(), process.cpu_time().unwrap(), own_cpu_time());
        assert!(before <= seen && seen <= after);
        assert!(process.resident_bytes().unwrap() > 100_000);
    }
}

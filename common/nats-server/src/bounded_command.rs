//! Running another program to its end, but not for ever.

use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);
/// How long a just-written program may be busy: another thread that forks in that moment holds it open for writing.
const BUSY: Duration = Duration::from_secs(2);

/// How a program ended and what it wrote to its two outputs, in the order written.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// Starts `command`, with a little patience for a program that was written only just now.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let started = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && started.elapsed() < BUSY => {
                thread::sleep(POLL);
            }
            spawned => return spawned,
        }
    }
}

/// Runs `command` without input. A program that has not ended within `limit` is killed and gives
/// [`ErrorKind::TimedOut`].
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    // A file, and no pipe, takes any amount of output without a reader.
    let mut output = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);

    let started = Instant::now();
    let mut child = spawn(command)?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(ErrorKind::TimedOut, format!("no end after {} s", limit.as_secs())));
        }
        thread::sleep(POLL);
    };

    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(Ended { status, output: String::from_utf8_lossy(&bytes).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_and_the_exit_status_are_given() {
        let ended =
            run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), Duration::from_secs(10));
        let ended = ended.unwrap();
        assert_eq!(ended.output, "one\ntwo\n");
        assert_eq!(ended.status.code(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let error = run(Command::new("sleep").arg("60"), Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

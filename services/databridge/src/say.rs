//! Telling people something on standard output.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Why it could not be written, if once it could not.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Prints a line. As `println!` does it, but who reads no more (`databridge audit | head`) ends nothing that is under way,
/// and a full disk is told at the end, by [`unwritten`].
macro_rules! say {
    () => { $crate::say::line(format_args!("")) };
    ($($text:tt)*) => { $crate::say::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Prints a line; see [`say`].
pub(crate) fn line(text: Arguments<'_>) {
    write(&mut io::stdout().lock(), text, &UNWRITTEN);
}

/// Why something could not be printed, if so.
pub(crate) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

fn write(out: &mut impl Write, text: Arguments<'_>, unwritten: &OnceLock<io::Error>) {
    if let Err(error) = writeln!(out, "{text}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first one tells enough.
        drop(unwritten.set(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard output, of which nothing can be had.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_reads_no_more_is_no_error_and_a_full_disk_is() {
        for (kind, is_told) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let unwritten = OnceLock::new();
            write(&mut Broken(kind), format_args!("a line"), &unwritten);
            write(&mut Broken(kind), format_args!("another"), &unwritten);
            assert_eq!(unwritten.get().map(io::Error::kind), is_told.then_some(kind));
        }
    }
}

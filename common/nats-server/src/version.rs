//! Versions of nats-server and which of them will do.

use std::fmt;

/// A version of nats-server. A pre-release sorts before its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    released: bool,
}

impl Version {
    /// The oldest version that keeps what it acknowledged: before it, compaction ignored `sync_interval: always`
    /// (nats-server issue 8475).
    pub const OLDEST_ACCEPTED: Self = Self { major: 2, minor: 14, patch: 6, released: true };

    /// The version that is downloaded.
    pub const PINNED: Self = Self { major: 2, minor: 15, patch: 1, released: true };

    /// Reads what `nats-server --version` prints: `nats-server: v2.15.1`.
    pub(crate) fn from_output(output: &str) -> Option<Self> {
        output.split_whitespace().find_map(|word| Self::parse(word.strip_prefix('v')?))
    }

    fn parse(text: &str) -> Option<Self> {
        let (numbers, released) = match text.split_once('-') {
            Some((numbers, _)) => (numbers, false),
            None => (text, true),
        };
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()??, released };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.released { Ok(()) } else { f.write_str("-pre") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_text_is_read() {
        assert_eq!(Version::from_output("nats-server: v2.15.1\n"), Some(Version::PINNED));
        assert_eq!(Version::from_output("nats-server: v2.14.6"), Some(Version::OLDEST_ACCEPTED));
    }

    #[test]
    fn other_texts_are_no_version() {
        for text in ["", "nats-server", "v2", "v2.15", "v2.15.x", "v2.15.1.4", "2.15.1", "very v1"] {
            assert_eq!(Version::from_output(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_a_pre_release_comes_before_its_release() {
        let read = |text: &str| Version::from_output(text).unwrap();
        assert!(read("v2.9.10") < read("v2.10.1"));
        assert!(read("v2.14.5") < Version::OLDEST_ACCEPTED);
        assert!(read("v2.14.6-RC.1") < Version::OLDEST_ACCEPTED);
        assert!(read("v2.15.0-dev") > Version::OLDEST_ACCEPTED);
        assert!(read("v3.0.0") > Version::PINNED);
    }
}

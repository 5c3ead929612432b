//! A disk that is soon full.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

/// A disk of its own in memory; it goes when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of so many megabytes; `None` where this user may not mount one.
    pub fn of(megabytes: u32) -> anyhow::Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status()?;
        ensure!(mounted.success(), "a disk in memory cannot be mounted: {mounted}");
        Ok(Some(Self { folder }))
    }

    /// A folder on it.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Fills it, but for so many bytes.
    pub fn fill_up_to(&self, free: u64) -> anyhow::Result<()> {
        let mut ballast = File::create(self.ballast())?;
        let block = vec![0_u8; 64 * 1024];
        while ballast.write_all(&block).is_ok() {}
        let length = ballast.metadata()?.len();
        Ok(ballast.set_len(length.saturating_sub(free))?)
    }

    /// Gives back the room that was filled.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

/// Lazily: whoever still has a file open on it keeps that until the end.
fn unmount(folder: &Path) {
    if let Err(error) = Command::new("umount").arg("-l").arg(folder).status() {
        eprintln!("{} stays mounted: {error}", folder.display());
    }
}

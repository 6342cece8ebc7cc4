//! A small file system that a test can fill and make read-only.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount,
};

/// A tmpfs of its own, gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts `size_kib` of memory at `path`, which is made. `None`, with the reason printed, where a test may not mount.
    ///
    /// # Panics
    ///
    /// If the directory cannot be made, or if root may not mount here.
    #[must_use]
    pub fn mount(path: &Path, size_kib: u32) -> Option<Self> {
        fs::create_dir_all(path).expect("a directory to mount at");
        let options = std::ffi::CString::new(format!("size={size_kib}k,mode=0700"))
            .expect("no NUL in options");
        match mount("oa-test", path, "tmpfs", MountFlags::NOSUID, &*options) {
            Ok(()) => {
                // Nobody else's view of the file system changes.
                let _already_private = mount_change(path, MountPropagationFlags::PRIVATE);
                Some(Self { path: path.to_path_buf() })
            }
            Err(why) if rustix::process::geteuid().is_root() && !is_contained() => {
                panic!("root cannot mount a tmpfs at {}: {why}", path.display())
            }
            Err(why) => {
                eprintln!("SKIPPED: no tmpfs can be mounted here ({why}), so no disk can be full");
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the space that is left, to the last page.
    ///
    /// # Panics
    ///
    /// If it cannot be written at all.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file for the ballast");
        for size in [1 << 20, 1 << 16, 1 << 12] {
            let chunk = vec![1_u8; size];
            while ballast.write_all(&chunk).is_ok() {}
        }
    }

    /// Gives the space back.
    ///
    /// # Panics
    ///
    /// If it was not taken.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    /// Lets nobody write.
    ///
    /// # Panics
    ///
    /// While somebody has a file open for writing.
    pub fn make_read_only(&self) {
        mount_remount(&self.path, MountFlags::RDONLY, "").expect("nobody writes");
    }

    /// Lets everybody write again.
    ///
    /// # Panics
    ///
    /// If the system does not let it.
    pub fn make_writable(&self) {
        mount_remount(&self.path, MountFlags::empty(), "").expect("it was writable before");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _already_gone = unmount(&self.path, UnmountFlags::DETACH);
    }
}

/// Whether root lacks the right to mount, as in most containers.
fn is_contained() -> bool {
    /// `CAP_SYS_ADMIN`.
    const MAY_MOUNT: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_none_or(|rights| rights & MAY_MOUNT == 0)
}

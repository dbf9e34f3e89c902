//! How much memory the server has in RAM, and how much it may have: what Linux says in its files. Elsewhere nobody says
//! it, and memory is not watched.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of this process that are in RAM (proc(5)). `root` is where the system's files are.
pub fn resident(root: &Path) -> Option<u64> {
    kib(&root.join("proc/self/status"), "VmRSS:")
}

/// Bytes that this process can have at most: all that the machine has, or as much as its control group may take
/// (cgroups(7)), of which the smallest counts.
pub fn given(root: &Path) -> Option<u64> {
    let machine = kib(&root.join("proc/meminfo"), "MemTotal:");
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().flat_map(|line| limits(root, line));
    machine.into_iter().chain(groups.filter_map(|file| bytes(&file))).min()
}

/// Files with the limits of a group, and of all that it is in. Within a container the path may be one that is seen from
/// outside only; then what is left is the root, which is the container's own.
fn limits(root: &Path, line: &str) -> Vec<PathBuf> {
    const FILES: [&str; 2] = ["memory.max", "memory.high"];
    const FILES_OF_V1: [&str; 1] = ["memory.limit_in_bytes"];
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (mount, files) = match controllers {
        "" => ("sys/fs/cgroup", FILES.as_slice()),
        _ if controllers.split(',').any(|one| one == "memory") => {
            ("sys/fs/cgroup/memory", FILES_OF_V1.as_slice())
        }
        _ => return Vec::new(),
    };
    let mount = root.join(mount);
    let group = mount.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|group| group.starts_with(&mount));
    groups.flat_map(|group| files.iter().map(|file| group.join(file))).collect()
}

/// A number of bytes that is all of a file; `max` is none.
fn bytes(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The KiB of a line `Name: 123 kB`, in bytes.
fn kib(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> io::Result<tempfile::TempDir> {
        let root = tempfile::tempdir()?;
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(root.path()))?;
            fs::write(path, text)?;
        }
        Ok(root)
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        1000 kB\nMemFree:          10 kB\n");

    #[test]
    fn what_is_in_ram() -> io::Result<()> {
        let status = "Name:\twaxwing\nVmHWM:\t   31200 kB\nVmRSS:\t   20480 kB\n";
        let root = system(&[("proc/self/status", status)])?;
        assert_eq!(resident(root.path()), Some(20 << 20));
        assert_eq!(resident(system(&[])?.path()), None);
        Ok(())
    }

    #[test]
    fn without_a_group_the_machine_counts() -> io::Result<()> {
        assert_eq!(given(system(&[MEMINFO])?.path()), Some(1_024_000));
        assert_eq!(given(system(&[])?.path()), None);
        let free = [
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.high", "max\n"),
        ];
        assert_eq!(given(system(&free)?.path()), Some(1_024_000));
        Ok(())
    }

    #[test]
    fn the_narrowest_of_all_groups_counts() -> io::Result<()> {
        let mut files = vec![
            MEMINFO,
            ("proc/self/cgroup", "0::/system.slice/waxwing.service\n"),
            ("sys/fs/cgroup/system.slice/waxwing.service/memory.max", "700000\n"),
            ("sys/fs/cgroup/system.slice/waxwing.service/memory.high", "max\n"),
        ];
        assert_eq!(given(system(&files)?.path()), Some(700_000));
        files.push(("sys/fs/cgroup/system.slice/memory.max", "600000\n"));
        assert_eq!(given(system(&files)?.path()), Some(600_000));
        files.push(("sys/fs/cgroup/system.slice/memory.high", "500000\n"));
        assert_eq!(given(system(&files)?.path()), Some(500_000));
        Ok(())
    }

    #[test]
    fn so_it_was_before_version_2() -> io::Result<()> {
        let cgroup = "5:cpuset:/docker/abc\n4:memory:/docker/abc\n0::/\n";
        let own = ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "300000\n");
        let files = [MEMINFO, ("proc/self/cgroup", cgroup), own];
        assert_eq!(given(system(&files)?.path()), Some(300_000));
        // Within a container, that is what stands at the root.
        let inside = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
        let free = ("sys/fs/cgroup/cpuset/docker/abc/memory.limit_in_bytes", "1\n");
        let files = [MEMINFO, ("proc/self/cgroup", cgroup), inside, free];
        assert_eq!(given(system(&files)?.path()), Some(200_000));
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_in_ram() {
        let (resident, given) = (resident(Path::new("/")), given(Path::new("/")));
        assert!(resident.is_some_and(|bytes| bytes > 1 << 20), "{resident:?}");
        assert!(given > resident, "{given:?}");
    }
}

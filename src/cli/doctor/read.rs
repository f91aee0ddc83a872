//! Files in which the kernel tells of itself. One that is missing is nothing to fail for.

use std::path::Path;

/// What a file says, without the end of its last line; the error names the file.
pub(super) fn text(path: impl AsRef<Path>) -> Result<String, String> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// The number that a file holds.
pub(super) fn number(path: impl AsRef<Path>) -> Result<u64, String> {
    let path = path.as_ref();
    let text = text(path)?;
    text.trim().parse().map_err(|_| format!("{}: {text:?} is no number", path.display()))
}

/// The cores that a file lists, as [`cores_of`].
pub(super) fn cores(path: impl AsRef<Path>) -> Result<Vec<usize>, String> {
    let path = path.as_ref();
    let text = text(path)?;
    cores_of(&text).ok_or_else(|| format!("{}: {text:?} is no list of cores", path.display()))
}

/// The kernel's lists of cores: `0-3,8`, or nothing.
fn cores_of(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        cores.extend(from.parse().ok()?..=to.parse::<usize>().ok()?);
    }
    Some(cores)
}

/// Cores as `--cores` and the kernel take them: `0,2,3`.
pub(super) fn listed(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The word in brackets, with which the kernel marks what is chosen: `always [madvise] never`.
pub(super) fn chosen(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_as_the_kernel_writes_them() {
        assert_eq!(cores_of("0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(cores_of("\n"), Some(Vec::new()));
        assert_eq!(cores_of("0-x"), None);
        assert_eq!(listed(&[0, 2]), "0,2");
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let why = number("/proc/redpkt-none").unwrap_err();
        assert!(why.starts_with("/proc/redpkt-none: "), "{why}");
    }
}

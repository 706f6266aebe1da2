//! Whether parts fit together: all of one plan and version, every point once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::sweep::directory::{IDENTITY, files};
use crate::sweep::part::Part;

/// The parts in the directories, by point.
///
/// # Errors
/// One line about a directory that is none of a sweep's, and parts of different plans or versions, that overlap, or leave gaps.
pub(super) fn find(directories: &[PathBuf]) -> Result<Vec<(Part, PathBuf)>, Failure> {
    let mut parts: BTreeMap<u64, (Part, PathBuf)> = BTreeMap::new();
    let mut twice: BTreeMap<(PathBuf, PathBuf), Vec<u64>> = BTreeMap::new();
    let mut first: Option<(Part, PathBuf)> = None;
    for (place, directory) in directories.iter().enumerate() {
        if !directory.join(IDENTITY).is_file() {
            let line = format!("{}: not the directory of a sweep, it has no {IDENTITY}", directory.display());
            return Err(Failure::usage(line));
        }
        if directories.iter().take(place).any(|other| same(other, directory)) {
            return Err(Failure::usage(format_args!("{} is named twice", directory.display())));
        }
        for (number, path) in files(directory)? {
            let part = Part::read(&path).map_err(Failure::usage)?;
            let (of, whence) = first.get_or_insert_with(|| (part.clone(), path.clone()));
            if let Some(difference) = of.sweep.difference(&part.sweep) {
                let line = format!("{} is of {difference} as {}", path.display(), whence.display());
                return Err(Failure::usage(line));
            }
            if part.point != number || !(1..=of.sweep.points).contains(&number) {
                let line = format!("{} is point {} of {}", path.display(), part.point, of.sweep.points);
                return Err(Failure::usage(line));
            }
            if let Some((_, other)) = parts.get(&number) {
                let other = other.parent().unwrap_or(Path::new("")).to_owned();
                twice.entry((other, directory.clone())).or_default().push(number);
                continue;
            }
            parts.insert(number, (part, path));
        }
    }
    if let Some(((a, b), points)) = twice.first_key_value() {
        let line = format!("{} in both {} and {}", are(points), a.display(), b.display());
        return Err(Failure::usage(line));
    }
    let all: Vec<String> = directories.iter().map(|directory| directory.display().to_string()).collect();
    let Some((first, _)) = first else {
        return Err(Failure::usage(format_args!("there are no points in {}", all.join(", "))));
    };
    let missing: Vec<u64> = (1..=first.sweep.points).filter(|number| !parts.contains_key(number)).collect();
    if !missing.is_empty() {
        let line = format!("{} of {} missing in {}", are(&missing), first.sweep.points, all.join(", "));
        return Err(Failure::usage(line.replacen(" are of ", " of ", 1).replacen(" is of ", " of ", 1)));
    }
    Ok(parts.into_values().collect())
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// `point 3 is`, or `points 1, 4-6 are`: the first few ranges of many.
fn are(points: &[u64]) -> String {
    const RANGES: usize = 6;
    if let [one] = points {
        return format!("point {one} is");
    }
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &point in points {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == point => *last = point,
            _ => ranges.push((point, point)),
        }
    }
    let shown = |&(from, to): &(u64, u64)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    let some: Vec<String> = ranges.iter().take(RANGES).map(shown).collect();
    let rest: u64 = ranges.iter().skip(RANGES).map(|(from, to)| to - from + 1).sum();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("points {}{more} are", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named_in_ranges() {
        assert_eq!(are(&[3]), "point 3 is");
        assert_eq!(are(&[1, 4, 5, 6, 9]), "points 1, 4-6, 9 are");
        assert_eq!(are(&[1, 3, 5, 7, 9, 11, 13, 14]), "points 1, 3, 5, 7, 9, 11 and 2 more are");
    }
}

//! Reads friendship lists: lines of two names. `docs/scenarios.md` describes the format.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::graph::Pair;
use crate::input::InputError;
use crate::names::Names;
use crate::network::UserIdx;
use crate::table::{Separator, lines};

/// Who is in contact, as a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FriendList {
    /// SHA-256 of the pairs by their names: equal for files that say the same in another order.
    pub sha256: [u8; 32],
    /// The names, ordered.
    #[serde(skip)]
    pub names: Arc<[String]>,
    /// Positions of the two names, the lower one first; ordered, each pair once.
    #[serde(skip)]
    pub pairs: Arc<[Pair]>,
}

/// Words for the two columns of a header.
const HEADERS: [(&str, &str); 5] =
    [("source", "target"), ("src", "dst"), ("from", "to"), ("user_a", "user_b"), ("user1", "user2")];

/// Reads a list with at most `max_users` names and `max_pairs` pairs. Errors name the file and the line.
pub(crate) fn read(file: &Path, max_users: u32, max_pairs: u32) -> Result<FriendList, InputError> {
    let mut names = Names::default();
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    let mut separator = None;
    lines(file, "the friendship list", |text| {
        if text.starts_with('#') {
            return Ok(());
        }
        let first = separator.is_none();
        let separator = *separator.get_or_insert_with(|| Separator::of(text));
        let (Some(x), Some(y)) = (separator.field(text, 0), separator.field(text, 1)) else {
            return Err("one column, a pair needs two names".to_owned());
        };
        if x.is_empty() || y.is_empty() {
            return Err("a name is empty".to_owned());
        }
        let header = |(a, b): &(&str, &str)| x.eq_ignore_ascii_case(a) && y.eq_ignore_ascii_case(b);
        if first && HEADERS.iter().any(header) {
            return Ok(());
        }
        // Real lists have such lines, as traces have messages to oneself.
        if x == y {
            return Ok(());
        }
        // Twice as many, as a list may have each pair in both directions.
        if pairs.len() as u64 >= 2 * u64::from(max_pairs) {
            return Err(format!("more than {} lines of pairs, the most are {max_pairs} pairs", pairs.len()));
        }
        pairs.push((names.id(x), names.id(y)));
        if names.len() > max_users as usize {
            return Err(format!("more than {max_users} names"));
        }
        Ok(())
    })?;
    if pairs.is_empty() {
        return Err(InputError::file(file, "holds no pairs"));
    }
    let (sorted, position) = names.sorted();
    let new = |old: u32| UserIdx(position.get(old as usize).copied().unwrap_or(old));
    let mut pairs: Vec<Pair> =
        pairs.into_iter().map(|(x, y)| (new(x).min(new(y)), new(x).max(new(y)))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    if pairs.len() > max_pairs as usize {
        return Err(InputError::file(file, format!("{} pairs, the most are {max_pairs}", pairs.len())));
    }
    let mut hash = Sha256::new();
    for user in pairs.iter().flat_map(|&(x, y)| [x, y]) {
        let name = sorted.get(user.index()).map(String::as_str).unwrap_or_default();
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
    }
    Ok(FriendList { sha256: hash.finalize().into(), names: sorted.into(), pairs: pairs.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::TempFile;

    fn read_text(name: &str, text: &str) -> Result<FriendList, String> {
        let file = TempFile::new(name, text.as_bytes());
        let shown = file.0.display().to_string();
        read(&file.0, 5, 4).map_err(|error| error.to_string().replace(&shown, "FILE"))
    }

    fn pairs(list: &FriendList) -> Vec<(&str, &str)> {
        list.pairs.iter().map(|(x, y)| (&*list.names[x.index()], &*list.names[y.index()])).collect()
    }

    #[test]
    fn lists_are_read_whatever_separates_their_columns() {
        let mut read = Vec::new();
        for (i, text) in [
            "a b\nc b\n",
            "# user_a,user_b\n\na,b\nb,c\nb,a\n",
            "Source;Target;weight\r\nb;c;0.5\r\na;b;2\r\n",
            "a\tb\t7\nb\tc\t1\n",
            "from to\n  a   b\nd d\n\"b\" c\n",
        ]
        .iter()
        .enumerate()
        {
            let list = read_text(&format!("friends{i}"), text).unwrap();
            assert_eq!(pairs(&list), [("a", "b"), ("b", "c")], "{text:?}");
            read.push(list);
        }
        assert!(read.iter().all(|list| *list == read[0]), "the order makes no difference");
        assert_ne!(read_text("friends-other", "a b\nc a\n").unwrap().sha256, read[0].sha256);
    }

    /// The real list, by the variable `SXLAB_DATA` or where a checkout may have it beside it.
    #[test]
    fn the_copenhagen_friendships_are_read() {
        let folder = std::env::var_os("SXLAB_DATA").map_or_else(
            || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
            std::path::PathBuf::from,
        );
        let file = folder.join("copenhagen_fb_friends.csv");
        if !file.is_file() {
            println!("skipped: no list ({})", file.display());
            return;
        }
        let list = read(&file, 1000, 10_000).unwrap();
        assert_eq!((list.names.len(), list.pairs.len()), (800, 6_418));
    }

    #[test]
    fn an_unreadable_line_is_named() {
        for (i, (text, message)) in [
            ("a,b\nc\n", "FILE:2: one column, a pair needs two names"),
            ("# x\n\na,b\nc,\n", "FILE:4: a name is empty"),
            ("c c\n", "FILE: holds no pairs"),
            ("# nothing\n", "FILE: holds no pairs"),
            ("from,to\n", "FILE: holds no pairs"),
            ("a b\na c\na d\na e\na f\n", "FILE:5: more than 5 names"),
            ("a b\na c\na d\nb c\nb d\n", "FILE: 5 pairs, the most are 4"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(read_text(&format!("unread{i}"), text).unwrap_err(), message, "{text:?}");
        }
        let line = read(Path::new("no/such.csv"), 5, 5).unwrap_err().to_string();
        assert_eq!(
            line,
            "no/such.csv: the friendship list cannot be read: No such file or directory (os error 2)"
        );
    }
}

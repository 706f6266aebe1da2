//! Shards: which of a plan's points one of several machines runs.

use std::fmt;

/// Shard `index` of `count`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

/// Why there is no such shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not of the form i/n with 1 ≤ i ≤ n.
    #[error("`{0}` is not a shard: write i/n with i from 1 to n, such as 2/8, or auto/n")]
    Malformed(String),
    /// A variable that is no number, or is missing beside others.
    #[error("{0}")]
    Variable(String),
    /// A Slurm array with gaps.
    #[error(
        "the Slurm array has {count} tasks from {min} to {max}: with gaps or steps, shards can't be told from task numbers, use a range such as --array=0-7 or give --shard"
    )]
    Gaps {
        /// `SLURM_ARRAY_TASK_MIN`.
        min: u64,
        /// `SLURM_ARRAY_TASK_MAX`.
        max: u64,
        /// `SLURM_ARRAY_TASK_COUNT`.
        count: u64,
    },
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// Whether a point, counted from 1, belongs to the shard. Points are dealt in turn, so that shards get like work.
    pub fn has(self, point: u64) -> bool {
        point.checked_sub(1).is_some_and(|before| before % self.count == self.index - 1)
    }

    /// Whether it is the whole plan.
    pub fn is_all(self) -> bool {
        self.count == 1
    }

    fn new(index: u64, count: u64) -> Option<Self> {
        (1..=count).contains(&index).then_some(Self { index, count })
    }

    /// The shard to run, and where that was said: `given` is the argument, `variable` reads the environment.
    ///
    /// Without an argument: the task of a Slurm array (`SLURM_ARRAY_TASK_ID`, `_MIN`, `_MAX`, `_COUNT`); then the index of a
    /// Kubernetes indexed job (`JOB_COMPLETION_INDEX`) of `SXLAB_SHARDS` shards; then the whole plan. With `auto/n` the index comes
    /// from either, or is refused.
    ///
    /// # Errors
    /// [`ShardError`].
    pub fn pick(
        given: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Option<String>), ShardError> {
        let Some(given) = given else {
            if let Some(shard) = slurm(&variable)? {
                return Ok((shard, Some("the Slurm array".to_owned())));
            }
            let Some(index) = number(&variable, "JOB_COMPLETION_INDEX")? else {
                return Ok((Self::default(), None));
            };
            let count = number(&variable, "SXLAB_SHARDS")?.ok_or_else(|| {
                ShardError::Variable(
                    "JOB_COMPLETION_INDEX is set, but not how many shards there are: set SXLAB_SHARDS to the job's completions, or give --shard auto/n".to_owned(),
                )
            })?;
            return Ok((indexed(index, count)?, Some("JOB_COMPLETION_INDEX and SXLAB_SHARDS".to_owned())));
        };
        let malformed = || ShardError::Malformed(given.to_owned());
        let (index, count) = given.split_once('/').ok_or_else(malformed)?;
        let count: u64 = count.parse().map_err(|_| malformed())?;
        if index != "auto" {
            let index = index.parse().map_err(|_| malformed())?;
            return Ok((Self::new(index, count).ok_or_else(malformed)?, Some("--shard".to_owned())));
        }
        if let Some(shard) = slurm(&variable)? {
            if shard.count != count {
                let message = format!("--shard {given}: the Slurm array has {} tasks", shard.count);
                return Err(ShardError::Variable(message));
            }
            return Ok((shard, Some("--shard and the Slurm array".to_owned())));
        }
        let index = number(&variable, "JOB_COMPLETION_INDEX")?.ok_or_else(|| {
            let message = "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set";
            ShardError::Variable(format!("--shard {given}: {message}"))
        })?;
        Ok((indexed(index, count)?, Some("--shard and JOB_COMPLETION_INDEX".to_owned())))
    }
}

fn indexed(index: u64, count: u64) -> Result<Shard, ShardError> {
    index.checked_add(1).and_then(|index| Shard::new(index, count)).ok_or_else(|| {
        ShardError::Variable(format!(
            "JOB_COMPLETION_INDEX is {index}, which is not below the number of shards, {count}"
        ))
    })
}

fn number(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<u64>, ShardError> {
    let Some(text) = variable(name) else { return Ok(None) };
    let number =
        text.parse().map_err(|_| ShardError::Variable(format!("{name} is `{text}`, not a number")))?;
    Ok(Some(number))
}

fn slurm(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, ShardError> {
    let Some(task) = number(variable, "SLURM_ARRAY_TASK_ID")? else { return Ok(None) };
    let needed = |name: &str| {
        number(variable, name)?.ok_or_else(|| {
            ShardError::Variable(format!("SLURM_ARRAY_TASK_ID is set, but {name} is not: give --shard"))
        })
    };
    let (min, max) = (needed("SLURM_ARRAY_TASK_MIN")?, needed("SLURM_ARRAY_TASK_MAX")?);
    let count = needed("SLURM_ARRAY_TASK_COUNT")?;
    let contiguous = max.checked_sub(min).and_then(|length| length.checked_add(1)) == Some(count);
    if !contiguous || !(min..=max).contains(&task) {
        return Err(ShardError::Gaps { min, max, count });
    }
    Ok(Shard::new(task - min + 1, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(given: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Shard::pick(given, variable).map(|(shard, _)| shard.to_string()).map_err(|error| error.to_string())
    }

    fn array(
        task: &'static str,
        min: &'static str,
        max: &'static str,
        count: &'static str,
    ) -> [(&'static str, &'static str); 4] {
        [
            ("SLURM_ARRAY_TASK_ID", task),
            ("SLURM_ARRAY_TASK_MIN", min),
            ("SLURM_ARRAY_TASK_MAX", max),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ]
    }

    #[test]
    fn every_point_is_in_one_shard() {
        for count in 1..=7 {
            for point in 1..=20 {
                let shards = (1..=count).filter(|&i| Shard::new(i, count).unwrap().has(point)).count();
                assert_eq!(shards, 1, "point {point} of {count} shards");
            }
        }
        assert!(!Shard::default().has(0));
    }

    #[test]
    fn an_argument_wins() {
        assert_eq!(pick(Some("2/3"), &array("5", "0", "7", "8")).unwrap(), "2/3");
        for bad in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/2/3", "", "auto/x"] {
            assert!(pick(Some(bad), &[]).unwrap_err().contains("is not a shard"), "{bad}");
        }
    }

    #[test]
    fn slurm_arrays_begin_anywhere_but_have_no_gaps() {
        assert_eq!(pick(None, &array("0", "0", "7", "8")).unwrap(), "1/8");
        assert_eq!(pick(None, &array("8", "1", "8", "8")).unwrap(), "8/8");
        assert_eq!(pick(None, &array("12", "10", "12", "3")).unwrap(), "3/3");
        // 0-14:2 and 1,5,9.
        assert!(pick(None, &array("2", "0", "14", "8")).unwrap_err().contains("gaps or steps"));
        assert!(pick(None, &array("5", "1", "9", "3")).unwrap_err().contains("gaps or steps"));
        assert!(pick(None, &array("x", "1", "9", "9")).unwrap_err().contains("not a number"));
        assert!(pick(None, &array("1", "1", "9", "9")[..3]).unwrap_err().contains("_COUNT is not"));
    }

    #[test]
    fn kubernetes_gives_an_index_only() {
        let index = [("JOB_COMPLETION_INDEX", "0"), ("SXLAB_SHARDS", "4")];
        assert_eq!(pick(None, &index).unwrap(), "1/4");
        assert_eq!(pick(Some("auto/4"), &index[..1]).unwrap(), "1/4");
        assert!(pick(None, &index[..1]).unwrap_err().contains("SXLAB_SHARDS"));
        assert!(pick(Some("auto/4"), &[("JOB_COMPLETION_INDEX", "4")]).unwrap_err().contains("not below"));
        assert!(pick(Some("auto/4"), &[]).unwrap_err().contains("neither"));
        assert_eq!(pick(Some("auto/8"), &array("3", "0", "7", "8")).unwrap(), "4/8");
        assert!(pick(Some("auto/4"), &array("3", "0", "7", "8")).unwrap_err().contains("has 8 tasks"));
    }

    #[test]
    fn without_anything_it_is_the_whole_plan() {
        assert_eq!(pick(None, &[]).unwrap(), "1/1");
        assert!(Shard::default().is_all());
    }
}

//! What is said while a sweep runs: a bar on a terminal, otherwise lines, each with the time that is left.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::{Exit, Failure};
use crate::output;

/// Without a terminal, a line for each point of so many; of more, for each of so many parts.
const LINES: usize = 50;

/// Estimates the time left from what points took so far, in proportion to the work in them.
#[derive(Debug)]
struct Estimate {
    jobs: usize,
    /// Work of the points that are not finished.
    left: u64,
    /// The points that are not finished.
    points_left: usize,
    /// Work and time of those that are, a failed one included.
    done: (u64, Duration),
}

impl Estimate {
    fn ended(&mut self, work: u64, took: Duration) {
        self.left = self.left.saturating_sub(work);
        self.points_left = self.points_left.saturating_sub(1);
        self.done = (self.done.0.saturating_add(work), self.done.1.saturating_add(took));
    }

    /// Nothing while no point has finished.
    #[expect(clippy::cast_precision_loss, reason = "an estimate to be shown in seconds")]
    fn left(&self) -> Option<Duration> {
        if self.done.0 == 0 {
            return None;
        }
        let per_work = self.done.1.as_secs_f64() / self.done.0 as f64;
        let at_once = self.jobs.min(self.points_left).max(1) as f64;
        Duration::try_from_secs_f64(self.left as f64 * per_work / at_once).ok()
    }
}

/// How far a sweep is.
pub(super) struct Progress {
    estimate: Estimate,
    all: usize,
    ended: usize,
    failed: usize,
    /// Only on a terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For points with so much work each.
    pub(super) fn new(work: impl ExactSizeIterator<Item = u64>, jobs: usize) -> Self {
        let all = work.len();
        let left = work.fold(0u64, u64::saturating_add);
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(all as u64);
            if let Ok(style) = ProgressStyle::with_template("[{bar:32}] {pos}/{len} points  {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message("time left: unknown");
            bar.tick();
            bar
        });
        let estimate = Estimate { jobs, left, points_left: all, done: (0, Duration::ZERO) };
        Self { estimate, all, ended: 0, failed: 0, bar }
    }

    /// A point has ended, well or for a reason.
    pub(super) fn ended(&mut self, point: u64, work: u64, took: Duration, failed: Option<&str>) {
        self.estimate.ended(work, took);
        self.ended += 1;
        let left = match self.estimate.left() {
            _ if self.ended == self.all => String::new(),
            Some(left) => format!(", about {} left", shown(left)),
            None => ", time left: unknown".to_owned(),
        };
        if let Some(reason) = failed {
            self.failed += 1;
            let line = format!("point {point} failed: {reason}");
            match &self.bar {
                Some(bar) => bar.suspend(|| output::note(line)),
                None => output::note(line),
            }
        }
        let failures = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        if let Some(bar) = &self.bar {
            bar.set_position(self.ended as u64);
            bar.set_message(format!("{}{failures}", left.trim_start_matches(", ")));
        } else if self.ended == self.all || self.ended.is_multiple_of(self.all.div_ceil(LINES)) {
            output::note(format_args!("{} of {} points{failures}{left}", self.ended, self.all));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// What to say when a signal ended the sweep.
    pub(super) fn stopped(&self) -> Failure {
        self.finish();
        let done = self.ended - self.failed;
        let message =
            format!("stopped with {done} of {} points done: the same command goes on from there", self.all);
        Failure::new(Exit::Failures, message)
    }
}

/// A time to wait, in its two largest units.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds.max(1)),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_until_something_finished() {
        let mut estimate = Estimate { jobs: 2, left: 60, points_left: 3, done: (0, Duration::ZERO) };
        assert_eq!(estimate.left(), None);
        // 10 of the work took 5 s: the other 50 take 25 s, two at a time 12.5 s.
        estimate.ended(10, Duration::from_secs(5));
        assert_eq!(estimate.left(), Some(Duration::from_millis(12_500)));
        // The last point has the machine to itself, and takes as long as it takes.
        estimate.ended(20, Duration::from_secs(10));
        assert_eq!(estimate.left(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn times_have_two_units() {
        let of = |seconds| shown(Duration::from_secs(seconds));
        assert_eq!((of(0), of(59), of(61)), ("1 s".into(), "59 s".into(), "1 min 1 s".into()));
        assert_eq!((of(3_660), of(90_000)), ("1 h 1 min".into(), "1 d 1 h".into()));
    }
}

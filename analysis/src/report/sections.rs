//! The sections of the report, in the order in which they appear.

use super::page::{Cell, Page};
use super::{Estimate, ReportInput, ThreeWays, findings, set_name};
use crate::plots::{self, PlotError, grouped, percent};

fn share(p: Option<f64>) -> Cell {
    p.map_or(Cell::Empty, |p| Cell::number(percent(p)))
}

fn estimate(e: &Estimate) -> Cell {
    let (low, high) = (e.interval.low * 100.0, e.interval.high * 100.0);
    // Two digits after the point where the interval is narrow, else one.
    let text = if high - low < 1.0 {
        format!("{} ({low:.2}–{high:.2})", percent(e.estimate))
    } else {
        format!("{} ({low:.1}–{high:.1})", percent(e.estimate))
    };
    Cell::number(text)
}

fn optional_estimate(e: Option<&Estimate>) -> Cell {
    e.map_or(Cell::Empty, estimate)
}

pub(super) fn what_was_found(page: &mut Page, input: &ReportInput<'_>) {
    page.section("findings", "What was found");
    if !input.description.is_empty() {
        page.paragraph(input.description);
    }
    let found = findings(input);
    if found.is_empty() {
        page.paragraph("This run has no metrics to report.");
    } else {
        page.list(&found);
    }
    if !input.remarks.is_empty() {
        page.list(&input.remarks);
    }
}

pub(super) fn three_ways(page: &mut Page, input: &ReportInput<'_>) {
    if input.three_ways.is_empty() {
        return;
    }
    page.section("three-ways", "Three ways to the same number");
    page.prose(
        "The exact value comes from the closed form, or from enumerating every choice that the clients can \
         make. Monte Carlo draws the choices. The simulated network is the protocol itself, and its number \
         comes from what the operators’ routers observed. The verdict compares the network with the exact \
         value by an equivalence test: <em>agrees</em> means within the margin, not merely that no \
         difference was found.",
    );
    let headings = [
        "colluding",
        "exact",
        "Monte Carlo (95 %)",
        "network (95 %)",
        "n (worth)",
        "verdict",
        "margin (points)",
        "detectable",
    ];
    let points = |p: Option<f64>| {
        p.map_or(Cell::Empty, |p| Cell::number(format!("± {}", percent(p).trim_end_matches(" %"))))
    };
    let observations = |row: &ThreeWays| match (row.simulated, row.effective_n) {
        (None, _) => Cell::Empty,
        (Some(e), Some(worth)) if worth.round() < e.n as f64 => {
            let worth = grouped(worth.round() as u64);
            Cell::number(format!("{} ({worth})", grouped(e.n)))
        }
        (Some(e), _) => Cell::number(grouped(e.n)),
    };
    let cells = |row: &ThreeWays| {
        vec![
            Cell::text(set_name(&row.set)),
            share(row.closed_form),
            optional_estimate(row.monte_carlo.as_ref()),
            optional_estimate(row.simulated.as_ref()),
            observations(row),
            row.verdict.map_or(Cell::Empty, Cell::Verdict),
            points(row.margin),
            points(row.detectable),
        ]
    };
    // One table for each metric and policy, in the order in which they first appear.
    let mut tables: Vec<(&str, &str)> = Vec::new();
    for row in &input.three_ways {
        let table = (row.metric.as_str(), row.policy.as_str());
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    for (metric, policy) in tables {
        let of_table = |r: &&ThreeWays| r.metric == metric && r.policy == policy;
        let rows: Vec<Vec<Cell>> = input.three_ways.iter().filter(of_table).map(cells).collect();
        let caption = format!("{}: {policy}", metric.replace('_', " "));
        page.table(&caption, &headings, &rows);
    }
}

pub(super) fn bars(page: &mut Page, input: &ReportInput<'_>) -> Result<(), PlotError> {
    if input.bars.is_empty() {
        return Ok(());
    }
    page.section("sets", "Who would have to collude");
    for picture in &input.bars {
        let caption = "Bars are estimates, lines their 95 % intervals, diamonds the exact values.";
        page.figure(&plots::bars(picture)?, caption);
    }
    Ok(())
}

pub(super) fn networks(page: &mut Page, input: &ReportInput<'_>) -> Result<(), PlotError> {
    if input.networks.is_empty() {
        return Ok(());
    }
    page.section("network", "Who sees what");
    for picture in &input.networks {
        let caption = "One conversation of this run. A proxy meets the sender, the router with the queue the \
                       recipient; an operator with both routers of a path has both ends of it.";
        page.figure(&plots::network(picture)?, caption);
    }
    Ok(())
}

pub(super) fn attacks(page: &mut Page, input: &ReportInput<'_>) {
    if input.attacks.is_empty() {
        return;
    }
    page.section("attacks", "Linking attack");
    page.prose(
        "The attack is given what the colluding operators observed and nothing else. It names pairs of \
         addresses as talking to each other and is scored against the truth: precision is the share of named \
         pairs that do talk, recall the share of talking pairs that it named.",
    );
    let rows: Vec<Vec<Cell>> = input
        .attacks
        .iter()
        .map(|row| {
            vec![
                Cell::text(&row.attack),
                Cell::text(&row.policy),
                Cell::text(set_name(&row.set)),
                optional_estimate(row.precision.as_ref()),
                Cell::number(grouped(row.precision.map_or(0, |p| p.n))),
                estimate(&row.recall),
                Cell::number(grouped(row.recall.n)),
            ]
        })
        .collect();
    let headings = [
        "attack",
        "policy",
        "colluding",
        "precision (95 %)",
        "pairs named",
        "recall (95 %)",
        "pairs who talk",
    ];
    page.table("", &headings, &rows);
}

pub(super) fn delivery(page: &mut Page, input: &ReportInput<'_>) {
    if input.delivery.is_empty() {
        return;
    }
    page.section("delivery", "Delivery");
    let rows: Vec<Vec<Cell>> = input
        .delivery
        .iter()
        .map(|row| {
            let latency = row.latency_ms.map_or(Cell::Empty, |(median, interval)| {
                let (low, high) = (interval.low, interval.high);
                Cell::number(format!("{median:.1} ms ({low:.1}–{high:.1})"))
            });
            vec![
                Cell::text(&row.policy),
                Cell::number(grouped(row.sent)),
                Cell::number(grouped(row.received)),
                Cell::number(grouped(row.sent.saturating_sub(row.received))),
                Cell::number(grouped(row.duplicates)),
                Cell::number(grouped(row.altered)),
                latency,
            ]
        })
        .collect();
    let headings = ["policy", "sent", "received", "lost", "duplicates", "altered", "median latency (95 %)"];
    page.table("Latency is simulated time.", &headings, &rows);
}

pub(super) fn model(page: &mut Page, input: &ReportInput<'_>) -> Result<(), PlotError> {
    if input.model.is_empty() && input.curves.is_none() {
        return Ok(());
    }
    page.section("model", "The abstract model: 1 − (1 − s²)ⁿ");
    page.prose(
        "An adversary runs a share <var>s</var> of all routers. Each pick draws the two ends of a path \
         independently; after <var>n</var> picks, how likely is it that at least one path had both ends \
         with the adversary? “All three hops” (<var>s</var>³) is shown because it is often \
         mistaken for the same question: a third hop in the middle does not help, since the two ends are \
         what links two people. “One end kept” draws one end once and the other with each pick.",
    );
    if !input.model.is_empty() {
        let rows: Vec<Vec<Cell>> = input
            .model
            .iter()
            .map(|row| {
                vec![
                    Cell::number(percent(row.share)),
                    Cell::number(grouped(row.picks)),
                    Cell::number(percent(row.both_ends)),
                    estimate(&row.monte_carlo),
                    Cell::number(grouped(row.monte_carlo.n)),
                    Cell::number(percent(row.three_hops)),
                    Cell::number(percent(row.pinned)),
                ]
            })
            .collect();
        let headings = [
            "share s",
            "picks n",
            "both ends",
            "Monte Carlo (95 %)",
            "trials",
            "all three hops",
            "one end kept",
        ];
        page.table("", &headings, &rows);
    }
    if let Some(picture) = &input.curves {
        let caption = "Lines are the closed form. All points of one curve count the same trials.";
        page.figure(&plots::curves(picture)?, caption);
    }
    Ok(())
}

pub(super) fn assumptions(page: &mut Page) {
    page.section("assumptions", "What the model assumes, and where clients depart from it");
    page.points(&[
        "<strong>Picks are independent in the model.</strong> A deployed client keeps a proxy for as long as \
         its session with the destination lasts, so many messages share one pick: <var>n</var> counts \
         sessions and connections, not messages.",
        "<strong>Both ends are drawn anew in the model.</strong> A queue stays on its router as long as the \
         connection lives. With that end kept, the chance tends to <var>s</var> and not to 1: \
         <var>s</var>(1 − (1 − <var>s</var>)<sup><var>n</var></sup>).",
        "<strong>Any router can be either end in the model.</strong> Roles limit the choice: an operator \
         whose routers do not hold queues can only be a proxy. A destination without the proxy role is \
         not in the list from which a proxy is chosen, so its operator is not avoided either.",
        "<strong>Operators are not equal.</strong> Clients pick routers uniformly, so an operator’s weight \
         <var>w</var> is its share of the routers. With another operator for the second end, a colluding set \
         <var>C</var> has both ends with <var>Q</var> = Σ<sub>i∈C</sub> <var>w<sub>i</sub></var> \
         Σ<sub>j∈C, j≠i</sub> <var>w<sub>j</sub></var> / (1 − <var>w<sub>i</sub></var>). This is \
         exact for the path to the first queue. The reply queue’s router is itself chosen to differ, so \
         unless all weights are equal the other path needs the enumeration.",
        "<strong>The list is finite.</strong> Two different routers are drawn without replacement: \
         <var>c</var>(<var>c</var> − 1) / (<var>r</var>(<var>r</var> − 1)) for <var>c</var> controlled \
         of <var>r</var> routers, in place of <var>s</var>².",
        "<strong>Filters fall back.</strong> When no router of another operator is left, a client takes any \
         other router, and when there is none, the same one. Routers that a user adds count as an operator \
         of their own.",
    ]);
}

pub(super) fn how_to_read(page: &mut Page) {
    page.section("reading", "How to read this, and its limits");
    page.points(&[
        "Every estimate has its number of observations and a 95 % interval: Wilson’s for shares, Clopper and \
         Pearson’s where nothing or everything was hit, a seeded bootstrap for medians.",
        "<em>agrees</em>: the 90 % interval lies within the margin of the exact value (two one-sided tests \
         at 5 %). <em>differs</em>: off by more than the margin, and the 95 % interval excludes the exact \
         value. <em>undecided</em>: too few observations. Where the exact value is 0, a single \
         counterexample <em>differs</em>.",
        "<em>margin</em> and <em>detectable</em> are in percentage points. <em>detectable</em> is the smallest \
         deviation that this many observations find in four runs of five; a smaller one may be there.",
        "Conversations that share a user depend on each other, and so do the two paths of a conversation. \
         Where that was estimated, <em>n</em> is followed by the number of independent observations that \
         they are worth, and the intervals are those of that number.",
        "The adversary here watches what its routers are told. Traffic analysis by others on the network, \
         timing across operators that do not collude, and everything that users reveal in other ways are \
         outside of these numbers.",
        "One seed is one sample of a network and its users. Another seed gives another sample, the same seed \
         the same run.",
    ]);
}

pub(super) fn what_was_run(page: &mut Page, input: &ReportInput<'_>) {
    page.section("provenance", "What was run");
    let summary = input.summary;
    let mut facts = vec![
        ("scenario", summary.scenario.clone()),
        ("scenario hash", summary.scenario_hash.clone()),
        ("seed", summary.seed.to_string()),
        ("engine", summary.engine.clone()),
        ("version", summary.version.clone()),
        ("trace hash", summary.trace_hash.clone()),
        ("users", grouped(input.users)),
        ("simulated time", format!("{} s", summary.simulated_seconds)),
        ("wall time", format!("{:.1} s", summary.wall_seconds)),
    ];
    if let Some(replay) = &summary.replay {
        facts.push(("replay", replay.clone()));
    }
    page.facts(&facts);
    if !input.operators.is_empty() {
        let rows: Vec<Vec<Cell>> = input
            .operators
            .iter()
            .map(|o| {
                vec![
                    Cell::text(&o.name),
                    Cell::number(grouped(o.routers)),
                    Cell::number(grouped(o.storage)),
                    Cell::number(grouped(o.proxy)),
                ]
            })
            .collect();
        page.table("", &["operator", "routers", "hold queues", "forward"], &rows);
    }
    if !summary.counts.is_empty() {
        let rows: Vec<Vec<Cell>> = summary
            .counts
            .iter()
            .map(|(name, n)| vec![Cell::text(name.replace('_', " ")), Cell::number(grouped(*n))])
            .collect();
        page.table("", &["counted", "number"], &rows);
    }
}

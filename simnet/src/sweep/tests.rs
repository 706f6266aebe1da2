//! Plans: what they expand to, and what is refused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A scenario of two operators with five routers.
const SCENARIO: &str = r#"name = "s"
seed = 7
duration = "10s"

[network]
routers = 5

[[operator]]
name = "north"
share = 0.4

[[operator]]
name = "south"
share = 0.6

[users]
count = 4
contacts = 2

[workload]
kind = "poisson"
messages = 12
"#;

/// A plan beside its scenario, removed when dropped.
struct Files(PathBuf);

impl Files {
    fn new(plan: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sxlab-plans-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("s.toml"), SCENARIO).unwrap();
        std::fs::write(folder.join("p.toml"), format!("name = \"p\"\nscenario = \"s.toml\"\n{plan}"))
            .unwrap();
        Self(folder)
    }

    fn load(&self) -> Result<SweepPlan, InputError> {
        SweepPlan::load(&self.0.join("p.toml"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn expanded(plan: &str) -> (SweepPlan, Vec<Listed>) {
    let plan = Files::new(plan).load().unwrap();
    let points = plan.expand().unwrap();
    (plan, points)
}

fn scenarios(plan: &str) -> Vec<Scenario> {
    let files = Files::new(plan);
    let plan = files.load().unwrap();
    (1..=plan.len()).map(|number| plan.resolve(number).unwrap().unwrap().scenario).collect()
}

/// What a plan is refused for, without the folder.
fn refused(plan: &str) -> String {
    let files = Files::new(plan);
    let error = files.load().and_then(|plan| plan.expand()).expect_err("a bad plan");
    error.to_string().replace(&format!("{}/", files.0.display()), "")
}

#[test]
fn a_plan_without_anything_is_its_scenario() {
    let (plan, points) = expanded("");
    assert_eq!((plan.len(), points.len(), plan.engine), (1, 1, Engine::Events));
    assert_eq!((points[0].point.seed, points[0].point.network), (7, None), "the scenario's own seed");
}

#[test]
fn the_first_parameter_is_the_slowest_and_seeds_the_fastest() {
    let (plan, points) = expanded(
        "seeds = [5, 3]\n[networks]\ncount = 2\nfrom = 10\n\
         [[parameter]]\nkey = \"users.count\"\nvalues = [4, 6]\n\
         [[parameter]]\nname = \"ticks\"\nkey = \"tick\"\nfrom = \"10ms\"\nto = \"20ms\"\nstep = \"10ms\"\n",
    );
    let of = |number: usize| {
        let point = &points[number - 1].point;
        (point.parameters.join(" "), point.network.unwrap(), point.seed)
    };
    assert_eq!((plan.len(), plan.parameters.join(" ")), (16, "users.count ticks".to_owned()));
    assert_eq!(of(1), ("4 10ms".to_owned(), 10, 5));
    assert_eq!(of(2), ("4 10ms".to_owned(), 10, 3));
    assert_eq!(of(3), ("4 10ms".to_owned(), 11, 5));
    assert_eq!(of(5), ("4 20ms".to_owned(), 10, 5));
    assert_eq!(of(16), ("6 20ms".to_owned(), 11, 3));
    let hashes: BTreeSet<[u8; 32]> = points.iter().map(|listed| listed.hash).collect();
    assert_eq!(hashes.len(), 16);
    for listed in &points {
        let alone = plan.point(listed.point.number).unwrap();
        assert_eq!(alone, listed.point, "a point is what it is without the others");
    }
    assert_eq!((plan.point(0), plan.point(17)), (None, None));
}

#[test]
fn a_point_resolves_to_what_was_listed() {
    let files = Files::new("seeds = [1, 2]\n[networks]\ncount = 2\n[adversary]\nrouters = 2\n");
    let plan = files.load().unwrap();
    let mut seeds = BTreeSet::new();
    for listed in plan.expand().unwrap() {
        let resolved = plan.resolve(listed.point.number).unwrap().unwrap();
        assert_eq!(resolved.hash, listed.hash);
        seeds.insert(resolved.scenario.seed);
        assert_eq!(resolved.network, Streams::new(listed.point.network.unwrap()));
    }
    assert_eq!(seeds.len(), 4, "a seed is another one on each network");
    let by_seed = scenarios("seeds = [1, 2]\n");
    assert_eq!(by_seed.iter().map(|scenario| scenario.seed).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn equal_plans_in_other_words_have_the_same_hash() {
    let hash = |plan: &str| SweepPlan::hash(&expanded(plan).1);
    let one = hash("seeds = [1, 2]\n[[parameter]]\nkey = \"users.count\"\nvalues = [4, 6]\n");
    let range = "[[parameter]]\nkey = \"users.count\"\nfrom = 4\nto = 6\nstep = 2\n";
    assert_eq!(one, hash(&format!("seeds = {{ from = 1, count = 2 }}\nengine = \"events\"\n{range}")));
    for other in [
        format!("seeds = [1, 3]\n{range}"),
        format!("seeds = [2, 1]\n{range}"),
        format!("seeds = [1, 2]\nengine = \"turmoil\"\n{range}"),
        format!("seeds = [1, 2]\npolicies = [\"single\"]\n{range}"),
        format!("seeds = [1, 2]\n[set]\nduration = \"11s\"\n{range}"),
    ] {
        assert_ne!(one, hash(&other), "{other}");
    }
}

#[test]
fn parameters_and_settings_reach_the_scenario() {
    let all = scenarios(
        "policies = [\"single\"]\n[set]\nclient.receipts = false\noperator.north.roles = [\"storage\"]\n\
         [[parameter]]\nname = \"north\"\nkeys = [\"operator.north.share\", \"operator.south.share\"]\n\
         values = [[0.2, 0.8], [0.8, 0.2]]\n",
    );
    for (scenario, north) in all.iter().zip([1, 4]) {
        assert_eq!(scenario.policies.len(), 1);
        assert!(!scenario.client.receipts);
        assert_eq!(scenario.network.run_by(crate::network::OperatorIdx(0)).count(), north);
        assert!(!scenario.network.routers[0].roles.proxy);
    }
}

#[test]
fn an_adversary_is_drawn_for_each_network() {
    let held = |scenario: &Scenario| {
        assert!(scenario.analysis.colluding.is_empty());
        assert_eq!(scenario.analysis.held[0].name, "adversary");
        scenario.analysis.held[0].routers.clone()
    };
    let operators = scenarios("seeds = [1, 2]\n[networks]\ncount = 20\n[adversary]\noperators = 1\n");
    let drawn: Vec<usize> = operators.iter().map(|scenario| held(scenario).len()).collect();
    assert!(drawn.iter().all(|n| [2, 3].contains(n)), "one operator's routers");
    assert!(drawn.contains(&2) && drawn.contains(&3), "each operator is drawn some time");
    assert!(drawn.chunks(2).all(|seeds| seeds[0] == seeds[1]), "seeds of a network have the same adversary");

    let routers = scenarios("[networks]\ncount = 40\n[adversary]\nrouters_share = 0.4\n");
    let sets: BTreeSet<_> = routers.iter().map(held).collect();
    assert!(sets.iter().all(|set| set.len() == 2 && set.is_sorted()));
    assert!(sets.len() >= 8, "most of the ten pairs are drawn: {}", sets.len());

    let by_seed = scenarios("seeds = { from = 1, count = 20 }\n[adversary]\nrouters = 1\n");
    assert!(
        by_seed.iter().map(held).collect::<BTreeSet<_>>().len() > 2,
        "without networks it follows the seed"
    );
}

#[test]
fn shares_are_dealt_for_each_network() {
    let all = scenarios("[networks]\ncount = 40\ndraw_shares = true\n");
    let north: Vec<usize> =
        all.iter().map(|scenario| scenario.network.run_by(crate::network::OperatorIdx(0)).count()).collect();
    assert!(all.iter().all(|scenario| scenario.network.routers.len() == 5));
    assert!(north.iter().all(|n| (1..=4).contains(n)), "everyone has one: {north:?}");
    assert!(north.iter().collect::<BTreeSet<_>>().len() >= 3, "{north:?}");
    // 5 · 0.4, a little more as nobody has none or all: 2.03 ± 0.16.
    let mean = north.iter().sum::<usize>() as f64 / 40.0;
    assert!((1.5..2.6).contains(&mean), "{mean}");
}

#[test]
fn bad_plans_are_one_line_with_file_line_and_key() {
    let parameter = "[[parameter]]\nkey = \"users.count\"\n";
    let mut wrong = Vec::new();
    for (plan, says) in [
        ("seed = [1]", "p.toml:3: seed: unknown key, did you mean `seeds`?"),
        ("seeds = []", "p.toml:3: seeds: name at least one seed"),
        ("seeds = [1, 1]", "p.toml:3: seeds: 1 is there twice"),
        ("seeds = [-1]", "p.toml:3: seeds: a list of seeds, or a table of from and count"),
        ("seeds = { from = 1, count = 0 }", "p.toml:3: seeds: `count` must be at least 1"),
        ("seeds = 3", "p.toml:3: seeds: a list of seeds, or a table of from and count"),
        ("engine = \"event\"", "p.toml:3: engine: unknown engine `event`, did you mean `events`?"),
        ("policies = [\"singel\"]", "p.toml:3: policies: unknown policy `singel`, did you mean `single`?"),
        ("policies = []", "p.toml:3: policies: name at least one policy"),
        ("[networks]\ncount = 0", "p.toml:4: networks.count: must be at least 1"),
        ("[networks]\nfrom = 1", "p.toml:3: networks.count: missing"),
        ("[adversary]\n", "p.toml:3: adversary: say one of"),
        ("[adversary]\noperators = 1\nrouters = 1", "p.toml:3: adversary: say one of"),
        ("[adversary]\noperators = 0", "p.toml:4: adversary.operators: must be at least 1"),
        ("[adversary]\noperators = 3", "p.toml:4: adversary.operators: 3 of the scenario's 2 operators"),
        ("[adversary]\nrouters = 6", "p.toml:4: adversary.routers: 6 of the scenario's 5 routers"),
        ("[adversary]\nrouters_share = 1.5", "p.toml:4: adversary.routers_share: 1.5 is not a share"),
        ("[set]\nusers.cuont = 3", "p.toml:4: set.users.cuont: unknown key, did you mean `count`?"),
        (
            "engine = \"turmoil\"\nset.latency.jitter = \"1ms\"",
            "p.toml:4: set.latency.jitter: only the engine \"events\" knows this",
        ),
        ("[set]\nduration = 5", "p.toml:4: set.duration: "),
        (
            "[set]\noperator.east.share = 0.5",
            "p.toml:4: set.operator.east.share: the scenario has no `operator.east`",
        ),
        ("[[parameter]]\nvalues = [1]", "p.toml:3: parameter.key: say `key`, or `keys`"),
        (parameter, "p.toml:3: parameter.values: say either `values`, or all of"),
        (
            "[[parameter]]\nkey = \"users.count\"\nvalues = []",
            "p.toml:3: parameter.values: needs at least one value",
        ),
        (
            "[[parameter]]\nkey = \"users.count\"\nvalues = [4, 4]",
            "p.toml:5: parameter.values: 4 is there twice",
        ),
        ("[[parameter]]\nkey = \"users.count\"\nfrom = 1\nto = 5", "p.toml:3: parameter.values: say either"),
        (
            "[[parameter]]\nkey = \"users.count\"\nfrom = 5\nto = 1\nstep = 1",
            "p.toml:5: parameter.from: `to` is less",
        ),
        (
            "[[parameter]]\nkey = \"users..count\"\nvalues = [1]",
            "p.toml:4: parameter.key: `users..count` is not a key",
        ),
        ("[[parameter]]\nkey = \"seed\"\nvalues = [1]", "p.toml:4: parameter.key: seeds are not a parameter"),
        (
            "[[parameter]]\nname = \"group\"\nkey = \"tick\"\nvalues = [1]",
            "p.toml:4: parameter.name: `group` is a column",
        ),
        (
            "[[parameter]]\nkeys = [\"tick\", \"duration\"]\nvalues = [\"10ms\"]",
            "p.toml:5: parameter.values: each value is a list of 2",
        ),
        (
            "[[parameter]]\nkey = \"users.count\"\nvalues = [4,\n  0]",
            "p.toml:6: users.count: with 0 (point 2): users.count: ",
        ),
        (
            "[[parameter]]\nkey = \"users.cuont\"\nvalues = [4]",
            "p.toml:5: users.cuont: with 4 (point 1): users.cuont: unknown key, did you mean `count`?",
        ),
        (
            "[[parameter]]\nkey = \"operator.north.share\"\nvalues = [0.4, 0.5]\n[[parameter]]\nkey = \"tick\"\nvalues = [\"10ms\"]",
            "p.toml:5: operator.north.share: with 0.5 (point 2): operator.share: ",
        ),
        ("scenario = \"t.toml\"", "p.toml:3: scenario: is there twice"),
    ] {
        let line = refused(plan);
        if !line.starts_with(says) || line.contains('\n') {
            wrong.push(format!("{plan}\n  says    {line}\n  and not {says}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let many = "seeds = { from = 1, count = 1000 }\n[networks]\ncount = 1001\n";
    assert!(refused(many).starts_with("p.toml:1: name: the plan has more than 1000000 points"));
}

#[test]
fn a_bad_scenario_is_named_itself() {
    let files = Files::new("");
    std::fs::write(files.0.join("s.toml"), SCENARIO.replace("count = 4", "cuont = 4")).unwrap();
    let line = files.load().unwrap_err().to_string();
    assert!(line.contains("s.toml:") && line.contains("users.cuont: unknown key"), "{line}");
    std::fs::remove_file(files.0.join("s.toml")).unwrap();
    let line = files.load().unwrap_err().to_string();
    assert!(line.contains("p.toml:2: scenario: the scenario s.toml cannot be read"), "{line}");
}

#[test]
fn every_shipped_plan_is_right() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/sweeps"));
    for (name, points) in [("attacker-share", 40), ("drawn-adversary", 24)] {
        let plan = SweepPlan::load(&folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!((plan.name.as_str(), plan.expand().unwrap().len()), (name, points));
    }
}

//! Distributions, lists and traces: what a scenario may say about who writes to whom and when.

use super::*;

#[test]
fn without_a_window_the_whole_trace_is_used() {
    let file = TempFile::new("whole", b"src dst time\na b 1000\nb a 4599\n");
    let overrides = Overrides { trace: Some(file.0.clone()), seed: None };
    let text = with_trace("kind = \"trace\"\nspeed = 2").replace("count = 12\n", "");
    let parse = |text: &str| Scenario::parse(text, Path::new("test.toml"), &overrides);
    let scenario = parse(&text).unwrap();
    let Workload::Trace(trace) = &scenario.workload else { panic!("not a trace") };
    assert_eq!(trace.window_ns, 3599 * SECOND + 1);
    assert_eq!(scenario.duration_ns, trace.window_ns.div_ceil(2));
    assert_eq!(scenario.users.count, 1_000_000, "everyone");
    assert_eq!(
        parse(&format!("{text}window_start = \"1h\"\n")).unwrap_err().to_string(),
        "test.toml:17: workload.window_start: the last message is 59m59s after the first"
    );
}

#[test]
fn columns_may_be_named_as_the_header_names_them() {
    let overrides = Overrides { trace: Some("Cargo.toml".into()), seed: None };
    let parse = |keys: &str| {
        Scenario::parse(&with_trace(&format!("{TRACE}\n{keys}")), Path::new("test.toml"), &overrides)
    };
    let scenario =
        parse("columns = { time = \"ts\", sender = \"x\", recipient = \"y\" }\ntime_unit = \"ms\"").unwrap();
    let Workload::Trace(trace) = &scenario.workload else { panic!("not a trace") };
    let named = Columns::Named { time: "ts".into(), sender: "x".into(), recipient: "y".into() };
    assert_eq!((&trace.columns, trace.time_unit), (&Some(named), Some(TimeUnit::Milliseconds)));
    for (keys, line) in [
        ("columns = { time = \"ts\", sender = \"x\" }", "test.toml:20: workload.columns.recipient: missing"),
        (
            "columns = { tim = \"ts\", sender = \"x\", recipient = \"y\" }",
            "test.toml:20: workload.columns.tim: unknown key, did you mean `time`?",
        ),
        (
            "columns = { time = \"ts\", sender = \"x\", recipient = \"x\" }",
            "test.toml:20: workload.columns: time, sender and recipient need a column each",
        ),
        (
            "columns = 3",
            "test.toml:20: workload.columns: invalid type: integer `3`, expected a list of columns or a table of time, sender and recipient",
        ),
        (
            "time_unit = \"min\"",
            "test.toml:20: workload.time_unit: unknown unit `min`, known are `s`, `ms`, `us`, `ns` and `date`",
        ),
    ] {
        assert_eq!(parse(keys).unwrap_err().to_string(), line);
    }
}

#[test]
fn numbers_of_contacts_may_be_a_distribution() {
    let with_degrees = |keys: &str| with("contacts = 3", &format!("graph = \"degrees\"\n{keys}"));
    let graph = |keys: &str| parse(&with_degrees(keys)).unwrap().users.graph;
    assert_eq!(
        graph("degrees = [[1, 0.25], [5, 0.75]]"),
        Graph::Degrees(Degrees::Shares(vec![(1, 250_000), (5, 750_000)]))
    );
    assert_eq!(
        graph("degrees = { max = 11, exponent = 2.5 }"),
        Graph::Degrees(Degrees::PowerLaw { min: 1, max: 11, exponent: 2500 })
    );
    for (keys, line) in [
        ("degrees = [[1, 0.2], [5, 0.7]]", "16: users.degrees: the shares must add up to 1, not 0.9"),
        ("degrees = [[1, 0.5], [1, 0.5]]", "16: users.degrees: 1 is there twice"),
        ("degrees = [[1, -0.5]]", "16: users.degrees: -0.5 is negative, a share lies between 0 and 1"),
        (
            "degrees = [[12, 1.0]]",
            "16: users.degrees: 12 contacts are more than 11, the number of other users",
        ),
        ("degrees = [[0, 1.0]]", "16: users.degrees: nobody has a contact"),
        (
            "degrees = { max = 12, exponent = 2.0 }",
            "16: users.degrees: 12 contacts are more than 11, the number of other users",
        ),
        (
            "degrees = { min = 5, max = 4, exponent = 2.0 }",
            "16: users.degrees: min, 5, is not between 1 and max, 4",
        ),
        (
            "degrees = { max = 9, exponent = -1.0 }",
            "16: users.degrees: -1 is not an exponent between 0 and 10",
        ),
        ("degrees = { exponent = 2.0 }", "16: users.degrees.max: missing"),
        (
            "",
            "15: users.degrees: missing: say how many contacts users have, such as degrees = [[1, 0.2], [5, 0.8]]",
        ),
        (
            "degrees = [[1, 1.0]]\ncontacts = 2",
            "17: users.contacts: the degrees say how many contacts users have, leave `contacts` out",
        ),
    ] {
        assert_eq!(refused(&with_degrees(keys)), format!("test.toml:{line}"), "{keys}");
    }
    assert_eq!(
        refused(&with("contacts = 3", "contacts = 3\ndegrees = [[1, 1.0]]")),
        "test.toml:16: users.degrees: belongs to graph = \"degrees\""
    );
}

#[test]
fn contacts_may_be_a_friendship_list() {
    let file = TempFile::new("friendships", b"# a b\nx y\ny z\n");
    let path = file.0.display().to_string();
    let listed =
        |path: &str| with("count = 12\ncontacts = 3", &format!("graph = \"file\"\nfile = \"{path}\""));
    let scenario = parse(&listed(&path)).unwrap();
    assert_eq!(scenario.users.count, 3);
    let Graph::File(list) = &scenario.users.graph else { panic!("no list") };
    assert_eq!((list.names.len(), list.pairs.len()), (3, 2));
    assert_eq!(
        refused(&listed("no/such")),
        "test.toml:15: users.file: there is no file `no/such`, neither beside the scenario nor in the current \
         directory; its path may be absolute"
    );
    assert_eq!(
        refused(&listed(&path).replace("[users]", "[users]\ncount = 3")),
        "test.toml:14: users.count: the list says who is in contact, leave it out"
    );
    let bad = TempFile::new("friendships-bad", b"x y\nz\n");
    let bad = bad.0.display().to_string();
    assert_eq!(refused(&listed(&bad)), format!("{bad}:2: one column, a pair needs two names"));
}

#[test]
fn sending_may_follow_the_hour_or_come_in_sessions() {
    let zoned = "regions = [\"here\", { name = \"there\", time_zone = \"-05:30\" }]\n";
    let diurnal = |keys: &str| format!("{zoned}{}", with("\"poisson\"", &format!("\"diurnal\"{keys}")));
    let scenario = parse(&diurnal("\ntime_of_day = \"08:30\"")).unwrap();
    assert_eq!(scenario.regions, ["here", "there"]);
    let Workload::Diurnal(day) = &scenario.workload else { panic!("not diurnal") };
    assert_eq!((day.rate, day.begin_minutes, &day.ahead_minutes[..]), (Rate::Total(40), 510, &[0, -330][..]));
    assert_eq!(day.hours.iter().sum::<u32>(), 9_999);
    let night = format!("\nhours = [1{}]", ", 0".repeat(23));
    for (text, line) in [
        (diurnal("\nhours = [1, 2]"), "20: workload.hours: 2 weights for the 24 hours of a day"),
        (diurnal(&night.replace("[1", "[0")), "20: workload.hours: must not all be 0"),
        (diurnal(&night.replace("[1", "[-1")), "20: workload.hours: -1 is not a weight between 0 and 1000"),
        (
            diurnal(&format!("{night}\ntime_of_day = \"12:00\"")),
            "19: workload.hours: no user has an hour with a weight above 0 before the end",
        ),
        (
            diurnal("\ntime_of_day = \"8am\""),
            "20: workload.time_of_day: `8am` is not a time such as \"08:30\"",
        ),
        (
            diurnal("").replace("-05:30", "EST"),
            "1: regions.time_zone: `EST` is not an offset from UTC such as \"+01:00\"",
        ),
        (diurnal("\ngap = \"1s\""), "20: workload.gap: belongs to workload.kind = \"conversations\""),
    ] {
        assert_eq!(refused(&text), format!("test.toml:{line}"));
    }
    let sessions = |keys: &str| with("\"poisson\"", &format!("\"conversations\"{keys}"));
    let workload = parse(&sessions("\nsession_messages = 3.5")).unwrap().workload;
    let expected = Sessions { rate: Rate::Total(40), length_thousandths: 3500, gap_ns: 30 * SECOND };
    assert_eq!(workload, Workload::Conversations(expected));
    assert_eq!(
        refused(&sessions("\nsession_messages = 0.5")),
        "test.toml:19: workload.session_messages: 0.5 is not a mean between 1 and 1000000"
    );
    let overrides = Overrides { trace: Some("Cargo.toml".into()), seed: None };
    assert_eq!(
        Scenario::parse(&sessions(""), Path::new("t"), &overrides).unwrap_err().to_string(),
        "t:18: workload.kind: draws its messages, only a workload of kind \"trace\" reads --trace"
    );
}

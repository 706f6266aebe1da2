//! `sxlab conform`.

use crate::program::{Scratch, router, sxlab};

const PING: [&str; 4] = ["--filter", "transport.ping", "--versions", "6-20"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["conform", "smp"], &PING[..], more].concat()
}

#[tokio::test]
async fn our_router_in_this_process() {
    let document = sxlab(&args(&["--sim", "--json"])).await.json();
    assert_eq!((&document["schema"], &document["target"]), (&"sxlab-conformance-1".into(), &"sim".into()));
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 15);
    assert!(results.iter().all(|result| result["verdict"] == "pass"), "{document}");
    let sent =
        |e: &serde_json::Value| e["direction"] == "sent" && e["text"].as_str().unwrap().contains("PING");
    assert!(results[14]["trace"].as_array().unwrap().iter().any(sent), "{document}");
}

#[tokio::test]
async fn a_router_at_an_address_and_one_that_a_command_starts() {
    let (background, address) = router(&[]).await;
    let tested = sxlab(&args(&["--target", &address, "--json"])).await.json();
    assert_eq!(tested["results"].as_array().unwrap().len(), 15);
    background.kill().await;

    let directory = Scratch::new("conform-spawn");
    let (page, xml, json) =
        (directory.path("page.html"), directory.path("junit.xml"), directory.path("sim.json"));
    assert_eq!(sxlab(&args(&["--sim", "--json", &json])).await.code, 0);
    let command = format!("{} serve smp --listen 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_sxlab"));
    let more = ["--spawn", &command, "--html", &page, "--with", &json, "--junit", &xml];
    let ended = sxlab(&args(&more)).await;
    assert_eq!((ended.code, ended.data()), (0, ""), "{}", ended.stderr);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("serve smp") && page.contains(">sim<") && page.contains("PONG"));
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs nothing from elsewhere");
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("tests=\"15\" failures=\"0\" errors=\"0\" skipped=\"0\""), "{xml}");
}

/// How the names of the files in a directory go.
fn files(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn flows_are_recorded_compared_and_replayed_over_loopback() {
    let directory = Scratch::new("conform-record");
    let (here, there) = (directory.path("here"), directory.path("there"));
    let (background, address) = router(&[]).await;
    let flows = ["--flow", "state", "--flow", "ack", "--flow", "syntax"];
    let record = ["conform", "record", &there, "--target", &address];
    let recorded = sxlab(&[&record[..], &flows].concat()).await;
    assert_eq!(recorded.data().matches(": recorded").count(), 3, "{}", recorded.stdout);
    assert_eq!(sxlab(&[&["conform", "record", &here, "--sim"][..], &flows].concat()).await.code, 0);
    assert_eq!(files(&here), files(&there));
    // What is there is not written over.
    let refused = sxlab(&[&record[..], &flows].concat()).await;
    assert_eq!(refused.failure(2), format!("{there}: is not empty"));
    // The same router again makes no difference.
    for second in [&here, &address] {
        let compared = sxlab(&[&["conform", "diff", &there, second][..], &flows].concat()).await;
        assert_eq!((compared.code, compared.stdout.as_str()), (0, ""), "{}", compared.stderr);
    }
    let replayed = sxlab(&["conform", "replay", &here, "--target", &address]).await;
    assert_eq!(replayed.data().matches(": equal").count(), 3, "{}", replayed.stdout);
    background.kill().await;
    let replayed = sxlab(&["conform", "replay", &there, "--turmoil"]).await;
    assert_eq!(replayed.data().matches(": equal").count(), 3, "{}", replayed.stdout);
}

#[tokio::test]
async fn the_suite_records_the_flows_of_what_it_tests() {
    let directory = Scratch::new("conform-smp-record");
    let out = directory.path("out");
    let recorded = sxlab(&args(&["--sim", "--json", &directory.path("sim.json"), "--record", &out])).await;
    assert_eq!((recorded.code, recorded.data()), (0, ""), "{}", recorded.stderr);
    let replayed = sxlab(&["conform", "replay", &format!("{out}/takeover-v20.json"), "--sim"]).await;
    assert_eq!(replayed.data(), "takeover-v20: equal\n");
    let all = files(&out).len();
    assert!(all > 30, "{all}");
    let refused = sxlab(&args(&["--sim", "--record", &out])).await;
    assert_eq!(refused.failure(2), format!("{out}: is not empty"));
    assert_eq!(files(&out).len(), all);
    assert_eq!(files(&directory.path("")), ["out", "sim.json"]);
}

#[tokio::test]
async fn tls_and_names_of_a_router_that_a_command_starts() {
    let command = format!("{} serve smp --config {{config}}", env!("CARGO_BIN_EXE_sxlab"));
    let args = ["conform", "smp", "--spawn", &command, "--versions", "20", "--json"];
    let document = sxlab(&[&args[..], &["--filter", "tls", "--filter", "names"]].concat()).await.json();
    let results = document["results"].as_array().unwrap();
    assert!(results.len() >= 15, "{}", results.len());
    for result in results {
        // It takes more open files than a test may count on.
        let expected = if result["case"] == "names.concurrency" { "skipped" } else { "pass" };
        assert_eq!(result["verdict"], expected, "{}: {}", result["case"], result["reason"]);
    }
}

#[tokio::test]
async fn cases_are_listed() {
    let listed = sxlab(&args(&["--list"])).await;
    assert!(listed.data().contains("smp.transport.ping"), "{}", listed.data());
}

#[tokio::test]
async fn each_way_to_end_has_its_exit_code() {
    let nobody = format!("smp://{}@127.0.0.1:1", "A".repeat(43));
    let ended = sxlab(&args(&["--target", &nobody])).await;
    assert!(ended.failure(3).contains("could not connect"), "{}", ended.stderr);
    assert_eq!(sxlab(&args(&["--spawn", "false {port}"])).await.code, 3);
    let ended = sxlab(&["conform", "smp", "--sim", "--filter", "smp.weather"]).await;
    assert_eq!(ended.failure(4), "no case is selected, --list without --filter shows all");
    let ended = sxlab(&args(&[])).await;
    assert_eq!(ended.failure(2), "say what to test: --target, --spawn, --sim or --turmoil");
    let ended = sxlab(&args(&["--sim", "--provides", "quota=many"])).await;
    assert!(ended.failure(2).contains("quota=many: expected a number"), "{}", ended.stderr);
    let ended = sxlab(&args(&["--sim", "--html", "/nowhere/at/all.html"])).await;
    assert_eq!(ended.failure(2), "/nowhere/at/all.html: its directory does not exist");
}

#[tokio::test]
async fn our_client_passes_as_a_program_too() {
    const CASES: [&str; 7] = [
        "client-names",
        "client-tls",
        "client-hello.session-id",
        "client-session.ping",
        "client-receive.messages",
        "client-send.envelopes",
        "client-proxy.inner",
    ];
    let client = format!("{} smp {{action}} {{address}}", env!("CARGO_BIN_EXE_sxlab"));
    let mut args = vec!["conform", "smp", "--client", "--spawn", &client, "--versions", "20", "--json"];
    for case in CASES {
        args.extend(["--filter", case]);
    }
    let document = sxlab(&args).await.json();
    let results = document["results"].as_array().unwrap();
    assert!(results.len() >= 10, "{}", results.len());
    for result in results {
        assert_eq!(result["verdict"], "pass", "{}: {}", result["case"], result["reason"]);
    }
}

#[tokio::test]
async fn what_a_client_cannot_do_is_skipped() {
    let client = format!("{} smp {{action}} {{address}}", env!("CARGO_BIN_EXE_sxlab"));
    let args = ["conform", "smp", "--client", "--spawn", &client, "--actions", "ping", "--versions", "20"];
    let args = [&args[..], &["--filter", "client-send.syntax", "--json"]].concat();
    let document = sxlab(&args).await.json();
    assert_eq!(document["results"][0]["verdict"], "skipped");
    assert_eq!(document["results"][0]["reason"], "the client does not know the action `send`");
}

#[tokio::test]
async fn a_client_under_test_has_to_be_named() {
    let ended = sxlab(&["conform", "smp", "--client"]).await;
    assert_eq!(ended.failure(2), "a client is tested with --sim or --spawn");
    let ended = sxlab(&["conform", "smp", "--client", "--spawn", "a-client"]).await;
    assert_eq!(ended.failure(2), "--spawn: the command says nowhere with {address} which router it is for");
}

//! `sxlab catalogue`.

use crate::program::sxlab;

#[tokio::test]
async fn all_requirements_as_a_document() {
    let document = sxlab(&["catalogue", "--json"]).await.json();
    let requirements = document["requirements"].as_array().unwrap();
    let session = requirements.iter().find(|r| r["id"] == "smp.transport.session-id").unwrap();
    assert_eq!((&session["level"], &session["versions"]), (&"MUST".into(), &"6-20".into()));
    assert_eq!(session["deviation"]["tested"], "deployed");
    assert_eq!(document["schema"], "sxlab-catalogue-3");
    assert!(session["cases"].as_array().unwrap().contains(&"transport.router-hello".into()), "{session}");
    assert_eq!((&session["role"], &session["unobservable"]), (&"both".into(), &serde_json::Value::Null));
    let logs = requirements.iter().find(|r| r["id"] == "smp.operator.no-logs").unwrap();
    assert!(logs["unobservable"].is_string() && logs["role"] == "router", "{logs}");
}

#[tokio::test]
async fn a_part_of_them_by_id_or_by_the_name_in_comments() {
    let proxy = sxlab(&["catalogue", "smp.proxy", "--json"]).await.json();
    let proxy = proxy["requirements"].as_array().unwrap();
    assert!(!proxy.is_empty() && proxy.iter().all(|r| r["id"].as_str().unwrap().starts_with("smp.proxy.")));
    let named = sxlab(&["catalogue", "TR-14", "--json"]).await.json();
    assert_eq!(named["requirements"][0]["id"], "smp.transport.session-id");
    let table = sxlab(&["catalogue", "D47"]).await;
    assert_eq!(table.data(), "");
    assert!(table.stderr.contains("smp.proxy.rres"), "{}", table.stderr);
    let table = sxlab(&["catalogue", "OP-1"]).await;
    assert!(table.stderr.contains("cannot be seen from outside: "), "{}", table.stderr);
}

#[tokio::test]
async fn a_name_that_selects_nothing_has_its_own_exit_code() {
    let ended = sxlab(&["catalogue", "smp.weather"]).await;
    assert_eq!(ended.failure(4), "no requirement is called `smp.weather`");
}

//! Bad input: one line, exit code 2, no data.

use crate::program::sxlab;

#[tokio::test]
async fn bad_arguments_get_one_line() {
    let address = "smp://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=@127.0.0.1";
    for (args, says) in [
        (&["modle"][..], "unrecognized subcommand 'modle' (tip: a similar subcommand exists: 'model')"),
        (&["smp"], "a subcommand is missing"),
        (&["model"], "--share <S> --paths <N>"),
        (&["model", "--share", "1.5", "--paths", "3"], "a share must lie between 0 and 1, not 1.5"),
        (&["model", "--share=-0.1", "--paths", "3"], "a share must lie between 0 and 1, not -0.1"),
        (&["model", "--share", "NaN", "--paths", "3"], "a share must lie between 0 and 1"),
        (&["model", "--share", "half", "--paths", "3"], "a share is a number"),
        (&["model", "--share", "0.5", "--paths", "0"], "--paths"),
        (&["model", "--share", "0.5", "--paths", "-3"], "--paths"),
        (&["model", "--share", "0.5", "--paths", "3", "--trials", "0"], "--trials"),
        (&["model", "--share", "0.5", "--paths", "3", "--threads", "0"], "--threads"),
        (&["smp", "ping", "127.0.0.1"], "malformed text"),
        (&["smp", "ping", "smp://AAAA@127.0.0.1"], "malformed text"),
        (&["smp", "receive", "https://127.0.0.1"], "malformed text"),
        (&["smp", "receive", address, "--count", "0"], "--count"),
        (&["smp", "send", address, "hello"], "malformed text"),
        (&["smp", "send", "line\nbreak", "hello"], "malformed text"),
        (&["serve", "smp", "--listen", "nowhere"], "--listen"),
        (&["serve", "smp", "--end-interval", "15"], "has no unit"),
        (&["serve", "smp", "--password", "a b"], "--password"),
        (&["run", "--engine", "steam"], "--engine"),
        (&["run", "--seeds", "3"], "--check-determinism"),
        (&["run", "no-such-scenario.toml"], "no-such-scenario.toml: cannot be read"),
    ] {
        let ended = sxlab(args).await;
        let line = ended.failure(2);
        assert!(line.contains(says), "{args:?}: {line}");
    }
}

#[tokio::test]
async fn help_and_version_are_data() {
    let help = sxlab(&["--help"]).await;
    for word in ["run", "model", "serve", "smp", "catalogue", "70 a bug"] {
        assert!(help.data().contains(word), "{word}");
    }
    assert!(
        sxlab(&["serve", "smp", "--help"])
            .await
            .data()
            .contains("Without --store, queues and messages are held in memory")
    );
    assert_eq!(sxlab(&["--version"]).await.data().trim_end(), concat!("sxlab ", env!("CARGO_PKG_VERSION")));
}

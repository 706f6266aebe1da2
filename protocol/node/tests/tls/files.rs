//! A router's identity as files: what is saved is loaded, and nothing else is.

use std::fs;
use std::path::PathBuf;

use sxlab_node::identity::{IdentityError, RouterIdentity};
use sxlab_protocol::crypto::certificate::CertificateError;

use crate::common::{Directory, NOW, identity};

const FILES: [&str; 3] = ["ca.key", "router.crt", "router.key"];

fn load(directory: &Directory) -> Result<Option<RouterIdentity>, IdentityError> {
    RouterIdentity::load(&directory.0, NOW)
}

/// A directory with identity 1 in it.
fn saved(test: &str) -> Directory {
    let directory = Directory::new(test);
    identity(1).save(&directory.0).unwrap();
    directory
}

#[test]
fn what_is_saved_is_loaded() {
    let directory = saved("saved");
    let loaded = load(&directory).unwrap().unwrap();
    assert_eq!(loaded.chain(), identity(1).chain());
    assert_eq!(loaded.identity_hash(), identity(1).identity_hash());
    assert_eq!(loaded.leaf_key().public(), identity(1).leaf_key().public());

    let mut names: Vec<_> = fs::read_dir(&directory.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, FILES);
}

/// The same identity under the names that deployed routers give to their files.
fn deployed(test: &str) -> Directory {
    let (directory, ours) = (Directory::new(test), saved(test));
    fs::create_dir_all(&directory.0).unwrap();
    let chain = fs::read_to_string(ours.0.join("router.crt")).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let (leaf, authority) = chain.split_at(chain.find(end).unwrap() + end.len());
    fs::write(directory.0.join("server.crt"), leaf).unwrap();
    fs::write(directory.0.join("ca.crt"), authority).unwrap();
    fs::copy(ours.0.join("router.key"), directory.0.join("server.key")).unwrap();
    directory
}

#[test]
fn the_files_of_a_deployed_router_are_an_identity() {
    let directory = deployed("deployed");
    let loaded = load(&directory).unwrap().unwrap();
    assert_eq!(loaded.chain(), identity(1).chain());

    // The leaf's file may hold the chain.
    let both = ["server.crt", "ca.crt"].map(|name| fs::read(directory.0.join(name)).unwrap()).concat();
    fs::write(directory.0.join("server.crt"), both).unwrap();
    assert_eq!(load(&directory).unwrap().unwrap().chain(), identity(1).chain());

    for missing in ["ca.crt", "server.key"] {
        let directory = deployed("deployed-missing");
        fs::remove_file(directory.0.join(missing)).unwrap();
        let error = load(&directory).unwrap_err();
        assert!(matches!(&error, IdentityError::Incomplete(name) if name == missing), "{error}");
    }
}

#[test]
fn a_directory_with_files_of_both_names_is_refused() {
    let (directory, ours) = (deployed("both"), saved("both-ours"));
    fs::copy(ours.0.join("router.crt"), directory.0.join("router.crt")).unwrap();
    let error = load(&directory).unwrap_err();
    assert_eq!(error.to_string(), "both router.crt and server.crt are there: move one of them away");
}

#[test]
fn files_anywhere_make_an_identity_and_errors_name_them() {
    let directory = deployed("anywhere");
    let [leaf, authority, key] = ["server.crt", "ca.crt", "server.key"].map(|name| directory.0.join(name));
    let from = |certificates: &[&PathBuf], key: &PathBuf| {
        let certificates: Vec<_> = certificates.iter().map(|path| path.to_path_buf()).collect();
        RouterIdentity::from_files(&certificates, key, NOW)
    };
    assert_eq!(from(&[&leaf, &authority], &key).unwrap().chain(), identity(1).chain());
    // Leaf first: in the other order the authority would be the one that the leaf signed.
    from(&[&authority, &leaf], &key).unwrap_err();
    for (refused, named) in [
        (from(&[&leaf, &authority], &directory.0.join("none.key")), "none.key"),
        (from(&[&leaf, &directory.0.join("none.crt")], &key), "none.crt"),
        (from(&[&leaf, &authority], &leaf), "server.crt"),
    ] {
        let message = refused.unwrap_err().to_string();
        assert!(message.starts_with(directory.0.join(named).to_str().unwrap()), "{message}");
    }
}

#[test]
fn the_authoritys_key_may_be_moved_away() {
    let directory = saved("moved");
    fs::remove_file(directory.0.join("ca.key")).unwrap();
    let loaded = load(&directory).unwrap().unwrap();
    assert_eq!(loaded.identity_hash(), identity(1).identity_hash());

    // Saved again it still lacks that key, and is still whole.
    let copy = Directory::new("moved-copy");
    loaded.save(&copy.0).unwrap();
    assert!(!copy.0.join("ca.key").exists());
    assert!(load(&copy).unwrap().is_some());
}

#[test]
fn a_directory_without_an_identity_or_no_directory_is_nothing() {
    let directory = Directory::new("empty");
    assert!(load(&directory).unwrap().is_none());
    fs::create_dir_all(&directory.0).unwrap();
    fs::write(directory.0.join("notes.txt"), "other things").unwrap();
    assert!(load(&directory).unwrap().is_none());
}

#[test]
fn an_identity_is_never_written_over() {
    let directory = saved("twice");
    for kept in FILES {
        for gone in FILES.iter().filter(|name| **name != kept) {
            let _ = fs::remove_file(directory.0.join(gone));
        }
        let before = fs::read(directory.0.join(kept)).unwrap();
        let error = identity(2).save(&directory.0).unwrap_err();
        assert!(matches!(&error, IdentityError::Exists(name) if name == kept), "{error}");
        assert_eq!(fs::read(directory.0.join(kept)).unwrap(), before);
        fs::remove_file(directory.0.join(kept)).unwrap();
        identity(1).save(&directory.0).unwrap();
    }
}

#[test]
fn an_identity_with_a_file_missing_or_half_written_is_refused() {
    for missing in ["router.crt", "router.key"] {
        let directory = saved("missing");
        let file = directory.0.join(missing);
        let half_written = directory.0.join(format!("{missing}.partial"));

        fs::rename(&file, &half_written).unwrap();
        let error = load(&directory).unwrap_err();
        assert!(matches!(&error, IdentityError::Incomplete(name) if name == missing), "{error}");
        identity(2).save(&directory.0).unwrap_err();

        fs::remove_file(&half_written).unwrap();
        let error = load(&directory).unwrap_err();
        assert!(matches!(&error, IdentityError::Incomplete(name) if name == missing), "{error}");
    }
}

#[test]
fn a_file_cut_short_at_any_place_is_refused() {
    for name in FILES {
        let directory = saved("cut");
        let file = directory.0.join(name);
        let whole = fs::read(&file).unwrap();
        // All but the last byte, which is the end of the last line.
        for length in 0..whole.len() - 1 {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(load(&directory).is_err(), "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn files_of_different_identities_do_not_go_together() {
    let (one, two) = (saved("one"), Directory::new("two"));
    identity(2).save(&two.0).unwrap();
    for (name, what) in [("router.key", "leaf"), ("ca.key", "authority")] {
        let own = fs::read(one.0.join(name)).unwrap();
        fs::copy(two.0.join(name), one.0.join(name)).unwrap();
        let error = load(&one).unwrap_err();
        assert!(matches!(error, IdentityError::KeyMismatch(key) if key == what), "{error}");
        fs::write(one.0.join(name), own).unwrap();
    }
    load(&one).unwrap().unwrap();
}

#[test]
fn a_chain_that_no_client_would_take_is_refused() {
    let directory = saved("chain");
    let year_5000 = 95_617_584_000;
    let error = RouterIdentity::load(&directory.0, year_5000).unwrap_err();
    assert!(matches!(error, IdentityError::Certificate(CertificateError::Time)), "{error}");

    let file = directory.0.join("router.crt");
    let chain = fs::read_to_string(&file).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let leaf = &chain[..chain.find(end).unwrap() + end.len()];
    fs::write(&file, leaf).unwrap();
    let error = load(&directory).unwrap_err();
    assert!(matches!(error, IdentityError::Certificate(CertificateError::Length(1))), "{error}");
}

#[cfg(unix)]
#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = saved("modes");
    for name in ["ca.key", "router.key"] {
        let mode = fs::metadata(directory.0.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

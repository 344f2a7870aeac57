//! Installing what is missing, on Debian and its kin.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{progress, shell};

/// Set to anything but the empty string, it forbids every change to the system.
pub const NO_INSTALL: &str = "OCELLI_NO_INSTALL";

/// How this user may run a program as root.
enum Root {
    Is,
    BySudo,
    No,
}

fn root() -> Root {
    let id = shell::capture(Command::new("id").arg("-u"));
    if id.is_ok_and(|id| id.trim() == "0") {
        Root::Is
    } else if shell::works(Command::new("sudo").args(["-n", "true"])) {
        Root::BySudo
    } else {
        Root::No
    }
}

/// Whether Debian's package database has this package as installed.
pub fn is_installed(package: &str) -> bool {
    let query = ["-W", "-f=${Status}", package];
    shell::capture(Command::new("dpkg-query").args(query))
        .is_ok_and(|status| status.ends_with("ok installed"))
}

/// Installs the packages that are not there yet; an error says what a person can do instead.
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if shell::find("apt-get").is_none() {
        bail!(
            "{purpose} needs {names} (Debian's names), and this machine has no apt-get: install them with its own package manager"
        );
    }
    if std::env::var_os(NO_INSTALL).is_some_and(|value| !value.is_empty()) {
        bail!(
            "{purpose} needs {names}, and {NO_INSTALL} forbids to install it: `sudo apt-get install --no-install-recommends {names}`"
        );
    }
    if matches!(root(), Root::No) {
        bail!(
            "{purpose} needs {names}; this user cannot install it: `sudo apt-get install --no-install-recommends {names}`"
        );
    }
    let bar = progress::spinner(format!("installing {names} with apt-get"));
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(missing);
    let installed = apt_get(&args).or_else(|_| {
        // A machine fresh from its image has no package lists yet, an old one has stale ones.
        apt_get(&["update"])?;
        apt_get(&args)
    });
    bar.finish_and_clear();
    installed
}

/// Downloads the .deb of `package` in this version into `dir`, without root where the package lists are there.
pub fn download(package: &str, version: &str, dir: &std::path::Path) -> Result<()> {
    if shell::find("apt-get").is_none() {
        bail!("{package} is a Debian package, and this machine has no apt-get to download it with");
    }
    let pinned = format!("{package}={version}");
    let get = || {
        let mut command = Command::new("apt-get");
        shell::capture(command.args(["download", &pinned]).current_dir(dir))
    };
    let bar = progress::spinner(format!("downloading {pinned} with apt-get"));
    let first = get();
    let result = match (first, root()) {
        (Ok(_), _) => Ok(()),
        (Err(error), Root::No) => Err(error),
        (Err(_), _) => apt_get(&["update"]).and_then(|()| get().map(drop)),
    };
    bar.finish_and_clear();
    result
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = match root() {
        Root::BySudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env"]);
            sudo
        }
        Root::Is | Root::No => Command::new("env"),
    };
    // Another apt-get may be at work, on a machine that has just started above all.
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=120",
    ]);
    shell::capture(command.args(args)).map(drop)
}

